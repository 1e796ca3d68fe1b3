// `sluice inspect`: what it prints, its exit statuses, that it leaves no trace, and that stores are opened as before.
import Foundation
import SluiceTesting
import Testing

@Suite struct InspectTests {
  private let shell = ShellUnderTest()

  private func inspect(_ arguments: String...) throws -> ProcessResult {
    try runProcess(builtProduct("sluice"), ["inspect"] + arguments)
  }

  /// A store with rows in tables and in the log.
  private func makeStore() throws {
    let rows = (1...50).map { "INSERT INTO t VALUES(\($0), 'row \($0)');" }.joined(separator: "\n")
    #expect(try shell.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);\n" + rows, ["--shards", "1"]).status == 0)
  }

  /// The file of the store's one table.
  private func table() throws -> String {
    let folder = shell.store + "/shards/000"
    let name = try FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasSuffix(".table") }
    return folder + "/" + (try #require(name))
  }

  @Test func aSoundStore() throws {
    try makeStore()
    let store = try inspect("store", shell.store + "/")
    #expect(store.status == 0)
    #expect(store.errorText == "")
    #expect(store.text.hasPrefix("store path=\(shell.store) version=1 "))
    #expect(store.text.contains("\nlock held=no last_holder=\"process "))
    #expect(store.text.contains("\nlog segments=1 first_position=1 last_position=51 "))
    #expect(store.text.contains("\nprojections state=current checkpoint_position=51 lag=0 "))
    #expect(store.text.hasSuffix("\nverdict state=sound damages=0 path=\(shell.store) checked=structure\n"))
    let check = try inspect("store", "--check", shell.store)
    #expect(check.status == 0)
    let verdict = "verdict state=sound damages=0 path=\(shell.store) checked=everything tables=1 "
    #expect(check.text.hasPrefix(verdict), "\(check.text)")
    let table = try inspect("table", "--entries", try table())
    #expect(table.status == 0)
    #expect(table.text.split(separator: "\n").count { $0.hasPrefix("  entry key=") } == 51)
    let log = try inspect("log", "--commands", shell.store + "/log")
    #expect(log.status == 0)
    #expect(log.text.split(separator: "\n").count { $0.hasPrefix("  command position=") } == 51)
    let manifest = try inspect("manifest", shell.store + "/shards/000")
    #expect(manifest.status == 0)
    #expect(manifest.text.contains("\nversion edits=2 flushed_position=51 "))
  }

  @Test func damage() throws {
    try makeStore()
    let path = try table()
    let handle = try #require(FileHandle(forUpdatingAtPath: path))
    try handle.seek(toOffset: 100)
    try handle.write(contentsOf: [0xff])
    try handle.close()
    for arguments in [["table", path], ["store", "--check", shell.store], ["table", path, path]] {
      let ours = try runProcess(builtProduct("sluice"), ["inspect"] + arguments)
      #expect(ours.status == 1)
      #expect(ours.errorText == "")
      #expect(ours.text.contains("damage file=\(path) offset=16 keys="), "\(ours.text)")
    }
    #expect(try inspect("store", shell.store).status == 0)
    #expect(try inspect("table", "nosuch", path).status == 2)
  }

  @Test func questionsWithoutAnAnswer() throws {
    try makeStore()
    let path = try table()
    let cases: [([String], String)] = [
      (
        [],
        "Error: Missing what to inspect: table, manifest, log, group or store.\nUsage: sluice inspect <subcommand>\n"
      ),
      (["shop"], "Error: Unexpected argument 'shop'\n"), (["table"], "Error: Missing expected argument"),
      (["store", "--chekc", "x"], "Error: Unknown option '--chekc'. Did you mean '--check'?\n"),
      (["table", shell.store + "/none"], "Error: there is no file or directory \(shell.store)/none\n"),
      (["manifest", path], "Error: \(path) is a table: sluice inspect table \(path)\n"),
      (["table", shell.store], "Error: \(shell.store) is a store: sluice inspect store \(shell.store)\n"),
      (
        ["store", shell.store + "/store"],
        "Error: \(shell.store)/store is the identity of a store: sluice inspect store \(shell.store)\n"
      ),
      (["log", "/dev/null"], "Error: /dev/null is no segment"), (["store", "/usr"], "Error: /usr is no store"),
    ]
    for (arguments, message) in cases {
      let ours = try runProcess(builtProduct("sluice"), ["inspect"] + arguments)
      #expect(ours.status == 2, "\(arguments)")
      #expect(ours.text == "", "\(arguments)")
      #expect(ours.errorText.hasPrefix(message), "\(arguments): \(ours.errorText)")
    }
  }

