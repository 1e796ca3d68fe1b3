// Tables without a primary key: their rows have numbers of their own, as in SQLite, which, told the same, is the model.
// Tables of early stores, whose rows have their positions, stay what they are.
import SluiceSQL
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Random statements about a table `t(a, b)`, given to a store and to SQLite.
private final class NumberRun {
  private let bench = Bench()
  private let oracle: Connection
  private var store: Store
  private var session: Session
  private var random: SeededRandom
  private let comment: String
  private var script: [String] = []
  private var inTransaction = false
  /// Whether both tell of the same last row: a session that has begun anew tells of none.
  private var hasInserted = false

  init(seed: UInt64) throws {
    random = SeededRandom(seed: seed)
    comment = repeatCommand(seed, "NumberedTableTests")
    oracle = try Connection(path: ":memory:", mode: .readWriteCreate)
    store = try bench.open()
    session = try store.makeSession()
    for sql in ["CREATE TABLE t(a INTEGER CHECK(a <> 13), b TEXT)", "CREATE INDEX by_a ON t(a)"] { try both(sql) }
  }

  private func pick<T>(_ list: [T]) -> T { list[random.below(list.count)] }

  private var name: String { pick(["rowid", "oid", "_rowid_", "ROWID"]) }
  private static let numbers = ["1", "2", "3", "5", "8", "13", "40", "-7", "'6'", "4.0", "NULL"]
  private var number: String { pick(Self.numbers + ["'x'", "1.5"]) }
  private var value: String { pick(["0", "1", "2", "3", "7", "13", "NULL"]) }

  private func rows(_ count: Int, _ row: () -> String) -> String {
    (0..<count).map { _ in "(" + row() + ")" }.joined(separator: ", ")
  }

  private func statement() -> String {
    let count = pick([1, 1, 1, 2, 3])
    switch random.below(22) {
    case 0...5: return "INSERT INTO t VALUES\(rows(count) { "\(value), 'v'" })"
    case 6...7: return "INSERT INTO t(b) VALUES\(rows(count) { "'only b'" })"
    case 8...9:
      let count = pick([1, 1, 2])
      // What is no number is told before any duplicate of the statement, not row by row.
      return "INSERT \(pick(["", "OR IGNORE ", "OR REPLACE ", "OR FAIL "]))INTO t(a, \(name), b) "
        + "VALUES\(rows(count) { "\(pick(["1", "2"])), \(count == 1 ? number : pick(Self.numbers)), 'given'" })"
    case 10:
      return "INSERT INTO t SELECT a + 1, 'copied' FROM t WHERE a < 4 ORDER BY rowid LIMIT \(1 + random.below(3))"
    case 11: return "INSERT INTO t(rowid, a) SELECT rowid + 50, a FROM t WHERE rowid < 0"
    case 12: return "UPDATE t SET \(name) = \(number) WHERE rowid = \(number)"
    case 13: return "UPDATE OR REPLACE t SET rowid = rowid + 1 WHERE rowid IN (1, 3, 8)"
    case 14: return "UPDATE t SET a = a + 1, b = rowid WHERE \(name) >= \(random.below(6))"
    case 15: return "DELETE FROM t WHERE \(name) = (SELECT max(rowid) FROM t)"
    case 16: return random.chance(1, of: 3) ? "DELETE FROM t" : "DELETE FROM t WHERE rowid % 3 = \(random.below(3))"
    case 17:
      return "INSERT INTO t(rowid, a) VALUES(\(1 + random.below(6)), 1) ON CONFLICT(rowid) DO "
        + pick(["NOTHING", "UPDATE SET a = excluded.rowid * 100, b = 'met'", "UPDATE SET rowid = t.rowid + 20"])
    case 18: return "INSERT INTO t(a) VALUES(\(value)) ON CONFLICT DO NOTHING"
    case 19: return pick(["SAVEPOINT s", "ROLLBACK TO s", "RELEASE s"])
    default: return pick(["BEGIN", "COMMIT", "COMMIT", "ROLLBACK"])
    }
  }

  func step() throws {
    if !session.inTransaction, random.chance(1, of: 12) { return try leave() }
    let wasInTransaction = session.inTransaction
    try both(statement())
    // A transaction that has read nothing tells of duplicates at COMMIT.
    if session.inTransaction, !wasInTransaction { try both("SELECT count(*) FROM t") }
    if random.chance(1, of: 3) { try both("SELECT last_insert_rowid()") }
    if random.chance(1, of: 4) { try compare() }
  }

