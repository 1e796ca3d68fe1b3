// Everything about `INSERT INTO t(…) VALUES` that is the same for each row: worked out once, kept while the next
// statements begin with the same bytes. Unsafe by nature: named in the tidy test.
import SluiceLog
import SluiceSQL
import SluiceSystem

/// How the rows of one INSERT are encoded, checked and placed.
final class InsertPlan {
  /// The statement's text up to and with VALUES: the next statement that begins with these bytes has this plan.
  let prefix: [UInt8]
  let prefixSize: Int
  let table: SQLTable
  /// The table's: of the keys it has given out or seen.
  let highestKey: KeyCounter
  let shape: InsertShape
  let kind: CommandKind
  let orAction: OrAction
  let tableID: UInt32
  let isStream: Bool
  let primaryKey: [Int]
  /// Columns hashed for the slot; empty: placed by its number, or its position.
  let placing: [Int]
  /// Whether the key that is hashed for the slot is the whole key, so that its encoding serves for both.
  let placesByKey: Bool
  /// Columns that must not be NULL, but for a rowid alias, which is given a number. In the order in which SQLite looks
  /// at them, so that of two NULLs the same one is named: OR REPLACE comes last to those that have a default.
  let notNull: [Int]
  let notNullCount: Int
  /// Whether the key is one number, which is given out when a row brings none.
  let hasNumberKey: Bool
  /// The INTEGER PRIMARY KEY column, or -1: then that number is no column.
  let rowidColumn: Int
  /// Whether rows bring the number themselves.
  let bringsRowid: Bool
  /// Whether SQLite looks at each row: a CHECK constraint, or an index that computes its entries.
  let needsCheck: Bool
  /// Columns left out whose default is an expression: evaluated for each row.
  let computedDefaults: [Int]
  /// Whether rows are given their numbers, which are no column and tell where they are placed.
  let isCounted: Bool
  /// Whether a row whose values are in needs nothing but its key, if it has one and no NULL where none must be: no
  /// default to compute, no CHECK, and its place follows from the key.
  let isPlain: Bool

  init(orAction: OrAction, columns: [String]?, prefix: [UInt8], table: SQLTable) throws(SQLError) {
    self.prefix = prefix
    prefixSize = prefix.count
    self.table = table
    highestKey = table.highestKey
    let definition = table.definition
    self.orAction = orAction
    kind =
      switch orAction {
      case .abort, .fail, .rollback: .insert
      case .ignore: .ignore
      case .replace: .put
      }
    shape = try InsertShape(table: definition, columns: columns)
    tableID = table.id
    isStream = table.isStream
    primaryKey = definition.primaryKey
    placing = table.placingColumns
    placesByKey = !isStream && placing == primaryKey
    rowidColumn = definition.isRowidAlias ? definition.primaryKey[0] : -1
    let alias = rowidColumn
    hasNumberKey = table.hasNumberKey
    bringsRowid = shape.targets.contains(alias >= 0 ? alias : RowBuilder.rowidPlace)
    if bringsRowid, let objection = table.rowidObjection { throw SQLError(.invalid, objection) }
    let required = definition.columns.indices.filter { $0 != alias && definition.rejectsNull($0) }
    let isReplaced = { (column: Int) in orAction == .replace && definition.columns[column].defaultValue != nil }
    notNull = required.filter { !isReplaced($0) } + required.filter(isReplaced)
    notNullCount = notNull.count
    needsCheck = !definition.allChecks.isEmpty || !table.evaluatedIndexes.isEmpty
    computedDefaults = shape.pendingDefaults
    isCounted = table.isNumbered && placesByKey && !bringsRowid
    isPlain = placesByKey && !needsCheck && computedDefaults.isEmpty
  }

  /// Whether the text at `start` begins with this plan's prefix.
  @inline(__always)
  func matches(_ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Bool {
    guard end - start > prefixSize else { return false }
    return prefix.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return true }
      return equalBytes(base, start, count: prefixSize)
    }
  }
}
