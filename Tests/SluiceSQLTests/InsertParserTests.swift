// The fast INSERT path: rows against the values they were made of, every cut, wrong rows, stock sqlite3.
import Foundation
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceSQL

/// Reads all rows behind a header; nil: `needMore`.
private func rows(
  _ text: [UInt8], _ shape: InsertShape, _ evaluator: any ValueEvaluator = EchoEvaluator(), atEnd: Bool = true
) throws(SQLError) -> [[Value]]? {
  try text.withUnsafeBytes { bytes in
    Result { () throws(SQLError) in try rows(bytes, shape, evaluator, atEnd) }
  }.get()
}

private func rows(
  _ bytes: UnsafeRawBufferPointer, _ shape: InsertShape, _ evaluator: any ValueEvaluator, _ atEnd: Bool
) throws(SQLError) -> [[Value]]? {
  let header = try InsertParser.parseHeader(bytes)
  let start = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
  var cursor = start + header.valuesOffset
  let end = start + bytes.count
  var builder = RowBuilder()
  var result: [[Value]] = []
  while true {
    let before = cursor
    switch try InsertParser.parseRow(cursor: &cursor, end: end, shape: shape, into: &builder, evaluator: evaluator) {
    case .needMore:
      #expect(cursor == before)
      return nil
    case .row: result.append(RowReader(builder.finish(shape)).values() ?? [])
    }
    switch try InsertParser.nextDelimiter(cursor: &cursor, end: end, atEnd: atEnd) {
    case .row: break
    case .statementEnd: return result
    case .needMore: return nil
    }
  }
}

private func shape(_ sql: String, _ columns: [String]? = nil) throws -> InsertShape {
  try InsertShape(table: table(sql), columns: columns)
}

private let typed = "CREATE TABLE t (a INTEGER, b TEXT, c REAL, d NUMERIC, e BLOB)"

// MARK: Headers

@Test func headersSayWhatTheySay() throws {
  func header(_ text: String) throws -> InsertHeader {
    try Array(text.utf8).withUnsafeBytes { try InsertParser.parseHeader($0) }
  }
  #expect(
    try header("INSERT INTO t VALUES(1)")
      == InsertHeader(
        orAction: .abort, table: "t", tableOffset: 12, columns: nil, columnOffsets: [], form: .values,
        valuesOffset: 20))
  #expect(
    try header("replace into main.\"a b\"([x], `y`)values (1,2)")
      == InsertHeader(
        orAction: .replace, table: "a b", tableOffset: 13, columns: ["x", "y"], columnOffsets: [24, 29], form: .values,
        valuesOffset: 39))
  #expect(try header("INSERT OR IGNORE INTO t DEFAULT VALUES").form == .defaultValues)
  #expect(sqlError { () throws(SQLError) in try parseStatement("INSERT INTO t (a") }?.kind == .incomplete)
}

// MARK: Rows

/// A literal of SQL and the value that a column of each affinity stores for it.
private func randomCell(_ random: inout SeededGenerator, _ affinity: Affinity) -> (String, Value) {
  func number(_ value: Int64) -> Value {
    affinity == .real ? .real(Double(value)) : affinity == .text ? text(String(value)) : .integer(value)
  }
  switch random.below(9) {
  case 0: return (random.pick(["NULL", "null", "Null"]), .null)
  case 1:
    let value =
      Int64.random(in: -999_999_999_999_999_999...999_999_999_999_999_999, using: &random)
      >> Int64(random.below(60))
    return ((value >= 0 && random.below(5) == 0 ? "+" : "") + String(value), number(value))
  case 2:
    let digits = String(random.below(1_000_000)) + "." + String(1 + random.below(999))
    let real = Double(digits)!
    if affinity == .text { return (digits, text(digits)) }
    return (
      digits, real == real.rounded() && affinity != .real && affinity != .blob ? .integer(Int64(real)) : .real(real)
    )
  case 3: return random.below(2) == 0 ? ("TRUE", number(1)) : ("false", number(0))
  case 4:
    let bytes = random.bytes(random.pick([0, 1, 5, 64, 100]))
    return ("X'" + (random.below(2) == 0 ? hex(bytes) : hex(bytes).uppercased()) + "'", .blob(bytes))
  case 5:
    let expression = random.pick([
      "1 + 2", "f('a,)', (1), x)", "'a' || 'b'", "-(3)", "- 4", "0x1f", "\"q)\"", "'x' /* , */ 'y'",
    ])
    return (expression, text(expression))
  default:
    let alphabet = ["a", "B", " ", "''", "é", "世", "🎈", "\n", ",", ")", "(", "--", "/*", ";", "\"", "\\"]
    let inner = "w" + (0..<random.pick([0, 1, 3, 6, 7, 8, 30, 70, 200])).map { _ in random.pick(alphabet) }.joined()
    return ("'" + inner + "'", text(inner.replacingOccurrences(of: "''", with: "'")))
  }
}

