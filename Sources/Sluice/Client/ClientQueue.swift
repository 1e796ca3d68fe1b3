// What tasks have asked a client's session for, in the order in which they came, and whose turn it is.
//
// A session has one transaction, so while a task has one open only the calls of that transaction are taken; the others
// stay here. A task that is cancelled takes its call back as long as nobody has begun with it: it never waits for
// another one's statement or transaction, whatever that does.
import SluiceSystem
import Synchronization

/// One call, until it is answered.
struct ClientCall: Sendable {
  let number: UInt64
  /// The transaction that it belongs to.
  let transaction: Int?
  /// Whether it does not wait for another task's transaction.
  let isForced: Bool
  let stop: StopSignal
  /// Does it, on the session's thread, and answers.
  let run: @Sendable (ClientWork) -> Void
  /// Answers without doing anything.
  let refuse: @Sendable (any Error) -> Void
}

/// The calls of one client. Any thread puts them in, the session's thread takes them out.
final class ClientQueue: Sendable {
  private struct State {
    var calls: [ClientCall] = []
    var lastNumber: UInt64 = 0
    /// The transaction that keeps others waiting.
    var owner: Int?
    /// The signal of the call that is being run.
    var running: StopSignal?
    var isEnding = false

    /// The first call whose turn it is, unless it came behind `last`. One of a transaction that has ended is not
    /// kept: it is refused when it runs.
    mutating func take(upTo last: UInt64 = .max) -> ClientCall? {
      let owner = owner
      let index = calls.firstIndex { $0.isForced || owner == nil || $0.transaction != nil }
      guard let index, calls[index].number <= last else { return nil }
      running = calls[index].stop
      return calls.remove(at: index)
    }
  }

  private let state = Monitor(State())

  /// The transaction that keeps others waiting. Set by the session's thread.
  var owner: Int? {
    get { state.withLock { $0.owner } }
    set { state.withLock { $0.owner = newValue } }
  }

  /// The number of the next call.
  func newNumber() -> UInt64 {
    state.withLock { state in
      state.lastNumber += 1
      return state.lastNumber
    }
  }

  /// Puts a call in, unless its task was cancelled before.
  func add(_ call: ClientCall) {
    let isCancelled = state.update { state in
      if call.stop.isSet { return true }
      state.calls.append(call)
      return false
    }
    if isCancelled { call.refuse(CancellationError()) }
  }

  /// The task of a call was cancelled: it is taken back, or ends soon when it is being run.
  func cancel(_ number: UInt64, _ stop: StopSignal) {
    stop.cancel()
    let call = state.withLock { state in
      state.calls.firstIndex { $0.number == number }.map { state.calls.remove(at: $0) }
    }
    call?.refuse(CancellationError())
  }

  /// Has the running call end soon, and those that were to come.
  func stopRunning() { state.withLock { $0.running?.set() } }

  /// The call that is being run has ended.
  func ended() { state.withLock { $0.running = nil } }

  /// The next call whose turn it is, up to the one with the number `last`; nil when there is none now.
  func next(upTo last: UInt64) -> ClientCall? { state.withLock { $0.take(upTo: last) } }

  /// Waits for the next call whose turn it is; nil at the end.
  func wait() -> ClientCall? {
    state.wait { state -> ClientCall?? in
      if let call = state.take() { return .some(call) }
      return state.isEnding ? .some(nil) : nil
    }
  }

  /// The last number given out.
  var lastNumber: UInt64 { state.withLock { $0.lastNumber } }

  /// Nothing comes any more: who waits for calls ends.
  func end() { state.update { $0.isEnding = true } }
}
