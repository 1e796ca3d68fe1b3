// The engine of one shard: a memtable over batch memory, tables on disk, a manifest that says which tables count.
//
// Threads: one applier (append … freeze), one compactor (flush, compact, close), any number of readers. They share
// one reference to an immutable `ReadState` behind a lock that is held for nanoseconds. The applier's fields are
// touched by the applier only, the compactor's by the compactor only; so `@unchecked Sendable` is safe as long as the
// callers keep to their threads.
//
// The engine has no log of its own. A crash loses the memtables; the log is replayed from behind `flushedPosition`.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

public final class Engine: @unchecked Sendable {
  public let shard: Int
  public let directory: String
  let fileSystem: any FileSystem
  let cache: BlockCache
  let state: Monitor<ReadState>

  // The applier's own.
  let active = ActiveMemtable()
  let ceilings = KeyCeilings()
  /// The state that condition checks of the current batch ask; it may be a little old, which loses nothing.
  var batchState: ReadState?
  private var lastFreeze: UInt64

  // The compactor's own.
  var version: Version
  var tables: [UInt64: Table]
  var manifest: Manifest?
  var failure: EngineError?
  /// Tables that no version names any more, until no reader has them.
  var obsolete: [Table] = []
  var sizes = TableSizes()
  let counters = Monitor(EngineCounters())

  init(
    fileSystem: any FileSystem, directory: String, shard: Int, cache: BlockCache, version: Version,
    tables: [UInt64: Table], manifest: Manifest
  ) {
    self.fileSystem = fileSystem
    self.directory = directory
    self.shard = shard
    self.cache = cache
    self.version = version
    self.tables = tables
    self.manifest = manifest
    lastFreeze = version.flushedPosition
    state = Monitor(
      ReadState(
        runs: [], owners: active.owners, frozen: [], open: OpenVersion(version, tables: tables),
        dropped: version.dropped))
  }

  /// Everything at or below it is in tables: the log may forget it, and replay begins behind it. Any thread.
  public var flushedPosition: UInt64 { current.open.version.flushedPosition }

  var current: ReadState { state.withLock { $0 } }

  // MARK: The applier

  /// Adds one version of a key to the current batch; readers see it after `publish`. The key (4 to 65,535 bytes) and
  /// the value stay in the caller's memory, which the owner given to `publish` keeps alive. Positions rise. About 5 ns.
  public func append(
    key: UnsafeRawBufferPointer, position: UInt64, kind: EntryKind, value: UnsafeRawBufferPointer
  ) {
    invariant(key.count >= 4 && key.count <= EngineLimits.keySize, "key of \(key.count) bytes")
    invariant(value.count <= EngineLimits.valueSize, "value of \(value.count) bytes")
    invariant(position <= EngineLimits.position, "position \(position)")
    let order = keyOrder(key)
    ceilings.raise(key, order: order)
    active.append(
      MemoryEntry(
        order: order, key: key.baseAddress, value: value.baseAddress, trailer: packTrailer(position, kind),
        keySize: UInt32(truncatingIfNeeded: key.count), valueSize: UInt32(truncatingIfNeeded: value.count)))
  }

  /// Whether `key` lives in the newest state, unpublished appends included. One comparison for a key above all others
  /// of its SQL table; else a hash lookup, then filters, at last a block.
  public func contains(_ key: UnsafeRawBufferPointer) throws(EngineError) -> Bool {
    try newestPosition(of: key) != nil
  }

  /// Position of the newest version of `key`, if it lives, in the newest state, unpublished appends included.
  public func newestPosition(of key: UnsafeRawBufferPointer) throws(EngineError) -> UInt64? {
    let order = keyOrder(key)
    if let isAbove = ceilings.isAbove(key, order: order) {
      if isAbove { return nil }
    } else {
      try completeCeiling(UInt32(truncatingIfNeeded: order >> 96))
      if ceilings.isAbove(key, order: order) == true { return nil }
    }
    let trailer = try newestTrailer(key, order: order)
    return trailer == 0 || isTombstone(trailer) ? nil : trailer >> 8
  }

  private func completeCeiling(_ table: UInt32) throws(EngineError) {
    let prefix = (0..<4).map { UInt8(truncatingIfNeeded: table >> (24 - UInt32($0) * 8)) }
    let bound = successor(ofPrefix: prefix)
    let key = try current.lastKey(before: bound)
    ceilings.complete(table, with: key.flatMap { $0.withUnsafeBytes { tableId($0) } == table ? $0 : nil })
  }

