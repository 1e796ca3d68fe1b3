// Recovery is cut short too: what a crash left is opened, and the machine stops again at each file call of that
// opening and of the leaving behind it. The next opening must find everything that was acknowledged before the first
// crash, whole steps only, and must go on.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// What a first crash left: a disk on which everything is durable, and projections.db beside it.
private struct Wreck {
  let disk: SimulatedFileSystem
  let bench: Bench
  let begun: Int
  let acknowledged: Int
  let comment: String

  var projections: String { bench.projections }
}

@Suite struct CrashRecoveryTests {
  /// Openings that are examined, and crashes of each.
  private static let wrecks = 16
  private static let crashesPerWreck = 16

  @Test func aCrashDuringRecoveryLosesNothingAcknowledged() throws {
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    let workload = Workload(seed: seed, count: 60)
    let whole = Bench()
    try WorkloadRun(workload, options: whole.options, least: 0, comment: "").run(to: workload.steps.count)
    var crashCount = 0
    for _ in 0..<Self.wrecks {
      let wreck = makeWreck(workload, 1 + random.below(whole.disk.callCount), seed, &random)
      let callCount = try recoveryCalls(workload, wreck)
      let calls =
        callCount <= Self.crashesPerWreck
        ? Array(1...callCount) : (0..<Self.crashesPerWreck).map { _ in 1 + random.below(callCount) }
      for call in calls {
        crashCount += 1
        crashAgain(workload, wreck, call, &random)
      }
    }
    #expect(crashCount > Self.wrecks * 4, "recovery does next to nothing; \(repeatCommand(seed, "CrashRecovery"))")
  }

  private func makeWreck(_ workload: Workload, _ call: Int, _ seed: UInt64, _ random: inout SeededRandom) -> Wreck {
    let comment = "crash at \(call), \(repeatCommand(seed, "CrashRecovery"))"
    let bench = Bench()
    bench.disk.crash(at: call, seed: random.next())
    var begun = 0
    var acknowledged = 0
    do {
      let run = try WorkloadRun(workload, options: bench.options, least: 0, comment: "\(comment)")
      defer { (begun, acknowledged) = (run.begun, run.acknowledged) }
      do { try run.run(to: workload.steps.count) } catch {
        expectCrash(error, comment)
        _ = storeError { try run.store.close(drain: false) }
      }
    } catch { expectCrash(error, comment) }
    let mode: CrashMode = [.keepAll, .keepNothing, .seeded(random.next()), .seeded(random.next())][random.below(4)]
    let disk = bench.disk.crashImage(mode)
    if random.chance(1, of: 3) { removeDatabase(bench.projections) }
    return Wreck(disk: disk, bench: bench, begun: begun, acknowledged: acknowledged, comment: "\(comment), \(mode)")
  }

  private func expectCrash(_ error: any Error, _ comment: String) {
    #expect((error as? StoreError)?.kind == .unavailable, "\(error); \(comment)")
  }

  /// File calls of an opening and a leaving that nothing disturbs.
  private func recoveryCalls(_ workload: Workload, _ wreck: Wreck) throws -> Int {
    let bench = Bench(disk: wreck.disk.crashImage(.keepAll))
    copyDatabase(wreck.projections, to: bench.projections)
    try Store.open(path: "shop", options: bench.options).close()
    return bench.disk.callCount
  }

  private func crashAgain(_ workload: Workload, _ wreck: Wreck, _ call: Int, _ random: inout SeededRandom) {
    let bench = Bench(disk: wreck.disk.crashImage(.keepAll))
    copyDatabase(wreck.projections, to: bench.projections)
    bench.disk.crash(at: call, seed: random.next())
    let error = storeError {
      let store = try bench.open()
      try store.close()
    }
    let mode: CrashMode = [.keepAll, .keepNothing, .seeded(random.next())][random.below(3)]
    let comment: Comment = "then at call \(call) of recovery, \(mode); first \(wreck.comment)"
    // The projector is told of the same, where it reads shards to make its file anew.
    #expect(error == nil || [.unavailable, .overloaded].contains(error!.kind), "\(error!); \(comment)")
    let after = Bench(disk: bench.disk.crashImage(mode))
    copyDatabase(bench.projections, to: after.projections)
    do {
      let run = try WorkloadRun(workload, options: after.options, least: wreck.acknowledged, comment: comment)
      #expect(run.begun <= wreck.begun, comment)
      try run.compare()
      try run.run(to: min(run.begun + 4, workload.steps.count))
      try run.compare()
      try run.closeAndCompareFile()
    } catch { Issue.record("\(error); \(comment)") }
  }
}
