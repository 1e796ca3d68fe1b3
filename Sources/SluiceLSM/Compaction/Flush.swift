// Flush: the oldest frozen memtable becomes a run of level 0, and the flushed position moves.
//
// Order of durability: tables synced, their names synced, the edit synced; only then is the memory given up.
// Everything here is called by the compactor's thread only.
import SluiceSystem

extension Engine {
  /// Whether there is a frozen memtable. Any thread.
  public var waitsForFlush: Bool { !current.frozen.isEmpty }

  /// Writes the oldest frozen memtable to disk; false when there is none. An error leaves the memtable in place and the
  /// engine readable; `poisoned` afterwards means that only reopening helps.
  public func flush() throws(EngineError) -> Bool {
    try checkWritable()
    guard let memtable = current.frozen.first else {
      removeObsolete()
      return false
    }
    try beginManifest()
    let horizon = min(counters.withLock { $0.oldestReadable }, memtable.position)
    let deletions = current.deleted.all.filter { !version.deleted.contains($0) && $0.position <= memtable.position }
    let writer = RunWriter(self, version.deepestLevel == nil ? .bottom : .above)
    let infos: [TableInfo]
    var added: [UInt64: Table] = [:]
    do {
      infos = try writeRun(of: memtable, horizon: horizon, to: writer)
      for info in infos { added[info.number] = try openTable(info) }
    } catch {
      writer.abandon()
      throw error
    }
    let run = takeNumber()
    var edit = VersionEdit(flushedPosition: memtable.position)
    edit.added = infos.map { VersionEdit.Addition(level: 0, run: run, table: $0) }
    edit.deleted = deletions
    try install(edit, opened: added, flushed: memtable)
    counters.withLock { $0.flushedBytes += writer.size }
    return true
  }

  /// Makes the directory of a new engine and its first manifest durable, before there are tables in it.
  private func beginManifest() throws(EngineError) {
    guard let number = unbegunManifest else { return }
    do throws(SystemError) {
      let parent = directory.lastIndex(of: "/").map { String(directory[..<$0]) } ?? "."
      try fileSystem.syncDirectory(parent.isEmpty ? "/" : parent)
    } catch { throw EngineError(error, doing: "syncing the engine's directory", shard: shard) }
    var first = version
    first.nextNumber = number
    do {
      manifest = try Manifest.create(
        fileSystem: fileSystem, files: resources.files, directory: directory, number: number, shard: shard,
        version: first)
    } catch {
      guard error.cause?.reason == .diskFull else {
        failure = error
        throw error
      }
      // Tried again when there is room, from the beginning.
      do { try fileSystem.remove(directory + "/" + ManifestFormat.fileName(number)) } catch {}
      throw error
    }
    unbegunManifest = nil
  }

  private func writeRun(
    of memtable: FrozenMemtable, horizon: UInt64, to writer: RunWriter
  ) throws(EngineError) -> [TableInfo] {
    var filter = VersionFilter(
      horizon: horizon, dropsTombstones: version.deepestLevel == nil, deleted: current.deleted)
    for run in Run.inSequence(memtable.runs) { try writer.add(run, filter: &filter) }
    return try writer.finish()
  }

  func openTable(_ info: TableInfo) throws(EngineError) -> Table {
    try Table.open(
      fileSystem: fileSystem, directory: directory, info: info, shard: shard, resources: resources,
      counters: readCounters)
  }

  /// No snapshot below this position will be asked for.
  var horizon: UInt64 { min(counters.withLock { $0.oldestReadable }, version.flushedPosition) }

  /// A number for a file or a run that was never used.
  func takeNumber() -> UInt64 {
    version.nextNumber += 1
    return version.nextNumber - 1
  }

  func checkWritable() throws(EngineError) {
    if let failure {
      throw EngineError(
        .poisoned, "an earlier write failed (\(failure.message)); reopen to write", shard: shard, file: failure.file,
        cause: failure.cause)
    }
    if manifest == nil, unbegunManifest == nil {
      throw EngineError(.closed, "the engine is closed", shard: shard, file: directory)
    }
  }

  /// Makes an edit durable, then shows the new version to readers; `flushed` leaves memory in the same moment.
  func install(_ edit: VersionEdit, opened: [UInt64: Table], flushed: FrozenMemtable? = nil) throws(EngineError) {
    var edit = edit
    edit.nextNumber = version.nextNumber
    let next: Version
    switch version.applying(edit) {
    case .success(let version): next = version
    case .failure(let error):
      throw EngineError(.corrupt, "an edit of this engine " + error.message, shard: shard, file: directory)
    }
    do { try manifest?.append(edit) } catch {
      // One that could not be opened is as it was.
      if manifest?.isUncertain == true { failure = error }
      throw error
    }
    version = next
    tables.merge(opened) { $1 }
    let named = Set(edit.added.map(\.table.number))
    for number in edit.removed where !named.contains(number) {
      if let table = tables.removeValue(forKey: number) { obsolete.append(table) }
    }
    let open = OpenVersion(version, tables: tables, counters: readCounters)
    replaceState { state in
      ReadState(
        runs: state.runs, owners: state.owners, frozen: state.frozen.filter { $0 !== flushed }, open: open,
        deleted: state.deleted)
    }
    try rewriteLongManifest()
    removeObsolete()
  }

  private func rewriteLongManifest() throws(EngineError) {
    guard let old = manifest, old.isLong else { return }
    do {
      version.deleted = version.liveDeletions(horizon: horizon)
      let new = try Manifest.create(
        fileSystem: fileSystem, files: resources.files, directory: directory, number: takeNumber(), shard: shard,
        version: version)
      manifest = new
      old.close()
      try removeManifest(old.number)
    } catch {
      failure = error
      throw error
    }
  }

  private func removeManifest(_ number: UInt64) throws(EngineError) {
    do {
      try fileSystem.remove(directory + "/" + ManifestFormat.fileName(number))
      try fileSystem.syncDirectory(directory)
    } catch { throw EngineError(error, doing: "removing an old manifest", shard: shard) }
  }

  /// Removes the files of tables that no version names and no reader has.
  func removeObsolete() {
    var kept: [Table] = []
    while var table = obsolete.popLast() {
      guard isKnownUniquelyReferenced(&table) else {
        kept.append(table)
        continue
      }
      do { try fileSystem.remove(table.path) } catch { continue }  // the next open removes it
    }
    obsolete = kept
  }

  /// Ends writing. Snapshots stay usable; what was not flushed is in the log.
  public func close() {
    removeObsolete()
    manifest?.close()
    manifest = nil
    unbegunManifest = nil
  }
}
