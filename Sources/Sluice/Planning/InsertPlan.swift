// Everything about `INSERT INTO t(…) VALUES` that is the same for each row: worked out once, kept while the next statements
// begin with the same bytes.
import SluiceLog
import SluiceSQL
import SluiceSystem

/// How the rows of one INSERT are encoded, checked and placed.
final class InsertPlan {
  /// The statement's text up to and with VALUES: the next statement that begins with these bytes has this plan.
  let prefix: [UInt8]
  let table: SQLTable
  let shape: InsertShape
  let kind: CommandKind
  let orAction: InsertHeader.OrAction
  let tableID: UInt32
  let isStream: Bool
  let primaryKey: [Int]
  /// Columns hashed for the slot; empty: placed by position.
  let placing: [Int]
  /// Whether the placing columns are exactly the primary key, so that its encoding serves for both.
  let placesByKey: Bool
  /// Columns that must not be NULL, but for a rowid alias, which is given a number.
  let notNull: [Int]
  /// The INTEGER PRIMARY KEY column, or -1.
  let rowidColumn: Int
  let needsCheck: Bool
  /// Columns left out whose default is an expression: evaluated for each row.
  let computedDefaults: [Int]

  init(header: InsertHeader, prefix: [UInt8], table: SQLTable, evaluator: Evaluator) throws(SQLError) {
    self.prefix = prefix
    self.table = table
    let definition = table.definition
    orAction = header.orAction
    kind =
      switch header.orAction {
      case .abort: .insert
      case .ignore: .ignore
      case .replace: .put
      }
    shape = try InsertShape(table: definition, columns: header.columns, evaluator: evaluator)
    tableID = table.id
    isStream = table.isStream
    primaryKey = definition.primaryKey
    placing = table.placingColumns
    placesByKey = !isStream && placing == primaryKey
    rowidColumn = definition.isRowidAlias ? definition.primaryKey[0] : -1
    let alias = rowidColumn
    notNull = definition.columns.indices.filter {
      $0 != alias && (definition.columns[$0].notNull || definition.primaryKey.contains($0))
    }
    needsCheck = definition.hasChecks
    computedDefaults = shape.computedDefaults
  }
}
