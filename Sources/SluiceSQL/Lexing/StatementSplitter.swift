// Finds where a statement ends in text that may still be arriving.
// Unsafe by nature: named in the tidy test. Every read is behind a compare with the text's count.
//
// The rules are those of sqlite3_complete(): a `;` ends a statement outside quotes, brackets and comments; a CREATE
// TRIGGER ends with `END;`. Only the first words decide whether a statement is a trigger, so behind them the scan
// looks for a dozen bytes. It never goes back: text that comes in pieces is read once.

/// What stands at the start of the text.
public enum Split: Equatable, Sendable {
  /// A statement, its semicolon included. `leadingLineFeeds` are in front of it, `lineFeeds` inside.
  /// `isTerminated` is false where the text ends without a semicolon.
  case statement(range: Range<Int>, leadingLineFeeds: Int, lineFeeds: Int, isTerminated: Bool)
  /// White space, comments and lone semicolons, `skip` bytes of them, and no statement yet.
  case blank(skip: Int, lineFeeds: Int)
  /// A statement begins, or a comment; the text ends inside it.
  case incomplete
}

/// The state of one scan. After `incomplete` the next call continues it: its text begins with the same bytes as the
/// last one's. After any other answer the next call begins anew, at the text behind what was answered.
public struct StatementSplitter: Sendable {
  /// What the first words have made of the statement, as in sqlite3_complete().
  enum Phase: Sendable {
    case start
    case explain
    case create
    case plain
    case trigger
    case triggerSemicolon
    case triggerEnd
  }

  /// What the scan stands in.
  enum Place: Equatable, Sendable {
    case code
    case word(start: Int)
    case quote(UInt8)
    case lineComment
    case blockComment
  }

  private var phase = Phase.start
  private var place = Place.code
  private var position = 0
  private var hasBegun = false
  private var start = 0
  private var lineFeeds = 0
  private var leadingLineFeeds = 0

  public init() {}

  /// One scan of a text that is all there or `atEnd`.
  public static func next(in bytes: UnsafeRawBufferPointer, atEnd: Bool) -> Split {
    var splitter = StatementSplitter()
    return splitter.next(in: bytes, atEnd: atEnd)
  }

  /// What stands at the start of `bytes`. `atEnd`: no more text will follow. Cost: about 0.5 ns a byte.
  public mutating func next(in bytes: UnsafeRawBufferPointer, atEnd: Bool) -> Split {
    guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
      return phase == .start ? answer(.blank(skip: 0, lineFeeds: 0)) : .incomplete
    }
    let end = scan(base, bytes.count, atEnd)
    if let end {
      return answer(
        .statement(
          range: start..<end, leadingLineFeeds: leadingLineFeeds, lineFeeds: lineFeeds, isTerminated: true))
    }
    if phase == .start, atEnd || place == .code {
      // A byte that may begin a comment waits for the next one.
      if position < bytes.count, position == 0, !atEnd { return .incomplete }
      return answer(.blank(skip: atEnd ? bytes.count : position, lineFeeds: lineFeeds))
    }
    guard atEnd else { return .incomplete }
    return answer(
      .statement(
        range: start..<bytes.count, leadingLineFeeds: leadingLineFeeds, lineFeeds: lineFeeds, isTerminated: false))
  }

  private mutating func answer(_ split: Split) -> Split {
    self = StatementSplitter()
    return split
  }

  /// Goes on from `position`; returns the offset behind the closing semicolon, or nil at the end of the text.
  private mutating func scan(_ base: UnsafePointer<UInt8>, _ count: Int, _ atEnd: Bool) -> Int? {
    while position < count {
      switch place {
      case .code:
        if phase == .plain { skipPlain(base, count) }
        guard position < count else { return nil }
        if take(base, count, atEnd) {
          if phase == .plain || phase == .triggerEnd || phase == .explain || phase == .create { return position }
          if phase == .trigger { phase = .triggerSemicolon }
        } else if place == .code, position < count, isWaiting(base, count, atEnd) {
          return nil
        }
      case .word(let first): endWord(base, count, first, atEnd)
      case .quote(let quote): skip(to: quote, base, count)
      case .lineComment: skip(to: 0x0a, base, count)
      case .blockComment:
        if !skipBlockComment(base, count) { return nil }
      }
    }
    // A word that the last byte ends is one all the same.
    if atEnd, case .word(let first) = place { endWord(base, count, first, atEnd) }
    return nil
  }

  /// A `-` or `/` as the last byte: the next one says whether a comment begins.
  private func isWaiting(_ base: UnsafePointer<UInt8>, _ count: Int, _ atEnd: Bool) -> Bool {
    !atEnd && position == count - 1 && (base[position] == UInt8(ascii: "-") || base[position] == UInt8(ascii: "/"))
  }

  /// Takes one byte of code; true for a semicolon of a statement.
  private mutating func take(_ base: UnsafePointer<UInt8>, _ count: Int, _ atEnd: Bool) -> Bool {
    let byte = base[position]
    if isSpace(byte) {
      if byte == 0x0a { lineFeeds += 1 }
      position += 1
      return false
    }
    if byte == UInt8(ascii: "-") || byte == UInt8(ascii: "/") {
      if isWaiting(base, count, atEnd) { return false }
      let next = position + 1 < count ? base[position + 1] : 0
      if byte == UInt8(ascii: "-"), next == byte {
        place = .lineComment
        position += 2
        return false
      }
      if byte == UInt8(ascii: "/"), next == UInt8(ascii: "*") {
        place = .blockComment
        position += 2
        return false
      }
    }
    if byte == UInt8(ascii: ";") {
      position += 1
      return phase != .start
    }
    begin()
    if isLetter(byte) || byte == UInt8(ascii: "_") || byte >= 0x80 {
      if phase != .plain {
        place = .word(start: position)
        position += 1
        return false
      }
    } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "`") {
      place = .quote(byte)
    } else if byte == UInt8(ascii: "[") {
      place = .quote(UInt8(ascii: "]"))
    }
    note(.other)
    position += 1
    return false
  }

  /// Behind the first words only quotes, brackets, comments and semicolons matter. Stops in front of what may be a
  /// comment or the end; quoted runs are passed over on the way.
  private mutating func skipPlain(_ base: UnsafePointer<UInt8>, _ count: Int) {
    var i = position
    while i < count {
      let byte = base[i]
      switch byte {
      case 0x0a: lineFeeds &+= 1
      case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"), UInt8(ascii: "["):
        let stop = byte == UInt8(ascii: "[") ? UInt8(ascii: "]") : byte
        position = i &+ 1
        place = .quote(stop)
        skip(to: stop, base, count)
        guard place == .code else { return }
        i = position
        continue
      case UInt8(ascii: "-"), UInt8(ascii: "/"), UInt8(ascii: ";"):
        position = i
        return
      default: break
      }
      i &+= 1
    }
    position = i
  }

  /// The first byte of a statement: what stands in front of it is counted apart.
  private mutating func begin() {
    guard !hasBegun else { return }
    hasBegun = true
    start = position
    leadingLineFeeds = lineFeeds
    lineFeeds = 0
  }
}

