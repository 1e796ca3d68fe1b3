// Retention: segments that everybody has passed go, from the front and whole; what somebody needs stays; a store whose
// log begins later is opened, read and checked like any other. Each staged transaction is two segments here.
import SluiceLog
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct RetentionTests {
  private func load(_ session: Session, _ transactions: ClosedRange<Int>) throws {
    for number in transactions {
      try session.run("BEGIN")
      for row in 0..<40 {
        try session.run("INSERT INTO t VALUES(\(number * 100 + row), 'some text that fills the memory of a batch')")
      }
      try session.run("COMMIT")
    }
    try session.wait(for: .projected)
  }

  /// Lets everybody do what there is.
  private func settle(_ store: Store) throws {
    try store.core.pipeline.flush()
    _ = try store.core.pipeline.wait(timeoutMicroseconds: 1, unless: { nil }) { _ -> Void? in nil }
  }

  @Test func oldSegmentsGo() throws {
    let bench = Bench()
    var store = try bench.open()
    var session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    #expect(try session.run("SHOW retain") == [[text("forever")]])
    try load(session, 1...4)
    try settle(store)
    #expect(store.core.pipeline.log.firstPosition == 1)
    try session.run("ALTER STORE SET retain = '1 KB'")
    #expect(try session.run("SHOW retain") == [[text("1 KB")]])
    try load(session, 5...6)
    try settle(store)
    let first = store.core.pipeline.log.firstPosition
    #expect(first > 160)
    let expected = try session.run("SELECT count(*), sum(id) FROM t")
    #expect(expected[0][0] == .integer(240))
    #expect(try session.run("SELECT min(position) >= \(first) FROM sluice_events") == [[.integer(1)]])
    #expect(
      storeError { try session.run("SELECT count(*) FROM t AS OF 100") }?.message.contains(
        "begins at position \(first)")
        == true)
    try store.close()
    // The same store in another process; the rule holds on; projections.db is made anew without the log.
    removeDatabase(bench.projections)
    store = try bench.open()
    session = try store.makeSession()
    #expect(try session.run("SHOW retain") == [[text("1 KB")]])
    #expect(store.core.pipeline.log.firstPosition >= first)
    try session.wait(for: .projected)
    #expect(try session.run("SELECT count(*), sum(id) FROM projections.t") == expected)
    try session.run("ALTER STORE SET retain = forever")
    let kept = store.core.pipeline.log.firstPosition
    try load(session, 7...9)
    try settle(store)
    #expect(store.core.pipeline.log.firstPosition == kept)
    try store.close()
  }

  /// An age counts from what was written last in a segment.
  @Test func ageDecides() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    try session.run("ALTER STORE SET retain = '30 days'")
    try load(session, 1...3)
    try settle(store)
    #expect(store.core.pipeline.log.firstPosition == 1)
    let clock = try #require(store.core.options.clock as? SimulatedClock)
    clock.advance(microseconds: 29 * 86_400_000_000)
    let position = store.lastPosition
    try load(session, 4...4)
    try settle(store)
    #expect(store.core.pipeline.log.firstPosition == 1)
    clock.advance(microseconds: 2 * 86_400_000_000)
    try load(session, 5...5)
    try settle(store)
    #expect(store.core.pipeline.log.firstPosition > 40)
    #expect(store.core.pipeline.log.firstPosition <= position + 1)
    try store.close()
  }

  /// A clock that was ahead, or far behind, when something was written says nothing about the rest.
  @Test(arguments: [300, -9_000]) func aClockThatWasWrongOnceHoldsNothingUp(_ wrong: Int64) throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    let clock = try #require(store.core.options.clock as? SimulatedClock)
    let start = clock.wallMicroseconds()
    func set(day: Int64) { clock.setWall(microseconds: start + day * 86_400_000_000) }
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    try load(session, 1...1)
    set(day: 1)
    try load(session, 2...2)
    set(day: wrong)
    try load(session, 3...3)
    for day in 2...9 {
      set(day: Int64(day))
      try load(session, (2 + day)...(2 + day))
    }
    // Of day 5 is the transaction 7, and what is younger than three days begins with it at the earliest.
    try session.run("ALTER STORE SET retain = '3 days'")
    try settle(store)
    let first = store.core.pipeline.log.firstPosition
    #expect(first > 160 && first <= 300, "the log begins at \(first)")
    set(day: 60)
    try load(session, 12...12)
    set(day: 64)
    try load(session, 13...13)
    try settle(store)
    #expect(store.core.pipeline.log.firstPosition > 400)
    try store.close()
  }

  /// Who is behind keeps what it needs: a reader at work, and projections.db.
  @Test func whoIsBehindKeepsItsSegments() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    try session.run("ALTER STORE SET retain = '1 KB'")
    try load(session, 1...2)
    var reader: LogReader? = try store.core.pipeline.log.reader(after: 0, upTo: 10)
    try load(session, 3...6)
    try settle(store)
    let kept = store.core.pipeline.log.firstPosition
    #expect(kept == 1)
    var positions: UInt64 = 0
    while let record = try reader?.next() {
      if case .commands(let batch, _) = record { positions = batch.lastPosition }
    }
    #expect(positions >= 10)
    reader = nil
    try load(session, 7...7)
    try settle(store)
    #expect(store.core.pipeline.log.firstPosition > 160)
    try store.close()
  }

  /// A group of `sluice tail` keeps what it has not seen.
  @Test func aGroupKeepsItsSegments() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    try session.run("ALTER STORE SET retain = '1 KB'")
    let lock = try store.core.groups.take("billing")
    try store.core.groups.write("billing", position: 50, timeMicroseconds: 1)
    try load(session, 1...6)
    try settle(store)
    let first = store.core.pipeline.log.firstPosition
    #expect(first > 1 && first <= 51)
    lock.release()
    try store.core.groups.remove("billing")
    try load(session, 7...7)
    try settle(store)
    #expect(store.core.pipeline.log.firstPosition > 160)
    try store.close()
  }

  /// A crash at each step of dropping leaves a log that is whole from where it begins.
  @Test func aCrashWhileDropping() throws {
    let bench = Bench()
    let plain = try bench.open()
    let session = try plain.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    try load(session, 1...5)
    try plain.close()
    let before = bench.disk.crashImage(.keepAll)
    var crashes = 0
    for call in 1...600 {
      let disk = before.crashImage(.keepAll)
      let file = bench.scratch.file("crash.db")
      removeDatabase(file)
      disk.crash(at: call)
      do {
        let store = try Store.open(path: "shop", options: simulatedOptions(disk, projections: file))
        let session = try store.makeSession()
        try session.run("ALTER STORE SET retain = '1 KB'")
        try load(session, 6...6)
        try settle(store)
        try store.close()
      } catch {}
      if !disk.isCrashed { break }
      crashes += 1
      removeDatabase(file)
      let options = simulatedOptions(disk.crashImage(seed: UInt64(call)), projections: file)
      let store = try Store.open(path: "shop", options: options)
      let count = try store.makeSession().run("SELECT count(*) FROM t")
      #expect(count == [[.integer(200)]] || count == [[.integer(240)]], "crash at call \(call): \(count)")
      try store.close()
    }
    #expect(crashes > 20)
  }
}
