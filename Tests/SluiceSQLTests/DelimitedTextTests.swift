// Records of delimited text: what becomes of each field, every cut, and texts that a plain reader divides too.
import SluiceSystem
import Testing

@testable import SluiceSQL

private let csv = DelimitedFormat(columnSeparator: 0x2c, rowSeparator: 0x0a, isQuoted: true)

/// What reading a text gave: rows by their line, and what was noticed.
private struct Reading: Equatable {
  var rows: [[Value]] = []
  var lines: [Int] = []
  var notices: [DelimitedNotice] = []
  var noticeLines: [Int] = []
  var unconverted: [[Int]] = []
  var obstacles: [String?] = []
  var lastLine = 0
}

/// Reads `text` as it comes in pieces: all of it up to each cut is there, then all of it.
private func read(
  _ text: [UInt8], _ columns: String, _ format: DelimitedFormat = csv, cuts: [Int] = []
) throws -> Reading {
  let shape = try InsertShape(table: table("CREATE TABLE t(\(columns))"))
  var reader = DelimitedReader(format)
  var builder = RowBuilder()
  var reading = Reading()
  var used = 0
  for limit in cuts + [text.count] {
    let isWhole = limit == text.count
    // Exactly so many bytes, so that a read past them is found.
    let piece = UnsafeMutablePointer<UInt8>.allocate(capacity: max(limit - used, 1))
    defer { piece.deallocate() }
    for index in used..<max(limit, used) { piece[index - used] = text[index] }
    var cursor = UnsafePointer(piece)
    let end = cursor + (limit - used)
    reading: while true {
      let (line, before) = (reader.line, cursor)
      let result = reader.readRow(cursor: &cursor, end: end, isWhole: isWhole, shape: shape, into: &builder)
      switch result {
      case .needMore:
        #expect(!isWhole && cursor == before && reader.line == line && reader.notices.isEmpty)
        break reading
      case .end:
        #expect(isWhole && cursor == end)
        break reading
      case .row:
        reading.rows.append(RowReader(builder.finish(shape)).values() ?? [])
        reading.lines.append(line)
        reading.unconverted.append(reader.unconverted)
        reading.obstacles.append(reader.obstacle?.message)
      case .noRow: break
      }
      reading.notices += reader.notices.map(\.notice)
      reading.noticeLines += reader.notices.map(\.line)
    }
    used += cursor - UnsafePointer(piece)
  }
  reading.lastLine = reader.line
  return reading
}

@Test func fieldsBecomeCells() throws {
  let reading = try read(
    Array("1,x,2.5,7\r\n-3,\"a\"\"b\",x,\"12\"\n+4,,1e2,é\n 5,\"l\n2\",007,1234567890123456789\n".utf8),
    "a INTEGER, b TEXT, c REAL, d NUMERIC")
  #expect(
    reading.rows == [
      [.integer(1), text("x"), .real(2.5), .integer(7)],
      [.integer(-3), text("a\"b"), text("x"), .integer(12)],
      [.integer(4), text(""), .real(100), text("é")],
      [text(" 5"), text("l\n2"), .real(7), text("1234567890123456789")],
    ])
  #expect(reading.unconverted == [[], [], [], [0, 3]])
  #expect(reading.lines == [1, 2, 3, 4])
  #expect(reading.lastLine == 6)
  #expect(reading.notices == [])
}

@Test func recordsOfOtherSizes() throws {
  let reading = try read(Array("1\n1,2,3,4\n\n5,".utf8), "a, b")
  #expect(
    reading.rows == [[text("1"), .null], [text("1"), text("2")], [text(""), .null], [text("5"), .null]])
  #expect(
    reading.notices == [
      .tooFew(found: 1, expected: 2), .tooMany(found: 4, expected: 2), .tooFew(found: 1, expected: 2),
    ])
  #expect(reading.noticeLines == [1, 2, 3])
}

@Test func quotesThatAreWrong() throws {
  let reading = try read(Array("\"a\"b\",1\n\"x\n\"y\nz".utf8), "a, b")
  #expect(reading.rows == [[text("a\"b"), text("1")], [text("x\n\"y\nz"), .null]])
  #expect(
    reading.notices == [.unescapedQuote, .unescapedQuote, .unterminatedQuote, .tooFew(found: 1, expected: 2)])
  #expect(reading.noticeLines == [1, 3, 2, 2])
}

