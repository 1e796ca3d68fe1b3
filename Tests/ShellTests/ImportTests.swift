// `.import` beside stock sqlite3's: the same rows, the same words, the same tables made from a header.
import Foundation
import SluiceSystem
import SluiceTesting
import Testing

/// A text, the commands that read it from FILE, and whether sqlite3 ends with another status: it looks at the last row.
struct ImportCase: Sendable, CustomStringConvertible {
  let text: [UInt8]
  let script: String
  let fails: Bool
  /// Where the order of rows is that of a key, which a store keeps them by.
  var order: String { script.contains("a PRIMARY KEY") || script.contains("a TEXT PRIMARY KEY") ? " ORDER BY a" : "" }

  init(_ text: String, _ script: String, fails: Bool = false) {
    self.init(Array(text.utf8), script, fails: fails)
  }

  init(_ text: [UInt8], _ script: String, fails: Bool = false) {
    self.text = text
    self.script = script
    self.fails = fails
  }

  var description: String { "\(String(decoding: text.prefix(60), as: UTF8.self)) | \(script)" }

  /// Runs it in both shells, from files, with both outputs in the order in which they are written.
  func run(in shell: ShellUnderTest) throws -> (ours: ProcessResult, stock: ProcessResult) {
    let file = shell.folder.file("f.csv")
    try Data(text).write(to: URL(fileURLWithPath: file))
    let script = script.replacing("FILE", with: file) + "\n.mode quote\nSELECT * FROM t\(order);\n"
    return (try shell.run(script), try stockSQLite(script))
  }
}

@Suite struct ImportTests {
  private static let two = "CREATE TABLE t(a, b);\n"
  private static let key = "CREATE TABLE t(a INTEGER PRIMARY KEY, b NOT NULL CHECK(b <> 'v'), c DEFAULT 7);\n"
  private static let mark = "\u{FEFF}"

