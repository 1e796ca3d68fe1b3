// What a byte can be in SQL text: SQLite's classes (tokenize.c), as functions the optimiser turns into compares.

@inlinable @inline(__always)
func isSpace(_ byte: UInt8) -> Bool {
  byte == 0x20 || (byte >= 0x09 && byte <= 0x0d && byte != 0x0b)
}

@inlinable @inline(__always)
func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

@inlinable @inline(__always)
func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

/// Bytes that a word goes on with: letters, digits, `_`, `$` and all of UTF-8 beyond ASCII.
@inlinable @inline(__always)
func isWordByte(_ byte: UInt8) -> Bool {
  isLetter(byte) || isDigit(byte) || byte == 0x5f || byte == 0x24 || byte >= 0x80
}

/// The value of a hexadecimal digit, or nil.
@inlinable @inline(__always)
func hexValue(_ byte: UInt8) -> UInt8? {
  if isDigit(byte) { return byte &- 0x30 }
  let letter = (byte | 0x20) &- 0x61
  return letter < 6 ? letter &+ 10 : nil
}

/// ASCII only, as SQLite folds names and keywords.
@inlinable @inline(__always)
func lowered(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

/// Whether two names are one to SQLite: equal but for the case of ASCII letters.
public func sameName(_ a: String, _ b: String) -> Bool {
  a.utf8.elementsEqual(b.utf8) { lowered($0) == lowered($1) }
}

/// The form of a name under which two names that are one to SQLite are equal.
public func folded(_ name: String) -> String {
  String(decoding: name.utf8.map(lowered), as: UTF8.self)
}

extension StaticString {
  /// Whether `bytes` are this upper-case word in any case.
  @inline(__always)
  func matches(_ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
    guard count == utf8CodeUnitCount else { return false }
    for i in 0..<count where bytes[i] & (isLetter(bytes[i]) ? 0xdf : 0xff) != utf8Start[i] { return false }
    return true
  }
}
