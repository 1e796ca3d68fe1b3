// What a statement costs does not grow with what its transaction has written, nor with the product of two tables:
// counted in commands, entries and rows, for n statements or rows and for ten times as many.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct StatementGrowthTests {
  // MARK: Transactions

  /// Commands that a transaction of `count` statements puts in order, and moves of its entries.
  private func ordered(
    _ bench: Bench, _ count: Int, shuffled: Bool = false, _ statement: (Int) -> String
  ) throws -> (taken: Int, moved: Int, session: Session) {
    let session = try bench.open().makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v INT)")
    try session.run("BEGIN")
    for id in 1...count { try session.run("INSERT INTO t VALUES(\(id), 1)") }
    try session.run("COMMIT")
    try session.run("BEGIN")
    for number in 1...count {
      // 7 and the counts have no common divisor.
      try session.run(statement(shuffled ? number * 7 % count + 1 : number))
    }
    let ordered = try #require(session.writes).ordered
    return (ordered.takenCount, ordered.entries.movedCount, session)
  }

  @Test(arguments: [
    "DELETE FROM t WHERE id = %", "UPDATE t SET v = v + 1 WHERE id = %",
    "UPDATE t SET v = v + 1 WHERE id = % RETURNING v", "DELETE FROM t WHERE id IN (%, -1)",
    "INSERT INTO t VALUES(%, 1) ON CONFLICT(id) DO UPDATE SET v = v + 1", "UPDATE t SET id = -id WHERE id = %",
    "INSERT INTO t VALUES(%, 1) ON CONFLICT(id) DO UPDATE SET v = v + 1 RETURNING v",
  ])
  func aKeyIsLookedUpWhateverWasWritten(_ template: String) throws {
    let bench = Bench()
    defer { withExtendedLifetime(bench) {} }
    let (taken, _, session) = try ordered(bench, 200) {
      template.split(separator: "%", omittingEmptySubsequences: false).joined(separator: "\($0)")
    }
    #expect(taken == 0)
    try session.run("COMMIT")
  }

  /// Rows go from the top, as from a stack: the highest number that is left is looked for when one is to be given.
  @Test func numbersAreLookedForWhenTheyAreNeeded() throws {
    for count in [100, 1_000] {
      let bench = Bench()
      defer { withExtendedLifetime(bench) {} }
      let (taken, _, session) = try ordered(bench, count) { "DELETE FROM t WHERE id = \(count + 1 - $0)" }
      #expect(taken == 0)
      try session.run("INSERT INTO t(v) VALUES(5)")
      #expect(try session.run("SELECT id FROM t") == [[.integer(1)]])
      try session.run("ROLLBACK")
      try session.run("INSERT INTO t(v) VALUES(6)")
      #expect(try session.run("SELECT max(id) FROM t") == [[.integer(Int64(count) + 1)]])
    }
  }

  /// Walks between the writes: each command is put in its place once, and moved a few times.
  @Test func aWalkTakesInWhatIsNew() throws {
    func moves(_ count: Int) throws -> Int {
      let bench = Bench()
      defer { withExtendedLifetime(bench) {} }
      let (taken, moved, session) = try ordered(bench, count, shuffled: true) {
        "DELETE FROM t WHERE id BETWEEN \($0) AND \($0)"
      }
      // The last one is not walked over yet.
      #expect(taken == count - 1)
      try session.run("COMMIT")
      #expect(try session.run("SELECT count(*) FROM t") == [[.integer(0)]])
      return moved
    }
    #expect(try moves(1_000) < 20 * moves(100))
  }

  @Test func anUpsertIsPreparedOnce() throws {
    let bench = Bench()
    defer { withExtendedLifetime(bench) {} }
    let session = try bench.open().makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v INT)")
    let sql = "INSERT INTO t VALUES(?, ?) ON CONFLICT(id) DO UPDATE SET v = v + excluded.v + ?3"
    _ = try session.execute(sql, values: [.integer(1), .integer(1), .integer(10)])
    let first = try #require(session.lastUpsert)
    _ = try session.execute(sql, values: [.integer(1), .integer(2), .integer(20)])
    #expect(session.lastUpsert === first)
    #expect(try session.run("SELECT v FROM t") == [[.integer(23)]])
    // What has no value is NULL, and not what the statement before was given.
    try session.run("INSERT INTO t VALUES(1, 2) ON CONFLICT(id) DO UPDATE SET v = v + excluded.v + ?3")
    #expect(try session.run("SELECT v FROM t") == [[.null]])
    // Another definition, another clause.
    try session.run("ALTER TABLE t ADD COLUMN w INT DEFAULT 5")
    try session.run("INSERT INTO t VALUES(1, 2, 3) ON CONFLICT(id) DO UPDATE SET w = w + excluded.w")
    #expect(try session.run("SELECT w FROM t") == [[.integer(8)]])
    #expect(session.lastUpsert !== first)
  }

  // MARK: Joins

  /// Rows that cursors walk over for a statement on two tables of `count` rows each, and lookups that it makes.
  private func walked(_ count: Int, _ statement: String, inTransaction: Bool) throws -> (walked: Int, lookups: Int) {
    let bench = Bench()
    defer { withExtendedLifetime(bench) {} }
    let session = try bench.open().makeSession()
    session.readsMirrors = false
    try session.run("CREATE TABLE a(id INTEGER PRIMARY KEY, k TEXT, g INT)")
    try session.run("CREATE TABLE b(id INTEGER PRIMARY KEY, k TEXT)")
    try session.run("CREATE INDEX bk ON b(k)")
    if inTransaction { try session.run("BEGIN") }
    for id in 1...count {
      try session.run("INSERT INTO a VALUES(\(id), 'k\(id)', 0)")
      try session.run("INSERT INTO b VALUES(\(id + 1), 'k\(id)')")
    }
    _ = try session.run("SELECT 1 FROM a LIMIT 1")
    let scope = try #require(session.liveConnection).scope
    let before = (scope.walkedCount, scope.lookupCount)
    try session.run(statement)
    return (scope.walkedCount - before.0, scope.lookupCount - before.1)
  }

  @Test(arguments: [
    "SELECT count(*) FROM a JOIN b ON a.k = b.k", "UPDATE a SET g = (SELECT max(id) FROM b WHERE b.k = a.k)",
    "DELETE FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.id > 5)",
    "INSERT INTO a SELECT -a.id, b.k, 0 FROM a JOIN b ON a.k = b.k",
    "SELECT (SELECT id FROM b WHERE b.k = a.k ORDER BY id DESC LIMIT 1) FROM a",
    "SELECT * FROM a LEFT JOIN b AS x ON a.k = x.k LEFT JOIN b AS y ON a.k = y.k",
  ])
  func aJoinWalksOverItsTablesAFewTimes(_ statement: String) throws {
    for inTransaction in [false, true] {
      for count in [30, 300] {
        let (walked, lookups) = try walked(count, statement, inTransaction: inTransaction)
        #expect(walked <= 5 * count, "\(statement), \(count) rows, in a transaction: \(inTransaction)")
        #expect(lookups == 1)
      }
    }
  }

  /// Whatever types meet, a lookup finds what SQLite finds, and in a transaction what that has written.
  @Test func lookupsFindWhatSQLiteFinds() throws {
    let plain = try Connection(path: ":memory:", mode: .readWrite)
    let bench = Bench()
    defer { withExtendedLifetime(bench) {} }
    let session = try bench.open().makeSession()
    session.readsMirrors = false
    let values = [
      "NULL", "1", "1.0", "2", "0.1", "0.30000000000000004", "-7", "9007199254740993", "9007199254740992.0", "1e300",
      "'1'", "'1.0'", "' 1'", "'0.1'", "'0.3'", "'0.30000000000000004'", "'-7'", "'a'", "'A'", "'a '", "''", "x'61'",
      "x'31'", "'Inf'", "1e999",
    ]
    let types = ["TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM"]
    func both(_ sql: String) throws {
      try plain.execute(sql)
      try session.run(sql)
    }
    for (number, type) in types.enumerated() {
      try both("CREATE TABLE t\(number)(id INTEGER PRIMARY KEY, v \(type), w INT)")
      try both(
        "INSERT INTO t\(number) VALUES" + values.enumerated().map { "(\($0), \($1), \($0 % 2))" }.joined(separator: ",")
      )
      try both("CREATE TABLE s\(number)(v \(type), id PRIMARY KEY) WITHOUT ROWID")
      try both("INSERT INTO s\(number) SELECT v, 'key' || id FROM t\(number)")
    }
    try session.run("BEGIN")
    for number in types.indices {
      try both("UPDATE t\(number) SET w = 5 WHERE id = 3")
      try both("DELETE FROM t\(number) WHERE id = 17")
      try both("INSERT INTO t\(number) VALUES(-1, 'a', 1), (-2, 1, 1)")
    }
    for outer in types.indices {
      for inner in types.indices {
        for sql in [
          "SELECT o.id, i.id FROM t\(outer) AS o JOIN t\(inner) AS i ON i.v = o.v ORDER BY 1, 2",
          "SELECT o.id, (SELECT group_concat(i.id) FROM "
            + "(SELECT id FROM s\(inner) WHERE v = o.v ORDER BY id DESC) AS i) "
            + "FROM t\(outer) AS o ORDER BY 1",
          "SELECT o.id, i.id FROM t\(outer) AS o LEFT JOIN t\(inner) AS i ON i.v = o.v AND i.w = o.w ORDER BY 1, 2",
        ] {
          #expect(try session.run(sql) == plain.prepare(sql).rows(), "\(types[outer]) \(types[inner]): \(sql)")
        }
      }
    }
    try session.run("ROLLBACK")
  }

  /// More rows of one value than a page of keys.
  @Test func aValueOfManyRows() throws {
    let bench = Bench()
    defer { withExtendedLifetime(bench) {} }
    let session = try bench.open().makeSession()
    session.readsMirrors = false
    try session.run("CREATE TABLE a(id INTEGER PRIMARY KEY, g INT)")
    let count = 3 * Lookup.pageSize
    try session.run("INSERT INTO a VALUES" + (1...count).map { "(\($0), \($0 % 2))" }.joined(separator: ","))
    try session.run("CREATE TABLE b(g INT PRIMARY KEY)")
    try session.run("INSERT INTO b VALUES(-3), (-2), (-1), (0), (1)")
    for order in ["", "DESC"] {
      let sql = "SELECT (SELECT group_concat(id) FROM (SELECT id FROM a WHERE a.g = b.g ORDER BY id \(order))) FROM b"
      func list(_ rest: Int) -> Value {
        let ids = (1...count).filter { $0 % 2 == rest }
        return text((order == "" ? ids : ids.reversed()).map(String.init).joined(separator: ","))
      }
      #expect(try session.run(sql) == [[.null], [.null], [.null], [list(0)], [list(1)]])
    }
    #expect(session.liveConnection?.scope.lookupCount == 2)
  }
}