  static let cases = [
    // Tables made from a header.
    ImportCase("a,b,c,d,e,f\n1,2,3,4,5,6\n", ".import --csv FILE t"),
    ImportCase("a,b,A,,x_1,\"q\"\"z\",\n1,2\n1,2,3,4,5,6,7,8\n", ".import --csv -v FILE t"),
    ImportCase("a,a,a_2,a_02\n", ".import --csv -v FILE t"),
    ImportCase("a,b,c,d,e,f,g,h,i,j,A_11,a_0011,a\n", ".import --csv -v FILE t"),
    ImportCase("a,b,\n1,2,3\n", ".import --csv -v FILE t"),
    ImportCase("a,b,", ".import --csv -v FILE t"),
    ImportCase("", ".import --csv FILE t\nCREATE TABLE t(a);"),
    ImportCase("\n", ".import --csv -v FILE t"),
    ImportCase("a", ".import --csv -v FILE t"),
    ImportCase("\"multi\nline\",b\r\n1,2\r\n", ".import --csv FILE t"),
    ImportCase("one|two\n1|2\n", ".import --schema main -v -v FILE t"),
    // Fields.
    ImportCase("1,2\n3,", two + ".import --csv FILE t"),
    ImportCase(",2\n,\n\nx", two + ".import --csv FILE t"),
    ImportCase("\n\n", two + ".import --csv FILE t"),
    ImportCase("", two + ".import --csv -v FILE t"),
    ImportCase("1,2", two + ".import --csv -v FILE t"),
    ImportCase("\"a\"\"b\",2\n\"x\ny\",3\n\"q\"z,4\n\"un,5\n6,7\n", two + ".import --csv -v FILE t"),
    ImportCase("\"\",\"\"\"\"\n\"a\"\"\",\"\"\"b\"\"\"\n\"\",\"\"", two + ".import --csv -v FILE t"),
    ImportCase("a\"b\"c,2\r\n\"x\r\ny\",3\r\n\"q\",4\r\n5,\"z\"\r\n\"z\"", two + ".import --csv FILE t"),
    ImportCase("\"a\"\r,\"b\"\r\r\n1\r,2\r\r\n\r\n", two + ".import --csv FILE t"),
    ImportCase(mark + "a,b\n1,2\n" + mark + "3,4\n", ".import --csv FILE t"),
    ImportCase(mark + "\"a\",b\n1,2\n", ".import --csv FILE t"),
    ImportCase(mark + "1,2\n", two + ".import --csv FILE t"),
    ImportCase("a\0b,\0\n\"x\0y\",\"\0\"\n", two + ".import --csv FILE t"),
    // Numbers, as a bound text becomes one.
    ImportCase(
      "1,-1,1.50\n 2 ,+3,.5\n1e3,1.0,1e-2\n0x10,-0,-0.0\n9223372036854775807,9223372036854775808,1e999\n"
        + "0.1234567890123456789,12345678901234567890,3.14159265358979\nx,1x,\n1.,1e,\"7\"\n,,\n",
      "CREATE TABLE t(a INTEGER, b NUMERIC, c REAL);\n.import --csv FILE t"),
    ImportCase("007,1.50\n1e3, 5\n", "CREATE TABLE t(a TEXT, b BLOB);\n.import --csv FILE t"),
    ImportCase("5\r\n6\r\r\n-7\r\n", "CREATE TABLE t(a INTEGER);\n.import --csv FILE t"),
    ImportCase("152\n35\n", "CREATE TABLE t(a INTEGER, b REAL);\n.separator 5\n.import FILE t"),
    ImportCase("1e2e3\n4e5\n", "CREATE TABLE t(a INTEGER, b REAL);\n.separator e\n.import FILE t"),
    ImportCase("1\r2\r\r3\r\n4\r5", "CREATE TABLE t(a INTEGER, b REAL);\n.separator , \\r\n.import FILE t"),
    // Rows that fail.
    ImportCase(
      ",x,1\n5,y,2\n5,z,3\nq,w,4\n6,v,5\n7\n6,u,6\n",
      key
        + ".import --csv -v FILE t\nSELECT changes(), total_changes(), last_insert_rowid();", fails: true),
    ImportCase("5,y,1\n5,z,1\n", key + ".import --csv -v FILE t"),
    ImportCase("5,y\n5\n5,z,3,4\n6,\"u\"x\"\n7,\"w", key + ".import --csv -v FILE t", fails: true),
    ImportCase("1,", "CREATE TABLE t(a, b NOT NULL);\n.import --csv FILE t"),
    ImportCase("1,2,3\n2\n", two + ".import --csv -v --skip 0 FILE t"),
    ImportCase("2\n9\n2\n", "CREATE TABLE t(a PRIMARY KEY);\n.bail on\n.import --csv FILE t\nSELECT 1;"),
    // Options, modes and separators.
    ImportCase("1,2\n\"x\ny\",3\n3,4\n", two + ".import --csv -v --skip 2 FILE t\n.import --csv --skip 20 FILE t"),
    ImportCase("1,2\n\"x\ny\",3\n3,4\n", two + ".mode csv\n.import FILE t\nSELECT * FROM t;\n.import -v FILE t"),
    ImportCase("1|2\n\"x|y\"|3\n", two + ".import FILE t"),
    ImportCase("1\t2\n", two + ".mode tabs\n.import -v FILE t\n.separator \"|\" ,\n.import FILE t"),
    ImportCase(
      "1\u{1F}2\u{1E}\u{1F}\u{1E}3\u{1F}\"4\"\u{1E}\u{1E}5\u{1F}6",
      two + ".import --ascii -v -v FILE t\n.mode ascii\n.import -v FILE t\n.import --csv FILE t"),
    ImportCase("\n1,2\n\"\",3\n,4\n5\n", two + ".mode ascii\n.import --csv -v FILE t"),
    ImportCase(
      "a,b\n",
      ".import\n.import FILE\n.import --foo FILE t\n.import FILE t x\n.import --skip\n.import -schema\n"
        + ".import /no/such/file t\n.help import\nCREATE TABLE t(a);"),
    ImportCase(
      "a,b\n",
      ".separator ab\n.import FILE t\n.separator \"\"\n.import FILE t\n.separator , \"\"\n.import FILE t\n"
        + ".separator , xy\n.import FILE t\nCREATE TABLE t(a);"),
    ImportCase("1,2\n", "CREATE TABLE u(a);\nCREATE VIEW t AS SELECT a FROM u;\n.import --csv FILE t"),
    ImportCase("1,2\n", ".import --csv FILE sqlite_x\nCREATE TABLE t(a);"),
    ImportCase("1,2\n", "CREATE TABLE T(a, b);\n.import --csv FILE t"),
    // Commands.
    ImportCase("", two + ".import --csv -v \"|echo 4,5; echo 6\" t\n.import \"|exit 3\" t\n.import --csv \"|\" t"),
    ImportCase("", ".import --csv -v \"|yes 1,2 | head -n 100000\" t\nSELECT count(*) FROM t;\nDELETE FROM t;"),
    // Transactions.
    ImportCase(
      "1,2\n1,3\n9,1\n3,4\n",
      "CREATE TABLE t(a PRIMARY KEY, b);\nBEGIN;\nINSERT INTO t VALUES(9,9);\n.import --csv FILE t\n"
        + "SELECT * FROM t ORDER BY a;\nROLLBACK;\nSELECT * FROM t;\n.import --csv -v FILE t\nCOMMIT;",
      fails: true),
    ImportCase(
      "1,2\n1,3\n",
      "BEGIN;\n.import --csv FILE t\nSELECT * FROM t;\n.import --csv FILE t\nSAVEPOINT s;\n"
        + ".import --csv FILE t\nROLLBACK TO s;\nCOMMIT;"),
  ]

