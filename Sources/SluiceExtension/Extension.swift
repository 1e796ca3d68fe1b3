// The loadable extension: `.load ./libsluice0` in sqlite3, `load_extension("./libsluice0")` elsewhere. Links neither
// libsqlite3 (its host's is used) nor Swift's libraries, and exports the entry point alone. SQLite derives the entry
// point's name from the letters of the file's: libsluice0.so -> sqlite3_sluice_init. What it adds to a connection is
// told in Host.swift and HostFunctions.swift.
// Unsafe by nature: named in the tidy test.
import CSQLite
import SluiceSQLite

/// Called by SQLite for each connection that loads the extension. Returns SQLITE_OK_LOAD_PERMANENTLY (256): were the
/// file unmapped with its last connection, its threads and state would be gone under running code.
@c(sqlite3_sluice_init)
public func sqlite3_sluice_init(
  _ db: OpaquePointer?, _ message: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
  _ api: UnsafePointer<sqlite3_api_routines>?
) -> Int32 {
  let code = sx_set_api(api, message)
  guard code == SQLITE_OK, let db else { return SQLITE_ERROR }
  do throws(SQLiteError) {
    try Host(try Connection(host: db)).register()
    return SQLITE_OK | 1 << 8
  } catch {
    sx_give_message(message, error.message)
    return error.code
  }
}
