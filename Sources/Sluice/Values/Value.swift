// One value of a row, as programs write and read it.
import SluiceSystem

/// One value, in SQLite's five storage classes: `.null`, `.integer`, `.real`, `.text` (UTF-8 bytes) and `.blob`.
public typealias Value = SluiceSystem.Value

extension Value: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral,
  ExpressibleByNilLiteral
{
  /// An integer: `7`.
  public init(integerLiteral value: Int64) { self = .integer(value) }
  /// A real: `2.5`.
  public init(floatLiteral value: Double) { self = .real(value) }
  /// A text: `"words"`.
  public init(stringLiteral value: String) { self = .string(value) }
  /// NULL: `nil`.
  public init(nilLiteral: ()) { self = .null }
}

extension Value {
  /// A text; "" for what is none.
  var words: String {
    if case .text(let bytes) = self { String(decoding: bytes, as: UTF8.self) } else { "" }
  }
}
