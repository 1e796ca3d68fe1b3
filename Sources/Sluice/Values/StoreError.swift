// The one error type of the public API. Errors of the modules below are converted here, once.
import SluiceLSM
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// What went wrong, where, and what the caller can do about it.
public struct StoreError: Error, CustomStringConvertible {
  /// What the caller can do.
  public enum Kind: String, Sendable {
    /// The statement is wrong: change it.
    case invalid
    /// The statement contradicts what is stored (a duplicate key): decide, then send another one.
    case conflict
    /// The queue is full, or the disk nearly so: make room, send again later. Or a projection is behind: ask later.
    case overloaded
    /// The store cannot be used now (held by another process, closed, a write failed): repair, then open again.
    case unavailable
    /// Stored bytes are not what was written: restore or salvage.
    case corrupt
    /// Sluice does not do this (yet): another way is needed.
    case unsupported
    /// A defect of Sluice.
    case `internal`
  }

  /// Whether what a call was to write is stored although it throws.
  public enum Outcome: String, Sendable {
    /// It is not, and will not be.
    case notStored
    /// It is, and stays: what failed comes behind that, such as a level that is not reached.
    case stored
    /// It may be or may not; the next opening of the store decides. The message says so.
    case unknown
  }

  /// What the caller can do.
  public var kind: Kind
  /// One sentence, in SQLite's own words where SQLite has them.
  public var message: String
  /// Line of the script on which the statement begins, from 1.
  public var line: Int?
  /// Byte offset in the statement's text, for a caret.
  public var offset: Int?
  /// Whether the statement was refused before anything of it ran.
  public var isParse: Bool
  /// SQLite's primary result code (https://sqlite.org/rescode.html) where it has one for this.
  public var sqliteCode: Int32?
  /// Whether what the call was to write is stored all the same. Of a call that waits for what was sent before it, that.
  public private(set) var outcome = Outcome.notStored
  /// The errors of other rows of the same call, or of other statements that the same call tells of.
  public var further: [StoreError] = []
  /// Whether it is no error: the row path leaves the statement to SQLite.
  var isEvaluated = false

  /// An error with its sentence, and what else is known of it; see the properties.
  public init(
    _ kind: Kind, _ message: String, line: Int? = nil, offset: Int? = nil, isParse: Bool = false,
    sqliteCode: Int32? = nil
  ) {
    self.kind = kind
    self.message = message
    self.line = line
    self.offset = offset
    self.isParse = isParse
    self.sqliteCode = sqliteCode
  }

  /// The sentence alone.
  public var description: String { message }

  /// Whether it tells that a store cannot be written for where it is, or for whose it is: it may be readable all the
  /// same.
  package var isAboutWriting: Bool { kind == .unavailable && sqliteCode == 8 }

  /// The same error of a call that leaves what was sent in that state, which the message says. What is known better
  /// stays.
  func leaving(_ outcome: Outcome) -> StoreError {
    guard self.outcome == .notStored, outcome != .notStored else { return self }
    var error = self
    error.outcome = outcome
    error.message =
      switch outcome {
      case .unknown: "whether what was sent is stored is not known: \(message)"
      case .stored: "what was sent is stored, but not where it is waited for: \(message)"
      case .notStored: message
      }
    return error
  }

  /// The same error, for the statement that begins on `line`.
  func at(line: Int) -> StoreError {
    var error = self
    error.line = line
    return error
  }
}
