// What sessions ask of the projector, and how they hear what came of it.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

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

    /// Whether somebody waits for a projection.
    func wants(_ name: String) -> Bool { wanted.values.contains { $0.name == folded(name) } }

    /// The highest position at which somebody waits for a projection, behind `last` and up to `position`.
    func wanted(_ name: String, behind last: UInt64, upTo position: UInt64) -> UInt64? {
      let name = folded(name)
      return wanted.values.filter { $0.name == name && last < $0.position && $0.position <= position }
        .map(\.position).max()
    }
  }

  private struct Waiting {
    var taken = Taken()
    var lastWish: UInt64 = 0
    var examination: UInt64 = 0
    var examined: UInt64 = 0
    var damage: (error: SQLiteError, fileNumber: Int)?
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

  /// Somebody has found the file to be other than it was left: it is to be looked at. Returns the number that
  /// `Progress.examined` has then.
  func examine() -> UInt64 {
    waiting.withLock { waiting in
      waiting.examination += 1
      return waiting.examination
    }
  }

  /// The same, by somebody who has found that file damaged.
  func examine(_ error: SQLiteError, fileNumber: Int) -> UInt64 {
    waiting.withLock { $0.damage = (error, fileNumber) }
    return examine()
  }

  /// What was found of that file since this was asked last.
  func takeDamage(fileNumber: Int) -> SQLiteError? {
    waiting.withLock { waiting in
      defer { waiting.damage = nil }
      return waiting.damage.flatMap { $0.fileNumber == fileNumber ? $0.error : nil }
    }
  }

  /// The number of the last look that was asked for; nil: there has been one since.
  var examination: UInt64? { waiting.withLock { $0.examination > $0.examined ? $0.examination : nil } }

  /// That look was taken, or there is nothing to look at.
  func examined(_ number: UInt64) { waiting.withLock { $0.examined = max($0.examined, number) } }

  /// What is committed is to be made durable when there is time.
  func sync() { waiting.withLock { $0.taken.syncs = true } }

  func redrive(_ name: String?) -> Redrive {
    let request = Redrive(name.map(folded))
    waiting.withLock { $0.taken.redriven.append(request) }
    return request
  }

  /// Whether somebody asks for something.
  var isEmpty: Bool {
    waiting.withLock {
      $0.taken.wanted.isEmpty && $0.taken.redriven.isEmpty && !$0.taken.syncs && $0.examination == $0.examined
    }
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
