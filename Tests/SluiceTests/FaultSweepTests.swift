// Faults anywhere: a workload with everything meets one refusal of the disk, wherever it falls (any write, sync,
// rename, creation, removal; the disk full after any number of bytes), and the machine goes on. What was acknowledged
// is there afterwards, the rest by whole steps. And damage in the log's sealed segments, which an opening has no need
// to read: whoever reads them then is told the file.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct FaultSweepTests {
  /// The calls of an undisturbed run, as faults that strike each of them: "fail sync * at 3".
  private func everyFault(_ workload: Workload) throws -> [String] {
    let bench = Bench()
    let calls = Monitor([String]())
    let hooked = HookedFileSystem(bench.disk) { call in calls.withLock { $0.append(call) } }
    let options = simulatedOptions(hooked, projections: bench.projections)
    try WorkloadRun(workload, options: options, least: 0, comment: "").run(to: workload.steps.count)
    var counts: [String: Int] = [:]
    return calls.withLock { $0 }.flatMap { call -> [String] in
      var word = String(call.prefix { $0 != " " })
      if call.hasPrefix("sync directory") { word = "syncDirectory" }
      if call.hasPrefix("create directory") { word = "createDirectory" }
      counts[word, default: 0] += 1
      let place = "* at \(counts[word]!)"
      return word == "write" ? ["fail write \(place)", "short write \(place)"] : ["fail \(word) \(place)"]
    }
  }

  @Test func oneRefusalAnywhereLosesNothingAcknowledged() throws {
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    let workload = Workload(seed: seed, count: 50)
    let faults = try everyFault(workload)
    // Writes are most of the calls: of each kind of call as many are taken as of the others.
    let kinds = Dictionary(grouping: faults) { $0.prefix { $0 != "*" } }
    for (_, faults) in kinds.sorted(by: { $0.key < $1.key }) {
      for fault in faults.shuffled(using: &random).prefix(10) { try strike(fault, workload, seed, &random) }
    }
    #expect(kinds.count >= 8, "the workload is too small: \(kinds.keys)")
  }

  @Test func aDiskFullAnywhereLosesNothingAcknowledged() throws {
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    let workload = Workload(seed: seed, count: 50)
    var refusals = 0
    var failures = 0
    for _ in 0..<50 {
      let size = random.below(1 << (4 + random.below(17)))
      if let error = try strike("full after \(size)", workload, seed, &random) {
        refusals += 1
        if error.kind == .unavailable { failures += 1 }
        #expect(error.message.contains("the disk is full"), "\(error)")
        #expect(error.sqliteCode == 13, "\(error)")
      }
    }
    #expect(refusals > 10 && failures > 5, "the disk is hardly ever full")
  }

  /// Runs the workload until the fault is noticed, then compares what is there. Returns the first error.
  @discardableResult
  private func strike(
    _ fault: String, _ workload: Workload, _ seed: UInt64, _ random: inout SeededRandom
  ) throws -> StoreError? {
    let comment: Comment = "\(fault); \(repeatCommand(seed, "FaultSweep"))"
    let bench = Bench()
    try bench.disk.inject(fault)
    var begun = 0
    var acknowledged = 0
    let error = storeError {
      let run = try WorkloadRun(workload, options: bench.options, least: 0, comment: comment)
      defer {
        (begun, acknowledged) = (run.begun, run.acknowledged)
        bench.disk.clearFaults()
        _ = storeError { try run.store.close() }
      }
      try run.run(to: workload.steps.count)
    }
    bench.disk.clearFaults()
    // What is refused in time is no failure.
    if let error, error.kind != .overloaded { #expect(error.kind == .unavailable, "\(error); \(comment)") }
    for mode in [CrashMode.keepAll, .keepNothing, .seeded(random.next())] {
      let after = Bench(disk: bench.disk.crashImage(mode))
      copyDatabase(bench.projections, to: after.projections)
      do {
        let run = try WorkloadRun(workload, options: after.options, least: acknowledged, comment: "\(mode), \(comment)")
        #expect(run.begun <= begun, comment)
        try run.compare()
        try run.run(to: min(run.begun + 3, workload.steps.count))
        try run.compare()
        try run.closeAndCompareFile()
      } catch { Issue.record("\(error); \(mode), \(comment)") }
    }
    return error
  }

  @Test func damageInASealedSegmentIsNamedByWhoReadsIt() throws {
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    let bench = Bench()
    let older = bench.scratch.file("older.db")
    try fillSegments(bench, older: older)
    // The first begins with what the older file holds already, the last is read by the opening.
    let segments = try bench.disk.list("shop/log").dropFirst().dropLast()
    #expect(segments.count >= 4, "\(segments)")
    for name in segments {
      let path = "shop/log/\(name)"
      let content = try #require(bench.disk.content(path))
      // A zero may be padding, which means nothing.
      let meaning = content.indices.filter { content[$0] != 0 }
      for _ in 0..<12 {
        let offset = meaning[random.below(meaning.count)]
        var damaged = content
        damaged[offset] ^= 1 << UInt8(random.below(8))
        let image = Bench(disk: bench.disk.crashImage(.keepAll))
        try image.disk.setContent(path, damaged)
        copyDatabase(older, to: image.projections)
        let comment: Comment = "\(path) byte \(offset): \(repeatCommand(seed, "FaultSweep"))"
        var found: [[Value]] = []
        let error = storeError {
          let store = try image.open()
          defer { _ = storeError { try store.close(drain: false) } }
          found = try store.makeSession().run("SELECT count(*) FROM t")
        }
        #expect(image.disk.content(path) == damaged, "an opening changes what it cannot read; \(comment)")
        guard let error else {
          Issue.record("nobody noticed, found \(found); \(comment)")
          continue
        }
        #expect([.corrupt, .unsupported].contains(error.kind) && error.message.contains(name), "\(error); \(comment)")
      }
    }
    // Undamaged, the same way leads to all rows.
    copyDatabase(older, to: bench.projections)
    let store = try bench.open()
    #expect(try store.makeSession().run("SELECT count(*) FROM t") == [[.integer(63)]])
    try store.close()
  }

  /// Three transactions large enough to become segments of their own, with a row before each; projections.db as it was
  /// when the table was new is kept at `older`.
  private func fillSegments(_ bench: Bench, older: String) throws {
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.run("SELECT * FROM t")
    copyDatabase(bench.projections, to: older)
    for _ in 0..<3 {
      try session.run("INSERT INTO t(v) VALUES('between')")
      try session.settle()
      try session.run("BEGIN")
      for _ in 0..<20 { try session.run("INSERT INTO t(v) VALUES('\(String(repeating: "x", count: 100))')") }
      try session.run("COMMIT")
      try session.settle()
    }
    try session.run("SELECT * FROM t")
    try store.close()
  }
}
