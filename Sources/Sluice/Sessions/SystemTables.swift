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
        "frozen_generations INTEGER", "log_segments INTEGER", "log_groups INTEGER", "log_syncs INTEGER",
        "log_bytes INTEGER", "state TEXT",
      ]
    ) { [queue(store)] }
    try connection.register(
      table: "sluice_projections",
      columns: [
        "name TEXT", "kind TEXT", "position INTEGER", "lag INTEGER", "lag_ms INTEGER", "rows_per_second INTEGER",
        "heartbeat TEXT", "state TEXT", "last_error TEXT", "blocked_by TEXT",
      ]
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
    let written = pipeline.log.written
    return [
      number(progress.durable), number(progress.applied), number(progress.flushed),
      number(progress.projected), number(queued.appender), number(queued.applier),
      number(pipeline.projectorQueue.backlog.sizeBytes), number(generations.activeBytes),
      number(generations.frozenCount), number(pipeline.log.segmentCount),
      number(written.groups), number(written.syncs), number(written.bytes),
      text(state(pipeline, progress)),
    ]
  }

  /// What holds writers up, if anything does.
  private static func state(_ pipeline: Pipeline, _ progress: Progress) -> String {
    if let failure = progress.failure { return "failed: \(failure.message)" }
    if pipeline.room.isLow || pipeline.room.isStuck { return "refused: the disk is full" }
    return pipeline.generations.obstacle ?? "open"
  }

  /// What of `sluice_projections` fits a terminal: of the last sign of life the time of day; in one column who blocks a
  /// projection, or the error that keeps it from going on.
  static let projectionsQuery = """
    SELECT name, kind, state, position, lag, lag_ms, rows_per_second AS "rows/s", substr(heartbeat, 12, 8) AS alive,
      coalesce(blocked_by,
        iif(state IN ('held', 'stopped', 'failed', 'rebuilding', 'quarantined'), last_error, NULL)) AS reason
    FROM sluice_projections
    """

  private static func quarantined(_ object: QuarantinedObject) -> [Value] {
    let kind = text(object.kind.noun.lowercased())
    return [
      text(object.name), kind, .null, .null, .null, .null, .null, text("quarantined"), text(object.sentence), .null,
    ]
  }

  /// A line for each mirror, each projection, and each index or view that the file does without, by name. The projector
  /// takes all of them along, so what it does holds for each, but for what one says of itself.
  private static func projections(_ store: StoreCore) -> [[Value]] {
    let pipeline = store.pipeline
    let clock = store.options.clock
    let progress = pipeline.progress.withLock { $0 }
    let status = pipeline.projectorStatus.withLock { $0 }
    let mirrors = pipeline.catalog.withLock { $0.tables.values.map(\.name) }
    let shared = progress.applied - min(progress.projected, progress.applied)
    let oldest = shared == 0 ? nil : status.oldestTaken ?? pipeline.projectorQueue.firstTime
    func line(_ name: String, _ kind: String, _ own: ProjectionProgress?) -> [Value] {
      let position = own?.position ?? progress.projected
      let lag = progress.applied - min(position, progress.applied)
      let ownState = own.flatMap { $0.state == ProjectionCopy.State.current.rawValue ? nil : $0.state }
      let state = progress.failure != nil ? ProjectorStatus.State.stopped.rawValue : nil
      let error = own?.error ?? progress.failure?.message ?? status.lastError
      let isBehindAlone = own?.position != nil && position < progress.projected
      let time = isBehindAlone ? pipeline.time(ofPosition: position + 1) : oldest
      let age = time.map { number(max(0, clock.wallMicroseconds() - $0) / 1_000) }
      return [
        text(name), text(kind), number(position), number(lag), lag == 0 ? number(0) : age ?? .null,
        number(status.rowsPerSecond(clock)),
        status.heartbeat > 0 ? text(utcText(microseconds: status.heartbeat)) : .null,
        text(state ?? ownState ?? status.state(lag: lag).rawValue), error.map(text) ?? .null,
        status.blockedBy.map(text) ?? .null,
      ]
    }
    let lines =
      mirrors.map { ($0, line($0, "mirror", nil)) }
      + progress.projections.values.map { ($0.name, line($0.name, $0.kind.rawValue, $0)) }
      + progress.quarantined.values.map { ($0.name, quarantined($0)) }
    return lines.sorted { $0.0 < $1.0 }.map(\.1)
  }
}

extension StoreCore {
  /// A connection to projections.db that cannot write, with the system tables.
  func openReader() throws(SQLiteError) -> Connection {
    let connection = try projections.connect(.readWrite, busyTimeoutMilliseconds: 5_000)
    try connection.execute("PRAGMA query_only = 1")
    try SystemTables.register(on: connection, store: self)
    return connection
  }
}