  private func newestTrailer(_ key: UnsafeRawBufferPointer, order: UInt128) throws(EngineError) -> UInt64 {
    let state: ReadState
    if let batchState {
      state = batchState
    } else {
      state = current
      batchState = state
    }
    if state.isDropped(key, at: .max) { return 0 }
    let hash = SluiceSystem.hash(key)
    let trailer = active.trailer(of: key, hash: hash)
    if trailer != 0 { return trailer }
    for memtable in state.frozen.reversed() {
      if let index = memtable.index {
        let trailer = index.trailer(of: key, hash: hash)
        if trailer != 0 { return trailer }
        continue
      }
      for run in memtable.runs.reversed() {
        if let entry = run.find(key, order: order, trailer: .max) { return entry.pointee.trailer }
      }
    }
    return try state.open.find(key, order: order, trailer: .max)?.trailer ?? 0
  }

  /// How many appends wait for `publish`: a place to roll back to.
  public func mark() -> Int { active.pendingCount }

  /// Takes back what was appended since `mark` gave `count`.
  public func rollback(to count: Int) {
    if count == active.pendingCount { return }
    ceilings.detach()
    active.rollback(to: count)
  }

  /// Ends a batch: its entries become visible to snapshots at `position` and above. `owner` keeps keys and values
  /// alive until the memtable was flushed and no snapshot has it. About 80 ns an entry for random keys.
  public func publish(upTo position: UInt64, owner: AnyObject) {
    batchState = nil
    guard active.pendingCount > 0 else { return }
    active.publish(owner: owner)
    let runs = active.runs
    state.withLock { state in
      state = ReadState(
        runs: runs, owners: active.owners, frozen: state.frozen, open: state.open, dropped: state.dropped)
    }
  }

  /// The active memtable becomes a frozen one, complete up to `position`, for `flush`; a new one begins. Every append
  /// must have been published.
  public func freeze(at position: UInt64) {
    invariant(position >= lastFreeze, "freeze at \(position) after \(lastFreeze)")
    batchState = nil
    if position == lastFreeze && active.isEmpty { return }
    lastFreeze = position
    ceilings.detach()
    let frozen = active.freeze(at: position)
    state.withLock { state in
      state = ReadState(
        runs: [], owners: active.owners, frozen: state.frozen + [frozen], open: state.open, dropped: state.dropped)
    }
  }

  // MARK: Any thread

  /// A view at `position`. It must not be older than what flush and compaction may have folded: see `keepVersions`.
  public func snapshot(at position: UInt64) -> Snapshot { Snapshot(current, position: position) }

  /// Flush and compaction keep what a snapshot at `position` or above needs. By default they keep only what a snapshot
  /// at the flushed position or above needs. Snapshots that exist already need nothing: they hold what they read.
  public func keepVersions(from position: UInt64) { counters.withLock { $0.oldestReadable = position } }

  /// The highest live key that begins with `prefix`, unpublished appends left out. Cost: a point read for each dead key
  /// above it.
  public func lastKey(prefix: [UInt8]) throws(EngineError) -> [UInt8]? {
    let state = current
    let snapshot = Snapshot(state, position: EngineLimits.position)
    var bound = successor(ofPrefix: prefix)
    while let key = try state.lastKey(before: bound), key.starts(with: prefix) {
      let result = key.withUnsafeBytes { bytes in
        Result { () throws(EngineError) in try snapshot.find(bytes) { _ in true } }
      }
      if try result.get() != nil { return key }
      bound = key
    }
    return nil
  }

  /// Drops the SQL table `prefix` with all its entries up to `position` (the DROP's own). Snapshots below `position`
  /// still see them. In force at once in memory, on disk with the flush that passes `position`: until then replay
  /// brings it again. Ids are never used again, so repeating it changes nothing. Compaction gives the space back.
  public func dropPrefix(_ prefix: UInt32, position: UInt64) throws(EngineError) {
    state.withLock { state in
      if let earlier = state.dropped[prefix], earlier <= position { return }
      var dropped = state.dropped
      dropped[prefix] = position
      state = ReadState(
        runs: state.runs, owners: state.owners, frozen: state.frozen, open: state.open, dropped: dropped)
    }
  }
}
