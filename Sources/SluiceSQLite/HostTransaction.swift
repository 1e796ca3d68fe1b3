// What an extension finds out about the transaction of its host. SQLite tells a virtual table when a statement begins
// that may write it, and from there on all that happens; of a transaction that only reads it says nothing, neither when
// it begins nor when it ends, and the hooks for commit and rollback are the host's own.
import CSQLite

extension Connection {
  /// Whether the open transaction may write everything from its start on: BEGIN IMMEDIATE or EXCLUSIVE. It has write
  /// transactions on all databases then, or on all but a read-only `main`, which it reads. A plain BEGIN looks the same
  /// once it has written to tables in `main` and in `temp`, or has written to `main` and is about to write to `temp`.
  public var isImmediate: Bool {
    guard let handle, sx_get_autocommit(handle) == 0, sx_txn_state(handle, "temp") == SQLITE_TXN_WRITE else {
      return false
    }
    let main = sx_txn_state(handle, "main")
    return main == SQLITE_TXN_WRITE || (main == SQLITE_TXN_READ && sx_db_readonly(handle, "main") == 1)
  }

  /// How long the connection waits for others. 0 where it has a busy handler of its own, which nobody can ask.
  public var busyTimeoutMilliseconds: Int {
    do {
      guard case .integer(let value)? = try prepare("PRAGMA busy_timeout").rows().first?.first else { return 0 }
      return Int(clamping: value)
    } catch { return 0 }
  }

  /// Has a table in `temp` take part in the open transaction as if it were written: it gets `begin` now, unless it
  /// takes part already, and is told the transaction's end. Nothing is written; `last_insert_rowid()` and
  /// `total_changes()` stay, `changes()` becomes 0: SQLite cannot be kept from counting the rows of a statement that
  /// may write. Cost: a statement is prepared, about 10 µs.
  public func join(table name: String) throws(SQLiteError) {
    let sql = "DELETE FROM temp.\(quotedName(name)) WHERE 0"
    do { return try execute(sql) } catch {
      guard error.primaryCode == SQLITE_READONLY, isQueryOnly else { throw error }
    }
    // Of this pragma SQLite obeys the text, when it prepares it. Run, it would end the statements that are under way.
    _ = try prepare("PRAGMA query_only = 0")
    let outcome: Result<Void, SQLiteError>
    do { outcome = .success(try execute(sql)) } catch { outcome = .failure(error) }
    _ = try prepare("PRAGMA query_only = 1")
    try outcome.get()
  }

  private var isQueryOnly: Bool {
    do {
      guard case .integer(let value)? = try prepare("PRAGMA query_only").rows().first?.first else { return false }
      return value != 0
    } catch { return false }
  }

  private func quotedName(_ name: String) -> String {
    "\"" + name.map { $0 == "\"" ? "\"\"" : String($0) }.joined() + "\""
  }
}
