// Bad scripts: the words, the line, the fragment and the caret of stock sqlite3, and the exit status.
import SluiceTesting
import Testing

@Suite struct ErrorTests {
  /// Each goes on after its error and ends with status 1.
  static let scripts = [
    "SELECT 1;\nbad;\nSELECT 3;\n",
    "SELECT 1; bad; SELECT 2;",
    "SELECT nosuch;\r\nSELECT 'a\r\nb', nosuch,\r\n 1;\r\nSELECT 2;\r\n",
    "\n\n-- comment; with semicolon\n/* and\n another */\nSELECT\n  nosuch\n  ;\n",
    "SELECT abc(1);\nSELECT 'x' frm;\nSELECT (1;\nSELECT 1 +;\n",
    "SELECT 1 +",
    "SELECT 'abc\nSELECT 1;\n",
    "SELECT \"abc",
    "CREATE TABLE x(a",
    "SELECT /* a comment that is long enough to push it right */ 1 a frm\tx where ~aaaaa = zzzzz;\n",
    "SELECT /* éé a comment that goes on and on until it is well over fifty characters é */ 1 frm\tx WHERE z = 'and "
      + "then some more of it, past the window, where é stands at its border éééééééééééééé';\n",
    "SELECT é, ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé, 1 frm x y;\n",
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b NOT NULL);\nINSERT INTO t VALUES(1,2);\nINSERT INTO t\n VALUES(1,3);\n"
      + "SELECT count(*) FROM t;\nINSERT INTO t VALUES(2,NULL);\nSELECT * FROM t;\n",
    "ROLLBACK;\nCOMMIT;\nBEGIN;\nBEGIN;\nSELECT 1;\n",
  ]

  @Test(arguments: scripts) func likeStock(script: String) throws {
    let stock = try stockSQLite(script)
    #expect(stock.status == 1)
    let ours = try ShellUnderTest().run(script)
    #expect(ours.errorText == stock.errorText)
    #expect(ours.status == 1)
    #expect(ours.text == stock.text)
  }

  /// A process with little address space has smaller transactions, and says so when one is too large.
  @Test func littleAddressSpace() throws {
    let shell = ShellUnderTest()
    let script = """
      CREATE TABLE t(a); INSERT INTO t VALUES(1), (2); UPDATE t SET a = a + 1; SELECT * FROM t;
      INSERT INTO t WITH n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 99)
        SELECT zeroblob(1000000) FROM n;
      SELECT count(*) FROM t;
      """
    let result = try runProcess(
      "/bin/bash", ["-c", "ulimit -v 400000; exec '\(builtProduct("sluice"))' '\(shell.store)'"],
      input: Array(script.utf8))
    #expect(result.text == "2\n3\n2\n")
    #expect(result.errorText.contains("transaction too big") && !result.errorText.contains("256 MiB"))
    #expect(result.status == 1)
  }

  @Test(arguments: scripts) func bail(script: String) throws {
    let ours = try ShellUnderTest().run(script, ["-bail"])
    let stock = try stockSQLite(script, arguments: ["-bail"])
    #expect(ours.text == stock.text)
    #expect(ours.errorText == stock.errorText)
    #expect(ours.status == 1)
  }

  /// Where sqlite3 names the table or column only, Sluice shows its place too.
  @Test func insertsShowThePlace() throws {
    let ours = try ShellUnderTest().run(
      """
      CREATE TABLE t(a INTEGER PRIMARY KEY, b);
      INSERT INTO t VALUES(1,2,3);
      INSERT INTO t(zz) VALUES(1);
      INSERT INTO nosuch VALUES(1);
      INSERT INTO t VALUES(1,2);
      SELECT * FROM t;
      """)
    #expect(
      ours.errorText == """
        Parse error near line 2: table t has 2 columns but 3 values were supplied
          INSERT INTO t VALUES(1,2,3);
                              ^--- error here
        Parse error near line 3: table t has no column named zz
          INSERT INTO t(zz) VALUES(1);
                        ^--- error here
        Parse error near line 4: no such table: nosuch
          INSERT INTO nosuch VALUES(1);
                      ^--- error here

        """)
    #expect(ours.text == "1|2\n")
    #expect(ours.status == 1)
  }

  @Test func bailByCommand() throws {
    try ShellUnderTest().expectLikeStock("bad;\nSELECT 1;\n.bail on\nbad;\nSELECT 2;\n")
  }

  /// Errors that are known late still come before what was asked for later.
  @Test func orderOfResultsAndErrors() throws {
    let shell = ShellUnderTest()
    let script = """
      CREATE TABLE t(a INTEGER PRIMARY KEY);
      INSERT INTO t VALUES(1);
      INSERT INTO t VALUES(1);
      SELECT 'one', count(*) FROM t;
      INSERT INTO t VALUES(1);
      INSERT INTO t VALUES(2);
      bad;
      INSERT INTO t VALUES(2);
      .print two
      INSERT INTO t VALUES(2);
      """
    let path = shell.folder.file("script.sql")
    try script.write(toFile: path, atomically: true, encoding: .utf8)
    let command = "\"$0\" \"$1\" < \"$2\" 2>&1"
    let ours = try runProcess("sh", ["-c", command, builtProduct("sluice"), shell.store, path])
    let stock = try runProcess("sh", ["-c", command, "sqlite3", ":memory:", path])
    #expect(ours.text == stock.text)
    #expect(ours.status == 1)
  }

  @Test func zeroByte() throws {
    let script = Array("SELECT 'a".utf8) + [0] + Array("b';\nSELECT 2;\n".utf8)
    let ours = try ShellUnderTest().run(bytes: script)
    #expect(ours.errorText.hasPrefix("Parse error near line 1: "))
    #expect(ours.text == "2\n")
    #expect(ours.status == 1)
  }

  @Test func invalidText() throws {
    let script =
      Array("CREATE TABLE t(a);\nINSERT INTO t VALUES('a".utf8) + [0xff, 0xfe]
      + Array("b');\nSELECT count(*) FROM t;\n".utf8)
    let ours = try ShellUnderTest().run(bytes: script)
    #expect(ours.errorText.contains("error near line 2: "))
    #expect(ours.text == "0\n")
    #expect(ours.status == 1)
  }

  @Test func longToken() throws {
    let long = String(repeating: "x", count: 1 << 20)
    let ours = try ShellUnderTest().run("SELECT \(long);\nSELECT length('\(long)');\n")
    #expect(ours.errorText.hasPrefix("Parse error near line 1: no such column: xxx"))
    #expect(ours.errorText.hasSuffix("\n         ^--- error here\n"))
    #expect(ours.text == "\(1 << 20)\n")
    #expect(ours.status == 1)
  }

  @Test func argumentsStopAtTheFirstError() throws {
    let ours = try ShellUnderTest().run(sql: ["SELECT 1; bad; SELECT 2", "SELECT 3"])
    #expect(ours.text == "1\n")
    #expect(ours.errorText == "Error: in prepare, near \"bad\": syntax error\n  bad; SELECT 2\n  ^--- error here\n")
    #expect(ours.status == 1)
    let second = try ShellUnderTest().run(sql: [
      "CREATE TABLE t(a INTEGER PRIMARY KEY)", "INSERT INTO t VALUES(1),(1)", "SELECT 3",
    ])
    #expect(second.text == "")
    #expect(second.errorText == "Error: stepping, UNIQUE constraint failed: t.a (19)\n")
    #expect(second.status == 1)
  }

  @Test func storesThatCannotBeOpened() throws {
    let shell = ShellUnderTest()
    let ours = try runProcess(builtProduct("sluice"), [shell.folder.file("no/such/s.sluice"), "SELECT 1"])
    #expect(ours.errorText.hasPrefix("Error: unable to open store \""))
    #expect(ours.text == "")
    #expect(ours.status == 1)
  }
}
