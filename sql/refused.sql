parse
ALTER TABLE t DROP COLUMN x;
----
refused: ALTER TABLE … DROP COLUMN is not supported: stored rows keep their columns

parse
ALTER TABLE t DROP x;
----
refused: ALTER TABLE … DROP COLUMN is not supported: stored rows keep their columns

parse
ALTER TABLE t ADD COLUMN x INTEGER PRIMARY KEY;
----
invalid at -1: Cannot add a PRIMARY KEY column

parse
ALTER TABLE t ADD x TEXT UNIQUE;
----
invalid at -1: Cannot add a UNIQUE column

parse
ALTER TABLE t ADD x TEXT UNIQUE NOT ENFORCED;
----
invalid at -1: Cannot add a UNIQUE column

parse
ALTER TABLE t ADD x AS (a + 1);
----
unsupported at 20: generated columns are not supported: compute the value before the insert, or in a view

parse
ALTER TABLE t ADD x, y;
----
syntax at 19: near ",": syntax error

parse
ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);
----
syntax at 18: near "CONSTRAINT": syntax error

parse
ALTER TABLE t RENAME TO sqlite_t;
----
invalid at 24: object name reserved for internal use: sqlite_t

parse
ALTER TABLE t RENAME TO sluice_t;
----
invalid at 24: object name reserved for internal use: sluice_t

parse
ALTER TABLE other.t RENAME TO u;
----
invalid at 12: unknown database other

parse
ALTER TABLE t RENAME COLUMN TO u;
----
syntax at 28: near "TO": syntax error

parse
ALTER TABLE t;
----
syntax at 13: near ";": syntax error

parse
ALTER VIEW v RENAME TO w;
----
syntax at 6: near "VIEW": syntax error

parse
ATTACH 'x.db' AS x;
----
refused: ATTACH is not supported: a store is one database

parse
DETACH x;
----
refused: DETACH is not supported: a store is one database

parse
CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END;
----
refused: CREATE TRIGGER is not supported: a store has no triggers

parse
CREATE VIRTUAL TABLE t USING fts5(a);
----
refused: CREATE VIRTUAL TABLE is not supported

parse
CREATE TEMP TABLE t (a);
----
refused: CREATE TEMP TABLE is not supported: a store has no temporary tables

parse
CREATE PROJECTION;
----
syntax at 17: near ";": syntax error

parse
CREATE PROJECTION p
----
incomplete at 19: incomplete input

parse
CREATE PROJECTION p;
----
syntax at 19: near ";": syntax error

parse
CREATE PROJECTION p AS;
----
syntax at 22: near ";": syntax error

parse
CREATE PROJECTION p AS
----
incomplete at 22: incomplete input

parse
CREATE PROJECTION p AS SELECT;
----
syntax at 29: near ";": syntax error

parse
CREATE PROJECTION p AS SELECT
----
incomplete at 29: incomplete input

parse
CREATE PROJECTION p SELECT 1;
----
syntax at 20: near "SELECT": syntax error

parse
CREATE PROJECTION p (a) AS SELECT 1;
----
syntax at 20: near "(": syntax error

parse
CREATE PROJECTION select AS SELECT 1;
----
syntax at 18: near "select": syntax error

parse
CREATE PROJECTION sqlite_p AS SELECT 1;
----
invalid at 18: object name reserved for internal use: sqlite_p

parse
CREATE PROJECTION sluice_p AS SELECT 1;
----
invalid at 18: object name reserved for internal use: sluice_p

parse
CREATE PROJECTION other.p AS SELECT 1;
----
invalid at 18: unknown database other

parse
CREATE PROJECTION "" AS SELECT 1;
----
invalid at 18: a name is empty

parse
CREATE PROJECTION IF p AS SELECT 1;
----
syntax at 21: near "p": syntax error

parse
CREATE TEMP PROJECTION p AS SELECT 1;
----
refused: CREATE TEMP PROJECTION is not supported: a store has no temporary tables

parse
CREATE PROJECTION p PRIMARY KEY () AS SELECT 1;
----
syntax at 33: near ")": syntax error

parse
CREATE PROJECTION p PRIMARY KEY (a, b, A) AS SELECT a, b FROM t;
----
invalid at 39: duplicate column in the primary key: A

parse
CREATE PROJECTION p PRIMARY (a) AS SELECT a FROM t;
----
syntax at 28: near "(": syntax error

parse
CREATE PROJECTION p PRIMARY KEY (a) PAUSED AS SELECT a FROM t;
----
syntax at 36: near "PAUSED": syntax error

