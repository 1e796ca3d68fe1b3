// Whether projections.db says the same as the store: each mirror row by row beside the shards, both in key order, and
// each projection that is followed row by row beside its SELECT over the mirrors. Unsafe by nature: named in the tidy
// test.
import SluiceLSM
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// A comparison at one position: that of the store's end, and of the file's checkpoint.
struct MirrorCheck {
  /// Rows of a projection that may differ in the last digits of their reals.
  private static let fewRows = 10_000
  /// By how much two sums of the same reals may differ, which were added in another order.
  private static let tolerance = 1e-9

  let connection: Connection
  let path: String
  let view: StoreView
  let report: InspectionReport

  func run() throws {
    for table in view.catalog.tables.values.sorted(by: { $0.name < $1.name }) { try check(table) }
    for object in view.catalog.objects.values.sorted(by: { $0.name < $1.name }) where object.kind == .projection {
      guard let definition = projectionDefinition(object.sql) else { continue }
      try check(definition)
    }
  }

  private func damage(_ what: String, place: String = "") {
    report.damage(what + " (remove the file: opening makes it anew)", file: path, place: place)
  }

  // MARK: Mirrors

  /// Cost: a pass over both, about 1 µs a row. The first difference is told.
  private func check(_ table: SQLTable) throws {
    // Rows of a table whose columns have taken all names of the rowid cannot be told apart.
    guard let names = table.keyNames else { return }
    let keys = names.joined(separator: ", ")
    let columns = table.definition.columns.map { quoted($0.name) }.joined(separator: ", ")
    let mirror = try connection.prepare("SELECT \(keys), \(columns) FROM main.\(quoted(table.name)) ORDER BY \(keys)")
    let rows = MergeIterator(
      view.snapshots, lower: keyPrefix(ofTable: table.id), upper: keyPrefix(ofTable: table.id + 1))
    let decoder = RowDecoder(table.definition)
    let cells = UnsafeMutablePointer<SluiceSQLite.Cell>.allocate(capacity: max(decoder.columnCount, 1))
    defer { cells.deallocate() }
    cells.initialize(repeating: .null, count: max(decoder.columnCount, 1))
    while true {
      let (isStored, isMirrored) = (try rows.next(), try mirror.step())
      if !isStored, !isMirrored { return }
      let key = isMirrored ? engineKey((0..<names.count).map { mirror.value($0) }, of: table) : []
      let order = !isStored ? 1 : !isMirrored ? -1 : key.withUnsafeBytes { compareBytes(rows.current.key, $0) }
      if order != 0 {
        let what = order < 0 ? "lacks a row that the store has" : "has a row that the store has not"
        let place = order < 0 ? hexDigits(rows.current.key, limit: 32) : hexDigits(key, limit: 32)
        return damage("the mirror of \(table.name) \(what)", place: "key=\(place)")
      }
      guard decoder.decode(rows.current.value, into: cells, needed: .max) else {
        throw SQLiteError(message: "position \(rows.current.position): the row cannot be read")
      }
      for column in 0..<decoder.columnCount where !Self.isSame(cells[column], mirror.cell(names.count + column)) {
        return damage(
          "the mirror of \(table.name) has another value of \(table.definition.columns[column].name) than the store",
          place: "key=\(hexDigits(key, limit: 32))")
      }
    }
  }

  private static func isSame(_ a: SluiceSQLite.Cell, _ b: SluiceSQLite.Cell) -> Bool {
    guard a.type == b.type else { return false }
    switch a.type {
    case .null: return true
    case .integer: return a.integer == b.integer
    case .real: return a.real == b.real
    case .text, .blob: return a.bytes.count == b.bytes.count && compareBytes(a.bytes, b.bytes) == 0
    }
  }

  // MARK: Projections

  private func check(_ definition: CreateProjection) throws {
    guard definition.refreshMicroseconds == nil else { return }
    let copy = try connection.prepare(
      "SELECT state, EXISTS (SELECT 1 FROM sluice_rejected WHERE copy = serial) FROM sluice_copies "
        + "WHERE projection = ?1 COLLATE NOCASE AND serves")
    try copy.bind(1, definition.name)
    // What is paused, has failed, or has left rows out is another thing than its SELECT.
    guard try copy.rows() == [[.string(ProjectionCopy.State.current.rawValue), .integer(0)]] else { return }
    let select = "SELECT * FROM (\(definition.select))"
    let held = "SELECT * FROM main.\(quoted(definition.name))"
    let missing = try difference(select, held)
    let surplus = try difference(held, select)
    let isOver = missing.count > Self.fewRows || surplus.count > Self.fewRows
    if isOver || !Self.areClose(missing, surplus) {
      damage("projection \(definition.name) holds other rows than its SELECT gives")
    }
  }

  /// Rows of one query that another does not have, as SQLite compares them.
  private func difference(_ query: String, _ other: String) throws(SQLiteError) -> [[Value]] {
    try connection.prepare("\(query) EXCEPT \(other) LIMIT \(Self.fewRows + 1)").rows()
  }

  /// Whether rows are the same but for the last digits of reals.
  private static func areClose(_ a: [[Value]], _ b: [[Value]]) -> Bool {
    guard a.count == b.count else { return false }
    func key(_ row: [Value]) -> String {
      row.map { value in
        switch value {
        // Of texts that are equal to their collation either may stand for a group.
        case .text(let bytes): folded(String(decoding: bytes, as: UTF8.self))
        case .integer, .real: "number"
        default: "\(value)"
        }
      }.joined(separator: "|")
    }
    func number(_ value: Value) -> Double? {
      switch value {
      case .integer(let number): Double(number)
      case .real(let number): number
      default: nil
      }
    }
    func isBefore(_ a: [Value], _ b: [Value]) -> Bool {
      let (first, second) = (key(a), key(b))
      if first != second { return first < second }
      for (x, y) in zip(a, b) { if let x = number(x), let y = number(y), !isClose(x, y) { return x < y } }
      return false
    }
    return zip(a.sorted(by: isBefore), b.sorted(by: isBefore)).allSatisfy { first, second in
      key(first) == key(second)
        && zip(first, second).allSatisfy { x, y in
          guard let x = number(x), let y = number(y) else { return true }
          return isClose(x, y)
        }
    }
  }

  private static func isClose(_ a: Double, _ b: Double) -> Bool {
    a == b || abs(a - b) <= tolerance * max(abs(a), abs(b), 1)
  }
}
