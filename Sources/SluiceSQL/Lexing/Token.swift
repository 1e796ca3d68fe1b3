// The tokens of SQLite's dialect, as kinds and byte ranges: no text is copied.

/// What a token is. Operators that Sluice never looks into share one kind.
public enum TokenKind: UInt8, Sendable {
  /// The text is over.
  case end
  /// A bare word: a keyword or a name.
  case word
  /// A name in double quotes, back ticks or brackets.
  case quotedName
  /// A text in single quotes.
  case string
  /// X'…' with an even number of hexadecimal digits.
  case blob
  /// Decimal or 0x… digits.
  case integer
  /// Digits with a point or an exponent.
  case real
  /// ?, ?1, :a, @a, $a, #a.
  case variable
  case leftParen
  case rightParen
  case comma
  case semicolon
  case dot
  case plus
  case minus
  case star
  case equal
  /// Any other operator: || << >> <= >= <> != == < > & | ~ / % -> ->>.
  case sign
  /// Bytes that no token begins with, or a token that the end of the text cuts.
  case illegal
}

/// One token: its kind and where it stands, in bytes from the start of the text.
public struct Token: Sendable, Equatable {
  public let kind: TokenKind
  public let start: Int
  public let end: Int

  @inlinable
  init(kind: TokenKind, start: Int, end: Int) {
    self.kind = kind
    self.start = start
    self.end = end
  }

  /// Size in bytes.
  public var size: Int { end - start }
}
