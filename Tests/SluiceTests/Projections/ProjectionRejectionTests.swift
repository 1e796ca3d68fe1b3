// Rows that a projection cannot take: they are named in sluice_rejected, everything else flows, and they come in when
// they are mended, or by REDRIVE when what stood in their way is gone.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ProjectionRejectionTests {
  private static let least = "-9223372036854775807 - 1"

  private func open(_ bench: Bench) throws -> (Store, Session) {
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, g TEXT, n INTEGER, doc TEXT)")
    for id in 1...9 { try session.run("INSERT INTO t VALUES(\(id), 'g\(id % 3)', \(id), '[\(id)]')") }
    return (store, session)
  }

  private func file(_ bench: Bench, _ session: Session, _ sql: String) throws -> [[Value]] {
    try session.wait(for: .projected)
    return try bench.file(sql)
  }

  /// Rows are rejected while they come in, and while a copy is built.
  @Test(arguments: [false, true]) func aRowThatFails(isBuiltLater: Bool) throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    let create = "CREATE PROJECTION p AS SELECT id, json(doc) AS doc FROM t"
    if !isBuiltLater {
      try session.run(create)
      try session.run("WAIT FOR p")
    }
    try session.run("INSERT INTO t VALUES(10, 'a', 1, '[10]'), (11, 'a', 1, 'no json'), (12, 'a', 1, '[12]')")
    try session.settle()
    let position = session.lastPosition
    try session.run("INSERT INTO t VALUES(13, 'b', 1, '{'), (14, 'b', 1, '[14]')")
    if isBuiltLater { try session.run(create) }
    try session.expect("p", equals: "SELECT id, json(doc) FROM t WHERE json_valid(doc)")
    let rows = try file(
      bench, session,
      "SELECT projection, \"table\", key, position, reason, attempts FROM sluice_rejected ORDER BY key")
    #expect(
      rows.map { [$0[0], $0[1], $0[2], $0[4], $0[5]] } == [
        [text("p"), text("t"), text("11"), text("malformed JSON"), .integer(1)],
        [text("p"), text("t"), text("13"), text("malformed JSON"), .integer(1)],
      ])
    if !isBuiltLater { #expect(rows.first?[3] == .integer(Int64(position) - 1)) }

    #expect(try session.run("REDRIVE PROJECTION p") == [[.integer(0), .integer(2)]])
    #expect(try bench.rejected("p") == ["'11', 2", "'13', 2"])
    try session.run("UPDATE t SET doc = '[11]' WHERE id = 11")
    try session.expect("p", equals: "SELECT id, json(doc) FROM t WHERE json_valid(doc)")
    #expect(try bench.rejected("p") == ["'13', 2"])
    try session.run("UPDATE t SET doc = '}' WHERE id = 13")
    try session.run("UPDATE t SET doc = 'worse' WHERE id = 1")
    try session.expect("p", equals: "SELECT id, json(doc) FROM t WHERE json_valid(doc)")
    #expect(try bench.rejected("p") == ["'1', 1", "'13', 1"])
    try session.run("DELETE FROM t WHERE id = 13")
    try session.expect("p", equals: "SELECT id, json(doc) FROM t WHERE json_valid(doc)")
    #expect(try bench.rejected("p") == ["'1', 1"])
    try session.run("DELETE FROM t")
    try session.expect("p", equals: "SELECT id, doc FROM t")
    #expect(try bench.rejected("p") == [])
    try store.close()
  }

  /// Groups: what a rejected row would add is missing, and is not subtracted when it goes.
  @Test(arguments: [
    "SELECT g, count(*), sum(abs(n)), max(abs(n)), count(DISTINCT n) FROM t $ GROUP BY g",
    "SELECT abs(n) % 2, count(*), min(id), sum(id) FROM t $ GROUP BY abs(n) % 2",
    "SELECT g, count(*), max(id), sum(n * 0.5) FROM t $ AND abs(n) >= 0 GROUP BY g",
    "SELECT count(*), max(abs(n)), min(id) FROM t $",
    "SELECT abs(n), g, max(id), count(DISTINCT g) FROM t $ GROUP BY abs(n), g",
  ])
  func inGroups(_ select: String) throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p AS \(select.replacing("$", with: "WHERE true"))")
    let good = select.replacing("$", with: "WHERE n <> \(Self.least)")
    try session.expect("p", equals: good)
    try session.run("INSERT INTO t VALUES(20, 'g1', 5, ''), (21, 'g1', \(Self.least), ''), (22, 'g2', 6, '')")
    try session.expect("p", equals: good)
    #expect(try bench.rejected("p") == ["'21', 1"])
    // The group that has it is computed anew.
    try session.run("DELETE FROM t WHERE id IN (22, 9, 8)")
    try session.expect("p", equals: good)
    try session.run("UPDATE t SET n = n - 1 WHERE id < 7")
    try session.expect("p", equals: good)
    try store.close()
    store = try bench.open()
    session = try store.makeSession()
    try session.run("UPDATE t SET n = \(Self.least) WHERE id IN (3, 20)")
    try session.expect("p", equals: good)
    #expect(try bench.rejected("p") == ["'20', 1", "'21', 1", "'3', 1"])
    try session.run("UPDATE t SET n = 4 WHERE id IN (21, 3)")
    try session.expect("p", equals: good)
    try session.run("DELETE FROM t WHERE id = 20")
    try session.expect("p", equals: good)
    #expect(try bench.rejected("p") == [])
    #expect(try bench.file("SELECT state, error FROM sluice_copies") == [[text("current"), .null]])
    try store.close()
  }

  /// The key of a row projection, and a user's unique index, are kept by rejecting what comes second; REDRIVE takes it
  /// once there is room.
  @Test(arguments: ["PRIMARY KEY", "UNIQUE INDEX"]) func uniqueness(_ way: String) throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    try session.run("DELETE FROM t WHERE id > 3")
    let key = way == "PRIMARY KEY" ? "PRIMARY KEY (g)" : ""
    try session.run("CREATE PROJECTION p \(key) AS SELECT g, n FROM t")
    if key.isEmpty { try session.run("CREATE UNIQUE INDEX one_each ON p(g)") }
    try session.expect("p", equals: "SELECT g, n FROM t")
    try session.run("INSERT INTO t VALUES(4, 'g1', 44, NULL), (5, 'other', 55, NULL), (6, 'g2', 66, NULL)")
    try session.expect("p", equals: "SELECT g, n FROM t WHERE id NOT IN (4, 6)")
    #expect(try bench.rejected("p") == ["'4', 1", "'6', 1"])
    let reasons = try bench.file("SELECT DISTINCT reason FROM sluice_rejected")
    #expect(reasons.count == 1 && sortedRows(reasons)[0].contains("UNIQUE constraint failed"))
    #expect(try session.run("REDRIVE") == [[.integer(0), .integer(2)]])
    try session.run("DELETE FROM t WHERE id = 1")
    try session.expect("p", equals: "SELECT g, n FROM t WHERE id NOT IN (4, 6)")
    try store.close()
    store = try bench.open()
    session = try store.makeSession()
    #expect(try session.run("REDRIVE PROJECTION p") == [[.integer(1), .integer(1)]])
    try session.expect("p", equals: "SELECT g, n FROM t WHERE id <> 6")
    #expect(try bench.rejected("p") == ["'6', 3"])
    try session.run("UPDATE t SET g = 'another' WHERE id = 6")
    try session.expect("p", equals: "SELECT g, n FROM t")
    #expect(try session.run("REDRIVE PROJECTION p") == [[.integer(0), .integer(0)]])
    // The file made anew, and a copy made anew, reject the same.
    try session.run("INSERT INTO t VALUES(7, 'g2', 77, NULL)")
    try session.run("REBUILD PROJECTION p")
    try session.expect("p", equals: "SELECT g, n FROM t WHERE id <> 7")
    #expect(try bench.rejected("p") == ["'7', 1"])
    try store.close()
    removeDatabase(bench.projections)
    store = try bench.open()
    session = try store.makeSession()
    try session.expect("p", equals: "SELECT g, n FROM t WHERE id <> 7")
    #expect(try bench.rejected("p") == ["'7', 1"])
    try store.close()
  }

  /// Two keys change places within one statement: none is in the other's way.
  @Test func keysThatChangePlaces() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("DELETE FROM t WHERE id > 3")
    try session.run("CREATE PROJECTION p PRIMARY KEY (g) AS SELECT g, id FROM t")
    try session.expect("p", equals: "SELECT g, id FROM t")
    try session.run("UPDATE t SET g = 'g' || ((id + 1) % 3)")
    try session.expect("p", equals: "SELECT g, id FROM t")
    #expect(try bench.rejected("p") == [])
    try store.close()
  }

  @Test func dropAndRebuildForgetRejectedRows() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p AS SELECT id, json(doc) AS j FROM t")
    try session.run("CREATE PROJECTION q AS SELECT id, json(doc) AS j FROM t WHERE id > 1")
    try session.run("INSERT INTO t VALUES(30, 'a', 1, 'no json')")
    try session.run("WAIT FOR p")
    try session.run("WAIT FOR q")
    #expect(try bench.rejected("p") == ["'30', 1"])
    #expect(try bench.rejected("q") == ["'30', 1"])
    #expect(try session.run("REDRIVE PROJECTION q") == [[.integer(0), .integer(1)]])
    #expect(try bench.rejected("p") == ["'30', 1"])
    #expect(try session.run("REDRIVE") == [[.integer(0), .integer(2)]])
    try session.run("DROP PROJECTION q")
    try session.run("ALTER PROJECTION p AS SELECT id, doc AS j FROM t")
    try session.expect("p", equals: "SELECT id, doc FROM t")
    #expect(try file(bench, session, "SELECT count(*) FROM sluice_rejected") == [[.integer(0)]])
    session.expectRefused("REDRIVE PROJECTION q", "no such projection: q")
    try store.close()
  }

  /// Rows without a key, and with a composite one of text, are named by it.
  @Test func keysOfAnyKind() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE TABLE u(a TEXT, b BLOB, doc TEXT, PRIMARY KEY (a, b), SHARD KEY (a))")
    try session.run("CREATE TABLE v(doc TEXT)")
    try session.run("CREATE PROJECTION p AS SELECT a, b, json(doc) AS j FROM u")
    try session.run("CREATE PROJECTION q AS SELECT json(doc) AS j, count(*) AS c FROM v GROUP BY json(doc)")
    try session.run("INSERT INTO u VALUES('it''s', X'00ff', '{'), ('b', X'', '[1]')")
    try session.run("INSERT INTO v VALUES('{'), ('[ 1]'), ('[1 ]')")
    try session.settle()
    try session.expect("p", equals: "SELECT a, b, json(doc) FROM u WHERE json_valid(doc)")
    try session.expect("q", equals: "SELECT json(doc), count(*) FROM v WHERE json_valid(doc) GROUP BY json(doc)")
    #expect(try bench.rejected("p") == ["'''it''''s'', X''00FF''', 1"])
    #expect(try bench.rejected("q") == ["'1', 1"])
    try session.run("UPDATE u SET doc = '[2]'")
    try session.run("DELETE FROM v WHERE doc = '{'")
    try session.expect("p", equals: "SELECT a, b, json(doc) FROM u")
    try session.expect("q", equals: "SELECT json(doc), count(*) FROM v GROUP BY json(doc)")
    #expect(try bench.file("SELECT count(*) FROM sluice_rejected") == [[.integer(0)]])
    try store.close()
  }

  /// Sums beyond 64 bits, where SELECT is an error, are reals; below again they are exact.
  @Test func sumsBeyond64Bits() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p AS SELECT g, sum(n) AS total, count(*) AS c FROM t GROUP BY g")
    try session.run("WAIT FOR p")
    try session.run("UPDATE t SET n = 9223372036854775000 WHERE g = 'g1'")
    try session.run("WAIT FOR p")
    let large = try session.run("SELECT total FROM p WHERE g = 'g1'")
    guard case .real(let number)? = large.first?.first else {
      Issue.record("\(large)")
      return
    }
    #expect(abs(number - 3 * 9.223372036854775e18) < 1e5)
    try session.run("DELETE FROM t WHERE g = 'g1' AND id > 1")
    try session.run("UPDATE t SET n = n + 1 WHERE g <> 'g1'")
    try session.expect("p", equals: "SELECT g, sum(n), count(*) FROM t GROUP BY g")
    #expect(try bench.file("SELECT state FROM sluice_copies") == [[text("current")]])
    #expect(try bench.rejected("p") == [])
    try store.close()
  }

  /// Averages and totals of large integers are no error in SQLite, and none here.
  @Test func averagesOfLargeIntegers() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    let select = "SELECT g, avg(n) AS a, total(n) AS t FROM t GROUP BY g"
    try session.run("CREATE PROJECTION p AS \(select)")
    try session.run("UPDATE t SET n = 1 << 62")
    try session.expect("p", equals: select)
    try session.run("UPDATE t SET n = (1 << 62) - (1 << 61) WHERE id > 2")
    try session.expect("p", equals: select)
    try session.run("DELETE FROM t WHERE id = 1")
    try session.expect("p", equals: select)
    #expect(try bench.file("SELECT state FROM sluice_copies") == [[text("current")]])
    try store.close()
  }
}