  /// Gives both the same, and compares what they answer.
  private func both(_ sql: String) throws {
    script.append(sql)
    if sql.hasPrefix("SELECT last"), !hasInserted { return }
    let before = oracle.totalChanges
    let found = outcome { try session.run(sql).map { $0.map(literal).joined(separator: "|") } }
    let expected = outcome { try oracle.prepare(sql).rows().map { $0.map(literal).joined(separator: "|") } }
    // What was inserted and taken back is told too, in ways of its own.
    // A row that ON CONFLICT has updated is no inserted one, and both go on to tell of the one before.
    if sql.hasPrefix("INSERT"), !sql.contains("ON CONFLICT") {
      hasInserted = oracle.totalChanges > before && (hasInserted || expected.isEmpty)
    }
    #expect(found == expected, "\(script.suffix(12).joined(separator: ";\n")) \(comment)")
    try #require(found == expected)
  }

  private func outcome(_ body: () throws -> [String]) -> [String] {
    do {
      let rows = try body()
      if !session.inTransaction { try session.settle() }
      if let rejection = session.takeRejections().first { return [rejection.message] }
      return rows
    } catch let error as StoreError { return [error.message] } catch let error as SQLiteError {
      return [error.message]
    } catch { return ["\(error)"] }
  }

  private func leave() throws {
    script.append("-- left")
    try session.settle()
    if random.chance(1, of: 3) { try store.flush() }
    try store.close(drain: random.chance(1, of: 2))
    if random.chance(1, of: 3) { removeDatabase(bench.projections) }
    store = try bench.open()
    session = try store.makeSession()
    hasInserted = false
    #expect(session.catalog.table("t")?.isNumbered == true)
  }

  private func compare() throws {
    try both("SELECT rowid, a, b FROM t ORDER BY rowid")
    try both("SELECT _rowid_, b FROM t WHERE oid BETWEEN 2 AND '9' ORDER BY rowid DESC")
    try both("SELECT b FROM t WHERE rowid = \(number)")
  }

  func end() throws {
    if session.inTransaction { try both("COMMIT") }
    try compare()
    try store.close()
    let file = try Connection(path: bench.projections, mode: .readOnly)
    let select = "SELECT rowid, * FROM t ORDER BY rowid"
    #expect(try file.prepare(select).rows() == oracle.prepare(select).rows(), "\(comment)")
    #expect(try file.prepare("PRAGMA integrity_check").rows() == [[text("ok")]])
  }
}

@Suite struct NumberedTableTests {
  @Test func numbersAreThoseOfSQLite() throws {
    var seeds = SeededRandom(seed: testSeed())
    for _ in 0..<12 {
      let run = try NumberRun(seed: seeds.next())
      for _ in 0..<80 { try run.step() }
      try run.end()
    }
  }

