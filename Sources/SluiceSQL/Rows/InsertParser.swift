// The rows of an INSERT: text to encoded cells, with no tree, no allocation and no copy of a literal but the one.
// Unsafe by nature: named in the tidy test. Every read is behind a compare with `end`.
//
// A value is a plain literal (number, text, blob, NULL, TRUE, FALSE) with `,` or `)` behind it; then it is stored on
// the spot, with SQLite's affinity rules. Anything else is an expression: its end is found by the lexer and SQLite
// evaluates it. Where the text ends inside a row the answer is `needMore`, at any byte.
// Cost: about 1 ns a byte.
import SluiceSystem

public enum InsertParser {
  public enum RowResult: Equatable, Sendable {
    /// The row's cells are in the builder and the cursor is behind its `)`.
    case row
    /// The text ends inside the row; the cursor has not moved.
    case needMore
  }

  public enum Delimiter: Equatable, Sendable {
    /// A comma: another row follows.
    case row
    /// A semicolon, or the end of the text: the statement is over.
    case statementEnd
    case needMore
  }

  /// Reads the statement up to and with VALUES. `bytes` reach that far at least, or are the whole statement.
  /// Throws syntax, incomplete, unsupported.
  public static func parseHeader(_ bytes: UnsafeRawBufferPointer) throws(SQLError) -> InsertHeader {
    var parser = try Parser(bytes)
    return try parser.insertHeader()
  }

  /// Reads one row, from `(` through `)`, into `builder`; white space and comments may stand in front.
  /// On `needMore` and on an error the cursor has not moved and the builder holds no row. Errors count their offset
  /// from the cursor. `evaluator` is called for values that are no plain literals only.
  public static func parseRow(
    cursor: inout UnsafePointer<UInt8>, end: UnsafePointer<UInt8>, shape: borrowing InsertShape,
    into builder: inout RowBuilder, evaluator: any ValueEvaluator
  ) throws(SQLError) -> RowResult {
    var p = skipBlank(cursor, end)
    guard p < end else { return .needMore }
    guard p.pointee == UInt8(ascii: "(") else { return try noRow(end, from: cursor) }
    p += 1
    builder.begin(shape)
    let valueCount = shape.valueCount
    let places = shape.places
    var position = 0
    while true {
      p = skipBlank(p, end)
      guard p < end else { return .needMore }
      guard position < valueCount else { return try countValues(cursor, end, shape) }
      let start = p
      let mark = builder.used
      let column = places[position].column
      let affinity = places[position].affinity
      switch parseLiteral(&p, end, column, affinity, &builder) {
      case .stored: if !isDelimiter(p, end) { p = skipBlank(p, end) }
      case .other: break
      case .invalid: throw badText(start, end, from: cursor)
      }
      // A literal with more behind it is an expression, and so is all that is no literal.
      if p == start || (p < end && !isDelimiter(p, end)) {
        builder.rewind(to: mark)
        let last = try expressionEnd(start, end, from: cursor)
        guard let last else { return .needMore }
        let value = try evaluate(start, last, affinity, evaluator, from: cursor)
        builder.put(value, at: column)
        p = skipBlank(last, end)
      }
      guard p < end else { return .needMore }
      guard builder.used <= RowFormat.maximumSize else { throw tooBig(start, from: cursor) }
      position &+= 1
      let delimiter = p.pointee
      p += 1
      if delimiter == UInt8(ascii: ")") { break }
    }
    guard position == valueCount else { return try countValues(cursor, end, shape) }
    cursor = p
    return .row
  }

