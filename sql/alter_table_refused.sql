prepare
CREATE TABLE t (a INTEGER, b TEXT, c REAL, PRIMARY KEY (a, b), SHARD KEY (b));
CREATE TABLE s (a, b);
CREATE TABLE named (oid, rowid);
CREATE INDEX i ON t (c);
CREATE VIEW v AS SELECT a FROM t;
INSERT INTO t VALUES (1, 'x', 2.5);
INSERT INTO s VALUES (1, 2);
----
done

run
ALTER TABLE absent ADD COLUMN x;
----
invalid: no such table: absent

run
ALTER TABLE t ADD COLUMN A;
----
invalid: duplicate column name: A

run
ALTER TABLE t ADD COLUMN x NOT NULL;
----
invalid at run time: Cannot add a NOT NULL column with default value NULL

run
ALTER TABLE t ADD COLUMN x NOT NULL DEFAULT NULL;
----
invalid at run time: Cannot add a NOT NULL column with default value NULL

run
ALTER TABLE t ADD COLUMN x DEFAULT CURRENT_TIMESTAMP;
----
invalid at run time: Cannot add a column with non-constant default

run
ALTER TABLE t ADD COLUMN x DEFAULT (1 + 1);
----
invalid at run time: Cannot add a column with non-constant default

run
ALTER TABLE t ADD COLUMN x DEFAULT (a);
----
invalid: default value of column [x] is not constant

run
ALTER TABLE t ADD COLUMN x DEFAULT 3 CHECK (x > 3);
----
invalid at run time: CHECK constraint failed

run
ALTER TABLE t ADD COLUMN x DEFAULT 3 CHECK (nowhere > 3);
----
invalid at run time: error in table t after add column: no such column: nowhere

run
ALTER TABLE t ADD COLUMN x DEFAULT 3 CHECK (x > c);
----
unsupported: a new column's CHECK cannot read other columns: the rows of t were not checked for it

run
ALTER TABLE t ADD COLUMN x COLLATE other;
----
invalid: no such collation sequence: other

run
ALTER TABLE v ADD COLUMN x;
----
invalid: Cannot add a column to a view

run
ALTER TABLE v RENAME TO w;
----
invalid: view v may not be altered

run
ALTER TABLE v RENAME COLUMN a TO b;
----
invalid: cannot rename columns of view "v"

run
ALTER TABLE i RENAME TO j;
----
invalid: no such table: i

run
ALTER TABLE t RENAME TO s;
----
invalid: there is already another table or index with this name: s

run
ALTER TABLE t RENAME TO v;
----
invalid: there is already another table or index with this name: v

run
ALTER TABLE t RENAME TO i;
----
invalid: there is already another table or index with this name: i

run
ALTER TABLE t RENAME COLUMN x TO y;
----
invalid: no such column: "x"

run
ALTER TABLE t RENAME COLUMN a TO B;
----
invalid at run time: error in table t after rename: duplicate column name: b

run
ALTER TABLE sqlite_schema RENAME TO x;
----
invalid: table sqlite_master may not be altered

run
ALTER TABLE named ADD COLUMN _rowid_;
----
unsupported: columns named rowid, oid and _rowid_ leave the rows of named without a name: it has no primary key

run
ALTER TABLE t ADD COLUMN x DEFAULT (CAST (x'610062' AS TEXT));
----
unsupported: the default of x cannot be written as a literal: 'a'
