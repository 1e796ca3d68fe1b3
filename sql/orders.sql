-- A shop's orders: all of one user on one shard.
CREATE TABLE orders (
  user_id INTEGER,
  id INTEGER,
  sku TEXT NOT NULL,
  quantity INTEGER NOT NULL DEFAULT 1,
  amount NUMERIC(10,2),
  note TEXT,
  PRIMARY KEY (user_id, id),
  SHARD KEY (user_id)
);
