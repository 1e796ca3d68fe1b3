// Errors of the modules below become StoreErrors here, and nowhere else.
import Glibc
import SluiceLSM
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension StoreError {
  init(_ error: SystemError) {
    let reason: String
    switch error.code {
    case ENOSPC, EDQUOT: reason = "the disk is full"
    case EROFS: reason = "the file system is read-only"
    case EACCES, EPERM: reason = "permission is denied"
    default: reason = "the operating system refused"
    }
    self.init(.unavailable, "\(reason): \(error)", sqliteCode: error.code == ENOSPC ? 13 : 10)
  }

  init(_ error: LogError) {
    switch error.kind {
    case .corrupt: self.init(.corrupt, error.description, sqliteCode: 11)
    case .unsupported: self.init(.unsupported, error.description)
    case .limit: self.init(.invalid, error.description, sqliteCode: 18)
    case .poisoned, .closed: self.init(.unavailable, error.description, sqliteCode: 10)
    default:
      if let cause = error.cause {
        self.init(cause)
        message = "\(error.message): \(message)"
      } else {
        self.init(.unavailable, error.description, sqliteCode: 10)
      }
    }
  }

  init(_ error: EngineError) {
    switch error.kind {
    case .corrupt: self.init(.corrupt, error.description, sqliteCode: 11)
    default:
      if let cause = error.cause {
        self.init(cause)
        message = "shard \(error.shard): \(message)"
      } else {
        self.init(.unavailable, error.description, sqliteCode: 10)
      }
    }
  }

  /// An error of a statement's text.
  init(_ error: SQLError) {
    let kind: Kind = error.kind == .unsupported ? .unsupported : .invalid
    self.init(
      kind, error.message, offset: error.offset < 0 ? nil : error.offset, isParse: true, sqliteCode: 1)
  }

  init(_ error: SQLiteError) {
    let kind: Kind =
      switch error.kind {
      case .corrupt: .corrupt
      case .constraint: .conflict
      case .busy: .overloaded
      case .full, .io, .unavailable: .unavailable
      default: .invalid
      }
    self.init(kind, error.message, offset: error.offset < 0 ? nil : error.offset, sqliteCode: error.primaryCode)
  }
}
