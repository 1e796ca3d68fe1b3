-- ALTER TABLE in every form: new columns, new names; what hangs on the table follows.
CREATE TABLE orders (user_id INTEGER, id INTEGER, amount REAL CHECK (amount > 0), PRIMARY KEY (user_id, id), SHARD KEY (user_id));
CREATE TABLE items (order_id INTEGER REFERENCES orders (id), sku TEXT);
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);
CREATE INDEX by_amount ON orders (amount);
CREATE INDEX IF NOT EXISTS by_id ON orders (id, user_id) WHERE amount > 1;
CREATE VIEW revenue AS SELECT user_id, sum(amount) AS total FROM orders GROUP BY user_id;
INSERT INTO orders VALUES (1, 1, 2.5), (2, 1, 3.5);
INSERT INTO items VALUES (1, 'first'), (2, 'second');
INSERT INTO counted (v) VALUES ('one');

-- Rows that are there have the default.
ALTER TABLE orders ADD COLUMN note TEXT NOT NULL DEFAULT 'none';
ALTER TABLE orders ADD plain;
ALTER TABLE main.orders ADD price TEXT DEFAULT 1.5;
ALTER TABLE "orders" ADD COLUMN "two words" NUMERIC DEFAULT '012';
ALTER TABLE orders ADD COLUMN [code] INTEGER DEFAULT '12abc' /* stays a text */;
ALTER TABLE orders ADD COLUMN real_one REAL DEFAULT 3;
ALTER TABLE orders ADD COLUMN hexed BLOB DEFAULT x'00ff' COLLATE NOCASE;
ALTER TABLE orders ADD COLUMN checked DEFAULT (7) CONSTRAINT above CHECK (checked > 5);
ALTER TABLE orders ADD COLUMN minus INT DEFAULT -9223372036854775808;
ALTER TABLE orders ADD COLUMN yes BOOLEAN DEFAULT TRUE;
ALTER TABLE orders ADD COLUMN huge DEFAULT -1e400;
ALTER TABLE orders ADD COLUMN exact DEFAULT 0.1000000000000000055511151231257827;
ALTER TABLE orders ADD COLUMN cast DEFAULT (CAST (x'c3a9' AS TEXT));
INSERT INTO orders (user_id, id, amount) VALUES (3, 1, 4.5);
INSERT INTO orders VALUES (4, 1, 5.5, 'all', 1, 2, 3, 4, 5, 6, 8, 9, 0, 1.5, 2, 'it''s');
ALTER TABLE items ADD COLUMN counted_id INTEGER REFERENCES counted (id) ON DELETE SET NULL;
ALTER TABLE items ADD COLUMN sum NUMERIC(10, 2) DEFAULT 0.0;
INSERT INTO items VALUES (3, 'third', 1, 9.75);

-- Keys, indexes, views, references and checks know columns and tables by their new names.
ALTER TABLE orders RENAME COLUMN user_id TO customer;
ALTER TABLE orders RENAME amount TO "to pay";
ALTER TABLE orders RENAME TO sales;
INSERT INTO sales (customer, id, "to pay") VALUES (5, 1, 6.5);
ALTER TABLE counted RENAME TO "counted again";
INSERT INTO "counted again" (v) VALUES ('two');
ALTER TABLE sales RENAME COLUMN checked TO Checked;

-- The old name is free.
CREATE TABLE orders (a);
INSERT INTO orders VALUES ('another');
ALTER TABLE orders RENAME TO "Orders of others";
CREATE TABLE orders (b);
INSERT INTO orders VALUES ('a third');

BEGIN;
ALTER TABLE items ADD COLUMN late DEFAULT 'late';
INSERT INTO items VALUES (4, 'fourth', NULL, 1, 'now');
ALTER TABLE items RENAME COLUMN late TO later;
INSERT INTO items (order_id, later) VALUES (5, 'later');
ALTER TABLE items RENAME TO parts;
INSERT INTO parts (order_id) VALUES (6);
COMMIT;
BEGIN;
ALTER TABLE parts ADD COLUMN never;
ROLLBACK;
