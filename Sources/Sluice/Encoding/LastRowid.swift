// What last_insert_rowid() says while statements are evaluated.
import SluiceSQLite

/// The number of the session's last row. Belongs to the session's thread.
final class LastRowid {
  /// The INTEGER PRIMARY KEY of the last row, unless `isOpen`.
  var value: Int64 = 0
  /// Whether it is known only when the rows on their way are applied: they may have no effect, or get their position
  /// as their number.
  var isOpen = false
  /// In a transaction that reads: the place that stands for the position of that last row.
  var provisional: UInt64?

  /// The number, or an error of the statement that asks too early: in a transaction, whose rows get their positions
  /// at COMMIT.
  func known() throws(SQLiteError) -> Int64 {
    if !isOpen { return value }
    throw SQLiteError(
      message: "last_insert_rowid() is not known yet: the last row is in a table that an earlier version made without "
        + "a primary key, whose rows get their numbers at COMMIT")
  }
}
