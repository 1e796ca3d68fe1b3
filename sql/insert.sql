-- Every accepted form of INSERT.
CREATE TABLE t (a INTEGER, b TEXT, c REAL);
CREATE TABLE "my table" ("first column" TEXT DEFAULT 'x', second);
CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT DEFAULT 'none', w INT DEFAULT (1 + 1));
INSERT INTO t VALUES (1, 'one', 1.5);
INSERT INTO main.t VALUES(-1,'',-0.25);
insert into T (c, a) values (2.5, 2), (3, 3), (4e2, 4);
INSERT OR ABORT INTO t VALUES (+5, 'it''s', 1e-2);
INSERT OR IGNORE INTO t VALUES (NULL, null, TRUE);
INSERT OR REPLACE INTO t VALUES (0, X'c0ffee', false);
REPLACE INTO t VALUES (9, 'nine', 9);
INSERT INTO "my table" ("first column", [second]) VALUES ('quoted', `second`);
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
INSERT INTO n (v, v) VALUES ('first', 'dropped');
INSERT INTO sqlite_sequence VALUES('n',7);
