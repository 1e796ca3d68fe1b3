// A store as far as a reader has come: its engines, and its place in the log. The parts are read in an order in which
// what the writer does meanwhile fits: shards before the log, since what they hold was in the log before.
import SluiceLSM
import SluiceLog
import SluiceSystem

/// Who hears of the batches that a followed store applies.
protocol BatchListener: AnyObject {
  /// The store is followed from its tables on, at first and now and then anew: the batches behind `position` come next,
  /// in order, those among them that have come before too. What lies before is in the log of `follower`, with its
  /// outcomes recorded. `catalog` is that of `position`.
  func begin(after position: UInt64, _ follower: LogFollower, _ catalog: Catalog) throws(StoreError)
  /// A batch was applied; `catalog` is that behind it.
  func take(_ batch: Batch, _ noEffect: ReplayedLog.NoEffectList, _ catalog: Catalog) throws(StoreError)
}

/// Belongs to who advances it.
struct FollowedStore {
  private let path: String
  /// With the files of the store's directory, which is held.
  let options: StoreOptions
  private let resources: EngineResources
  private let identity: StoreIdentity
  private let listener: (any BatchListener)?
  private var engines: [Engine]
  private var resolver: Resolver
  private var follower: LogFollower
  /// Up to where the log is applied.
  private(set) var position: UInt64 = 0
  /// Bytes of the batches that the engines point into.
  private(set) var batchBytes = 0
  /// Memory at which the shards are worth another look.
  private var limitBytes = 0
  /// Tables that were gone when they were to be read, before the shards were looked at last.
  private var vanishedFiles = 0

  /// Opens the store at `path` at the end of its log.
  init(
    path: String, options: StoreOptions, resources: EngineResources, listener: (any BatchListener)? = nil
  ) throws(StoreError) {
    var options = options
    options.fileSystem = try convertingErrors { try StoreOpening.hold(path, options.fileSystem) }
    let identity = try convertingErrors { try StoreOpening.knownIdentity(path, options.fileSystem) }
    let engines = try Self.openEngines(path, options, identity, resources, sharing: nil)
    try self.init(
      path: path, options: options, resources: resources, identity: identity, engines: engines, listener: listener)
  }

  private init(
    path: String, options: StoreOptions, resources: EngineResources, identity: StoreIdentity, engines: [Engine],
    listener: (any BatchListener)?
  ) throws(StoreError) {
    self.path = path
    self.listener = listener
    self.options = options
    self.resources = resources
    self.identity = identity
    self.engines = engines
    vanishedFiles = resources.vanishedFiles
    let catalog = try convertingErrors { try Catalog.load(engines[0]) }
    resolver = Resolver(engines: engines, router: Router(identity), catalog: catalog)
    do {
      follower = try LogFollower(
        fileSystem: options.fileSystem, directory: path + "/log", storeID: identity.storeID)
    } catch { throw StoreError(error) }
    try applyBehindTables()
    limitBytes = heldBytes + options.memtableBudgetBytes
  }

  /// What a reader sees.
  var view: StoreView {
    StoreView(
      position: position, catalog: resolver.catalog, snapshots: engines.map { $0.snapshot(at: position) },
      router: Router(identity))
  }

  private var heldBytes: Int { batchBytes + engines.reduce(0) { $0 + $1.memtableBytes } }

  /// Goes on to the end of the log; false when it is not the same log any more. After a throw it must not be used
  /// again.
  mutating func advance() throws(StoreError) -> Bool {
    // A table that is not mapped is lost to a reader when its writer has merged it away.
    if resources.vanishedFiles != vanishedFiles { return false }
    while true {
      if try look() == .replaced { return false }
      if follower.lastPosition == position { return true }
      try apply(ReplayedLog(resolver: resolver, flushed: 0, recorded: [:]), after: position)
      if heldBytes >= limitBytes { try takeTables() }
    }
  }

  /// Has the follower go on. A segment that is sealed while it is read is read well the second time.
  private func look() throws(StoreError) -> LogFollower.Change {
    let size = UInt64(options.memtableBudgetBytes)
    do { return try follower.refresh(sizeBytes: size) } catch {}
    do { return try follower.refresh(sizeBytes: size) } catch { throw StoreError(error) }
  }

  /// Opens the shards anew when they were flushed further: what is in tables leaves memory.
  private mutating func takeTables() throws(StoreError) {
    let opened = try openEnginesAnew()
    if Self.lowestFlushed(opened) > Self.lowestFlushed(engines) {
      self = try FollowedStore(
        path: path, options: options, resources: resources, identity: identity, engines: opened, listener: listener)
    } else {
      limitBytes = heldBytes + options.memtableBudgetBytes
    }
  }

  /// A table that is merged away meanwhile is not named the next time.
  private func openEnginesAnew() throws(StoreError) -> [Engine] {
    for _ in 0..<2 {
      do { return try Self.openEngines(path, options, identity, resources, sharing: engines) } catch {}
    }
    return try Self.openEngines(path, options, identity, resources, sharing: engines)
  }

  // MARK: The log

  private mutating func applyBehindTables() throws(StoreError) {
    let last = follower.lastPosition
    let flushed = engines.map(\.flushedPosition).max() ?? 0
    let lowest = Self.lowestFlushed(engines)
    if let shard = StoreWitnesses.shard(engines) {
      do { try follower.end.check([shard]) } catch { throw StoreError(error) }
    }
    try listener?.begin(after: lowest, follower, resolver.catalog)
    guard lowest < last else {
      position = last
      return
    }
    let recorded: ReplayedLog.Resolutions
    do { recorded = try ReplayedLog.resolutions(follower.reader(after: lowest, upTo: last)) } catch {
      throw StoreError(error)
    }
    try apply(ReplayedLog(resolver: resolver, flushed: flushed, recorded: recorded), after: lowest)
  }

  private mutating func apply(_ replayed: ReplayedLog, after start: UInt64) throws(StoreError) {
    let last = follower.lastPosition
    let shown = position
    let (follower, before, listener, resolver) = (follower, batchBytes, listener, resolver)
    batchBytes = try convertingErrors {
      var bytes = before
      let reader = try follower.reader(after: start, upTo: last)
      while let record = try reader.next() {
        guard case .commands(let batch, _) = record else { continue }
        // Nobody sees anything between what is shown and the end.
        let outcome = try replayed.apply(batch, foldingFrom: shown)
        try listener?.take(batch, outcome.noEffect, resolver.catalog)
        bytes += batch.size
      }
      return bytes
    }
    position = last
  }

  private static func lowestFlushed(_ engines: [Engine]) -> UInt64 { engines.map(\.flushedPosition).min() ?? 0 }

  // MARK: The files

  private static func openEngines(
    _ path: String, _ options: StoreOptions, _ identity: StoreIdentity, _ resources: EngineResources,
    sharing earlier: [Engine]?
  ) throws(StoreError) -> [Engine] {
    var engines: [Engine] = []
    for shard in 0..<identity.shardCount {
      do {
        engines.append(
          try Engine.openForReading(
            fileSystem: options.fileSystem, directory: path + "/shards/" + shardName(shard), shard: shard,
            resources: resources, sharing: earlier?[shard]))
      } catch { throw StoreError(error) }
    }
    return engines
  }
}