  /// Reads what stands behind a row and moves the cursor behind it. `atEnd`: no more text can follow `end`.
  /// Throws evaluated for ON CONFLICT and RETURNING, syntax for anything else.
  public static func nextDelimiter(
    cursor: inout UnsafePointer<UInt8>, end: UnsafePointer<UInt8>, atEnd: Bool
  ) throws(SQLError) -> Delimiter {
    let p = skipBlank(cursor, end)
    if p < end, p.pointee == UInt8(ascii: ",") || p.pointee == UInt8(ascii: ";") {
      cursor = p + 1
      return p.pointee == UInt8(ascii: ",") ? .row : .statementEnd
    }
    return try slowDelimiter(cursor: &cursor, end: end, atEnd: atEnd)
  }
}

// MARK: Literals

private enum Literal {
  /// The value is in the builder and `p` is behind it, if nothing else belongs to it.
  case stored
  /// No plain literal; `p` is at its start.
  case other
  /// A text with a NUL or with bytes that are not UTF-8.
  case invalid
}

extension InsertParser {
  @inline(__always)
  private static func parseLiteral(
    _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ column: Int, _ affinity: Affinity,
    _ builder: inout RowBuilder
  ) -> Literal {
    let first = p.pointee
    if isDigit(first) || first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
      let start = p
      if store(readNumber(&p, end), column, affinity, &builder) { return .stored }
      p = start
      return .other
    }
    if first == UInt8(ascii: "'") { return parseText(&p, end, column, affinity, &builder) }
    return parseWord(&p, end, column, affinity, &builder)
  }

  /// Stores a number with its affinity; false where SQLite must do it.
  @inline(__always)
  static func store(
    _ number: NumberLiteral, _ column: Int, _ affinity: Affinity, _ builder: inout RowBuilder
  ) -> Bool {
    switch number {
    case .integer(let value):
      if affinity == .real {
        builder.put(real: Double(value), at: column)
      } else if affinity == .text {
        builder.put(decimal: value, at: column)
      } else {
        builder.put(integer: value, at: column)
      }
    case .real(let value):
      if affinity == .text { return false }
      if affinity == .integer || affinity == .numeric, let whole = integralValue(value) {
        builder.put(integer: whole, at: column)
      } else if affinity == .real {
        builder.put(real: storedReal(value), at: column)
      } else {
        builder.put(real: value, at: column)
      }
    case .other: return false
    }
    return true
  }

  @inline(__always)
  private static func parseText(
    _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ column: Int, _ affinity: Affinity,
    _ builder: inout RowBuilder
  ) -> Literal {
    let start = p + 1
    let scan = scanText(start, end)
    guard let close = scan.close else {
      if scan.hasNUL { return .invalid }
      p = end
      return .stored
    }
    let size = close - start
    if !scan.isASCII, !isText(UnsafeRawBufferPointer(start: start, count: size)) { return .invalid }
    if affinity.rawValue >= Affinity.numeric.rawValue {
      switch storeNumber(start, close, column, affinity, &builder) {
      case .stored:
        p = close + 1
        return .stored
      case .other: return .other
      case .invalid: break
      }
    }
    let stored = size &- scan.quotes
    let target = builder.open(size: stored, isText: true, at: column)
    if scan.quotes == 0 {
      copyText(start, size, to: target, end)
    } else {
      _ = copyUnquoted(start, close, to: target, end)
    }
    builder.close(size: stored)
    p = close + 1
    return .stored
  }

  /// A text in a numeric column: a number if all of it spells one, left to SQLite if it may be one in another way;
  /// `invalid` here says that it certainly stays a text.
  @inline(never)
  private static func storeNumber(
    _ start: UnsafePointer<UInt8>, _ close: UnsafePointer<UInt8>, _ column: Int, _ affinity: Affinity,
    _ builder: inout RowBuilder
  ) -> Literal {
    var p = start
    while p < close, isSpace(p.pointee) || p.pointee == 0x0b { p += 1 }
    guard p < close, beginsNumber(p.pointee) else { return .invalid }
    let number = readNumber(&p, close)
    return p == close && store(number, column, affinity, &builder) ? .stored : .other
  }

  /// NULL, TRUE, FALSE and X'…'.
  @inline(__always)
  private static func parseWord(
    _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ column: Int, _ affinity: Affinity,
    _ builder: inout RowBuilder
  ) -> Literal {
    switch p.pointee | 0x20 {
    case UInt8(ascii: "n"):
      guard isWord("NULL", p, end) else { return .other }
      builder.putNull(at: column)
      p += 4
    case UInt8(ascii: "t"):
      guard isWord("TRUE", p, end) else { return .other }
      _ = store(.integer(1), column, affinity, &builder)
      p += 4
    case UInt8(ascii: "f"):
      guard isWord("FALSE", p, end) else { return .other }
      _ = store(.integer(0), column, affinity, &builder)
      p += 5
    case UInt8(ascii: "x"): return parseBlob(&p, end, column, &builder)
    default: return .other
    }
    return .stored
  }

  /// Whether the whole word at `p` is `word`. A word that touches `end` counts as whole: nothing is decided then.
  @inline(__always)
  private static func isWord(_ word: StaticString, _ p: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Bool {
    let size = word.utf8CodeUnitCount
    guard end - p >= size, word.matches(p, count: size) else { return false }
    return end - p == size || !isWordByte(p[size])
  }

  @inline(never)
  private static func parseBlob(
    _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ column: Int, _ builder: inout RowBuilder
  ) -> Literal {
    guard end - p >= 2, p[1] == UInt8(ascii: "'") else { return .other }
    let start = p + 2
    var close = start
    while close < end, hexValue(close.pointee) != nil { close += 1 }
    guard close < end, close.pointee == UInt8(ascii: "'"), (close - start) % 2 == 0 else { return .other }
    let size = (close - start) / 2
    let output = builder.open(size: size, isText: false, at: column).assumingMemoryBound(to: UInt8.self)
    for i in 0..<size {
      output[i] = (hexValue(start[2 * i]) ?? 0) << 4 | (hexValue(start[2 * i + 1]) ?? 0)
    }
    builder.close(size: size)
    p = close + 1
    return .stored
  }
}

