// The typed layer over SQLite's virtual tables, write side: INSERT, UPDATE, DELETE, REPLACE, transactions, savepoints.
//
// What SQLite calls, in which order (seen with 3.40.1; WritableTableTests holds it to that):
//
//   statement alone       begin, update…, sync, commit; if it fails: begin, update…, rollback
//   BEGIN                 nothing. A table takes part from the first statement on that may write it: begin
//   statement in BEGIN    savepoint n, update…, release n; if it fails, rollback(to: n) before it. An INSERT of one
//                         row is update alone, so `update` does all of its row or nothing
//   SAVEPOINT             savepoint n on all tables that take part; n counts those open, a statement's own included
//   first write in one    begin, then savepoint for the innermost open number alone. Those below are never called, but
//                         rollback(to:) may name them: they stand for the state at begin
//   ROLLBACK TO           rollback(to: n), any number of times: n stays open
//   RELEASE               release n, which closes n and all above. The outermost without BEGIN is COMMIT
//   COMMIT                sync on every table, then SQLite's own files, then commit on every table, which may not fail.
//                         If a sync fails: rollback on every table
//   ROLLBACK              rollback, without a word about savepoints; OR ROLLBACK likewise
//   CREATE VIRTUAL TABLE  takes part without a begin: sync and commit follow, in BEGIN perhaps after savepoints and
//                         updates
//   DDL taken back        After ROLLBACK TO or ROLLBACK of another table's CREATE, SQLite makes a new object by the
//                         module, with begin and the innermost savepoint, and calls the old one too until the
//                         transaction ends. So what is undone belongs to the store that both share
//
// `Savepoints` bears all of this. A statement reads all it wants to read of a table before it writes to it; the scan of
// another statement may be under way. Errors with code SQLITE_IOERR, SQLITE_FULL, SQLITE_NOMEM and SQLITE_INTERRUPT may
// end the whole transaction. Code and message of an error reach the host; from `drop`, and from savepoints but for the
// one that follows begin, the code alone.
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

/// What a statement wants done about a row that a constraint refuses (https://sqlite.org/lang_conflict.html). Raw
/// values are SQLite's.
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

  /// Notes the present state as number `number`. After an error the savepoint is not open: SQLite's undoing of it is
  /// not passed on.
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
