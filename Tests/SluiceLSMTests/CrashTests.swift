// Crash everywhere: the workload stops at each of its file calls, and what the next process finds must be the model,
// after replaying from the flushed position.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

/// The commands of the workload; they are the log, which outlives every crash.
private func workloadModel() -> Model {
  var model = Model()
  var random = SeededRandom(seed: 11)
  for position in UInt64(1)...240 {
    if position == 130 {
      model.drops.append((3, 130))
      continue
    }
    let table = position < 130 ? UInt32(1 + random.below(3)) : UInt32(1 + random.below(2))
    let key = makeKey(table, [UInt8(random.below(40))])
    model.apply(
      .init(position: position, key: key, value: random.chance(1, of: 4) ? nil : random.bytes(random.below(90))))
  }
  return model
}

/// Writes all in batches of ten, with a flush after each third and compactions; reports each flushed position.
private func workload(_ disk: SimulatedFileSystem, _ model: Model, flushed: inout UInt64) throws {
  let engine = try openEngine(disk)
  defer { engine.close() }
  for batch in 0..<24 {
    let positions = UInt64(batch * 10 + 1)...UInt64(batch * 10 + 10)
    engine.apply(model.commands.filter { positions.contains($0.position) })
    for drop in model.drops where positions.contains(drop.position) {
      engine.deletePrefix(drop.prefix, position: drop.position)
    }
    if batch % 2 == 1 {
      engine.freeze(at: positions.upperBound)
      try engine.flushAll()
      flushed = engine.flushedPosition
      try engine.compactAll()
    }
  }
}

@Test func crashAtEveryFileCall() throws {
  let model = workloadModel()
  let expected = model.scan(at: 240)
  let whole = SimulatedFileSystem()
  var flushed: UInt64 = 0
  try workload(whole, model, flushed: &flushed)
  #expect(flushed == 240)
  #expect(whole.callCount > 60, "the workload is too small")
  let seed = testSeed()
  for call in 1...whole.callCount {
    let disk = SimulatedFileSystem()
    disk.crash(at: call, seed: seed &+ UInt64(call))
    var flushed: UInt64 = 0
    // A crash in the removal of a file that no version names goes unnoticed until the next call.
    do { try workload(disk, model, flushed: &flushed) } catch { #expect(disk.isCrashed, "\(error)") }
    #expect(disk.isCrashed)
    let modes: [CrashMode] = [.keepNothing, .keepAll, .seeded(seed), .seeded(seed &+ 1)]
    for mode in modes {
      let comment: Comment = "call \(call), \(mode): \(repeatCommand(seed, "crashAtEveryFileCall"))"
      try check(disk.crashImage(mode), model, expected, atLeast: flushed, comment)
    }
  }
}

private func check(
  _ image: SimulatedFileSystem, _ model: Model, _ expected: [Row], atLeast flushed: UInt64, _ comment: Comment
) throws {
  let engine: Engine
  do { engine = try openEngine(image) } catch {
    Issue.record("\(error): \(comment)")
    return
  }
  #expect(engine.flushedPosition >= flushed, comment)
  // Without replay: exactly the prefix of the log that was flushed.
  let position = engine.flushedPosition
  #expect(try engine.snapshot(at: 240).rows() == model.scan(at: position), comment)
  try engine.replay(model)
  #expect(try engine.snapshot(at: 240).rows() == expected, comment)
  // And it goes on working, with nothing left behind.
  engine.freeze(at: 240)
  try engine.flushAll()
  try engine.compactAll()
  #expect(try engine.snapshot(at: 240).rows() == expected, comment)
  let names = try image.list("engine")
  #expect(names.filter { $0.hasSuffix(".table") }.count == engine.statistics().tables, comment)
  #expect(names.filter { $0.hasPrefix("MANIFEST") }.count == 1, comment)
}

@Test func orderOfDurability() throws {
  var lines: [String] = []
  let disk = SimulatedFileSystem()
  let recording = RecordingFileSystem(disk)
  let engine = try openEngine(recording)
  engine.apply([put(1, makeKey(1, 1), [1])])
  engine.freeze(at: 1)
  try engine.flushAll()
  engine.close()
  lines = recording.lines.filter { !$0.hasPrefix("read") && !$0.hasPrefix("close") && !$0.hasPrefix("writeback") }
  let expected = [
    "create directory engine", "sync directory .", "create engine/MANIFEST-000001", "sync engine/MANIFEST-000001",
    "sync directory engine", "create engine/000002.table", "sync engine/000002.table", "sync directory engine",
    "sync engine/MANIFEST-000001",
  ]
  let order = lines.filter { $0.hasPrefix("create") || $0.hasPrefix("sync") }
  #expect(order == expected)
}
