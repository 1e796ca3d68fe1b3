// The one error type of the log. Everything the module throws is one of these.
import SluiceSystem

/// What went wrong in the log, where, and what the caller can do about it.
public struct LogError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What the caller can do.
  public enum Kind: Sendable {
    /// A file holds what was never written there: stop, then check or salvage.
    case corrupt
    /// A file of a newer format: open it with a newer program.
    case unsupported
    /// The disk is full: make room, then reopen.
    case full
    /// An earlier write failed: nothing can be written until the log is opened again.
    case poisoned
    /// The request cannot be met: a limit, a position out of range, an unfinished staged segment.
    case invalid
    /// The operating system refused: see `cause`.
    case io
  }

  public let kind: Kind
  /// A sentence with names and numbers.
  public let message: String
  /// The failed call behind it, when there is one.
  public let cause: SystemError?
  /// The place that `message` speaks of, when a file is damaged.
  public let damage: Damage?

  /// What is wrong with the bytes of a file.
  public struct Damage: Equatable, Sendable {
    public let path: String
    public let offset: UInt64
    public let reason: String
  }

  public init(kind: Kind, message: String, cause: SystemError? = nil, damage: Damage? = nil) {
    self.kind = kind
    self.message = message
    self.cause = cause
    self.damage = damage
  }

  /// `cause` happened while doing `action`; a full disk gets its own kind.
  init(_ action: String, _ cause: SystemError) {
    let full = cause.code == noSpace || cause.code == quotaExceeded
    self.init(kind: full ? .full : .io, message: "\(full ? "the disk is full: " : "")cannot \(action)", cause: cause)
  }

  static func corrupt(_ path: String, _ offset: UInt64, _ reason: String) -> LogError {
    LogError(
      kind: .corrupt, message: "\(path) is damaged at offset \(offset): \(reason)",
      damage: Damage(path: path, offset: offset, reason: reason))
  }

  public var description: String { cause.map { "\(message): \($0)" } ?? message }
}

// ENOSPC and EDQUOT of Linux: their numbers are part of its binary interface.
private let noSpace: Int32 = 28
private let quotaExceeded: Int32 = 122