parse
CREATE PROJECTION p AS DELETE FROM t;
----
syntax at 23: near "DELETE": syntax error

parse
CREATE PROJECTION p AS WITH w AS (SELECT 1) DELETE FROM t;
----
syntax at 44: near "DELETE": syntax error

parse
CREATE PROJECTION p AS WITH w AS (SELECT 1);
----
syntax at 43: near ";": syntax error

parse
CREATE PROJECTION p AS SELECT (1;
----
syntax at 32: near ";": syntax error

parse
CREATE PROJECTION p AS SELECT (1
----
incomplete at 32: incomplete input

parse
CREATE PROJECTION p AS SELECT 1);
----
syntax at 31: near ")": syntax error

parse
CREATE PROJECTION p AS SELECT 'open
----
syntax at 30: unrecognized token: "'open"

parse
CREATE PROJECTION p AS SELECT a FROM t WHERE a = ?;
----
invalid at 49: parameters are not allowed in projections

parse
CREATE PROJECTION p AS SELECT a FROM t WHERE a = :x;
----
invalid at 49: parameters are not allowed in projections

parse
CREATE PROJECTION p AS SELECT 1; SELECT 2;
----
syntax at 33: near "SELECT": syntax error

parse
CREATE PROJECTION p AS SELECT REFRESH EVERY '5s';
----
syntax at 30: near "REFRESH": syntax error

parse
CREATE PROJECTION p AS SELECT a FROM t REFRESH EVERY 5;
----
syntax at 53: near "5": syntax error

parse
CREATE PROJECTION p AS SELECT a FROM t REFRESH EVERY 0.5;
----
syntax at 53: near "0.5": syntax error

parse
CREATE PROJECTION p AS SELECT a FROM t REFRESH EVERY '';
----
invalid at 53: '' is not a duration: write it as '250ms', '5s', '2 min', '1h' or '30 days'

parse
CREATE PROJECTION p AS SELECT a FROM t REFRESH EVERY '5';
----
invalid at 53: '5' is not a duration: write it as '250ms', '5s', '2 min', '1h' or '30 days'

parse
CREATE PROJECTION p AS SELECT a FROM t REFRESH EVERY 's';
----
invalid at 53: 's' is not a duration: write it as '250ms', '5s', '2 min', '1h' or '30 days'

parse
CREATE PROJECTION p AS SELECT a FROM t REFRESH EVERY '5 weeks';
----
invalid at 53: '5 weeks' is not a duration: write it as '250ms', '5s', '2 min', '1h' or '30 days'

parse
CREATE PROJECTION p AS SELECT a FROM t REFRESH EVERY '10 GB';
----
invalid at 53: '10 GB' is not a duration: write it as '250ms', '5s', '2 min', '1h' or '30 days'

parse
CREATE PROJECTION p AS SELECT a FROM t REFRESH EVERY '0s';
----
invalid at 53: '0s' is not above zero

parse
CREATE PROJECTION p AS SELECT a FROM t REFRESH EVERY '-5s';
----
invalid at 53: '-5s' is not above zero

parse
CREATE PROJECTION p AS SELECT a FROM t REFRESH EVERY '106751992 days';
----
invalid at 53: '106751992 days' is too large

parse
CREATE PROJECTION p AS SELECT a FROM t REFRESH EVERY '99999999999999999999us';
----
invalid at 53: '99999999999999999999us' is too large

parse
CREATE TABLE t AS SELECT 1;
----
unsupported at 15: CREATE TABLE … AS SELECT is not supported: create the table, then insert the rows

parse
CREATE TABLE temp.t (a);
----
unsupported at 13: the schema temp is not supported: a store has no temporary tables

parse
CREATE TABLE other.t (a);
----
invalid at 13: unknown database other

parse
CREATE TABLE t (a INT) STRICT;
----
unsupported at 23: STRICT is not supported: types follow SQLite's affinity rules

parse
CREATE TABLE t (a INT) WITHOUT ROWID;
----
invalid at -1: PRIMARY KEY missing on table t

parse
CREATE TABLE t (a INT) WITHOUT KEYS;
----
invalid at 31: unknown table option: KEYS

parse
CREATE TABLE t (a INT) FAST;
----
invalid at 23: unknown table option: FAST

parse
CREATE TABLE t (a INT) SHARD KEY (a);
----
invalid at 23: SHARD KEY (…) stands inside the parentheses of CREATE TABLE, behind the columns

parse
CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a + 1));
----
unsupported at 46: generated columns are not supported: compute the value before the insert, or in a view

