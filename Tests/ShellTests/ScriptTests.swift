// Scripts: dot commands, files read inside one another, large statements, readers that leave.
import Foundation
import SluiceTesting
import Testing

@Suite struct ScriptTests {
  @Test(arguments: [
    ".foo\n.mode foo\n.mode\n.mode column\n.mode\n.headers\n.separator\n.nullvalue\n.read\n.bail\n.bail x\n.timer\n",
    ".echo\n.print a \"b  c\" d\\n\n.print 'it is'  \"a\\tb\\101\"\n.schema a b c d\n.read /nonexistent/file\n",
    ".mode list\n.headers on\nSELECT 1 AS a;\n.mode csv\nSELECT 1 AS a, 2;\n.mode list\nSELECT 1,2;\n.head off\n"
      + ".mode line\nSELECT 1,2;\n.nullv X\n.mo tabs\nSELECT NULL, 2;\n",
    "SELECT 1;\n.quit 4\nSELECT 2;\n", "SELECT 1;\n.exit 3\nSELECT 2;\n", "bad;\n.exit\n", ".exit 0\n", ".q\n",
    "#comment\nSELECT 1;\n  #no comment;\n .print no\n", ".print no newline at the end",
    "SELECT 1;;;\n;SELECT 2 ; ; -- c\n/* unfinished", "\u{FEFF}SELECT 1;\n", "", "\n", ";", "-- only", "/* only */",
  ])
  func dotCommandsLikeStock(script: String) throws {
    var stock = try stockSQLite(script).errorText
    stock = stock.replacing(
      /mode should be one of: .*/,
      with: "mode should be one of: "
        + "ascii box column csv html json line list markdown quote table tabs")
    let ours = try ShellUnderTest().run(script)
    #expect(ours.errorText == stock)
    #expect(try ours.text == stockSQLite(script).text)
    #expect(try ours.status == stockSQLite(script).status)
  }

  @Test func tablesAndSchema() throws {
    let create = """
      CREATE TABLE t(a INTEGER);CREATE TABLE u(x TEXT); CREATE TABLE "long name"(x);CREATE TABLE T2(a);

      """
    try ShellUnderTest().expectLikeStock(create + ".tables\n.tables t%\n.tables ?\n.tables _\n.tables LONG%\n")
    let schema = try ShellUnderTest().run(create + ".schema u\n.schema nosuch\n")
    #expect(schema.text.hasPrefix("CREATE TABLE u"))
    #expect(schema.text.hasSuffix(";\n"))
    #expect(schema.text.split(separator: "CREATE").count == 1)
  }

  @Test func files() throws {
    let shell = ShellUnderTest()
    let inner = shell.folder.file("inner.sql")
    try "SELECT 7;\n\nSELECT bad;\n.quit\nSELECT 8;\n".write(toFile: inner, atomically: true, encoding: .utf8)
    try shell.expectLikeStock("SELECT 1;\n.read \(inner)\nSELECT 2;\nbad;\n")
    try shell.expectLikeStock("SELECT 1;\n.read \(inner)\nSELECT 2;\nbad;\n", ["-bail"])
    let loop = shell.folder.file("loop.sql")
    try ".read \(loop)\n".write(toFile: loop, atomically: true, encoding: .utf8)
    try shell.expectLikeStock(".read \(loop)\nSELECT 1;\n")
  }

  @Test func redirection() throws {
    let shell = ShellUnderTest()
    let (first, second) = (shell.folder.file("first"), shell.folder.file("second"))
    let script = """
      .once \(first)
      SELECT 1;
      SELECT 2;
      .output \(second)
      SELECT 3;
      .print 4
      .output
      SELECT 5;
      .output /nonexistent/x

      """
    try shell.expectLikeStock(script)
    _ = try shell.run(script)
    #expect(try String(contentsOfFile: first, encoding: .utf8) == "1\n")
    #expect(try String(contentsOfFile: second, encoding: .utf8) == "3\n4\n")
  }

  @Test func echoAndTimer() throws {
    try ShellUnderTest().expectLikeStock("SELECT 1;\nSELECT\n 2;\n", ["-echo"])
    let ours = try ShellUnderTest().run(".timer on\nSELECT 1;\nCREATE TABLE t(a);\n")
    #expect(try /1\n(Run Time: real \d\.\d{3} user \d\.\d{6} sys \d\.\d{6}\n){2}/.wholeMatch(in: ours.text) != nil)
  }

  /// One statement over many blocks, and lines of every length over the blocks' borders.
  @Test func largeStatements() throws {
    let shell = ShellUnderTest()
    let text = String(repeating: "it''s 17 bytes\r\n", count: 300_000)
    var script = "CREATE TABLE t(a);\nINSERT INTO t VALUES('\(text)');\nSELECT length(a) FROM t;\nbad;\n"
    for index in 0..<4000 { script += "SELECT \(index), '\(String(repeating: "y", count: index % 1500))';\n" }
    script += "bad;"
    try shell.expectLikeStock(script)
  }

  @Test func crlfAtEveryBorder() throws {
    // The same script, shifted by a comment so that block borders fall on each byte of its line ends.
    let body = "SELECT 'a\r\nb\r', '\r\r\n';\r\n-- c\r\nSELECT nosuch,\r\n 1;\r\n"
    let expected = try stockSQLite(body)
    for shift in 0..<body.utf8.count {
      let filler = "--" + String(repeating: "x", count: (1 << 20) - 3 - shift) + "\n"
      let ours = try ShellUnderTest().run(filler + body)
      #expect(ours.text == expected.text)
      let moved = expected.errorText.replacing("near line 5", with: "near line 6")
      #expect(ours.errorText == moved)
    }
  }

  @Test func readerThatLeaves() throws {
    let shell = ShellUnderTest()
    let script = shell.folder.file("many.sql")
    try String(repeating: "SELECT 'line of output';\n", count: 200_000).write(
      toFile: script, atomically: true, encoding: .utf8)
    let ours = try runProcess(
      "bash",
      ["-c", "\"$0\" \"$1\" < \"$2\" | head -1; echo ${PIPESTATUS[0]}", builtProduct("sluice"), shell.store, script])
    #expect(ours.text == "line of output\n141\n")
    #expect(ours.errorText == "")
  }

  @Test func fullDisk() throws {
    let shell = ShellUnderTest()
    let ours = try runProcess(
      "sh", ["-c", "\"$0\" \"$1\" 'SELECT 1' > /dev/full", builtProduct("sluice"), shell.store])
    #expect(ours.errorText == "Error: cannot write the output: No space left on device\n")
    #expect(ours.status == 1)
  }

  /// What was rejected is told while the other end of the pipe only pauses.
  @Test func pauseInTheInput() throws {
    let shell = ShellUnderTest()
    let terminal = try Terminal(builtProduct("sluice"), ["-batch", shell.store])
    terminal.send("CREATE TABLE t(a INTEGER PRIMARY KEY);\nINSERT INTO t VALUES(1);\nINSERT INTO t VALUES(1);\n")
    try terminal.expect("Runtime error near line 3: UNIQUE constraint failed: t.a (19)")
    terminal.send(Terminal.controlD)
    #expect(try terminal.finish() == 1)
  }
}
