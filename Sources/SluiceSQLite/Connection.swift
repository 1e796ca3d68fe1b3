// A connection to one SQLite database. Opened without SQLite's mutexes (SQLITE_OPEN_NOMUTEX): one thread at a time may
// use it and its statements, and whoever hands it to another thread orders the two. `interrupter` alone may be used
// from anywhere. Unsafe by nature: named in the tidy test.
import CSQLite
import SluiceSystem

/// An open database. Closed by `close` or with its last reference.
public final class Connection {
  /// How a database is opened.
  public enum Mode: Sendable {
    /// For reading; the file must exist.
    case readOnly
    /// For reading a file that nobody writes: nothing is locked and no file is made beside it, as a reader of a
    /// database in WAL mode otherwise does. What stands in its write-ahead log is not seen.
    case immutable
    /// For reading a file that nobody changes meanwhile, with what stands in its write-ahead log: nothing is locked,
    /// made or changed.
    case unlocked
    /// For reading and writing; the file must exist.
    case readWrite
    /// For reading and writing; created when missing.
    case readWriteCreate
  }

  /// nil once closed.
  private(set) var handle: OpaquePointer?
  private let isOwner: Bool
  let walFrames: UnsafeMutablePointer<Int32>
  /// Kept for `watchReads`.
  var readWatch: ReadWatch?
  /// Kept for `watchProgress`.
  var progressWatch: ProgressWatch?
  /// Stops this connection's statements, from any thread.
  public let interrupter: Interrupter

  /// Opens the database at `path` (`:memory:` for one in memory, "" for a temporary one); a URI is not interpreted.
  /// A call that meets another connection's lock waits up to `busyTimeoutMilliseconds`. An error names the database by
  /// `title`, where that is not its path. With `attachesURIs` ATTACH takes a URI. With `checksPages` the connection,
  /// and what is attached to it, puts checksums into the pages that have room for them, and looks at those that it
  /// reads.
  public init(
    path: String, mode: Mode, busyTimeoutMilliseconds: Int32 = 0, title: String? = nil, attachesURIs: Bool = false,
    checksPages: Bool = false
  ) throws(SQLiteError) {
    guard sx_ready() == SQLITE_OK else { throw Connection.noLibrary }
    if path.utf8.contains(0) {
      throw SQLiteError(code: SQLITE_CANTOPEN, message: "unable to open database file: the path has a NUL byte")
    }
    var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (attachesURIs ? SQLITE_OPEN_URI : 0)
    var name = path
    switch mode {
    case .readOnly: flags |= SQLITE_OPEN_READONLY
    case .immutable:
      flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
      name = Connection.uri(path, "immutable=1")
    case .unlocked:
      flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
      name = Connection.uri(path, "vfs=unix-none&mode=ro")
    case .readWrite: flags |= SQLITE_OPEN_READWRITE
    case .readWriteCreate: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    }
    var opened: OpaquePointer?
    let code = sx_open(name, &opened, flags, checksPages ? try Connection.checkingVFS() : nil)
    if code != SQLITE_OK {
      let message = opened.map { String(cString: sx_errmsg($0)) } ?? String(cString: sx_errstr(code))
      let error = SQLiteError(code: code, message: message)
        .withSystemReason(opened.map { sx_system_errno($0) } ?? 0)
      sx_close(opened)
      throw SQLiteError(code: error.code, message: "\(error.message): \(title ?? path)")
    }
    sx_busy_timeout(opened, busyTimeoutMilliseconds)
    handle = opened
    isOwner = true
    walFrames = .allocate(capacity: 1)
    walFrames.initialize(to: 0)
    interrupter = Interrupter(opened)
    // The index of the write-ahead log is then in memory, not in a file.
    if mode == .unlocked { try execute("PRAGMA locking_mode = EXCLUSIVE") }
  }

  private static func checkingVFS() throws(SQLiteError) -> UnsafePointer<CChar> {
    let name = sx_page_sums_vfs { seed, bytes, size in
      checksum(UnsafeRawBufferPointer(start: bytes, count: size), seed: seed)
    }
    guard let name else { throw .misuse("SQLite refuses a VFS that checks pages") }
    return name
  }

  /// Has the pages of a database that is made now leave room for checksums. Before anything is written.
  public func reservePageSums() throws(SQLiteError) {
    let db = try opened()
    if sx_reserve_page_sums(db) != SQLITE_OK { throw .last(db, sql: nil) }
  }

  /// Keeps other connections, of this process and of others, from copying pages of the write-ahead log into the file,
  /// where they would have no checksums. The file must have been read in WAL mode, with `checksPages`.
  public func keepCheckpoints() throws(SQLiteError) {
    let code = sx_keep_checkpoints(try opened())
    if code != SQLITE_OK { throw .general(code) }
  }

