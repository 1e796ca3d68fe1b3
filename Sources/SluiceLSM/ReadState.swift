// What a reader sees at one moment: the memtables' runs, the tables, the deleted prefixes. Immutable: the writers make
// a new one for each publish, freeze, flush and compaction, and readers keep the one they took.
// `@unchecked Sendable`: the runs and owners never change behind a reader's back (see Run.swift).
// Unsafe by nature: named in the tidy test.
import SluiceSystem

final class ReadState: @unchecked Sendable {
  let runs: [Run]
  let owners: OwnerBag
  /// Oldest first.
  let frozen: [FrozenMemtable]
  let open: OpenVersion
  /// Deleted prefixes: those of the version and those that wait for the next flush.
  let deleted: PrefixDeletions

  init(
    runs: [Run], owners: OwnerBag, frozen: [FrozenMemtable], open: OpenVersion, deleted: PrefixDeletions
  ) {
    self.runs = runs
    self.owners = owners
    self.frozen = frozen
    self.open = open
    self.deleted = deleted
  }

  /// Calls `body` with each memory run, newest first.
  @inline(__always)
  func forEachMemoryRun(_ body: (Run) -> Void) {
    for run in runs.reversed() { body(run) }
    for memtable in frozen.reversed() { for run in memtable.runs.reversed() { body(run) } }
  }

  /// Calls `body` with the version of `key` that a reader at `position` sees, if it is alive; else returns nil.
  @inline(__always)
  func find<R>(
    _ key: UnsafeRawBufferPointer, at position: UInt64, _ scratch: inout LookupScratch, _ body: (Entry) -> R
  ) throws(EngineError) -> R? {
    let search = SearchKey(key)
    let ceiling = ceilingTrailer(at: position)
    if !(runs.isEmpty && frozen.isEmpty), let entry = findInMemory(search, trailer: ceiling) {
      let trailer = entry.pointee.trailer
      return isAlive(search, trailer, position)
        ? body(Entry(key: key, position: trailer >> 8, kind: .put, value: entry.pointee.valueBytes)) : nil
    }
    let found = try open.find(search, trailer: ceiling, &scratch)
    var result: R?
    if let found, isAlive(search, found.trailer, position) {
      result = withExtendedLifetime(found.block) {
        body(Entry(key: key, position: found.trailer >> 8, kind: .put, value: found.value))
      }
    }
    // Only now is everything read that the answer rests on.
    try open.checkMappings()
    return result
  }

  @inline(__always)
  private func isAlive(_ key: SearchKey, _ trailer: UInt64, _ position: UInt64) -> Bool {
    !isTombstone(trailer) && !deleted.hides(key.table, trailer: trailer, at: position)
  }

  /// The newest version of `key` at or below `trailer` in memory, or nil.
  func findInMemory(_ key: SearchKey, trailer: UInt64) -> MemoryEntries? {
    for run in runs.reversed() {
      if let entry = run.find(key, trailer: trailer) { return entry }
    }
    for memtable in frozen.reversed() {
      for run in memtable.runs.reversed() {
        if let entry = run.find(key, trailer: trailer) { return entry }
      }
    }
    return nil
  }
}
