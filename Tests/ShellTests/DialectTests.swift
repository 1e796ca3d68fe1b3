// Small things that stock sqlite3 does, told the same: what it refuses and with which words, what it numbers and names.
import Testing

@Suite struct DialectTests {
  /// An empty table takes any column; one with rows none that they cannot have.
  @Test func columnsOfAnEmptyTable() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(a);
      ALTER TABLE t ADD COLUMN c NOT NULL;
      INSERT INTO t VALUES(1,2);
      INSERT INTO t VALUES(1,NULL);
      ALTER TABLE t ADD COLUMN d NOT NULL;
      ALTER TABLE t ADD COLUMN d DEFAULT (abs(-1));
      DELETE FROM t;
      ALTER TABLE t ADD COLUMN d DEFAULT (abs(-1));
      ALTER TABLE t ADD COLUMN e TEXT DEFAULT 1.50;
      ALTER TABLE t ADD COLUMN f CHECK(f > a);
      INSERT INTO t(a,c,f) VALUES(1,2,3);
      INSERT INTO t(a,c,f) VALUES(3,2,3);
      SELECT * FROM t;
      BEGIN;
      CREATE TABLE u(a);
      INSERT INTO u VALUES(1);
      ALTER TABLE u ADD COLUMN b NOT NULL;
      DELETE FROM u;
      ALTER TABLE u ADD COLUMN b NOT NULL;
      INSERT INTO u VALUES(1,2);
      COMMIT;
      SELECT * FROM u;
      INSERT INTO u(a) VALUES(1);

      """)
  }

  @Test func infiniteDefaults() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(
        a, b DEFAULT 1e400, c DEFAULT -1e400, d TEXT DEFAULT 1e400, e INT DEFAULT 1e400, f DEFAULT (1e400));
      INSERT INTO t(a) VALUES(1);
      SELECT *, typeof(b), typeof(d), typeof(e) FROM t;
      ALTER TABLE t ADD COLUMN g DEFAULT 1e400;
      ALTER TABLE t ADD COLUMN h DEFAULT -9e999;
      INSERT INTO t(a) VALUES(2);
      SELECT g, h, typeof(g) FROM t;

      """)
  }

  /// The rowid goes by the name of the column that stands for it.
  @Test func headersOfRowids() throws {
    try ShellUnderTest().expectLikeStock(
      """
      .headers on
      CREATE TABLE t("my id" INTEGER PRIMARY KEY, v);
      CREATE TABLE k(a);
      INSERT INTO t VALUES(1,2);
      INSERT INTO k VALUES(1);
      SELECT rowid FROM t;
      SELECT oid, v, _rowid_ AS r FROM t AS x;
      SELECT rowid AS rowid FROM t;
      SELECT rowid+1 FROM t;
      SELECT * FROM (SELECT rowid FROM t);
      SELECT t.rowid, u._rowid_, k.oid FROM t, t AS u, k;
      CREATE VIEW w AS SELECT rowid, v FROM t;
      SELECT * FROM w;
      INSERT INTO t VALUES(7,8) RETURNING rowid, oid, v;

      """)
  }

  /// A name goes on to the CHECKs behind it, until a column begins or a comma parts two constraints of the table.
  @Test func namesOfChecks() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(a, CONSTRAINT c CHECK(a>0));
      INSERT INTO t VALUES(0);
      CREATE TABLE u(a INT CONSTRAINT x CHECK(a>0));
      INSERT INTO u VALUES(0);
      CREATE TABLE v(a, CONSTRAINT c1 CHECK(a>0) CONSTRAINT c2 CHECK(a<10) CHECK(a<>5), CHECK(a<>6));
      INSERT INTO v VALUES(0);
      INSERT INTO v VALUES(10);
      INSERT INTO v VALUES(5);
      INSERT INTO v VALUES(6);
      CREATE TABLE x(a CONSTRAINT p, b CONSTRAINT q, CHECK(b>0));
      INSERT INTO x VALUES(1,0);
      CREATE TABLE z(a, CONSTRAINT one CONSTRAINT two CHECK(a>0));
      INSERT INTO z VALUES(0);

      """)
  }

  /// Several rows are a query to SQLite.
  @Test func aggregatesInRows() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(a,b);
      INSERT INTO t VALUES(count(*),1);
      INSERT INTO t VALUES(1,2),(count(*),1);
      INSERT INTO t VALUES(count(1),1),(2,3);
      INSERT INTO t VALUES(count(*),1),(2,3) RETURNING a;
      INSERT INTO t VALUES(1,1),(1,row_number() OVER ());
      INSERT INTO t VALUES(1,row_number() OVER ());
      INSERT INTO t VALUES(1,1),(x,3);
      SELECT * FROM t;

      """)
  }

  /// Numbers that were given to rows of a statement that came to nothing are given again.
  @Test func numbersOfRejectedRows() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(id INTEGER PRIMARY KEY, v CHECK(v<>'no'));
      INSERT INTO t VALUES(1,'a');
      INSERT INTO t VALUES(NULL,'x'),(1,'taken');
      INSERT INTO t VALUES(NULL,'b');
      INSERT INTO t VALUES(10,'x'),(NULL,'y'),(1,'taken');
      INSERT INTO t VALUES(NULL,'c');
      INSERT INTO t VALUES(NULL,'x'),(20,'x'),(NULL,'y'),(1,'taken');
      INSERT INTO t VALUES(NULL,'d');
      INSERT OR IGNORE INTO t VALUES(NULL,'no'),(NULL,'e');
      INSERT OR IGNORE INTO t VALUES(NULL,'no');
      INSERT INTO t(v) VALUES('f');
      SELECT * FROM t;
      CREATE TABLE n(v);
      INSERT INTO n VALUES(1);
      INSERT INTO n(rowid,v) VALUES(NULL,'x'),(1,'taken');
      INSERT INTO n(rowid,v) VALUES(NULL,'x'),(9,'y'),(NULL,'z'),(1,'taken');
      INSERT INTO n VALUES(2);
      INSERT OR IGNORE INTO n(rowid,v) VALUES(NULL,'x'),(9,'y'),(1,'taken');
      INSERT INTO n VALUES(2);
      SELECT rowid,* FROM n;

      """)
  }

  /// A taken number is found before an index fails on the row.
  @Test func duplicatesThatAnIndexCannotTake() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(id INTEGER PRIMARY KEY, v);
      CREATE INDEX i ON t(json_extract(v,'$.a'));
      INSERT INTO t VALUES(1,'{"a":1}');
      INSERT OR IGNORE INTO t VALUES(1,'bad');
      SELECT 'ignored', changes();
      INSERT INTO t VALUES(1,'bad');
      INSERT OR REPLACE INTO t VALUES(1,'bad');
      INSERT OR IGNORE INTO t VALUES(2,'bad');
      INSERT INTO t VALUES(1,'bad') ON CONFLICT DO NOTHING;
      INSERT INTO t VALUES(1,'bad') ON CONFLICT(id) DO UPDATE SET v='{}';
      INSERT INTO t VALUES(1,'bad') ON CONFLICT(id) DO UPDATE SET v=excluded.v;
      INSERT INTO t VALUES(5,'{}'),(1,'bad');
      INSERT OR FAIL INTO t VALUES(6,'{}'),(1,'bad');
      INSERT INTO t VALUES(NULL,'bad');
      INSERT INTO t(v) VALUES('{"a":2}');
      BEGIN;
      SELECT count(*) FROM t;
      INSERT OR IGNORE INTO t VALUES(1,'bad');
      INSERT INTO t VALUES(1,'bad');
      COMMIT;
      SELECT * FROM t;

      """)
  }
}
