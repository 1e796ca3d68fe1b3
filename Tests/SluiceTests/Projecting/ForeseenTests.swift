// A transaction that the projector writes before COMMIT: what projections.db holds must be what it would hold without
// that, whatever becomes of the transaction and whatever comes in between.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ForeseenTests {
  /// A store with a table of each kind and a projection, all of it projected.
  private func begin(_ bench: Bench) throws -> (Store, Session) {
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, g, note TEXT)")
    try session.run("CREATE TABLE v(g, note TEXT)")
    try session.run("CREATE PROJECTION p AS SELECT g, count(*) AS n, sum(id) AS total FROM t GROUP BY g")
    try session.run("INSERT INTO t VALUES(1, 'old', 'kept'), (500, 'old', 'kept')")
    try session.wait(for: .projected)
    while try store.core.projector.step() {}
    return (store, session)
  }

  /// Statements that fill several staged batches.
  private func insert(_ session: Session, _ ids: ClosedRange<Int>, verb: String = "INSERT") throws {
    for id in ids {
      try session.run("\(verb) INTO t VALUES(\(id), \(id % 7), 'row number \(id) with some text')")
      try session.run("INSERT INTO v VALUES(\(id), 'the same')")
    }
  }

  /// Lets the projector do all it can, and tells whether it writes a transaction that is not committed.
  private func runAhead(_ store: Store) throws -> Bool {
    while try store.core.projector.step() {}
    return store.core.projector.isAhead
  }

  private func expectSame(
    _ session: Session, _ bench: Bench, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try session.wait(for: .projected)
    for query in [
      "SELECT * FROM t ORDER BY id", "SELECT rowid, * FROM v ORDER BY 1",
      "SELECT g, count(*), sum(id) FROM t GROUP BY g ORDER BY typeof(g), g",
    ] {
      #expect(try bench.file(query) == session.run(query), "\(query)", sourceLocation: sourceLocation)
    }
    #expect(
      try bench.file("SELECT * FROM p ORDER BY typeof(g), g")
        == session.run("SELECT g, count(*), sum(id) FROM t GROUP BY g ORDER BY typeof(g), g"),
      sourceLocation: sourceLocation)
  }

  @Test func committed() throws {
    let bench = Bench()
    let (store, session) = try begin(bench)
    try session.run("BEGIN")
    try insert(session, 10...60)
    #expect(try runAhead(store))
    #expect(try bench.file("SELECT count(*) FROM t") == [[.integer(2)]], "nobody sees it before COMMIT")
    try insert(session, 61...99)
    #expect(try runAhead(store))
    try session.run("COMMIT")
    try expectSame(session, bench)
    #expect(store.core.projector.writtenAheadCount == 1, "it was not written a second time")
    // The next one is foreseen too.
    try session.run("BEGIN")
    try insert(session, 100...130)
    #expect(try runAhead(store))
    try session.run("COMMIT")
    try expectSame(session, bench)
    #expect(store.core.projector.writtenAheadCount == 2)
    try store.close()
  }

  /// The projector has seen a part only; the rest comes by the usual way.
  @Test func committedInTheMiddle() throws {
    let bench = Bench()
    let (store, session) = try begin(bench)
    try session.run("BEGIN")
    try insert(session, 10...200)
    for _ in 0..<3 { _ = try store.core.projector.step() }
    #expect(store.core.projector.isAhead)
    try session.run("COMMIT")
    try expectSame(session, bench)
    #expect(store.core.projector.writtenAheadCount == 1)
    try store.close()
  }

  @Test func rolledBack() throws {
    let bench = Bench()
    let (store, session) = try begin(bench)
    try session.run("BEGIN")
    try insert(session, 10...90)
    #expect(try runAhead(store))
    try session.run("ROLLBACK")
    #expect(try !runAhead(store))
    try session.run("INSERT INTO t VALUES(20, 'new', 'behind it')")
    try expectSame(session, bench)
    try store.close()
  }

  @Test func duplicateKeys() throws {
    let bench = Bench()
    let (store, session) = try begin(bench)
    try session.run("BEGIN")
    try insert(session, 10...90)
    try session.run("INSERT INTO t VALUES(500, 'not', 'taken')")
    try insert(session, 91...150)
    #expect(try runAhead(store))
    try session.run("COMMIT")
    try expectSame(session, bench)
    #expect(session.takeRejections().count == 1)
    #expect(store.core.projector.writtenAheadCount == 0)
    try store.close()
  }

  @Test func anotherSessionIsFaster() throws {
    let bench = Bench()
    let (store, session) = try begin(bench)
    let other = try store.makeSession()
    try session.run("BEGIN")
    try insert(session, 10...90)
    #expect(try runAhead(store))
    try other.run("INSERT INTO t VALUES(20, 'other', 'first')")
    try other.wait(for: .projected)
    #expect(!store.core.projector.isAhead)
    #expect(try bench.file("SELECT g FROM t WHERE id = 20") == [[text("other")]])
    try insert(session, 91...150)
    #expect(try !runAhead(store), "given up once, it is not taken again")
    try session.run("COMMIT")
    try expectSame(session, bench)
    #expect(session.takeRejections().count == 1)
    try store.close()
  }

  /// Another session's commands get the positions in front, between the projector's last look and COMMIT.
  @Test func anotherSessionComesInBetween() throws {
    let bench = Bench()
    let (store, session) = try begin(bench)
    let other = try store.makeSession()
    try session.run("BEGIN")
    try insert(session, 10...90)
    #expect(try runAhead(store))
    try other.run("INSERT INTO v VALUES('other', 'first')")
    try other.sendBatch()
    try session.run("COMMIT")
    try expectSame(session, bench)
    #expect(store.core.projector.writtenAheadCount == 0)
    try store.close()
  }

  @Test func rowsLeftOut() throws {
    let bench = Bench()
    let (store, session) = try begin(bench)
    try session.run("BEGIN")
    try insert(session, 1...90, verb: "INSERT OR IGNORE")
    #expect(try !runAhead(store))
    try session.run("COMMIT")
    try expectSame(session, bench)
    try store.close()
  }

  @Test func tablesOfTheTransaction() throws {
    let bench = Bench()
    let (store, session) = try begin(bench)
    for ending in ["ROLLBACK", "COMMIT"] {
      try session.run("BEGIN")
      try session.run("CREATE TABLE w(a TEXT PRIMARY KEY, b)")
      try session.run("CREATE INDEX wb ON w(b)")
      for row in 0..<80 { try session.run("INSERT INTO w VALUES('key \(row)', \(row % 3))") }
      #expect(try runAhead(store))
      try session.run(ending)
      #expect(try !runAhead(store))
    }
    try expectSame(session, bench)
    #expect(
      try bench.file("SELECT count(*), sum(b) FROM w INDEXED BY wb WHERE b >= 0") == [[.integer(80), .integer(79)]])
    try store.close()
  }

  /// A SELECT in the transaction takes its rows back into memory.
  @Test func readInside() throws {
    let bench = Bench()
    let (store, session) = try begin(bench)
    try session.run("BEGIN")
    try insert(session, 10...90)
    #expect(try runAhead(store))
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(83)]])
    #expect(try !runAhead(store))
    try session.run("COMMIT")
    try expectSame(session, bench)
    try store.close()
  }

  /// A session that sits in its transaction does not keep SQLite's open, nor a command that wants the projector.
  @Test(arguments: ["idle", "redrive"]) func givenUp(_ reason: String) throws {
    let bench = Bench()
    let clock = SimulatedClock(seed: 1)
    let store = try bench.open { $0.clock = clock }
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, g, note TEXT)")
    try session.run("CREATE TABLE v(g, note TEXT)")
    try session.run("CREATE PROJECTION p AS SELECT g, count(*) AS n, sum(id) AS total FROM t GROUP BY g")
    try session.wait(for: .projected)
    while try store.core.projector.step() {}
    try session.run("BEGIN")
    try insert(session, 10...90)
    #expect(try runAhead(store))
    if reason == "idle" {
      clock.advance(microseconds: 2_000_000)
    } else {
      try store.makeSession().run("REDRIVE PROJECTION p")
    }
    #expect(try !runAhead(store))
    try session.run("COMMIT")
    try expectSame(session, bench)
    try store.close()
  }

  @Test func leftAndReopened() throws {
    let bench = Bench()
    do {
      let (store, session) = try begin(bench)
      try session.run("BEGIN")
      try insert(session, 10...90)
      #expect(try runAhead(store))
      try store.close()
    }
    let store = try bench.open()
    #expect(try bench.file("SELECT count(*) FROM t") == [[.integer(2)]])
    try expectSame(try store.makeSession(), bench)
    try store.close()
  }

  /// Random histories of two sessions, with steps of the projector anywhere in between.
  @Test(arguments: Set((1...20).map { testSeed(otherwise: $0) }).sorted())
  func sameAsTheTables(_ seed: UInt64) throws {
    let bench = Bench()
    let (store, first) = try begin(bench)
    let sessions = [first, try store.makeSession()]
    var random = SeededRandom(seed: seed)
    var ahead = 0
    for _ in 0..<150 {
      let session = sessions[random.below(8) == 0 ? 1 : 0]
      if !session.inTransaction, random.below(2) == 0 { try session.run("BEGIN") }
      let ignores = random.below(20) == 0
      for _ in 0..<random.below(40) {
        let id = random.below(100_000)
        let verb = random.below(4) == 0 ? "INSERT OR REPLACE" : ignores ? "INSERT OR IGNORE" : "INSERT"
        try session.run("\(verb) INTO t VALUES(\(id), \(random.below(5)), 'some text of \(id)')")
        if random.below(3) == 0 { try session.run("INSERT INTO v VALUES(\(id), 'v')") }
      }
      for _ in 0..<random.below(12) { _ = try store.core.projector.step() }
      if store.core.projector.isAhead { ahead += 1 }
      if session.inTransaction, random.below(3) == 0 { try session.run(random.below(4) == 0 ? "ROLLBACK" : "COMMIT") }
    }
    for session in sessions where session.inTransaction { try session.run("COMMIT") }
    for session in sessions { try session.wait(for: .projected) }
    try expectSame(first, bench)
    #expect(ahead > 0, "nothing was foreseen: \(repeatCommand(seed, "ForeseenTests"))")
    try store.close()
  }
}

