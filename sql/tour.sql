-- The session of the README.
CREATE TABLE orders(
  user_id INTEGER, id INTEGER, amount REAL NOT NULL, note TEXT DEFAULT 'none',
  PRIMARY KEY (user_id, id),
  SHARD KEY (user_id));
INSERT INTO orders VALUES(7, 1, 19.95, 'gift wrap'), (8, 2, 5.00, NULL);
INSERT INTO orders(user_id, id, amount) VALUES(7, 3, 41.95);
INSERT INTO orders VALUES(8, 2, 9.99, 'a key that is taken');
INSERT OR REPLACE INTO orders VALUES(8, 2, 6.50, 'corrected');
BEGIN;
INSERT INTO orders VALUES(9, 4, 1.25, 'never mind');
ROLLBACK;
SELECT user_id, count(*), sum(amount) FROM orders GROUP BY user_id;
