-- The read side's objects, DROP, and maintenance; and what .dump writes about sequences.
CREATE INDEX by_sku ON orders (sku, amount DESC);
CREATE UNIQUE INDEX IF NOT EXISTS main."by note" ON orders (note COLLATE NOCASE) WHERE note IS NOT NULL;
CREATE VIEW revenue AS SELECT user_id, sum(amount) AS total FROM orders GROUP BY user_id;
CREATE VIEW IF NOT EXISTS names (a, b) AS SELECT 1, 'x;y' -- a comment
;
DROP TABLE orders;
DROP TABLE IF EXISTS main.orders;
DROP INDEX by_sku;
DROP INDEX IF EXISTS "by note";
DROP VIEW revenue;
DROP VIEW IF EXISTS names;
ANALYZE;
ANALYZE orders;
ANALYZE sqlite_schema;
REINDEX;
REINDEX by_sku;
VACUUM;
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('orders',42);
