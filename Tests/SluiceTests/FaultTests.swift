// Disks that fail: what was acknowledged stays, what cannot be kept is said, and damage is found and named.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct FaultTests {
  private func filled(_ bench: Bench, rows: Int = 120) throws {
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    for id in 1...rows {
      try session.run("INSERT INTO t VALUES(\(id), 'a text that fills the memtable of row \(id)')")
      if id % 10 == 0 { try session.settle() }
    }
    try session.settle()
    try store.close()
  }

  /// Contract 3: after a failed fsync nothing more is written, and what was acknowledged is there at the next opening.
  @Test func aFailedSyncPoisonsTheLog() throws {
    var bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(a INTEGER PRIMARY KEY)")
    try session.run("INSERT INTO t VALUES(1)")
    try session.settle()
    try bench.disk.inject("fail sync log/*")
    try session.run("INSERT INTO t VALUES(2)")
    #expect(storeError { try session.settle() }?.kind == .unavailable)
    bench.disk.clearFaults()
    #expect(
      storeError {
        try session.run("INSERT INTO t VALUES(3)")
        try session.settle()
      }?.kind == .unavailable)
    #expect(storeError { try store.close() }?.kind == .unavailable)
    bench.disk = bench.disk.crashImage(.keepNothing)
    let again = try bench.open()
    #expect(try again.makeSession().run("SELECT * FROM t") == [[.integer(1)]])
    try again.close()
  }

  @Test func aFullDiskIsSaidAndNothingAcknowledgedIsLost() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    try bench.disk.inject("full after 700000")
    var acknowledged = 0
    let error = storeError {
      for id in 1...2_000 {
        try session.run("INSERT INTO t VALUES(\(id), '\(String(repeating: "x", count: 1_000))')")
        try session.settle()
        acknowledged = id
      }
    }
    #expect(error?.kind == .unavailable)
    #expect(error?.message.contains("disk is full") == true, "\(String(describing: error))")
    #expect(acknowledged > 100)
    _ = storeError { try store.close() }
    bench.disk.clearFaults()
    let again = try bench.open()
    let count = try again.makeSession().run("SELECT count(*), max(a) FROM t")
    let (found, highest) = (count[0][0], count[0][1])
    #expect(found == highest)
    #expect(found == .integer(Int64(acknowledged)) || found == .integer(Int64(acknowledged + 1)))
    try again.close()
  }

  /// A transaction that cannot be staged fails as a whole, can be rolled back, and the store goes on.
  @Test func aTransactionThatCannotBeStaged() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    try session.run("BEGIN")
    try bench.disk.inject("fail write *.stage")
    let error = storeError {
      for id in 1...100 { try session.run("INSERT INTO t VALUES(\(id), '\(String(repeating: "x", count: 100))')") }
    }
    #expect(error?.kind == .unavailable)
    #expect(storeError { try session.run("COMMIT") }?.kind == .unavailable)
    try session.run("ROLLBACK")
    bench.disk.clearFaults()
    try session.run("INSERT INTO t VALUES(1, 'after')")
    #expect(try session.run("SELECT * FROM t") == [[.integer(1), text("after")]])
    try store.close()
  }

  /// Contract 11: one flipped bit anywhere in what was made durable is found and the file named, or does not matter
  /// (unused space); an answer is never wrong.
  @Test func flippedBitsAreFoundOrDoNotMatter() throws {
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    let bench = Bench()
    try filled(bench)
    let whole = bench.disk.crashImage(.keepAll)
    let paths = try ["shop", "shop/log", "shop/shards/000", "shop/shards/001", "shop/shards/002"].flatMap { folder in
      try whole.list(folder).map { folder + "/" + $0 }
    }.filter { !$0.hasSuffix("LOCK") && whole.content($0) != nil }
    #expect(paths.count >= 8)
    var foundCount = 0
    for round in 0..<150 {
      let path = paths[round % paths.count]
      let disk = whole.crashImage(.keepAll)
      var bytes = try #require(disk.content(path))
      let bit = random.below(bytes.count * 8)
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      try disk.setContent(path, bytes)
      let story = "seed \(seed), round \(round): bit \(bit) of \(path)"
      var damaged = bench
      damaged.disk = disk
      removeDatabase(bench.projections)
      do throws(StoreError) {
        let store = try damaged.open()
        let rows = try store.makeSession().run("SELECT a FROM t ORDER BY a")
        #expect(rows == (1...120).map { [.integer($0)] }, "\(story): a wrong answer")
        _ = storeError { try store.close(drain: false) }
      } catch {
        foundCount += 1
        #expect(error.kind == .corrupt || error.kind == .invalid || error.kind == .unsupported, "\(story): \(error)")
        #expect(error.message.contains("shop/") || error.message.contains("positions"), "\(story): \(error)")
      }
    }
    #expect(foundCount > 40, "seed \(seed)")
  }
}
