// The one error type of the engine.
import SluiceSystem

/// What went wrong in an engine: the kind tells the caller what to do, the rest says where.
public struct EngineError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Kind: Sendable {
    /// Bytes on disk are not what was written. Opening or reading stops there.
    case corrupt
    /// A call to the operating system failed; `cause` says which.
    case io
    /// The file was written by a newer version that this one may not read.
    case unsupported
    /// An earlier failed write left the manifest in an unknown state: read on, reopen to write.
    case poisoned
    /// The engine was closed.
    case closed
  }

  public let kind: Kind
  /// A sentence with names and numbers.
  public let message: String
  public let shard: Int
  /// Path of the file, or "".
  public let file: String
  /// Offset in the file, when one place is meant.
  public let offset: UInt64?
  /// The keys that may be touched, in hex, when known.
  public let keyRange: String?
  public let cause: SystemError?

  init(
    _ kind: Kind, _ message: String, shard: Int, file: String = "", offset: UInt64? = nil, keyRange: String? = nil,
    cause: SystemError? = nil
  ) {
    self.kind = kind
    self.message = message
    self.shard = shard
    self.file = file
    self.offset = offset
    self.keyRange = keyRange
    self.cause = cause
  }

  public init(_ cause: SystemError, doing action: String, shard: Int) {
    let full = cause.reason == .diskFull ? "the disk is full: " : ""
    self.init(.io, full + action, shard: shard, file: cause.path, cause: cause)
  }

  public var description: String {
    var text = "shard \(shard): \(message)"
    if !file.isEmpty { text += "; file \(file)" }
    if let offset { text += ", offset \(offset)" }
    if let keyRange { text += ", keys \(keyRange)" }
    if let cause { text += ": \(cause)" }
    return text
  }
}

/// At most 32 bytes as hex digits, for messages.
func hex(_ bytes: [UInt8]) -> String {
  let digits = Array("0123456789abcdef".utf8)
  var text: [UInt8] = []
  for byte in bytes.prefix(32) {
    text.append(digits[Int(byte >> 4)])
    text.append(digits[Int(byte & 15)])
  }
  return String(decoding: text, as: UTF8.self) + (bytes.count > 32 ? "…" : "")
}
