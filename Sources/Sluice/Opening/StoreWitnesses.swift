// What the parts of a store prove about the end of its log. Each of them speaks only of positions that were durable: a
// shard is flushed behind a sync of the log, projections.db is committed behind it, and a group of `sluice tail` syncs
// the log itself before it writes its place. So a position behind the log's end means that the log has lost something,
// whatever its own records say; a power cut never does that.
//
// Where writers do not wait for the disk (`StoreOptions.synchronous`), projections.db runs ahead of what is durable,
// and a power cut may take back what it holds. The file `unsynced` in the store, made before such a writer writes
// anything, says so. It goes when the store was opened by a writer that waits, and all that was found is durable.
//
// Where the log begins, the log knows itself: retention notes it. Of a store that notes nothing and was never told to
// drop anything, it begins with position 1. Events that are missing there stop nothing, for the shards hold the rows;
// but they are told of.
import SluiceLSM
import SluiceLog
import SluiceSystem

struct StoreWitnesses {
  let path: String
  let projections: DatabasePath
  let storeID: UInt64
  let fileSystem: any FileSystem

  private var markPath: String { path + "/" + Self.markName }
  static let markName = "unsynced"

  /// The shard that is flushed furthest, in words.
  static func shard(_ number: Int, manifest: String, position: UInt64) -> LogWitness {
    LogWitness(position: position, name: "shard \(number) (\(manifest))")
  }

  /// The same of open engines; nil when none was ever flushed.
  static func shard(_ engines: [Engine]) -> LogWitness? {
    guard let engine = engines.max(by: { $0.flushedPosition < $1.flushedPosition }),
      let manifest = engine.manifestPath
    else { return nil }
    return shard(engine.shard, manifest: manifest, position: engine.flushedPosition)
  }

  /// projections.db, which nobody may write meanwhile, and the groups.
  func others(readsProjections: Bool = true) -> [LogWitness] {
    var witnesses: [LogWitness] = []
    if readsProjections, !isUnsynced, let position = CheckpointLook.position(projections, storeID: storeID) {
      witnesses.append(
        LogWitness(
          position: position, name: projections.path,
          remedy: "save what \(projections.path) shows of it and move that file away, with its -wal and -shm"))
    }
    return witnesses + groups()
  }

  /// The groups that know what was durable when they wrote their place. One that cannot be read proves nothing.
  private func groups() -> [LogWitness] {
    let groups = GroupFiles(storePath: path, storeID: storeID, fileSystem: fileSystem)
    var witnesses: [LogWitness] = []
    do {
      for name in try groups.names() {
        do {
          guard let file = try groups.read(name), file.isDurable else { continue }
          witnesses.append(
            LogWitness(
              position: file.position, name: "the group \(name) (\(groups.path(name)))",
              remedy: "run sluice tail \(path) --drop-group \(name)"))
        } catch {}
      }
    } catch {}
    return witnesses
  }

  /// Whether projections.db may hold what a power cut took back. Where that cannot be told, it may.
  var isUnsynced: Bool {
    do { return try fileSystem.exists(markPath) } catch { return true }
  }

  /// Called before anything is written that nobody waits to be durable.
  func markUnsynced() throws(SystemError) {
    if try fileSystem.exists(markPath) { return }
    try fileSystem.open(markPath, .create).close()
    try fileSystem.syncDirectory(path)
  }

  /// Everything that the log holds is durable, and projections.db holds no more. If the file comes back, it only keeps
  /// projections.db from being a witness.
  func unmark() throws(SystemError) {
    if try fileSystem.exists(markPath) { try fileSystem.remove(markPath) }
  }
}

/// Whether a log begins where it must.
enum LogBegin {
  /// The positions that a log which begins at `first` should hold and does not; nil: it is as retention left it.
  /// `noted`: what retention noted; `catalog`: asked where it noted nothing.
  static func missing(
    first: UInt64, noted: UInt64?, catalog: () throws(StoreError) -> Catalog
  ) throws(StoreError) -> ClosedRange<UInt64>? {
    if let noted { return first > noted ? noted...(first - 1) : nil }
    // A version that noted nothing may have dropped what is not there.
    guard first > 1, try catalog().settings["retain"] == nil else { return nil }
    return 1...(first - 1)
  }
}
