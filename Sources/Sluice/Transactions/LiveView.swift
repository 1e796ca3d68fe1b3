// What the statements of one connection read: all shards at one position, and over them what the session itself has
// written and not committed.
import SluiceLSM
import SluiceLog

/// The rows that a statement sees. What the session writes or commits later changes nothing in it.
struct LiveView {
  let snapshots: [Snapshot]
  /// Another one for each view that a connection has made.
  var number = 0
  /// The session's own rows: those among the first `shownBytes` of the batch, as of `generation`.
  private let writes: OpenWrites?
  private let shownBytes: Int
  private let generation: Int

  init(snapshots: [Snapshot]) {
    self.snapshots = snapshots
    writes = nil
    shownBytes = 0
    generation = 0
  }

  /// All that was written so far, over what its transaction reads.
  init(_ writes: OpenWrites) {
    snapshots = writes.snapshots
    self.writes = writes
    shownBytes = writes.show()
    generation = writes.generation
  }

  /// The session's own rows in key order, for a walk; nil when there are none. A point read asks `own`.
  var overlay: EntryOverlay? { writes?.overlay(of: shownBytes) }

  /// The session's own newest command on an engine key. About 0.1 µs, whatever was written.
  func own(_ key: UnsafeRawBufferPointer) -> Command? { writes?.own(key, within: shownBytes) }

  /// Whether rows that it shows were taken back by a ROLLBACK: their memory holds others by now.
  @inline(__always)
  var isGone: Bool { writes.map { $0.generation != generation } ?? false }
}
