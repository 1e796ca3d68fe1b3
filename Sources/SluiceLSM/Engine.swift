// The engine of one shard: a memtable over batch memory, tables on disk, a manifest that says which tables count.
//
// Threads: one applier (append … freeze), one compactor (flush, compact, close), any number of readers. They share
// one reference to an immutable `ReadState` behind a lock that is held for nanoseconds. The applier's fields are
// touched by the applier only, the compactor's by the compactor only; so `@unchecked Sendable` is safe as long as the
// callers keep to their threads.
//
// An engine that was opened for reading (EngineReading.swift) has no manifest and no compactor.
//
// The engine has no log of its own. A crash loses the memtables; the log is replayed from behind `flushedPosition`.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

public final class Engine: @unchecked Sendable {
  public let shard: Int
  public let directory: String
  let fileSystem: any FileSystem
  let resources: EngineResources
  let readCounters: ReadCounters
  private let state: Monitor<ReadState>

  // The applier's own.
  let active: ActiveMemtable
  let ceilings = KeyCeilings()
  /// The state that condition checks of the current batch ask; it may be a little old, which loses nothing.
  var batchState: ReadState?
  private var lastFreeze: UInt64
  private var conditionScratch = LookupScratch()

  // The compactor's own.
  var version: Version
  var tables: [UInt64: Table]
  var manifest: Manifest?
  /// The manifest that was found at opening, where none is open.
  var openedManifest: UInt64?
  /// The number of the manifest that the first flush begins: an engine that never flushed has nothing to remember.
  var unbegunManifest: UInt64?
  var failure: EngineError?
  /// Tables that no version names any more, until no reader has them.
  var obsolete: [Table] = []
  var sizes = TableSizes()
  let counters = Monitor(EngineCounters())

  init(
    fileSystem: any FileSystem, directory: String, shard: Int, resources: EngineResources,
    readCounters: ReadCounters, version: Version, tables: [UInt64: Table], manifest: Manifest?
  ) {
    self.fileSystem = fileSystem
    self.directory = directory
    self.shard = shard
    self.resources = resources
    active = ActiveMemtable(sortMemory: resources.sortMemory)
    self.readCounters = readCounters
    self.version = version
    self.tables = tables
    self.manifest = manifest
    lastFreeze = version.flushedPosition
    state = Monitor(
      ReadState(
        runs: [], owners: active.owners, frozen: [],
        open: OpenVersion(version, tables: tables, counters: readCounters), deleted: version.deleted))
  }

  /// The blocks in memory, of all engines that share them.
  package var cache: BlockCache { resources.cache }

  /// Runs of level 0. Of the thread that opened it, or the compactor's.
  public var levelZeroRunCount: Int { version.levels.first?.count ?? 0 }

  /// Everything at or below it is in tables: the log may forget it, and replay begins behind it. Any thread.
  public var flushedPosition: UInt64 { current.open.version.flushedPosition }

  var current: ReadState { state.withLock { $0 } }

  /// Puts a new state in place of the current one.
  func replaceState(_ body: (ReadState) -> ReadState) {
    state.withLock { $0 = body($0) }
  }

  /// The manifest that says so; nil when the engine never flushed. Of the thread that opened it, or the compactor's.
  public var manifestPath: String? {
    (manifest?.number ?? openedManifest).map { directory + "/" + ManifestFormat.fileName($0) }
  }

  // MARK: The applier

  /// Adds one version of a key to the current batch; readers see it after `publish`. The key (4 to 65,535 bytes) and
  /// behind it the value stay in the caller's memory, which the owner given to `publish` keeps alive. Positions rise.
  /// About 5 ns.
  public func append(
    key: UnsafeRawBufferPointer, position: UInt64, kind: EntryKind, value: UnsafeRawBufferPointer
  ) {
    invariant(key.count >= 4 && key.count <= EngineLimits.keySize, "key of \(key.count) bytes")
    invariant(value.count <= EngineLimits.valueSize, "value of \(value.count) bytes")
    invariant(position <= EngineLimits.position, "position \(position)")
    let base = key.baseAddress.unsafelyUnwrapped
    invariant(value.count == 0 || value.baseAddress == base + key.count, "a value apart from its key")
    let search = SearchKey(key)
    ceilings.raise(search)
    active.append(
      MemoryEntry(
        order: search.order, key: base, trailer: packTrailer(position, kind), table: search.table,
        keySize: UInt32(truncatingIfNeeded: key.count), valueSize: UInt32(truncatingIfNeeded: value.count)))
  }

  /// Whether `key` lives in the newest state, unpublished appends included. One comparison for a key above all others
  /// of its SQL table; else a hash lookup, then filters, at last a block.
  public func contains(_ key: UnsafeRawBufferPointer) throws(EngineError) -> Bool {
    try newestPosition(of: key) != nil
  }

