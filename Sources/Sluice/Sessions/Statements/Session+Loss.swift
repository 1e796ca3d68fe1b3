// What becomes of a transaction when the store itself fails one of its statements: the disk is full, a file cannot be
// written or read, a write was interrupted. That is no answer to the statement, as a duplicate key is one, and without
// the statement the rest is not what was meant. So the whole transaction is undone at once, as SQLite does on
// SQLITE_FULL, SQLITE_IOERR and SQLITE_INTERRUPT.
//
// SQLite then goes on without a transaction: what a script says between there and its COMMIT is executed statement by
// statement, and stays. Here the session remembers that the transaction is lost: until COMMIT or ROLLBACK ends it every
// statement is refused, so nothing of it is stored, whoever goes on. COMMIT says SQLite's words, `cannot commit - no
// transaction is active`; ROLLBACK is no error.
import SluiceSQL
import SluiceSystem

extension Session {
  /// Takes note of the error of a statement that writes: undoes the open transaction when it is the store's.
  func losing(_ error: StoreError) -> StoreError {
    guard let open = transaction, open.failure == nil, error.isOfStore else { return error }
    // The staged file, if it stays, has no adoption record: the next opening removes it.
    do { try abandonTransaction() } catch {}
    var lost = Transaction()
    lost.failure = error
    lost.isSavepoint = open.isSavepoint
    lost.savepoints = Array(open.savepoints.prefix(1))
    transaction = lost
    return error.undoing
  }

  /// Throws for every statement in a lost transaction but those that end it.
  func checkTransaction(before statement: SluiceSQL.Statement?) throws(StoreError) {
    guard let failure = transaction?.failure else { return }
    switch statement {
    case .commit, .rollback: return
    case .release(let name):
      guard let open = transaction, open.isSavepoint, let first = open.savepoints.first, sameName(first.name, name)
      else { throw lost(failure) }
      throw endLost(failure)
    default: throw lost(failure)
    }
  }

  /// A transaction that is lost takes nothing.
  func checkTransaction() throws(StoreError) {
    if let failure = transaction?.failure { throw lost(failure) }
  }

  private func lost(_ failure: StoreError) -> StoreError {
    StoreError(
      failure.kind, "the transaction was rolled back by an earlier error (\(failure.message)): ROLLBACK ends it",
      sqliteCode: failure.sqliteCode)
  }

  /// Ends a lost transaction; returns what COMMIT says.
  func endLost(_ failure: StoreError) -> StoreError {
    transaction = nil
    refreshCatalog()
    return StoreError(
      failure.kind,
      "cannot commit - no transaction is active: it was rolled back by an earlier error (\(failure.message))",
      sqliteCode: 1)
  }
}

extension StoreError {
  /// Whether it is the store that fails, and not the statement. Somebody else's lock (5) is neither: trying again
  /// helps.
  var isOfStore: Bool {
    switch kind {
    case .overloaded: sqliteCode != 5
    case .unavailable, .corrupt, .internal: true
    case .invalid: sqliteCode == StopSignal.sqliteCode
    case .conflict, .unsupported: false
    }
  }

  /// The same error, of what ended a transaction.
  var undoing: StoreError {
    var error = self
    error.message += "; the transaction is rolled back"
    return error
  }
}

extension SluiceSQL.Statement {
  /// Whether it writes, in a transaction or alone.
  var isChange: Bool {
    switch self {
    case .insert, .change, .createTable, .dropTable, .alterTable, .createIndex, .createView, .dropIndex, .dropView,
      .createProjection, .alterProjection, .dropProjection, .setSequence, .savepoint, .rollbackTo, .alterStore:
      true
    default: false
    }
  }
}
