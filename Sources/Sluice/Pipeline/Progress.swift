// How far the pipeline has come: the watermarks of contract 1, what each session still waits for, and the first
// failure. One monitor for all of it: it is touched once per batch, never per row.
import SluiceSQL
import SluiceSystem
import Synchronization

/// A statement that was acknowledged as written and rejected when it was applied.
struct Rejection: Sendable {
  let message: String
  let sqliteCode: Int32
  let line: Int
}

extension SessionProgress {
  /// Takes note of the outcome of an item that has just been counted as resolved.
  mutating func note(_ outcome: RowOutcome) {
    rows.add(outcome)
    if case .none = outcome.lastRow { return }
    lastRowItem = resolved
  }
}

/// How many of a session's items are applied, for the session itself to ask without a lock. Raised after the visible
/// position, so that what it counts is visible.
final class SessionMark: Sendable {
  let resolved = Atomic<Int>(0)
}

/// What one session has on its way.
struct SessionProgress: Sendable {
  /// Items (batches, staged transactions) handed to the appender.
  var submitted = 0
  var durable = 0
  var resolved = 0
  /// Position of the last command of the last durable item.
  var lastPosition: UInt64 = 0
  var rejections: [Rejection] = []
  /// What the rows of all items came to.
  var rows = RowOutcome()
  /// The item that `rows.lastRow` is about, counted as `resolved` is.
  var lastRowItem = 0
  /// The same as `resolved`, where a session asks often.
  var mark: SessionMark?
}

struct Progress: Sendable {
  var durable: UInt64 = 0
  var applied: UInt64 = 0
  var flushed: UInt64 = 0
  var projected: UInt64 = 0
  /// Up to where projections.db is on the disk, as far as this process knows.
  var synced: UInt64 = 0
  /// Number of the projections.db that sessions may read; 0: there is none, or none that can be trusted.
  var fileNumber = 0
  /// SQLite's count of commits when all of them are the projector's; nil: not known.
  var fileChanges: UInt32?
  /// Number of the last look at it that somebody asked for and got.
  var examined: UInt64 = 0
  /// The projections that projections.db knows, by folded name.
  var projections: [String: ProjectionProgress] = [:]
  /// Indexes and views that projections.db does without, by folded name.
  var quarantined: [String: QuarantinedObject] = [:]
  var sessions: [UInt64: SessionProgress] = [:]
  /// Whether the one session that there is works on something that no other may come in between.
  var isReserved = false
  /// The last session id given out. Ids are never used again: what a session that has ended left on its way must not
  /// be counted for another one.
  var lastSession: UInt64 = 0
  /// Items of all sessions, also of those that have ended.
  var submitted = 0
  var resolved = 0
  /// Who waits for something here, and not only for the disk.
  var waiterCount = 0
  /// The first failure of a role. Writing stops with it; what is durable stays so.
  var failure: StoreError?
  var isStopping = false
  /// Set when the projector may begin: replay is done.
  var isProjecting = false
  /// Leaving without draining: what is not projected is left for the next opening.
  var isAbandoning = false

  /// The last position a reader may see: applied, and durable too.
  var visible: UInt64 { min(applied, durable) }
}
