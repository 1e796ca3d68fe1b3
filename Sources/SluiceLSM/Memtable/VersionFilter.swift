// What flush and compaction leave out: versions that no reader can ask for any more.

/// Decides entry by entry, in merge order (newest version of a key first).
struct VersionFilter: ~Copyable {
  /// No snapshot below this position will be asked for.
  let horizon: UInt64
  /// Whether nothing older than the inputs exists anywhere: then a tombstone has nothing left to hide.
  let dropsTombstones: Bool
  private let deleted: PrefixDeletions
  private var seen = KeyMemory()
  private var isCovered = false

  init(horizon: UInt64, dropsTombstones: Bool, deleted: PrefixDeletions) {
    self.horizon = horizon
    self.dropsTombstones = dropsTombstones
    self.deleted = deleted
  }

  /// Whether the entry is still needed: all versions above the horizon, and the newest one at or below it.
  mutating func keeps(_ head: MergeHead) -> Bool {
    if deleted.hides(head.table, trailer: head.trailer, at: horizon) { return false }
    if !seen.matches(head) {
      seen.remember(head)
      isCovered = false
    }
    return keepsNext(head.trailer)
  }

  /// The same for an entry of memory, next to which its caller has found whether it has the key of the one before.
  @inline(__always)
  mutating func keeps(_ entry: MemoryEntry, isNewKey: Bool) -> Bool {
    if deleted.hides(entry.table, trailer: entry.trailer, at: horizon) { return false }
    if isNewKey { isCovered = false }
    return keepsNext(entry.trailer)
  }

  @inline(__always)
  private mutating func keepsNext(_ trailer: UInt64) -> Bool {
    if isCovered { return false }
    if trailer >> 8 > horizon { return true }
    isCovered = true
    return !(dropsTombstones && isTombstone(trailer))
  }
}
