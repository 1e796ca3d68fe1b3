// Ends what a session is running, from any thread: Ctrl-C of the shell, a time limit of a program.
import SluiceSQLite
import SluiceSystem
import Synchronization

/// Interrupts the statements of one session.
public final class SessionInterrupter: Sendable {
  private let requested = Atomic<Bool>(false)
  private let signal = Monitor<StopSignal?>(nil)

  /// The statement that is running, or whose rows are being taken, ends with the error `interrupted` (SQLite's code 9)
  /// and without effect. Nothing happens when none is. From any thread.
  public func interrupt() { requested.store(true, ordering: .relaxed) }

  /// Whether what is running is to end.
  private var isRequested: Bool {
    requested.load(ordering: .relaxed) || signal.withLock { $0?.isSet == true }
  }

  /// Whether the signal that is obeyed says so.
  var isSignalled: Bool { signal.withLock { $0?.isSet == true } }

  /// Until the next call, `signal` ends what is running as well. Unlike `interrupt` it may come before the statement.
  func obey(_ signal: StopSignal?) { self.signal.withLock { $0 = signal } }

  /// Interrupts the statements of `connection` too from now on.
  func watch(_ connection: Connection) throws(SQLiteError) {
    try connection.watchProgress { [self] in !isRequested }
  }

  /// A statement begins: what was asked for before is not about it.
  func begin() {
    if requested.load(ordering: .relaxed) { requested.store(false, ordering: .relaxed) }
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
