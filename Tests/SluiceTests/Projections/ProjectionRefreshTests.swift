// Projections that are made anew as a whole, every so often or when somebody waits for them; and waiting.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ProjectionRefreshTests {
  private func open(_ bench: Bench, _ clock: SimulatedClock = SimulatedClock()) throws -> (Store, Session) {
    let store = try bench.open { $0.clock = clock }
    let session = try store.makeSession()
    try session.run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, g TEXT, n INTEGER)")
    try session.run("CREATE TABLE IF NOT EXISTS names(g TEXT PRIMARY KEY, name TEXT)")
    return (store, session)
  }

  private func fill(_ session: Session) throws {
    for id in 1...12 { try session.run("INSERT OR REPLACE INTO t VALUES(\(id), 'g\(id % 3)', \(id))") }
    for group in 0..<3 { try session.run("INSERT OR REPLACE INTO names VALUES('g\(group)', 'name \(group)')") }
  }

  private static let selects = [
    "joined": "SELECT name, sum(n) AS total FROM t JOIN names USING (g) GROUP BY name",
    "ranked": "SELECT id, rank() OVER (PARTITION BY g ORDER BY n DESC) AS place FROM t",
    "top": "SELECT g, n FROM t ORDER BY n DESC LIMIT 3",
    "recursive": "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 5) SELECT i FROM c",
  ]

  /// Nobody's time has come, but who waits gets what is newest.
  @Test func whoeverWaitsGetsTheNewest() throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    try fill(session)
    for (name, select) in Self.selects.sorted(by: { $0.key < $1.key }) {
      try session.run("CREATE PROJECTION \(name) AS \(select) REFRESH EVERY '1h'")
    }
    #expect(try session.compareProjections() == Self.selects.count)
    for round in 0..<8 {
      try session.run("UPDATE t SET n = n + \(round) WHERE id % 2 = \(round % 2)")
      #expect(try session.compareProjections("round \(round)") == Self.selects.count)
    }
    // A SELECT from it waits by itself.
    try session.run("DELETE FROM t WHERE id > 4")
    #expect(
      sortedRows(try session.run("SELECT * FROM joined")) == sortedRows(try session.run(Self.selects["joined"]!)))
    try session.run("CREATE INDEX by_place ON ranked(place)")
    try session.run("REBUILD PROJECTION ranked")
    try session.run("ALTER PROJECTION top AS SELECT max(n) FROM t REFRESH EVERY '2h'")
    #expect(try session.compareProjections() == Self.selects.count)
    try store.close()
    (store, session) = try open(bench)
    try session.run("INSERT INTO t VALUES(90, 'g1', 900)")
    #expect(try session.compareProjections() == Self.selects.count)
    try store.close()
    removeDatabase(bench.projections)
    (store, session) = try open(bench)
    #expect(try session.compareProjections() == Self.selects.count)
    #expect(try bench.file("SELECT count(*) FROM sqlite_schema WHERE name GLOB '*by_place'") == [[.integer(1)]])
    try store.close()
  }

  @Test func madeAnewWhenItsTimeHasCome() throws {
    let bench = Bench()
    let clock = SimulatedClock()
    let (store, session) = try open(bench, clock)
    try fill(session)
    try session.run("CREATE PROJECTION p AS SELECT count(*) AS c FROM t REFRESH EVERY '5s'")
    try session.run("WAIT FOR p")
    try session.run("SET read = 'any'")
    func count() throws -> [[Value]] { try session.run("SELECT c FROM p") }
    for id in 20...23 { try session.run("INSERT INTO t VALUES(\(id), 'a', 1)") }
    try session.wait(for: .projected)
    #expect(try count() == [[.integer(12)]])
    clock.advance(microseconds: 4_900_000)
    try session.run("INSERT INTO names VALUES('x', 'x')")
    try session.wait(for: .projected)
    #expect(try count() == [[.integer(12)]])
    clock.advance(microseconds: 200_000)
    for step in 0..<3 {
      try session.run("INSERT INTO names VALUES('y\(step)', 'y')")
      try session.wait(for: .projected)
    }
    #expect(try count() == [[.integer(16)]])
    try store.close()
  }

  /// One over another, whatever their names and the order in which they were made; also in a file made anew, and in the
  /// transaction that creates both.
  @Test(arguments: [("a", "z"), ("z", "a")]) func oneOverAnother(_ names: (source: String, over: String)) throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    try fill(session)
    try session.run("BEGIN")
    try session.run("CREATE PROJECTION \(names.source) AS SELECT g, sum(n) AS total FROM t GROUP BY g")
    try session.run("CREATE PROJECTION \(names.over) AS SELECT max(total) FROM \(names.source) REFRESH EVERY '1h'")
    try session.run(
      """
      CREATE PROJECTION last AS SELECT \(names.over).*, count(*) AS c FROM \(names.source), \(names.over)
      REFRESH EVERY '1h'
      """)
    try session.run("COMMIT")
    func check(_ comment: Comment) throws {
      try session.run("WAIT FOR \(names.over)")
      #expect(
        try session.run("SELECT * FROM \(names.over)")
          == session.run("SELECT max(s) FROM (SELECT sum(n) AS s FROM t GROUP BY g)"), comment)
    }
    try check("created")
    try session.run("UPDATE t SET n = n * 2")
    try check("changed")
    try store.close()
    removeDatabase(bench.projections)
    (store, session) = try open(bench)
    try check("made anew")
    #expect(try bench.file("SELECT count(*) FROM sluice_copies WHERE state = 'failed'") == [[.integer(0)]])
    try store.close()
  }

  /// What is wrong is told to who waits; it is tried again, and goes on when it is mended.
  @Test func oneThatFails() throws {
    let bench = Bench()
    let clock = SimulatedClock()
    let (store, session) = try open(bench, clock)
    try fill(session)
    let select = "SELECT t.g, name, json(n) AS n FROM t JOIN names USING (g)"
    try session.run("CREATE PROJECTION p AS \(select) REFRESH EVERY '5s'")
    try session.run("CREATE PROJECTION steady AS SELECT count(*) AS c FROM t")
    try session.expect("p", equals: select)
    try session.run("DROP TABLE names")
    try session.run("INSERT INTO t VALUES(50, 'a', 1)")
    clock.advance(microseconds: 6_000_000)
    session.expectRefused("WAIT FOR p", "projection p has failed at position")
    session.expectRefused("WAIT FOR p", "no such table: names")
    try session.expect("steady", equals: "SELECT count(*) FROM t")
    try session.run("CREATE TABLE names(g TEXT PRIMARY KEY, name TEXT)")
    try session.run("INSERT INTO names VALUES('a', 'again')")
    clock.advance(microseconds: 6_000_000)
    for step in 0..<3 {
      try session.run("INSERT INTO t VALUES(\(60 + step), 'b', 1)")
      try session.wait(for: .projected)
    }
    try session.expect("p", equals: select)
    try store.close()
  }

  @Test func overWhatIsDifferentEachTime() throws {
    let bench = Bench()
    let clock = SimulatedClock()
    let (store, session) = try open(bench, clock)
    try fill(session)
    try session.run("CREATE PROJECTION dice AS SELECT random() AS r, count(*) AS c FROM t REFRESH EVERY '5s'")
    session.expectRefused("CREATE PROJECTION kept AS SELECT id, random() AS r FROM t", "non-deterministic")
    try session.run("WAIT FOR dice")
    let first = try session.run("SELECT r FROM dice")
    clock.advance(microseconds: 6_000_000)
    // The projector looks for what is due when it has projected something.
    for step in 0..<3 {
      try session.run("INSERT INTO names VALUES('s\(step)', '')")
      try session.wait(for: .projected)
    }
    #expect(try session.run("SELECT r FROM dice") != first)
    try store.close()
  }

  /// While it is paused it holds what it held, and says up to where.
  @Test func pausedWhileItIsBehind() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try fill(session)
    try session.run("CREATE PROJECTION p AS SELECT count(*) AS c FROM t REFRESH EVERY '1h'")
    try session.run("WAIT FOR p")
    try session.run("INSERT INTO t VALUES(70, 'a', 1)")
    try session.wait(for: .projected)
    let behind = session.lastPosition
    try session.run("PAUSE PROJECTION p")
    session.expectRefused("WAIT FOR p AT \(behind)", "projection p is paused at position")
    #expect(try session.run("SELECT c FROM p") == [[.integer(12)]])
    try session.run("RESUME PROJECTION p")
    try session.run("WAIT FOR p AT \(behind)")
    #expect(try session.run("SELECT c FROM p") == [[.integer(13)]])
    try store.close()
  }

  // MARK: Waiting

  @Test func waiting() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try fill(session)
    try session.run("CREATE PROJECTION p AS SELECT g, count(*) AS c FROM t GROUP BY g")
    let other = try store.makeSession()
    session.expectRefused("WAIT FOR q", "no such projection: q")
    guard case .integer(let before)? = try session.run("SELECT sluice_position()").first?.first else { return }
    try other.run("INSERT INTO t VALUES(80, 'other', 1)")
    guard case .integer(let after)? = try other.run("SELECT sluice_position()").first?.first else { return }
    #expect(after == Int64(store.lastPosition) && after > before)
    #expect(try session.run("SELECT sluice_position()") == [[.integer(before)]])
    try session.run("WAIT FOR p AT \(after)")
    #expect(try session.run("SELECT c FROM projections.p WHERE g = 'other'") == [[.integer(1)]])
    #expect(store.progress.projected >= UInt64(after))
    try other.run("INSERT INTO t VALUES(81, 'other', 1)")
    try other.settle()
    try session.run("WAIT FOR t AT LAST")
    try session.run("WAIT FOR p AT LAST TIMEOUT '1s'")
    #expect(store.progress.projected == store.lastPosition)
    let error = storeError { try session.run("WAIT FOR p AT \(after + 100) TIMEOUT '1ms'") }
    #expect(error?.kind == .overloaded && error?.sqliteCode == 5, "\(error.map { "\($0)" } ?? "")")
    #expect(error?.message.contains("and not at \(after + 100) after the time that was given") == true)
    try session.run("BEGIN")
    session.expectRefused("WAIT FOR p", "within a transaction")
    try session.run("ROLLBACK")
    try store.close()
  }

  /// A SELECT from a projection has what the session wrote, unless it is told not to wait.
  @Test func readingOnesOwn() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE PROJECTION p AS SELECT count(*) AS c FROM t")
    try session.run("WAIT FOR p")
    var behind = 0
    for id in 1...20 {
      try session.run("SET read = '\(id % 2 == 0 ? "own" : "any")'")
      try session.run("INSERT INTO t VALUES(\(id), 'a', 1)")
      let found = try session.run("SELECT c FROM p")
      if found != [[.integer(Int64(id))]] { behind += 1 }
      if id % 2 == 0 { #expect(found == [[.integer(Int64(id))]]) }
    }
    #expect(behind > 0, "reading any never reads what is older")
    session.expectRefused("SET read = 'other'", "read is own")
    try store.close()
  }
}