private func randomInsert(_ random: inout SeededGenerator) -> (String, [[Value]]) {
  let affinities = [Affinity.integer, .text, .real, .numeric, .blob]
  let blanks = ["", "", "", " ", "  ", "\r\n", "\t", " /* ,) */ ", " -- ,)\n"]
  var sql = "INSERT INTO t VALUES"
  var expected: [[Value]] = []
  for row in 0...random.below(4) {
    sql += (row == 0 ? "" : ",") + random.pick(blanks) + "("
    var values: [Value] = []
    for column in 0..<5 {
      let (literal, value) = randomCell(&random, affinities[column])
      sql += (column == 0 ? "" : ",") + random.pick(blanks) + literal + random.pick(blanks)
      values.append(value)
    }
    sql += ")" + random.pick(blanks)
    expected.append(values)
  }
  return (sql + ";", expected)
}

@Test func rowsHoldTheValuesTheyWereMadeOf() throws {
  let shape = try shape(typed)
  for seed in 0..<6000 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    let (sql, expected) = randomInsert(&random)
    let actual = try rows(Array(sql.utf8), shape)
    #expect(actual?.count == expected.count, "seed \(seed): \(sql)")
    for (a, b) in zip(actual ?? [], expected) where !(a.count == 5 && zip(a, b).allSatisfy(isSame)) {
      Issue.record("seed \(seed): \(sql)\n\(a)\n\(b)")
    }
  }
}

@Test func everyCutNeedsMore() throws {
  let shape = try shape(typed)
  for seed in 0..<300 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    let (sql, _) = randomInsert(&random)
    let all = Array(sql.utf8)
    for size in "INSERT INTO t VALUES".utf8.count..<all.count {
      let result = try rows(Array(all[..<size]), shape, atEnd: false)
      #expect(result == nil, "seed \(seed), cut at \(size): \(sql)")
    }
  }
}

@Test func onlyWhatIsNoLiteralIsEvaluated() throws {
  let evaluator = EchoEvaluator()
  let shape = try shape(typed)
  let plain = "INSERT INTO t VALUES (1, 'a', 2.5, '7', X'00'), ('12', 3, 4, 'word', '5'), (' x', '', ' ', '-', NULL)"
  _ = try rows(Array(plain.utf8), shape, evaluator)
  // The lone minus may begin a number.
  #expect(evaluator.calls == 1)
  for literal in ["'0x10'", "'1 '", "'1e999'", "1e400", "-0.0", ".5", "5.", "1234567890123456789", "+-1", "(1)", "x"] {
    let before = evaluator.calls
    _ = try rows(Array("INSERT INTO t VALUES (0,0,\(literal),0,0)".utf8), shape, evaluator)
    #expect(evaluator.calls == before + 1, "\(literal)")
  }
}

@Test func columnListsAndDefaultsFillTheRow() throws {
  let sql =
    "CREATE TABLE t (a INTEGER DEFAULT '7', b TEXT DEFAULT 12, c REAL DEFAULT 3, d, e DEFAULT (1 + 1), "
    + "f TEXT DEFAULT '\(String(repeating: "long", count: 40))')"
  let long = text(String(repeating: "long", count: 40))
  let some = try shape(sql, ["d", "B"])
  #expect(some.pendingDefaults == [0, 4])
  #expect(
    try rows(Array("INSERT INTO t (d, b) VALUES ('x', 'y'), (1, 2)".utf8), some) == [
      [.null, text("y"), .real(3), text("x"), .null, long], [.null, text("2"), .real(3), .integer(1), .null, long],
    ])
  let twice = try shape(sql, ["a", "a", "f"])
  #expect(
    try rows(Array("INSERT INTO t (a, a, f) VALUES (1, 'dropped', 'f')".utf8), twice)
      == [[.integer(1), text("12"), .real(3), .null, .null, text("f")]])
  #expect(
    sqlError { () throws(SQLError) in try InsertShape(table: CreateTable(name: "t"), columns: ["x"]) }?.message
      == "table t has no column named x")
  let alias = try shape("CREATE TABLE t (v, id INTEGER PRIMARY KEY)", ["rowid", "v"])
  #expect(alias.targets == [1, 0])
  var builder = RowBuilder()
  builder.begin(try shape(sql, []))
  builder.set(column: 4, .integer(2))
  #expect(RowReader(builder.finish()).values() == [.null, text("12"), .real(3), .null, .integer(2), long])
}

