// A disk that fills up: rows are refused early, with a sentence; everything else goes on, and rows too when there is
// room again. Nothing that was taken is lost.
import SluiceLog
import SluiceSystem
import SluiceTesting
import Synchronization
import Testing

@testable import Sluice

@Suite struct DiskRoomTests {
  @Test func theWatermarkFitsTheFileSystem() {
    let large: UInt64 = 1 << 40
    #expect(DiskRules.memtableBudget(64 << 20, fileSystemBytes: large) == 64 << 20)
    #expect(DiskRules.watermark(budget: 64 << 20, reserve: 64 << 20, fileSystemBytes: large) == 192 << 20)
    // 64 MB: four for each generation, and four kept.
    let small: UInt64 = 64 << 20
    #expect(DiskRules.memtableBudget(32 << 20, fileSystemBytes: small) == 4 << 20)
    #expect(DiskRules.watermark(budget: 4 << 20, reserve: 64 << 20, fileSystemBytes: small) == 12 << 20)
    #expect(DiskRules.memtableBudget(32 << 20, fileSystemBytes: 0) == 1)
  }

  /// Stores of this size fit on the simulated disk: 4 KiB of memtables, 60 KiB reserved.
  private func open(_ bench: Bench, _ clock: SimulatedClock) throws -> Store {
    try bench.open {
      $0.clock = clock
      $0.diskReserveBytes = 60 << 10
    }
  }

  private func expectRefused(_ sentence: String, _ body: () throws -> Void) {
    let error = storeError(body)
    #expect(error?.kind == .overloaded && error?.sqliteCode == 13, "\(sentence): \(error?.message ?? "nothing thrown")")
    #expect(error?.message.contains("bytes are free at shop, and 69632 are kept to flush and merge") == true)
    #expect(error?.message.hasPrefix("the disk is full: ") == true)
  }

  @Test func rawKeysAreRefusedAndGoOn() throws {
    let bench = Bench()
    let clock = SimulatedClock()
    let store = try open(bench, clock)
    let session = try store.makeKeyValueSession()
    try session.put(bytes("before"), bytes("1"))
    try session.settle()
    try bench.disk.inject("full after 69000")
    // Not every batch looks at the disk.
    try session.put(bytes("unseen"), bytes("2"))
    try session.settle()
    clock.advance(microseconds: 100_000)
    try session.put(bytes("seen"), bytes("3"))
    try session.settle()
    try session.put(bytes("kept"), bytes("4"))
    expectRefused("commit") { try session.commit() }
    expectRefused("settle") { try session.settle() }
    // What was refused is with the session, and what it reads is there.
    #expect(try session.get(bytes("kept")) == bytes("4"))
    #expect(try session.rows().count == 4)
    #expect(try store.makeKeyValueSession().rows().count == 3)
    let large = Bytes(repeating: 1, count: 300 << 10)
    try session.put(bytes("large"), large)
    expectRefused("the put behind a full builder") { try session.put(bytes("refused"), bytes("5")) }
    #expect(try session.get(bytes("refused")) == nil)
    #expect(try store.makeSession().run("SELECT state FROM sluice_queue") == [[text("refused: the disk is full")]])
    try store.flush()
    bench.disk.clearFaults()
    expectRefused("nobody has looked since") { try session.commit() }
    clock.advance(microseconds: 100_000)
    try session.settle()
    #expect(try store.makeSession().run("SELECT state FROM sluice_queue") == [[text("open")]])
    #expect(try store.makeKeyValueSession().rows().map(\.value.count) == [1, 1, large.count, 1, 1])
    try store.close()
  }

  /// A look is due when 16 MiB were handed over, too; and a batch that is large itself must fit above the watermark.
  @Test func manyBytesAreLookedAt() throws {
    let bench = Bench()
    let store = try bench.open {
      $0.diskReserveBytes = 60 << 10
      $0.memtableBudgetBytes = 64 << 20
    }
    let session = try store.makeKeyValueSession()
    let watermark = Int(store.core.pipeline.room.watermarkBytes)
    let value = Bytes(repeating: 1, count: 900 << 10)
    try bench.disk.inject("full after \(watermark + (10 << 20))")
    // 16 MiB are 18.2 of these; the one after the look is refused.
    var taken = 0
    while taken < 30 {
      try session.put(Bytes("\(taken)".utf8), value)
      if storeError({ try session.settle() }) != nil { break }
      taken += 1
    }
    #expect(taken == 19)
    bench.disk.clearFaults()
    _ = store.core.pipeline.room.look()
    try session.settle()
    try bench.disk.inject("full after \(watermark + (5 << 20))")
    try session.put(bytes("large"), Bytes(repeating: 2, count: 6 << 20))
    #expect(storeError { try session.settle() }?.kind == .overloaded)
    bench.disk.clearFaults()
    try session.settle()
    #expect(try session.rows().count == 21)
    try store.close()
  }

