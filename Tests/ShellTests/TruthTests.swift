// What statements tell about themselves, beside stock sqlite3: counts, numbers, settings, and what is refused.
import SluiceTesting
import Testing

@Suite struct TruthTests {
  /// changes(), total_changes() and last_insert_rowid() behind rows that were ignored, refused, rolled back, replaced.
  @Test func countsAreOfRowsThatAreThere() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(id INTEGER PRIMARY KEY, v INT CHECK(v<>13));
      INSERT INTO t VALUES(3,1);
      INSERT INTO t VALUES(5,1),(3,1);
      SELECT 'multi abort',last_insert_rowid(),changes(),total_changes();
      INSERT OR FAIL INTO t VALUES(7,1),(3,1),(9,1);
      SELECT 'fail',last_insert_rowid(),changes(),total_changes();
      INSERT OR IGNORE INTO t VALUES(11,1),(3,1);
      SELECT 'ignore',last_insert_rowid(),changes(),total_changes();
      INSERT INTO t VALUES(3,1) ON CONFLICT(id) DO UPDATE SET v=2;
      SELECT 'upsert',last_insert_rowid(),changes(),total_changes();
      INSERT INTO t VALUES(21,1),(3,1) ON CONFLICT(id) DO UPDATE SET v=2;
      SELECT 'upsert2',last_insert_rowid(),changes(),total_changes();
      INSERT INTO t VALUES(13,13);
      SELECT 'check',last_insert_rowid(),changes(),total_changes();
      INSERT INTO t VALUES(14,1);
      INSERT INTO t VALUES(15,nosuch);
      SELECT 'parse',last_insert_rowid(),changes(),total_changes();
      INSERT INTO t VALUES(15,abs(-9223372036854775808));
      SELECT 'eval',last_insert_rowid(),changes(),total_changes();
      INSERT INTO t VALUES(30,changes()),(31,last_insert_rowid()),(32,changes());
      SELECT * FROM t WHERE id>=30;
      UPDATE t SET v=1/0 WHERE id=999;
      SELECT 'upd',last_insert_rowid(),changes(),total_changes();
      UPDATE t SET id=200+id WHERE id<6;
      SELECT 'upd2',last_insert_rowid(),changes(),total_changes();
      UPDATE t SET id=7 WHERE id=11;
      SELECT 'updfail',last_insert_rowid(),changes(),total_changes();
      CREATE TABLE u(x);
      SELECT 'create',last_insert_rowid(),changes(),total_changes();
      BEGIN; INSERT INTO t VALUES(50,1); ROLLBACK;
      SELECT 'rolled',last_insert_rowid(),changes(),total_changes();
      REPLACE INTO t VALUES(3,1),(14,1);
      SELECT 'replace',last_insert_rowid(),changes(),total_changes();
      DELETE FROM t;
      SELECT 'all',last_insert_rowid(),changes(),total_changes();
      DELETE FROM u WHERE x=1;
      SELECT 'none',last_insert_rowid(),changes(),total_changes();

      """)
  }

  @Test func ignoredRowsDoNotCount() throws {
    let rows = """
      INSERT INTO tag VALUES(1,'a');
      INSERT OR IGNORE INTO tag VALUES(1,'again');
      SELECT changes(), last_insert_rowid();
      INSERT OR IGNORE INTO tag VALUES(1,'again'),(2,'b'),(3,'c');
      SELECT changes(), total_changes(), last_insert_rowid();
      INSERT OR IGNORE INTO tag VALUES(7,'g'),(2,'again');
      INSERT OR IGNORE INTO tag VALUES(1,'x');
      INSERT OR IGNORE INTO tag VALUES(3,'x');

