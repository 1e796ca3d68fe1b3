// SELECT … AS OF: what a query gave once it gives again, asked about that position later.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct AsOfTests {
  /// Random changes by the statements of the projections' model; behind each the contents are kept, and asked for again
  /// at the end, also by another process of the store.
  @Test(arguments: (1...4).map { testSeed(otherwise: $0) })
  func thePastIsAsItWas(_ seed: UInt64) throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    var run = ProjectionRun(seed: seed)
    for table in ProjectionRun.tables { try session.run(table) }
    var past: [(position: UInt64, rows: [[[Value]]])] = []
    func contents(_ session: Session, _ suffix: String) throws -> [[[Value]]] {
      try ["t", "u", "v"].map { try session.run("SELECT * FROM \($0) ORDER BY 1, 2, 3, 4, 5\(suffix)") }
    }
    for step in 0..<25 {
      try run.change(session)
      if step == 12 { try session.run("DELETE FROM u") }
      try session.wait(for: .applied)
      past.append((session.lastPosition, try contents(session, "")))
    }
    try session.run("ALTER TABLE v ADD COLUMN extra DEFAULT 'x'")
    try session.run("INSERT INTO v VALUES(1, 2, 3, 4.5, 'a', 'b')")
    try session.wait(for: .applied)
    past.append((session.lastPosition, try contents(session, "")))
    func compare(_ session: Session) throws {
      for (position, rows) in past {
        #expect(try contents(session, " AS OF \(position)") == rows, "position \(position), seed \(seed)")
      }
    }
    try compare(session)
    try store.close()
    let again = try bench.open()
    try compare(try again.makeSession())
    try again.close()
  }

  /// A point inside a statement, or inside a staged transaction, shows none of it.
  @Test func whatIsSeenIsWhole() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    try session.run("INSERT INTO t VALUES(1, 1), (2, 1), (3, 1)")
    try session.wait(for: .applied)
    let before = session.lastPosition
    try session.run("UPDATE t SET a = 2")
    try session.wait(for: .applied)
    #expect(session.lastPosition == before + 3)
    for position in before..<before + 3 {
      #expect(try session.run("SELECT sum(a) FROM t AS OF \(position)") == [[.integer(3)]])
    }
    #expect(try session.run("SELECT sum(a) FROM t AS OF \(before + 3)") == [[.integer(6)]])
    // Statements that travelled in one batch are seen one by one.
    for id in 4...6 { try session.run("INSERT INTO t VALUES(\(id), 0)") }
    try session.wait(for: .applied)
    for count in 0...3 {
      let position = before + 3 + UInt64(count)
      #expect(try session.run("SELECT count(*) FROM t AS OF \(position)") == [[.integer(Int64(3 + count))]])
    }
    try session.run("BEGIN")
    for id in 10..<300 { try session.run("INSERT INTO t VALUES(\(id), 'some text that fills the memory')") }
    try session.run("COMMIT")
    try session.wait(for: .applied)
    let last = session.lastPosition
    #expect(last == before + 6 + 290)
    #expect(try session.run("SELECT count(*) FROM t AS OF \(last - 1)") == [[.integer(6)]])
    #expect(try session.run("SELECT count(*) FROM t AS OF \(last)") == [[.integer(296)]])
    try store.close()
  }

  /// Rows that were rejected never were; a dropped table is there at its time, under the name it had.
  @Test func namesAndOutcomesAreThoseOfTheTime() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    try session.run("INSERT INTO t VALUES(1, 'first')")
    try session.run("INSERT INTO t VALUES(1, 'second')")
    try session.wait(for: .applied)
    #expect(session.takeRejections().count == 1)
    let position = session.lastPosition
    try session.run("ALTER TABLE t RENAME TO u")
    let renamed = session.lastPosition
    try session.run("DROP TABLE u")
    #expect(try session.run("SELECT * FROM t AS OF \(position)") == [[.integer(1), text("first")]])
    #expect(try session.run("SELECT * FROM u AS OF \(renamed)") == [[.integer(1), text("first")]])
    #expect(storeError { try session.run("SELECT * FROM u AS OF \(position)") }?.message == "no such table: u")
    #expect(storeError { try session.run("SELECT * FROM t") }?.message == "no such table: t")
    #expect(
      storeError { try session.run("SELECT 1 AS OF 1000") }?.message
        == "AS OF 1000: the last position is \(renamed + 1)")
    try store.close()
  }

  /// What was written while a clock was wrong is seen at the times between which it was written.
  @Test func aClockThatWasWrongOnceHidesNothing() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    let clock = try #require(store.core.options.clock as? SimulatedClock)
    let start = clock.wallMicroseconds()
    let day: Int64 = 86_400_000_000
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    // Days at which the rows 1, 2, 3 … were written, by the clock: far ahead twice, and once far behind.
    for (id, written) in [0, 1, 300, 301, 2, 3, -9_000, 4, 5].enumerated() {
      clock.setWall(microseconds: start + Int64(written) * day)
      try session.run("INSERT INTO t VALUES(\(id + 1))")
      try session.wait(for: .applied)
    }
    func count(_ days: Double) throws -> [[Value]] {
      let time = EventTime.text(start + Int64(days * 86_400) * 1_000_000)
      return try session.run("SELECT count(*) FROM t AS OF '\(time)'")
    }
    for now in [5.5, 299, 400] {
      clock.setWall(microseconds: start + Int64(now * Double(day)))
      let expected = [(0.5, 1), (1.5, 2), (2.5, 5), (3.5, 6), (4.5, 8), (5.2, 9), (now, 9), (now + 1, 9)]
      for (days, rows) in expected {
        #expect(try count(days) == [[.integer(Int64(rows))]], "day \(days), asked on day \(now)")
      }
    }
    try store.close()
  }

  /// Times are those at which batches were written, in UTC.
  @Test func aTimeIsAPoint() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.run("INSERT INTO t VALUES(1)")
    try session.wait(for: .applied)
    let time = store.core.options.clock.wallMicroseconds()
    (store.core.options.clock as? SimulatedClock)?.advance(microseconds: 2_000_000)
    try session.run("INSERT INTO t VALUES(2)")
    try session.wait(for: .applied)
    let asked = try session.run("SELECT strftime('%Y-%m-%dT%H:%M:%S', \(time / 1_000_000 + 1), 'unixepoch') || 'Z'")
    guard case .text(let bytes) = asked[0][0] else { return #expect(Bool(false)) }
    let word = String(decoding: bytes, as: UTF8.self)
    #expect(try session.run("SELECT id FROM t AS OF '\(word)'") == [[.integer(1)]])
    #expect(try session.run("SELECT count(*) FROM t AS OF '2999-01-01'") == [[.integer(2)]])
    #expect(
      storeError { try session.run("SELECT id FROM t AS OF 'soon'") }?.message.hasPrefix("AS OF 'soon': not a time")
        == true)
    try store.close()
  }
}
