// What the tests of this module share: scratch folders, seeded random values, short notations.
import Foundation
import SluiceSQLite
import SluiceSystem

/// A folder of its own under the temporary directory, removed with the last reference.
final class Scratch {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "/sluice-sqlite-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { path + "/" + name }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }
}

func randomBytes(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
  (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
}

/// Any value but NaN, short and long.
func randomValue(_ random: inout SeededGenerator) -> Value {
  switch Int.random(in: 0..<8, using: &random) {
  case 0: .null
  case 1: .integer(Int64(truncatingIfNeeded: random.next()))
  case 2: .integer(Int64.random(in: -3...3, using: &random))
  case 3: .real(Double(Int64(truncatingIfNeeded: random.next())) / 1024)
  case 4: .text(Array("né \(random.next())".utf8))
  case 5: .text(Array(repeating: 0x78, count: Int.random(in: 0...5000, using: &random)))
  default: .blob(randomBytes(Int.random(in: 0...40, using: &random), &random))
  }
}

func text(_ string: String) -> Value { .text(Array(string.utf8)) }

extension Connection {
  static func memory() throws -> Connection { try Connection(path: ":memory:", mode: .readWriteCreate) }
  func rows(_ sql: String) throws(SQLiteError) -> [[Value]] { try prepare(sql).rows() }
}

/// The error that `body` throws.
func sqliteError(_ body: () throws -> Void) -> SQLiteError? {
  do {
    try body()
    return nil
  } catch {
    return error as? SQLiteError
  }
}
