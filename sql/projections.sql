-- Every accepted form of the statements about projections, and of what a store keeps.
CREATE TABLE orders (user_id INTEGER, id INTEGER, sku TEXT, amount REAL, PRIMARY KEY (user_id, id), SHARD KEY (user_id));
CREATE PROJECTION revenue AS SELECT user_id, count(*) AS n, sum(amount) AS total FROM orders GROUP BY user_id;
CREATE PROJECTION IF NOT EXISTS revenue AS SELECT user_id, count(*) AS n FROM orders GROUP BY user_id;
CREATE PROJECTION later PAUSED AS SELECT id FROM orders;
CREATE PROJECTION large PRIMARY KEY (user_id, "id") AS SELECT user_id, id, amount FROM orders WHERE amount > 100;
create projection if not exists main.every_form paused primary key (sku) as
  select sku, max(amount) from orders group by sku refresh every '5s';
CREATE PROJECTION best AS
  WITH large AS (SELECT * FROM orders WHERE amount > 10) SELECT sku, count(*) FROM large GROUP BY sku
  REFRESH EVERY '2 min';
CREATE PROJECTION constants AS VALUES (1, 'one'), (2, 'two') REFRESH EVERY '30 days';
CREATE PROJECTION "two words" AS SELECT /* not kept */ 'REFRESH EVERY ''1s''' AS "a; b" -- nor this
  FROM orders -- refresh every '9s'
  REFRESH EVERY '250ms' /* the end */;
CREATE PROJECTION refresh AS SELECT * FROM refresh every;
CREATE PROJECTION every AS SELECT (SELECT 1 FROM refresh every);
CREATE PROJECTION paused PAUSED AS SELECT paused, "every" FROM projection REFRESH EVERY '1h';
ALTER PROJECTION revenue AS SELECT user_id, sum(amount) AS total FROM orders GROUP BY user_id;
ALTER PROJECTION main.large PRIMARY KEY (id) AS SELECT id, amount FROM orders REFRESH EVERY '1 second';
REBUILD PROJECTION revenue;
PAUSE PROJECTION revenue;
RESUME PROJECTION "two words";
REDRIVE;
REDRIVE PROJECTION revenue;
WAIT FOR revenue;
WAIT FOR revenue AT 123;
WAIT FOR revenue AT 18446744073709551615 TIMEOUT '2s';
WAIT FOR main.revenue AT LAST TIMEOUT '1 min';
wait for "two words" timeout '250 ms';
WAIT FOR at AT LAST;
DROP PROJECTION revenue;
DROP PROJECTION IF EXISTS main."two words";
EXPLAIN CREATE PROJECTION p AS SELECT 1;
SELECT * FROM orders AS OF 1234;
SELECT count(*) FROM orders AS OF '2026-01-02 03:04:05';
ALTER STORE SET retain = '30 days';
ALTER STORE SET retain TO '10 GB';
ALTER STORE SET Retain = 'forever';
alter store set retain to forever;

-- The words are names everywhere else.
CREATE TABLE projection (refresh INTEGER, every TEXT, paused, redrive, wait, timeout, store, rebuild, pause, resume, of);
INSERT INTO projection (refresh, every, of) VALUES (1, 'x', 2);
CREATE INDEX wait ON projection (refresh, every);
CREATE VIEW store AS SELECT refresh every, of FROM projection redrive;
UPDATE projection SET paused = refresh WHERE every = 'x';
DELETE FROM projection WHERE wait AND redrive;
SELECT refresh, every, paused AS of FROM projection timeout;
