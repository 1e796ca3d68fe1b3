// The one error type of the door to the machine.
import Glibc

/// A call to the operating system that failed: which call, on what, with which `errno`.
public struct SystemError: Error, Equatable, CustomStringConvertible {
  /// The call's C name, such as `fdatasync`.
  public let call: String
  /// The path it was made on, or "".
  public let path: String
  /// The `errno` it left; 0 where `detail` says what is wrong.
  public let code: Int32
  /// More to say, such as who holds a lock; "" when there is nothing.
  public let detail: String

  public init(call: String, path: String, code: Int32, detail: String = "") {
    self.call = call
    self.path = path
    self.code = code
    self.detail = detail
  }

  /// There is too little room on the disk of `path` to begin.
  public static func full(_ path: String) -> SystemError { SystemError(call: "statvfs", path: path, code: ENOSPC) }

  /// Something stands at `path` that is no file: a FIFO would make its reader wait for ever.
  init(path: String, isNoFile status: stat) {
    let kind: String? =
      switch status.st_mode & S_IFMT {
      case S_IFDIR: nil
      case S_IFIFO: "a named pipe"
      case S_IFSOCK: "a socket"
      case S_IFCHR, S_IFBLK: "a device"
      default: "something else"
      }
    self.init(
      call: "open", path: path, code: kind == nil ? EISDIR : 0, detail: kind.map { "it is \($0), not a file" } ?? "")
  }

  /// What the caller can do about it.
  public enum Reason: Sendable {
    case diskFull, readOnly, noPermission, notDirectory, notFile, locked, noDescriptor, other
  }

  /// The error's class.
  public var reason: Reason {
    switch code {
    case ENOSPC, EDQUOT, EFBIG: .diskFull
    case EROFS: .readOnly
    case EACCES, EPERM: .noPermission
    case ENOTDIR: .notDirectory
    case 0, EISDIR: .notFile
    case EWOULDBLOCK: .locked
    case EMFILE, ENFILE: .noDescriptor
    default: .other
    }
  }

  public var description: String {
    if code == 0 { return "\(call) \(path): \(detail)" }
    let reason = systemMessage(code)
    return "\(call) \(path): \(reason)" + (detail.isEmpty ? "" : " (\(detail))")
  }
}
