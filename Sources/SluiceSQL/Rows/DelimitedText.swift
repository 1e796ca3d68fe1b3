// Rows of delimited text, such as CSV: bytes to encoded cells, with no tree, no allocation and no copy but the one into
// the row. Unsafe by nature: named in the tidy test. Every read is behind a compare with `end`.
//
//   text    := record*
//   record  := field (columnSeparator field)* rowSeparator      the last one may end with the text instead
//   field   := any bytes but the separators
//            | '"' any bytes, '"' doubled '"'                    quoted text only; separators are bytes of it
//
// What sqlite3's shell makes of it, byte by byte: in quoted text a carriage return in front of the row separator
// belongs to the line end, and a byte order mark in front of the first field is none of it. A quote that is neither
// doubled nor in front of a separator is kept, with a notice; a quoted field that never ends holds the rest of the
// text. A field ends at a NUL. One that would begin at the end of the text is missing, not empty. Lines are counted by
// row separators. Where the text ends inside a record the answer is `needMore`, at any byte.
// Source: https://sqlite.org/cli.html#importing_files_as_csv_or_other_formats and RFC 4180.
// Cost: about 1 ns a byte.
import SluiceSystem

/// How the text is divided.
public struct DelimitedFormat: Sendable {
  public let columnSeparator: UInt8
  public let rowSeparator: UInt8
  /// Whether fields may be quoted, lines end with a carriage return, and a byte order mark stand in front.
  public let isQuoted: Bool
  /// Whether a record whose first field is empty is no row.
  public let skipsEmpty: Bool

  public init(columnSeparator: UInt8, rowSeparator: UInt8, isQuoted: Bool, skipsEmpty: Bool = false) {
    self.columnSeparator = columnSeparator
    self.rowSeparator = rowSeparator
    self.isQuoted = isQuoted
    self.skipsEmpty = skipsEmpty
  }

  /// Whether a number cannot hold a separator.
  fileprivate var keepsNumbers: Bool {
    [columnSeparator, rowSeparator].allSatisfy { !beginsNumber($0) && $0 | 0x20 != UInt8(ascii: "e") }
  }
}

/// Something about a record that does not keep it from being a row.
public enum DelimitedNotice: Equatable, Sendable {
  case unescapedQuote
  case unterminatedQuote
  /// So many fields for so many columns.
  case tooFew(found: Int, expected: Int)
  case tooMany(found: Int, expected: Int)
}

/// Reads one text, piece after piece.
public struct DelimitedReader: ~Copyable {
  public enum RowResult: Equatable, Sendable {
    /// The row's cells are in the builder, unless `obstacle` says why they are not.
    case row
    /// A record that is no row.
    case noRow
    /// The text is over.
    case end
    /// The text ends inside the record; the cursor has not moved.
    case needMore
  }

  public let format: DelimitedFormat
  /// Line on which the next record begins, from 1.
  public private(set) var line = 1
  /// What was noticed about the record read last, and on which line.
  public private(set) var notices: [(line: Int, notice: DelimitedNotice)] = []
  /// Why the row read last cannot be stored.
  public private(set) var obstacle: SQLError?
  /// Columns of the row read last that hold a text of which only SQLite can tell whether it is a number.
  public private(set) var unconverted: [Int] = []

  private let keepsNumbers: Bool
  private let columnSeparators: UInt64
  private let rowSeparators: UInt64
  /// Whether nothing was read yet: a byte order mark may stand here.
  private var isFirst = true
  /// A quoted field without its quotes.
  private var unquoted = ByteBuffer()

  public init(_ format: DelimitedFormat) {
    self.format = format
    keepsNumbers = format.keepsNumbers
    columnSeparators = UInt64(format.columnSeparator) &* 0x0101_0101_0101_0101
    rowSeparators = UInt64(format.rowSeparator) &* 0x0101_0101_0101_0101
  }

  /// What stands behind a field.
  private enum FieldEnd {
    case column
    case row
    case text
  }

  private struct Field {
    var start: UnsafePointer<UInt8>
    var size: Int
    /// Bytes from here on may not be read.
    var limit: UnsafePointer<UInt8>
    var end: FieldEnd
    var isASCII = true
    /// Whether a NUL may be in it.
    var hasNUL = false
    var isMissing = false
  }

  // MARK: Records