  @Test(arguments: cases) func likeStock(_ example: ImportCase) throws {
    let (ours, stock) = try example.run(in: ShellUnderTest())
    #expect(ours.text == stock.text)
    #expect(ours.errorText == stock.errorText)
    #expect(ours.status == (example.fails ? 1 : stock.status))
  }

  /// Texts of awkward bytes into tables of all affinities.
  @Test func randomTexts() throws {
    var random = SeededRandom(seed: testSeed())
    let pieces = [
      "a", "1", "2.5", "-", "e3", " ", ",", ",", ",", "\"", "\"\"", "\",\"", "\n", "\n", "\r\n", "\r", "é", "|", "\0",
      "\u{FEFF}",
      "long text that goes on", "9", "",
    ]
    let tables = [
      "a, b", "a INTEGER, b REAL, c TEXT", "a NUMERIC", "a TEXT PRIMARY KEY, b NUMERIC",
      "a REAL NOT NULL, b BLOB CHECK(b <> 'a')",
      "a INTEGER PRIMARY KEY, b",
    ]
    for round in 0..<60 {
      let text = (0..<random.below(60)).map { _ in pieces[random.below(pieces.count)] }.joined()
      let table = tables[random.below(tables.count)]
      let format = ["--csv", "", "--ascii"][random.chance(1, of: 4) ? random.below(3) : 0]
      // sqlite3 takes an empty field at the very beginning for the end of a record that it skips.
      let isEmptyFirst = [",", "\n", "|", "\0"].contains { text.hasPrefix($0) }
      let skip = random.chance(1, of: 4) && !isEmptyFirst ? "--skip \(random.below(4))" : ""
      let example = ImportCase(text, "CREATE TABLE t(\(table));\n.import -v \(format) \(skip) FILE t")
      let (ours, stock) = try example.run(in: ShellUnderTest())
      let again = repeatCommand(random.seed, "randomTexts") + " round \(round): \(example)"
      #expect(ours.text == stock.text, "\(again)")
      #expect(ours.errorText == stock.errorText, "\(again)")
      #expect(ours.status == (stock.errorText.contains("INSERT failed") ? 1 : stock.status), "\(again)")
    }
  }

  /// Fields and records of all sizes around the blocks in which a text is read, and far beyond.
  @Test func sizes() throws {
    let long = String(repeating: "x", count: 3 << 20)
    var text = ""
    for size in [63, 64, (1 << 20) - 70, 1 << 20, 5] {
      text += String(repeating: "y", count: size) + ",\"é\n\"\"\",\(size)\r\n"
    }
    text += "\"\(long)\",\(long),8\n"
    try ShellUnderTest().expectRows(
      text, "SELECT length(a), length(b), c, hex(substr(a, -2)), hex(substr(b, 1, 4)) FROM t",
      "a TEXT, b TEXT, c INTEGER")
  }

  /// More rows than a staged batch holds, some of which fail at once and some when they are applied: all that is told
  /// is in the order of the text, and all that is not is there.
  @Test func manyRows() throws {
    var text = ""
    for row in 0..<60_000 {
      switch row % 1000 {
      case 7: text += "\(row - 1),again,\(row)\n"
      case 8: text += "x\(row),no number,\(row)\n"
      case 9: text += "\(row)\n"
      case 10: text += "\"\(row)\"\"\",x,y,z\n"
      default: text += "\(row),text \(row),\(Double(row) / 8)\n"
      }
    }
    try ShellUnderTest().expectRows(
      text, "SELECT count(*), sum(a), sum(c), sum(length(b)) FROM t", "a INTEGER PRIMARY KEY, b TEXT, c REAL")
  }

  /// What a text column cannot hold is no row, and the rows around it are.
  @Test func bytesThatAreNoText() throws {
    let text = Array("1,".utf8) + [0xff, 0xfe] + Array("\n2,b\n".utf8)
    let (ours, _) = try ImportCase(text, Self.two + ".import --csv -v FILE t").run(in: ShellUnderTest())
    #expect(ours.text == "Added 1 rows with 1 errors using 2 lines of input\n'2','b'\n")
    #expect(ours.errorText.hasSuffix("f.csv:1: INSERT failed: a text value is not UTF-8\n"))
    #expect(ours.status == 1)
    let named = try ImportCase([0xef, 0xbb], ".import --csv FILE t\nCREATE TABLE t(a);").run(in: ShellUnderTest())
    #expect(named.ours.errorText.hasSuffix("f.csv: the name of a column is not UTF-8\n"))
  }

