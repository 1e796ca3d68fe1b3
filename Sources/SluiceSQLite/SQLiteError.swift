// The module's one error type: what SQLite answered, with the statement it answered it to.
import CSQLite
import SluiceSystem

/// A call to SQLite that failed.
public struct SQLiteError: Error, Equatable, CustomStringConvertible {
  /// What the caller can do about it, from the primary result code.
  public enum Kind: Sendable {
    /// The SQL is wrong, or something it names does not exist.
    case invalid
    /// A constraint refuses the row.
    case constraint
    /// Another connection holds the lock: try again.
    case busy
    /// `interrupt` was called.
    case interrupted
    /// Not written because of where it is: read-only, no permission, cannot be opened.
    case unwritable
    /// The disk is full.
    case full
    /// The folder for temporary files is full, or cannot be used.
    case temporary
    /// Reading or writing failed; nothing is known about the last transaction.
    case io
    /// The file is damaged or is no database.
    case corrupt
    /// A stated limit is exceeded: text, blob, expression or statement too large.
    case limit
    /// Anything else; the caller used the interface wrongly or memory ran out.
    case other
  }

  /// The extended result code (https://sqlite.org/rescode.html).
  public let code: Int32
  /// SQLite's own sentence.
  public let message: String
  /// The SQL text it was about, cut to its first 64 KiB, or nil.
  public let sql: String?
  /// Byte offset in the text where the error is, or -1.
  public let offset: Int

  public init(code: Int32 = SQLITE_ERROR, message: String, sql: String? = nil, offset: Int = -1) {
    self.code = code == SQLITE_OK ? SQLITE_ERROR : code
    self.message = message
    self.sql = sql
    self.offset = offset
  }

  /// What the system refused about a file of SQLite's.
  public init(refused message: String) { self.init(code: SQLITE_IOERR, message: message) }

  /// A file that is not what it must be.
  public init(damage message: String) { self.init(code: SQLITE_CORRUPT, message: message) }

  /// There is no room for what was begun.
  public static let full = SQLiteError(code: SQLITE_FULL, message: "the disk has no room for the file")

  /// The file of a connection was removed or replaced.
  public static let moved = SQLiteError(
    code: SQLITE_READONLY | 4 << 8, message: "the file was removed or replaced by another program")

  /// The file of a connection lies under another name, in which SQLite would not find its log.
  public static let renamed = SQLiteError(
    code: SQLITE_READONLY | 4 << 8, message: "the directory of the file was renamed")

  /// The result code without its extension.
  public var primaryCode: Int32 { code & 0xff }

  /// What the caller can do about it.
  public var kind: Kind {
    if code == Self.pageDamage { return .corrupt }
    if code & ~0xff == SX_TEMPORARY { return .temporary }
    return switch primaryCode {
    case SQLITE_ERROR, SQLITE_MISMATCH, SQLITE_RANGE, SQLITE_AUTH: .invalid
    case SQLITE_CONSTRAINT: .constraint
    case SQLITE_BUSY, SQLITE_LOCKED: .busy
    case SQLITE_INTERRUPT: .interrupted
    case SQLITE_READONLY, SQLITE_PERM, SQLITE_CANTOPEN: .unwritable
    case SQLITE_FULL: .full
    case SQLITE_IOERR, SQLITE_PROTOCOL: .io
    case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt
    case SQLITE_TOOBIG, SQLITE_NOLFS: .limit
    default: .other
    }
  }

  /// Whether the file is damaged, gone, or not to be read or written: not a matter of one statement or row.
  public var isAboutFile: Bool {
    switch kind {
    case .unwritable, .io, .corrupt: true
    default: false
    }
  }

  public var description: String {
    let place = offset >= 0 ? " at byte \(offset)" : ""
    return "\(message) (\(code))\(place)" + (sql.map { " in: \($0)" } ?? "")
  }

  static let sqlSizeLimit = 65_536

  /// What connection `db` says about its last call.
  static func last(_ db: OpaquePointer?, sql: String?, offset: Int = -1) -> SQLiteError {
    let code = sx_errcode(db)
    let message =
      code == pageDamage
      ? "a page of the file is damaged, or was written by another program"
      : code & ~0xff == SX_TEMPORARY ? temporary(code, db) : String(cString: sx_errmsg(db))
    return SQLiteError(code: code, message: message, sql: sql, offset: offset).withSystemReason(sx_system_errno(db))
  }

  /// The same with what the system said, where SQLite says no more than that it refused. A full disk is one whatever it
  /// was that found no room.
  func withSystemReason(_ number: Int32) -> SQLiteError {
    guard primaryCode == SQLITE_IOERR || primaryCode == SQLITE_CANTOPEN, number != 0,
      message == String(cString: sx_errstr(code))
    else { return self }
    let isFull = SystemError(call: "", path: "", code: number).reason == .diskFull
    return SQLiteError(
      code: isFull ? SQLITE_FULL : code, message: "\(message) (\(systemMessage(number)))", sql: sql, offset: offset)
  }

  private static func temporary(_ code: Int32, _ db: OpaquePointer?) -> String {
    let trouble = code & 0xff == SQLITE_FULL ? "is full" : "cannot be written or read"
    return "the folder for temporary files \(trouble)" + (Connection.temporaryFolder(db).map { ": \($0)" } ?? "")
      + "; SQLITE_TMPDIR names another one"
  }

  /// SQLITE_IOERR_DATA: a page does not fit its checksum.
  private static let pageDamage: Int32 = SQLITE_IOERR | 32 << 8

  /// SQLite's general sentence for a result code.
  static func general(_ code: Int32, sql: String? = nil) -> SQLiteError {
    SQLiteError(code: code, message: String(cString: sx_errstr(code)), sql: sql)
  }

  /// What is ended between two statements throws the same as a statement that `interrupt` ends.
  public static let interrupted = SQLiteError(code: SQLITE_INTERRUPT, message: "interrupted")

  static func misuse(_ message: String, sql: String? = nil, offset: Int = -1) -> SQLiteError {
    SQLiteError(code: SQLITE_MISUSE, message: message, sql: sql, offset: offset)
  }
}

/// SQL text for an error: the first 64 KiB of it.
func excerpt(_ text: UnsafeRawBufferPointer) -> String {
  String(decoding: text.prefix(SQLiteError.sqlSizeLimit), as: UTF8.self)
}
