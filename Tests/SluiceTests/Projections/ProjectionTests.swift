// The life of a projection: created, altered, rebuilt, paused, resumed and dropped; its name, its table, its indexes;
// inside transactions, after reopening, and with projections.db removed.
import Foundation
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ProjectionTests {
  private static let sums = "SELECT g, count(*) AS c, sum(n) AS total, max(n) AS top FROM t GROUP BY g"
  private static let names = "SELECT id, g, n * 2 AS twice FROM t WHERE n > 0"

  /// A store with a table of twenty rows, some groups of which are NULL.
  private func open(_ bench: Bench) throws -> (Store, Session) {
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, g TEXT, n INTEGER)")
    for id in 1...20 {
      try session.run("INSERT INTO t VALUES(\(id), \(id % 4 == 0 ? "NULL" : "'g\(id % 3)'"), \(id - 5))")
    }
    return (store, session)
  }

  /// Updates, deletes and inserts that touch every group.
  private func change(_ session: Session) throws {
    try session.run("UPDATE t SET n = n + 7, g = CASE WHEN g IS NULL THEN 'g1' WHEN id % 2 THEN NULL ELSE g END")
    try session.run("DELETE FROM t WHERE id % 5 = 0")
    try session.run("INSERT INTO t(id, g, n) SELECT max(id) + 1, 'new', 3 FROM t")
  }

  private func reopen(_ store: Store, _ bench: Bench) throws -> (Store, Session) {
    try store.close()
    let store = try bench.open()
    return (store, try store.makeSession())
  }

  @Test func fromCreateToDrop() throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p AS \(Self.sums)")
    try session.expect("p", equals: Self.sums)
    try change(session)
    try session.expect("p", equals: Self.sums)
    try session.run("ALTER PROJECTION p AS \(Self.names)")
    try session.expect("p", equals: Self.names)
    try change(session)
    try session.expect("p", equals: Self.names)
    try session.run("REBUILD PROJECTION P")
    try change(session)
    try session.expect("p", equals: Self.names)
    (store, session) = try reopen(store, bench)
    try change(session)
    try session.expect("p", equals: Self.names)
    try session.run("DROP PROJECTION p")
    session.expectRefused("SELECT * FROM p", "no such table: p")
    session.expectRefused("DROP PROJECTION p", "no such projection: p")
    try session.run("DROP PROJECTION IF EXISTS p")
    for verb in ["REBUILD", "PAUSE", "RESUME"] {
      session.expectRefused("\(verb) PROJECTION p", "no such projection: p")
    }
    session.expectRefused("ALTER PROJECTION p AS \(Self.names)", "no such projection: p")
    try session.wait(for: .projected)
    #expect(try bench.file("SELECT name FROM sqlite_schema WHERE name GLOB 'sluice_p_*' OR name = 'p'") == [])
    #expect(try bench.file("SELECT count(*) FROM sluice_copies") == [[.integer(0)]])
    try store.close()
  }

  /// One that comes in the place of one that went, of another shape, has nothing of it.
  @Test func oneInThePlaceOfAnother() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    let selects = [
      Self.sums, "SELECT n % 2 AS odd, g, count(DISTINCT n) AS d, min(n) AS low FROM t GROUP BY n % 2, g",
      "SELECT count(*) AS c, count(DISTINCT g) AS d, avg(n) AS a FROM t", Self.names, Self.sums,
      "SELECT g, n, count(DISTINCT id) AS d FROM t GROUP BY g, n",
    ]
    for select in selects {
      try session.run("CREATE PROJECTION p AS \(select)")
      try session.expect("p", equals: select)
      try change(session)
      try session.expect("p", equals: select)
      try session.run("DROP PROJECTION p")
    }
    try store.close()
  }

  @Test func names() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE VIEW w AS SELECT 1 AS one")
    try session.run("CREATE INDEX i ON t(n)")
    try session.run("CREATE PROJECTION p AS \(Self.sums)")
    try session.run("CREATE PROJECTION IF NOT EXISTS P AS SELECT id FROM t")
    try session.expect("p", equals: Self.sums)
    session.expectRefused("CREATE PROJECTION p AS SELECT id FROM t", "projection p already exists")
    session.expectRefused("CREATE PROJECTION t AS SELECT id FROM t", "table t already exists")
    session.expectRefused("CREATE PROJECTION w AS SELECT id FROM t", "view w already exists")
    session.expectRefused("CREATE PROJECTION i AS SELECT id FROM t", "there is already an index named i")
    session.expectRefused("CREATE PROJECTION sluice_p AS SELECT id FROM t", "reserved for internal use")
    session.expectRefused("CREATE TABLE p(x)", "already exists")
    session.expectRefused("CREATE VIEW p AS SELECT 1", "already exists")
    session.expectRefused("CREATE INDEX p ON t(g)", "there is already a table named p")
    session.expectRefused("ALTER TABLE t RENAME TO p", "there is already another table or index with this name: p")
    session.expectRefused("DROP TABLE p", "no such table: p")
    session.expectRefused("DROP VIEW p", "no such view: p")
    session.expectRefused("DROP PROJECTION t", "no such projection: t")
    session.expectRefused("REBUILD PROJECTION t", "t is a table")
    for statement in ["INSERT INTO p VALUES(1, 2, 3, 4)", "DELETE FROM p", "UPDATE p SET c = 1"] {
      #expect(storeError { try session.run(statement) }?.kind == .invalid)
    }
    try session.expect("p", equals: Self.sums)
    try store.close()
  }

  @Test func aFollowedTableStays() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p AS \(Self.sums)")
    for statement in ["DROP TABLE t", "ALTER TABLE t RENAME TO u", "ALTER TABLE t RENAME COLUMN n TO m"] {
      session.expectRefused(statement, "projection p follows table t: DROP PROJECTION p first")
    }
    session.expectRefused("ALTER TABLE t DROP COLUMN n", "DROP COLUMN is not supported")
    try session.expect("p", equals: Self.sums)
    try session.run("DROP PROJECTION p")
    try session.run("ALTER TABLE t RENAME TO u")
    try session.run("DROP TABLE u")
    session.expectRefused("CREATE PROJECTION p AS \(Self.sums)", "no such table: t")
    try store.close()
  }

  /// A column more changes what `*` means, and nothing else; at once, after reopening, and in a file made anew.
  @Test(arguments: [false, true]) func aColumnMore(isReopened: Bool) throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p AS \(Self.sums)")
    try session.run("CREATE PROJECTION everything AS SELECT * FROM t")
    try session.run("CREATE PROJECTION some AS SELECT * FROM t WHERE n > 2")
    try session.compareProjections()
    try session.run("ALTER TABLE t ADD COLUMN more TEXT DEFAULT 'old'")
    if isReopened { (store, session) = try reopen(store, bench) }
    try change(session)
    try session.run("INSERT INTO t VALUES(100, 'g1', 4, 'new')")
    #expect(try session.compareProjections() == 3)
    #expect(try bench.file("SELECT count(*) FROM sluice_rejected") == [[.integer(0)]])
    try store.close()
    removeDatabase(bench.projections)
    store = try bench.open()
    #expect(try store.makeSession().compareProjections() == 3)
    try store.close()
  }

  @Test(arguments: ["COMMIT", "ROLLBACK"]) func insideATransaction(end: String) throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    try session.run("CREATE PROJECTION kept AS \(Self.names)")
    try session.run("BEGIN")
    try session.run("INSERT INTO t VALUES(50, 'g1', 9)")
    try session.run("CREATE TABLE fresh(a, b)")
    try session.run("INSERT INTO fresh VALUES(1, 2), (1, 3), (NULL, 4)")
    try session.run("CREATE PROJECTION p AS \(Self.sums)")
    try session.run("CREATE PROJECTION of_fresh AS SELECT a, sum(b) AS total FROM fresh GROUP BY a")
    try session.run("UPDATE t SET n = -n WHERE id < 8")
    try session.run("INSERT INTO fresh VALUES(1, 5)")
    try session.run("ALTER PROJECTION kept AS SELECT id, n FROM t")
    session.expectRefused("WAIT FOR p", "within a transaction")
    session.expectRefused("DROP TABLE fresh", "projection of_fresh follows table fresh")
    try session.run(end)
    if end == "ROLLBACK" {
      session.expectRefused("WAIT FOR p", "no such projection: p")
      try session.expect("kept", equals: Self.names)
    } else {
      #expect(try session.compareProjections() == 3)
      try session.expect("kept", equals: "SELECT id, n FROM t")
    }
    (store, session) = try reopen(store, bench)
    try change(session)
    #expect(try session.compareProjections() == (end == "COMMIT" ? 3 : 1))
    try store.close()
  }

  // MARK: Paused

  @Test func pausedAndResumed() throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p AS \(Self.sums)")
    try session.expect("p", equals: Self.sums)
    let before = try session.run(Self.sums)
    try session.run("PAUSE PROJECTION p")
    try session.run("PAUSE PROJECTION p")
    try change(session)
    for round in 0..<3 {
      #expect(sortedRows(try session.run("SELECT * FROM p")) == sortedRows(before), "round \(round)")
      session.expectRefused("WAIT FOR p AT LAST", "projection p is paused at position")
      if round == 0 { (store, session) = try reopen(store, bench) }
      if round == 1 { try change(session) }
    }
    try session.run("RESUME PROJECTION p")
    try session.run("RESUME PROJECTION p")
    try session.expect("p", equals: Self.sums)
    try change(session)
    try session.expect("p", equals: Self.sums)
    try store.close()
  }

  /// Paused before there was anything of it: nobody waits for ever, and RESUME fills it.
  @Test(arguments: ["pause in the transaction", "paused from the start", "pause at once"])
  func pausedBeforeItWasThere(_ way: String) throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    switch way {
    case "paused from the start": try session.run("CREATE PROJECTION p PAUSED AS \(Self.sums)")
    case "pause at once":
      try session.run("CREATE PROJECTION p AS \(Self.sums)")
      try session.run("PAUSE PROJECTION p")
    default:
      try session.run("BEGIN")
      try session.run("CREATE PROJECTION p AS \(Self.sums)")
      try session.run("PAUSE PROJECTION p")
      try session.run("COMMIT")
    }
    try session.run("WAIT FOR p AT 1")
    let before = sortedRows(try session.run(Self.sums))
    #expect(sortedRows(try session.run("SELECT * FROM p")) == before)
    try change(session)
    session.expectRefused("WAIT FOR p AT LAST", "projection p is paused at position")
    #expect(sortedRows(try session.run("SELECT * FROM p")) == before)
    try session.run("RESUME PROJECTION p")
    try session.expect("p", equals: Self.sums)
    try session.run("DROP PROJECTION p")
    try store.close()
  }

  @Test func alteredAndRebuiltWhilePaused() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p PAUSED AS \(Self.sums)")
    try session.wait(for: .projected)
    try change(session)
    try session.run("REBUILD PROJECTION p")
    try session.run("WAIT FOR p AT 1")
    let expected = sortedRows(try session.run(Self.sums))
    #expect(sortedRows(try session.run("SELECT * FROM p")) == expected)
    try change(session)
    #expect(sortedRows(try session.run("SELECT * FROM p")) == expected)
    try session.run("ALTER PROJECTION p AS \(Self.names)")
    try session.run("WAIT FOR p AT 1")
    let altered = sortedRows(try session.run(Self.names))
    try change(session)
    #expect(sortedRows(try session.run("SELECT * FROM p")) == altered)
    try session.run("RESUME PROJECTION p")
    try session.expect("p", equals: Self.names)
    try store.close()
  }

  // MARK: Indexes

  /// Indexes over the copies of projections, by the names that users gave them.
  private func indexes(_ bench: Bench) throws -> [String] {
    try bench.file(
      "SELECT substr(name, length(tbl_name) + 2) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL "
        + "AND tbl_name GLOB 'sluice_[a-z]*_[0-9]' AND name NOT GLOB '*:null'"
    ).map { $0.map(literal).joined() }.sorted()
  }

  @Test func indexesStay() throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p AS \(Self.sums)")
    try session.run("CREATE PROJECTION q AS \(Self.names)")
    try session.run("CREATE INDEX by_total ON p(total, c)")
    try session.run("CREATE UNIQUE INDEX one_each ON q(id, twice)")
    try session.run("CREATE INDEX IF NOT EXISTS by_total ON p(c)")
    let all = ["'by_total'", "'one_each'"]
    try session.compareProjections()
    #expect(try indexes(bench) == all)
    try session.run("REBUILD PROJECTION p")
    try session.run("REBUILD PROJECTION q")
    try change(session)
    try session.compareProjections()
    #expect(try indexes(bench) == all)
    try store.close()
    removeDatabase(bench.projections)
    store = try bench.open()
    session = try store.makeSession()
    try session.compareProjections()
    #expect(try indexes(bench) == all)
    (store, session) = try reopen(store, bench)
    session.expectRefused("CREATE INDEX by_total ON q(id)", "index by_total already exists")
    try session.run("DROP INDEX by_total")
    session.expectRefused("DROP INDEX by_total", "no such index: by_total")
    try session.wait(for: .projected)
    #expect(try indexes(bench) == ["'one_each'"])
    try session.run("DROP PROJECTION q")
    session.expectRefused("DROP INDEX one_each", "no such index: one_each")
    try session.run("CREATE INDEX one_each ON p(c)")
    try change(session)
    try session.compareProjections()
    #expect(try indexes(bench) == ["'one_each'"])
    try store.close()
  }

  /// Names of users' indexes do not meet those of what a copy consists of.
  @Test func indexesOfAnyName() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    let select = "SELECT g, n, count(DISTINCT id) AS d, count(*) AS c FROM t GROUP BY g, n"
    try session.run("CREATE PROJECTION p AS \(select)")
    for (index, name) in ["\"null\"", "values1", "values2", "\"a \"\"quoted\"\" one\""].enumerated() {
      try session.run("CREATE INDEX \(name) ON p(\(index % 2 == 0 ? "n" : "c"))")
    }
    try change(session)
    try session.expect("p", equals: select)
    try session.run("REBUILD PROJECTION p")
    try session.expect("p", equals: select)
    try store.close()
  }

  @Test func indexesThatCannotBe() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p AS SELECT g, avg(n) AS a, sum(n) + 1 AS more FROM t GROUP BY g")
    session.expectRefused("CREATE INDEX i ON p(a)", "computed when it is read")
    session.expectRefused("CREATE INDEX i ON p(more)", "computed when it is read")
    session.expectRefused("CREATE INDEX i ON p(other)", "no such column: other")
    session.expectRefused("CREATE UNIQUE INDEX i ON p(g)", "its groups are unique")
    session.expectRefused("CREATE INDEX i ON q(g)", "no such table")
    try session.expect("p", equals: "SELECT g, avg(n), sum(n) + 1 FROM t GROUP BY g")
    try store.close()
  }

  // MARK: The file

  /// Whatever the file was, one that is made anew has the same content.
  @Test func madeAnew() throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    let selects = [
      "p": Self.sums, "q": Self.names, "single": "SELECT count(*), sum(n), min(g), count(DISTINCT g) FROM t",
      "distinct": "SELECT g, count(DISTINCT n % 3) FROM t GROUP BY g",
    ]
    for (name, select) in selects.sorted(by: { $0.key < $1.key }) {
      try session.run("CREATE PROJECTION \"\(name)\" AS \(select)")
    }
    for _ in 0..<3 { try change(session) }
    try session.compareProjections()
    let before = try selects.keys.sorted().map { sortedRows(try session.run("SELECT * FROM \"\($0)\"")) }
    try store.close()
    removeDatabase(bench.projections)
    store = try bench.open()
    session = try store.makeSession()
    #expect(try session.compareProjections() == 4)
    #expect(try selects.keys.sorted().map { sortedRows(try session.run("SELECT * FROM \"\($0)\"")) } == before)
    for _ in 0..<2 { try change(session) }
    #expect(try session.compareProjections() == 4)
    (store, session) = try reopen(store, bench)
    try change(session)
    #expect(try session.compareProjections() == 4)
    try store.close()
  }

  /// A projection reads its own view, over a view of the user's too.
  @Test func viewsOverProjections() throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p AS \(Self.sums)")
    try session.run("WAIT FOR p")
    try session.run("CREATE VIEW tops AS SELECT top FROM p WHERE c > 1")
    try change(session)
    try session.run("REBUILD PROJECTION p")
    try session.run("WAIT FOR p")
    let expected = try session.run("SELECT top FROM (\(Self.sums)) WHERE c > 1 ORDER BY 1")
    #expect(try session.run("SELECT top FROM projections.tops ORDER BY 1") == expected)
    (store, session) = try reopen(store, bench)
    #expect(try session.run("SELECT top FROM projections.tops ORDER BY 1") == expected)
    try store.close()
  }
}
