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
CREATE PROJECTION revenue AS SELECT 1;
----
refused: CREATE PROJECTION is not supported

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
INSERT INTO sqlite_sequence (name) VALUES ('t');
----
refused: INSERT INTO sqlite_sequence is supported as VALUES('table',number) only

parse
DROP TRIGGER tr;
----
refused: DROP TRIGGER is not supported: a store has no triggers

parse
DROP PROJECTION p;
----
refused: DROP PROJECTION is not supported

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
