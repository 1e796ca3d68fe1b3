// What the statements of one connection read: all shards at one position, and over them what the session itself has
// written and not committed.
import SluiceLSM
import SluiceSQLite
import SluiceSystem

/// The rows that a statement sees. What the session writes or commits later changes nothing in it.
struct LiveView {
  let snapshots: [Snapshot]
  let overlay: EntryOverlay?
  /// Whose memory the overlay points into, and the generation of it.
  let writes: OpenWrites?
  private let generation: Int

  init(snapshots: [Snapshot], overlay: EntryOverlay? = nil, writes: OpenWrites? = nil) {
    self.snapshots = snapshots
    self.overlay = overlay
    self.writes = writes
    generation = writes?.generation ?? 0
  }

  /// Whether rows that it shows were taken back by a ROLLBACK: their memory holds others by now.
  @inline(__always)
  var isGone: Bool { writes.map { $0.generation != generation } ?? false }
}
