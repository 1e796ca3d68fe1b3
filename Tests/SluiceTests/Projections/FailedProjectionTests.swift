// A projection whose query fails: the statement that asks for it fails with the reason, and nothing else does; what was
// right before is not passed off as what is right now. And statements that are prepared read what their session wrote.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct FailedProjectionTests {
  private func open(_ bench: Bench) throws -> (Store, Session) {
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    try session.run("INSERT INTO t VALUES(1, '{}')")
    try session.run("CREATE PROJECTION p AS SELECT count(json(v)) AS n FROM t REFRESH EVERY '1h'")
    try session.run("WAIT FOR p")
    return (store, session)
  }

  private static let reads = [
    "SELECT n FROM p", "SELECT count(*) FROM p", "SELECT n FROM projections.p", "SELECT t.id, n FROM t, p",
    "SELECT (SELECT n FROM p) FROM t", "SELECT n FROM w", "SELECT 1 FROM w, t",
    "WITH q AS MATERIALIZED (SELECT * FROM p) SELECT 1 FROM q",
  ]

  @Test(arguments: reads) func itFailsTheStatementThatAsks(_ query: String) throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE VIEW w AS SELECT n FROM p")
    let prepared = try session.prepare(query)
    let before = try session.run(query)
    #expect(try taken(prepared.run()) == before)
    try session.run("INSERT INTO t VALUES(2, 'no json')")
    for body in [{ try session.run(query) }, { try self.taken(prepared.run()) }] {
      let error = storeError { _ = try body() }
      #expect(error?.message.contains("projection p has failed") == true, "\(query): \(String(describing: error))")
      #expect(
        error?.message.contains("malformed JSON") == true && error?.message.contains("ALTER PROJECTION p") == true)
      #expect(error?.kind == .invalid && error?.isParse == false && error?.sqliteCode == 1)
    }
    try session.run("INSERT INTO t VALUES(3, '{}')")
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(3)]])
    let shown = try session.run("SHOW PROJECTIONS").first { $0[0] == text("p") }
    #expect(shown?[2] == text("failed") && shown?[8] == text("malformed JSON"))
    // Nobody has to wait for its next hour.
    try session.run("UPDATE t SET v = '{}' WHERE id = 2")
    #expect(try session.run("SELECT n FROM p") == [[.integer(3)]])
    #expect(try !session.run(query).isEmpty && !taken(prepared.run()).isEmpty)
    try store.close()
  }

  private func taken(_ outcome: Outcome) throws -> [[Value]] {
    guard case .rows(let rows) = outcome else { return [] }
    var result: [[Value]] = []
    while try rows.next() { result.append((0..<rows.columnCount).map { rows.value($0) }) }
    return result
  }

  @Test(arguments: [
    "INSERT INTO u SELECT n FROM p", "UPDATE u SET id = (SELECT n FROM p) + 10",
    "DELETE FROM u WHERE id < (SELECT n FROM p)",
  ])
  func itFailsTheChangeThatReadsIt(_ change: String) throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE TABLE u(id INTEGER PRIMARY KEY)")
    try session.run("INSERT INTO u VALUES(50)")
    try session.run("INSERT INTO t VALUES(2, 'no json')")
    session.expectRefused(change, "projection p has failed")
    #expect(try session.run("SELECT id FROM u") == [[.integer(50)]])
    try store.close()
  }

  /// A change reads what the session wrote, too.
  @Test func aChangeReadsItsOwn() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE TABLE u(id INTEGER PRIMARY KEY)")
    for id in 2...6 {
      try session.run("INSERT INTO t VALUES(\(id), '{}')")
      try session.run("INSERT INTO u SELECT n FROM p")
    }
    #expect(try session.run("SELECT id FROM u") == (2...6).map { [.integer($0)] })
    try store.close()
  }

  /// What it was made of is gone: the rows of before are not shown as those of now, in this session or another one.
  @Test func itsTableIsDropped() throws {
    let bench = Bench()
    var (store, session) = try open(bench)
    try session.run("DROP TABLE t")
    session.expectRefused("SELECT n FROM p", "no such table: t")
    session.expectRefused("WAIT FOR p", "no such table: t")
    let other = try store.makeSession()
    other.expectRefused("SELECT n FROM p", "no such table: t")
    try session.run("SET read = 'any'")
    #expect(try session.run("SELECT n FROM p") == [[.integer(1)]])
    try store.close()
    store = try bench.open()
    session = try store.makeSession()
    session.expectRefused("SELECT n FROM p", "no such table: t")
    try store.close()
  }

  /// A projection over a failed one fails as well.
  @Test func itFailsWhatIsMadeOfIt() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE PROJECTION q AS SELECT n + 1 AS n FROM p REFRESH EVERY '1h'")
    #expect(try session.run("SELECT n FROM q") == [[.integer(2)]])
    try session.run("INSERT INTO t VALUES(2, 'no json')")
    session.expectRefused("SELECT n FROM q", "it reads projection p, which has failed: malformed JSON")
    try session.run("DELETE FROM t WHERE id = 2")
    #expect(try session.run("SELECT n FROM q") == [[.integer(2)]])
    try store.close()
  }

  /// One that waits, or is behind, does not end a script either.
  @Test func noneOfTheseMeansThatTheStoreIsOutOfUse() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("PAUSE PROJECTION p")
    try session.run("INSERT INTO t VALUES(2, '{}')")
    for statement in ["WAIT FOR p", "WAIT FOR t AT 100000 TIMEOUT '1ms'"] {
      let error = storeError { try session.run(statement) }
      #expect(error != nil && error?.kind != .unavailable && error?.sqliteCode == 5, "\(statement)")
    }
    try store.close()
  }

  // MARK: Prepared

  @Test(
    arguments: [" REFRESH EVERY '1h'", ""], ["SELECT n FROM p", "SELECT count(*), max(n) FROM p", "SELECT n FROM w"])
  func aPreparedSelectReadsWhatItsSessionWrote(_ refresh: String, _ query: String) throws {
    let scratch = Scratch()
    let store = try Store.open(path: scratch.file("shop"))
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.run("CREATE PROJECTION p AS SELECT count(*) AS n FROM t\(refresh)")
    try session.run("CREATE VIEW w AS SELECT n FROM p")
    try session.run("WAIT FOR p")
    let select = try session.prepare(query)
    let another = try session.prepare("SELECT ?")
    for id in 1...40 {
      try session.run("INSERT INTO t VALUES(\(id))")
      if id % 3 == 0 { #expect(try taken(another.run([.integer(7)])) == [[.integer(7)]]) }
      #expect(try taken(select.run()).last?.last == .integer(Int64(id)), "\(query)\(refresh)")
    }
    try store.close()
  }

  /// What a name means changes under a prepared statement: it waits for what it reads now.
  @Test func aPreparedSelectFollowsItsNames() throws {
    let bench = Bench()
    let (store, session) = try open(bench)
    try session.run("CREATE VIEW w AS SELECT 0 AS n FROM t")
    let select = try session.prepare("SELECT max(n) FROM w")
    #expect(try taken(select.run()) == [[.integer(0)]])
    try session.run("DROP VIEW w")
    try session.run("CREATE VIEW w AS SELECT n FROM p")
    for id in 2...5 {
      try session.run("INSERT INTO t VALUES(\(id), '{}')")
      #expect(try taken(select.run()) == [[.integer(Int64(id))]])
    }
    try session.run("DROP VIEW w")
    #expect(storeError { _ = try select.run() }?.message == "no such table: w")
    try store.close()
  }

  /// The same from Swift's own client.
  @Test func theClientIsTold() async throws {
    let scratch = Scratch()
    let store = try await Store.open(path: scratch.file("shop"))
    let client = try await store.makeClient()
    for text in [
      "CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES(1, '{}')",
      "CREATE PROJECTION p AS SELECT count(json(v)) AS n FROM t REFRESH EVERY '1h'",
    ] { try await client.execute(text) }
    let select = try await client.prepare("SELECT n FROM p")
    for id in 2...9 {
      try await client.execute("INSERT INTO t VALUES(\(id), '{}')")
      var found: [Value] = []
      for try await row in select.query() { found.append(row[0]) }
      #expect(found == [.integer(Int64(id))])
    }
    try await client.execute("INSERT INTO t VALUES(10, 'no json')")
    for isPrepared in [false, true] {
      var error: StoreError?
      do {
        for try await _ in isPrepared ? select.query() : client.query("SELECT n FROM p") {}
      } catch let failure as StoreError { error = failure }
      #expect(error?.message.contains("projection p has failed") == true && error?.kind == .invalid)
    }
    try await client.execute("INSERT INTO t VALUES(11, '{}')")
    try await client.close()
    try await store.close()
  }
}
