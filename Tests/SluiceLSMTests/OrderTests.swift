// The order of keys and the pure rules: comparison numbers, sorting, what to compact, what to move.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

@Test func keyOrdersAgreeWithBytes() {
  let seed = testSeed()
  var random = SeededRandom(seed: seed)
  for _ in 0..<20_000 {
    let common = random.bytes(random.below(24))
    func key() -> [UInt8] { common + (0..<random.below(12)).map { _ in [0, 0, 1, 0xff][random.below(4)] } }
    let a = key()
    let b = key()
    let expected = compareKeys(a, b)
    let actual = a.withUnsafeBytes { first in
      b.withUnsafeBytes { second in
        let x = SearchKey(first)
        let y = SearchKey(second)
        #expect(precedes(x, y) == (expected < 0))
        if x.table != y.table { return x.table < y.table ? -1 : 1 }
        if x.order != y.order { return x.order < y.order ? -1 : 1 }
        return compareKeyTails(first.baseAddress, first.count, second.baseAddress, second.count)
      }
    }
    #expect(actual.signum() == expected.signum(), "\(a) \(b) \(repeatCommand(seed, "keyOrdersAgree"))")
    // In padded memory whatever stands behind the key does not count.
    let padded = (a + random.bytes(rankSize)).withUnsafeBytes { paddedKeyOrder($0.baseAddress!, a.count) }
    #expect(padded == a.withUnsafeBytes { keyOrder($0) }, "\(a)")
  }
}

@Test func sortingSorts() {
  var random = SeededRandom(seed: 4)
  let batch = TestBatch()
  let key = batch.add([UInt8](repeating: 0, count: 16)).baseAddress!
  for count in [0, 1, 2, 7, 8, 9, 31, 1000, 2500] {
    let storage = RunStorage(capacity: count)
    let scratch = RunStorage(capacity: count)
    for index in 0..<count {
      let order = UInt128(random.below(300)) << 32
      (storage.base + index).initialize(
        to: MemoryEntry(
          order: order, key: key, trailer: packTrailer(UInt64(index), .put), table: UInt32(random.below(2)),
          keySize: 16, valueSize: 0))
    }
    sortEntries(storage.base, count: count, scratch: scratch.base)
    #expect(isSorted(MemoryEntries(storage.base), count: count))
    let positions = Set((0..<count).map { storage.base[$0].trailer })
    #expect(positions.count == count)
  }
}

private func table(_ number: UInt64, _ low: UInt64, _ high: UInt64, size: UInt64 = 10_000_000) -> TableInfo {
  TableInfo(
    number: number, size: size, smallest: makeKey(1, low), largest: makeKey(1, high), lowestPosition: 1,
    highestPosition: 2, entries: 10, tombstones: 0)
}

private func run(_ number: UInt64, size: UInt64) -> RunInfo {
  RunInfo(number: number, tables: [table(number, 1, 9, size: size)])
}

@Test func shallowLevelsAreCompactedFirst() {
  var version = Version()
  #expect(pickCompaction(version) == nil)
  version.levels = [(1...7).map { run($0, size: 10) }]
  #expect(pickCompaction(version) == nil)
  version.levels = [(1...8).map { run($0, size: 10) }]
  #expect(pickCompaction(version) == Compaction(inputs: Array(1...8), outputLevel: 1, dropsTombstones: true))
  // Into a level that is not the deepest: tombstones stay.
  version.levels = [(6...13).map { run($0, size: 10) }, [run(5, size: 80)], [run(1, size: 160)]]
  #expect(pickCompaction(version) == Compaction(inputs: Array(6...13), outputLevel: 1, dropsTombstones: false))
  // Into the bottom, while it is the smaller one.
  version.levels = [(6...13).map { run($0, size: 10) }, [run(1, size: 79)]]
  #expect(pickCompaction(version) == Compaction(inputs: Array(6...13) + [1], outputLevel: 1, dropsTombstones: true))
  // A bottom that is as large moves down.
  version.levels = [(6...13).map { run($0, size: 10) }, [run(1, size: 80)]]
  #expect(pickCompaction(version) == Compaction(inputs: [1], outputLevel: 2, dropsTombstones: true))
}

@Test func theBottomHasAThirdOfTheSpace() {
  var version = Version()
  version.levels = [(6...10).map { run($0, size: 10) }, [run(4, size: 80), run(5, size: 80)], [run(1, size: 105)]]
  #expect(pickCompaction(version) == nil)
  version.levels[2] = [run(1, size: 104)]
  #expect(
    pickCompaction(version)
      == Compaction(inputs: Array(6...10) + [4, 5, 1], outputLevel: 2, dropsTombstones: true))
}

/// Rows are merged with their tombstones, whatever the sizes of the runs, once the tombstones may go.
@Test func tombstonesAreMergedWithTheirRows() {
  func version(_ tombstones: UInt64) -> Version {
    var upper = table(2, 1, 9, size: 10)
    upper.entries = tombstones
    upper.tombstones = tombstones
    upper.highestPosition = 7
    var bottom = table(1, 1, 9, size: 1_000_000)
    bottom.entries = 10_000
    var version = Version()
    version.levels = [[RunInfo(number: 2, tables: [upper])], [RunInfo(number: 1, tables: [bottom])]]
    return version
  }
  let all = Compaction(inputs: [2, 1], outputLevel: 1, dropsTombstones: true)
  #expect(pickCompaction(version(4_999)) == nil)
  #expect(pickCompaction(version(5_000)) == all)
  #expect(pickCompaction(version(2_499), isIdle: true) == nil)
  #expect(pickCompaction(version(2_500), isIdle: true) == all)
  // A reader still needs them: merging would not take them away.
  #expect(pickCompaction(version(9_000), isIdle: true, horizon: 6) == nil)
  #expect(pickCompaction(version(9_000), horizon: 7) == all)
}