// MARK: Words

extension StatementSplitter {
  private enum Word {
    case other
    case create
    case temporary
    case trigger
    case explain
    case end
  }

  private mutating func endWord(_ base: UnsafePointer<UInt8>, _ count: Int, _ first: Int, _ atEnd: Bool) {
    while position < count, isWordByte(base[position]) { position += 1 }
    if position == count, !atEnd { return }
    place = .code
    note(kind(base + first, position - first))
  }

  private func kind(_ word: UnsafePointer<UInt8>, _ size: Int) -> Word {
    if StaticString("CREATE").matches(word, count: size) { return .create }
    if StaticString("TEMP").matches(word, count: size) { return .temporary }
    if StaticString("TEMPORARY").matches(word, count: size) { return .temporary }
    if StaticString("TRIGGER").matches(word, count: size) { return .trigger }
    if StaticString("EXPLAIN").matches(word, count: size) { return .explain }
    if StaticString("END").matches(word, count: size) { return .end }
    return .other
  }

  /// The table of sqlite3_complete(), without its row for semicolons.
  private mutating func note(_ word: Word) {
    switch phase {
    case .start: phase = word == .explain ? .explain : word == .create ? .create : .plain
    case .explain: phase = word == .create ? .create : word == .other ? .explain : .plain
    case .create: phase = word == .trigger ? .trigger : word == .temporary ? .create : .plain
    case .plain: break
    case .trigger, .triggerEnd: phase = .trigger
    case .triggerSemicolon: phase = word == .end ? .triggerEnd : .trigger
    }
  }

  /// Goes behind the next `stop` byte and back to code, eight bytes at a time where nothing is in them.
  private mutating func skip(to stop: UInt8, _ base: UnsafePointer<UInt8>, _ count: Int) {
    let stops = UInt64(stop) &* 0x0101_0101_0101_0101
    var i = position
    while i < count {
      while count &- i >= 8 {
        let word = UnsafeRawPointer(base + i).loadUnaligned(as: UInt64.self)
        if zeroBytes(word ^ stops) | zeroBytes(word ^ 0x0a0a_0a0a_0a0a_0a0a) != 0 { break }
        i &+= 8
      }
      guard i < count else { break }
      // The byte that stopped the words is among the next eight.
      let end = min(i &+ 8, count)
      while i < end {
        let byte = base[i]
        i &+= 1
        if byte == 0x0a { lineFeeds &+= 1 }
        if byte == stop {
          place = .code
          position = i
          return
        }
      }
    }
    position = i
  }

  /// False: the text ends inside the comment; its last byte is looked at again, for it may be half of `*/`.
  private mutating func skipBlockComment(_ base: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    while position < count {
      let byte = base[position]
      if byte == UInt8(ascii: "*") {
        guard position + 1 < count else { return false }
        if base[position + 1] == UInt8(ascii: "/") {
          position += 2
          place = .code
          return true
        }
      } else if byte == 0x0a {
        lineFeeds += 1
      }
      position += 1
    }
    return false
  }
}
