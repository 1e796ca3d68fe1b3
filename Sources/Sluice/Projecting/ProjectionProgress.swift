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
  /// Whether a copy is being filled beside.
  var isBuilding: Bool
  /// Up to where it was brought; nil: as far as the mirrors.
  var position: UInt64?
  var error: String?

  /// Whether it is made anew from time to time, and has not been since `position` was reached.
  func isRefreshedAndBehind(_ target: UInt64) -> Bool {
    kind == .refreshed && state == ProjectionCopy.State.current.rawValue && (position ?? target) < target
  }
}

extension ProjectionCopies {
  /// How far each projection is, by folded name.
  var progress: [String: ProjectionProgress] {
    var result: [String: ProjectionProgress] = [:]
    for name in Set(all.map { folded($0.name) }) {
      guard let copy = serving(name) ?? copies(name).last else { continue }
      let isBuilding = copies(name).contains { $0.state == .building }
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
        isBuilding: isBuilding, position: isLive ? nil : copy.position, error: copy.error)
    }
    return result
  }
}
