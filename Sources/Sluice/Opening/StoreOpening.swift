// Opening a store: lock, identity, engines, log, catalog, projections, roles, replay. In this order, each part trusting
// only what the parts before it have checked. The log comes behind what knows its length (StoreWitnesses.swift).
import SluiceLSM
import SluiceLog
import SluiceSQL
import SluiceSystem

enum StoreOpening {
  static func open(path: String, options: StoreOptions) throws(StoreError) -> StoreCore {
    guard (1...StoreIdentity.shardLimit).contains(options.shardCount) else {
      throw StoreError(.invalid, "a store has 1 to \(StoreIdentity.shardLimit) shards, not \(options.shardCount)")
    }
    try checkName(path)
    var options = options
    if options.isReadOnly { return try openForReading(path, options) }
    options.fileSystem = try convertingErrors { try prepareDirectory(path, options) }
    let lock = try convertingErrors { try takeLock(path, options) }
    do throws(StoreError) {
      let identity = try convertingErrors { try loadIdentity(path, options) }
      return try assemble(path: path, options: options, identity: identity, lock: lock)
    } catch {
      lock.release()
      throw error
    }
  }

  /// Opens a store that nobody writes, without a trace. It is not locked: whoever may write it is not kept from that.
  private static func openForReading(_ path: String, _ options: StoreOptions) throws(StoreError) -> StoreCore {
    var options = options
    options.fileSystem = try convertingErrors { try hold(path, options.fileSystem) }
    try checkNotHeld(path, options.fileSystem)
    do throws(StoreError) {
      let identity = try convertingErrors { try knownIdentity(path, options.fileSystem) }
      return try assemble(path: path, options: options, identity: identity, lock: nil)
    } catch {
      // Its writer may have come meanwhile.
      try checkNotHeld(path, options.fileSystem)
      throw error
    }
  }

  /// Throws when a process holds the store, where the system tells that.
  private static func checkNotHeld(_ path: String, _ files: any FileSystem) throws(StoreError) {
    let holder = try convertingErrors { () -> String? in
      let file = path + "/LOCK"
      guard try files.exists(file), try files.isLocked(file) == true else { return nil }
      return String(decoding: try files.beginning(file, 256), as: UTF8.self)
    }
    if let holder { throw inUse(path, holder) }
  }

  /// Refuses names by which SQLite means no file of that name. Written with a folder in front they are names.
  static func checkName(_ path: String) throws(StoreError) {
    let isURI = path.utf8.count >= 5 && folded(String(path.prefix(5))) == "file:"
    guard isURI || path == ":memory:" else { return }
    throw StoreError(
      .invalid,
      (isURI
        ? "\(path) is a URI of SQLite, and a store is given by its path"
        : "\(path) is a database in memory to SQLite, and a store is a directory")
        + "; ./\(path) is a store of that name")
  }

  /// Names that a store's directory holds before its identity is written, which is the last step of creating it.
  private static let unfinished: Set<String> = ["LOCK", "log", "shards", "store.new"]

  /// Makes the directory when it is missing, and holds it.
  private static func prepareDirectory(_ path: String, _ options: StoreOptions) throws -> any FileSystem {
    let files = options.fileSystem
    if try !files.exists(path) {
      guard options.createIfMissing else { throw missing(path) }
      try files.createDirectory(path)
      return try files.holding(path)
    }
    let held = try hold(path, files)
    _ = try names(path, held)
    return held
  }

  /// The files of the store at `path`, reached from its directory. Throws `invalid` when there is none.
  static func hold(_ path: String, _ files: any FileSystem) throws -> any FileSystem {
    guard try files.exists(path) else { throw missing(path) }
    do { return try files.holding(path) } catch { throw asNoStore(error, path) }
  }

