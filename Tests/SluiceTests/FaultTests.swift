// Faults: the disk refuses, fills up or lies. Writing stops with a clear error, nothing that was acknowledged is lost,
// and a damaged file is named instead of believed.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

private let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)"

/// A store with the rows 1 to `count`, settled and left tidily; flushed to tables too when the budget is small.
private func filled(_ bench: Bench, count: Int) throws {
  let store = try bench.open()
  let session = try store.makeSession()
  try session.run(schema)
  for id in 1...count {
    try session.run("INSERT INTO t VALUES(\(id), '\(String(repeating: "x", count: 100))')")
    if id % 10 == 0 { try session.settle() }
  }
  try session.settle()
  try store.close()
}

private func count(_ session: Session) throws -> Int64 {
  guard case .integer(let count)? = try session.run("SELECT count(*) FROM t").first?.first else { return -1 }
  return count
}

@Suite struct FaultTests {
  @Test func failedSyncOfTheLogStopsWritingUntilReopening() throws {
    let bench = Bench()
    try filled(bench, count: 20)
    let store = try bench.open()
    let session = try store.makeSession()
    try bench.disk.inject("fail sync log/*")
    try session.run("INSERT INTO t VALUES(21, 'lost')")
    let first = try #require(storeError { try session.settle() })
    #expect(first.kind == .unavailable)
    #expect(first.message.contains("log/"), "\(first)")
    // The disk is well again, and still nothing is written: a sync is never repeated.
    bench.disk.clearFaults()
    let second = try #require(
      storeError {
        try session.run("INSERT INTO t VALUES(22, 'refused')")
        try session.settle()
      })
    #expect(second.kind == .unavailable)
    #expect(storeError { try store.close() } != nil)
    let image = Bench(disk: bench.disk.crashImage(.keepNothing))
    for reopened in [bench, image] {
      let store = try reopened.open()
      let session = try store.makeSession()
      #expect(try count(session) == 20)
      try session.run("INSERT INTO t VALUES(21, 'again')")
      try session.settle()
      #expect(session.takeRejections().isEmpty)
      #expect(try count(session) == 21)
      try store.close()
    }
  }

  @Test(arguments: [
    "fail write log/*", "short write log/*", "full after 0", "fail write *.table", "fail create *.table",
    "fail sync *.table", "fail syncDirectory shards/*", "fail write shards/*/MANIFEST*", "fail sync shards/*/MANIFEST*",
    "fail rename log/staged*", "fail write log/staged*", "fail sync log/staged*", "fail create log/staged*",
  ])
  func whatCannotBeWrittenIsAnErrorAndLosesNothing(_ fault: String) throws {
    let bench = Bench()
    try filled(bench, count: 20)
    let store = try bench.open()
    let session = try store.makeSession()
    try bench.disk.inject(fault)
    var acknowledged: Int64 = 20
    let error = storeError {
      for round in 0..<30 {
        try session.run("BEGIN")
        for row in 0..<20 {
          try session.run("INSERT INTO t VALUES(\(1_000 + round * 20 + row), '\(String(repeating: "y", count: 90))')")
        }
        try session.run("COMMIT")
        try session.settle()
        acknowledged += 20
      }
    }
    let failure = try #require(error, "nobody noticed: \(fault)")
    #expect(failure.kind == .unavailable, "\(failure)")
    if fault.hasPrefix("full") { #expect(failure.message.contains("the disk is full"), "\(failure)") }
    // A failed statement of a transaction leaves it open: it can be rolled back, and that is all.
    if session.inTransaction { _ = storeError { try session.run("ROLLBACK") } }
    bench.disk.clearFaults()
    _ = storeError { try store.close() }
    for mode in [CrashMode.keepAll, .keepNothing, .seeded(7)] {
      let after = Bench(disk: bench.disk.crashImage(mode))
      copyDatabase(bench.projections, to: after.projections)
      let store = try after.open()
      let session = try store.makeSession()
      let found = try count(session)
      // The transaction under way may be there, whole: it was not refused for what it says.
      #expect(found == acknowledged || found == acknowledged + 20, "\(fault), \(mode)")
      #expect(try store.liveContents()["t"]?.count == Int(found), "\(fault), \(mode)")
      try session.run("INSERT INTO t VALUES(999999, 'on')")
      try session.settle()
      try store.close()
    }
  }

  /// A failure at any call whatever: an error, never a trap; what was acknowledged is there afterwards.
  @Test func failureAtAnyCall() throws {
    let seed = testSeed()
    let workload = Workload(seed: seed, count: 60)
    let whole = Bench()
    try WorkloadRun(workload, options: whole.options, least: 0, comment: "").run(to: workload.steps.count)
    var random = SeededRandom(seed: seed)
    for _ in 0..<40 {
      let call = 1 + random.below(whole.disk.callCount)
      let comment: Comment = "call \(call): \(repeatCommand(seed, "SluiceTests.FaultTests"))"
      let bench = Bench()
      bench.disk.crash(at: call, seed: seed)
      var acknowledged = 0
      do {
        let run = try WorkloadRun(workload, options: bench.options, least: 0, comment: comment)
        defer { acknowledged = run.acknowledged }
        do { try run.run(to: workload.steps.count) } catch {
          #expect(error is StoreError, comment)
          _ = storeError { try run.store.close() }
        }
      } catch { #expect(error is StoreError, comment) }
      let after = Bench(disk: bench.disk.crashImage(.seeded(seed)))
      copyDatabase(bench.projections, to: after.projections)
      do {
        let run = try WorkloadRun(workload, options: after.options, least: acknowledged, comment: comment)
        try run.compare()
        // A store that never held anything has no projections either.
        if run.store.lastPosition > 0 { try run.closeAndCompareFile() } else { try run.store.close() }
      } catch { Issue.record("\(error); \(comment)") }
    }
  }

  /// Every byte of the store file; of log, table and manifest a seeded choice.
  @Test func aFlippedBitIsNamedOrHarmless() throws {
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    let bench = Bench()
    try filled(bench, count: 60)
    var files = ["shop/store"]
    for folder in ["log", "shards/000", "shards/001", "shards/002"] {
      files += try bench.disk.list("shop/" + folder).map { "shop/\(folder)/\($0)" }
    }
    #expect(files.contains { $0.hasSuffix(".table") } && files.contains { $0.hasSuffix(".log") })
    var named = 0
    for path in files {
      let content = try #require(bench.disk.content(path))
      for _ in 0..<min(20, content.count) {
        let offset = random.below(content.count)
        let image = Bench(disk: bench.disk.crashImage(.keepAll))
        var damaged = content
        damaged[offset] ^= 1 << UInt8(random.below(8))
        try image.disk.setContent(path, damaged)
        let comment: Comment = "\(path) byte \(offset): \(repeatCommand(seed, "SluiceTests.FaultTests"))"
        if try readAll(image, path, comment) { named += 1 }
      }
    }
    #expect(named > files.count * 4, "hardly any damage was found: \(named)")
  }

  /// Reads all of a damaged store; true when the damage was named. Wrong rows are an issue.
  private func readAll(_ bench: Bench, _ path: String, _ comment: Comment) throws -> Bool {
    do {
      let store = try bench.open()
      let rows = try store.liveContents(comment)["t"] ?? [:]
      #expect(rows.count == 60, comment)
      for id in 1...60 {
        #expect(rows["\(id)"]?.values.last == text(String(repeating: "x", count: 100)), comment)
      }
      #expect(try count(try store.makeSession()) == 60, comment)
      try store.close()
      return false
    } catch {
      let failure = StoreError(converting: error)
      #expect([.corrupt, .invalid, .unsupported].contains(failure.kind), "\(failure); \(comment)")
      let name = String(path.split(separator: "/").last!)
      // Damage to the last group of the log looks like a torn tail; that it was none the shards tell.
      let isTail = name.hasSuffix(".log") && failure.message.contains("but the log ends at")
      #expect(failure.message.contains(name) || isTail, "\(failure); \(comment)")
      return true
    }
  }
}
