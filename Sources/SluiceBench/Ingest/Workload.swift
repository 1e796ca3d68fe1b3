// The rows that are loaded: orders as an SQL script or as CSV, from a fixed seed, so that every run and every peer gets
// the same bytes. About 87 bytes a line of SQL. Unsafe by nature (a C stream): named in the tidy test.
import Glibc

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

/// One script, for Sluice and its peers alike.
struct Workload {
  static let table = "orders"
  static let schema =
    "CREATE TABLE orders(id INTEGER PRIMARY KEY, user_id INTEGER, sku TEXT, qty INTEGER, amount REAL, note TEXT);"

  var rowCount: Int
  /// Rows of one INSERT.
  var rowsPerStatement = 1
  /// Rows between BEGIN and COMMIT; nil: each INSERT is a transaction.
  var rowsPerTransaction: Int? = .max

  private static let words = [
    "gift", "wrap", "leave", "at", "door", "call", "before", "fragile", "express", "repeat", "buyer", "late", "slot",
    "batch", "promo", "mail", "store", "pickup", "it's",
  ]

  /// Writes schema and rows to `path` as SQL.
  func write(to path: String) throws {
    try Self.write(to: path) { file in
      fputs(Self.schema + "\n", file)
      var random = SplitMix64(state: 42)
      for row in 1...rowCount {
        let before = row - 1
        if let rowsPerTransaction, before % rowsPerTransaction == 0 { fputs("BEGIN;\n", file) }
        let isFirst = before % rowsPerStatement == 0
        let isLast = row % rowsPerStatement == 0 || row == rowCount
        let (start, note) = Self.row(row, &random)
        fputs(isFirst ? "INSERT INTO orders VALUES(" : ",(", file)
        fputs(start.sql, file)
        fputs(note.contains("'") ? note.split(separator: "'").joined(separator: "''") : note, file)
        fputs(isLast ? "');\n" : "')", file)
        if let rowsPerTransaction, row % rowsPerTransaction == 0 || row == rowCount { fputs("COMMIT;\n", file) }
      }
    }
  }

  /// Writes the rows to `path` as CSV, without a heading.
  func writeCSV(to path: String) throws {
    try Self.write(to: path) { file in
      var random = SplitMix64(state: 42)
      for row in 1...rowCount {
        let (start, note) = Self.row(row, &random)
        fputs(start.csv + note + "\n", file)
      }
    }
  }

  private static func write(to path: String, _ body: (UnsafeMutablePointer<FILE>) -> Void) throws {
    guard let file = fopen(path, "we") else { throw BenchError(description: "cannot write \(path)") }
    body(file)
    guard fclose(file) == 0 else { throw BenchError(description: "cannot write \(path): the disk is full") }
  }

  /// All values but the note.
  private struct Start {
    let id: Int
    let user: Int
    let sku: String
    let quantity: Int
    let amount: String

    var sql: String { "\(id),\(user),'\(sku)',\(quantity),\(amount),'" }
    var csv: String { "\(id),\(user),\(sku),\(quantity),\(amount)," }
  }

  private static func row(_ id: Int, _ random: inout SplitMix64) -> (Start, note: String) {
    let user = Int.random(in: 1...200_000, using: &random)
    let letters = (0..<2).map { _ in
      String(UnicodeScalar(UInt8(65 + Int.random(in: 0..<26, using: &random))))
    }.joined()
    let number = String(10_000 + Int.random(in: 0..<10_000, using: &random)).dropFirst()
    let cents = Int.random(in: 100..<50_000, using: &random)
    let amount = "\(cents / 100).\(String(100 + cents % 100).dropFirst())"
    let note = (0..<Int.random(in: 2..<6, using: &random)).map { _ in
      words[Int.random(in: 0..<words.count, using: &random)]
    }.joined(separator: " ")
    let quantity = Int.random(in: 1..<10, using: &random)
    return (Start(id: id, user: user, sku: "SKU-\(letters)\(number)", quantity: quantity, amount: amount), note)
  }
}