  @Test func statementsAreRefusedAndTakenOnesAreWritten() throws {
    let bench = Bench()
    let clock = SimulatedClock()
    let store = try open(bench, clock)
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.run("INSERT INTO t VALUES(1, 'before')")
    try session.run("BEGIN")
    try session.run("INSERT INTO t VALUES(2, 'in time')")
    try bench.disk.inject("full after 60000")
    clock.advance(microseconds: 100_000)
    _ = store.core.pipeline.room.look()
    expectRefused("in a transaction") { try session.run("INSERT INTO t VALUES(3, 'late')") }
    let script = bytes("INSERT INTO t VALUES(4, 'ingested');")
    var line = 1
    #expect(script.withUnsafeBytes { session.ingest($0, line: &line) } == 0)
    // The statement takes its transaction along.
    #expect(session.inTransaction)
    try session.run("ROLLBACK")
    expectRefused("a table") { try session.run("CREATE TABLE u(x)") }
    #expect(try session.run("SELECT id FROM t") == [[.integer(1)]])
    bench.disk.clearFaults()
    clock.advance(microseconds: 100_000)
    try session.run("INSERT INTO t VALUES(5, 'again')")
    #expect(try session.run("SELECT id FROM t") == [[.integer(1)], [.integer(5)]])
    try store.close()
  }

  /// A full disk is no trap: what only takes away is taken, in a transaction too, until there is next to nothing.
  @Test func whatMakesRoomIsTaken() throws {
    let bench = Bench()
    let clock = SimulatedClock()
    let store = try open(bench, clock)
    let session = try store.makeSession()
    let keys = try store.makeKeyValueSession()
    for name in ["t", "u", "v"] {
      try session.run("CREATE TABLE \(name)(id INTEGER PRIMARY KEY, v TEXT)")
      for id in 1...9 { try session.run("INSERT INTO \(name) VALUES(\(id), 'x')") }
    }
    try session.run("CREATE INDEX i ON t(v)")
    try session.run("CREATE PROJECTION p AS SELECT v, count(*) AS n FROM u GROUP BY v")
    try keys.put(bytes("a"), bytes("1"))
    try keys.settle()
    try session.wait(for: .projected)
    try bench.disk.inject("full after 60000")
    _ = store.core.pipeline.room.look()
    expectRefused("a row") { try session.run("INSERT INTO t VALUES(10, 'late')") }
    expectRefused("an update") { try session.run("UPDATE t SET v = 'y'") }
    try session.run("DELETE FROM t WHERE id < 3")
    #expect(try session.run("DELETE FROM t WHERE id = 3 RETURNING id") == [[.integer(3)]])
    try session.run("BEGIN")
    try session.run("DELETE FROM t WHERE id = 4")
    try session.run("DROP TABLE v")
    try session.run("COMMIT")
    try session.run("DELETE FROM u")
    try session.run("DROP INDEX i")
    try session.run("DROP PROJECTION p")
    try session.run("ALTER STORE SET retain = '1 KB'")
    try keys.delete(bytes("a"))
    try keys.settle()
    try keys.put(bytes("b"), bytes("2"))
    expectRefused("a key") { try keys.settle() }
    #expect(try session.run("SELECT count(*), min(id) FROM t") == [[.integer(5), .integer(5)]])
    #expect(try session.run("SELECT count(*) FROM u") == [[.integer(0)]])
    // A quarter of the watermark.
    bench.disk.clearFaults()
    try bench.disk.inject("full after 17000")
    _ = store.core.pipeline.room.look()
    let error = storeError { try session.run("DELETE FROM t") }
    #expect(error?.message.contains("and 17408 are kept to flush and merge") == true, "\(error?.message ?? "taken")")
    bench.disk.clearFaults()
    clock.advance(microseconds: 100_000)
    try keys.settle()
    try store.close()
  }