parse
CREATE TABLE t (a INT, b AS (a + 1));
----
unsupported at 25: generated columns are not supported: compute the value before the insert, or in a view

parse
CREATE TABLE t (a TEXT COLLATE NOCASE PRIMARY KEY);
----
unsupported at 38: COLLATE NOCASE on key column a is not supported: keys compare as BINARY

parse
CREATE TABLE t (a TEXT, PRIMARY KEY (a COLLATE RTRIM));
----
unsupported at 37: COLLATE RTRIM on key column a is not supported: keys compare as BINARY

parse
CREATE TABLE t (a TEXT COLLATE NOCASE, b INT, SHARD KEY (a));
----
unsupported at 46: COLLATE NOCASE on key column a is not supported: keys compare as BINARY

parse
CREATE TABLE t (a INTEGER PRIMARY KEY DESC);
----
unsupported at 38: DESC on a key column is not supported: keys are stored upwards

parse
CREATE TABLE t (a INT, b INT, PRIMARY KEY (a, b DESC));
----
unsupported at 48: DESC on a key column is not supported: keys are stored upwards

parse
CREATE TABLE t (a INT UNIQUE, b INT);
----
unsupported at 22: UNIQUE (a) is not supported besides the primary key: write UNIQUE … NOT ENFORCED to load without the check

parse
CREATE TABLE t (a INT, b INT, UNIQUE (a, b));
----
unsupported at 30: UNIQUE (a, b) is not supported besides the primary key: write UNIQUE … NOT ENFORCED to load without the check

parse
CREATE TABLE t (a INTEGER PRIMARY KEY ON CONFLICT REPLACE);
----
unsupported at 50: ON CONFLICT REPLACE on a constraint is not supported: say it with INSERT OR …

parse
CREATE TABLE t (a INT NOT NULL ON CONFLICT IGNORE);
----
unsupported at 43: ON CONFLICT IGNORE on a constraint is not supported: say it with INSERT OR …

parse
CREATE TABLE t (a INT PRIMARY KEY AUTOINCREMENT);
----
invalid at 22: AUTOINCREMENT is only allowed on an INTEGER PRIMARY KEY

parse
CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT) WITHOUT ROWID;
----
invalid at 26: AUTOINCREMENT not allowed on WITHOUT ROWID tables

parse
CREATE TABLE t (a INT PRIMARY KEY, b INT PRIMARY KEY);
----
invalid at 41: table "t" has more than one primary key

parse
CREATE TABLE t (a INT, PRIMARY KEY (b));
----
invalid at 36: table t has no column named b

parse
CREATE TABLE t (a INT, PRIMARY KEY (a, A));
----
invalid at 39: duplicate column in the primary key: A

parse
CREATE TABLE t (a INT, PRIMARY KEY (a + 1));
----
invalid at 36: expressions prohibited in PRIMARY KEY and UNIQUE constraints

parse
CREATE TABLE t (a INT, SHARD KEY (b));
----
invalid at 23: table t has no column named b

parse
CREATE TABLE t (a INT, SHARD KEY (a), SHARD KEY (a));
----
invalid at 38: table "t" has more than one shard key

parse
CREATE TABLE t (a INT, UNIQUE (b));
----
invalid at 23: table t has no column named b

parse
CREATE TABLE t (a INT, FOREIGN KEY (b) REFERENCES u);
----
invalid at -1: unknown column "b" in foreign key definition

parse
CREATE TABLE flights (event_id INTEGER PRIMARY KEY, tailnum TEXT, SHARD KEY (tailnum));
----
invalid at 66: the shard key (tailnum) must be part of the primary key (event_id): else a duplicate could hide on another shard

parse
CREATE TABLE t (a INT, A TEXT);
----
invalid at 23: duplicate column name: A

parse
CREATE TABLE sqlite_t (a);
----
invalid at 13: object name reserved for internal use: sqlite_t

parse
CREATE TABLE sluice_t (a);
----
invalid at 13: object name reserved for internal use: sluice_t

parse
CREATE TABLE "" (a);
----
invalid at 13: a name is empty

parse
CREATE TABLE t (order INT);
----
syntax at 16: near "order": syntax error

parse
CREATE TABLE t ();
----
syntax at 16: near ")": syntax error

parse
CREATE TABLE t (a INT,);
----
syntax at 22: near ")": syntax error

