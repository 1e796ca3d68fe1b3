-- Queries: those that SQLite answers by itself, and those over live tables.
SELECT 1;
VALUES (1, 2), (3, 4);
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT sum(i) FROM n;
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE sales (customer_id INTEGER, number INTEGER, day TEXT, amount REAL, note TEXT,
  PRIMARY KEY (customer_id, number), SHARD KEY (customer_id));
CREATE TABLE visits (customer_id INTEGER, page TEXT);
CREATE INDEX sales_by_day ON sales (day);
CREATE VIEW totals AS SELECT customer_id AS id, sum(amount) AS total, count(*) AS n FROM sales GROUP BY customer_id;
INSERT INTO customers VALUES (1, 'Ada', 'Aden'), (2, 'Bo', 'Bern'), (3, 'Cy', 'Bern'), (4, 'Di', NULL);
INSERT INTO sales VALUES (1, 1, '2026-01-02', 19.5, 'a;b'), (1, 2, '2026-01-03', 5, NULL), (2, 1, '2026-01-02', 7.25, 'x'),
  (3, 1, '2026-02-01', 100, 'it''s'), (3, 2, '2026-02-01', 50, ''), (3, 3, '2026-02-09', 25.5, 'last');
INSERT INTO visits VALUES (1, 'home'), (2, 'home'), (1, 'shop'), (9, 'home');
SELECT * FROM sales WHERE note = 'a;b' ORDER BY number;
SELECT ALL name AS n, "city" FROM main.customers AS c WHERE c.id = 2;
SELECT DISTINCT city FROM customers ORDER BY city DESC NULLS LAST;
SELECT count(*) FROM sales;
SELECT count(*), sum(amount), min(day), max(day), avg(amount), total(amount), group_concat(number, '-') FROM sales;
SELECT customer_id, number FROM sales WHERE customer_id = 3 AND number > 1 ORDER BY number DESC LIMIT 1;
SELECT customer_id, number FROM sales WHERE customer_id IN (1, 3) ORDER BY customer_id, number LIMIT 2 OFFSET 1;
SELECT number FROM sales WHERE customer_id BETWEEN 1 AND 2 AND day GLOB '2026-01-*' ORDER BY 1, day;
SELECT day, count(*) AS n FROM sales WHERE day >= '2026-01-03' GROUP BY day HAVING n > 1 ORDER BY day;
SELECT c.name, s.amount FROM customers AS c JOIN sales AS s ON s.customer_id = c.id ORDER BY c.id, s.number;
SELECT c.name, count(s.number) FROM customers c LEFT JOIN sales s ON s.customer_id = c.id GROUP BY c.id ORDER BY c.id;
SELECT name, page FROM customers CROSS JOIN (SELECT DISTINCT page FROM visits) ORDER BY name, page;
SELECT a.name, b.name FROM customers a, customers b WHERE a.city = b.city AND a.id < b.id;
SELECT name FROM customers NATURAL JOIN (SELECT id, total FROM totals) WHERE total > 20 ORDER BY name;
SELECT name, total FROM customers JOIN totals USING (id) ORDER BY total;
SELECT name FROM customers WHERE id IN (SELECT customer_id FROM visits WHERE page = 'shop');
SELECT name FROM customers AS c WHERE NOT EXISTS (SELECT 1 FROM sales WHERE customer_id = c.id);
SELECT name, (SELECT max(amount) FROM sales WHERE customer_id = customers.id) AS most FROM customers ORDER BY id;
SELECT id FROM customers UNION SELECT customer_id FROM visits ORDER BY 1;
SELECT id FROM customers UNION ALL SELECT customer_id FROM visits ORDER BY 1;
SELECT id FROM customers INTERSECT SELECT customer_id FROM visits ORDER BY 1;
SELECT customer_id FROM visits EXCEPT SELECT id FROM customers;
WITH large AS (SELECT * FROM sales WHERE amount > 20), n(c) AS (SELECT count(*) FROM large) SELECT c FROM n;
WITH RECURSIVE chain(id, depth) AS (SELECT 1, 0 UNION ALL SELECT id + 1, depth + 1 FROM chain WHERE id < 4)
  SELECT depth, name FROM chain JOIN customers USING (id) ORDER BY depth;
SELECT customer_id, number, row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC) FROM sales ORDER BY 1, 2;
SELECT number, sum(amount) OVER (ORDER BY customer_id, number ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM sales
  ORDER BY customer_id, number;
SELECT customer_id, lag(amount, 1, 0) OVER w, rank() OVER w FROM sales
  WINDOW w AS (PARTITION BY customer_id ORDER BY number) ORDER BY customer_id, number;
SELECT count(*) FILTER (WHERE amount > 10), sum(DISTINCT customer_id) FROM sales;
SELECT CASE WHEN amount >= 50 THEN 'much' ELSE 'little' END AS size, count(*) FROM sales GROUP BY 1 ORDER BY 1;
SELECT page, count(*) FROM visits GROUP BY page ORDER BY page;
SELECT rowid > 0, page FROM visits WHERE rowid IS NOT NULL ORDER BY rowid;
SELECT * FROM totals ORDER BY id;
SELECT upper(name) || coalesce(' of ' || city, '') FROM customers WHERE name IN ('Ada', 'Di') ORDER BY 1;
