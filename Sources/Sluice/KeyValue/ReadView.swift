// Where reads of raw keys take their snapshots. Everything that knows how an engine is asked stands here and in
// MergedRows.swift.
import SluiceLSM

extension Pipeline {
  /// One shard at the visible position.
  @inline(__always)
  func snapshot(shard: Int) -> Snapshot {
    while true {
      let position = positions.visible
      let snapshot = engines[shard].snapshot(at: position)
      if positions.isWhole(at: position) { return snapshot }
    }
  }

  /// All shards at one visible position, by number.
  func view() -> [Snapshot] {
    while true {
      let position = positions.visible
      let snapshots = engines.map { $0.snapshot(at: position) }
      if positions.isWhole(at: position) { return snapshots }
    }
  }
}
