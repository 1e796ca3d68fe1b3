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
}
