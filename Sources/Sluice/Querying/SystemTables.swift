// The store's own state as tables: `SHOW SHARDS` is `SELECT * FROM sluice_shards`.
import SluiceLSM
import SluiceLog
import SluiceSQLite
import SluiceSystem

enum SystemTables {
  static func register(on connection: Connection, store: StoreCore) throws(SQLiteError) {
    try connection.register(
      table: "sluice_shards",
      columns: [
        "shard INTEGER", "slots INTEGER", "memtable_entries INTEGER", "pinned_bytes INTEGER", "frozen INTEGER",
        "tables INTEGER", "table_entries INTEGER", "tombstones INTEGER", "table_bytes INTEGER", "levels INTEGER",
        "runs INTEGER", "flushed_position INTEGER", "flush_bytes INTEGER", "compaction_bytes INTEGER",
        "debt_bytes INTEGER", "write_amplification REAL", "read_amplification REAL", "space_amplification REAL",
        "lookups INTEGER", "filter_checks INTEGER", "filter_rejections INTEGER", "filter_errors INTEGER",
        "cache_hits INTEGER", "block_reads INTEGER",
      ]
    ) { shards(store) }
    try connection.register(
      table: "sluice_queue",
      columns: [
        "durable INTEGER", "applied INTEGER", "flushed INTEGER", "projected INTEGER",
        "appender_bytes INTEGER", "applier_bytes INTEGER", "projector_bytes INTEGER", "generation_bytes INTEGER",
        "frozen_generations INTEGER", "log_segments INTEGER", "state TEXT",
      ]
    ) { [queue(store)] }
    try connection.register(
      table: "sluice_projections",
      columns: ["name TEXT", "kind TEXT", "position INTEGER", "lag INTEGER", "state TEXT"]
    ) { projections(store) }
    try connection.register(table: "sluice_events", EventTable(store))
    try connection.register(
      table: "sluice_groups", columns: ["name TEXT", "position INTEGER", "lag INTEGER", "time TEXT"]
    ) { () throws(SQLiteError) in try groups(store) }
  }

  /// A group that cannot be read has no position; the log is kept for it all the same.
  private static func groups(_ store: StoreCore) throws(SQLiteError) -> [[Value]] {
    let applied = store.pipeline.positions.visible
    let files = store.groups
    let names: [String]
    do { names = try files.names() } catch { throw SQLiteError(StoreError(error)) }
    return names.compactMap { name in
      do {
        guard let file = try files.read(name) else { return nil }
        return [
          text(name), number(file.position), number(applied - min(applied, file.position)),
          text(EventTime.text(file.timeMicroseconds)),
        ]
      } catch { return [text(name)] }
    }
  }

  private static func text(_ string: String) -> Value { .text(Array(string.utf8)) }
  private static func number<T: BinaryInteger>(_ number: T) -> Value { .integer(Int64(clamping: number)) }

  private static func ratio(_ value: Double?) -> Value { value.map { .real(($0 * 100).rounded() / 100) } ?? .null }

  private static func shards(_ store: StoreCore) -> [[Value]] {
    store.pipeline.engines.enumerated().map { shard, engine in
      let statistics = engine.statistics()
      return [
        number(shard), number(store.identity.shardOfSlot.count { Int($0) == shard }),
        number(statistics.memtableEntries), number(statistics.pinnedBytes), number(statistics.frozenMemtables),
        number(statistics.tables), number(statistics.tableEntries), number(statistics.tombstones),
        number(statistics.tableBytes), number(statistics.levels.count), number(statistics.runs),
        number(engine.flushedPosition), number(statistics.flushedBytes), number(statistics.compactedBytes),
        number(statistics.debtBytes), ratio(statistics.writeAmplification), ratio(statistics.readAmplification),
        ratio(statistics.spaceAmplification), number(statistics.lookups), number(statistics.filterChecks),
        number(statistics.filterRejections), number(statistics.filterErrors), number(statistics.cacheHits),
        number(statistics.blockReads),
      ]
    }
  }

  private static func queue(_ store: StoreCore) -> [Value] {
    let pipeline = store.pipeline
    let progress = pipeline.progress.withLock { $0 }
    let generations = pipeline.generations.held
    let queued = pipeline.queuedBytes
    return [
      number(progress.durable), number(progress.applied), number(progress.flushed),
      number(progress.projected), number(queued.appender), number(queued.applier),
      number(pipeline.projectorQueue.backlog.sizeBytes), number(generations.activeBytes),
      number(generations.frozenCount), number(pipeline.log.segmentCount),
      text(state(pipeline, progress)),
    ]
  }

  /// What holds writers up, if anything does.
  private static func state(_ pipeline: Pipeline, _ progress: Progress) -> String {
    if let failure = progress.failure { return "failed: \(failure.message)" }
    if pipeline.room.isLow || pipeline.room.isStuck { return "refused: the disk is full" }
    return pipeline.generations.obstacle ?? "open"
  }

  private static func projections(_ store: StoreCore) -> [[Value]] {
    let progress = store.pipeline.progress.withLock { $0 }
    let catalog = store.pipeline.catalog.withLock { $0 }
    let lag = progress.applied - min(progress.projected, progress.applied)
    let state = progress.failure != nil ? "stopped" : lag == 0 ? "current" : "behind"
    return catalog.tables.values.map(\.name).sorted().map {
      [text($0), text("mirror"), number(progress.projected), number(lag), text(state)]
    }
  }
}
