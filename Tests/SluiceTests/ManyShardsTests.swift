// A store of many shards: a shard's part of a generation is small, and yet files stay few, however many rows come.
import Foundation
import SluiceLSM
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ManyShardsTests {
  private static let shardCount = 256

  /// Inserts rows with scattered keys into 256 shards whose part of a generation is a few rows; the most tables that
  /// there ever were. `budget`: bytes of a generation.
  private func load(_ rowCount: Int, budget: Int) throws -> (most: Int, generations: Int) {
    let bench = Bench()
    let store = try bench.open {
      $0.shardCount = Self.shardCount
      $0.memtableBudgetBytes = budget
    }
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    var most = 0
    var generations = Set<UInt64>()
    for first in stride(from: 0, to: rowCount, by: 500) {
      let rows = (first..<(first + 500)).map { "(\((UInt64($0) &* 0x9e37_79b9_7f4a_7c15) >> 2), 'a row')" }
      try session.run("INSERT INTO t VALUES \(rows.joined(separator: ","))")
      try session.settle()
      try store.core.pipeline.flush()
      let engines = store.core.pipeline.engines
      most = max(most, engines.reduce(0) { $0 + $1.statistics().tables })
      generations.insert(engines.map(\.flushedPosition).max() ?? 0)
    }
    let contents = try store.liveContents()
    #expect(contents["t"]?.count == rowCount)
    try store.close(drain: false)
    let files = try (0..<Self.shardCount).reduce(0) { count, shard in
      let names = try bench.disk.list("shop/shards/" + shardName(shard))
      return count + names.count { $0.hasSuffix(".table") }
    }
    most = max(most, files)
    return (most, generations.count)
  }

  /// Ten times the rows in ten times the generations: the files are those of what shards hold at rest.
  @Test func filesDoNotGrowWithGenerations() throws {
    let few = try load(2_500, budget: 32 << 10)
    let many = try load(25_000, budget: 32 << 10)
    #expect(many.generations >= 5 * few.generations, "\(few) \(many)")
    #expect(few.most <= few.generations * Self.shardCount)
    #expect(many.most <= 41 * Self.shardCount, "\(few) \(many)")
  }

  /// What an engine holds beside its rows is little, or 256 of them fill a generation by themselves.
  @Test func anEngineTakesLittleMemoryOfItsOwn() throws {
    let bench = Bench()
    let store = try bench.open {
      $0.shardCount = Self.shardCount
      $0.memtableBudgetBytes = 32 << 20
    }
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    for first in stride(from: 0, to: 15_000, by: 5_000) {
      let rows = (first..<(first + 5_000)).map { "(\((UInt64($0) &* 0x9e37_79b9_7f4a_7c15) >> 2), 'a row')" }
      try session.run("INSERT INTO t VALUES \(rows.joined(separator: ","))")
      try session.settle()
    }
    let held = store.core.pipeline.generations.held
    #expect(held.frozenCount == 0 && held.activeBytes < 10 << 20, "\(held)")
    #expect(store.core.pipeline.engines.allSatisfy { $0.flushedPosition == 0 })
    try store.close()
  }

  /// Shards have at least 64 KiB of a generation, whatever is asked for.
  @Test func aSmallCapLeavesFilesOfSomeSize() throws {
    let bench = Bench()
    let store = try bench.open {
      $0.shardCount = Self.shardCount
      $0.memoryBytes = 1 << 20
    }
    #expect(store.core.options.memtableBudgetBytes == Self.shardCount * 64 << 10)
    try store.close()
    let error = storeError {
      _ = try Bench().open { $0.shardCount = 1_000 }
    }
    #expect(error?.kind == .invalid && error?.message.contains("1 to 256 shards, not 1000") == true)
  }
}