  /// The names in a store's directory. Throws `invalid` when it is something else.
  static func names(_ path: String, _ files: any FileSystem) throws -> [String] {
    let names: [String]
    do { names = try files.list(path) } catch { throw asNoStore(error, path) }
    if !names.contains("store"), !Set(names).isSubset(of: unfinished) {
      throw StoreError(.invalid, "\(path) is not a Sluice store: the directory holds other files and no file `store`")
    }
    return names
  }

  private static func asNoStore(_ error: SystemError, _ path: String) -> any Error {
    guard error.reason == .notDirectory else { return error }
    return StoreError(.invalid, "\(path) is not a Sluice store: it is a file, and a store is a directory")
  }

  static func missing(_ path: String) -> StoreError { StoreError(.invalid, "there is no store at \(path)") }

  private static func takeLock(_ path: String, _ options: StoreOptions) throws -> any FileLock {
    do { return try options.fileSystem.lock(path + "/LOCK", holder: "process \(processIdentifier())") } catch {
      guard error.reason == .locked else { throw error }
      throw inUse(path, error.detail)
    }
  }

  private static func inUse(_ path: String, _ holder: String) -> StoreError {
    StoreError(.unavailable, "\(path) is in use by \(holder.isEmpty ? "another process" : holder)")
  }

  private static func loadIdentity(_ path: String, _ options: StoreOptions) throws -> StoreIdentity {
    let files = options.fileSystem
    if try files.exists(path + "/store") {
      return try StoreIdentity.decode(try files.contents(path + "/store"), path: path + "/store")
    }
    let identity = StoreIdentity(shardCount: options.shardCount, clock: options.clock)
    for name in ["log", "shards"] where try !files.exists(path + "/" + name) {
      try files.createDirectory(path + "/" + name)
    }
    // The identity says that the store is complete: it must not outlive the names of its parts. It is written before
    // they are synced, so that a file system with a journal has both in it at once.
    try files.replace(path + "/store", in: path, with: identity.encoded()) { () throws(SystemError) in
      try files.syncDirectory(path)
    }
    try files.syncDirectory(parent(path))
    return identity
  }

  /// That of a store which is there.
  static func knownIdentity(_ path: String, _ files: any FileSystem) throws -> StoreIdentity {
    // Its identity is written last.
    guard try names(path, files).contains("store") else {
      if files.whereabouts == .removed { throw missing(path) }
      throw StoreError(.invalid, "there is no store at \(path) yet: it was not made to its end")
    }
    return try StoreIdentity.decode(try files.contents(path + "/store"), path: path + "/store")
  }

  private static func assemble(
    path: String, options: StoreOptions, identity: StoreIdentity, lock: (any FileLock)?
  ) throws(StoreError) -> StoreCore {
    let place = DatabasePath(
      given: options.projectionsPath, storePath: path, fileSystem: options.fileSystem, isReadOnly: options.isReadOnly)
    let witnesses = StoreWitnesses(
      path: path, projections: place, storeID: identity.storeID, fileSystem: options.fileSystem)
    let (options, room) = try diskRoom(path, options, identity)
    let engines = try openEngines(path, options, identity)
    let log = try openLog(path, options, engines, witnesses)
    let router = Router(identity)
    let catalog = try convertingErrors { try Catalog.load(engines[0]) }
    let queue = ProjectorQueue(limitBytes: options.projectorQueueBytes)
    let pipeline = Pipeline(
      options: options, log: log, engines: engines, catalog: catalog, projectorQueue: queue, room: room)
    let resolver = Resolver(engines: engines, router: router, catalog: catalog)
    let applier = Applier(pipeline: pipeline, resolver: resolver)
    let projector = Projector(
      pipeline: pipeline, router: router,
      place: ProjectionsPlace(database: place, storeID: identity.storeID, clock: options.clock),
      refresher: Refresher(pipeline: pipeline, place: place))
    projector.openFirst()
    let groups = GroupFiles(storePath: path, storeID: identity.storeID, fileSystem: options.fileSystem)
    if !options.isReadOnly {
      try pipeline.start(
        applier, Compactor(pipeline: pipeline, groups: groups), projector: projector, refresher: projector.refresher)
    }
    do throws(StoreError) {
      let replay = Replay(pipeline: pipeline, resolver: resolver, projectedPosition: projector.openFile?.checkpoint)
      try replay.run()
      projector.begin()
    } catch {
      pipeline.fail(error)
      pipeline.stop()
      throw error
    }
    try tellMissing(log, path, pipeline, resolver.catalog)
    // Replay is done, and the file holds no more than the log: one that does is only made anew behind this.
    if options.synchronous, !options.isReadOnly, projector.openFile != nil {
      try convertingErrors { try witnesses.unmark() }
    }
    return StoreCore(
      path: path, options: options, identity: identity, lock: lock, pipeline: pipeline, projector: projector,
      projections: place, nextTableID: resolver.catalog.highestTableID + 1)
  }

