// Where reads take their snapshots, and how many entries these hold.
import SluiceLSM

extension Pipeline {
  /// All shards at one visible position, by number.
  func view() -> [Snapshot] { viewWithPosition().snapshots }

  /// The same, and the position.
  func viewWithPosition() -> (position: UInt64, snapshots: [Snapshot]) {
    while true {
      let position = positions.visible
      let snapshots = engines.map { $0.snapshot(at: position) }
      if positions.isWhole(at: position) { return (position, snapshots) }
    }
  }
}

/// How many entries there are with keys in `lower` ..< `upper`. `check` is called now and then.
func countEntries(
  _ snapshots: [Snapshot], from lower: [UInt8], to upper: [UInt8]?, overlay: EntryOverlay? = nil,
  check: () throws(StoreError) -> Void
) throws(StoreError) -> Int {
  let entries = MergeIterator(snapshots, lower: lower, upper: upper, overlay: overlay)
  var count = 0
  do {
    while try entries.next() {
      count += 1
      if count & 1023 == 0 { try check() }
    }
  } catch { throw StoreError(converting: error) }
  return count
}
