// Where reads of raw keys take their snapshots.
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