  /// Whether the pages of the database have room for checksums. It must have been read, or be new.
  public var hasPageSums: Bool { handle.map { sx_has_page_sums($0) != 0 } ?? false }

  /// The folder that SQLite puts temporary files into; nil when it has none.
  static func temporaryFolder(_ db: OpaquePointer?) -> String? {
    guard let db, let name = sx_temporary_name(db) else { return nil }
    defer { sx_free(name) }
    let path = String(cString: name)
    return path.lastIndex(of: "/").map { String(path[..<$0]) }
  }

  /// The URI of a file (https://sqlite.org/uri.html).
  public static func uri(_ path: String, _ query: String) -> String {
    var text = Array((path.hasPrefix("/") ? "file://" : "file:").utf8)
    for byte in path.utf8 {
      if "%?#".utf8.contains(byte) { text += Array("%\(String(byte, radix: 16))".utf8) } else { text.append(byte) }
    }
    return String(decoding: text, as: UTF8.self) + "?" + query
  }

  /// A connection that belongs to the program which loads this extension; it is used and never closed.
  public init(host: OpaquePointer) throws(SQLiteError) {
    guard sx_ready() == SQLITE_OK else { throw Connection.noLibrary }
    handle = host
    isOwner = false
    walFrames = .allocate(capacity: 1)
    walFrames.initialize(to: 0)
    interrupter = Interrupter(host)
  }

  deinit {
    close()
    walFrames.deallocate()
  }

  private static var noLibrary: SQLiteError {
    .misuse("no SQLite: 3.38.0 or later must be linked in (CSQLiteHost) or be the host")
  }

  /// Closes the connection. Statements of it that still live go on; the file is closed with the last of them.
  public func close() {
    guard let open = handle else { return }
    handle = nil
    interrupter.forget()
    guard isOwner else { return }
    sx_wal_hook(open, nil, nil)
    // Answers SQLITE_OK always: with statements alive the connection ends with the last of them.
    sx_close(open)
  }

  /// The handle, for a call that may fail.
  func opened() throws(SQLiteError) -> OpaquePointer {
    guard let handle else { throw .misuse("the connection is closed") }
    return handle
  }

  // MARK: Statements

  /// Prepares the one statement that `sql` holds. `persistent` for a statement that is kept and run many times.
  public func prepare(_ sql: String, persistent: Bool = false) throws(SQLiteError) -> Statement {
    let text = Array(sql.utf8) + [0]
    return try text.span.withUnsafeBytes { (bytes) throws(SQLiteError) -> Statement in
      let (first, used) = try prepare(terminated: bytes, from: 0, persistent: persistent)
      guard let first else { throw .misuse("no statement in the text", sql: sql) }
      var rest = used
      while rest < bytes.count - 1 {
        let (second, end) = try prepare(terminated: bytes, from: rest, persistent: false)
        if second != nil { throw .misuse("more than one statement in the text", sql: sql, offset: rest) }
        rest = end
      }
      return first
    }
  }

  /// Prepares the first statement of `text` and tells how many bytes of it that took, the `;` included. nil when
  /// these bytes are blank: spaces, comments, a lone `;`. Cost: one copy of `text`.
  public func prepareFirst(
    in text: UnsafeRawBufferPointer, persistent: Bool = false
  ) throws(SQLiteError) -> (statement: Statement?, used: Int) {
    let copy = terminated(text)
    defer { copy.deallocate() }
    return try prepare(terminated: UnsafeRawBufferPointer(copy), from: 0, persistent: persistent)
  }

  /// Runs all statements of `sql` and drops their rows.
  public func execute(_ sql: String) throws(SQLiteError) {
    let text = Array(sql.utf8) + [0]
    try text.span.withUnsafeBytes { (bytes) throws(SQLiteError) -> Void in try execute(terminated: bytes) }
  }

  /// Runs all statements of `text` and drops their rows. Cost: one copy of `text`.
  public func execute(_ text: UnsafeRawBufferPointer) throws(SQLiteError) {
    let copy = terminated(text)
    defer { copy.deallocate() }
    try execute(terminated: UnsafeRawBufferPointer(copy))
  }

  private func execute(terminated text: UnsafeRawBufferPointer) throws(SQLiteError) {
    var offset = 0
    while offset < text.count - 1 {
      let (statement, end) = try prepare(terminated: text, from: offset, persistent: false)
      while try statement?.step() == true {}
      offset = end
    }
  }