// MARK: Slow branches

extension InsertParser {
  /// Where the expression at `start` ends: behind its last token before a `,` or `)` that is its own. Nil: the text
  /// ends first.
  @inline(never)
  private static func expressionEnd(
    _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, from cursor: UnsafePointer<UInt8>
  ) throws(SQLError) -> UnsafePointer<UInt8>? {
    var lexer = Lexer(base: start, count: end - start)
    var depth = 0
    var last = 0
    while true {
      let token = lexer.next()
      let isWrong: Bool
      switch token.kind {
      case .end: return nil
      case .illegal:
        if token.end == lexer.count { return nil }
        isWrong = true
      case .semicolon: isWrong = true
      case .comma, .rightParen:
        if depth == 0 && last > 0 { return start + last }
        isWrong = depth == 0
        if token.kind == .rightParen { depth -= 1 }
      case .leftParen:
        depth += 1
        isWrong = false
      default: isWrong = last == 0 && lexer.isWord(token, "DEFAULT") && token.end < lexer.count
      }
      if isWrong { throw SQLError.unexpected(token, in: lexer).moved(by: start - cursor) }
      last = token.end
    }
  }

  private static func evaluate(
    _ start: UnsafePointer<UInt8>, _ last: UnsafePointer<UInt8>, _ affinity: Affinity,
    _ evaluator: any ValueEvaluator, from cursor: UnsafePointer<UInt8>
  ) throws(SQLError) -> Value {
    let text = UnsafeRawBufferPointer(start: start, count: last - start)
    let value: Value
    do {
      value = try evaluator.evaluate(text, affinity: affinity)
    } catch {
      throw error.moved(by: start - cursor)
    }
    guard case .text(let bytes) = value else { return value }
    if bytes.withUnsafeBytes({ isText($0) }) { return value }
    throw SQLError(.invalid, "a text value holds a NUL or is not UTF-8", offset: start - cursor)
  }

