// A reader beside a writer, on one simulated disk: before each file call of the writer a reader that was opened long
// ago goes on, and now and then another one opens. Whatever is half done just then, both must see whole statements and
// transactions only, everything that was acknowledged, and at each position what the model has there.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Looks on from inside the writer's file calls.
///
/// `@unchecked Sendable`: run and hook are on one thread, that of the test.
private final class Onlooker: @unchecked Sendable {
  private let disk: SimulatedFileSystem
  private let seed: UInt64
  private let memoryBytes: Int
  private var follower: SimulatedReader?
  var run: WorkloadRun?
  var openingCount: Int { follower?.openingCount ?? 0 }
  private(set) var callCount = 0
  private(set) var positions: Set<UInt64> = []
  /// Calls before which there was something that is not acknowledged.
  private(set) var aheadCount = 0

  init(_ disk: SimulatedFileSystem, seed: UInt64, memoryBytes: Int) {
    self.disk = disk
    self.seed = seed
    self.memoryBytes = memoryBytes
  }

  func willCall(_ call: String) {
    guard let run else { return }
    callCount += 1
    let comment: Comment =
      "before call \(callCount), \(call), memory \(memoryBytes): \(repeatCommand(seed, "ReadingModelTests"))"
    do {
      if let follower { try follower.refresh() } else { follower = try SimulatedReader(disk, memoryBytes: memoryBytes) }
      try check(follower!.reader.view, run, comment)
      if callCount % 5 == 0 {
        let opened = try SimulatedReader(disk).reader.view
        #expect(opened.position == follower?.reader.position, comment)
        try check(opened, run, comment)
      }
    } catch { Issue.record("\(error); \(comment)") }
  }

  private func check(_ view: StoreView, _ run: WorkloadRun, _ comment: Comment) throws {
    let acknowledged = run.workload.models[run.acknowledged].position
    #expect(view.position >= acknowledged, "position \(view.position), acknowledged \(acknowledged); \(comment)")
    let index = try #require(
      run.workload.model(at: view.position), "position \(view.position) is within a statement; \(comment)")
    if let difference = difference(try view.contents(comment), run.workload.models[index].contents) {
      Issue.record("position \(view.position): \(difference); \(comment)")
    }
    positions.insert(view.position)
    if view.position > acknowledged { aheadCount += 1 }
  }
}

@Suite struct ReadingModelTests {
  /// With little memory the shards are opened anew again and again, with much never.
  @Test(arguments: [600, 4 << 10, 1 << 20])
  func aReaderSeesWholeStepsBeforeEachFileCall(memoryBytes: Int) throws {
    let seed = testSeed()
    let bench = Bench()
    let onlooker = Onlooker(bench.disk, seed: seed, memoryBytes: memoryBytes)
    let hooked = HookedFileSystem(bench.disk) { onlooker.willCall($0) }
    let comment: Comment = "memory \(memoryBytes): \(repeatCommand(seed, "ReadingModelTests"))"
    let run = try WorkloadRun(
      Workload(seed: seed, count: 100), options: simulatedOptions(hooked, projections: bench.projections), least: 0,
      comment: comment)
    onlooker.run = run
    for step in 1...run.workload.steps.count {
      try run.run(to: step)
      try run.settle()
      try expectEqual(try SimulatedReader(bench.disk).reader.view, run.store, "step \(step), \(comment)")
    }
    onlooker.run = nil
    #expect(onlooker.openingCount == 1, "going on failed, and it was opened anew; \(comment)")
    try run.closeAndCompareFile()
    #expect(onlooker.callCount > 150 && onlooker.positions.count > 40, "the workload is too small; \(comment)")
    #expect(onlooker.aheadCount > 10, "nothing was seen before it was acknowledged; \(comment)")
  }

  /// One step after the other, without looking in between: many news at once, over the borders of segments.
  @Test(arguments: [600, 1 << 20])
  func aReaderThatRarelyLooks(memoryBytes: Int) throws {
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    let bench = Bench()
    let comment: Comment = "memory \(memoryBytes): \(repeatCommand(seed, "ReadingModelTests"))"
    let workload = Workload(seed: seed, count: 160)
    let run = try WorkloadRun(workload, options: bench.options, least: 0, comment: comment)
    let follower = try SimulatedReader(bench.disk, memoryBytes: memoryBytes)
    var step = 0
    while step < workload.steps.count {
      step = min(step + 1 + random.below(30), workload.steps.count)
      try run.run(to: step)
      try run.settle()
      try follower.refresh()
      try expectEqual(follower.reader.view, run.store, "step \(step), \(comment)")
    }
    #expect(follower.openingCount == 1, comment)
    try run.closeAndCompareFile()
  }

  /// A view stays what it is, whatever the reader and the writer do.
  @Test func aViewDoesNotMove() throws {
    let seed = testSeed()
    let bench = Bench()
    let workload = Workload(seed: seed, count: 100)
    let run = try WorkloadRun(workload, options: bench.options, least: 0, comment: "")
    let follower = try SimulatedReader(bench.disk, memoryBytes: 600)
    var views: [StoreView] = []
    for step in 1...workload.steps.count {
      try run.run(to: step)
      try follower.refresh()
      if step % 20 == 0 { views.append(follower.reader.view) }
    }
    try run.store.flush()
    try follower.refresh()
    for view in views {
      let model = try #require(workload.model(at: view.position))
      let difference = difference(try view.contents(), workload.models[model].contents)
      #expect(difference == nil, "position \(view.position): \(repeatCommand(seed, "aViewDoesNotMove"))")
    }
    #expect(Set(views.map(\.position)).count > 3)
    try run.closeAndCompareFile()
  }
}
