// Reads JSON (RFC 8259), as far as lines of this program need it: names of an object keep their order.

/// A JSON text's value.
indirect enum JSONValue: Equatable {
  case null
  case bool(Bool)
  case number(Double)
  case text(String)
  case array([JSONValue])
  case object([Member])

  struct Member: Equatable {
    let name: String
    let value: JSONValue
  }

  /// Throws when `text` is not one JSON value, or nested more than 100 deep.
  init(_ text: String) throws {
    var reader = JSONReader(bytes: Array(text.utf8))
    self = try reader.value(depth: 0)
    reader.skipSpace()
    if reader.at < reader.bytes.count { throw reader.error("something follows the value") }
  }

  /// The member of that name of an object.
  subscript(_ name: String) -> JSONValue? { members?.first { $0.name == name }?.value }

  var members: [Member]? { if case .object(let members) = self { members } else { nil } }
  var text: String? { if case .text(let text) = self { text } else { nil } }
  var number: Double? { if case .number(let number) = self { number } else { nil } }
  /// An array of numbers only.
  var numbers: [Double]? {
    guard case .array(let values) = self else { return nil }
    let numbers = values.compactMap(\.number)
    return numbers.count == values.count ? numbers : nil
  }
}

private struct JSONReader {
  let bytes: [UInt8]
  var at = 0

  func error(_ what: String) -> BenchError { BenchError(description: "no JSON: \(what) at byte \(at)") }

  private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  mutating func skipSpace() {
    while let byte = next, [0x20, 0x09, 0x0a, 0x0d].contains(byte) { at += 1 }
  }

  /// Passes over `byte`, when it comes next.
  private mutating func take(_ byte: Character) -> Bool {
    skipSpace()
    guard next == byte.asciiValue else { return false }
    at += 1
    return true
  }

  mutating func value(depth: Int) throws -> JSONValue {
    if depth > 100 { throw error("too deep") }
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return .object(try members(depth))
    case UInt8(ascii: "["): return .array(try elements(depth))
    case UInt8(ascii: "\""): return .text(try string())
    default: return try word()
    }
  }

  private mutating func members(_ depth: Int) throws -> [JSONValue.Member] {
    at += 1
    var result: [JSONValue.Member] = []
    if take("}") { return result }
    repeat {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw error("no name") }
      let name = try string()
      guard take(":") else { throw error("no colon") }
      result.append(JSONValue.Member(name: name, value: try value(depth: depth + 1)))
    } while take(",")
    guard take("}") else { throw error("an object has no end") }
    return result
  }

  private mutating func elements(_ depth: Int) throws -> [JSONValue] {
    at += 1
    var result: [JSONValue] = []
    if take("]") { return result }
    repeat { result.append(try value(depth: depth + 1)) } while take(",")
    guard take("]") else { throw error("an array has no end") }
    return result
  }

  /// true, false, null or a number.
  private mutating func word() throws -> JSONValue {
    let begin = at
    while let byte = next, byte > 0x20, ![UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}")].contains(byte) {
      at += 1
    }
    let text = String(decoding: bytes[begin..<at], as: UTF8.self)
    switch text {
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "null": return .null
    default: break
    }
    let hasNumberBytes = text.utf8.allSatisfy { (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0) }
    guard hasNumberBytes, let number = Double(text), number.isFinite else { throw error("no value") }
    return .number(number)
  }

  private mutating func string() throws -> String {
    at += 1
    var result: [UInt8] = []
    while let byte = next, byte != UInt8(ascii: "\"") {
      at += 1
      if byte < 0x20 { throw error("a control character in a text") }
      if byte == UInt8(ascii: "\\") { result += try escape() } else { result.append(byte) }
    }
    guard next != nil else { throw error("a text has no end") }
    at += 1
    return String(decoding: result, as: UTF8.self)
  }

  private mutating func escape() throws -> [UInt8] {
    guard let byte = next else { throw error("a text has no end") }
    at += 1
    switch UnicodeScalar(byte) {
    case "n": return [0x0a]
    case "t": return [0x09]
    case "r": return [0x0d]
    case "b": return [0x08]
    case "f": return [0x0c]
    case "\"", "\\", "/": return [byte]
    case "u":
      var code = try unit()
      if (0xd800..<0xdc00).contains(code), at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"),
        bytes[at + 1] == UInt8(ascii: "u")
      {
        at += 2
        code = 0x10000 + (code - 0xd800) << 10 + (try unit()) & 0x3ff
      }
      return Array(String(UnicodeScalar(code) ?? "\u{fffd}").utf8)
    default: throw error("unknown escape")
    }
  }

  /// Four hexadecimal digits.
  private mutating func unit() throws -> UInt32 {
    let end = min(at + 4, bytes.count)
    guard let code = UInt32(String(decoding: bytes[at..<end], as: UTF8.self), radix: 16), end - at == 4 else {
      throw error("no code")
    }
    at = end
    return code
  }
}