  /// Numbers rise by one for whoever asks, whatever its shard, and none is given twice.
  @Test func sessionsShareTheNumbers() throws {
    var options = StoreOptions()
    options.shardCount = 4
    let scratch = Scratch()
    let store = try Store.open(path: scratch.file("shop"), options: options)
    let first = try store.makeSession()
    try first.run("CREATE TABLE t(who, n)")
    let sessions = try (0..<3).map { _ in try store.makeSession() }
    for n in 0..<400 {
      for (who, session) in sessions.enumerated() { try session.run("INSERT INTO t VALUES(\(who), \(n))") }
    }
    for session in sessions {
      try session.settle()
      #expect(session.takeRejections().isEmpty)
    }
    #expect(
      try first.run("SELECT count(*), min(rowid), max(rowid), count(DISTINCT rowid) FROM t")
        == [[.integer(1200), .integer(1), .integer(1200), .integer(1200)]])
    // A session's rows come in its order.
    #expect(
      try first.run(
        "SELECT count(*) FROM (SELECT n - lag(n) OVER (PARTITION BY who ORDER BY rowid) AS d FROM t) WHERE d < 1")
        == [[.integer(0)]])
    try store.close()
  }

  /// The highest number that is stored is found once, perhaps by a statement that comes to nothing.
  @Test(arguments: ["CREATE TABLE t(v CHECK(v <> 13))", "CREATE TABLE t(id INTEGER PRIMARY KEY, v CHECK(v <> 13))"])
  func aFailedStatementForgetsNoStoredNumber(_ table: String) throws {
    let bench = Bench()
    var store = try bench.open()
    var session = try store.makeSession()
    try session.run(table)
    try session.run("INSERT INTO t(rowid, v) VALUES(7, 1), (41, 1)")
    try session.settle()
    try store.close()
    store = try bench.open()
    session = try store.makeSession()
    try session.run("INSERT INTO t(rowid, v) VALUES(40, 2)")
    #expect(storeError { try session.run("INSERT INTO t(v) VALUES(13)") } != nil)
    try session.run("INSERT INTO t(v) VALUES(3)")
    try session.settle()
    #expect(session.takeRejections().isEmpty)
    #expect(try session.run("SELECT rowid FROM t WHERE v = 3") == [[.integer(42)]])
    try store.close()
  }

  /// Rows placed by a column have numbers that nobody chooses: another shard may have the same.
  @Test func placedRowsAreNumbered() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(u, v, SHARD KEY(u))")
    try session.run("INSERT INTO t VALUES(1, 'a'), (2, 'b'), (3, 'c'), (NULL, 'd')")
    try session.run("UPDATE t SET u = u + 7 WHERE rowid = 2")
    try session.run("DELETE FROM t WHERE rowid = 4")
    try session.run("INSERT INTO t VALUES(9, 'e')")
    let rows = try session.run("SELECT rowid, u, v FROM t").map { $0.map(literal).joined(separator: "|") }
    #expect(rows == ["1|1|'a'", "2|9|'b'", "3|3|'c'", "4|9|'e'"])
    try session.settle()
    #expect(try store.liveContents()["t"]?.count == 4)
    for sql in ["INSERT INTO t(rowid, u) VALUES(1, 5)", "UPDATE t SET rowid = 9 WHERE u = 3"] {
      #expect(storeError { try session.run(sql) }?.message.contains("rows are placed by u") == true, "\(sql)")
    }
    try store.close()
  }

  /// A table that an early version made goes on with positions, also when it is altered.
  @Test func earlyTablesKeepTheirPositions() throws {
    let bench = Bench()
    var store = try bench.open()
    var session = try store.makeSession()
    try session.createEarly("CREATE TABLE t(a)")
    try session.run("INSERT INTO t VALUES(1), (2)")
    try session.run("ALTER TABLE t RENAME TO u")
    try session.run("ALTER TABLE u ADD COLUMN b DEFAULT 'x'")
    try session.settle()
    try store.flush()
    try store.close()
    store = try bench.open()
    session = try store.makeSession()
    try session.run("INSERT INTO u VALUES(3, 'y')")
    try session.settle()
    let expected = [[2, 1], [3, 2], [Int64(store.lastPosition), 3]].map { $0.map(Value.integer) }
    #expect(try session.run("SELECT rowid, a FROM u") == expected)
    for sql in ["INSERT INTO u(rowid, a) VALUES(9, 1)", "UPDATE u SET rowid = 9 WHERE a = 1"] {
      #expect(storeError { try session.run(sql) }?.message.contains("has its position") == true, "\(sql)")
    }
    try session.run("BEGIN")
    try session.run("INSERT INTO u(a) VALUES(4)")
    let early = storeError { try session.run("SELECT last_insert_rowid()") }
    #expect(early?.message.contains("is not known yet") == true)
    try session.run("COMMIT")
    #expect(try session.run("SELECT a FROM u WHERE rowid = last_insert_rowid()") == [[.integer(4)]])
    // A new table of the name is one of today.
    try session.run("DROP TABLE u")
    try session.run("CREATE TABLE u(a)")
    try session.run("INSERT INTO u VALUES(5)")
    #expect(try session.run("SELECT rowid FROM u") == [[.integer(1)]])
    try store.close()
  }

  /// A table with another key has no rowid to tell: an order of its own would pass for the order of insertion.
  @Test func rowsWithAnotherKeyHaveNoRowid() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE codes(code TEXT PRIMARY KEY, label TEXT)")
    try session.run("CREATE TABLE own(rowid TEXT PRIMARY KEY, label TEXT)")
    try session.run("INSERT INTO codes VALUES('b', 'B'), ('a', 'A')")
    try session.run("INSERT INTO own VALUES('mine', 'M')")
    for sql in [
      "SELECT rowid, * FROM codes", "SELECT * FROM codes ORDER BY _rowid_", "DELETE FROM codes WHERE oid = 1",
      "UPDATE codes SET label = rowid", "SELECT 1 FROM codes AS c WHERE c.rowid > 0",
      "SELECT rowid FROM projections.codes",
    ] {
      #expect(storeError { try session.run(sql) }?.message.hasPrefix("no such column: ") == true, "\(sql)")
    }
    try session.run("UPDATE codes SET label = 'AA' WHERE label = 'A'")
    try session.run("DELETE FROM codes WHERE label = 'B'")
    #expect(try session.run("SELECT * FROM codes") == [[text("a"), text("AA")]])
    #expect(try session.run("SELECT rowid FROM own") == [[text("mine")]])
    try session.run("UPDATE own SET rowid = 'other'")
    #expect(try session.run("SELECT rowid FROM own") == [[text("other")]])
    try store.close()
  }
}
