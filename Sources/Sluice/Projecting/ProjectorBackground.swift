// What the projector does beside following the log: when it is its turn, how much of it at a time, and what sessions
// asked for.
import SluiceSystem

/// Paces the filling of copies. Belongs to the projector's thread.
struct ProjectorBackground {
  /// Rows of the mirror that are added to a copy at a time, while rows wait and else. The first parts of a copy are
  /// small: nobody knows yet how large its rows are.
  private var busyCount = Self.firstRows
  private var idleCount = Self.firstRows
  private var serial: Int64 = 0
  private var hadTurn = false

  private static let firstRows = 8_192
  private static let fewestRows = 2_048
  /// So many groups are merged at once; more would win little and hold the write-ahead log longer.
  private static let mostRows = 524_288
  /// How long a part may take while rows wait, and else, in nanoseconds. Rows that come meanwhile wait as long. A large
  /// part merges each group it has but once: 1 M rows in 200,000 groups take 1.3 µs each in parts of 131,072 rows and
  /// 0.8 in parts of 524,288.
  private static let busyNanoseconds: UInt64 = 15_000_000
  private static let idleNanoseconds: UInt64 = 800_000_000

  /// Rows for the next part of a copy.
  mutating func rowCount(of copy: Int64, isBusy: Bool) -> Int {
    if copy != serial {
      serial = copy
      busyCount = Self.firstRows
      idleCount = Self.firstRows
    }
    return isBusy ? busyCount : idleCount
  }

  /// Whether it is its turn: always when nothing waits, else every other time.
  mutating func takesTurn(isBusy: Bool) -> Bool {
    hadTurn = isBusy && !hadTurn
    return hadTurn || !isBusy
  }

  /// The last part took so long, and so many frames of the write-ahead log, in which `free` were left.
  mutating func adjust(nanoseconds: UInt64, frames: Int, of free: Int, isBusy: Bool) {
    let limit = isBusy ? Self.busyNanoseconds : Self.idleNanoseconds
    var count = isBusy ? busyCount : idleCount
    if nanoseconds > limit || frames > free - free / 4 {
      count = max(count / 2, Self.fewestRows)
    } else if nanoseconds < limit / 2, frames < free / 2 {
      count = min(count * (nanoseconds < limit / 4 && frames < free / 4 ? 4 : 2), Self.mostRows)
    }
    if isBusy { busyCount = count } else { idleCount = count }
  }

  /// Whether a copy is to be made anew now: its time has come and something has changed, or somebody waits for it.
  func isDue(
    _ copy: ProjectionCopy, _ requests: ProjectorRequests.Taken, at position: UInt64, _ now: UInt64
  ) -> Bool {
    let isBehind = copy.position < position
    if copy.serves, requests.wants(copy.name, at: position, otherThan: copy.position) { return true }
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
    fileprivate var wanted: [UInt64: (name: String, position: UInt64)] = [:]
    fileprivate(set) var redriven: [Redrive] = []
    /// Whether somebody wants what is committed to be durable.
    fileprivate(set) var syncs = false

    /// Whether somebody waits for what a projection, which has come to `last`, would hold at `position`.
    func wants(_ name: String, at position: UInt64, otherThan last: UInt64) -> Bool {
      wanted.values.contains { $0.name == folded(name) && last < $0.position && $0.position <= position }
    }
  }

  private struct Waiting {
    var taken = Taken()
    var lastWish: UInt64 = 0
  }

  private let waiting = Monitor(Waiting())

  /// A projection that is made anew from time to time is wanted with what there is at `position`, until `forget` gets
  /// the number that this returns.
  func want(_ name: String, at position: UInt64) -> UInt64 {
    waiting.withLock { waiting in
      waiting.lastWish += 1
      waiting.taken.wanted[waiting.lastWish] = (folded(name), position)
      return waiting.lastWish
    }
  }

  /// Nobody waits any more.
  func forget(_ wish: UInt64) { waiting.withLock { $0.taken.wanted[wish] = nil } }

  /// What is committed is to be made durable when there is time.
  func sync() { waiting.withLock { $0.taken.syncs = true } }

  func redrive(_ name: String?) -> Redrive {
    let request = Redrive(name.map(folded))
    waiting.withLock { $0.taken.redriven.append(request) }
    return request
  }

  /// What was taken and not done.
  func giveBack(_ taken: Taken) {
    waiting.withLock { $0.taken.redriven = taken.redriven + $0.taken.redriven }
  }

  /// What somebody waits for, and what is to be redriven, once.
  func take() -> Taken {
    waiting.withLock { waiting in
      defer {
        waiting.taken.redriven = []
        waiting.taken.syncs = false
      }
      return waiting.taken
    }
  }
}

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