@Test func anIdleEngineWantsOneRun() {
  var version = Version()
  version.levels = [[run(1, size: 10)]]
  #expect(pickCompaction(version, isIdle: true) == nil)
  version.levels = [[run(1, size: 10), run(2, size: 10)]]
  #expect(pickCompaction(version) == nil)
  #expect(
    pickCompaction(version, isIdle: true) == Compaction(inputs: [1, 2], outputLevel: 1, dropsTombstones: true))
  version.levels = [[run(2, size: 10)], [], [run(1, size: 40)]]
  #expect(
    pickCompaction(version, isIdle: true) == Compaction(inputs: [2, 1], outputLevel: 2, dropsTombstones: true))
  // A large bottom is not rewritten for a little: what stands above it is put together at most.
  version.levels = [(2...4).map { run($0, size: 10) }, [], [run(1, size: 1000)]]
  #expect(pickCompaction(version, isIdle: true) == nil)
  version.levels = [(2...5).map { run($0, size: 10) }, [], [run(1, size: 1000)]]
  #expect(
    pickCompaction(version, isIdle: true)
      == Compaction(inputs: [2, 3, 4, 5], outputLevel: 1, dropsTombstones: false))
}

@Test func overlappingTablesAreMergedAndOthersMoved() {
  let groups = planGroups(
    [table(1, 1, 10), table(2, 5, 20), table(3, 30, 40), table(4, 41, 50, size: 10), table(5, 51, 60, size: 10)],
    smallSize: 1000
  ) { _ in false }
  #expect(groups.map(\.isMoved) == [false, true, false])
  #expect(groups.map { $0.tables.map(\.number) } == [[1, 2], [3], [4, 5]])
  // A lone small table is moved; one with something to drop is not.
  let lone = planGroups([table(1, 1, 2, size: 10), table(2, 3, 4)], smallSize: 1000) { $0.number == 2 }
  #expect(lone.map(\.isMoved) == [false])
  #expect(planGroups([table(1, 1, 2, size: 10)], smallSize: 1000) { _ in false }.map(\.isMoved) == [true])
}

@Test func editsThatDoNotFitAreRefused() {
  var version = Version()
  version.flushedPosition = 9
  version.levels = [[RunInfo(number: 1, tables: [table(2, 1, 10)])]]
  for edit in [
    VersionEdit(removed: [3]), VersionEdit(flushedPosition: 8),
    VersionEdit(added: [.init(level: 0, run: 1, table: table(4, 10, 12))]),
    VersionEdit(added: [.init(level: 99, run: 5, table: table(4, 10, 12))]),
    VersionEdit(added: [.init(level: 0, run: 5, table: table(4, 12, 10))]),
  ] {
    guard case .failure = version.applying(edit) else {
      Issue.record("\(edit) was taken")
      continue
    }
  }
}

@Test func prefixesHaveSuccessors() {
  #expect(successor(ofPrefix: [1, 2]) == [1, 3])
  #expect(successor(ofPrefix: [1, 0xff]) == [2])
  #expect(successor(ofPrefix: [0xff]) == nil)
  #expect(successor(ofPrefix: []) == nil)
}

@Test func theCacheKeepsItsBound() {
  let cache = BlockCache(capacityBytes: 10_000)
  let blocks = CachedBlocks(count: 200)
  let others = CachedBlocks(count: 1)
  for ordinal in 0..<100 { cache.insert(BlockMemory(size: 1000), blocks, ordinal) }
  #expect(cache.byteCount <= 10_000)
  #expect(cache.byteCount >= 9_000)
  // What is used stays.
  _ = blocks.find(99)
  for ordinal in 100..<105 { cache.insert(BlockMemory(size: 1000), blocks, ordinal) }
  #expect(blocks.find(99) != nil)
  cache.insert(BlockMemory(size: 5000), blocks, 199)
  #expect(blocks.find(199) == nil)
  // A table that is closed leaves nothing behind, and nothing of others goes with it.
  cache.insert(BlockMemory(size: 500), others, 0)
  cache.remove(blocks)
  #expect((0..<200).allSatisfy { blocks.find($0) == nil })
  #expect(others.find(0) != nil)
  #expect(cache.byteCount == 596)
}

@Test func openFilesKeepTheirBound() throws {
  let disk = SimulatedFileSystem()
  let files = OpenFiles(limit: 3)
  let tables = try (0..<10).map { number in
    try disk.setContent("\(number)", [UInt8(number)])
    return EngineFile(path: "\(number)", fileSystem: disk)
  }
  func read(_ number: Int) throws -> UInt8 {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
    defer { memory.deallocate() }
    let count = try files.use(tables[number]) { handle throws(SystemError) in try handle.read(at: 0, into: memory) }
    #expect(count == 1)
    return memory[0]
  }
  var random = SeededRandom(seed: 11)
  for _ in 0..<500 {
    let number = random.below(10)
    #expect(try read(number) == UInt8(number))
    #expect(files.count <= 3)
  }
  // What is being read is not closed, whatever the bound.
  try files.use(tables[0]) { first throws(SystemError) in
    for number in 1..<10 { _ = Result { try read(number) } }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
    defer { memory.deallocate() }
    #expect(try first.read(at: 0, into: memory) == 1)
  }
  for table in tables { files.close(table) }
  #expect(files.count == 0)
}
