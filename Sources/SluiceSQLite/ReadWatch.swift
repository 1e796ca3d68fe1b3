// Which schemas a statement reads: SQLite tells its authorizer while it prepares the statement
// (https://sqlite.org/c3ref/set_authorizer.html). Unsafe by nature: named in the tidy test.
import CSQLite

/// A column that a statement reads, as SQLite tells of it.
public struct ReadColumn {
  public let table: String
  /// `main`, `temp`, or the name of an attached database. For a table of which no column is read: what stands in front
  /// of its name.
  public let schema: String?
  /// The innermost view on whose behalf it is read, of which SQLite tells nothing else when it is merged into the
  /// query.
  public let view: String?
  /// Whether it is the rowid of a table in which no column stands for that.
  public let isRowid: Bool
}

/// What a connection's authorizer asks.
final class ReadWatch {
  var isPaused = false
  let allows: (ReadColumn) -> Bool
  init(_ allows: @escaping (ReadColumn) -> Bool) { self.allows = allows }
}

extension Connection {
  /// Has `allows` called with each column that a statement reads, while it is prepared; when it answers false the
  /// statement is refused with SQLITE_AUTH. It must not use the connection.
  public func watchReads(_ allows: @escaping (ReadColumn) -> Bool) throws(SQLiteError) {
    let db = try opened()
    let watch = ReadWatch(allows)
    readWatch = watch
    let code = sx_set_authorizer(
      db,
      { argument, action, table, column, schema, view in
        guard action == SQLITE_READ, let argument, let table else { return SQLITE_OK }
        let watch = Unmanaged<ReadWatch>.fromOpaque(argument).takeUnretainedValue()
        if watch.isPaused { return SQLITE_OK }
        let read = ReadColumn(
          table: String(cString: table), schema: schema.map { String(cString: $0) },
          view: view.map { String(cString: $0) }, isRowid: column.map { String(cString: $0) == "ROWID" } ?? false)
        return watch.allows(read) ? SQLITE_OK : SQLITE_DENY
      }, Unmanaged.passUnretained(watch).toOpaque())
    if code != SQLITE_OK { throw .last(db, sql: nil) }
  }

  /// Whether what `watchReads` was given is called; true from then on. Cost of each call: about 0.2 µs.
  public var watchesReads: Bool {
    get { readWatch?.isPaused == false }
    set { readWatch?.isPaused = !newValue }
  }
}
