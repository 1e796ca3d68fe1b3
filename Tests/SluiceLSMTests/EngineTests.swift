// The engine's contract, call by call.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

@Test func rolledBackAppendsLeaveNoTrace() throws {
  let engine = try openEngine(SimulatedFileSystem())
  engine.apply([put(1, makeKey(1, 5), [1]), put(2, makeKey(1, 3), [2])])
  let batch = TestBatch()
  // Not a rising key: builds the index in the middle of a batch.
  #expect(try engine.contains(key: makeKey(1, 3)))
  engine.append(put(3, makeKey(1, 9), [3]), in: batch)
  let mark = engine.mark()
  #expect(mark == 1)
  engine.append(delete(4, makeKey(1, 5)), in: batch)
  engine.append(put(5, makeKey(1, 4), [5]), in: batch)
  engine.append(put(6, makeKey(1, 4), [6]), in: batch)
  #expect(try engine.contains(key: makeKey(1, 5)) == false)
  #expect(try engine.contains(key: makeKey(1, 4)))
  engine.rollback(to: mark)
  #expect(try engine.contains(key: makeKey(1, 5)))
  #expect(try engine.contains(key: makeKey(1, 4)) == false)
  #expect(try engine.contains(key: makeKey(1, 9)))
  engine.publish(upTo: 6, owner: batch)
  #expect(try engine.snapshot(at: 6).rows().map(\.position) == [2, 1, 3])
}

