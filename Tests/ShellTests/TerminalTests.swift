// The shell as a person meets it: prompts, editing, Ctrl-C, C-d, history, completion.
import Foundation
import SluiceTesting
import Testing

@Suite struct TerminalTests {
  /// A shell under a pseudo-terminal with a history of its own.
  private struct Session {
    let shell = ShellUnderTest()
    let terminal: Terminal

    init(environment: [String: String] = [:], in shell: ShellUnderTest? = nil) throws {
      let home = (shell ?? self.shell).folder.file("state")
      let all = ["XDG_STATE_HOME": home].merging(environment) { $1 }
      terminal = try Terminal(
        builtProduct("sluice"), [(shell ?? self.shell).store], environment: all, columns: 200)
      try terminal.expect("Enter \".help\" for usage hints.\n")
      try terminal.expect("sluice> ")
    }

    /// Types a line and returns what came before the next `prompt`, without the line's echo.
    func ask(_ line: String, prompt: String = "sluice> ") throws -> String {
      terminal.send(line + "\r")
      try terminal.expect("\n")
      return try terminal.expect(prompt)
    }

    func leave() throws -> Int32 {
      terminal.send(Terminal.controlD)
      return try terminal.finish()
    }

    func history(_ folder: TemporaryFolder? = nil) throws -> String {
      try String(contentsOfFile: (folder ?? shell.folder).file("state/sluice/history"), encoding: .utf8)
    }
  }

