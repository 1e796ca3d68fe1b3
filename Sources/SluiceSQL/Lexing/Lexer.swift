// Cuts SQL text into tokens by the rules of SQLite's tokenize.c. Zero-copy.
// Unsafe by nature: named in the tidy test. Every read is behind a compare with `count`.

/// A cursor over SQL text. Valid as long as the text's memory.
public struct Lexer {
  @usableFromInline let base: UnsafePointer<UInt8>
  @usableFromInline let count: Int
  /// Where the next token is looked for.
  public var offset: Int

  public init(_ bytes: UnsafeRawBufferPointer, offset: Int = 0) {
    // Without text there is still something to point at.
    base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? StaticString("").utf8Start
    count = bytes.count
    self.offset = min(max(offset, 0), bytes.count)
  }

  init(base: UnsafePointer<UInt8>, count: Int) {
    self.base = base
    self.count = count
    offset = 0
  }

  /// The next token behind white space and comments. A comment that the end cuts is a comment, as in SQLite.
  public mutating func next() -> Token {
    offset = skipBlank(from: offset)
    let start = offset
    guard start < count else { return Token(kind: .end, start: start, end: start) }
    let kind = scan(base[start])
    return Token(kind: kind, start: start, end: offset)
  }

  /// The first offset at or behind `start` that is neither white space nor comment.
  func skipBlank(from start: Int) -> Int {
    var i = start
    while i < count {
      let byte = base[i]
      if isSpace(byte) {
        i += 1
      } else if byte == UInt8(ascii: "-"), i + 1 < count, base[i + 1] == UInt8(ascii: "-") {
        while i < count, base[i] != 0x0a { i += 1 }
      } else if byte == UInt8(ascii: "/"), i + 1 < count, base[i + 1] == UInt8(ascii: "*") {
        i = endOfBlockComment(from: i + 2)
      } else if byte == 0xef, i + 2 < count, base[i + 1] == 0xbb, base[i + 2] == 0xbf {
        i += 3  // a byte order mark
      } else {
        break
      }
    }
    return i
  }

  private func endOfBlockComment(from start: Int) -> Int {
    var i = start
    while i + 1 < count {
      if base[i] == UInt8(ascii: "*"), base[i + 1] == UInt8(ascii: "/") { return i + 2 }
      i += 1
    }
    return count
  }

