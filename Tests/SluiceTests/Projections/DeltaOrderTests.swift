// The order that a delta promises SQLite, against the one that SQLite makes itself: random values of all storage
// classes, many of them equal, alike in their first eight bytes, or equal numbers of two classes.
import SluiceSQL
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct DeltaOrderTests {
  private static let table =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, s TEXT COLLATE NOCASE, e TEXT COLLATE BINARY)"

  /// The same rows as a delta and as a table, on one connection.
  private struct Both {
    let connection: Connection
    let delta: RowDelta
    let memory: [UnsafeMutableRawBufferPointer]

    init(_ rows: [[Value]]) throws {
      guard case .createTable(let definition) = try parseStatement(DeltaOrderTests.table) else {
        fatalError("no CREATE TABLE")
      }
      connection = try Connection(path: ":memory:", mode: .readWriteCreate)
      try connection.execute(DeltaOrderTests.table)
      delta = RowDelta(SQLTable(id: 7, definition: definition, isNumbered: true))
      try connection.register(table: "delta", delta)
      let insert = try connection.prepare("INSERT INTO t VALUES(?,?,?,?,?)")
      var builder = RowBuilder()
      var memory: [UnsafeMutableRawBufferPointer] = []
      for row in rows {
        try insert.bind(row)
        try insert.run()
        let bytes = builder.encode(row)
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        copy.copyMemory(from: bytes)
        memory.append(copy)
        delta.rows.append(
          DeltaRow(key: UnsafeRawBufferPointer(copy), row: UnsafeRawBufferPointer(copy), position: 1, isNew: true))
      }
      self.memory = memory
    }

    func free() { for bytes in memory { bytes.deallocate() } }

    /// What a SELECT over `$` gives over the delta, through a table: a delta is read inside of `feed`.
    func overDelta(_ select: String, _ range: Range<Int>? = nil) throws -> [[Value]] {
      try connection.execute("DROP TABLE IF EXISTS temp.result")
      try connection.execute("CREATE TEMP TABLE result AS \(over("t", select)) LIMIT 0")
      try delta.feed(try connection.prepare("INSERT INTO temp.result \(over("delta", select))"), range)
      return try connection.prepare("SELECT * FROM temp.result ORDER BY rowid").rows()
    }

    func overTable(_ select: String) throws -> [[Value]] { try connection.prepare(over("t", select)).rows() }

    /// Whether SQLite sorts by itself.
    func sorts(_ select: String) throws -> Bool {
      try connection.prepare("EXPLAIN QUERY PLAN \(over("delta", select))").rows().contains { row in
        guard case .text(let text)? = row.last else { return false }
        return String(decoding: text, as: UTF8.self).contains("TEMP B-TREE")
      }
    }

    private func over(_ table: String, _ select: String) -> String { select.replacing("$", with: table) }
  }

  private static func value(_ random: inout SeededRandom) -> Value {
    switch random.below(12) {
    case 0: .null
    case 1: .integer(Int64(bitPattern: random.next() >> UInt64(random.below(64))))
    case 2: .integer(-Int64(bitPattern: random.next() >> UInt64(1 + random.below(63))))
    case 3: .integer(Int64(random.below(5)) - 2)
    case 4: .real(Double(random.below(5)) - 2)
    case 5: .real(Double(Int64(bitPattern: random.next())) / 1024)
    case 6: .real([1e300, -1e300, 0x1p63, -0x1p63, 0.5, -0.0][random.below(6)])
    case 7: .text(Array("SKU-\(random.below(3))".utf8))
    case 8: .text(Array("a common beginning \(random.below(20))".utf8))
    case 9: .text(random.bytes(random.below(4)).map { $0 & 1 })
    case 10: .blob(random.bytes(random.below(12)).map { $0 & 3 })
    default: .integer(Int64(1) << Int64(random.below(63)))
    }
  }

  private static func rows(_ seed: UInt64, _ count: Int) -> [[Value]] {
    var random = SeededRandom(seed: seed)
    return (0..<count).map { id in
      [.integer(Int64(id)), value(&random), value(&random)]
        + ["aB", "Ab", "ab", "c"].shuffled(using: &random).prefix(2).map { .text(Array($0.utf8)) }
    }
  }

  @Test(arguments: (1...8).map { testSeed(otherwise: $0) })
  func ordersAsSQLite(_ seed: UInt64) throws {
    let rows = Self.rows(seed, 700)
    let both = try Both(rows)
    defer { both.free() }
    for columns in ["a", "b, a", "e", "a, e, b"] {
      let select = "SELECT \(columns), id FROM $ ORDER BY \(columns)"
      #expect(try both.sorts(select) == false, "\(columns)")
      #expect(try both.overDelta(select) == both.overTable(select + ", id"), "seed \(seed): \(columns)")
    }
    let part = "SELECT id FROM $ ORDER BY a"
    #expect(
      try both.overDelta(part, 100..<350)
        == both.overTable("SELECT id FROM $ WHERE id BETWEEN 100 AND 349 ORDER BY a, id"),
      "seed \(seed)")
  }

  @Test(arguments: (1...8).map { testSeed(otherwise: $0) })
  func groupsAsSQLite(_ seed: UInt64) throws {
    let both = try Both(Self.rows(seed, 300))
    defer { both.free() }
    for columns in ["a", "a, b", "e"] {
      let select = "SELECT count(*), min(id), sum(id), max(s) FROM $ GROUP BY \(columns)"
      #expect(try both.sorts(select) == false, "\(columns)")
      let sorted = Set(try both.overDelta(select).map { "\($0)" })
      #expect(try sorted == Set(both.overTable(select).map { "\($0)" }), "seed \(seed): \(columns)")
      #expect(try both.overDelta(select).count == both.overTable(select).count, "seed \(seed): \(columns)")
    }
  }

  /// What the bytes do not tell is SQLite's.
  @Test(arguments: ["s", "e COLLATE NOCASE", "a DESC", "a + 1", "a, s"])
  func otherOrdersAreLeft(_ term: String) throws {
    let both = try Both(Self.rows(3, 100))
    defer { both.free() }
    let select = "SELECT id FROM $ ORDER BY \(term), id"
    #expect(try both.sorts(select))
    #expect(try both.overDelta(select) == both.overTable(select))
  }

  @Test func noRowsAndOne() throws {
    for count in 0...1 {
      let both = try Both(Self.rows(1, count))
      defer { both.free() }
      #expect(try both.overDelta("SELECT a, count(*) FROM $ GROUP BY a").count == count)
    }
  }
}