  /// Others fill the disk while rows are in memory: they cannot be flushed, and nothing is lost or ended by that.
  @Test func whatCannotBeFlushedIsFlushedLater() throws {
    let bench = Bench()
    let store = try bench.open {
      $0.threaded = true
      $0.clock = SystemClock()
      $0.memtableBudgetBytes = 1 << 20
      $0.diskReserveBytes = 64 << 10
    }
    let session = try store.makeKeyValueSession()
    for index in 0..<2_000 { try session.put(bytes("key \(index)"), Bytes(repeating: 1, count: 100)) }
    try session.settle()
    try bench.disk.inject("full after 4096")
    let failure = try #require(storeError { try store.flush() })
    #expect(failure.kind == .overloaded && failure.message.hasPrefix("the disk is full"))
    #expect(store.progress.failure == nil)
    #expect(try session.rows().count == 2_000)
    try session.put(bytes("more"), [])
    #expect(storeError { try session.commit() }?.kind == .overloaded)
    bench.disk.clearFaults()
    let start = SystemClock().monotonicNanoseconds()
    while storeError({ try session.settle() }) != nil || storeError({ try store.flush() }) != nil {
      SluiceSystem.Thread.sleep(nanoseconds: 10_000_000)
      try #require(SystemClock().monotonicNanoseconds() < start + 60_000_000_000, "it never goes on")
    }
    #expect(try session.rows().count == 2_001)
    #expect(store.progress.flushed == store.lastPosition)
    try store.close()
    let again = try bench.open()
    #expect(try again.makeKeyValueSession().rows().count == 2_001)
    try again.close()
  }

  /// A store may be left while there is no room: the error says so, and the next opening has everything.
  @Test func leavingWithoutRoom() throws {
    let bench = Bench()
    let change: (inout StoreOptions) -> Void = {
      $0.threaded = true
      $0.clock = SystemClock()
      $0.memtableBudgetBytes = 1 << 20
      $0.diskReserveBytes = 64 << 10
    }
    let store = try bench.open(change)
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    for index in 0..<500 { try session.run("INSERT INTO t VALUES(\(index), '\(String(repeating: "x", count: 90))')") }
    try session.acknowledge()
    try bench.disk.inject("full after 4096")
    #expect(storeError { try store.close() }?.kind == .overloaded)
    bench.disk.clearFaults()
    let again = try bench.open(change)
    #expect(try again.makeSession().run("SELECT count(*) FROM t") == [[.integer(500)]])
    try again.close()
  }

  /// Memory is full and cannot be flushed: who waits for something to be applied is told, and so is who leaves.
  @Test func nobodyWaitsForEver() throws {
    let bench = Bench()
    let change: (inout StoreOptions) -> Void = {
      $0.threaded = true
      $0.clock = SystemClock()
      $0.memtableBudgetBytes = 32 << 10
      $0.diskReserveBytes = 0
    }
    let store = try bench.open(change)
    let session = try store.makeKeyValueSession()
    try session.put(bytes("first"), [])
    try session.settle()
    // The log has zeros to write over; a table finds no room.
    try bench.disk.inject("full after 1000")
    let pipeline = store.core.pipeline
    let id = pipeline.openSession()
    var count = 0
    // Three generations: one waits for its flush, one fills, and the third cannot be applied.
    for batch in 0..<3 {
      var builder = BatchBuilder()
      for row in 0..<40 {
        _ = Bytes("\(batch) \(row)".utf8).withUnsafeBytes { key in
          Bytes(repeating: 1, count: 1_000).withUnsafeBytes { value in
            builder.append(
              kind: .put, startsStatement: true, slot: store.core.router.slot(shardKey: key), line: 0,
              keyPrefix: KeySpace.firstTableID, key: key, value: value)
          }
        }
      }
      try pipeline.write(builder.seal(timeMicroseconds: 0, session: id))
      count += 1
    }
    let error = storeError {
      try pipeline.wait(unless: { pipeline.applyObstacle }) { $0.sessions[id]?.resolved == count ? () : nil }
    }
    #expect(error?.kind == .overloaded, "\(error?.message ?? "it was applied")")
    #expect(pipeline.generations.obstacle == "stopped: flushing")
    #expect(storeError { try store.flush() }?.kind == .overloaded)
    #expect(storeError { try store.close() }?.kind == .overloaded)
    bench.disk.clearFaults()
    let again = try bench.open()
    #expect(try again.makeKeyValueSession().rows().count == 121)
    try again.close()
  }