  private mutating func scan(_ byte: UInt8) -> TokenKind {
    if byte == UInt8(ascii: "x") || byte == UInt8(ascii: "X"), peek(1) == UInt8(ascii: "'") { return scanBlob() }
    if isLetter(byte) || byte == UInt8(ascii: "_") || byte >= 0x80 { return scanWord() }
    if isDigit(byte) { return scanNumber() }
    switch byte {
    case UInt8(ascii: "'"): return scanQuoted(byte, as: .string)
    case UInt8(ascii: "\""), UInt8(ascii: "`"): return scanQuoted(byte, as: .quotedName)
    case UInt8(ascii: "["): return scanBracketed()
    case UInt8(ascii: "."):
      if let next = peek(1), isDigit(next) { return scanNumber() }
      return take(1, .dot)
    case UInt8(ascii: "?"), UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: "$"), UInt8(ascii: "#"):
      return scanVariable(byte)
    default: return scanSign(byte)
    }
  }

  private func peek(_ distance: Int) -> UInt8? {
    offset + distance < count ? base[offset + distance] : nil
  }

  private mutating func take(_ size: Int, _ kind: TokenKind) -> TokenKind {
    offset += size
    return kind
  }

  private mutating func scanWord() -> TokenKind {
    while offset < count, isWordByte(base[offset]) { offset += 1 }
    return .word
  }

  private mutating func scanQuoted(_ quote: UInt8, as kind: TokenKind) -> TokenKind {
    offset += 1
    while offset < count {
      let byte = base[offset]
      if byte == quote {
        guard peek(1) == quote else { return take(1, kind) }
        offset += 2
      } else if byte == 0 {
        return .illegal
      } else {
        offset += 1
      }
    }
    return .illegal
  }

  private mutating func scanBracketed() -> TokenKind {
    while offset < count, base[offset] != UInt8(ascii: "]"), base[offset] != 0 { offset += 1 }
    return peek(0) == UInt8(ascii: "]") ? take(1, .quotedName) : .illegal
  }

  private mutating func scanBlob() -> TokenKind {
    offset += 2
    let digits = offset
    while let byte = peek(0), hexValue(byte) != nil { offset += 1 }
    if peek(0) == UInt8(ascii: "'"), (offset - digits) % 2 == 0 { return take(1, .blob) }
    while let byte = peek(0), byte != UInt8(ascii: "'") { offset += 1 }
    if offset < count { offset += 1 }
    return .illegal
  }

  private mutating func scanNumber() -> TokenKind {
    var kind = TokenKind.integer
    if base[offset] == UInt8(ascii: "0"), let x = peek(1), lowered(x) == UInt8(ascii: "x"),
      let digit = peek(2), hexValue(digit) != nil
    {
      offset += 2
      while let byte = peek(0), hexValue(byte) != nil { offset += 1 }
    } else {
      skipDigits()
      if peek(0) == UInt8(ascii: ".") {
        kind = .real
        offset += 1
        skipDigits()
      }
      if skipExponent() { kind = .real }
    }
    // A number that a word follows at once (12ab) is no token.
    var isClean = true
    while let byte = peek(0), isWordByte(byte) {
      isClean = false
      offset += 1
    }
    return isClean ? kind : .illegal
  }

  private mutating func skipDigits() {
    while offset < count, isDigit(base[offset]) { offset += 1 }
  }

  private mutating func skipExponent() -> Bool {
    guard let e = peek(0), lowered(e) == UInt8(ascii: "e"), let first = peek(1) else { return false }
    let isSigned = first == UInt8(ascii: "+") || first == UInt8(ascii: "-")
    guard let digit = isSigned ? peek(2) : first, isDigit(digit) else { return false }
    offset += isSigned ? 2 : 1
    skipDigits()
    return true
  }

  private mutating func scanVariable(_ sign: UInt8) -> TokenKind {
    let start = offset
    offset += 1
    if sign == UInt8(ascii: "?") {
      skipDigits()
      return .variable
    }
    while let byte = peek(0), isWordByte(byte) { offset += 1 }
    return offset > start + 1 ? .variable : .illegal
  }

  private mutating func scanSign(_ byte: UInt8) -> TokenKind {
    switch byte {
    case UInt8(ascii: "("): return take(1, .leftParen)
    case UInt8(ascii: ")"): return take(1, .rightParen)
    case UInt8(ascii: ","): return take(1, .comma)
    case UInt8(ascii: ";"): return take(1, .semicolon)
    case UInt8(ascii: "+"): return take(1, .plus)
    case UInt8(ascii: "*"): return take(1, .star)
    case UInt8(ascii: "-"):
      guard peek(1) == UInt8(ascii: ">") else { return take(1, .minus) }
      return take(peek(2) == UInt8(ascii: ">") ? 3 : 2, .sign)
    case UInt8(ascii: "="): return peek(1) == byte ? take(2, .equal) : take(1, .equal)
    case UInt8(ascii: "<"):
      let next = peek(1)
      return take(next == UInt8(ascii: "=") || next == UInt8(ascii: ">") || next == byte ? 2 : 1, .sign)
    case UInt8(ascii: ">"): return take(peek(1) == UInt8(ascii: "=") || peek(1) == byte ? 2 : 1, .sign)
    case UInt8(ascii: "!"): return peek(1) == UInt8(ascii: "=") ? take(2, .sign) : take(1, .illegal)
    case UInt8(ascii: "|"): return take(peek(1) == byte ? 2 : 1, .sign)
    case UInt8(ascii: "/"), UInt8(ascii: "%"), UInt8(ascii: "&"), UInt8(ascii: "~"): return take(1, .sign)
    default: return take(1, .illegal)
    }
  }
}

extension Lexer {
  /// The token's bytes as text; what is not UTF-8 becomes U+FFFD.
  public func text(_ token: Token) -> String { text(token.start..<token.end) }

  func text(_ range: Range<Int>) -> String {
    String(decoding: UnsafeBufferPointer(start: base + range.lowerBound, count: range.count), as: UTF8.self)
  }

  /// Whether the token is the bare word `word` (upper case), in any case.
  func isWord(_ token: Token, _ word: StaticString) -> Bool {
    token.kind == .word && word.matches(base + token.start, count: token.size)
  }

  /// What a quoted token stands for: without its quotes, doubled quotes made one.
  func unquoted(_ token: Token) -> [UInt8] {
    let quote = base[token.start]
    var result: [UInt8] = []
    result.reserveCapacity(token.size)
    var i = token.start + 1
    while i < token.end - 1 {
      result.append(base[i])
      i += quote != UInt8(ascii: "[") && base[i] == quote ? 2 : 1
    }
    return result
  }

  /// The bytes of an X'…' token.
  func blobBytes(_ token: Token) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(token.size / 2)
    var i = token.start + 2
    while i + 1 < token.end {
      result.append((hexValue(base[i]) ?? 0) << 4 | (hexValue(base[i + 1]) ?? 0))
      i += 2
    }
    return result
  }
}
