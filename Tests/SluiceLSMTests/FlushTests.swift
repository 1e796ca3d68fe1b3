// Flush writes the runs of a memtable as they are when they follow one another, else merged: tables hold what the
// memtable held, whatever its shape.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

/// How the keys of a memtable come.
enum KeyOrder: CaseIterable {
  case rising
  /// Rising batches with rising keys, and some keys in twice, in one batch or in the next.
  case repeated
  case scattered
}

private func number(_ index: UInt64, _ order: KeyOrder) -> UInt64 {
  switch order {
  case .rising: index
  case .repeated: index - index % 3 / 2
  case .scattered: index &* 0x9e37_79b9_7f4a_7c15 % 50_000
  }
}

@Test(arguments: KeyOrder.allCases, [true, false])
func tablesHoldWhatTheMemtableHeld(_ order: KeyOrder, isSmall: Bool) throws {
  let disk = SimulatedFileSystem()
  let engine = try openEngine(disk, small: isSmall)
  engine.keepVersions(from: 2_500)
  var model = Model()
  var commands: [Model.Command] = []
  // More than the first storages of a memtable take, so that there are several runs.
  for position in UInt64(1)...5_000 {
    let key = makeKey(1, number(position, order))
    let value = [UInt8](repeating: UInt8(truncatingIfNeeded: position), count: Int(position % 40))
    commands.append(position % 17 == 0 ? delete(position, key) : put(position, key, value))
    if position % 250 == 0 {
      for command in commands { model.apply(command) }
      engine.apply(commands)
      commands = []
    }
  }
  #expect(engine.current.runs.count > 1)
  let isSequence = Run.inSequence(engine.current.runs).count > 1
  #expect(isSequence == (order != .scattered))
  engine.freeze(at: 5_000)
  try engine.flushAll()
  for position in [UInt64(2_500), 3_700, 5_000] {
    #expect(try engine.snapshot(at: position).rows() == model.scan(at: position), "at \(position)")
  }
  for position in stride(from: UInt64(1), through: 5_000, by: 7) {
    let key = makeKey(1, number(position, order))
    #expect(try engine.snapshot(at: 5_000).row(key) == model.get(key, at: 5_000))
  }
  let tables = try disk.list("engine").filter { $0.hasSuffix(".table") }
  #expect(isSmall ? tables.count > 10 : tables.count == 1)
  for table in tables {
    let verdict = describeTable(fileSystem: disk, path: "engine/" + table).last ?? ""
    #expect(verdict.contains("state=sound"), "\(table): \(verdict)")
  }
}

@Test func aMemtableOfWhichNothingIsKeptLeavesNoTable() throws {
  let disk = SimulatedFileSystem()
  let engine = try openEngine(disk)
  engine.apply([put(1, makeKey(1, 1), [1]), delete(2, makeKey(1, 1)), delete(3, makeKey(1, 2))])
  engine.freeze(at: 3)
  try engine.flushAll()
  #expect(engine.flushedPosition == 3)
  #expect(try disk.list("engine").allSatisfy { !$0.hasSuffix(".table") })
  #expect(try engine.snapshot(at: 3).rows().isEmpty)
  engine.apply([put(4, makeKey(1, 2), [2])])
  engine.freeze(at: 4)
  try engine.flushAll()
  #expect(try engine.snapshot(at: 4).rows().map(\.position) == [4])
}

@Test func aNewEngineHasNoFilesBeforeItsFirstFlush() throws {
  let disk = SimulatedFileSystem()
  let recording = RecordingFileSystem(disk)
  let engine = try openEngine(recording)
  engine.apply([put(1, makeKey(1, 1), [1])])
  engine.freeze(at: 1)
  #expect(!recording.lines.contains { $0.hasPrefix("sync") })
  #expect(try disk.list("engine").isEmpty)
  // A power cut may take even the directory: nothing is missing.
  let lost = try openEngine(disk.crashImage(.keepNothing))
  #expect(lost.flushedPosition == 0)
  try engine.flushAll()
  engine.close()
  let kept = try openEngine(disk.crashImage(.keepNothing))
  #expect(try kept.snapshot(at: 1).rows().map(\.position) == [1])
}

@Test func aFirstManifestThatFindsTheDiskFullIsTriedAgain() throws {
  for fault in ["full after 0", "full after 20", "full after 40"] {
    let disk = SimulatedFileSystem()
    let engine = try openEngine(disk)
    engine.apply([put(1, makeKey(1, 1), [1])])
    engine.freeze(at: 1)
    try disk.inject(fault)
    let error = #expect(throws: EngineError.self) { try engine.flush() }
    #expect(error?.cause?.reason == .diskFull, "\(fault)")
    disk.clearFaults()
    try engine.flushAll()
    engine.close()
    let again = try openEngine(disk.crashImage(.keepNothing))
    #expect(try again.snapshot(at: 1).rows().map(\.position) == [1], "\(fault)")
  }
}
