// The loadable extension: `.load ./libsluice0` in sqlite3, `load_extension("./libsluice0")` elsewhere. Links neither
// libsqlite3 (its host's is used) nor Swift's libraries, and exports the entry point alone. SQLite derives the entry
// point's name from the letters of the file's: libsluice0.so -> sqlite3_sluice_init.
// Unsafe by nature: named in the tidy test.
import CSQLite
import SluiceSQLite

/// What sluice_version() answers.
let version = "0.1.0"

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
    try register(on: Connection(host: db))
    return SQLITE_OK | 1 << 8
  } catch {
    sx_give_message(message, error.message)
    return error.code
  }
}

/// Everything that the extension adds to a connection.
private func register(on connection: Connection) throws(SQLiteError) {
  try connection.register(function: "sluice_version", argumentCount: 0, deterministic: true) { _ in
    .string(version)
  }
}