  @Test func help() throws {
    for arguments in [["-h"], ["-help"], ["--help"], ["help"], ["help", "table"], ["store", "--help"]] {
      let ours = try runProcess(builtProduct("sluice"), ["inspect"] + arguments)
      #expect(ours.status == 0)
      #expect(ours.text.contains("USAGE: sluice inspect"))
    }
    #expect(try runProcess(builtProduct("sluice"), ["--help"]).text.contains("sluice ./inspect"))
  }

  /// Only the first argument makes it this command.
  @Test func aStoreOfThatName() throws {
    let program = builtProduct("sluice")
    let commands = [
      "./inspect 'CREATE TABLE t(a INTEGER PRIMARY KEY)' 'INSERT INTO t VALUES(7)'", "-batch inspect 'SELECT a FROM t'",
      "-- inspect 'SELECT a + 1 FROM t'", "inspect store inspect",
    ]
    for (command, expected) in zip(commands, ["", "7\n", "8\n", "store path=inspect "]) {
      let ours = try runProcess("sh", ["-c", "cd '\(shell.folder.path)' && \"$0\" \(command)", program])
      #expect(ours.status == 0, "\(ours.errorText)")
      #expect(ours.text == expected || expected.hasPrefix("store") && ours.text.hasPrefix(expected), "\(ours.text)")
    }
  }

  /// While a process holds the store, and after it was killed: no file's size, content or name changes.
  @Test func noTraceIsLeft() throws {
    try makeStore()
    let terminal = try Terminal(
      builtProduct("sluice"), [shell.store], environment: ["XDG_STATE_HOME": shell.folder.file("state")])
    try terminal.expect("sluice> ")
    terminal.send("SET ack = projected; INSERT INTO t VALUES(1000, 'x');\r")
    try terminal.expect("\nsluice> ")
    let held = try lookAtEverything()
    #expect(held.contains("lock held=yes holder=\"process "))
    #expect(held.contains("last_position=52"))
    #expect(held.contains("projections state=unread "))
    terminal.send(Terminal.controlD)
    #expect(try terminal.finish() == 0)
    #expect(try lookAtEverything().contains("projections state=current checkpoint_position=52 lag=0 "))
  }

  private func lookAtEverything() throws -> String {
    let before = try trace()
    var text = ""
    for arguments in [["store"], ["store", "--check"]] {
      let ours = try runProcess(builtProduct("sluice"), ["inspect"] + arguments + [shell.store])
      #expect(ours.status == 0, "\(ours.text)")
      text += ours.text
    }
    #expect(try inspect("log", "--commands", shell.store + "/log").status == 0)
    #expect(try inspect("manifest", shell.store + "/shards/000").status == 0)
    #expect(try inspect("table", try table()).status == 0)
    #expect(try trace() == before)
    return text
  }

  /// Names, sizes and times of change of everything in the store.
  private func trace() throws -> String {
    let result = try runProcess("sh", ["-c", "find '\(shell.store)' -printf '%p %s %T@ %C@\\n' | sort"])
    #expect(result.text.contains("/log"))
    return result.text
  }

  /// Whoever reads the lines may leave before their end.
  @Test func aReaderThatLeaves() throws {
    try makeStore()
    let command = "\"$0\" inspect log --commands '\(shell.store)/log' | head -n 1; echo ${PIPESTATUS[0]}"
    let ours = try runProcess("bash", ["-c", command, builtProduct("sluice")])
    #expect(ours.text.hasPrefix("segment file="))
    #expect(ours.errorText == "")
  }
}
