// Crash everywhere: at each file call of a workload the machine stops, and what the next process finds must be the
// model: everything acknowledged, statements and transactions whole, order kept; shards, SELECT and projections.db
// alike, whatever became of projections.db itself. Then the rest of the workload is written on top.
import Foundation
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Sees each file call of the run before it happens, and checks crashes there.
///
/// `@unchecked Sendable`: run and hook are on one thread, that of the test.
private final class CrashWatch: @unchecked Sendable {
  private let seed: UInt64
  private let disk: SimulatedFileSystem
  private let projections: String
  private let scratch = Scratch()
  var run: WorkloadRun?
  private(set) var callCount = 0
  private(set) var crashCount = 0
  /// The calls seen.
  private(set) var kinds: [String] = []
  private var copiedAt = -1
  private let part: Int
  private let parts: Int

  init(seed: UInt64, disk: SimulatedFileSystem, projections: String, part: Int, of parts: Int) {
    self.seed = seed
    self.disk = disk
    self.projections = projections
    self.part = part
    self.parts = parts
  }

  /// Around syncs and renames every kind of crash; elsewhere one kind, in turn.
  func willCall(_ call: String) {
    callCount += 1
    kinds.append(call)
    if let run, run.acknowledged % 16 == 9, copiedAt != run.acknowledged {
      copiedAt = run.acknowledged
      copyDatabase(projections, to: scratch.file("older.db"))
    }
    guard callCount % parts == part else { return }
    let modes: [CrashMode] = [.keepAll, .keepNothing, .seeded(seed &+ UInt64(callCount))]
    let isCritical = call.hasPrefix("sync") || call.hasPrefix("rename")
    for (index, mode) in modes.enumerated() where isCritical || callCount / parts % 3 == index {
      crashCount += 1
      let variant = (callCount / parts + index) % 4
      let comment: Comment =
        """
        call \(callCount), before \(call), \(mode), projections \(variant), part \(part): \
        \(repeatCommand(seed, "SluiceTests.CrashTests"))
        """
      do { try crash(mode, variant, comment) } catch { Issue.record("\(error); \(comment)") }
    }
  }

  private func crash(_ mode: CrashMode, _ variant: Int, _ comment: Comment) throws {
    let file = scratch.file("image.db")
    switch variant {
    case 0, 1: copyDatabase(projections, to: file)
    case 2: copyDatabase(scratch.file("older.db"), to: file)
    default: removeDatabase(file)
    }
    let options = simulatedOptions(disk.crashImage(mode), projections: file, seed: seed)
    let workload = run!.workload
    let after = try WorkloadRun(workload, options: options, least: run!.acknowledged, comment: comment)
    #expect(after.begun <= run!.begun, comment)
    try after.compare()
    try after.run(to: min(after.begun + 4, workload.steps.count))
    try after.compare()
    try after.closeAndCompareFile()
  }
}

@Suite struct CrashTests {
  private static let parts = 4

  /// In four parts, which run beside one another: each takes every fourth call.
  @Test(arguments: 0..<parts)
  func crashAtEveryFileCall(_ part: Int) throws {
    let seed = testSeed()
    let bench = Bench()
    let watch = CrashWatch(
      seed: seed, disk: bench.disk, projections: bench.projections, part: part, of: Self.parts)
    let hooked = HookedFileSystem(bench.disk) { if watch.run != nil { watch.willCall($0) } }
    let comment: Comment = "without a crash: \(repeatCommand(seed, "SluiceTests.CrashTests"))"
    let run = try WorkloadRun(
      Workload(seed: seed, count: 90), options: simulatedOptions(hooked, projections: bench.projections), least: 0,
      comment: comment)
    watch.run = run
    try run.run(to: run.workload.steps.count)
    try run.compare()
    watch.run = nil
    try run.closeAndCompareFile()
    #expect(watch.crashCount > 80, "the workload is too small; \(comment)")
    for kind in ["create shop/shards", "rename shop/log/staged", "remove shop/log/staged"] {
      #expect(watch.kinds.contains { $0.hasPrefix(kind) }, "the workload never does \(kind); \(comment)")
    }
  }
}
