// What `sluice_projections` tells: signs of life, lag, rows per second, states; and what it is made of.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ProjectorStatusTests {
  @Test func rowsPerSecondLookBackFourSeconds() {
    let clock = SimulatedClock()
    var status = ProjectorStatus()
    #expect(status.rowsPerSecond(clock) == 0)
    clock.advance(microseconds: 10_000_000)
    status.committed(500, clock)
    #expect(status.rowsPerSecond(clock) == 500, "of the first moment a second is taken")
    for _ in 0..<80 {
      clock.advance(microseconds: 50_000)
      status.committed(100, clock)
    }
    #expect((1_900...2_200).contains(status.rowsPerSecond(clock)), "\(status.rowsPerSecond(clock))")
    clock.advance(microseconds: 2_000_000)
    #expect((900...1_100).contains(status.rowsPerSecond(clock)), "\(status.rowsPerSecond(clock))")
    clock.advance(microseconds: 2_000_001)
    #expect(status.rowsPerSecond(clock) == 0)
    status.committed(400, clock)
    #expect(status.rowsPerSecond(clock) == 100)
  }

  @Test func patience() {
    let clock = SimulatedClock()
    var status = ProjectorStatus()
    status.block(clock, by: [processIdentifier()], .reads)
    let start = clock.monotonicNanoseconds()
    clock.advance(microseconds: 4_999_999)
    status.block(clock, by: [processIdentifier()], .reads)
    #expect(status.refusal(clock, waitingSince: start) == nil)
    clock.advance(microseconds: 1)
    let message =
      "projections.db is behind: this process reads old pages of it, and its write-ahead log is full (64 MiB); "
      + "what is missing follows when that has ended, or at the next opening"
    #expect(status.refusal(clock, waitingSince: start)?.message == message)
    #expect(status.refusal(clock, waitingSince: clock.monotonicNanoseconds()) == nil, "it has just begun to wait")
    status.block(clock, by: [], .writes)
    #expect(status.refusal?.message.contains("another process writes to it") == true)
    #expect(status.state(lag: 1) == .blocked)
    status.goOn(isRebuilding: false)
    #expect(status.refusal(clock, waitingSince: start) == nil && status.blockedBy == nil)
    #expect(status.state(lag: 1) == .behind && status.state(lag: 0) == .current)
    status.goOn(isRebuilding: true)
    #expect(status.state(lag: 0) == .rebuilding)
  }

  /// Readers on read marks of their own: only who is in the way is named.
  @Test func whoIsInTheWay() {
    func lock(_ process: Int32, _ range: ClosedRange<UInt64>) -> HeldLock {
      HeldLock(kind: .bytes, process: process, range: range)
    }
    let locks = [
      lock(10, 123...123), lock(12, 124...125), lock(13, 126...126), lock(14, 128...128), lock(15, 120...120),
      HeldLock(kind: .whole, process: 16, range: 0...UInt64.max),
    ]
    func index(_ frames: Int, _ moved: Int) -> Connection.WalIndex {
      Connection.WalIndex(frames: frames, movedFrames: moved, marks: [0, 40, nil, 100, nil])
    }
    #expect(WalLocks.readers(index(100, 40), locks) == [10, 12], "the log cannot be copied further")
    #expect(WalLocks.readers(index(100, 100), locks) == [12, 13], "it is copied, and read")
    #expect(WalLocks.readers(nil, locks) == [12, 13])
    #expect(WalLocks.writers(locks) == [15])
  }

  /// An idle projector beats; one that has stopped does not, and says why.
  @Test func signsOfLife() throws {
    let bench = WalBench()
    let store = try bench.open()
    let session = try store.makeSession()
    let before = SystemClock().wallMicroseconds()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.pour(0..<1_000, size: 10)
    try session.wait(for: .projected)
    func heartbeat() throws -> Value? { try session.projectionStatus("t")["heartbeat"] }
    // It looks once more for something to do.
    SluiceSystem.Thread.sleep(nanoseconds: 200_000_000)
    let first = try heartbeat()
    #expect(first != .null)
    let start = SystemClock().monotonicNanoseconds()
    while try heartbeat() == first {
      try #require(SystemClock().monotonicNanoseconds() < start + 10_000_000_000, "an idle projector does not beat")
      SluiceSystem.Thread.sleep(nanoseconds: 50_000_000)
    }
    let idle = try session.projectionStatus("t")
    #expect(idle["state"] == text("current") && idle["lag"] == .integer(0) && idle["lag_ms"] == .integer(0))
    #expect(idle["rows_per_second"] != .integer(0) && idle["kind"] == text("mirror"))
    guard case .text(let bytes)? = idle["heartbeat"] else { return }
    #expect(String(decoding: bytes, as: UTF8.self) >= utcText(microseconds: before))
    // It cannot make its file anew: something is in the way, and stays there.
    let obstacle = bench.projections + ".new"
    try RealFileSystem().createDirectory(obstacle)
    _ = try bench.stock("DROP TABLE t")
    try session.run("INSERT INTO t VALUES(-1, 'x')")
    let refusal = try #require(storeError { try session.wait(for: .projected) }?.message)
    #expect(refusal.contains("projections.db cannot be kept up to date: ") && refusal.contains(obstacle))
    // Commands and tables do not need it, and SHOW tells the reason.
    try session.run("INSERT INTO t VALUES(-2, 'y')")
    #expect(try session.run("SELECT count(*), min(id) FROM t") == [[.integer(1_002), .integer(-2)]])
    let dead = try #require(try session.run("SHOW PROJECTIONS").first)
    #expect(dead.count == 9 && dead[2] == text("stopped") && dead[8].words.contains(obstacle))
    #expect(dead[7] != .null)
    SluiceSystem.Thread.sleep(nanoseconds: 2_100_000_000)
    #expect(try session.run("SHOW PROJECTIONS").first?[7] == dead[7])
    let farewell = try #require(storeError { try store.close() }?.message)
    #expect(refusal.hasSuffix(farewell), "\(farewell)")
  }

  /// A projection that says something of itself.
  @Test func aProjectionOfItsOwn() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.run("CREATE PROJECTION revenue AS SELECT count(*) AS n FROM t")
    try session.run("WAIT FOR revenue")
    try session.run("PAUSE PROJECTION revenue")
    try session.run("INSERT INTO t VALUES(1)")
    try session.wait(for: .projected)
    #expect(
      try session.run("SELECT name, kind, state, lag, reason FROM (\(SystemTables.projectionsQuery))")
        == [
          [text("revenue"), text("groups"), text("paused"), .integer(1), .null],
          [text("t"), text("mirror"), text("current"), .integer(0), .null],
        ])
    try store.close()
  }
}