// MARK: Wrong text

@Test(arguments: [
  ("(1, 2)", "table t has 3 columns but 2 values were supplied", 20),
  ("(1, 2, 3), (1, 2, 3, f(4, 5), 6)", "table t has 3 columns but 5 values were supplied", 31),
  ("(1, 2, )", "near \")\": syntax error", 27), ("()", "near \")\": syntax error", 21),
  ("(1, , 3)", "near \",\": syntax error", 24), ("(1, 2, 3;", "near \";\": syntax error", 28),
  ("(1, DEFAULT, 3)", "near \"DEFAULT\": syntax error", 24), (" 1, 2", "near \"1\": syntax error", 21),
  ("(1, 2, 3) x", "near \"x\": syntax error", 30), ("(1, 2, 3) RETURNING a", "SQLite evaluates this INSERT", 30),
  ("(1,2,3) ON CONFLICT DO NOTHING", "SQLite evaluates this INSERT", 28),
  ("(1, X'abc', 3)", "unrecognized token: \"X'abc'\"", 24), ("(1, 12ab, 3)", "unrecognized token: \"12ab\"", 24),
  ("(1, 'a\0b', 3)", "unrecognized token: \"'a\"", 24), ("(1, 2, 3) (4, 5, 6)", "near \"(\": syntax error", 30),
])
func wrongRowsGiveSQLitesWords(_ values: String, _ message: String, _ offset: Int) throws {
  let shape = try shape("CREATE TABLE t (a, b, c)")
  let text = Array(("INSERT INTO t VALUES" + values).utf8)
  let error = try #require(sqlError { () throws(SQLError) in try rowsWithOffsets(text, shape) })
  #expect(error.message == message)
  #expect(error.offset == offset)
}

/// As `rows`, with the errors' offsets counted from the statement's start.
private func rowsWithOffsets(_ text: [UInt8], _ shape: InsertShape) throws(SQLError) {
  try text.withUnsafeBytes { bytes in
    Result { () throws(SQLError) in
      let start = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
      var cursor = start + (try InsertParser.parseHeader(bytes)).valuesOffset
      let end = start + bytes.count
      var builder = RowBuilder()
      do throws(SQLError) {
        var more = true
        while more {
          _ = try InsertParser.parseRow(
            cursor: &cursor, end: end, shape: shape, into: &builder, evaluator: EchoEvaluator())
          more = try InsertParser.nextDelimiter(cursor: &cursor, end: end, atEnd: true) == .row
        }
      } catch {
        throw error.moved(by: cursor - start)
      }
    }
  }.get()
}

@Test func textsThatAreNotUTF8AreRefused() throws {
  let shape = try shape("CREATE TABLE t (a)")
  for bad in [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xf5, 0x80, 0x80, 0x80]] as [[UInt8]] {
    for padding in [0, 3, 7, 8, 20] {
      let filler = [UInt8](repeating: 0x61, count: padding)
      let text = Array("INSERT INTO t VALUES('".utf8) + filler + bad + filler + Array("');".utf8)
      #expect(sqlError { () throws(SQLError) in try rows(text, shape) }?.message == "a text literal is not UTF-8")
    }
  }
}

@Test func listsOfColumnsCountTheirValues() throws {
  let shape = try shape("CREATE TABLE t (a, b, c)", ["a", "b"])
  let error = sqlError { () throws(SQLError) in try rows(Array("INSERT INTO t (a, b) VALUES (1, 2, 3)".utf8), shape) }
  #expect(error?.message == "3 values for 2 columns")
}

// MARK: Size

@Test func largeLiteralsAndManyRowsPass() throws {
  let shape = try shape("CREATE TABLE t (a INTEGER, b TEXT)")
  let long = String(repeating: "0123456789abcde'", count: 1536)
  let doubled = long.replacingOccurrences(of: "'", with: "''")
  let body = (0..<5000).map { "(\($0),'\($0 % 1000 == 0 ? doubled : "row \($0)")')" }.joined(separator: ",\r\n")
  let actual = try #require(try rows(Array(("INSERT INTO t VALUES\r\n" + body + ";").utf8), shape))
  #expect(actual.count == 5000)
  #expect(actual[4000] == [.integer(4000), text(long)] && actual[4999] == [.integer(4999), text("row 4999")])
}

