// Ends what a session is running, from any thread: Ctrl-C of the shell, a time limit of a program.
import SluiceSQLite
import SluiceSystem
import Synchronization

/// Interrupts the statements of one session.
public final class SessionInterrupter: Sendable {
  private let connections = Monitor<[Interrupter]>([])
  private let requested = Atomic<Bool>(false)

  /// The statement that is running, or whose rows are being taken, ends with the error `interrupted` (SQLite's code 9)
  /// and without effect. Nothing happens when none is. From any thread, but not from a signal handler: it takes a lock.
  public func interrupt() {
    requested.store(true, ordering: .relaxed)
    for connection in connections.withLock({ $0 }) { connection.interrupt() }
  }

  /// Interrupts the statements of `connection` too from now on.
  func add(_ connection: Connection) {
    connections.withLock { $0.append(connection.interrupter) }
  }

  /// A statement begins: what was asked for before is not about it.
  func begin() {
    if requested.load(ordering: .relaxed) { requested.store(false, ordering: .relaxed) }
  }

  /// The error of a statement that was interrupted, wherever in it that was noticed.
  func explain(_ error: StoreError) -> StoreError {
    guard requested.load(ordering: .relaxed), error.message == Self.message else { return error }
    return StoreError(.invalid, Self.message, sqliteCode: 9)
  }

  /// SQLite's word for it.
  private static let message = "interrupted"

  /// Throws when the running statement is to end. For loops that SQLite does not run. About 1 ns.
  func check() throws(StoreError) {
    if requested.load(ordering: .relaxed) { throw StoreError(.invalid, Self.message, sqliteCode: 9) }
  }
}
