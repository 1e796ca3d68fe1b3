// Projections and scripts: one that fails, or takes too long, is the matter of who asks for it and of nobody else.
import SluiceSystem
import SluiceTesting
import Testing

@Suite struct ProjectionScriptTests {
  private static let endless =
    "CREATE PROJECTION slow AS SELECT t.id, count(*) AS n FROM t, "
    + "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c) GROUP BY t.id "
    + "REFRESH EVERY '1s'"

  /// Temporary files cannot be made, here because their folder was removed: the query that needs one fails, and all
  /// else goes on in the same projections.db. With a folder that is there it comes.
  @Test func temporaryFilesAreTheMatterOfTheQuery() throws {
    let shell = ShellUnderTest()
    let script = """
      CREATE TABLE t(id INTEGER PRIMARY KEY);
      INSERT INTO t VALUES(1);
      CREATE PROJECTION n AS SELECT count(*) AS n FROM t;
      CREATE PROJECTION p AS SELECT t.id, x, 'some words' AS w FROM t, (WITH RECURSIVE c(x) AS
        (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200000) SELECT x FROM c) REFRESH EVERY '1h';
      SELECT count(*) FROM p;
      INSERT INTO t VALUES(2);
      SELECT count(*) FROM projections.t;
      SELECT n FROM n;
      SELECT state FROM sluice_projections WHERE name IN ('n', 'p', 't') ORDER BY name;

      """
    let result = try runProcess(
      "/bin/bash",
      [
        "-c",
        """
        mkdir '\(shell.folder.file("gone"))'; cd '\(shell.folder.file("gone"))'; rmdir "$PWD"
        SQLITE_TMPDIR=/proc/self/cwd exec '\(builtProduct("sluice"))' -batch '\(shell.store)'
        """,
      ], input: Array(script.utf8), timeoutSeconds: 60)
    #expect(result.text == "2\n2\ncurrent\nfailed\ncurrent\n")
    #expect(result.status == 1)
    let errors = result.errorText.split(separator: "\n")
    #expect(
      errors.count == 1 && errors[0].contains("projection p has failed")
        && errors[0].contains("the folder for temporary files cannot be written or read: /proc/self/cwd"),
      "\(result.errorText)")
    let after = try shell.run("SELECT count(*) FROM p;\n")
    #expect(after.text == "400000\n" && after.errorText == "")
  }

  /// A SELECT from a projection that has failed: the statements behind it are run.
  @Test func aFailedProjectionDoesNotEndAScript() throws {
    let shell = ShellUnderTest()
    let result = try shell.run(
      """
      CREATE TABLE t(id INTEGER PRIMARY KEY, v);
      INSERT INTO t VALUES(1, 'no json');
      CREATE PROJECTION p AS SELECT count(json(v)) AS n FROM t REFRESH EVERY '100ms';
      WAIT FOR p;
      INSERT INTO t VALUES(2, '{}');
      SELECT * FROM p;
      INSERT INTO t VALUES(3, '{}');
      INSERT INTO t VALUES(4, '{}');
      SELECT 'rows', count(*) FROM t;
      UPDATE t SET v = '[]' WHERE id = 1;
      SELECT n FROM p;

      """)
    #expect(result.text == "rows|4\n4\n")
    #expect(result.status == 1)
    let errors = result.errorText.split(separator: "\n")
    #expect(
      errors.count == 2 && errors.allSatisfy { $0.contains("projection p has failed") && $0.contains("malformed JSON") }
    )
    // It is no reason not to leave.
    let after = try shell.run("INSERT INTO t VALUES(5, 'no json');\n")
    #expect(after.status == 0 && after.errorText == "")
  }

  /// A query that does not end: inserts, other mirrors and DROP do not wait for it; leaving waits a moment and says so.
  @Test func aSlowQueryHoldsUpNobody() throws {
    let shell = ShellUnderTest()
    let made = try shell.run(sql: ["CREATE TABLE t(id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES(1)", Self.endless])
    #expect(made.status == 1 && made.errorText.contains("projection slow is behind"))
    let mirrors = try shell.run(
      sql: ["CREATE TABLE u(id)", "INSERT INTO u VALUES(1)", "SELECT count(*) FROM projections.u"], ["--no-drain"])
    #expect(mirrors.text == "1\n" && mirrors.status == 0 && mirrors.errorText == "")
    let dropped = try shell.run(sql: ["DROP PROJECTION slow"])
    #expect(dropped.status == 0 && dropped.errorText == "")
  }

  /// Leaving waits for a projection that is filled; Ctrl-C makes an end of that.
  @Test func controlCWhileTheStoreIsLeft() throws {
    let shell = ShellUnderTest()
    let fill =
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000) INSERT INTO t SELECT x FROM c"
    let slow = "CREATE PROJECTION slow AS SELECT id, length(hex(zeroblob(20000000 + id))) AS n FROM t"
    let terminal = try Terminal(
      builtProduct("sluice"),
      [shell.store, "CREATE TABLE t(id INTEGER PRIMARY KEY)", fill, slow, "SELECT 'all is ' || 'done'"], columns: 250)
    try terminal.expect("all is done\n")
    Thread.sleep(nanoseconds: 300_000_000)
    terminal.send(Terminal.controlC)
    try terminal.expect("Error: interrupted: what is written is safe", timeoutSeconds: 20)
    #expect(try terminal.finish() == 1)
    let after = try shell.run(sql: ["DROP PROJECTION slow", "SELECT count(*) FROM t"])
    #expect(after.text == "20000\n" && after.status == 0)
  }
}
