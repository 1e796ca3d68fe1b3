// Which positions a reader may ask for, without a lock on the way. Two numbers that only rise:
//
//   visible  what is applied and durable: where a reader reads
//   folded   up to where flush and compaction may have left out versions that newer ones replaced
//
// The compactor folds up to what is visible then, and says so before it begins; so does the applier, which folds what a
// batch replaces in the memtables. A reader loads `visible`, takes the
// engines' states, and loads `folded`: when that is not above its position, the states still hold every version it
// needs. Else it begins again, with a newer position.
import SluiceSQL
import Synchronization

final class ReadPositions: Sendable {
  private let visiblePosition = Atomic<UInt64>(0)
  private let foldedPosition = Atomic<UInt64>(0)

  /// The last position that a reader may see.
  @inline(__always)
  var visible: UInt64 { visiblePosition.load(ordering: .acquiring) }

  /// Called by the applier, in order, when everything up to `position` is published in the engines.
  func raise(to position: UInt64) { visiblePosition.store(position, ordering: .releasing) }

  /// Announces that versions may be folded, and returns up to where. Called by the compactor and the applier.
  func beginFolding() -> UInt64 {
    let position = visible
    foldedPosition.max(position, ordering: .releasing)
    return position
  }

  /// Whether engine states taken after `position` was loaded hold what a reader there needs.
  @inline(__always)
  func isWhole(at position: UInt64) -> Bool { foldedPosition.load(ordering: .acquiring) <= position }
}
