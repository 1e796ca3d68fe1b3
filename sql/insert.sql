-- Every accepted form of INSERT.
CREATE TABLE t (a INTEGER, b TEXT, c REAL);
CREATE TABLE "my table" ("first column" TEXT DEFAULT 'x', second);
CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT DEFAULT 'none', w INT DEFAULT (1 + 1));
INSERT INTO t VALUES (1, 'one', 1.5);
INSERT INTO main.t VALUES(-1,'',-0.25);
insert into T (c, a) values (2.5, 2), (3, 3), (4e2, 4);
INSERT OR ABORT INTO t VALUES (+5, 'it''s', 1e-2);
INSERT OR IGNORE INTO t VALUES (NULL, null, TRUE);
INSERT OR REPLACE INTO t VALUES (0, X'c0ffee', false);
REPLACE INTO t VALUES (9, 'nine', 9);
INSERT INTO "my table" ("first column", [second]) VALUES ('quoted', 'second');
INSERT INTO [my table] (`second`) VALUES (2);
INSERT INTO t VALUES (1 + 2, upper('x') || 'y', (1.0 / 3));
INSERT INTO t VALUES (9223372036854775807, 'largest', 1.7976931348623157e308), (-9223372036854775808, 'least', .5);
INSERT INTO t VALUES (0x10, 12, '12.5'), ('12', 1.5, 'twelve');
INSERT INTO t VALUES (1 /* one */, -- a comment
  'two' , 3 );
INSERT INTO t VALUES (1, replace(replace('a\nb\tc','\n',char(10)),'\t',char(9)), 2);
INSERT INTO t VALUES (1, 'Grüße, мир, 世界 🎈', 2);
INSERT INTO t (a) VALUES (CAST('7' AS INTEGER)), (coalesce(NULL, 1)), (CASE WHEN 1 THEN 2 ELSE 3 END);
INSERT INTO n DEFAULT VALUES;
INSERT INTO n (v) VALUES ('numbered');
INSERT INTO n (rowid, v) VALUES (7, 'seven');
INSERT INTO "my table" (rowid, second) VALUES (12, 'twelve'), (NULL, 'thirteen');
INSERT INTO n (v, v) VALUES ('first', 'dropped');
INSERT INTO sqlite_sequence VALUES('n',7);
-- Rows of a query.
CREATE TABLE copy (a INTEGER PRIMARY KEY, b TEXT UNIQUE NOT ENFORCED, c REAL DEFAULT 0.5);
INSERT INTO copy SELECT max(a), b, c FROM t WHERE a BETWEEN 1 AND 9 GROUP BY a;
INSERT INTO copy (b, a) SELECT 'more', 100 + value FROM (SELECT 1 AS value UNION ALL SELECT 2) ORDER BY 2;
INSERT OR IGNORE INTO copy SELECT a, 'ignored', c FROM copy;
INSERT OR REPLACE INTO copy SELECT a, b || '!', c FROM copy WHERE a < 3;
WITH more(x) AS (VALUES (200), (201)) INSERT INTO copy (a, b) SELECT x, 'with' FROM more;
INSERT INTO copy WITH RECURSIVE n(i) AS (VALUES (300) UNION ALL SELECT i + 1 FROM n WHERE i < 303)
  SELECT i, 'n' || i, i / 2.0 FROM n;
INSERT INTO copy VALUES ((SELECT max(a) + 1 FROM copy), (SELECT count(*) FROM t) || ' rows', NULL);
INSERT OR FAIL INTO copy VALUES (500, 'fail', 1);
INSERT OR ROLLBACK INTO copy VALUES (501, 'rollback', 1);
-- ON CONFLICT.
INSERT INTO copy VALUES (500, 'taken', 2) ON CONFLICT DO NOTHING;
INSERT INTO copy VALUES (500, 'taken', 2), (502, 'free', 2) ON CONFLICT (a) DO NOTHING;
INSERT INTO copy VALUES (500, 'again', 3) ON CONFLICT (a) DO UPDATE SET b = excluded.b, c = copy.c + excluded.c;
INSERT INTO copy AS k VALUES (500, 'once more', 4) ON CONFLICT (a) DO UPDATE SET b = k.b || excluded.b WHERE k.c < 9;
INSERT INTO copy SELECT a, 'from a query', 1 FROM copy WHERE true ON CONFLICT (a) DO UPDATE SET c = c + 1 WHERE a > 300;
-- RETURNING.
INSERT INTO copy VALUES (600, 'returned', 1.5) RETURNING *;
INSERT INTO copy (b) VALUES ('numbered') RETURNING a > 0 AS numbered, b AS name, length(b);
INSERT INTO copy VALUES (600, 'changed', 1) ON CONFLICT (a) DO UPDATE SET c = 99.5 RETURNING a, b, c;
INSERT OR IGNORE INTO copy VALUES (600, 'nothing', 1) RETURNING a;