  /// Reads one record into `builder` as a row of `shape`, with the affinity of its columns. `isWhole`: no more text
  /// follows `end`.
  public mutating func readRow(
    cursor: inout UnsafePointer<UInt8>, end: UnsafePointer<UInt8>, isWhole: Bool, shape: borrowing InsertShape,
    into builder: inout RowBuilder
  ) -> RowResult {
    invariant(shape.isIdentity, "fields for a part of the columns")
    let mark = begin()
    builder.begin(shape)
    let count = shape.valueCount
    var p = cursor
    var column = 0
    var last = FieldEnd.column
    while column < count {
      let affinity = shape.affinities[column]
      if affinity.rawValue >= Affinity.numeric.rawValue,
        let end = storeNumber(&p, end, column, affinity, &builder)
      {
        last = end
      } else {
        guard let field = readField(&p, end, isWhole) else { return needMore(mark) }
        last = field.end
        if column == 0, field.isMissing {
          cursor = p
          return .end
        }
        if column == 0, format.skipsEmpty, field.size == 0 || field.start.pointee == 0 { break }
        store(field, column, affinity, &builder)
      }
      column &+= 1
      if last != .column, column < count {
        notices.append((mark.line, .tooFew(found: column, expected: count)))
        while column < count {
          builder.putNull(at: column)
          column &+= 1
        }
      }
    }
    if last == .column {
      guard let found = skipFields(&p, end, isWhole, behind: column) else { return needMore(mark) }
      notices.append((mark.line, .tooMany(found: found, expected: count)))
    }
    cursor = p
    return column == count ? .row : .noRow
  }

  /// Reads one record as texts; none at the end of the text, nil where it ends inside the record.
  public mutating func readTexts(
    cursor: inout UnsafePointer<UInt8>, end: UnsafePointer<UInt8>, isWhole: Bool
  ) -> [[UInt8]]? {
    let mark = begin()
    var p = cursor
    var texts: [[UInt8]] = []
    while true {
      guard let field = readField(&p, end, isWhole) else {
        _ = needMore(mark)
        return nil
      }
      if field.isMissing { break }
      let bytes = UnsafeBufferPointer(start: field.start, count: field.size)
      texts.append(Array(bytes.prefix { $0 != 0 }))
      if field.end != .column { break }
    }
    cursor = p
    return texts
  }

  private struct Mark {
    let line: Int
    let isFirst: Bool
  }

  @inline(__always)
  private mutating func begin() -> Mark {
    if !notices.isEmpty { notices.removeAll(keepingCapacity: true) }
    if !unconverted.isEmpty { unconverted.removeAll(keepingCapacity: true) }
    if obstacle != nil { obstacle = nil }
    return Mark(line: line, isFirst: isFirst)
  }

  private mutating func needMore(_ mark: Mark) -> RowResult {
    line = mark.line
    isFirst = mark.isFirst
    notices.removeAll(keepingCapacity: true)
    return .needMore
  }

  /// Reads the fields behind the last column of a row and returns how many the record has.
  @inline(never)
  private mutating func skipFields(
    _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ isWhole: Bool, behind count: Int
  ) -> Int? {
    var found = count
    while true {
      guard let field = readField(&p, end, isWhole) else { return nil }
      found += 1
      if field.end != .column { return found }
    }
  }

  // MARK: Fields

  /// Stores a field that is a plain number, and returns what stands behind it; nil where it is none.
  @inline(__always)
  private mutating func storeNumber(
    _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ column: Int, _ affinity: Affinity,
    _ builder: inout RowBuilder
  ) -> FieldEnd? {
    guard p < end, beginsNumber(p.pointee), keepsNumbers else { return nil }
    var q = p
    let number = readNumber(&q, end)
    guard q < end else { return nil }
    var next = q.pointee
    if next == UInt8(ascii: "\r"), isLineEnd(q, end) {
      q += 1
      next = q.pointee
    }
    guard next == format.columnSeparator || next == format.rowSeparator,
      InsertParser.store(number, column, affinity, &builder)
    else { return nil }
    p = q + 1
    isFirst = false
    return passSeparator(next)
  }