@Test func memoryOfARejectedBatchMayGo() throws {
  let engine = try openEngine(SimulatedFileSystem())
  engine.apply([put(1, makeKey(1, 1), [1])])
  var batch: TestBatch? = TestBatch()
  #expect(try engine.contains(key: makeKey(1, 1)))
  for number in 2..<200 { engine.append(put(2, makeKey(1, UInt64(number)), []), in: batch!) }
  engine.rollback(to: 0)
  batch = nil
  for number in 2..<200 { #expect(try engine.contains(key: makeKey(1, UInt64(number))) == false) }
  engine.apply([put(3, makeKey(1, 7), [7])])
  #expect(try engine.snapshot(at: 3).rows().map(\.position) == [1, 3])
}

@Test func batchMemoryGoesWithTheFlushAndTheLastSnapshot() throws {
  let engine = try openEngine(SimulatedFileSystem())
  weak var memory: TestBatch?
  var snapshot: Snapshot?
  func write() {
    let batch = TestBatch()
    memory = batch
    engine.append(put(1, makeKey(1, 1), [1]), in: batch)
    engine.publish(upTo: 1, owner: batch)
    snapshot = engine.snapshot(at: 1)
  }
  write()
  engine.freeze(at: 1)
  #expect(engine.flushedPosition == 0)
  try engine.flushAll()
  #expect(engine.flushedPosition == 1)
  #expect(memory != nil)
  #expect(try snapshot?.rows().count == 1)
  snapshot = nil
  #expect(memory == nil)
}

@Test func unpublishedEntriesAreInvisible() throws {
  let engine = try openEngine(SimulatedFileSystem())
  let batch = TestBatch()
  engine.append(put(1, makeKey(1, 1), [1]), in: batch)
  #expect(try engine.snapshot(at: 9).rows().isEmpty)
  #expect(try engine.lastKey(prefix: makeKey(1, [])) == nil)
  #expect(try engine.contains(key: makeKey(1, 1)))
  engine.publish(upTo: 1, owner: batch)
  #expect(try engine.snapshot(at: 0).rows().isEmpty)
  #expect(try engine.snapshot(at: 1).get(makeKey(1, 1)) == [1])
}

@Test func emptyMemtablesMoveTheFlushedPosition() throws {
  let disk = SimulatedFileSystem()
  let engine = try openEngine(disk)
  engine.freeze(at: 10)
  engine.freeze(at: 20)
  #expect(try engine.flush())
  #expect(engine.flushedPosition == 10)
  try engine.flushAll()
  engine.close()
  #expect(try openEngine(disk).flushedPosition == 20)
}

@Test func risingKeysAreMovedNotRewritten() throws {
  let engine = try openEngine(SimulatedFileSystem())
  var position: UInt64 = 0
  for _ in 0..<40 {
    engine.apply(
      (0..<100).map { _ in
        position += 1
        return put(position, makeKey(1, position), [UInt8](repeating: 7, count: 60))
      })
    engine.freeze(at: position)
    try engine.flushAll()
    try engine.compactAll()
  }
  let statistics = engine.statistics()
  #expect(statistics.compactedBytes == 0)
  #expect(statistics.levels.reduce(0) { $0 + $1.runs } <= 7)
  #expect(try engine.contains(key: makeKey(1, position + 1)) == false)
  #expect(try engine.contains(key: makeKey(1, position)))
  #expect(try engine.contains(key: makeKey(1, 1)))
  #expect(try engine.snapshot(at: position).rows().map(\.position) == Array(1...position))
}

@Test func overwritingKeepsTheStoreSmall() throws {
  let disk = SimulatedFileSystem()
  let engine = try openEngine(disk)
  var position: UInt64 = 0
  for round in 0..<64 {
    engine.apply(
      (0..<50).map { number in
        position += 1
        return round % 4 == 3
          ? delete(position, makeKey(1, UInt64(number)))
          : put(position, makeKey(1, UInt64(number)), [UInt8](repeating: 1, count: 50))
      })
    engine.freeze(at: position)
    try engine.flushAll()
    try engine.compactAll()
  }
  // All is deleted: at the bottom neither old versions nor tombstones stay.
  #expect(try engine.snapshot(at: position).rows().isEmpty)
  #expect(engine.statistics().tableEntries <= 50 * 8)
  let names = try disk.list("engine").filter { $0.hasSuffix(".table") }
  #expect(names.count == engine.statistics().tables)
}

@Test func heldVersionsSurviveCompaction() throws {
  let engine = try openEngine(SimulatedFileSystem())
  engine.keepVersions(from: 3)
  for position in 1...8 {
    engine.apply([put(UInt64(position), makeKey(1, 1), [UInt8(position)])])
    engine.freeze(at: UInt64(position))
    try engine.flushAll()
    try engine.compactAll()
  }
  for position in 3...8 {
    #expect(try engine.snapshot(at: UInt64(position)).get(makeKey(1, 1)) == [UInt8(position)])
  }
  #expect(engine.statistics().tableEntries < 8)
}

@Test func droppedTablesGoAndStayGone() throws {
  let disk = SimulatedFileSystem()
  var engine = try openEngine(disk)
  engine.apply((1...200).map { put($0, makeKey(UInt32(1 + $0 % 2), $0), [UInt8](repeating: 3, count: 60)) })
  engine.freeze(at: 200)
  try engine.flushAll()
  let before = engine.snapshot(at: 200)
  engine.deletePrefix(2, position: 201)
  engine.deletePrefix(2, position: 201)
  #expect(try engine.contains(key: makeKey(2, 199)) == false)
  #expect(try engine.snapshot(at: 201).rows().count == 100)
  #expect(try engine.snapshot(at: 200).rows().count == 200)
  #expect(try engine.lastKey(prefix: makeKey(2, [])) == nil)
  engine.freeze(at: 201)
  try engine.flushAll()
  try engine.compactAll()
  #expect(try before.rows().count == 200)
  engine.close()
  engine = try openEngine(disk)
  #expect(try engine.snapshot(at: 201).rows().count == 100)
  // Replay of the drop, then enough runs to merge everything.
  engine.deletePrefix(2, position: 201)
  for position in UInt64(202)...206 {
    engine.apply([put(position, makeKey(1, 0), [1]), put(position, makeKey(3, 0), [1])])
    engine.freeze(at: position)
    try engine.flushAll()
  }
  try engine.compactAll(isIdle: true)
  #expect(engine.statistics().tableEntries < 120)
  #expect(try engine.snapshot(at: 206).rows().count == 102)
}

@Test func lastKeySkipsTheDead() throws {
  let engine = try openEngine(SimulatedFileSystem())
  engine.apply((1...50).map { put($0, makeKey(1, $0), []) } + [put(51, makeKey(2, 1), [])])
  engine.freeze(at: 51)
  try engine.flushAll()
  engine.apply((20...50).map { delete($0 + 50, makeKey(1, $0)) })
  #expect(try engine.lastKey(prefix: makeKey(1, [])) == makeKey(1, 19))
  #expect(try engine.lastKey(prefix: makeKey(2, [])) == makeKey(2, 1))
  #expect(try engine.lastKey(prefix: makeKey(3, [])) == nil)
  #expect(try engine.lastKey(prefix: []) == makeKey(2, 1))
}

@Test func aFailedTableWriteCanBeRepeated() throws {
  for fault in [
    "fail write *.table at 1", "fail sync *.table at 1", "fail create *.table at 1",
    // The first one is that of the manifest, which poisons.
    "fail syncDirectory engine at 2",
  ] {
    let disk = SimulatedFileSystem()
    let engine = try openEngine(disk)
    engine.apply([put(1, makeKey(1, 1), [1])])
    engine.freeze(at: 1)
    try disk.inject(fault)
    #expect(throws: EngineError.self) { try engine.flush() }
    disk.clearFaults()
    #expect(engine.flushedPosition == 0)
    #expect(try engine.snapshot(at: 1).rows().count == 1)
    #expect(try engine.flush())
    engine.close()
    let again = try openEngine(disk)
    #expect(try again.snapshot(at: 1).get(makeKey(1, 1)) == [1], "\(fault)")
    #expect(try disk.list("engine").filter { $0.hasSuffix(".table") }.count == 1)
  }
}

@Test func aFailedManifestWritePoisons() throws {
  for fault in ["fail write MANIFEST* at 1", "fail sync MANIFEST* at 1", "full after 200"] {
    let disk = SimulatedFileSystem()
    let engine = try openEngine(disk)
    engine.apply([put(1, makeKey(1, 1), [1])])
    engine.freeze(at: 1)
    try disk.inject(fault)
    #expect(throws: EngineError.self) { try engine.flush() }
    if fault.hasPrefix("full") { continue }
    disk.clearFaults()
    let error = #expect(throws: EngineError.self) { try engine.flush() }
    #expect(error?.kind == .poisoned)
    #expect(try engine.snapshot(at: 1).get(makeKey(1, 1)) == [1])
    let again = try openEngine(disk.crashImage(.keepNothing))
    #expect(again.flushedPosition == 0)
    #expect(try again.snapshot(at: 1).rows().isEmpty)
  }
}

@Test func aClosedEngineRefusesToWrite() throws {
  let engine = try openEngine(SimulatedFileSystem())
  engine.apply([put(1, makeKey(1, 1), [1])])
  engine.close()
  let error = #expect(throws: EngineError.self) { try engine.flush() }
  #expect(error?.kind == .closed)
  #expect(try engine.snapshot(at: 1).rows().count == 1)
}

@Test func manyTinyBatchesKeepFewRuns() throws {
  let engine = try openEngine(SimulatedFileSystem())
  var random = SeededRandom(seed: 1)
  for position in UInt64(1)...5000 { engine.apply([put(position, makeKey(1, random.next()), [])]) }
  let statistics = engine.statistics()
  #expect(statistics.memtableEntries == 5000)
  #expect(statistics.memtableRuns <= 13)
  let rows = try engine.snapshot(at: 5000).rows()
  #expect(rows.count == 5000)
  let rises = zip(rows, rows.dropFirst()).allSatisfy { (a: Row, b: Row) -> Bool in compareKeys(a.key, b.key) < 0 }
  #expect(rises)
}

@Test func largeValuesHaveBlocksOfTheirOwn() throws {
  let engine = try openEngine(SimulatedFileSystem())
  let large = [UInt8](repeating: 0x5a, count: 3 << 20)
  engine.apply([put(1, makeKey(1, 1), [1]), put(2, makeKey(1, 2), large), put(3, makeKey(1, 3), [3])])
  engine.freeze(at: 3)
  try engine.flushAll()
  #expect(try engine.snapshot(at: 3).rows().map(\.value) == [[1], large, [3]])
  #expect(try engine.snapshot(at: 3).get(makeKey(1, 2)) == large)
}

@Test func aLongManifestIsWrittenAnew() throws {
  let disk = SimulatedFileSystem()
  let engine = try openEngine(disk)
  let long = [UInt8](repeating: 0x61, count: 60_000)
  for position in UInt64(1)...16 {
    engine.apply([put(position, makeKey(1, long + [UInt8(position)]), [1])])
    engine.freeze(at: position)
    try engine.flushAll()
    try engine.compactAll()
  }
  let manifests = try disk.list("engine").filter { $0.hasPrefix("MANIFEST") }
  #expect(manifests.count == 1 && manifests[0] != "MANIFEST-000001")
  engine.close()
  #expect(try openEngine(disk).snapshot(at: 16).rows().count == 16)
}

/// What is left of a table that was nearly emptied is all that a walk goes over, however much there was.
@Test(arguments: [UInt64(5_000), 50_000])
func deletedRowsLeaveNothing(_ count: UInt64) throws {
  let engine = try openEngine(SimulatedFileSystem())
  engine.apply((1...count).map { put($0, makeKey(1, $0), [1]) })
  engine.freeze(at: count)
  try engine.flushAll()
  engine.apply((1...(count - 10)).map { delete(count + $0, makeKey(1, $0)) })
  #expect(engine.memtableTombstones == count - 10)
  engine.freeze(at: 2 * count)
  try engine.flushAll()
  try engine.compactAll()
  #expect(engine.statistics().tableEntries == 10)
  #expect(engine.statistics().tombstones == 0)
  #expect(try engine.snapshot(at: 2 * count).rows().count == 10)
}

@Test func tombstonesAreNotMovedToTheBottom() throws {
  let engine = try openEngine(SimulatedFileSystem())
  engine.sizes.small = 0
  for run in UInt64(1)...4 {
    // Disjoint runs: all could be moved, but the third has nothing to hide any more.
    engine.apply([run == 3 ? delete(run, makeKey(1, run)) : put(run, makeKey(1, run), [1])])
    engine.freeze(at: run)
    try engine.flushAll()
  }
  #expect(engine.statistics().tombstones == 1)
  try engine.compactAll()
  #expect(engine.statistics().tombstones == 1)
  try engine.compactAll(isIdle: true)
  #expect(engine.statistics().tombstones == 0)
  #expect(engine.statistics().tableEntries == 3)
  #expect(try engine.snapshot(at: 4).rows().map(\.position) == [1, 2, 4])
}
