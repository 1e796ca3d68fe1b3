// What a reader sees at one moment: the memtables' runs, the tables, the dropped SQL tables. Immutable: the writers
// make a new one for each publish, freeze, flush and compaction, and readers keep the one they took.
// `@unchecked Sendable`: the runs and owners never change behind a reader's back (see Run.swift).
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Keeps batch memory alive. Only the applier adds; nobody reads.
final class OwnerBag: @unchecked Sendable {
  private var owners: [AnyObject] = []

  func add(_ owner: AnyObject) {
    if let last = owners.last, last === owner { return }
    owners.append(owner)
  }
}

/// A memtable that takes no more entries, complete up to `position`.
final class FrozenMemtable: @unchecked Sendable {
  let runs: [Run]
  let owners: OwnerBag
  let index: KeyIndex?
  let position: UInt64
  let entryCount: Int
  let byteCount: Int

  init(runs: [Run], owners: OwnerBag, index: KeyIndex?, position: UInt64, entryCount: Int, byteCount: Int) {
    self.runs = runs
    self.owners = owners
    self.index = index
    self.position = position
    self.entryCount = entryCount
    self.byteCount = byteCount
  }
}

/// A version with its tables open, in the order in which a reader asks: newest run first.
final class OpenVersion: Sendable {
  let version: Version
  let runs: [[Table]]

  init(_ version: Version, tables: [UInt64: Table]) {
    self.version = version
    runs = version.levels.flatMap { level in
      level.reversed().map { run in run.tables.compactMap { tables[$0.number] } }
    }
  }

  /// The newest version of `key` at or below `trailer` in the tables, or nil.
  func find(_ key: UnsafeRawBufferPointer, order: UInt128, trailer: UInt64) throws(EngineError) -> FoundEntry? {
    if runs.isEmpty { return nil }
    let hash = SluiceSystem.hash(key)
    var cursor = BlockCursor()
    for run in runs {
      let index = firstTable(run, atOrBehind: key)
      guard index < run.count, run[index].mayContain(hash: hash) else { continue }
      if let found = try run[index].find(key, order: order, trailer: trailer, cursor: &cursor) { return found }
    }
    return nil
  }
}

final class ReadState: @unchecked Sendable {
  let runs: [Run]
  let owners: OwnerBag
  /// Oldest first.
  let frozen: [FrozenMemtable]
  let open: OpenVersion
  /// Dropped SQL tables: those of the version and those that wait for the next flush.
  let dropped: [UInt32: UInt64]

  init(
    runs: [Run], owners: OwnerBag, frozen: [FrozenMemtable], open: OpenVersion, dropped: [UInt32: UInt64]
  ) {
    self.runs = runs
    self.owners = owners
    self.frozen = frozen
    self.open = open
    self.dropped = dropped
  }

  /// All memory runs, newest first.
  var memoryRuns: [Run] { runs.reversed() + frozen.reversed().flatMap { $0.runs.reversed() } }

  /// Whether a reader at `position` sees nothing of the SQL table of `key`.
  @inline(__always)
  func isDropped(_ key: UnsafeRawBufferPointer, at position: UInt64) -> Bool {
    guard !dropped.isEmpty, let drop = dropped[tableId(key)] else { return false }
    return drop <= position
  }

  /// The newest version of `key` at or below `trailer` in memory, or nil.
  func findInMemory(_ key: UnsafeRawBufferPointer, order: UInt128, trailer: UInt64) -> MemoryEntries? {
    for run in runs.reversed() {
      if let entry = run.find(key, order: order, trailer: trailer) { return entry }
    }
    for memtable in frozen.reversed() {
      for run in memtable.runs.reversed() {
        if let entry = run.find(key, order: order, trailer: trailer) { return entry }
      }
    }
    return nil
  }

  /// The greatest key before `bound`, dead or alive, at any position; nil when there is none.
  func lastKey(before bound: [UInt8]?) throws(EngineError) -> [UInt8]? {
    var best: [UInt8]?
    func offer(_ key: [UInt8]) {
      if let other = best, compareKeys(other, key) >= 0 { return }
      best = key
    }
    for run in memoryRuns {
      let end =
        bound.map { bound in
          bound.withUnsafeBytes { run.lowerBound($0, order: keyOrder($0), trailer: .max) }
        } ?? run.end
      if end > run.base { offer([UInt8]((end - 1).pointee.keyBytes)) }
    }
    for run in open.runs {
      // The last table that begins before the bound has the greatest key before it.
      let behind = bound.map { bound in run.firstIndex { compareKeys($0.info.smallest, bound) >= 0 } ?? run.count }
      let index = (behind ?? run.count) - 1
      if index >= 0, let key = try run[index].lastKey(before: bound) { offer(key) }
    }
    return best
  }
}
