// Leaving while a projection is filled that takes minutes: what is waited for is told, and nobody has to wait.
import SluiceTesting
import Testing

@Suite struct LeavingTests {
  private static let setup = """
    CREATE TABLE many(id INTEGER PRIMARY KEY);
    WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000) INSERT INTO many SELECT x FROM c;
    CREATE PROJECTION slow AS SELECT id, length(hex(zeroblob(20000000 + id))) AS n FROM many;

    """

  private static let interrupted =
    "interrupted: what is written is safe; projection slow has 0.0 of 20.0 k rows, "
    + "and what is missing follows at the next opening"

  private func expectItGoesOn(_ shell: ShellUnderTest) throws {
    let next = try shell.run(
      "SELECT count(*) FROM many; SELECT state FROM sluice_projections WHERE name = 'slow'; DROP PROJECTION slow;")
    #expect(next.text == "20000\nbuilding\n")
    #expect(next.status == 0, "\(next.errorText)")
  }

  /// At a terminal one line tells how it goes on, and Ctrl-C ends it.
  @Test func atATerminal() throws {
    let shell = ShellUnderTest()
    let terminal = try Terminal(
      builtProduct("sluice"), [shell.store], environment: ["XDG_STATE_HOME": shell.folder.file("state")], columns: 250)
    try terminal.expect("sluice> ")
    for line in Self.setup.split(separator: "\n") {
      terminal.send(line + "\r")
      try terminal.expect("sluice> ")
    }
    terminal.send(".quit\r")
    let line = "leaving: projection slow has 0.0 of 20.0 k rows (Ctrl-C leaves the rest to the next opening)"
    try terminal.expect(line)
    try terminal.expect(line)
    terminal.send(Terminal.controlC)
    try terminal.expect("Error: \(Self.interrupted)")
    #expect(try terminal.finish(timeoutSeconds: 10) == 1)
    try expectItGoesOn(shell)
  }

  /// A script tells it once, and ends with the signals that end others.
  @Test(arguments: ["INT", "TERM"]) func inAScript(signal: String) throws {
    let shell = ShellUnderTest()
    let errors = shell.folder.file("errors")
    let result = try runProcess(
      "/bin/bash",
      [
        "-c",
        """
        set -m
        '\(builtProduct("sluice"))' -batch '\(shell.store)' 2> '\(errors)' & child=$!
        for i in $(seq 300); do grep -q leaving: '\(errors)' && break; sleep 0.1; done
        sleep 0.5; kill -\(signal) $child; wait $child; echo "status $?"; cat '\(errors)'
        """,
      ], input: Array(Self.setup.utf8), timeoutSeconds: 60)
    #expect(
      result.text == "status 1\nleaving: projection slow has 0.0 of 20.0 k rows\nError: \(Self.interrupted)\n",
      "\(result.errorText)")
    try expectItGoesOn(shell)
  }
}
