// What the projector tells of its projections.
import SluiceSQL

extension ProjectionCopy {
  fileprivate var filling: ProjectionProgress.Filling? {
    guard let table = plan?.table else { return nil }
    return .init(tableID: table.id, key: builtKey.map { engineKey($0, of: table) }, rows: filledRows)
  }
}

extension ProjectionCopies {
  /// How far each projection is, by folded name.
  var progress: [String: ProjectionProgress] {
    var result: [String: ProjectionProgress] = [:]
    for name in Set(all.map { folded($0.name) }) {
      guard let copy = serving(name) ?? copies(name).last else { continue }
      let isBuilding = copies(name).contains { $0.state == .building }
      let filled = copies(name).first { $0.state == .building && !$0.isRefreshed }
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
        isBuilding: isBuilding, filling: filled?.filling, position: isLive ? nil : copy.position, error: copy.error,
        failedPosition: copy.state == .failed ? copy.failedPosition : nil)
    }
    return result
  }
}