  private func terminated(_ text: UnsafeRawBufferPointer) -> UnsafeMutableRawBufferPointer {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count + 1, alignment: 1)
    copy.copyMemory(from: text)
    copy[text.count] = 0
    return copy
  }

  /// `text` ends with a NUL, which lets SQLite parse it in place: a script of n statements costs no n copies.
  private func prepare(
    terminated text: UnsafeRawBufferPointer, from offset: Int, persistent: Bool
  ) throws(SQLiteError) -> (Statement?, Int) {
    let db = try opened()
    guard text.count - offset <= Int(Int32.max) else { throw .general(SQLITE_TOOBIG) }
    let start = text.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self) + offset
    var statement: OpaquePointer?
    var tail: UnsafePointer<CChar>?
    let flags = persistent ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0
    let code = sx_prepare(db, start, Int32(text.count - offset), flags, &statement, &tail)
    if code != SQLITE_OK {
      let place = Int(sx_error_offset(db))
      throw .last(
        db, sql: excerpt(UnsafeRawBufferPointer(rebasing: text.dropLast())), offset: place < 0 ? -1 : offset + place)
    }
    let prepared = statement.map { Statement($0, of: self, db) }
    let used = tail.map { $0 - start } ?? text.count - 1 - offset
    if statement == nil, offset + used < text.count - 1, text[offset + used] == 0 {
      // SQLite takes a NUL for the end of the text; what stands behind it must not be dropped in silence.
      let sql = excerpt(UnsafeRawBufferPointer(rebasing: text.dropLast()))
      throw SQLiteError(message: "unrecognized token: NUL", sql: sql, offset: offset + used)
    }
    return (prepared, offset + used)
  }

  // MARK: State

  /// Rows changed by the last INSERT, UPDATE or DELETE.
  public var changes: Int64 { handle.map { sx_changes($0) } ?? 0 }
  /// Rows changed since the connection was opened.
  public var totalChanges: Int64 { handle.map { sx_total_changes($0) } ?? 0 }
  /// The rowid that the last INSERT gave.
  public var lastInsertRowid: Int64 { handle.map { sx_last_insert_rowid($0) } ?? 0 }
  /// Whether a BEGIN is open.
  public var isInTransaction: Bool { handle.map { sx_get_autocommit($0) == 0 } ?? false }
  /// Whether the main database cannot be written through this connection.
  public var isReadOnly: Bool { handle.map { sx_db_readonly($0, "main") == 1 } ?? true }
  /// Byte offset, in the statement last prepared, of the last error; -1 when there is none.
  public var lastErrorOffset: Int { handle.map { Int(sx_error_offset($0)) } ?? -1 }

  /// From now on no trigger fires for what this connection writes, but those of its temporary tables.
  public func disableTriggers() throws(SQLiteError) {
    let db = try opened()
    if sx_disable_triggers(db) != SQLITE_OK { throw .last(db, sql: nil) }
  }

  /// Whether the file of a schema was removed, renamed or replaced since it was opened. Cost: one `stat`.
  public func hasMoved(_ schema: String = "main") -> Bool {
    var moved: Int32 = 0
    guard let handle, sx_has_moved(handle, schema, &moved) == SQLITE_OK else { return false }
    return moved != 0
  }

  /// Takes in what others changed of the schema. SQLite notices that when a statement runs, not when it is prepared:
  /// one that was prepared for an older schema tells the columns of that one. Cost: a look at the file's header.
  public func refreshSchema() throws(SQLiteError) { try execute("SELECT 1 FROM sqlite_schema LIMIT 0") }

  /// Stops the running statements of this connection with SQLITE_INTERRUPT. For other threads: `interrupter`.
  public func interrupt() { interrupter.interrupt() }

  /// Sets how much of the main database may be kept in memory, which is also how much a sorter sorts at a time.
  public func setCache(bytes: Int) throws(SQLiteError) {
    try execute("PRAGMA main.cache_size = -\(max(bytes >> 10, 1))")
  }

  /// Sets a run-time limit (SQLITE_LIMIT_…) and returns the one before. A negative value only asks.
  @discardableResult
  public func setLimit(_ limit: Int32, _ value: Int32) -> Int32 {
    handle.map { sx_limit($0, limit, value) } ?? -1
  }
}

/// Stops the statements of one connection from any thread, also when that connection is long closed.
public final class Interrupter: Sendable {
  private let handle: Monitor<OpaquePointer?>

  init(_ handle: OpaquePointer?) { self.handle = Monitor(handle) }

  /// The connection's running statements end with SQLITE_INTERRUPT; without any, nothing happens.
  public func interrupt() {
    handle.withLock { if let db = $0 { sx_interrupt(db) } }
  }

  func forget() { handle.withLock { $0 = nil } }
}
