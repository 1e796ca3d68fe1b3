// Random input: an error or an answer, never a crash.
import SluiceSystem
import Testing

@testable import SluiceSQL

private let words = [
  "CREATE", "TABLE", "INSERT", "INTO", "VALUES", "PRIMARY", "KEY", "SHARD", "NOT", "NULL", "DEFAULT", "CHECK", "UNIQUE",
  "REFERENCES", "FOREIGN", "CONSTRAINT", "WITHOUT", "ROWID", "COLLATE", "ON", "CONFLICT", "t", "a", "b", "INTEGER", "(",
  "(", ")", ")", ",", ",", ";", ".", "'x'", "\"q\"", "[r]", "`s`", "1", "-", "1.5", "X'00'", "*", "WITH", "AS",
  "SELECT",
  "EXPLAIN", "PRAGMA", "SET", "=", "SHOW", "DROP", "IF", "EXISTS", "BEGIN", "ROLLBACK", "TO", "OR", "REPLACE", "'",
  "\"",
  "/*", "*/", "--", "\n", "\0", "\u{ff}", "DELETE", "FROM", "sqlite_sequence", "AUTOINCREMENT", "ENFORCED", "INDEX",
  "UNIQUE", "VIEW", "TRANSACTION", "GENERATED", "ALWAYS", "MATCH", "DEFERRABLE", "INITIALLY", "CASCADE", "VACUUM",
]

private func garbage(_ random: inout SeededGenerator) -> [UInt8] {
  let start = random.pick([
    "", "CREATE TABLE t (", "INSERT INTO t VALUES (", "CREATE TABLE t (a INT, ", "INSERT INTO t (",
  ])
  if random.below(4) == 0 { return Array(start.utf8) + random.bytes(random.below(60)) }
  return Array((start + (0..<random.below(25)).map { _ in random.pick(words) }.joined(separator: " ")).utf8)
}

@Test func garbageIsParsedOrRefused() throws {
  let shape = try InsertShape(table: table("CREATE TABLE t (a INTEGER, b TEXT)"))
  let evaluator = EchoEvaluator()
  var builder = RowBuilder()
  var accepted = 0
  for seed in 0..<100_000 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    let text = garbage(&random)
    text.withUnsafeBytes { bytes in
      _ = StatementSplitter.next(in: bytes, atEnd: random.below(2) == 0)
      if sqlError({ () throws(SQLError) in try parseStatement(bytes) }) == nil { accepted += 1 }
      guard !bytes.isEmpty, let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
      var cursor = base + random.below(bytes.count)
      let end = base + bytes.count
      let error = sqlError { () throws(SQLError) in
        try InsertParser.parseRow(cursor: &cursor, end: end, shape: shape, into: &builder, evaluator: evaluator)
      }
      if let error { #expect(error.offset >= -1 && cursor + error.offset <= end, "seed \(seed)") }
      _ = sqlError { () throws(SQLError) in
        try InsertParser.nextDelimiter(cursor: &cursor, end: end, atEnd: random.below(2) == 0)
      }
    }
  }
  #expect(accepted > 100)
}

/// What is accepted from garbage prints to what reads back as the same.
@Test func acceptedTablesRoundTrip() throws {
  var tables = 0
  for seed in 0..<60_000 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    var sql = "CREATE TABLE t (a"
    for _ in 0..<random.below(8) { sql += " " + random.pick(words) }
    sql += ")"
    let parsed = Result { () throws(SQLError) in try parseStatement(sql) }
    guard case .success(.createTable(let table)) = parsed else { continue }
    tables += 1
    let printed = print(table, shardKey: true)
    #expect(try parseStatement(printed) == .createTable(table), "seed \(seed): \(sql)\n\(printed)")
  }
  #expect(tables > 500, "\(tables)")
}

@Test func damagedBytesAreReadOrRefused() {
  var readable = 0
  for seed in 0..<100_000 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    var builder = RowBuilder()
    var bytes =
      random.below(2) == 0
      ? random.bytes(random.below(40)) : Array(builder.encode([.integer(5), text("hello"), .real(2), .blob([1, 2])]))
    for _ in 0..<random.below(3) where !bytes.isEmpty {
      bytes[random.below(bytes.count)] = random.pick([0, 1, 0xff, 0x0b, 0x40])
    }
    bytes.withUnsafeBytes { bytes in
      if RowReader(bytes).values() != nil { readable += 1 }
      var decoder = KeyDecoder(bytes)
      while decoder.next() != nil {}
    }
  }
  #expect(readable > 1000)
}