@Test func insertFilesRowsAreRead() throws {
  var tables: [String: CreateTable] = [:]
  var count = 0
  var evaluated = 0
  for statement in statements(try sqlFile("insert.sql")) {
    switch try parseStatement(statement) {
    case .createTable(let table): tables[folded(table.name)] = table
    case .insert(let header) where header.form == .values:
      let table = try #require(tables[folded(header.table)])
      let shape = try InsertShape(table: table, columns: header.columns)
      do throws(SQLError) { count += try rows(Array(statement.utf8), shape)?.count ?? 0 } catch {
        // ON CONFLICT, RETURNING and queries in VALUES are for SQLite.
        #expect(error.kind == .evaluated, "\(statement): \(error)")
        evaluated += 1
      }
    default: break
    }
  }
  #expect(count == 28)
  #expect(evaluated == 7)
}

// MARK: Stock sqlite3

/// A value as the query below prints it: reals by their bits.
private func printed(_ value: Value) -> String {
  switch value {
  case .null: "null:"
  case .integer(let number): "integer:\(number)"
  case .real(let number): "real:" + String(format: "%016llX", number.bitPattern)
  case .text(let bytes): "text:" + String(decoding: bytes, as: UTF8.self)
  case .blob(let bytes): "blob:" + hex(bytes)
  }
}

private func randomNumber(_ random: inout SeededGenerator) -> String {
  var digits = (0..<(1 + random.below(10))).map { _ in String(random.below(10)) }.joined()
  if random.below(3) > 0 { digits += "." + (0..<(1 + random.below(9))).map { _ in String(random.below(10)) }.joined() }
  if random.below(4) == 0 {
    digits += random.pick(["e", "E"]) + random.pick(["", "-", "+"]) + String(random.below(24))
  }
  let signed = random.pick(["", "", "-", "+"]) + digits
  return random.below(3) == 0 ? "'" + random.pick(["", "", " ", "x"]) + signed + "'" : signed
}

/// What the fast path stores is what sqlite3 stores, to the last bit, for each affinity.
@Test func storedValuesAreSQLites() throws {
  var random = SeededGenerator(seed: 42)
  let shape = try shape(typed)
  var script = typed + ";\nBEGIN;\n"
  var expected: [[Value]] = []
  let skipped = Array("\u{1}".utf8)
  for _ in 0..<8000 {
    let literals = (0..<5).map { _ in randomNumber(&random) }
    let insert = "INSERT INTO t VALUES (\(literals.joined(separator: ",")));"
    script += insert + "\n"
    expected.append(try #require(try rows(Array(insert.utf8), shape, MarkEvaluator(mark: skipped))).first ?? [])
  }
  let cells = ["a", "b", "c", "d", "e"].map {
    "CASE typeof(\($0)) WHEN 'real' THEN 'real:' || hex(ieee754_to_blob(\($0))) "
      + "ELSE typeof(\($0)) || ':' || coalesce(\($0), '') END"
  }
  script += "COMMIT;\nSELECT \(cells.joined(separator: " || char(9) || ")) FROM t ORDER BY rowid;\n"
  let lines = try stockSQLite(script).text.split(separator: "\n")
  try #require(lines.count == expected.count)
  var compared = 0
  for (line, values) in zip(lines, expected) {
    for (actual, value) in zip(line.split(separator: "\t", omittingEmptySubsequences: false), values) {
      if value == .text(skipped) { continue }
      compared += 1
      #expect(actual == printed(value), "\(line)")
    }
  }
  #expect(compared > 25_000, "\(compared) cells went the fast way")
}

private final class MarkEvaluator: ValueEvaluator {
  private let mark: [UInt8]

  init(mark: [UInt8]) { self.mark = mark }

  func evaluate(_ expression: UnsafeRawBufferPointer, affinity: Affinity) throws(SQLError) -> Value { .text(mark) }
}

@Test func numbersBetweenTwoDoublesAreLeftToSQLite() {
  // The x87 quotient of these lies in the middle of two doubles, and sqlite3 3.40 rounds it the other way.
  var left = 0
  var random = SeededGenerator(seed: 3)
  for _ in 0..<100_000 {
    let mantissa = UInt64.random(in: 1...999_999_999_999_999, using: &random)
    let digits = 1 + random.below(22)
    if let value = exactReal(mantissa, exponent10: -digits) {
      #expect(value == Double("\(mantissa)e-\(digits)"))
    } else {
      left += 1
    }
  }
  #if arch(x86_64)
    #expect(left > 10 && left < 500)
  #endif
}
