// What the projector does beside following the log: when it is its turn, how much of it at a time, and what sessions
// asked for.
import SluiceSystem

/// Paces the filling of copies. Belongs to the projector's thread.
struct ProjectorBackground {
  /// Rows of the mirror that are added to a copy at a time, while rows wait and else.
  private var busyCount = 16_384
  private var idleCount = 131_072
  private var hadTurn = false

  private static let fewestRows = 2_048
  /// So many groups are merged at once; more would win little and hold the write-ahead log longer.
  private static let mostRows = 524_288
  /// How long a part may take while rows wait, and else, in nanoseconds. Rows that come meanwhile wait as long. A large
  /// part merges each group it has but once: 1 M rows in 200,000 groups take 1.3 µs each in parts of 131,072 rows and
  /// 0.8 in parts of 524,288.
  private static let busyNanoseconds: UInt64 = 15_000_000
  private static let idleNanoseconds: UInt64 = 800_000_000

  func rowCount(isBusy: Bool) -> Int { isBusy ? busyCount : idleCount }

  /// Whether it is its turn: always when nothing waits, else every other time.
  mutating func takesTurn(isBusy: Bool) -> Bool {
    hadTurn = isBusy && !hadTurn
    return hadTurn || !isBusy
  }

  /// The last part took so long.
  mutating func adjust(nanoseconds: UInt64, isBusy: Bool) {
    let limit = isBusy ? Self.busyNanoseconds : Self.idleNanoseconds
    var count = rowCount(isBusy: isBusy)
    if nanoseconds > limit {
      count = max(count / 2, Self.fewestRows)
    } else if nanoseconds < limit / 2 {
      count = min(count * 2, Self.mostRows)
    }
    if isBusy { busyCount = count } else { idleCount = count }
  }

  /// Whether a copy is to be made anew now: its time has come and something has changed, or somebody waits for it.
  func isDue(
    _ copy: ProjectionCopy, _ requests: ProjectorRequests.Taken, at position: UInt64, _ now: UInt64
  ) -> Bool {
    let isBehind = copy.position < position
    if copy.serves, requests.refreshes(copy.name) { return isBehind }
    return copy.refreshAt <= now && (isBehind || copy.isVolatile || !copy.serves)
  }

  /// Time until a copy is due although nothing rings; nil: none is.
  func restMicroseconds(_ copies: [ProjectionCopy], at position: UInt64, now: UInt64) -> Int64? {
    copies.filter { $0.position < position || $0.isVolatile || !$0.serves }.map {
      $0.refreshAt > now ? Int64(clamping: ($0.refreshAt - now) / 1_000) + 1 : 1_000
    }.min()
  }
}

/// What sessions ask of the projector. Any thread.
final class ProjectorRequests: Sendable {
  /// A REDRIVE, and who waits for what came of it.
  final class Redrive: Sendable {
    /// Folded; nil: all projections.
    let name: String?
    private let result = Monitor<(taken: Int, tried: Int)?>(nil)

    init(_ name: String?) { self.name = name }

    func finish(_ result: (taken: Int, tried: Int)) { self.result.update { $0 = result } }

    /// What came of it so far.
    var outcome: (taken: Int, tried: Int)? { result.withLock { $0 } }
  }

  struct Taken: Sendable {
    fileprivate(set) var refreshed: Set<String> = []
    fileprivate(set) var redriven: [Redrive] = []

    func refreshes(_ name: String) -> Bool { refreshed.contains(folded(name)) }
  }

  private let waiting = Monitor(Taken())

  /// A projection that is made anew from time to time is wanted now.
  func refresh(_ name: String) { waiting.withLock { _ = $0.refreshed.insert(folded(name)) } }

  func redrive(_ name: String?) -> Redrive {
    let request = Redrive(name.map(folded))
    waiting.withLock { $0.redriven.append(request) }
    return request
  }

  /// What was taken and not done.
  func giveBack(_ taken: Taken) {
    waiting.withLock {
      $0.refreshed.formUnion(taken.refreshed)
      $0.redriven = taken.redriven + $0.redriven
    }
  }

  func take() -> Taken {
    waiting.withLock { waiting in
      defer { waiting = Taken() }
      return waiting
    }
  }
}

/// How far a projection is, for those who wait for it.
struct ProjectionProgress: Sendable, Equatable {
  enum Kind: String, Sendable { case rows, groups, refreshed }
  var kind: Kind
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
        kind: kind, state: isBuilding && copy.serves ? "rebuilding" : copy.state.rawValue, serves: copy.serves,
        isBuilding: isBuilding, position: isLive ? nil : copy.position, error: copy.error)
    }
    return result
  }
}