  @Test func refusals() throws {
    let shell = ShellUnderTest()
    let ours = try shell.run(
      """
      .import --csv --schema other "\(shell.folder.path)" t
      .import --csv "\(shell.folder.path)" t
      CREATE TABLE t(a);
      .import --csv "\(shell.folder.path)" t
      SELECT count(*) FROM t;
      """)
    let unreadable = "Error: cannot read \"\(shell.folder.path)\": Is a directory\n"
    #expect(
      ours.errorText
        == "Error: a store has one schema, main: there is no \"other\" to import into\n" + unreadable + unreadable)
    #expect(ours.text == "0\n")
    #expect(ours.status == 1)
  }

  /// A process that leaves at once has all rows durable, and waits for what became of them where something follows.
  @Test func leavingAtOnce() throws {
    let shell = ShellUnderTest()
    let file = shell.folder.file("f.csv")
    try Data("1,2\n1,3\nx,4\n5,6\n".utf8).write(to: URL(fileURLWithPath: file))
    let told = "\(file):2: INSERT failed: UNIQUE constraint failed: t.a\n\(file):3: INSERT failed: datatype mismatch\n"
    let script = "CREATE TABLE t(a INTEGER PRIMARY KEY, b);\n.import --csv \"\(file)\" t\n"
    let followed = try shell.run(script + "INSERT INTO t VALUES(5,5);\n", ["--no-drain"])
    #expect(followed.errorText.hasPrefix(told))
    #expect(followed.status == 1)
    let last = try shell.run(".import --csv \"|echo 7,8\" t\n", ["--no-drain"])
    #expect(last.status == 0)
    #expect(try shell.run("SELECT * FROM t;").text == "1|2\n5|6\n7|8\n")
  }

  /// With -bail the good rows stay, as in sqlite3, and nothing after the import is run.
  @Test func bail() throws {
    let shell = ShellUnderTest()
    let script =
      "CREATE TABLE t(a PRIMARY KEY);\n.import --csv \"|echo 1; echo 1; echo 2\" t\nINSERT INTO t VALUES(3);\n"
    let ours = try shell.run(script, ["-bail"])
    #expect(ours.errorText == "<pipe>:2: INSERT failed: UNIQUE constraint failed: t.a\n")
    #expect(ours.status == 1)
    #expect(try shell.run("SELECT * FROM t;\n.import --csv \"|echo 4\" t\nSELECT count(*) FROM t;").text == "1\n2\n3\n")
  }

  /// Ctrl-C leaves nothing of an import, nor of its transaction anything else than what was there.
  @Test(arguments: [false, true]) func interrupted(inTransaction: Bool) throws {
    let shell = ShellUnderTest()
    let terminal = try Terminal(
      builtProduct("sluice"), [shell.store], environment: ["XDG_STATE_HOME": shell.folder.file("state")], columns: 250)
    try terminal.expect("sluice> ")
    terminal.send("CREATE TABLE t(a INTEGER PRIMARY KEY, b);\r")
    try terminal.expect("sluice> ")
    if inTransaction {
      terminal.send("BEGIN; INSERT INTO t VALUES(-1, 'before');\r")
      try terminal.expect("sluice*> ")
    }
    terminal.send(".import --csv \"|seq 300000 | sed 's/$/,x/'; echo read >&2; sleep 3\" t\r")
    try terminal.expect("read\n")
    terminal.send(Terminal.controlC)
    #expect(try terminal.expect("> ", timeoutSeconds: 30).contains("Error: interrupted\n"))
    terminal.send("INSERT INTO t(b) VALUES('after');\r")
    try terminal.expect("> ")
    if inTransaction {
      terminal.send("COMMIT;\r")
      try terminal.expect("> ")
    }
    terminal.send("SELECT * FROM t;\r")
    let rows = try terminal.expect("sluice> ")
    #expect(rows == "SELECT * FROM t;\n" + (inTransaction ? "-1|before\n0|after\n" : "1|after\n"))
    terminal.send(Terminal.controlD)
    #expect(try terminal.finish() == 1)
  }
}

extension ShellUnderTest {
  /// Imports `text` into a table of these columns in both shells and expects what is told, and what `query` says, to be
  /// the same.
  fileprivate func expectRows(
    _ text: String, _ query: String, _ columns: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let file = folder.file("f.csv")
    try Data(text.utf8).write(to: URL(fileURLWithPath: file))
    let script = "CREATE TABLE t(\(columns));\n.import --csv -v \"\(file)\" t\n\(query);\n"
    let ours = try run(script)
    let stock = try stockSQLite(script)
    #expect(ours.text == stock.text, sourceLocation: sourceLocation)
    #expect(ours.errorText == stock.errorText, sourceLocation: sourceLocation)
  }
}
