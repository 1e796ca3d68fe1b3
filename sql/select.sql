-- Statements that SQLite answers by itself.
SELECT 1;
SELECT * FROM orders WHERE note = 'a;b' ORDER BY id;
VALUES (1, 2), (3, 4);
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT sum(i) FROM n;
EXPLAIN SELECT 1;
EXPLAIN QUERY PLAN SELECT * FROM orders;
EXPLAIN INSERT INTO orders VALUES (1, 2, 'SKU-1', 1, 9.95, NULL);
