// The rows that are loaded: orders as an SQL script, from a fixed seed, so that every run and every peer gets the same
// bytes. About 87 bytes a line.
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

/// One script, for Sluice and for sqlite3 alike.
struct Workload {
  var rowCount: Int
  /// Rows of one INSERT.
  var rowsPerStatement: Int
  /// Whether one BEGIN … COMMIT stands around all of it.
  var isTransaction: Bool

  private static let words = [
    "gift", "wrap", "leave", "at", "door", "call", "before", "fragile", "express", "repeat", "buyer", "late", "slot",
    "batch", "promo", "mail", "store", "pickup", "it''s",
  ]

  /// Writes the script to `path`, with `prologue` in front.
  func write(to path: String, prologue: String) throws {
    guard let file = fopen(path, "w") else { throw BenchError(description: "cannot write \(path)") }
    fputs(prologue, file)
    fputs(
      "CREATE TABLE orders(id INTEGER PRIMARY KEY, user_id INTEGER, sku TEXT, qty INTEGER, amount REAL, note TEXT);\n",
      file)
    if isTransaction { fputs("BEGIN;\n", file) }
    var random = SplitMix64(state: 42)
    for row in 1...rowCount {
      let isFirst = (row - 1) % rowsPerStatement == 0
      let isLast = row % rowsPerStatement == 0 || row == rowCount
      fputs((isFirst ? "INSERT INTO orders VALUES" : ",") + Self.row(row, &random) + (isLast ? ";\n" : ""), file)
    }
    if isTransaction { fputs("COMMIT;\n", file) }
    guard fclose(file) == 0 else { throw BenchError(description: "cannot write \(path): the disk is full") }
  }

  private static func row(_ id: Int, _ random: inout SplitMix64) -> String {
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
    return "(\(id),\(user),'SKU-\(letters)\(number)',\(Int.random(in: 1..<10, using: &random)),\(amount),'\(note)')"
  }
}
