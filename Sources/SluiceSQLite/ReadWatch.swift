// Which schemas a statement reads: SQLite tells its authorizer while it prepares the statement
// (https://sqlite.org/c3ref/set_authorizer.html). Unsafe by nature: named in the tidy test.
import CSQLite

/// What a connection's authorizer notes.
final class ReadWatch {
  let note: (String) -> Void
  init(_ note: @escaping (String) -> Void) { self.note = note }
}

extension Connection {
  /// Has `note` called with the name of the schema (`main`, `temp`, or that of an attached database) of each column
  /// that a statement reads, while it is prepared. It must not use the connection.
  public func watchReads(_ note: @escaping (String) -> Void) throws(SQLiteError) {
    let db = try opened()
    let watch = ReadWatch(note)
    readWatch = watch
    let code = sx_set_authorizer(
      db,
      { argument, action, _, _, schema, _ in
        if action == SQLITE_READ, let argument, let schema {
          Unmanaged<ReadWatch>.fromOpaque(argument).takeUnretainedValue().note(String(cString: schema))
        }
        return SQLITE_OK
      }, Unmanaged.passUnretained(watch).toOpaque())
    if code != SQLITE_OK { throw .last(db, sql: nil) }
  }
}
