// How far each projection is, as the projector tells those who wait for it: part of `Progress`.

/// How far a projection is, for those who wait for it.
struct ProjectionProgress: Sendable, Equatable {
  enum Kind: String, Sendable { case rows, groups, refreshed }
  /// As it is written.
  var name: String
  var kind: Kind
  /// `rebuilding` while another copy is filled beside the one that serves, else that of its copy.
  var state: String
  /// Whether there is a view.
  var serves: Bool
  /// Whether a copy is to come that does not serve yet.
  var isBuilding: Bool
  /// Whether such a copy is being filled, row by row.
  var isFilling: Bool
  /// Up to where it was brought; nil: as far as the mirrors.
  var position: UInt64?
  var error: String?
  /// While it has failed: up to where the rows were that it failed with; nil: that is not known any more.
  var failedPosition: UInt64?

  var isPaused: Bool { state == ProjectionCopy.State.paused.rawValue }

  /// Whether a copy is to come that is made as a whole.
  var isAwaited: Bool { isBuilding && !isFilling }

  /// Whether there is a view, which holds all up to `target`.
  func holds(_ target: UInt64, _ progress: Progress) -> Bool { serves && (position ?? progress.projected) >= target }

  /// Whether it is made anew from time to time, and has not been since `position` was reached.
  func isRefreshedAndBehind(_ target: UInt64) -> Bool {
    kind == .refreshed && !isPaused && state != ProjectionCopy.State.failed.rawValue && (position ?? target) < target
  }

  /// Why it will not come to `target` by itself, with what helps.
  func obstacle(_ target: UInt64) -> StoreError? {
    let isThere = serves && (position ?? target) >= target
    switch ProjectionCopy.State(rawValue: state) {
    case .paused where !isThere:
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

extension ProjectionCopies {
  /// How far each projection is, by folded name.
  var progress: [String: ProjectionProgress] {
    var result: [String: ProjectionProgress] = [:]
    for name in Set(all.map { folded($0.name) }) {
      guard let copy = serving(name) ?? copies(name).last else { continue }
      let isBuilding = copies(name).contains { $0.state == .building }
      let isFilling = copies(name).contains { $0.state == .building && !$0.isRefreshed }
      let kind: ProjectionProgress.Kind
      switch copy.plan?.stored {
      case .rows: kind = .rows
      case .groups: kind = .groups
      case nil: kind = .refreshed
      }
      let isLive = copy.state == .current && !copy.isRefreshed
      result[name] = ProjectionProgress(
        name: copy.name, kind: kind, state: isBuilding && copy.serves ? "rebuilding" : copy.state.rawValue,
        serves: copy.serves,
        isBuilding: isBuilding, isFilling: isFilling, position: isLive ? nil : copy.position, error: copy.error,
        failedPosition: copy.state == .failed ? copy.failedPosition : nil)
    }
    return result
  }
}