      """
    let table = "CREATE TABLE tag(id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n"
    let count = "SELECT changes(), total_changes(), last_insert_rowid();\n"
    try ShellUnderTest().expectLikeStock(table + rows + count)
    try ShellUnderTest().expectLikeStock(table + ".changes on\n" + rows + count)
    try ShellUnderTest().expectLikeStock(table + "BEGIN;\n" + rows + "COMMIT;\n" + count)
    // Nothing is read before COMMIT.
    let unread = rows.split(separator: "\n").filter { !$0.hasPrefix("SELECT") }.joined(separator: "\n") + "\n"
    try ShellUnderTest().expectLikeStock(table + "BEGIN;\n" + unread + "COMMIT;\n" + count)
    try ShellUnderTest().expectLikeStock(table + unread + "CREATE TABLE u(a);\n" + count)
    try ShellUnderTest().expectLikeStock(
      table + unread + "INSERT OR IGNORE INTO tag(id) VALUES(50);\n" + count
        + "INSERT INTO tag VALUES(changes(),'c');\n"
        + "SELECT * FROM tag;\n")
  }

  /// A row of a table without a key has its number at once, also in a transaction.
  @Test func theLastRowOfATableWithoutKeyIsFound() throws {
    let script = """
      CREATE TABLE parent(name TEXT);
      CREATE TABLE child(pid INT, x TEXT);
      CREATE TABLE word(w TEXT PRIMARY KEY) WITHOUT ROWID;
      INSERT INTO parent VALUES('p1');
      INSERT INTO child VALUES(last_insert_rowid(),'c1');
      INSERT INTO parent VALUES('p0'),('p2');
      INSERT INTO word VALUES('w');
      INSERT INTO child VALUES(last_insert_rowid(),'c2');
      SELECT p.name,c.x FROM parent p JOIN child c ON c.pid=p.rowid;
      BEGIN;
      INSERT INTO parent VALUES('p3');
      INSERT INTO word VALUES('v');
      COMMIT;
      SELECT name FROM parent WHERE rowid=last_insert_rowid();
      BEGIN;
      INSERT INTO parent VALUES('p4');
      SELECT count(*) FROM parent;
      INSERT INTO word VALUES('u');
      DELETE FROM parent WHERE name='p1';
      COMMIT;
      SELECT name FROM parent WHERE rowid=last_insert_rowid();
      INSERT INTO parent SELECT 'p5';
      SELECT name FROM parent WHERE rowid=last_insert_rowid();

