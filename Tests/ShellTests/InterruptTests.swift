// Ctrl-C while a statement runs: at the prompt it ends the statement, in a script the script.
import SluiceSystem
import SluiceTesting
import Testing

@Suite struct InterruptTests {
  /// Counts for minutes, without a row for the shell to look up at.
  private static let endless = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n
    """

  private static let setup = """
    CREATE TABLE t(k INTEGER PRIMARY KEY, v);
    INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i, i FROM n;

    """

  /// Each runs over live tables for hours.
  private static let long = [
    endless,
    "SELECT count(*) FROM t a, t b, t c, t d WHERE a.v + b.v + c.v + d.v = -1",
    "SELECT a.k FROM t a, t b, t c, t d WHERE a.v + b.v + c.v + d.v = -1",
    "UPDATE t SET v = v + (SELECT count(*) FROM t a, t b, t c WHERE a.v + b.v + c.v = -1)",
    "DELETE FROM t WHERE v < (SELECT count(*) FROM t a, t b, t c, t d WHERE a.v + b.v + c.v + d.v = -1)",
    "INSERT INTO t SELECT a.k + 100000, 1 FROM t a, t b, t c, t d WHERE a.v + b.v + c.v + d.v = -1",
    "INSERT INTO t VALUES(100000, (\(endless)))",
    "INSERT INTO t VALUES(1, (\(endless))) ON CONFLICT(k) DO UPDATE SET v = 1",
  ]

  @Test func controlCEndsTheStatement() throws {
    let shell = ShellUnderTest()
    #expect(try shell.run(Self.setup).status == 0)
    let terminal = try Terminal(
      builtProduct("sluice"), [shell.store], environment: ["XDG_STATE_HOME": shell.folder.file("state")], columns: 250)
    try terminal.expect("sluice> ")
    for statement in Self.long {
      terminal.send(statement + ";\r")
      try terminal.expect("\n")
      // Until it runs: nothing tells.
      try Self.sleep(milliseconds: 150)
      let start = SystemClock().monotonicNanoseconds()
      terminal.send(Terminal.controlC)
      let answer = try terminal.expect("sluice> ", timeoutSeconds: 10)
      #expect(answer.hasSuffix("Runtime error: interrupted (9)\n"), "\(statement): \(answer)")
      #expect(SystemClock().monotonicNanoseconds() - start < 5_000_000_000)
      terminal.send("SELECT count(*), sum(v) FROM t;\r")
      #expect(try terminal.expect("sluice> ").hasSuffix("\n3000|4501500\n"), "\(statement)")
    }
    // The line after it is as ever.
    terminal.send("SELECT 'half")
    terminal.send(Terminal.controlC)
    try terminal.expect("^C\nsluice> ")
    terminal.send(Terminal.controlD)
    #expect(try terminal.finish() == 1)
  }

  /// As in SQLite, the interrupt of a statement that writes undoes its transaction.
  @Test func controlCInATransaction() throws {
    let shell = ShellUnderTest()
    #expect(try shell.run(Self.setup).status == 0)
    let terminal = try Terminal(
      builtProduct("sluice"), [shell.store], environment: ["XDG_STATE_HOME": shell.folder.file("state")], columns: 250)
    try terminal.expect("sluice> ")
    terminal.send("BEGIN;\r")
    try terminal.expect("sluice*> ")
    terminal.send("DELETE FROM t WHERE k > 2000;\r")
    try terminal.expect("sluice*> ")
    terminal.send(Self.long[3] + ";\r")
    try terminal.expect("\n")
    try Self.sleep(milliseconds: 150)
    terminal.send(Terminal.controlC)
    #expect(
      try terminal.expect("sluice*> ", timeoutSeconds: 10).hasSuffix(
        "Runtime error: interrupted; the transaction is rolled back (9)\n"))
    terminal.send("COMMIT;\r")
    #expect(try terminal.expect("sluice> ").contains("Runtime error: cannot commit - no transaction is active"))
    terminal.send("SELECT count(*), sum(v) FROM t;\r")
    #expect(try terminal.expect("sluice> ").hasSuffix("\n3000|4501500\n"))
  }

  /// As sqlite3: the statement is told as interrupted, and nothing behind it runs.
  @Test func signalEndsAScript() throws {
    let shell = ShellUnderTest()
    let marker = shell.folder.file("marker")
    let script =
      Self.setup + ".output \(marker)\n.print begins\n.output\n" + Self.endless
      + ";\nSELECT 'never';\nINSERT INTO t VALUES(-1, 1);\n"
    // The signal is sent once the script says that it has come so far.
    let helper = """
      import os, subprocess, sys, signal, time
      child = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
      child.stdin.write(sys.stdin.buffer.read()); child.stdin.close()
      while not (os.path.exists(sys.argv[1]) and os.path.getsize(sys.argv[1])): time.sleep(0.01)
      time.sleep(0.15)
      child.send_signal(signal.SIGINT)
      print(child.stdout.read(), child.stderr.read(), child.wait(timeout=10))
      """
    let ours = try runProcess(
      "/usr/bin/python3", ["-c", helper, marker, builtProduct("sluice"), "-batch", shell.store],
      input: Array(script.utf8))
    #expect(ours.text == "b'' b'Runtime error near line 6: interrupted (9)\\n' 1\n", "\(ours.errorText)")
    #expect(try shell.run("SELECT count(*) FROM t;").text == "3000\n")
  }

  private static func sleep(milliseconds: Int) throws {
    _ = try runProcess("sleep", ["\(Double(milliseconds) / 1000)"])
  }
}