  /// SQLite finds no room: projections wait, with what they had, and follow when there is some. Rows that were rejected
  /// meanwhile stay out.
  @Test func projectionsWaitForRoom() throws {
    let bench = Bench()
    let clock = SimulatedClock()
    let store = try bench.open { $0.clock = clock }
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.run("INSERT INTO t VALUES(1, 'before')")
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(1)]])
    try session.wait(for: .projected)
    let connection = store.core.projector.file.connection
    try connection.execute("PRAGMA max_page_count = 8")
    // A table and the rows that are too many in one transaction: the table goes back with them.
    try session.run("BEGIN")
    try session.run("CREATE TABLE w(x)")
    try session.run("INSERT INTO w VALUES(2)")
    for id in 2...400 { try session.run("INSERT INTO t VALUES(\(id), '\(String(repeating: "x", count: 200))')") }
    try session.run("INSERT INTO t VALUES(7, 'rejected')")
    try session.run("COMMIT")
    try session.settle()
    #expect(session.takeRejections().count == 1)
    #expect(storeError { try session.wait(for: .projected) }?.kind == .overloaded)
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(400)]], "the shards have them")
    #expect(
      try session.run("SELECT state, last_error, blocked_by FROM sluice_projections WHERE name = 't'")
        == [[text("held"), text("database or disk is full"), .null]])
    #expect(store.progress.failure == nil)
    // Writing goes on, and so does the table's definition.
    try session.run("CREATE TABLE u(x)")
    try session.run("INSERT INTO u VALUES(1)")
    try connection.execute("PRAGMA max_page_count = 1000000")
    #expect(storeError { try session.wait(for: .projected) }?.kind == .overloaded, "it is not tried again at once")
    clock.advance(microseconds: 200_000)
    #expect(
      try session.run("SELECT count(*), sum(v = 'rejected') FROM projections.t") == [[.integer(400), .integer(0)]])
    #expect(try session.run("SELECT * FROM projections.u, projections.w") == [[.integer(1), .integer(2)]])
    try store.close()
    let again = try bench.open()
    #expect(try again.makeSession().run("SELECT count(*) FROM t") == [[.integer(400)]])
    try again.close()
  }

  /// Bytes of projections.db and the files beside it.
  private static func size(of database: String) -> UInt64 {
    var size: UInt64 = 0
    for suffix in ["", "-wal", "-shm", ".new", ".new-wal", ".new-shm"] {
      do { size += try RealFileSystem().fileSize(database + suffix) ?? 0 } catch { Issue.record("\(error)") }
    }
    return size
  }

  private static let rows =
    "WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 12000) "
    + "INSERT INTO t SELECT i, zeroblob(2000) FROM c"

  /// Making projections.db anew takes nothing of the room that what makes room needs, and gives back what it took.
  @Test func projectionsAreNotMadeAnewOnAFullDisk() throws {
    let bench = Bench()
    let room = Atomic<UInt64>(1 << 40)
    let projections = bench.projections
    let disk = HookedFileSystem(
      bench.disk,
      free: {
        let taken = Self.size(of: projections)
        let all = room.load(ordering: .relaxed)
        return all > taken ? all - taken : 0
      }, hook: { _ in })
    let clock = SimulatedClock()
    func open() throws -> Store {
      try bench.open {
        $0.fileSystem = disk
        $0.clock = clock
        $0.diskReserveBytes = 60 << 10
      }
    }
    let first = try open()
    try first.makeSession().run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    try first.makeSession().run(Self.rows)
    try first.close()
    removeDatabase(projections)
    room.store(9 << 20, ordering: .relaxed)
    let store = try open()
    let session = try store.makeSession()
    for _ in 0..<3 {
      let error = storeError { try session.wait(for: .projected) }
      #expect(error?.message.contains("the disk is full: ") == true, "\(error?.message ?? "there was room")")
      #expect(Self.size(of: projections) < 1 << 20, "it keeps what it took")
      clock.advance(microseconds: 300_000)
    }
    try session.run("DELETE FROM t WHERE id = 1")
    #expect(store.progress.synced >= store.lastPosition - 1, "the log is kept for it")
    room.store(1 << 40, ordering: .relaxed)
    clock.advance(microseconds: 300_000)
    try session.wait(for: .projected)
    #expect(
      try session.run("SELECT count(*), max(v) FROM projections.t") == [
        [.integer(11_999), .blob(Array(repeating: 0, count: 2_000))]
      ])
    try store.close()
  }

  /// Where SQLite wipes what it deletes, all pages of a table would go through the write-ahead log.
  @Test func emptyingATableTakesNoRoom() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    try session.run(Self.rows)
    try session.wait(for: .projected)
    _ = try store.core.projector.file.connection.checkpoint(.truncate)
    let before = Self.size(of: bench.projections)
    #expect(before > 20 << 20)
    try session.run("DELETE FROM t")
    try session.wait(for: .projected)
    #expect(Self.size(of: bench.projections) < before + (1 << 20))
    try session.run("SELECT 1")
    try store.close()
  }

  @Test func theMachineTells() throws {
    let files = RealFileSystem()
    let scratch = Scratch()
    let free = try files.freeBytes(scratch.path)
    let size = try files.sizeBytes(scratch.path)
    #expect(free > 0 && free <= size)
    #expect(throws: SystemError.self) { try files.freeBytes(scratch.file("missing")) }
  }
}
