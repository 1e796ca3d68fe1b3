// How the values of an INSERT become the columns of a row: worked out once per statement, read for each value.
// Unsafe by nature: named in the tidy test. `places` has `valueCount` elements and lives as long as the shape.
// `@unchecked Sendable`: nothing changes after `init`.
import SluiceSystem

/// Where a value goes.
public struct ValuePlace: Sendable {
  /// The column; -1: the value is read and dropped; `RowBuilder.rowidPlace`: it is the rowid.
  public let column: Int
  public let affinity: Affinity
}

/// The way from value positions to columns, and what the columns that get no value hold.
public final class InsertShape: @unchecked Sendable {
  /// Columns of the SQL table.
  public let columnCount: Int
  /// Values that each row of the statement must have.
  public let valueCount: Int
  /// Place of each value position (ValuePlace): a column named twice takes its first value.
  public let targets: [Int]
  /// Affinity of the column behind each value position.
  public let affinities: [Affinity]
  /// Whether value i is column i for all columns.
  public let isIdentity: Bool
  /// Columns without a value whose default SQLite must evaluate for each row, in column order: `RowBuilder.set` them.
  public let pendingDefaults: [Int]

  /// `targets` and `affinities` for the row path: no reference count and no bounds to check.
  public let places: UnsafePointer<ValuePlace>

  /// Whether bodies appended in value order stand in column order.
  let keepsOrder: Bool
  /// The row before its first value: codes and body offsets of the defaults, and their bodies with size fields.
  let codes: [UInt8]
  let offsets: [UInt32]
  let bodies: [UInt8]
  let tableName: String
  let hasColumnList: Bool

  /// The shape of rows for `columns` of `table`; nil: all columns in their order. An omitted column holds its literal
  /// default; one that only SQLite can evaluate holds NULL and stands in `pendingDefaults`.
  /// `defaults[column]`, where given, takes the place of a pending default (its affinity already applied).
  /// Throws `table t has no column named x` (invalid).
  public init(table: CreateTable, columns: [String]? = nil, defaults: [Int: Value] = [:]) throws(SQLError) {
    columnCount = table.columns.count
    tableName = table.name
    hasColumnList = columns != nil
    var targets: [Int] = []
    var isNamed = [Bool](repeating: false, count: columnCount)
    if let columns {
      for name in columns {
        let column = try InsertShape.column(name, of: table)
        if column < 0 {
          targets.append(targets.contains(column) ? -1 : column)
        } else {
          targets.append(isNamed[column] ? -1 : column)
          isNamed[column] = true
        }
      }
    } else {
      targets = Array(0..<columnCount)
      isNamed = isNamed.map { _ in true }
    }
    self.targets = targets
    valueCount = targets.count
    affinities = targets.map { target in
      target < 0 ? (target == RowBuilder.rowidPlace ? .integer : .blob) : table.columns[target].affinity
    }
    isIdentity = targets.elementsEqual(0..<columnCount)

    var template = DefaultTemplate(columnCount: columnCount)
    for column in 0..<columnCount where !isNamed[column] {
      template.append(column: column, table.columns[column], given: defaults[column])
    }
    pendingDefaults = template.pending
    codes = template.codes
    offsets = template.offsets
    bodies = template.bodies
    keepsOrder = template.bodies.isEmpty && zip(targets, targets.dropFirst()).allSatisfy { $0 < $1 && $0 >= 0 }
    let places = UnsafeMutablePointer<ValuePlace>.allocate(capacity: max(valueCount, 1))
    for (index, (column, affinity)) in zip(targets, affinities).enumerated() {
      (places + index).initialize(to: ValuePlace(column: column, affinity: affinity))
    }
    self.places = UnsafePointer(places)
  }

  deinit { UnsafeMutablePointer(mutating: places).deallocate() }

  private static func column(_ name: String, of table: CreateTable) throws(SQLError) -> Int {
    if let column = table.columnIndex(name) { return column }
    if table.isRowidAlias || table.primaryKey.isEmpty, ["rowid", "oid", "_rowid_"].contains(folded(name)) {
      return table.primaryKey.first ?? RowBuilder.rowidPlace
    }
    throw SQLError(.invalid, "table \(table.name) has no column named \(name)")
  }

  /// SQLite's words for a row with `count` values.
  public func wrongCount(_ count: Int) -> String {
    hasColumnList
      ? "\(count) values for \(valueCount) columns"
      : "table \(tableName) has \(columnCount) columns but \(count) values were supplied"
  }
}

/// The encoded cells of omitted columns.
private struct DefaultTemplate {
  var codes: [UInt8]
  var offsets: [UInt32]
  var bodies: [UInt8] = []
  var pending: [Int] = []

  init(columnCount: Int) {
    codes = Array(repeating: RowFormat.null, count: columnCount)
    offsets = Array(repeating: 0, count: columnCount)
  }

  mutating func append(column: Int, _ definition: Column, given: Value?) {
    var stored = given
    if stored == nil, let literal = definition.defaultValue {
      stored = literal.value.flatMap { applyAffinity(definition.affinity, to: $0) }
      if stored == nil { pending.append(column) }
    }
    guard let stored, stored != .null else { return }
    var builder = RowBuilder()
    builder.begin(columnCount: 1)
    builder.put(stored, at: 0)
    let cell = builder.cell(column: 0)
    if cell.code == RowFormat.longText || cell.code == RowFormat.longBlob {
      withUnsafeBytes(of: UInt32(cell.size).littleEndian) { bodies.append(contentsOf: $0) }
    }
    codes[column] = cell.code
    offsets[column] = UInt32(bodies.count)
    bodies.append(contentsOf: cell.bytes)
  }
}
