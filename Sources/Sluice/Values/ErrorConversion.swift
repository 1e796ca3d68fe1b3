// Errors of the modules below become StoreErrors here, and nowhere else.
import SluiceLSM
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Runs `body` and converts what it throws.
func convertingErrors<R>(_ body: () throws -> R) throws(StoreError) -> R {
  do { return try body() } catch { throw StoreError(converting: error) }
}

extension StoreError {
  init(converting error: any Error) {
    switch error {
    case let error as StoreError: self = error
    case let error as SystemError: self.init(error)
    case let error as LogError: self.init(error)
    case let error as EngineError: self.init(error)
    case let error as SQLError: self.init(error)
    case let error as SQLiteError: self.init(error)
    default: self.init(.internal, "\(error)")
    }
  }

  init(_ error: SystemError) {
    let sentence =
      switch error.reason {
      case .diskFull: "the disk is full"
      case .readOnly: "the file system is read-only"
      case .noPermission: "permission is denied"
      case .notFile: "something else is in the place of a file"
      case .noDescriptor: "the process has too many files open"
      default: "the operating system refused"
      }
    self.init(.unavailable, "\(sentence): \(error)", sqliteCode: Self.code(error))
  }

  init(_ error: LogError) {
    switch error.kind {
    case .corrupt: self.init(.corrupt, error.description, sqliteCode: 11)
    case .unsupported: self.init(.unsupported, error.description)
    default: self.init(unavailable: error.description, cause: error.cause)
    }
  }

  init(_ error: EngineError) {
    switch error.kind {
    case .corrupt: self.init(.corrupt, error.description, sqliteCode: 11)
    case .unsupported: self.init(.unsupported, error.description)
    default: self.init(unavailable: error.description, cause: error.cause)
    }
  }

  /// What the disk refused.
  private init(unavailable message: String, cause: SystemError?) {
    self.init(.unavailable, message, sqliteCode: Self.code(cause))
  }

  /// SQLite's code for a full disk, for what may only be read, else that for an input/output error.
  private static func code(_ cause: SystemError?) -> Int32 {
    switch cause?.reason {
    case .diskFull: 13
    case .readOnly, .noPermission: 8
    default: 10
    }
  }

  /// An error of a statement's text.
  init(_ error: SQLError) {
    let kind: Kind = error.kind == .unsupported ? .unsupported : .invalid
    self.init(
      kind, error.message, offset: error.offset < 0 ? nil : error.offset, isParse: error.kind != .failed,
      sqliteCode: error.code)
    isEvaluated = error.kind == .evaluated
  }

  init(_ error: SQLiteError) {
    let kind: Kind =
      switch error.kind {
      case .corrupt: .corrupt
      case .constraint: .conflict
      case .busy: .overloaded
      case .full, .temporary, .io, .unwritable: .unavailable
      default: .invalid
      }
    self.init(kind, error.message, offset: error.offset < 0 ? nil : error.offset, sqliteCode: error.primaryCode)
  }
}
