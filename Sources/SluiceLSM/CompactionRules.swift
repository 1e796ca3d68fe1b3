// When runs are merged, and how large tables are. What follows from it stands in Compaction/Compaction.swift.

enum CompactionRules {
  /// Runs of a level that ask for a compaction while rows are written: each more saves rewriting and costs reads a
  /// filter.
  static let busyRuns = 8
  /// The same when nothing is written.
  static let idleRuns = 4
  /// When nothing is written, all runs become one if the bottom is at most this many times the size of those above it.
  static let idleRatio: UInt64 = 4
  /// Small runs (`TableSizes.small`) of all levels at which merging goes before flushing. So a shard has no more small
  /// files than these, however small its part of each generation is.
  static let crowdedRuns = 40
  /// Everything is merged when the runs above the bottom are this many times its size.
  static let upperRatio: UInt64 = 2
  /// Everything is merged when there is a tombstone for so many rows, while rows are written and when none is. The
  /// former only from `fewTombstones` on.
  static let busyRowsPerTombstone: UInt64 = 2
  static let idleRowsPerTombstone: UInt64 = 4
  static let fewTombstones: UInt64 = 4096
}

/// Sizes that tests make small.
struct TableSizes {
  /// Where flush and compaction close a table.
  var target: UInt64 = 32 << 20
  /// A smaller table is put together with its neighbours rather than moved. Far below a shard's part of a generation,
  /// so that rising rows are written once.
  var small: UInt64 = 1 << 20
}
