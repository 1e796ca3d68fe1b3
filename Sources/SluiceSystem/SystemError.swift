// The one error type of the door to the machine.
import Glibc

/// A call to the operating system that failed: which call, on what, with which `errno`.
public struct SystemError: Error, Equatable, CustomStringConvertible {
  /// The call's C name, such as `fdatasync`.
  public let call: String
  /// The path it was made on, or "".
  public let path: String
  /// The `errno` it left.
  public let code: Int32
  /// More to say, such as who holds a lock; "" when there is nothing.
  public let detail: String

  public init(call: String, path: String, code: Int32, detail: String = "") {
    self.call = call
    self.path = path
    self.code = code
    self.detail = detail
  }

  /// What the caller can do about it.
  public enum Reason: Sendable {
    case diskFull, readOnly, noPermission, notDirectory, locked, other
  }

  /// The error's class.
  public var reason: Reason {
    switch code {
    case ENOSPC, EDQUOT, EFBIG: .diskFull
    case EROFS: .readOnly
    case EACCES, EPERM: .noPermission
    case ENOTDIR: .notDirectory
    case EWOULDBLOCK: .locked
    default: .other
    }
  }

  public var description: String {
    let reason = systemMessage(code)
    return "\(call) \(path): \(reason)" + (detail.isEmpty ? "" : " (\(detail))")
  }
}
