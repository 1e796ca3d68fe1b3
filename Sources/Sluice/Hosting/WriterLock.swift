// Who of a process writes a store through the extension, and when. SQLite has one writer at a time; a store takes any
// number, and tells the slower of two that changed one row. A host that relies on SQLite's way gets it by this lock,
// which all connections of the process to one store share:
//
//   shared      the COMMIT of a plain BEGIN, and a statement alone that only adds rows. They go on side by side, and
//               one sync makes all of them durable: what one of them may take from another is a key, and that is told
//   exclusive   BEGIN IMMEDIATE and EXCLUSIVE, from the first statement on the store to the end; and a statement alone
//               that reads rows or replaces them: what it has read stays as it is until the statement is committed
//
// It is taken before the snapshot that it protects, and given back behind the commit. Who comes first is served first:
// nobody waits for longer than those before it take, and nobody is overtaken for ever.
import SluiceSystem

/// The right to write one store. Any thread.
package final class WriterLock: Sendable {
  /// With whom the right is shared.
  package enum Mode: Sendable {
    /// With others in this mode.
    case shared
    /// With nobody.
    case exclusive
  }

  private struct Waiter {
    let ticket: UInt64
    let mode: Mode
  }

  private struct State {
    var sharers = 0
    var isExclusive = false
    /// In the order in which they came.
    var waiters: [Waiter] = []
    var lastTicket: UInt64 = 0

    /// Takes the right, unless it is held or those who came before must have it first.
    mutating func take(_ mode: Mode, behind earlier: ArraySlice<Waiter>) -> Bool {
      switch mode {
      case .shared:
        guard !isExclusive, earlier.allSatisfy({ $0.mode == .shared }) else { return false }
        sharers += 1
      case .exclusive:
        guard !isExclusive, sharers == 0, earlier.isEmpty else { return false }
        isExclusive = true
      }
      return true
    }
  }

  private let state = Monitor(State())

  package init() {}

  /// Those who wait.
  var waiterCount: Int { state.withLock { $0.waiters.count } }

  /// Takes the right if that is possible at once.
  package func take(_ mode: Mode) -> Bool {
    state.withLock { state in
      let earlier = state.waiters[...]
      return state.take(mode, behind: earlier)
    }
  }

  /// Takes the right, and waits for it as long as `timeoutMilliseconds`. False: somebody had it all the time.
  package func take(_ mode: Mode, timeoutMilliseconds: Int) -> Bool {
    let ticket = state.withLock { state -> UInt64 in
      state.lastTicket += 1
      state.waiters.append(Waiter(ticket: state.lastTicket, mode: mode))
      return state.lastTicket
    }
    let isTaken = state.wait(timeoutMicroseconds: Int64(timeoutMilliseconds) * 1_000) { state -> Bool? in
      guard let place = state.waiters.firstIndex(where: { $0.ticket == ticket }) else { return nil }
      let earlier = state.waiters[..<place]
      guard state.take(mode, behind: earlier) else { return nil }
      state.waiters.remove(at: place)
      return true
    }
    if isTaken == true { return true }
    // Those behind may go on.
    state.update { $0.waiters.removeAll { $0.ticket == ticket } }
    return false
  }

  /// Gives the right back.
  package func give(_ mode: Mode) {
    state.update { state in
      switch mode {
      case .shared: state.sharers -= 1
      case .exclusive: state.isExclusive = false
      }
      invariant(state.sharers >= 0, "a right to write was given back that nobody held")
    }
  }
}