      """
    try ShellUnderTest().expectLikeStock(script)
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(a);
      BEGIN;
      INSERT INTO t VALUES(1);
      SELECT last_insert_rowid();
      INSERT INTO t VALUES(last_insert_rowid() + 1);
      INSERT INTO t(rowid, a) VALUES(10, 'ten'), (NULL, 'eleven');
      SELECT last_insert_rowid(), changes();
      SELECT rowid, oid, * FROM t;
      ROLLBACK;
      SELECT last_insert_rowid();
      INSERT INTO t VALUES('again') RETURNING rowid, a;
      INSERT INTO t(rowid, a) VALUES(1, 'taken');
      INSERT INTO t(oid, a) VALUES('x', 'no number');
      SELECT rowid, * FROM t;

      """)
  }

  /// OR FAIL and OR ROLLBACK are about constraints: any other error undoes its statement alone.
  @Test func conflictClausesAreAboutConstraints() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(id INTEGER PRIMARY KEY, v INT CHECK(v<>13));
      INSERT INTO t VALUES(3,1);
      INSERT OR FAIL INTO t VALUES(7,1),(3,1),(9,1);
      SELECT * FROM t;
      INSERT OR FAIL INTO t VALUES(8,1),(15,13),(9,1);
      SELECT * FROM t;
      BEGIN;
      INSERT INTO t VALUES(100,1);
      INSERT OR ROLLBACK INTO t VALUES(101,1),(3,1);
      INSERT INTO t VALUES(102,1);
      COMMIT;
      SELECT * FROM t;
      BEGIN;
      INSERT INTO t VALUES(100,1);
      INSERT OR ROLLBACK INTO t VALUES(200,1),(201,13);
      COMMIT;
      SELECT * FROM t;
      BEGIN;
      INSERT INTO t VALUES(101,1);
      UPDATE OR ROLLBACK t SET v=v/nosuch;
      UPDATE OR ROLLBACK t SET v=abs(-9223372036854775808);
      COMMIT;
      SELECT * FROM t;
      CREATE TABLE f(a INTEGER PRIMARY KEY, b);
      INSERT OR FAIL INTO f VALUES(1,1),(2,abs(-9223372036854775808));
      SELECT count(*) FROM f;
      BEGIN;
      INSERT INTO f VALUES(1,1);
      INSERT OR ROLLBACK INTO f VALUES(nosuch,2);
      INSERT OR FAIL INTO f VALUES(3,3),(4,abs(-9223372036854775808));
      INSERT OR ROLLBACK INTO f VALUES('x',3);
      INSERT INTO f VALUES(5,1);
      COMMIT;
      SELECT * FROM f;

      """)
  }

  @Test func numbersAreNotEatenByWhatFailed() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(id INTEGER PRIMARY KEY, v DEFAULT (abs(-9223372036854775808)));
      INSERT INTO t DEFAULT VALUES;
      INSERT INTO t(v) VALUES(1);
      CREATE TABLE c(id INTEGER PRIMARY KEY AUTOINCREMENT, v DEFAULT 5 CHECK(v<5));
      INSERT INTO c DEFAULT VALUES;
      INSERT INTO c(v) VALUES(1);
      INSERT INTO t VALUES(2,2),(100,1),(1,1);
      INSERT INTO t(v) VALUES(2);
      INSERT INTO c VALUES(50,1),(1,1);
      INSERT INTO c(v) VALUES(2);
      INSERT INTO c VALUES(60,1),(61,1);
      INSERT INTO c VALUES(70,1),(61,1);
      BEGIN;
      INSERT INTO c(v) VALUES(3);
      COMMIT;
      SELECT * FROM t;
      SELECT * FROM c;

      """)
  }

  /// Behind the highest key there is, any other will do; with AUTOINCREMENT there is none, and one statement fails.
  @Test func theHighestKeyEndsNoScript() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE b(id INTEGER PRIMARY KEY, v);
      INSERT INTO b VALUES(9223372036854775807,'max');
      INSERT INTO b(v) VALUES('next'),('again');
      INSERT INTO b DEFAULT VALUES;
      CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
      INSERT INTO a VALUES(9223372036854775807,'max');
      INSERT INTO a(v) VALUES('next');
      SELECT count(*), count(DISTINCT id), min(id) > 0 FROM b;
      SELECT count(*) FROM a;

      """)
  }

  @Test func aQuotedTypeIsTheType() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE a1([id] [INTEGER] PRIMARY KEY, v);
      CREATE TABLE a2("id" "INTEGER" PRIMARY KEY AUTOINCREMENT, v);
      CREATE TABLE a3(id `integer` PRIMARY KEY, v);
      CREATE TABLE a4(id 'INTEGER' PRIMARY KEY, v);
      CREATE TABLE a5(id [INTEGER], v, PRIMARY KEY(id));
      INSERT INTO a1(v) VALUES('x');
      INSERT INTO a2(v) VALUES('x');
      INSERT INTO a3(v) VALUES('x');
      INSERT INTO a4(v) VALUES('x');
      INSERT INTO a5(v) VALUES('x');
      SELECT rowid,* FROM a1 JOIN a2 USING(id) JOIN a3 USING(id) JOIN a4 USING(id) JOIN a5 USING(id);
      PRAGMA table_info(a3);

      """)
  }

  @Test func pragmasThatChangeAnswersAreObeyed() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(a TEXT, b TEXT CHECK(b LIKE 'x%'));
      INSERT INTO t VALUES('abc','x');
      PRAGMA case_sensitive_like=ON;
      SELECT count(*) FROM t WHERE a LIKE 'ABC';
      SELECT 'a' LIKE 'A';
      INSERT INTO t VALUES('a' LIKE 'A','x');
      INSERT INTO t VALUES(1,'X');
      PRAGMA case_sensitive_like('off');
      SELECT 'a' LIKE 'A', a FROM t;
      PRAGMA query_only=1;
      PRAGMA query_only;
      INSERT INTO t VALUES('written','x');
      UPDATE t SET a=1;
      DELETE FROM t;
      DROP TABLE t;
      CREATE TABLE u(a);
      SELECT count(*) FROM t;
      BEGIN;
      INSERT INTO t VALUES('written','x');
      COMMIT;
      PRAGMA query_only=off;
      INSERT INTO t VALUES('written','x');
      .headers on
      PRAGMA short_column_names=OFF;
      PRAGMA full_column_names=ON;
      SELECT a FROM t LIMIT 1;
      SELECT t.a, x.b FROM t, t AS x LIMIT 1;
      PRAGMA full_column_names;
      PRAGMA short_column_names;
      PRAGMA short_column_names=1;
      SELECT count(*) FROM t;

      """)
  }

  @Test func pragmasThatCannotBeObeyedAreRefused() throws {
    for setting in [
      "count_changes=1", "reverse_unordered_selects=ON", "legacy_alter_table=ON", "ignore_check_constraints=1",
      "writable_schema=ON", "user_version=3", "foreign_keys=ON",
    ] {
      let ours = try ShellUnderTest().run("PRAGMA \(setting);\nSELECT 1;\n")
      #expect(ours.status == 1 && ours.text == "1\n" && ours.errorText.hasPrefix("Parse error near line 1: "))
    }
  }

  @Test func aggregatesStandWhereSQLiteAllowsThem() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(id INTEGER PRIMARY KEY, n INT);
      INSERT INTO t VALUES(1,1),(2,2),(3,3);
      DELETE FROM t RETURNING count(*);
      INSERT INTO t VALUES(7, sum(1));
      INSERT INTO t VALUES(12, row_number() OVER ());
      INSERT INTO t VALUES(13, max(1));
      INSERT INTO t VALUES(14, max(1,2));
      INSERT INTO t VALUES(17, 1+sum(1) FILTER (WHERE 1));
      INSERT INTO t VALUES(18, sum(1) OVER w);
      INSERT INTO t VALUES(19, (SELECT sum(1)));
      UPDATE t SET n=sum(n);
      UPDATE t SET n=1 WHERE sum(n)>0;
      UPDATE t SET n=1 RETURNING t.*;
      UPDATE t SET n=1 RETURNING sum(n);
      UPDATE t SET n=1 RETURNING max(n,1), group_concat(n);
      INSERT INTO t VALUES(20,1) RETURNING row_number() OVER ();
      UPDATE t AS a SET n=1 RETURNING a.n;
      UPDATE t AS a SET n=1 RETURNING t.n;
      UPDATE t SET n=5 RETURNING (SELECT count(*) FROM t), rowid, *;
      DELETE FROM t RETURNING *, t.*;
      DELETE FROM t RETURNING nosuch;
      DELETE FROM t RETURNING nosuch();
      INSERT INTO t DEFAULT VALUES RETURNING sum(n);
      INSERT INTO t(n) SELECT sum(n) FROM t;
      INSERT INTO t VALUES(40, id);
      INSERT INTO t VALUES(41, "x");
      INSERT INTO t VALUES(42, total(1));
      SELECT * FROM t;

      """)
  }

  /// Names and definitions of any length end in a sentence, at the border and beyond it.
  @Test func lengthsEndInASentence() throws {
    func name(_ size: Int) -> String { String(repeating: "n", count: size) }
    let limit = 16_379
    let shell = ShellUnderTest()
    let fits = try shell.run(
      "CREATE TABLE \(name(limit))(a);\nCREATE VIEW \(name(limit - 1)) AS SELECT 1;\nCREATE TABLE t(a);\n"
        + "CREATE INDEX \(name(limit - 2)) ON t(a);\nALTER TABLE t RENAME TO \(name(limit - 3));\nSELECT 1;\n")
    #expect(fits.status == 0 && fits.text == "1\n", "\(fits.errorText.prefix(400))")
    let long = name(limit + 1)
    for statement in [
      "CREATE TABLE \(long)(a)", "CREATE VIEW \(long) AS SELECT 1", "CREATE INDEX \(long) ON u(a)",
      "CREATE PROJECTION \(long) AS SELECT a FROM u", "ALTER TABLE u RENAME TO \(long)",
    ] {
      for frame in [
        ["", ""], ["BEGIN;\n", "COMMIT;\n"], ["BEGIN;\nINSERT INTO u VALUES(1);\nSELECT * FROM u;\n", "ROLLBACK;\n"],
      ] {
        let shell = ShellUnderTest()
        let ours = try shell.run(
          "CREATE TABLE u(a INTEGER PRIMARY KEY);\n\(frame[0])\(statement);\n\(frame[1])SELECT 'on';\n")
        #expect(ours.status == 1 && ours.text.hasSuffix("on\n"), "\(statement.prefix(20)) \(frame)")
        #expect(
          ours.errorText.contains("name too long: 16380 bytes, at most 16379") || ours.errorText.contains("cannot"),
          "\(ours.errorText.prefix(300))")
      }
    }
    let text = String(repeating: "d", count: 65 << 20)
    let definition = try ShellUnderTest().run(
      "CREATE VIEW v AS SELECT '\(text)' AS a;\nCREATE TABLE t(a DEFAULT '\(text)');\nSELECT 'on';\n")
    #expect(definition.status == 1 && definition.text == "on\n")
    #expect(definition.errorText.split(separator: "\n").filter { $0.contains("at most 64 MiB") }.count == 2)
  }

  private static let sequences = """
    CREATE TABLE au(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
    CREATE TABLE bu(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
    INSERT INTO au(v) VALUES('a'),('b'),('c');
    SELECT * FROM sqlite_sequence;
    DELETE FROM au;
    DELETE FROM sqlite_sequence WHERE name='au';
    SELECT changes();
    INSERT INTO au(v) VALUES('d');
    UPDATE "sqlite_sequence" SET seq = 40 WHERE name = 'au';
    SELECT name, seq FROM main.sqlite_sequence;
    INSERT INTO au(v) VALUES('e');
    INSERT INTO sqlite_sequence(name, seq) VALUES('bu', 7);
    INSERT INTO bu(v) VALUES('f');
    UPDATE sqlite_sequence SET seq = 0 RETURNING name, seq;
    INSERT INTO au(v) VALUES('g');
    DELETE FROM bu;
    DELETE FROM sqlite_sequence;
    INSERT INTO bu(v) VALUES('h');
    BEGIN;
    UPDATE sqlite_sequence SET seq = 90 WHERE name = 'bu';
    INSERT INTO bu(v) VALUES('i');
    ROLLBACK;
    INSERT INTO bu(v) VALUES('j');
    UPDATE sqlite_sequence SET nosuch = 1;
    INSERT INTO sqlite_sequence SELECT 'au', 100 WHERE 0;
    SELECT * FROM au;
    SELECT * FROM bu;

    """

  /// sqlite_sequence is a table to who reads and writes it, and what it says counts, also for the next process.
  @Test func sequencesAreATable() throws {
    let shell = ShellUnderTest()
    try shell.expectLikeStock(Self.sequences)
    let next = try shell.run(
      "INSERT INTO au(v) VALUES('next');\nSELECT max(id) FROM au;\nINSERT INTO bu(v) VALUES(1);\n"
        + "SELECT max(id) FROM bu;\n")
    #expect(next.text == "43\n3\n")
    try ShellUnderTest().expectLikeStock(
      "CREATE TABLE t(a);\nSELECT 1;\nUPDATE sqlite_sequence SET seq=1;\nSELECT 2;\n"
        .replacing("UPDATE sqlite_sequence SET seq=1;\n", with: "SELECT * FROM sqlite_sequence;\n"))
  }

  /// A number of an AUTOINCREMENT column is given once, whatever rows are gone when the store is opened again.
  @Test func numbersThatMustRiseDoSoInTheNextProcess() throws {
    for removal in [
      "DELETE FROM au;", "DELETE FROM au WHERE id>1;", "UPDATE au SET id=0 WHERE id=3;",
      "BEGIN;\nDELETE FROM au WHERE v>=2;\nCOMMIT;",
    ] {
      let shell = ShellUnderTest()
      let first = try shell.run(
        "CREATE TABLE au(id INTEGER PRIMARY KEY AUTOINCREMENT, v);\nINSERT INTO au(v) VALUES(1),(2),(3);\n\(removal)\n")
      #expect(first.status == 0, "\(first.errorText)")
      for number in 4...5 {
        let next = try shell.run(
          "INSERT INTO au(v) VALUES('x');\nSELECT max(id), last_insert_rowid() FROM au;\nDELETE FROM au WHERE v='x';\n"
            + "SELECT * FROM sqlite_sequence;\n")
        #expect(next.text == "\(number)|\(number)\nau|\(number)\n", "\(removal) \(next.errorText)")
      }
    }
  }

  /// After an error the rest of its line is not run, and `go` and `/` end statements, as in sqlite3.
  @Test func anErrorEndsItsLine() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(a INTEGER PRIMARY KEY);
      INSERT INTO t VALUES(1); INSERT INTO t VALUES(1); INSERT INTO t VALUES(2);
      INSERT INTO t VALUES(3); INSERT INTO t VALUES(4); -- all
      INSERT INTO t VALUES(1); INSERT INTO t VALUES(5); INSERT INTO t
      VALUES(6); INSERT INTO t VALUES(7); /* a comment
      over lines */
      INSERT INTO t VALUES(8);; -- one
      INSERT INTO t VALUES(8); /* none */ SELECT 'dropped';
      INSERT INTO t VALUES(9); SELECT 'a;b'; INSERT INTO t VALUES(9); SELECT 'dropped'; SELECT 'too
      ';
      SELECT * FROM t;

      """)
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(a);
      INSERT INTO t VALUES(1)
      go
      SELECT * FROM t
      /
      INSERT INTO t VALUES(2),
      ('
      go
      /
      ')
        GO \u{20}
      go
      /
      SELECT a /* go
      go
      */ FROM t
      go
      SELECT 4
      / 2;
      SELECT count(*) FROM t
      /
      """)
  }

  /// A long line of many statements is loaded at once all the same.
  @Test func aLongLineIsOneLoad() throws {
    let rows = (1...2000).map { "INSERT INTO t VALUES(\($0));" }.joined(separator: " ")
    let ours = try ShellUnderTest().run("CREATE TABLE t(a INTEGER PRIMARY KEY);\n\(rows)\nSELECT count(*) FROM t;\n")
    #expect(ours.status == 0 && ours.text == "2000\n")
  }

  @Test func aConstraintsNameIsThatOfTheChecksBehindIt() throws {
    try ShellUnderTest().expectLikeStock(
      """
      CREATE TABLE t(a INT CONSTRAINT nn NOT NULL CHECK(a>0) CHECK(a<10), b CHECK(b>0));
      INSERT INTO t VALUES(-1,1);
      INSERT INTO t VALUES(20,1);
      INSERT INTO t VALUES(1,-1);

      """)
  }
}
