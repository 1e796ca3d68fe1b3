// The one cap on memory, over all shards: memtables and cached blocks stay within it while rows come as fast as they
// can, and while they are read.
import SluiceLSM
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct MemoryTests {
  @Test func oneCapIsDividedInThree() {
    var options = StoreOptions()
    options.memoryBytes = 12 << 20
    #expect(options.memtableBudgetBytes == 4 << 20 && options.cacheBytes == 4 << 20)
    #expect(options.memoryBytes == 12 << 20)
  }

  @Test func memoryKeepsItsCap() throws {
    let scratch = Scratch()
    var options = StoreOptions()
    options.shardCount = 4
    options.memoryBytes = 3 << 20
    options.compression = .lz4
    let store = try Store.open(path: scratch.file("store"), options: options)
    let session = try store.makeKeyValueSession(space: 0)
    var random = SeededRandom(seed: 3)
    // What a session hands over at a time comes on top.
    let slack = 512 << 10
    for row in 0..<60_000 {
      let key = random.next()
      try session.put((0..<8).map { UInt8(truncatingIfNeeded: key >> (8 * $0)) }, [UInt8](repeating: 7, count: 200))
      if row % 500 == 0 {
        let held = store.core.pipeline.generations.held
        #expect(held.activeBytes <= options.memtableBudgetBytes + slack)
        #expect(held.frozenCount <= 1)
      }
    }
    try session.settle()
    try store.flush()
    #expect(store.engineStatistics.reduce(0) { $0 + $1.tables } > 8, "the run is too small to mean anything")
    let rows = try session.makeIterator()
    var count = 0
    while try rows.next() {
      count += 1
      if count % 20 == 0 { #expect(try session.get([UInt8](rows.key)) != nil) }
    }
    #expect(count == 60_000)
    let cache = try #require(store.core.pipeline.engines.first).cache
    #expect(cache.byteCount <= options.cacheBytes)
    #expect(cache.byteCount > options.cacheBytes / 2)
    try store.close()
  }
}
