// What an inspection tells about files, in lines that people read and scripts cut:
//
//   thing key=value key="two words" …
//
// Each line is about one thing of a file. `offset` is a byte of that file, sizes carry `bytes` in their names, ranges
// are `first..last` with both ends in them, keys are hex. An indented line belongs to the nearest one above that is
// indented less. Three things stand for themselves:
//
//   damage file=… offset=… what="…"   bytes that are not what was written; counted
//   unread file=… what="…"            not looked at: no permission, a newer format; counted
//   verdict state=…                   the last line: sound, damaged (some damage), unread (no damage, but not all read)
import Glibc

/// The lines of one inspection and the counts of what it found. One thread.
public final class InspectionReport {
  /// The lines so far, unless they went elsewhere.
  public private(set) var lines: [String] = []
  public private(set) var damageCount = 0
  public private(set) var unreadCount = 0
  /// Whether only damage and what was not read is told, and what `conclude` says.
  public let isBrief: Bool
  private let output: ((String) -> Void)?

  /// Lines go to `output` at once, or are kept in `lines`.
  public init(isBrief: Bool = false, output: ((String) -> Void)? = nil) {
    self.isBrief = isBrief
    self.output = output
  }

  /// Whether all that was looked at is as it was written.
  public var isSound: Bool { damageCount == 0 && unreadCount == 0 }

  /// A line about what is there.
  public func tell(_ line: @autoclosure () -> String) {
    if !isBrief { put(line()) }
  }

  /// Bytes of `file` that are not what was written. `place` has more fields, such as `keys=…`.
  public func damage(_ what: String, file: String, offset: UInt64? = nil, place: String = "") {
    damageCount += 1
    put("damage" + field("file", file) + (offset.map { " offset=\($0)" } ?? "") + spaced(place) + field("what", what))
  }

  /// A file that could not be looked at, which says nothing about its bytes.
  public func unread(_ what: String, file: String) {
    unreadCount += 1
    put("unread" + field("file", file) + field("what", what))
  }

  /// The system refused a call: what may not be read, or not now, is unread; a file that is gone, or that the disk does
  /// not give back, is damage.
  public func refused(_ error: SystemError) {
    if error.reason == .noPermission || error.code == EMFILE || error.code == ENFILE {
      unread("\(error)", file: error.path)
    } else {
      damage("\(error)", file: error.path)
    }
  }

  /// Takes over lines and counts of a part that kept its lines.
  public func add(_ part: InspectionReport) {
    damageCount += part.damageCount
    unreadCount += part.unreadCount
    for line in part.lines { put(line) }
  }

  /// The last line; `totals` has more fields.
  public func conclude(_ totals: String) {
    let state = damageCount > 0 ? "damaged" : unreadCount > 0 ? "unread" : "sound"
    let unread = unreadCount > 0 ? " unread=\(unreadCount)" : ""
    put("verdict state=\(state) damages=\(damageCount)\(unread)" + spaced(totals))
  }

  private func put(_ line: String) {
    if let output { output(line) } else { lines.append(line) }
  }

  private func spaced(_ fields: String) -> String { fields.isEmpty ? "" : " " + fields }
}

/// ` name=text`, in quotation marks when the text would not be one word.
public func field(_ name: String, _ text: String) -> String {
  let isWord = !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x5c && $0 != 0x7f }
  if isWord { return " \(name)=\(text)" }
  var quoted = " \(name)=\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\": quoted += "\\\(scalar)"
    case "\n": quoted += "\\n"
    case _ where scalar.value < 0x20 || scalar.value == 0x7f: quoted += "\\u{\(String(scalar.value, radix: 16))}"
    default: quoted.unicodeScalars.append(scalar)
    }
  }
  return quoted + "\""
}

/// Bytes as hex digits, at most `limit` of them; `…` stands for the rest.
public func hexDigits(_ bytes: some Collection<UInt8>, limit: Int = .max) -> String {
  let digits = Array("0123456789abcdef".utf8)
  var text: [UInt8] = []
  text.reserveCapacity(2 * min(bytes.count, limit))
  for byte in bytes.prefix(limit) {
    text.append(digits[Int(byte >> 4)])
    text.append(digits[Int(byte & 15)])
  }
  return String(decoding: text, as: UTF8.self) + (bytes.count > limit ? "…" : "")
}