  /// Whether the carriage return at `p` belongs to a line end.
  @inline(__always)
  private func isLineEnd(_ p: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Bool {
    let isSeparator = p.pointee == format.columnSeparator || p.pointee == format.rowSeparator
    return format.isQuoted && !isSeparator && p + 1 < end && p[1] == format.rowSeparator
  }

  /// Counts the separator of a field that ends with one.
  @inline(__always)
  private mutating func passSeparator(_ byte: UInt8) -> FieldEnd {
    if byte == format.rowSeparator { line &+= 1 }
    return byte == format.columnSeparator ? .column : .row
  }

  /// Stores a text field with its column's affinity.
  @inline(__always)
  private mutating func store(
    _ field: Field, _ column: Int, _ affinity: Affinity, _ builder: inout RowBuilder
  ) {
    var size = field.size
    if field.hasNUL { size = UnsafeBufferPointer(start: field.start, count: size).firstIndex(of: 0) ?? size }
    let isNumeric = affinity.rawValue >= Affinity.numeric.rawValue
    if isNumeric || !field.isASCII || field.isMissing || size > RowFormat.maximumSize &- builder.used {
      if !prepare(field, size, column, affinity, &builder) { return }
    }
    let target = builder.open(size: size, isText: true, at: column)
    copyText(field.start, size, to: target, field.limit)
    builder.close(size: size)
  }

  /// What seldom has to be done for a field. False: it has its cell.
  @inline(never)
  private mutating func prepare(
    _ field: Field, _ size: Int, _ column: Int, _ affinity: Affinity, _ builder: inout RowBuilder
  ) -> Bool {
    let bytes = UnsafeRawBufferPointer(start: field.start, count: size)
    if field.isMissing {
      builder.putNull(at: column)
      return false
    }
    if size > RowFormat.maximumSize - builder.used {
      obstacle = SQLError(.invalid, "string or blob too big: a row may have \(RowFormat.maximumSize) bytes", offset: 0)
    } else if !field.isASCII, !isText(bytes) {
      obstacle = SQLError(.invalid, "a text value is not UTF-8", offset: 0)
    } else {
      guard affinity.rawValue >= Affinity.numeric.rawValue, mayBeNumber(bytes) else { return true }
      var p = field.start
      let number = readNumber(&p, field.start + size)
      if p == field.start + size, InsertParser.store(number, column, affinity, &builder) { return false }
      unconverted.append(column)
      return true
    }
    builder.putNull(at: column)
    return false
  }

  /// Reads one field and moves behind its separator; nil where the text ends first and more may follow.
  @inline(__always)
  private mutating func readField(
    _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ isWhole: Bool
  ) -> Field? {
    if isFirst || p == end { return readUncommonField(&p, end, isWhole) }
    if p.pointee == UInt8(ascii: "\""), format.isQuoted { return readQuoted(&p, end, isWhole) }
    return readPlain(&p, end, isWhole)
  }

  /// A field at the beginning of the text, or at the end of what is there of it.
  @inline(never)
  private mutating func readUncommonField(
    _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ isWhole: Bool
  ) -> Field? {
    if isFirst, format.isQuoted {
      let mark: [UInt8] = [0xef, 0xbb, 0xbf]
      guard isWhole || end - p >= mark.count else { return nil }
      if end - p >= mark.count, mark.indices.allSatisfy({ p[$0] == mark[$0] }) { p += mark.count }
    }
    guard p < end else {
      return isWhole ? Field(start: p, size: 0, limit: end, end: .text, isMissing: true) : nil
    }
    isFirst = false
    if p.pointee == UInt8(ascii: "\""), format.isQuoted { return readQuoted(&p, end, isWhole) }
    return readPlain(&p, end, isWhole)
  }

  @inline(__always)
  private mutating func readPlain(
    _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ isWhole: Bool
  ) -> Field? {
    var field = Field(start: p, size: 0, limit: end, end: .text)
    var q = p
    while true {
      q = scan(q, end, &field)
      guard q < end else { return isWhole ? closeAtEnd(field, &p, end) : nil }
      if q.pointee == format.columnSeparator || q.pointee == format.rowSeparator { break }
      field.hasNUL = true
      q += 1
    }
    field.size = q - p
    field.end = passSeparator(q.pointee)
    if q.pointee == format.rowSeparator, format.isQuoted, field.size > 0, q[-1] == UInt8(ascii: "\r") {
      field.size &-= 1
    }
    p = q + 1
    return field
  }

  private func closeAtEnd(_ field: Field, _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Field {
    var field = field
    field.size = end - p
    p = end
    return field
  }

  /// The first separator or NUL at or behind `start`, or `end`; eight bytes at a time.
  @inline(__always)
  private func scan(
    _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ field: inout Field
  ) -> UnsafePointer<UInt8> {
    var p = start
    while end - p >= 8 {
      let word = UInt64(littleEndian: UnsafeRawPointer(p).loadUnaligned(as: UInt64.self))
      let stops = zeroBytes(word ^ columnSeparators) | zeroBytes(word ^ rowSeparators) | zeroBytes(word)
      let high = word & 0x8080_8080_8080_8080
      if stops == 0 {
        if high != 0 { field.isASCII = false }
        p += 8
        continue
      }
      // High bytes in front of the stop belong to the field.
      if high & ((stops & (0 &- stops)) &- 1) != 0 { field.isASCII = false }
      return p + stops.trailingZeroBitCount / 8
    }
    while p < end, p.pointee != format.columnSeparator, p.pointee != format.rowSeparator, p.pointee != 0 {
      if p.pointee >= 0x80 { field.isASCII = false }
      p += 1
    }
    return p
  }
}

// MARK: Quotes

extension DelimitedReader {
  /// A field that begins with a quote. One that ends with the next quote is handed out where it stands.
  @inline(never)
  private mutating func readQuoted(
    _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ isWhole: Bool
  ) -> Field? {
    var field = Field(start: p + 1, size: 0, limit: end, end: .text)
    let close = firstQuote(p + 1, end, &field)
    // What stands behind the last byte may be the second of two quotes.
    guard end - close >= 3 else { return isWhole ? unquote(&p, end, isWhole) : nil }
    let next = close[1] == UInt8(ascii: "\r") && isLineEnd(close + 1, end) ? close + 2 : close + 1
    guard next.pointee == format.columnSeparator || next.pointee == format.rowSeparator, !isDividedByQuotes
    else { return unquote(&p, end, isWhole) }
    field.size = close - field.start
    line &+= countByte(format.rowSeparator, UnsafeRawBufferPointer(start: field.start, count: field.size))
    field.end = passSeparator(next.pointee)
    p = next + 1
    return field
  }

  private var isDividedByQuotes: Bool {
    format.columnSeparator == UInt8(ascii: "\"") || format.rowSeparator == UInt8(ascii: "\"")
  }

  /// The first quote at or behind `start`, or `end`; eight bytes at a time.
  @inline(__always)
  private func firstQuote(
    _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ field: inout Field
  ) -> UnsafePointer<UInt8> {
    var p = start
    while end - p >= 8 {
      let word = UInt64(littleEndian: UnsafeRawPointer(p).loadUnaligned(as: UInt64.self))
      if word & 0x8080_8080_8080_8080 != 0 { field.isASCII = false }
      if zeroBytes(word) != 0 { field.hasNUL = true }
      let stops = zeroBytes(word ^ 0x2222_2222_2222_2222)
      if stops != 0 { return p + stops.trailingZeroBitCount / 8 }
      p += 8
    }
    while p < end, p.pointee != UInt8(ascii: "\"") {
      if p.pointee >= 0x80 { field.isASCII = false }
      if p.pointee == 0 { field.hasNUL = true }
      p += 1
    }
    return p
  }

  /// Any quoted field, as sqlite3 reads it: byte by byte, with the two bytes before in view.
  private mutating func unquote(
    _ p: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ isWhole: Bool
  ) -> Field? {
    let quote = UInt8(ascii: "\"")
    let startLine = line
    unquoted.removeAll()
    var (previous, beforeThat): (UInt8?, UInt8?) = (nil, nil)
    var q = p + 1
    var fieldEnd = FieldEnd.text
    while true {
      guard q < end || isWhole else { return nil }
      let byte = q < end ? q.pointee : nil
      if q < end { q += 1 }
      if byte == format.rowSeparator { line &+= 1 }
      if byte == quote, previous == quote {
        previous = nil
        continue
      }
      let isLineEnd = byte == format.rowSeparator && previous == UInt8(ascii: "\r") && beforeThat == quote
      let isSeparator = byte == nil || byte == format.columnSeparator || byte == format.rowSeparator
      if previous == quote && isSeparator || isLineEnd {
        unquoted.truncate(to: unquoted.bytes.lastIndex(of: quote) ?? 0)
        fieldEnd = byte == nil ? .text : byte == format.columnSeparator ? .column : .row
        break
      }
      if previous == quote, byte != UInt8(ascii: "\r") { notices.append((line, .unescapedQuote)) }
      guard let byte else {
        notices.append((startLine, .unterminatedQuote))
        break
      }
      unquoted.append(byte: byte)
      (previous, beforeThat) = (byte, previous)
    }
    p = q
    let start = UnsafePointer(unquoted.base.assumingMemoryBound(to: UInt8.self))
    return Field(
      start: start, size: unquoted.count, limit: start + unquoted.count, end: fieldEnd, isASCII: false, hasNUL: true)
  }
}
