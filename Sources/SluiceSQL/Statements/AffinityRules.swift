// SQLite's affinity rules: which affinity a type name has, and what an affinity does to a value.
// Source: https://sqlite.org/datatype3.html, sections 3.1 and 3.4.
import SluiceSystem

/// The affinity of a declared type: the first rule whose word is in the name decides.
public func affinity(ofType name: String) -> Affinity {
  let type = folded(name)
  if type.contains("int") { return .integer }
  if type.contains("char") || type.contains("clob") || type.contains("text") { return .text }
  if type.isEmpty || type.contains("blob") { return .blob }
  if type.contains("real") || type.contains("floa") || type.contains("doub") { return .real }
  return .numeric
}

/// A type that is one quoted name, as SQLite reads it: without its quotes. Any other stays as it is written.
func withoutQuotes(ofType name: String) -> String {
  let isQuote = { (byte: UInt8) in "\"'`[".utf8.contains(byte) }
  let bytes = name.utf8
  guard bytes.count > 2, let first = bytes.first, isQuote(first) else { return name }
  let inner = bytes.dropFirst().dropLast()
  return inner.contains(where: isQuote) ? name : String(Substring(inner))
}

/// `value` as a column of `affinity` stores it, or nil where only SQLite can tell: a real into TEXT, and a text that
/// might be a number into a numeric column.
public func applyAffinity(_ affinity: Affinity, to value: Value) -> Value? {
  switch (affinity, value) {
  case (.text, .integer(let number)): return .text(Array(String(number).utf8))
  case (.text, .real): return nil
  case (.real, .integer(let number)): return .real(Double(number))
  case (.real, .real(let number)): return .real(storedReal(number))
  case (.integer, .real(let number)), (.numeric, .real(let number)):
    return integralValue(number).map(Value.integer) ?? value
  case (.integer, .text(let text)), (.numeric, .text(let text)), (.real, .text(let text)):
    return mayBeNumber(text) ? nil : value
  default: return value
  }
}

/// A real as a REAL column keeps it: SQLite stores whole numbers there as integers, so that -0.0 becomes 0.0.
@inlinable @inline(__always)
public func storedReal(_ number: Double) -> Double { number + 0.0 }

/// The integer that a real equals, for |real| < 2^63; nil where there is none.
@inlinable @inline(__always)
public func integralValue(_ number: Double) -> Int64? {
  guard number > -0x1p63, number < 0x1p63 else { return nil }
  let whole = Int64(number)
  return Double(whole) == number ? whole : nil
}

/// Whether a text's first byte behind white space can begin a number.
public func mayBeNumber<Text: Collection<UInt8>>(_ text: Text) -> Bool {
  guard let first = text.first(where: { !isSpace($0) && $0 != 0x0b }) else { return false }
  return beginsNumber(first)
}

@inline(__always)
func beginsNumber(_ byte: UInt8) -> Bool {
  isDigit(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
}