/// With threads, for the thread sanitizer.
@Suite struct ForeseenConcurrencyTests {
  @Test func besideSmallCommits() throws {
    let scratch = Scratch()
    var options = StoreOptions()
    options.stageBytes = 4 << 10
    let store = try Store.open(path: scratch.file("shop"), options: options)
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, g, note TEXT)")
    let failures = Monitor<[String]>([])
    let small = try Thread(name: "small") {
      do throws(StoreError) {
        let session = try store.makeSession()
        for id in 0..<300 {
          try session.run("INSERT INTO t VALUES(\(-1 - id), 'small', 'one')")
          // Its last rows too are to be seen by the other session.
          try session.wait(for: id % 10 == 9 ? .projected : .durable)
          if id % 20 == 19 { Thread.sleep(nanoseconds: 2_000_000) }
        }
      } catch { failures.update { $0.append("\(error)") } }
    }
    for round in 0..<30 {
      try session.run("BEGIN")
      for id in 0..<400 { try session.run("INSERT INTO t VALUES(\(round * 1_000 + id), \(round), 'a row of many')") }
      try session.run(round % 5 == 4 ? "ROLLBACK" : "COMMIT")
    }
    small.join()
    try session.wait(for: .projected)
    #expect(failures.withLock { $0 } == [])
    let query = "SELECT count(*), sum(id), count(DISTINCT g) FROM t"
    let rounds = (0..<30).filter { $0 % 5 != 4 }
    let sum = rounds.reduce(0) { $0 + $1 * 400_000 + 79_800 } - 300 * 301 / 2
    let expected: [Value] = [.integer(Int64(rounds.count * 400 + 300)), .integer(Int64(sum)), .integer(25)]
    #expect(try session.run(query) == [expected])
    let file = try Connection(path: scratch.file("shop/projections.db"), mode: .readOnly)
    #expect(try file.prepare(query).rows() == session.run(query))
    file.close()
    try store.close()
  }
}