  /// Position of the newest version of `key`, if it lives, in the newest state, unpublished appends included.
  public func newestPosition(of key: UnsafeRawBufferPointer) throws(EngineError) -> UInt64? {
    let search = SearchKey(key)
    if let isAbove = ceilings.isAbove(search) {
      if isAbove { return nil }
    } else {
      try completeCeiling(search.table)
      if ceilings.isAbove(search) == true { return nil }
    }
    let state = currentBatchState()
    let trailer = try newestTrailer(search, state)
    if trailer == 0 || isTombstone(trailer) { return nil }
    return state.deleted.hides(search.table, trailer: trailer, at: .max) ? nil : trailer >> 8
  }

  private func completeCeiling(_ table: UInt32) throws(EngineError) {
    ceilings.complete(table, with: try lastKey(prefix: keyPrefix(ofTable: table)))
  }

  private func currentBatchState() -> ReadState {
    if let batchState { return batchState }
    let state = current
    batchState = state
    return state
  }

  private func newestTrailer(_ key: SearchKey, _ state: ReadState) throws(EngineError) -> UInt64 {
    let hash = SluiceSystem.hash(key.bytes)
    let trailer = active.trailer(of: key.bytes, hash: hash)
    if trailer != 0 { return trailer }
    for memtable in state.frozen.reversed() {
      if let index = memtable.index {
        let trailer = index.trailer(of: key.bytes, hash: hash)
        if trailer != 0 { return trailer }
        continue
      }
      for run in memtable.runs.reversed() {
        if let entry = run.find(key, trailer: .max) { return entry.pointee.trailer }
      }
    }
    let found = try state.open.find(key, trailer: .max, &conditionScratch)?.trailer ?? 0
    try state.open.checkMappings()
    return found
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
  /// `foldingFrom`: no snapshot will be asked for below that position, nor between it and `position`, so versions that
  /// only those could see may go at once; nil keeps all.
  public func publish(upTo position: UInt64, owner: AnyObject, foldingFrom: UInt64? = nil) {
    batchState = nil
    guard active.pendingCount > 0 else { return }
    active.publish(owner: owner, folding: foldingFrom.map { VersionFolding(horizon: $0) })
    let runs = active.runs
    replaceState { state in
      ReadState(runs: runs, owners: active.owners, frozen: state.frozen, open: state.open, deleted: state.deleted)
    }
  }

  /// Bytes that the active memtable holds beside its owners' memory. The applier's thread.
  public var memtableBytes: Int { active.memoryBytes }

  /// The active memtable becomes a frozen one, complete up to `position`, for `flush`; a new one begins. Every append
  /// must have been published.
  public func freeze(at position: UInt64) {
    invariant(position >= lastFreeze, "freeze at \(position) after \(lastFreeze)")
    batchState = nil
    if position == lastFreeze && active.isEmpty { return }
    lastFreeze = position
    ceilings.detach()
    let frozen = active.freeze(at: position)
    replaceState { state in
      ReadState(
        runs: [], owners: active.owners, frozen: state.frozen + [frozen], open: state.open, deleted: state.deleted)
    }
  }

  // MARK: Any thread

  /// A view at `position`. It must not be older than what flush and compaction may have folded: see `keepVersions`.
  public func snapshot(at position: UInt64) -> Snapshot { Snapshot(current, position: position) }

  /// Flush and compaction keep what a snapshot at `position` or above needs. By default they keep only what a snapshot
  /// at the flushed position or above needs. Snapshots that exist already need nothing: they hold what they read.
  public func keepVersions(from position: UInt64) { counters.withLock { $0.oldestReadable = position } }

  /// The highest live key that begins with `prefix`, unpublished appends left out. Cost: a step for each dead key above
  /// it.
  public func lastKey(prefix: [UInt8]) throws(EngineError) -> [UInt8]? {
    let iterator = snapshot(at: EngineLimits.position).iterator(prefix: prefix, isForward: false)
    return try iterator.next() ? [UInt8](iterator.current.key) : nil
  }

  /// Deletes everything that the SQL table `prefix` holds up to `position` (the deletion's own); what is appended later
  /// stands. Snapshots below `position` still see it. In force at once in memory, on disk with the flush that passes
  /// `position`: until then replay brings it again, and repeating it changes nothing. Cost: one record; compaction
  /// gives the space back.
  public func deletePrefix(_ prefix: UInt32, position: UInt64) {
    let deletion = DeletedPrefix(prefix: prefix, position: position)
    batchState = nil
    replaceState { state in
      var deleted = state.deleted
      deleted.insert(deletion)
      return ReadState(
        runs: state.runs, owners: state.owners, frozen: state.frozen, open: state.open, deleted: deleted)
    }
  }
}
