// SQLite opens projections.db and the files beside it by name. A name can lead elsewhere meanwhile, so it is one that
// goes through the store's open directory; SQLite finds out what the directory is called at that moment. What is told
// to people is the path that they know.
import SluiceSQLite
import SluiceSystem

/// Where projections.db lies, or a file beside it, and how it is reached.
struct DatabasePath: Sendable {
  /// For messages, and for `files`.
  var path: String
  /// Reach the file and those beside it.
  let files: RealFileSystem
  /// Whether no connection writes the file.
  let isReadOnly: Bool

  /// `given`: the path when it is not in the store at `storePath`, whose files are `fileSystem`.
  init(given: String?, storePath: String, fileSystem: any FileSystem, isReadOnly: Bool = false) {
    self.isReadOnly = isReadOnly
    path = given ?? storePath + "/projections.db"
    files = given == nil ? fileSystem as? RealFileSystem ?? RealFileSystem() : RealFileSystem()
  }

  /// A connection to the file, which looks at the checksums of pages unless told otherwise. What SQLite says about it
  /// has its path.
  func connect(
    _ mode: Connection.Mode, busyTimeoutMilliseconds: Int32 = 0, checksPages: Bool = true
  ) throws(SQLiteError) -> Connection {
    let mode = isReadOnly && (mode == .readWrite || mode == .readWriteCreate) ? .readOnly : mode
    return try reach { (name) throws(SQLiteError) in
      try Connection(
        path: name, mode: mode, busyTimeoutMilliseconds: busyTimeoutMilliseconds, title: path, checksPages: checksPages)
    }
  }

  /// Attaches the file to `connection` as `projections`.
  func attach(to connection: Connection) throws(SQLiteError) {
    try reach { (name) throws(SQLiteError) in
      do throws(SQLiteError) {
        let attach = try connection.prepare("ATTACH ? AS projections")
        try attach.bind(1, isReadOnly ? Connection.uri(name, "mode=ro") : name)
        try attach.run()
      } catch {
        guard error.message.hasSuffix(name) else { throw error }
        throw SQLiteError(code: error.code, message: String(error.message.dropLast(name.count)) + path)
      }
    }
  }

  /// What tells the file from others; nil when there is none, or the system does not say.
  var identity: UInt64? {
    do { return try files.identity(path) } catch { return nil }
  }

  /// Hands the name of this moment to `body`.
  private func reach<R>(_ body: (String) throws(SQLiteError) -> R) throws(SQLiteError) -> R {
    let name: String
    do {
      name = try files.nameForLibraries(path)
      // SQLite opens them too, and would say no more than that reading failed.
      for beside in ["-wal", "-shm"] { _ = try files.nameForLibraries(path + beside) }
    } catch {
      throw SQLiteError(code: Self.cannotOpen, message: "unable to open database file: \(error)")
    }
    return try body(name)
  }

  /// SQLITE_CANTOPEN.
  private static let cannotOpen: Int32 = 14
}
