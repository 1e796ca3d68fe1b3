// A large transaction that the projector writes before COMMIT. Its rows are staged in a file as they are parsed; a
// projector that is up to date takes them from there into an SQLite transaction of its own, and commits that once the
// rows are durable, applied, and found to be what was foreseen. So a bulk load keeps two cores busy, and is projected
// when it is hardly committed.
//
// Foreseen is that the transaction gets the positions behind those that are projected, that it is committed, and that
// all of its rows have an effect. Where one of these is not so, or the projector is wanted for something else
// meanwhile, SQLite's transaction is rolled back, and the rows come by the usual way when their turn is.
import SluiceLog
import SluiceSystem

/// One staged transaction of all that there may be, on its way from its session to the projector. Any thread.
final class ForeseenTransaction: Sendable {
  enum Fate: Sendable {
    /// Neither committed nor rolled back.
    case open
    /// Part of the log, at these positions.
    case adopted(ClosedRange<UInt64>)
    case discarded
  }

  private struct State {
    var staged: StagedSegment?
    var fate = Fate.open
    /// Whether the projector writes it, or has given it up.
    var isTaken = false
    var isGivenUp = false
  }

  private let state = Monitor(State())

  // MARK: From sessions and the appender

  /// More of `staged` is written; whether it is the one that is looked at: the first one, until it ends.
  func grew(_ staged: StagedSegment) -> Bool {
    state.withLock { state in
      if state.staged == nil { state = State(staged: staged) }
      return state.staged === staged && !state.isGivenUp
    }
  }

  /// Called before anybody applies it.
  func adopted(_ staged: StagedSegment, as positions: ClosedRange<UInt64>) { _ = end(staged, .adopted(positions)) }

  /// Whether the projector has to be told.
  func discarded(_ staged: StagedSegment) -> Bool { end(staged, .discarded) }

  private func end(_ staged: StagedSegment, _ fate: Fate) -> Bool {
    state.withLock { state in
      guard state.staged === staged else { return false }
      if state.isTaken { state.fate = fate } else { state = State() }
      return state.isTaken
    }
  }

  // MARK: From the projector

  /// Whether there is one to be taken.
  var isWaiting: Bool { state.withLock { $0.staged != nil && !$0.isTaken && !$0.isGivenUp } }

  /// The one to write, until `release`; nil when there is none.
  func take() -> StagedSegment? {
    state.withLock { state in
      if state.isTaken || state.isGivenUp { return nil }
      state.isTaken = state.staged != nil
      return state.staged
    }
  }

  var fate: Fate { state.withLock { $0.fate } }

  /// The projector is done with it, or gives it up: it is not taken a second time.
  func release() {
    state.withLock { state in
      state.isTaken = false
      state.isGivenUp = true
      if case .open = state.fate { return }
      state = State()
    }
  }
}
