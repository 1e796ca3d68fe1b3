// How far each projection is, as the projector tells those who wait for it: part of `Progress`.
import SluiceSQL

/// What happens to a copy of a projection.
enum ProjectionState: String {
  /// It is filled from the mirror; changes to what it has already are followed.
  case building
  /// It follows every change, or is made anew from time to time.
  case current
  /// It stays as it is until RESUME.
  case paused
  /// It could not be brought further, and stays as it is until REBUILD.
  case failed
}

/// How far a projection is, for those who wait for it.
struct ProjectionProgress: Sendable, Equatable {
  enum Kind: String, Sendable { case rows, groups, refreshed }

  /// How far a copy is filled.
  struct Filling: Sendable, Equatable {
    /// From the rows of which SQL table.
    var tableID: UInt32
    /// The engines' key of the last row that it has; nil: it has none.
    var key: [UInt8]?
    /// Rows that it got since the file was opened.
    var rows: Int
  }

  /// As it is written.
  var name: String
  var kind: Kind
  /// `rebuilding` while another copy is filled beside the one that serves, else that of its copy.
  var state: String
  /// Whether there is a view.
  var serves: Bool
  /// Whether a copy is to come that does not serve yet.
  var isBuilding: Bool
  /// Such a copy that is filled row by row.
  var filling: Filling?
  /// Up to where it was brought; nil: as far as the mirrors.
  var position: UInt64?
  var error: String?
  /// While it has failed: up to where the rows were that it failed with; nil: that is not known any more.
  var failedPosition: UInt64?

  var isPaused: Bool { state == ProjectionState.paused.rawValue }

  /// Whether a copy is to come that is made as a whole.
  var isAwaited: Bool { isBuilding && filling == nil }

  /// Whether there is a view, which holds all up to `target`.
  func holds(_ target: UInt64, _ progress: Progress) -> Bool { serves && (position ?? progress.projected) >= target }

  /// Whether it is made anew from time to time, and has not been since `position` was reached.
  func isRefreshedAndBehind(_ target: UInt64) -> Bool {
    kind == .refreshed && !isPaused && state != ProjectionState.failed.rawValue && (position ?? target) < target
  }

  /// Why it will not come to `target` by itself, with what helps.
  func obstacle(_ target: UInt64) -> StoreError? {
    let isThere = serves && (position ?? target) >= target
    switch ProjectionState(rawValue: state) {
    // One that was paused while it was filled is filled for whoever asks.
    case .paused where !isThere && (serves || kind == .refreshed):
      return StoreError(
        .invalid, "projection \(name) is paused at position \(position ?? 0): RESUME PROJECTION \(name)", sqliteCode: 5)
    case .failed:
      // With what was written since then it may succeed: that is tried first.
      if kind == .refreshed, (failedPosition ?? 0) < target { return nil }
      let remedy =
        kind == .refreshed
        ? "it is tried again when it is due; ALTER PROJECTION \(name) AS … changes its query"
        : "REBUILD PROJECTION \(name) fills it anew"
      return StoreError(
        .invalid,
        "projection \(name) has failed at position \(failedPosition ?? position ?? 0): \(error ?? ""); \(remedy)",
        sqliteCode: 1)
    default: return nil
    }
  }
}

/// An object that projections.db does without.
struct QuarantinedObject: Sendable, Equatable {
  let name: String
  let kind: CatalogChange.ObjectKind
  let reason: String

  /// What it is, why, and what to do.
  var sentence: String {
    let noun = kind.noun.lowercased()
    let remedy =
      kind == .index
      ? "correct the rows, DROP INDEX \(quoted(name)) and create it again"
      : "DROP \(kind.noun) \(quoted(name)) and create it in another way"
    return "\(noun) \(name) is left out of projections.db: \(reason); \(remedy)"
  }
}
