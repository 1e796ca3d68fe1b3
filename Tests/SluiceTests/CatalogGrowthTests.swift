// What a definition costs does not grow with the catalog: SQLite judges it in a database that holds what it names.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct CatalogGrowthTests {
  /// How many objects are created to judge each statement, in a catalog of `count` tables and as many views.
  private func declared(_ count: Int) throws -> [Int] {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("BEGIN")
    for number in 0..<count {
      try session.run("CREATE TABLE t\(number)(a INTEGER PRIMARY KEY, b)")
      // Each reads the one before.
      try session.run("CREATE VIEW v\(number) AS SELECT * FROM \(number == 0 ? "t0" : "v\(number - 1)")")
    }
    try session.run("COMMIT")
    var result: [Int] = []
    for sql in [
      "CREATE VIEW w AS SELECT * FROM v\(count - 1) JOIN t\(count - 1)", "CREATE INDEX i ON t\(count - 1)(b + 1)",
      "CREATE PROJECTION p AS SELECT b, count(*) AS n FROM 't1' GROUP BY b", "CREATE INDEX j ON p(n)",
      "CREATE PROJECTION q AS SELECT a FROM v1, p REFRESH EVERY '1h'", "ALTER PROJECTION p AS SELECT a, b FROM t2",
    ] {
      let before = session.evaluator.declaredCount
      do { try session.run(sql) } catch { #expect(error.message.contains("no such column: n"), "\(sql): \(error)") }
      result.append(session.evaluator.declaredCount - before)
    }
    try store.close()
    return result
  }

  @Test func aDefinitionIsJudgedByWhatItNames() throws {
    let few = try declared(12)
    #expect(few == [0, 1, 1, 2, 5, 4])
    #expect(try declared(120) == few)
  }

  /// Tables and views that SQLite is told of for statements in a catalog of `count` tables and views.
  private func told(_ count: Int) throws -> [Int] {
    let bench = Bench()
    let store = try bench.open()
    defer { withExtendedLifetime(bench) {} }
    let session = try store.makeSession()
    try session.run("BEGIN")
    for number in 0..<count {
      try session.run("CREATE TABLE t\(number)(a INTEGER PRIMARY KEY, b)")
      try session.run("CREATE VIEW v\(number) AS SELECT * FROM t\(number)")
    }
    try session.run("CREATE VIEW w AS SELECT v1.a FROM \"V1\" JOIN [t2] USING(a)")
    try session.run("COMMIT")
    try session.run("CREATE TEMP VIEW x AS SELECT a FROM t4, 't5' USING(a)")
    var result: [Int] = []
    for sql in [
      "SELECT max(a) FROM t0", "SELECT * FROM w", "INSERT INTO t3 SELECT * FROM V3", "SELECT a FROM x",
      "INSERT INTO t3 VALUES(1, 2) ON CONFLICT DO UPDATE SET b = (SELECT max(a) FROM t6)",
      "EXPLAIN DELETE FROM t7 WHERE b = (SELECT b FROM v8)", "DELETE FROM t9 WHERE a = 1 RETURNING (SELECT a FROM t10)",
    ] {
      try session.run(sql)
      result.append(try #require(session.liveConnection).declaredCount)
    }
    // What has gone is gone, and what comes under its name is another one.
    try session.run("ALTER TABLE t4 ADD COLUMN c DEFAULT 'new'")
    try session.run("DROP VIEW w")
    try session.run("CREATE VIEW w AS SELECT c FROM t4")
    try session.run("INSERT INTO t4(a) VALUES(1)")
    #expect(try session.run("SELECT * FROM w") == [[text("new")]])
    #expect(try session.run("SELECT a FROM x").isEmpty)
    try session.run("INSERT INTO t5(a) VALUES(1)")
    #expect(try session.run("SELECT a FROM x") == [[.integer(1)]])
    try store.close()
    return result
  }

  @Test func SQLiteIsToldWhatAStatementNames() throws {
    let few = try told(12)
    #expect(few == [1, 5, 7, 9, 10, 13, 15])
    #expect(try told(120) == few)
  }
}
