// The typed layer over SQLite's virtual tables, write side: INSERT, UPDATE, DELETE, REPLACE, transactions, savepoints.
import CSQLite

/// One row's change. Everything in it is valid while `update` runs.
public enum RowChange {
  /// A new row; `rowid` is nil when the statement leaves its choice to the table. One value for each column.
  case insert(rowid: Int64?, values: Arguments)
  /// All values of the row `rowid`, which becomes `newRowid`: the same, unless the statement sets it.
  case update(rowid: Int64, newRowid: Int64, values: Arguments)
  case delete(rowid: Int64)
}

/// One row's change in a table WITHOUT ROWID, which SQLite allows to be written when its key is one column. That may
/// be a HIDDEN one.
public enum KeyedChange {
  case insert(values: Arguments)
  /// The row whose key was `key`, not NULL; the new one is among the values.
  case update(key: Cell, values: Arguments)
  case delete(key: Cell)
}

/// What a statement wants done about a row that a constraint refuses (https://sqlite.org/lang_conflict.html). Raw values
/// are SQLite's.
public enum ConflictAction: Int32, Sendable {
  /// OR ROLLBACK: the transaction is undone. SQLite does it.
  case rollback = 1
  /// OR IGNORE: the row is left out. SQLite does it.
  case ignore = 2
  /// OR FAIL: the rows before it stay. SQLite does it.
  case fail = 3
  /// OR ABORT, and what is said nowhere: the statement is undone. SQLite does it.
  case abort = 4
  /// OR REPLACE: the rows in the way go. The table does it, or throws, which aborts.
  case replace = 5
}

/// A virtual table that can be written.
open class WritableTable: VirtualTable {
  /// Makes one change, all of it or nothing, and returns the rowid of an inserted row (else the result is not used).
  /// `onConflict` concerns the table only if it is `replace`. For any other action it throws an error with code
  /// SQLITE_CONSTRAINT_… and SQLite does what the statement asks for. A conversion by column affinity has been made.
  open func update(_ change: RowChange, onConflict: ConflictAction) throws(SQLiteError) -> Int64 {
    throw SQLiteError(code: SQLITE_INTERNAL, message: "\(Self.self) does not override update")
  }

  /// As `update`, for a table WITHOUT ROWID.
  open func updateKeyed(_ change: KeyedChange, onConflict: ConflictAction) throws(SQLiteError) {
    throw SQLiteError(code: SQLITE_INTERNAL, message: "\(Self.self) does not override updateKeyed")
  }

  /// The first statement of a transaction that may write this table. An error is the statement's.
  open func begin() throws(SQLiteError) {}
  /// First half of COMMIT: after it `commit` must succeed. An error makes the transaction roll back.
  open func sync() throws(SQLiteError) {}
  /// Second half of COMMIT.
  open func commit() {}
  /// Undoes everything since `begin`.
  open func rollback() {}

  /// Notes the present state as number `number`.
  open func savepoint(_ number: Int) throws(SQLiteError) {}
  /// Forgets the states from `number` on; nothing is undone.
  open func release(_ number: Int) throws(SQLiteError) {}
  /// Goes back to the state of number `number`, or to that of `begin` if `number` was not noted since; those above are
  /// void, itself stays.
  open func rollback(to number: Int) throws(SQLiteError) {}
}

extension VirtualTable {
  /// Whether the declaration does not end with WITHOUT ROWID.
  final var hasRowid: Bool {
    let words = declaration.split { $0 == " " || $0 == "\n" || $0 == "\t" || $0 == ")" || $0 == ";" }.suffix(2)
    return words.map { $0.uppercased() } != ["WITHOUT", "ROWID"]
  }
}
