// Which schemas a statement reads: SQLite tells its authorizer while it prepares the statement
// (https://sqlite.org/c3ref/set_authorizer.html). Unsafe by nature: named in the tidy test.
import CSQLite

/// What a connection's authorizer asks.
final class ReadWatch {
  var isPaused = false
  let allows: (_ table: String, _ schema: String?, _ view: String?) -> Bool
  init(_ allows: @escaping (_ table: String, _ schema: String?, _ view: String?) -> Bool) { self.allows = allows }
}

extension Connection {
  /// Has `allows` called with table and schema (`main`, `temp`, or the name of an attached database) of each column
  /// that a statement reads, while it is prepared; when it answers false the statement is refused with SQLITE_AUTH. For
  /// a table of which no column is read the schema is what stands in front of its name. `view` is the innermost view on
  /// whose behalf it is read, of which SQLite tells nothing else when it is merged into the query. It must not use the
  /// connection.
  public func watchReads(
    _ allows: @escaping (_ table: String, _ schema: String?, _ view: String?) -> Bool
  ) throws(SQLiteError) {
    let db = try opened()
    let watch = ReadWatch(allows)
    readWatch = watch
    let code = sx_set_authorizer(
      db,
      { argument, action, table, _, schema, view in
        guard action == SQLITE_READ, let argument, let table else { return SQLITE_OK }
        let watch = Unmanaged<ReadWatch>.fromOpaque(argument).takeUnretainedValue()
        if watch.isPaused { return SQLITE_OK }
        let isAllowed = watch.allows(
          String(cString: table), schema.map { String(cString: $0) }, view.map { String(cString: $0) })
        return isAllowed ? SQLITE_OK : SQLITE_DENY
      }, Unmanaged.passUnretained(watch).toOpaque())
    if code != SQLITE_OK { throw .last(db, sql: nil) }
  }

  /// Whether what `watchReads` was given is called; true from then on. Cost of each call: about 0.2 µs.
  public var watchesReads: Bool {
    get { readWatch?.isPaused == false }
    set { readWatch?.isPaused = !newValue }
  }
}