parse
CREATE TABLE t (a INT
----
incomplete at 21: incomplete input

parse
CREATE TABLE t (a CHECK ());
----
syntax at 25: near ")": syntax error

parse
CREATE TABLE t (PRIMARY KEY (a));
----
syntax at 16: near "PRIMARY": syntax error

parse
CREATE TABLE t (a DEFAULT -'x');
----
syntax at 27: near "'x'": syntax error

parse
INSERT INTO other.t VALUES (1);
----
invalid at 12: unknown database other

parse
INSERT INTO t (a b) VALUES (1);
----
syntax at 17: near "b": syntax error

parse
INSERT INTO t VALUE (1);
----
syntax at 14: near "VALUE": syntax error

parse
INSERT INTO 5 VALUES (1);
----
syntax at 12: near "5": syntax error

parse
INSERT INTO
----
incomplete at 11: incomplete input

parse
DROP TRIGGER tr;
----
refused: DROP TRIGGER is not supported: a store has no triggers

parse
DROP PROJECTION;
----
syntax at 15: near ";": syntax error

parse
DROP PROJECTION p q;
----
syntax at 18: near "q": syntax error

parse
DROP PROJECTION IF p;
----
syntax at 19: near "p": syntax error

parse
DROP PROJECTION other.p;
----
invalid at 16: unknown database other

parse
ALTER PROJECTION p;
----
syntax at 18: near ";": syntax error

parse
ALTER PROJECTION p RENAME TO q;
----
syntax at 19: near "RENAME": syntax error

parse
ALTER PROJECTION IF EXISTS p AS SELECT 1;
----
syntax at 20: near "EXISTS": syntax error

parse
ALTER PROJECTION p PAUSED AS SELECT 1;
----
syntax at 19: near "PAUSED": syntax error

parse
ALTER PROJECTION p AS SELECT 1 REFRESH EVERY 'soon';
----
invalid at 45: 'soon' is not a duration: write it as '250ms', '5s', '2 min', '1h' or '30 days'

parse
REBUILD p;
----
syntax at 8: near "p": syntax error

parse
REBUILD PROJECTION;
----
syntax at 18: near ";": syntax error

parse
REBUILD
----
incomplete at 7: incomplete input

parse
REBUILD PROJECTION p AS SELECT 1;
----
syntax at 21: near "AS": syntax error

parse
PAUSE PROJECTION 5;
----
syntax at 17: near "5": syntax error

parse
PAUSE p;
----
syntax at 6: near "p": syntax error

parse
RESUME PROJECTION
----
incomplete at 17: incomplete input

parse
REDRIVE p;
----
syntax at 8: near "p": syntax error

parse
REDRIVE PROJECTION;
----
syntax at 18: near ";": syntax error

parse
REDRIVE PROJECTION p, q;
----
syntax at 20: near ",": syntax error

parse
WAIT p;
----
syntax at 5: near "p": syntax error

parse
WAIT FOR;
----
syntax at 8: near ";": syntax error

parse
WAIT FOR
----
incomplete at 8: incomplete input

parse
WAIT FOR p AT;
----
syntax at 13: near ";": syntax error

parse
WAIT FOR p AT
----
incomplete at 13: incomplete input

parse
WAIT FOR p AT 1.5;
----
syntax at 14: near "1.5": syntax error

parse
WAIT FOR p AT -1;
----
syntax at 14: near "-": syntax error

parse
WAIT FOR p AT 0x10;
----
syntax at 14: near "0x10": syntax error

parse
WAIT FOR p AT FIRST;
----
syntax at 14: near "FIRST": syntax error

parse
WAIT FOR p AT 18446744073709551616;
----
invalid at 14: position 18446744073709551616 is too large

parse
WAIT FOR p TIMEOUT;
----
syntax at 18: near ";": syntax error

parse
WAIT FOR p TIMEOUT 5;
----
syntax at 19: near "5": syntax error

parse
WAIT FOR p TIMEOUT '0ms';
----
invalid at 19: '0ms' is not above zero

parse
WAIT FOR p TIMEOUT '1.5s';
----
invalid at 19: '1.5s' is not a duration: write it as '250ms', '5s', '2 min', '1h' or '30 days'

parse
WAIT FOR p TIMEOUT '2s' AT 5;
----
syntax at 24: near "AT": syntax error

parse
ALTER STORE;
----
syntax at 11: near ";": syntax error

parse
ALTER STORE SET;
----
syntax at 15: near ";": syntax error

parse
ALTER STORE SET retain;
----
syntax at 22: near ";": syntax error

parse
ALTER STORE SET retain = ;
----
syntax at 25: near ";": syntax error

parse
ALTER STORE SET retain '30 days';
----
syntax at 23: near "'30 days'": syntax error

parse
ALTER STORE SET keep = 'forever';
----
invalid at 16: no such setting of a store: keep

parse
ALTER STORE SET retain = 'ever';
----
invalid at 25: retain is '30 days', '10 GB' or 'forever', not 'ever'

parse
ALTER STORE SET retain = 30;
----
invalid at 25: retain is '30 days', '10 GB' or 'forever', not '30'

parse
ALTER STORE SET retain = 0.5;
----
invalid at 25: retain is '30 days', '10 GB' or 'forever', not '0.5'

parse
ALTER STORE SET retain = '0 days';
----
invalid at 25: retain: '0 days' is not above zero

parse
ALTER STORE SET retain = '-1 GB';
----
invalid at 25: retain: '-1 GB' is not above zero

parse
ALTER STORE SET retain = '9223372037 GB';
----
invalid at 25: retain: '9223372037 GB' is too large

parse
ALTER STORE SET retain = '30 days' now;
----
syntax at 35: near "now": syntax error

parse
DROP COLUMN c;
----
syntax at 5: near "COLUMN": syntax error

parse
VACUUM INTO 'copy.db';
----
refused: VACUUM INTO is not supported: copy projections.db

parse
PRAGMA;
----
syntax at 6: near ";": syntax error

parse
PRAGMA a = ;
----
syntax at 11: near ";": syntax error

parse
SET ack;
----
syntax at 7: near ";": syntax error

parse
SET ack = ;
----
syntax at 10: near ";": syntax error

parse
SHOW;
----
syntax at 4: near ";": syntax error

parse
EXPLAIN EXPLAIN SELECT 1;
----
syntax at 8: near "EXPLAIN": syntax error

parse
FOO;
----
syntax at 0: near "FOO": syntax error

parse
COMMIT now;
----
syntax at 7: near "now": syntax error

parse
DROP TABLE t t;
----
syntax at 13: near "t": syntax error

parse
CREATE TABLE t (a 'unfinished
----
syntax at 18: unrecognized token: "'unfinished"

parse
CREATE TABLE t (a X'abc');
----
syntax at 18: unrecognized token: "X'abc'"

parse
CREATE TABLE t (a 12ab);
----
syntax at 18: unrecognized token: "12ab"

parse
CREATE TABLE t (a !);
----
syntax at 18: unrecognized token: "!"

parse
UPDATE t;
----
syntax at 8: near ";": syntax error

parse
UPDATE t WHERE a = 1;
----
syntax at 9: near "WHERE": syntax error

parse
UPDATE SET a = 1;
----
syntax at 7: near "SET": syntax error

parse
UPDATE OR DELETE t SET a = 1;
----
syntax at 10: near "DELETE": syntax error

parse
UPDATE other.t SET a = 1;
----
invalid at 7: unknown database other

parse
UPDATE t SET a = (1;
----
syntax at 19: near ";": syntax error

parse
UPDATE t SET a = 1) WHERE b;
----
syntax at 18: near ")": syntax error

parse
UPDATE t SET a = 1 RETURNING;
----
syntax at 28: near ";": syntax error

parse
DELETE t;
----
syntax at 7: near "t": syntax error

parse
DELETE FROM;
----
syntax at 11: near ";": syntax error

parse
DELETE FROM other.t;
----
invalid at 12: unknown database other

parse
DELETE FROM t WHERE (a;
----
syntax at 22: near ";": syntax error

parse
DELETE FROM t RETURNING;
----
syntax at 23: near ";": syntax error

parse
DELETE FROM t WHERE a = 'open
----
syntax at 24: unrecognized token: "'open"

parse
INSERT INTO other.t SELECT 1;
----
invalid at 12: unknown database other

parse
INSERT INTO t (a SELECT 1;
----
syntax at 17: near "SELECT": syntax error

parse
INSERT OR NOTHING INTO t SELECT 1;
----
syntax at 10: near "NOTHING": syntax error

parse
WITH x AS (SELECT 1);
----
syntax at 20: near ";": syntax error

parse
WITH x AS (SELECT 1 DELETE FROM t;
----
syntax at 33: near ";": syntax error

parse
SAVEPOINT;
----
syntax at 9: near ";": syntax error

parse
SAVEPOINT a b;
----
syntax at 12: near "b": syntax error

parse
RELEASE;
----
syntax at 7: near ";": syntax error

parse
ROLLBACK TO;
----
syntax at 11: near ";": syntax error

parse
ROLLBACK TO SAVEPOINT;
----
syntax at 21: near ";": syntax error

parse
EXPLAIN;
----
syntax at 7: near ";": syntax error

parse
EXPLAIN QUERY SELECT 1;
----
syntax at 8: near "QUERY": syntax error
