// Options, arguments and exit statuses.
import Foundation
import SluiceTesting
import Testing

@Suite struct CommandLineTests {
  private func sluice(_ arguments: [String]) throws -> ProcessResult {
    try runProcess(builtProduct("sluice"), arguments)
  }

  /// Runs the shell with a name and a statement, in a folder.
  private func sluice(in folder: TemporaryFolder, _ name: String, _ sql: String) throws -> ProcessResult {
    try runProcess(
      "/bin/sh", ["-c", "cd \"$1\" && shift && exec \"$@\"", "sh", folder.path, builtProduct("sluice"), name, sql])
  }

  @Test func withoutStore() throws {
    let ours = try sluice([])
    #expect(ours.status == 64)
    #expect(ours.errorText.contains("Missing the store"))
    #expect(ours.errorText.contains("Usage: sluice"))
  }

  @Test func unknownOption() throws {
    for option in ["-foo", "--foo", "-no-such", "-pagecaches", "-hh"] {
      let folder = TemporaryFolder()
      let store = folder.file("x.sluice")
      for arguments in [[option, store, "SELECT 1"], [store, option], ["-csv", option, store]] {
        let ours = try sluice(arguments)
        let stock = try runProcess("/usr/bin/sqlite3", arguments)
        #expect(ours.status == 1)
        #expect(ours.text == "")
        let words = { (text: String) in text.drop { $0 != ":" } }
        #expect(words(ours.errorText) == words(stock.errorText))
      }
      #expect(!FileManager.default.fileExists(atPath: store))
    }
  }

  /// A word that is meant as a command, or nearly one, makes no store; a name that is meant to be one does.
  @Test func commandsMakeNoStore() throws {
    let folder = TemporaryFolder()
    for word in ["help", "version", "check", "Help", "hlep", "inspct", "tial", "versions"] {
      let ours = try sluice(in: folder, word, "SELECT 1")
      #expect(ours.status == 1, "\(word)")
      #expect(ours.errorText.contains("sluice ./\(word)"))
      #expect(!FileManager.default.fileExists(atPath: folder.file(word)))
    }
    let named = try sluice(in: folder, "./help", "SELECT 1")
    #expect(named.status == 0 && named.text == "1\n")
    let again = try sluice(in: folder, "help", "SELECT 2")
    #expect(again.status == 0 && again.text == "2\n")
  }

  /// Names that mean no directory to SQLite are refused before anything is made.
  @Test func namesOfSQLiteMakeNoStore() throws {
    let folder = TemporaryFolder()
    for name in [":memory:", "file:x", "file:x?mode=ro", "FILE:x"] {
      let ours = try sluice(in: folder, name, "SELECT 1")
      #expect(ours.status == 1 && ours.errorText.contains("a store is"), "\(ours.errorText)")
      #expect(!FileManager.default.fileExists(atPath: folder.file(name)))
    }
    #expect(try sluice(in: folder, "./file:x", "SELECT 1").status == 0)
  }

  @Test func htmlIsPrintedAsStockPrintsIt() throws {
    let script = """
      CREATE TABLE t(a, "b<c" TEXT);
      INSERT INTO t VALUES(1,'<b>&"''x'),(NULL,''),(2.5,'ü');
      SELECT * FROM t;
      SELECT * FROM t WHERE 0;
      .headers on
      SELECT * FROM t;
      .mode list
      SELECT 1;
      .mode html
      .nullvalue <n>
      SELECT NULL;

      """
    try ShellUnderTest().expectLikeStock(script, ["-html"])
    try ShellUnderTest().expectLikeStock(script, ["-html", "-header"])
  }

  @Test func help() throws {
    for option in ["-help", "--help", "-h"] {
      let ours = try sluice([option])
      #expect(ours.status == 0)
      #expect(ours.text.contains("--shards"))
    }
  }

  @Test func version() throws {
    for option in ["-version", "--version"] {
      let ours = try sluice([option])
      #expect(ours.status == 0)
      #expect(ours.text.hasPrefix("Sluice "))
    }
  }

  @Test func badValues() throws {
    let folder = TemporaryFolder()
    for options in [["--shards", "0"], ["--shards", "257"], ["--shards", "x"], ["--ack", "soon"]] {
      let ours = try sluice(options + [folder.file("s.sluice"), "SELECT 1"])
      #expect(ours.status == 64)
      #expect(ours.text == "")
    }
  }

  @Test func argumentsInOrder() throws {
    let ours = try ShellUnderTest().run(
      sql: [".mode csv", "SELECT 1, 'a b'; SELECT 2", ".print x", "/* only a comment */", "SELECT 3;"],
      ["-header", "-cmd", ".nullvalue N", "-cmd", "SELECT 0 AS z, NULL AS n"])
    #expect(
      ours.text == "z|n\n0|N\n1,'a b'\r\n1,\"a b\"\r\n2\r\n2\r\nx\n3\r\n3\r\n".replacing("1,'a b'", with: "1,\"'a b'\"")
    )
    #expect(ours.status == 0)
  }

  @Test func exitInArguments() throws {
    let shell = ShellUnderTest()
    #expect(try shell.run(sql: [".exit 7", "SELECT 1"]).status == 7)
    let failed = try shell.run(sql: [".foo", "SELECT 1"])
    #expect(failed.status == 1)
    #expect(failed.text == "")
  }

  @Test func noHeader() throws {
    let ours = try ShellUnderTest().run(sql: ["SELECT 1 AS a"], ["-header", "-noheader"])
    #expect(ours.text == "1\n")
  }
}
