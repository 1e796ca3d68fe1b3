// SQL on live data, in golden files: statements of one or several sessions, and what each answers. Stock sqlite3 has no
// say here: what is shown is what Sluice adds (conflicts between sessions, EXPLAIN) or the order of things inside a
// transaction. What SQLite answers too is held against it elsewhere.
import SluiceSQL
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct LiveTests {
  /// `run session=name`: each line of the input is a statement; `session=` may be left out.
  @Test(arguments: goldenFiles("Golden/Live"))
  func golden(_ file: GoldenFile) throws {
    let bench = Bench()
    let store = try bench.open()
    var sessions: [String: Session] = [:]
    try file.run { command in
      let name = command.arguments["session"] ?? "a"
      let session = try sessions[name] ?? store.makeSession()
      sessions[name] = session
      var answers: [String] = []
      for statement in command.input.split(separator: "\n") {
        let answer = Self.answer(session, String(statement))
        if !answer.isEmpty { answers.append(answer) }
      }
      return answers.joined(separator: "\n")
    }
    sessions = [:]
    try store.close()
    // What was committed is there after opening again, in shards and mirrors alike.
    let again = try bench.open()
    let session = try again.makeSession()
    try session.wait(for: .projected)
    for table in session.tableNames() {
      let rows = "SELECT * FROM \(quoted(table)) ORDER BY 1, 2"
      let mirrored = "SELECT * FROM projections.\(quoted(table)) ORDER BY 1, 2"
      #expect(Self.answer(session, rows) == Self.answer(session, mirrored), "\(file) \(table)")
    }
    try again.close()
  }

  /// Rows with their values between bars, or the error.
  static func answer(_ session: Session, _ statement: String) -> String {
    do throws(StoreError) {
      let rows = try session.run(statement)
      try session.settle()
      let rejected = session.takeRejections().map { "rejected on line \($0.line ?? 0): \($0.message)" }
      return (rows.map { $0.map(literal).joined(separator: "|") } + rejected).joined(separator: "\n")
    } catch {
      return "\(error.kind) \(error.sqliteCode.map(String.init) ?? "-"): \(error.message)"
    }
  }

  /// A plain transaction is staged; the first statement that reads takes it back into memory.
  @Test func aStagedTransactionIsRead() throws {
    let bench = Bench()
    let store = try bench.open { $0.stageBytes = 4_096 }
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.run("CREATE TABLE log(x)")
    try session.run("BEGIN")
    for id in 0..<500 {
      try session.run("INSERT INTO t VALUES(\(id / 2 * 2), 'value of \(id)')")
      try session.run("INSERT INTO log VALUES(\(id))")
    }
    #expect(session.transaction?.staged != nil)
    #expect(try session.run("SELECT count(*), min(v) FROM t") == [[.integer(250), text("value of 0")]])
    #expect(session.transaction?.staged == nil && session.takeRejections().count == 250)
    #expect(try session.run("SELECT count(*), sum(x) FROM log") == [[.integer(500), .integer(124_750)]])
    #expect(try bench.disk.list("shop/log").allSatisfy { !$0.contains("staged") })
    try session.run("UPDATE t SET v = 'new' WHERE id = 4")
    try session.run("COMMIT")
    #expect(try session.run("SELECT count(*) FROM t WHERE v = 'new'") == [[.integer(1)]])
    #expect(
      try session.run("SELECT count(*), sum(x), max(rowid) - min(rowid) FROM log")
        == [[.integer(500), .integer(124_750), .integer(499)]])
    try store.close()
  }

  @Test func preparedStatementsKeepTheirPlan() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(a INTEGER, b TEXT DEFAULT 'none', c REAL, PRIMARY KEY(a))")
    let insert = try session.prepareInsert(into: "t", columns: ["c", "a"])
    for id in 0..<5 {
      insert.bind(1, Int64(id))
      if id % 2 == 0 { insert.bind(0, Double(id) / 2) }
      try insert.run()
    }
    try insert.run([text("7.5"), .integer(7)])
    #expect(storeError { try insert.run([.integer(1)]) }?.message == "1 values for 2 columns")
    insert.bind(5, Int64(1))
    #expect(storeError { try insert.run() }?.sqliteCode == 25)
    let byKey = try session.prepare("SELECT b, c FROM t WHERE a = ?")
    func find(_ id: Int64) throws -> [[Value]] {
      guard case .rows(let rows) = try byKey.run([.integer(id)]) else { return [] }
      var found: [[Value]] = []
      while try rows.next() { found.append((0..<rows.columnCount).map { rows.value($0) }) }
      return found
    }
    #expect(try find(2) == [[text("none"), .real(1)]])
    #expect(try find(3) == [[text("none"), .null]])
    #expect(try find(7) == [[text("none"), .real(7.5)]])
    #expect(try find(9) == [])
    let update = try session.prepare("UPDATE t SET b = :b WHERE a = ?2")
    try update.run([text("two"), .integer(2)])
    #expect(try find(2) == [[text("two"), .real(1)]])
    let plain = try session.prepare("INSERT INTO t VALUES(?, ?, ?)")
    try plain.run([.integer(20), text("twenty"), .null])
    #expect(try find(20) == [[text("twenty"), .null]])
    // The table changes under both.
    try session.run("ALTER TABLE t ADD COLUMN d DEFAULT 5")
    #expect(try find(20) == [[text("twenty"), .null]])
    #expect(storeError { try insert.run([.integer(1), .integer(30)]) } == nil)
    #expect(try session.run("SELECT d FROM t WHERE a = 30") == [[.integer(5)]])
    try session.run("DROP TABLE t")
    #expect(storeError { _ = try find(2) }?.message == "no such table: t")
    #expect(storeError { try insert.run([.integer(1), .integer(1)]) }?.message == "no such table: t")
    session.parameters = [":x": .integer(5), "?2": text("named")]
    #expect(try session.run("SELECT :x, ?2, :missing") == [[.integer(5), text("named"), .null]])
    try store.close()
  }

  /// A transaction's memory is bounded, and says so.
  @Test func tooMuchForOneTransaction() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)")
    try session.run("BEGIN")
    try session.run("SELECT 1")
    for id in 0..<5 { try session.run("INSERT INTO t VALUES(\(id), zeroblob(50000000))") }
    let error = storeError { try session.run("INSERT INTO t VALUES(5, zeroblob(50000000))") }
    #expect(error?.sqliteCode == 18 && error?.message.contains("256 MiB") == true, "\(error as Any)")
    #expect(try session.run("SELECT count(*), sum(length(v)) FROM t") == [[.integer(5), .integer(250_000_000)]])
    try session.run("ROLLBACK")
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(0)]])
    try store.close()
  }
}