@Test func textsThatCannotBeStored() throws {
  let reading = try read(Array("1,".utf8) + [0xff] + Array("\n2,ab".utf8) + [0, 0xff] + Array("c\n".utf8), "a, b")
  #expect(reading.obstacles == ["a text value is not UTF-8", nil])
  #expect(reading.rows[1] == [text("2"), text("ab")])
  // Found wherever it stands.
  for place in 0..<40 {
    var field = [UInt8](repeating: 0x78, count: 40)
    field[place] = 0xff
    #expect(try read(field + [0x2c, 0x79], "a, b").obstacles == ["a text value is not UTF-8"])
    #expect(try read([0x22] + field + [0x22, 0x2c, 0x79], "a, b").obstacles == ["a text value is not UTF-8"])
    field[place] = 0
    let start = Value.text([UInt8](repeating: 0x78, count: place))
    #expect(try read(field + [0x2c, 0x79], "a, b").rows == [[start, text("y")]])
    #expect(try read([0x22] + field + [0x22, 0x2c, 0x79], "a, b").rows == [[start, text("y")]])
  }
  let long = [UInt8](repeating: 0x78, count: RowFormat.maximumSize + 1)
  #expect(try read(long, "a").obstacles == ["string or blob too big: a row may have 67108864 bytes"])
}

@Test func namesAreTexts() {
  var reader = DelimitedReader(csv)
  Array("\u{FEFF}a,\"b,\"\"c\",\r\nd,".utf8).withUnsafeBufferPointer { bytes in
    let start = bytes.baseAddress!
    var cursor = start
    #expect(reader.readTexts(cursor: &cursor, end: start + 5, isWhole: false) == nil)
    #expect(cursor == start)
    let first = reader.readTexts(cursor: &cursor, end: start + bytes.count, isWhole: true)
    #expect(first == [Array("a".utf8), Array("b,\"c".utf8), []])
    // The text ends where another field would begin.
    #expect(reader.readTexts(cursor: &cursor, end: start + bytes.count, isWhole: true) == [Array("d".utf8)])
    #expect(reader.readTexts(cursor: &cursor, end: start + bytes.count, isWhole: true) == [])
  }
}

/// Wherever a text is cut, its rows and all that is said about them are the same.
@Test func everyCut() throws {
  var random = SeededGenerator(seed: 7)
  let pieces = [
    "1", "-2.5", "text", ",", ",", "\"", "\"\"", "\",\"", "\n", "\r\n", "\r", "é", "\0", "\u{FEFF}",
    "eight bytes or more",
  ]
  let formats = [
    csv, DelimitedFormat(columnSeparator: 0x2c, rowSeparator: 0x0a, isQuoted: false, skipsEmpty: true),
    DelimitedFormat(columnSeparator: 0x31, rowSeparator: 0x0d, isQuoted: true),
    DelimitedFormat(columnSeparator: 0x22, rowSeparator: 0x0a, isQuoted: true),
  ]
  for _ in 0..<300 {
    let text = Array((0..<random.below(25)).map { _ in random.pick(pieces) }.joined().utf8)
    let format = random.below(2) == 0 ? csv : random.pick(formats)
    let columns = random.pick(["a, b", "a INTEGER, b REAL, c", "a NUMERIC"])
    let whole = try read(text, columns, format)
    for cut in 0..<text.count {
      #expect(try read(text, columns, format, cuts: [cut]) == whole, "\(text) at \(cut)")
    }
    #expect(try read(text, columns, format, cuts: Array(0..<text.count)) == whole, "\(text)")
  }
}

/// Fields of every size at every place, quoted and not, beside a reader that looks at single bytes.
@Test func plainTexts() throws {
  var random = SeededGenerator(seed: 8)
  for _ in 0..<500 {
    var text: [UInt8] = []
    var rows: [[Value]] = []
    for _ in 0..<random.below(6) {
      var row: [Value] = []
      for column in 0..<3 {
        let field = (0..<random.below(40)).map { _ in random.pick(Array("abc1.- é€".utf8.filter { $0 < 0x80 })) }
        let isQuoted = random.below(3) == 0
        text += (isQuoted ? [0x22] : []) + field + (isQuoted ? [0x22] : []) + [column == 2 ? 0x0a : 0x2c]
        row.append(.text(field))
      }
      rows.append(row)
    }
    #expect(try read(text, "a, b TEXT, c").rows == rows)
  }
}
