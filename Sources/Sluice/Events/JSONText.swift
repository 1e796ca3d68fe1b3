// Values as JSON (RFC 8259), one line of UTF-8 without spaces. SQLite's storage classes have no place of their own
// there, so:
//
//   integer  digits, all of them: 9223372036854775807
//   real     the shortest digits that read back as the same number, always with a point or an exponent: 1.0, 1e+20;
//            infinities as SQLite writes them: 9e999 and -9e999
//   text     with " \ and control characters escaped; bytes that are no UTF-8 become U+FFFD
//   blob     {"blob":"00ff"}: lower-case hex
//
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// JSON at the end of a buffer.
extension ByteBuffer {
  mutating func append(json value: Value) {
    switch value {
    case .null: append(Array("null".utf8))
    case .integer(let number): append(Array(String(number).utf8))
    case .real(let number): append(jsonReal: number)
    case .text(let bytes): bytes.withUnsafeBytes { append(jsonText: $0) }
    case .blob(let bytes): bytes.withUnsafeBytes { append(jsonBlob: $0) }
    }
  }

  mutating func append(json text: String) {
    var text = text
    text.withUTF8 { append(jsonText: UnsafeRawBufferPointer($0)) }
  }

  private mutating func append(jsonReal number: Double) {
    if number.isNaN { return append(Array("null".utf8)) }
    if number.isInfinite { return append(Array((number < 0 ? "-9e999" : "9e999").utf8)) }
    append(Array("\(number)".utf8))
  }

  /// A text in quotes. One step for each byte.
  mutating func append(jsonText bytes: UnsafeRawBufferPointer) {
    if bytes.contains(where: { $0 >= 0x80 }) {
      let whole = Array(String(decoding: bytes, as: UTF8.self).utf8)
      return whole.withUnsafeBytes { appendQuoted($0) }
    }
    appendQuoted(bytes)
  }

  private mutating func appendQuoted(_ bytes: UnsafeRawBufferPointer) {
    append(byte: UInt8(ascii: "\""))
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        append(byte: UInt8(ascii: "\\"))
        append(byte: byte)
      case 0x0a: append(Array("\\n".utf8))
      case 0x0d: append(Array("\\r".utf8))
      case 0x09: append(Array("\\t".utf8))
      case 0..<0x20:
        append(Array("\\u00".utf8))
        append(Array(hexDigits([byte]).utf8))
      default: append(byte: byte)
      }
    }
    append(byte: UInt8(ascii: "\""))
  }

  mutating func append(jsonBlob bytes: UnsafeRawBufferPointer) {
    append(Array("{\"blob\":\"".utf8))
    append(Array(hexDigits(bytes).utf8))
    append(Array("\"}".utf8))
  }
}