  /// Throws SQLite's words about a row with too few or too many values, once the whole row is there.
  @inline(never)
  private static func countValues(
    _ cursor: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ shape: borrowing InsertShape
  ) throws(SQLError) -> RowResult {
    var lexer = Lexer(base: cursor, count: end - cursor)
    let open = lexer.next()
    var depth = 0
    var count = 1
    while true {
      let token = lexer.next()
      switch token.kind {
      case .end: return .needMore
      case .illegal where token.end == lexer.count: return .needMore
      case .illegal, .semicolon: throw SQLError.unexpected(token, in: lexer)
      case .comma: count += depth == 0 ? 1 : 0
      case .leftParen: depth += 1
      case .rightParen:
        if depth == 0 { throw SQLError(.invalid, shape.wrongCount(count), offset: open.start) }
        depth -= 1
      default: break
      }
    }
  }

  @inline(never)
  private static func slowDelimiter(
    cursor: inout UnsafePointer<UInt8>, end: UnsafePointer<UInt8>, atEnd: Bool
  ) throws(SQLError) -> Delimiter {
    var lexer = Lexer(base: cursor, count: end - cursor)
    let token = lexer.next()
    if token.end == lexer.count, !atEnd { return .needMore }
    if token.kind == .end {
      cursor = end
      return .statementEnd
    }
    if lexer.isWord(token, "ON") || lexer.isWord(token, "RETURNING") {
      throw SQLError(.evaluated, "SQLite evaluates this INSERT", offset: token.start)
    }
    throw SQLError.unexpected(token, in: lexer)
  }

  /// Something else stands where a row begins; as the last bytes it may be half of a comment.
  @inline(never)
  private static func noRow(
    _ end: UnsafePointer<UInt8>, from cursor: UnsafePointer<UInt8>
  ) throws(SQLError) -> RowResult {
    var lexer = Lexer(base: cursor, count: end - cursor)
    let token = lexer.next()
    // A `-`, a `/`, or the first bytes of a byte order mark, which look like a word.
    let mayGoOn = token.kind == .minus || token.kind == .sign || lexer.base[token.start] == 0xef
    if token.end == lexer.count, mayGoOn { return .needMore }
    throw SQLError.unexpected(token, in: lexer)
  }

  @inline(never)
  private static func badText(
    _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, from cursor: UnsafePointer<UInt8>
  ) -> SQLError {
    var lexer = Lexer(base: start, count: end - start)
    let token = lexer.next()
    if token.kind == .illegal { return SQLError.unexpected(token, in: lexer).moved(by: start - cursor) }
    return SQLError(.syntax, "a text literal is not UTF-8", offset: start - cursor)
  }

  @inline(never)
  private static func tooBig(_ start: UnsafePointer<UInt8>, from cursor: UnsafePointer<UInt8>) -> SQLError {
    SQLError(.invalid, "string or blob too big: a row may have \(RowFormat.maximumSize) bytes", offset: start - cursor)
  }
}

/// Whether a comma or a closing parenthesis stands at `p`.
@inline(__always)
private func isDelimiter(_ p: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Bool {
  p < end && (p.pointee == UInt8(ascii: ",") || p.pointee == UInt8(ascii: ")"))
}

/// The first byte at or behind `p` that is neither white space nor comment, or `end`.
@inline(__always)
private func skipBlank(_ p: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
  var p = p
  if p < end, p.pointee == 0x20 { p += 1 }
  guard p < end else { return end }
  let byte = p.pointee
  if byte > 0x20, byte != UInt8(ascii: "-"), byte != UInt8(ascii: "/"), byte < 0x80 { return p }
  return skipLongBlank(p, end)
}

@inline(never)
private func skipLongBlank(_ p: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
  p + Lexer(base: p, count: end - p).skipBlank(from: 0)
}
