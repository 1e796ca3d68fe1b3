// What an engine says about itself.
import SluiceSystem

/// Counted since the engine was opened.
struct EngineCounters {
  var flushedBytes: UInt64 = 0
  var compactedBytes: UInt64 = 0
  /// The caller's promise of `keepVersions`.
  var oldestReadable = UInt64.max
}

/// Figures of one engine at one moment. Sizes in bytes.
public struct EngineStatistics: Sendable, Equatable {
  public struct Level: Sendable, Equatable {
    public var runs: Int
    public var tables: Int
    public var bytes: UInt64
  }

  public var levels: [Level] = []
  public var tables = 0
  public var tableBytes: UInt64 = 0
  /// Versions in tables, tombstones included.
  public var tableEntries: UInt64 = 0
  public var tombstones: UInt64 = 0
  /// Published entries of the active memtable and of the frozen ones, with the sizes of their keys and values.
  public var memtableEntries = 0
  public var memtableRuns = 0
  public var frozenMemtables = 0
  public var frozenEntries = 0
  public var frozenBytes = 0
  /// Indexes of all tables, and the filters of those that were asked.
  public var pinnedBytes = 0
  /// Written since opening.
  public var flushedBytes: UInt64 = 0
  public var compactedBytes: UInt64 = 0
  /// What stands to be flushed or merged: frozen memtables, and levels with as many runs as ask for a compaction.
  public var debtBytes: UInt64 = 0
  public var flushedPosition: UInt64 = 0
  /// Since opening: point reads that went to tables; filters asked, and how often they said no, or yes without reason;
  /// blocks found in the cache, and blocks read from files and checked.
  public var lookups: UInt64 = 0
  public var filterChecks: UInt64 = 0
  public var filterRejections: UInt64 = 0
  public var filterErrors: UInt64 = 0
  public var cacheHits: UInt64 = 0
  public var blockReads: UInt64 = 0

  /// Runs of all levels: what a range read merges.
  public var runs: Int { levels.reduce(0) { $0 + $1.runs } }

  /// Bytes written to tables for each byte flushed, since opening; nil before the first flush.
  public var writeAmplification: Double? {
    flushedBytes == 0 ? nil : Double(flushedBytes + compactedBytes) / Double(flushedBytes)
  }

  /// Tables whose block is searched for each point read, since opening; nil before the first.
  public var readAmplification: Double? {
    lookups == 0 ? nil : Double(filterChecks - filterRejections) / Double(lookups)
  }

  /// Bytes of all tables for each byte of the bottom run, which has every key once: an upper bound for what old
  /// versions and deleted rows take. Nil without tables.
  public var spaceAmplification: Double? {
    guard let bottom = levels.last(where: { $0.runs > 0 }) else { return nil }
    return Double(tableBytes) * Double(bottom.runs) / Double(bottom.bytes)
  }
}

extension Engine {
  /// Tombstones in the memtable that is being filled. Any thread; a look at each entry.
  public var memtableTombstones: Int { current.runs.reduce(0) { $0 + $1.tombstoneCount } }

  /// Figures of this moment. Any thread; walks the list of tables.
  public func statistics() -> EngineStatistics {
    let state = current
    var result = EngineStatistics()
    for runs in state.open.version.levels {
      let tables = runs.flatMap(\.tables)
      let bytes = tables.reduce(0) { $0 + $1.size }
      result.levels.append(.init(runs: runs.count, tables: tables.count, bytes: bytes))
      result.tables += tables.count
      result.tableBytes += bytes
      result.tableEntries += tables.reduce(0) { $0 + $1.entries }
      result.tombstones += tables.reduce(0) { $0 + $1.tombstones }
      if runs.count >= CompactionRules.busyRuns { result.debtBytes += bytes }
    }
    for run in state.open.runs { for table in run { result.pinnedBytes += table.pinnedBytes } }
    result.memtableEntries = state.runs.reduce(0) { $0 + $1.count }
    result.memtableRuns = state.runs.count
    result.frozenMemtables = state.frozen.count
    result.frozenEntries = state.frozen.reduce(0) { $0 + $1.entryCount }
    result.frozenBytes = state.frozen.reduce(0) { $0 + $1.byteCount }
    result.debtBytes += UInt64(result.frozenBytes)
    result.flushedPosition = state.open.version.flushedPosition
    result.lookups = readCounters.lookups.value
    result.filterChecks = readCounters.filterChecks.value
    result.filterRejections = readCounters.filterRejections.value
    result.filterErrors = readCounters.filterErrors.value
    result.cacheHits = readCounters.cacheHits.value
    result.blockReads = readCounters.blockReads.value
    counters.withLock { counters in
      result.flushedBytes = counters.flushedBytes
      result.compactedBytes = counters.compactedBytes
    }
    return result
  }
}
