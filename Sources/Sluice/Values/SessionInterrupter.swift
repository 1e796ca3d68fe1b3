// Ends what a session is running, from any thread: Ctrl-C of the shell, a time limit of a program.
import SluiceSQLite
import SluiceSystem
import Synchronization

/// Interrupts the statements of one session.
public final class SessionInterrupter: Sendable {
  private enum State: UInt8, AtomicRepresentable {
    case idle
    /// A statement runs, or its rows are being taken.
    case running
    /// It is to end.
    case interrupted
  }

  private let state = Atomic<State>(.idle)
  private let signal = Monitor<StopSignal?>(nil)

  /// The statement that is running, or whose rows are being taken, ends with the error `interrupted` (SQLite's code 9)
  /// and without effect. Nothing happens when none is, and false is returned. From any thread.
  @discardableResult
  public func interrupt() -> Bool {
    state.compareExchange(expected: .running, desired: .interrupted, ordering: .relaxed).exchanged
  }

  /// Whether what is running is to end.
  private var isRequested: Bool {
    state.load(ordering: .relaxed) == .interrupted || signal.withLock { $0?.isSet == true }
  }

  /// Whether the signal that is obeyed says so.
  var isSignalled: Bool { signal.withLock { $0?.isSet == true } }

  /// Until the next call, `signal` ends what is running as well. Unlike `interrupt` it may come before the statement.
  func obey(_ signal: StopSignal?) { self.signal.withLock { $0 = signal } }

  /// Interrupts the statements of `connection` too from now on.
  func watch(_ connection: Connection) throws(SQLiteError) {
    try connection.watchProgress { [self] in !isRequested }
  }

  /// A statement begins: from now on `interrupt` ends it.
  func begin() { state.store(.running, ordering: .relaxed) }

  /// It has ended, and all of its rows are taken.
  func end() { state.store(.idle, ordering: .relaxed) }

  /// Runs `body` as a statement beside one whose rows are still being taken: each is interrupted alone.
  func beside<R>(_ body: () throws(StoreError) -> R) throws(StoreError) -> R {
    let outer = state.exchange(.running, ordering: .relaxed)
    defer { state.store(outer, ordering: .relaxed) }
    do throws(StoreError) { return try body() } catch { throw explain(error) }
  }

  /// The error of a statement that was interrupted, wherever in it that was noticed.
  func explain(_ error: StoreError) -> StoreError {
    guard isRequested, error.message == Self.message else { return error }
    return Self.error
  }

  /// What was interrupted throws.
  static var error: StoreError { StoreError(.invalid, message, sqliteCode: StopSignal.sqliteCode) }

  /// SQLite's word for it.
  private static let message = "interrupted"

  /// Throws when the running statement is to end. For loops that SQLite does not run. About 20 ns.
  func check() throws(StoreError) {
    if isRequested { throw Self.error }
  }
}
