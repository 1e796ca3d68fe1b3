// A memtable that is full, and what keeps its memory.
// `@unchecked Sendable`: the runs and owners never change behind a reader's back (see Run.swift).

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
