// An open store: its directory, its lock, its pipeline. `Store` is the public skin over it.
import SluiceLSM
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// The parts of an open store, put together by `StoreOpening.swift`.
final class StoreCore: Sendable {
  let path: String
  let options: StoreOptions
  let identity: StoreIdentity
  let router: Router
  let pipeline: Pipeline
  let projector: Projector
  let projections: DatabasePath
  /// Nil: the store is only read.
  private let lock: (any FileLock)?
  private let nextTableID: Monitor<UInt32>
  private let isClosed = Monitor(false)
  private let draining = Monitor((isRunning: false, isHastened: false))

  init(
    path: String, options: StoreOptions, identity: StoreIdentity, lock: (any FileLock)?, pipeline: Pipeline,
    projector: Projector, projections: DatabasePath, nextTableID: UInt32
  ) {
    self.path = path
    self.options = options
    self.identity = identity
    router = Router(identity)
    self.lock = lock
    self.pipeline = pipeline
    self.projector = projector
    self.projections = projections
    self.nextTableID = Monitor(nextTableID)
  }

  /// The groups whose place the store keeps.
  var groups: GroupFiles {
    GroupFiles(storePath: path, storeID: identity.storeID, fileSystem: options.fileSystem)
  }

  /// See `Store.relocation`.
  var relocation: String? {
    switch options.fileSystem.whereabouts {
    case .inPlace: nil
    case .moved(let name):
      "the directory that was opened at \(path) is not there any more: this store is "
        + (name.map { "at \($0) now" } ?? "where it was moved to") + ", and was written there"
    case .removed: "the directory of the store at \(path) was removed while it was open: its rows are gone"
    }
  }

  /// A table id that was never used. One is lost when its CREATE TABLE comes to nothing. Throws `unavailable` when the
  /// next one would be a key space.
  func newTableID() throws(StoreError) -> UInt32 {
    let id = nextTableID.withLock { id -> UInt32? in
      guard !KeySpace.contains(id) else { return nil }
      defer { id += 1 }
      return id
    }
    guard let id else {
      throw StoreError(
        .unavailable,
        "no number is left for a table: \(KeySpace.firstTableID - 1) were given out, dropped ones included")
    }
    return id
  }

  /// The highest table id given out so far.
  var lastTableID: UInt32 { nextTableID.withLock { $0 - 1 } }

  /// The highest stored INTEGER PRIMARY KEY of a table, or nil when it is empty or holds no integer.
  func highestStoredKey(_ table: SQLTable) throws(StoreError) -> Int64? {
    var highest: Int64?
    let prefix = keyPrefix(ofTable: table.id)
    for engine in pipeline.engines {
      let key: [UInt8]?
      do { key = try engine.lastKey(prefix: prefix) } catch { throw StoreError(error) }
      guard let key else { continue }
      if let number = key.withUnsafeBytes({ storedRowid(ofKey: $0) }) { highest = max(highest ?? number, number) }
    }
    return highest
  }

  /// Ends the store. With `drain`, everything accepted is applied and projected first; `report` is told what that waits
  /// for.
  func close(drain: Bool, report: @escaping (ClosingWait) -> Void = { _ in }) throws(StoreError) {
    let wasClosed = isClosed.withLock { closed in
      defer { closed = true }
      return closed
    }
    if wasClosed { return }
    var failure: StoreError?
    /// What is told although all else went well.
    var delay: StoreError?
    if drain, !options.isReadOnly {
      draining.withLock { $0.isRunning = true }
      do throws(StoreError) {
        let isHastened = { [self] in draining.withLock { $0.isHastened } }
        delay = try Leaving(pipeline, isHastened: isHastened, report: report).drain()
      } catch { failure = error }
      draining.withLock { $0.isRunning = false }
    }
    // What a full disk, or a reader, keeps from tables and projections is in the log, for the next opening.
    let isAbandoning = !drain || failure?.kind == .overloaded
    pipeline.progress.withLock { $0.isAbandoning = isAbandoning }
    if isAbandoning { projector.leave() }
    pipeline.stop()
    failure = failure ?? pipeline.progress.withLock { $0.failure } ?? delay
    projector.close()
    for engine in pipeline.engines { engine.close() }
    pipeline.log.close()
    lock?.release()
    pipeline.fail(StoreError(.unavailable, "the store at \(path) is closed"))
    if let failure { throw failure }
  }

  /// Ends the waiting of `close`.
  func hastenClose() {
    draining.withLock { $0.isHastened = $0.isRunning }
    pipeline.progress.update { _ in }
  }
}
