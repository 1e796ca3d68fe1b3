// What the tests of SluiceSQL share: seeded numbers, the files of sql/, bytes as hexadecimal.
import Foundation
@testable import SluiceSQL
import SluiceSystem

/// SplitMix64: the same numbers for the same seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

  mutating func bytes(_ size: Int) -> [UInt8] { (0..<size).map { _ in UInt8.random(in: 0...255, using: &self) } }

  mutating func pick<T>(_ list: [T]) -> T { list[below(list.count)] }
}

/// The repository's root, from this file's place.
let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()

func sqlFile(_ name: String) throws -> [UInt8] {
  Array(try Data(contentsOf: repository.appendingPathComponent("sql/\(name)")))
}

let scriptNames = [
  "orders.sql", "ledger.sql", "telemetry.sql", "create_table.sql", "insert.sql", "transaction.sql", "settings.sql",
  "select.sql", "schema.sql", "alter_table.sql", "update.sql", "delete.sql", "explain.sql", "projections.sql",
]

/// The statements of a text, cut by the splitter.
func statements(_ text: [UInt8]) -> [String] {
  var result: [String] = []
  var offset = 0
  text.withUnsafeBytes { bytes in
    while offset < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
      switch StatementSplitter.next(in: rest, atEnd: true) {
      case .statement(let range, _, _, _):
        result.append(String(decoding: rest[range], as: UTF8.self))
        offset += range.upperBound
      case .blank(let skip, _): offset += skip
      case .incomplete: offset = bytes.count
      }
    }
  }
  return result
}

func hex<T: Sequence>(_ bytes: T) -> String where T.Element == UInt8 {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

func text(_ string: String) -> Value { .text(Array(string.utf8)) }

/// Values that are one to the store: reals by their bits.
func isSame(_ a: Value, _ b: Value) -> Bool {
  if case .real(let x) = a, case .real(let y) = b { return x.bitPattern == y.bitPattern }
  return a == b
}

/// Answers each expression with its own text, so that a test sees what was handed over.
final class EchoEvaluator: ValueEvaluator {
  private(set) var calls = 0

  func evaluate(_ expression: UnsafeRawBufferPointer, affinity: Affinity) throws(SQLError) -> Value {
    calls += 1
    return .text(Array(expression))
  }
}

/// The error of a call, or nil.
func sqlError<T>(_ body: () throws(SQLError) -> T) -> SQLError? {
  do {
    _ = try body()
    return nil
  } catch {
    return error
  }
}

func table(_ sql: String) throws -> CreateTable {
  guard case .createTable(let table) = try parseStatement(sql) else { throw SQLError(.invalid, "no table: \(sql)") }
  return table
}