  /// Events that are missing at the log's beginning stop nothing, and are told.
  private static func tellMissing(
    _ log: Log, _ path: String, _ pipeline: Pipeline, _ catalog: Catalog
  ) throws(StoreError) {
    let missing = try LogBegin.missing(first: log.firstPosition, noted: log.notedBegin) { catalog }
    guard let missing else { return }
    pipeline.notify(
      "the log in \(path)/log begins with position \(log.firstPosition): no segment holds positions "
        + "\(missing.lowerBound) to \(missing.upperBound), and they were not dropped; all rows are there, but "
        + "sluice_events, AS OF and sluice tail lack these")
  }

  /// What the file system has room for: its watermark, and a memtable budget that fits it.
  private static func diskRoom(
    _ path: String, _ options: StoreOptions, _ identity: StoreIdentity
  ) throws(StoreError) -> (StoreOptions, DiskRoom) {
    do {
      var options = options
      let size = try options.fileSystem.sizeBytes(path)
      let wanted = max(options.memtableBudgetBytes, options.leastPartBytes * identity.shardCount)
      options.memtableBudgetBytes = DiskRules.memtableBudget(wanted, fileSystemBytes: size)
      let watermark = DiskRules.watermark(
        budget: options.memtableBudgetBytes, reserve: options.diskReserveBytes, fileSystemBytes: size)
      let room = try DiskRoom(
        path: path, watermarkBytes: watermark, fileSystem: options.fileSystem, clock: options.clock)
      return (options, room)
    } catch { throw StoreError(error) }
  }

  private static func openLog(
    _ path: String, _ options: StoreOptions, _ engines: [Engine], _ witnesses: StoreWitnesses
  ) throws(StoreError) -> Log {
    do {
      let shard = StoreWitnesses.shard(engines).map { [$0] } ?? []
      let open = options.isReadOnly ? Log.openForReading : Log.open
      let log = try open(
        options.fileSystem, path + "/log", witnesses.storeID, options.clock, shard + witnesses.others())
      if !options.synchronous, !options.isReadOnly { try witnesses.markUnsynced() }
      return log
    } catch {
      for engine in engines { engine.close() }
      throw StoreError(converting: error)
    }
  }

  private static func openEngines(
    _ path: String, _ options: StoreOptions, _ identity: StoreIdentity
  ) throws(StoreError) -> [Engine] {
    let resources = EngineResources(cacheBytes: options.cacheBytes, compression: options.compression)
    var engines: [Engine] = []
    for shard in 0..<identity.shardCount {
      do {
        let directory = path + "/shards/" + shardName(shard)
        engines.append(
          options.isReadOnly
            ? try Engine.openForReading(
              fileSystem: options.fileSystem, directory: directory, shard: shard, resources: resources)
            : try Engine.open(
              fileSystem: options.fileSystem, directory: directory, shard: shard, resources: resources))
      } catch {
        for engine in engines { engine.close() }
        throw StoreError(error)
      }
    }
    return engines
  }
}