  @Test func answersAtOnce() throws {
    let session = try Session()
    #expect(try session.ask("SELECT 1, NULL, 'x'; SELECT 2;") == "1||x\n2\n")
    #expect(try session.ask("SELECT 1,", prompt: "   ...> ") == "")
    #expect(try session.ask("2;") == "1|2\n")
    #expect(try session.ask("CREATE TABLE t(a INTEGER PRIMARY KEY);") == "")
    #expect(try session.ask("INSERT INTO t VALUES(1);") == "")
    #expect(try session.ask("INSERT INTO t VALUES(1);") == "Runtime error: UNIQUE constraint failed: t.a (19)\n")
    #expect(
      try session.ask("SELECT nosuch FROM t;")
        == "Parse error: no such column: nosuch\n  SELECT nosuch FROM t;\n         ^--- error here\n")
    #expect(try session.leave() == 1)
  }

  @Test func promptInTransaction() throws {
    let session = try Session()
    #expect(try session.ask("BEGIN;", prompt: "sluice*> ") == "")
    #expect(try session.ask("SELECT 1", prompt: "   ...*> ") == "")
    #expect(try session.ask(";", prompt: "sluice*> ") == "1\n")
    #expect(try session.ask("ROLLBACK;") == "")
    #expect(try session.leave() == 0)
  }

  @Test func commentOverLines() throws {
    let session = try Session()
    #expect(try session.ask("/* one;", prompt: "   ...> ") == "")
    #expect(try session.ask("two */ SELECT 3; -- four") == "3\n")
    #expect(try session.leave() == 0)
  }

  @Test func controlCClearsTheLineAndTheStatement() throws {
    let session = try Session()
    session.terminal.send("SELECT 'gone'")
    try session.terminal.expect("SELECT 'gone'")
    session.terminal.send(Terminal.controlC)
    try session.terminal.expect("^C\nsluice> ")
    #expect(try session.ask("SELECT", prompt: "   ...> ") == "")
    session.terminal.send("'half")
    try session.terminal.expect("'half")
    session.terminal.send(Terminal.controlC)
    try session.terminal.expect("^C\nsluice> ")
    #expect(try session.ask("SELECT 4;") == "4\n")
    #expect(try session.leave() == 0)
  }

  @Test func editing() throws {
    let session = try Session()
    session.terminal.send("LECT 12" + Terminal.controlA + "SE" + Terminal.controlE + "x" + Terminal.backspace)
    #expect(try session.ask("3;").hasSuffix("123\n"))
    session.terminal.send(Terminal.up)
    try session.terminal.expect("SELECT 123;")
    #expect(try session.ask("") == "123\n")
    #expect(try session.leave() == 0)
  }

  @Test func exitAndQuit() throws {
    let session = try Session()
    session.terminal.send(".exit 7\r")
    #expect(try session.terminal.finish() == 7)
    let other = try Session()
    other.terminal.send(".quit\r")
    #expect(try other.terminal.finish() == 0)
  }

  @Test func endOfInputRunsWhatIsThere() throws {
    let session = try Session()
    #expect(try session.ask("SELECT 5", prompt: "   ...> ") == "")
    session.terminal.send(Terminal.controlD)
    #expect(try session.terminal.finish() == 0)
    #expect(session.terminal.rest == "\n5\n")
  }

  @Test func historyKeepsStatementsWhole() throws {
    let first = try Session()
    #expect(try first.ask("SELECT 1,", prompt: "   ...> ") == "")
    #expect(try first.ask("  2;") == "1|2\n")
    #expect(try first.ask(".print hello") == "hello\n")
    #expect(try first.leave() == 0)
    let entries = try first.history().split(separator: "\n").filter { !$0.hasPrefix("#") }
    #expect(entries == ["SELECT 1,", "  2;", ".print hello"])
    #expect(try first.history().split(separator: "\n").filter { $0.hasPrefix("#") }.count == 2)

    let second = try Session(in: first.shell)
    second.terminal.send(Terminal.up + Terminal.up)
    try second.terminal.expect("SELECT 1,")
    second.terminal.send("\r")
    try second.terminal.expect("1|2\n")
    try second.terminal.expect("sluice> ")
    #expect(try second.leave() == 0)
  }

  @Test func historyIsPrivate() throws {
    let session = try Session()
    _ = try session.ask("SELECT 1;")
    #expect(try session.leave() == 0)
    let folder = session.shell.folder
    for (name, mode) in [("state", 0o700), ("state/sluice", 0o700), ("state/sluice/history", 0o600)] {
      let attributes = try FileManager.default.attributesOfItem(atPath: folder.file(name))
      #expect(attributes[.posixPermissions] as? Int == mode, "\(name)")
    }
  }

  @Test func historyWithoutAStateHome() throws {
    let shell = ShellUnderTest()
    let home = shell.folder.file("home")
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: false)
    let session = try Session(environment: ["XDG_STATE_HOME": "", "HOME": home], in: shell)
    _ = try session.ask("SELECT 1;")
    #expect(try session.leave() == 0)
    let text = try String(contentsOfFile: home + "/.local/state/sluice/history", encoding: .utf8)
    #expect(text.contains("SELECT 1;"))
  }

  @Test func completion() throws {
    let session = try Session()
    _ = try session.ask("CREATE TABLE customers(customer_number INTEGER, vat_rate REAL);")
    #expect(try session.ask("SELECT count(*) FROM custo\t;") == "0\n")
    #expect(try session.ask("sel\t 6;") == "6\n")
    #expect(try session.ask("SELECT count(*) FROM customers WHERE vat\t> 1;") == "0\n")
    #expect(try session.ask("SELECT count(customers.cust\t) FROM customers;") == "0\n")
    #expect(try session.ask("SELECT count(*)", prompt: "   ...> ") == "")
    #expect(try session.ask("FROM customers WHERE customer_n\t> 0;") == "0\n")
    #expect(try session.ask(".hea\tof\t").isEmpty)
    #expect(try session.ask(".mo\tjs\t").isEmpty)
    #expect(try session.ask("SELECT 1 AS a;") == "[{\"a\":1}]\n")
    #expect(try session.leave() == 0)
  }

  @Test func completionOfFileNames() throws {
    let session = try Session()
    let script = session.shell.folder.file("a_script_to_read.sql")
    try "SELECT 'from the file';\n".write(toFile: script, atomically: true, encoding: .utf8)
    #expect(try session.ask(".read \(session.shell.folder.path)/a_scr\t") == "from the file\n")
    #expect(try session.leave() == 0)
  }

  @Test func pastedDotCommands() throws {
    let session = try Session()
    session.terminal.send("\u{1b}[200~SELECT 1;\n.mode csv\nSELECT 1, 'a b';\n\u{1b}[201~\r")
    try session.terminal.expect("1\n1,\"a b\"\n")
    try session.terminal.expect("sluice> ")
    #expect(try session.leave() == 0)
  }
}
