// ALTER TABLE: what it says, read and written. What it does to the definitions is worked out by SQLite.

/// ALTER TABLE.
public struct AlterTable: Equatable, Sendable {
  public enum Action: Equatable, Sendable {
    case addColumn(Column)
    case rename(to: String)
    case renameColumn(from: String, to: String)
  }

  /// The table's name as written, without quotes and schema.
  public let table: String
  public let action: Action

  public init(table: String, action: Action) {
    self.table = table
    self.action = action
  }
}

extension Parser {
  /// ALTER of any kind.
  mutating func alter() throws(SQLError) -> Statement {
    advance()
    if take("PROJECTION") { return try alterProjection() }
    if take("STORE") { return try alterStore() }
    try expect("TABLE")
    let table = try qualifiedName()
    if take("ADD") {
      _ = take("COLUMN")
      let column = try addedColumn(of: table)
      try finish()
      return .alterTable(AlterTable(table: table, action: .addColumn(column)))
    }
    if take("DROP") {
      return .refused("ALTER TABLE … DROP COLUMN is not supported: stored rows keep their columns")
    }
    try expect("RENAME")
    if take("TO") {
      let name = try objectName()
      try finish()
      return .alterTable(AlterTable(table: table, action: .rename(to: name)))
    }
    _ = take("COLUMN")
    let source = try name()
    try expect("TO")
    let target = try name()
    try finish()
    return .alterTable(AlterTable(table: table, action: .renameColumn(from: source, to: target)))
  }

  /// A column's definition to the end of the statement. Rows that are there have no key and nothing unique in it.
  private mutating func addedColumn(of table: String) throws(SQLError) -> Column {
    var draft = TableDraft(table: CreateTable(name: table))
    try column(into: &draft)
    if draft.key != nil { throw SQLError(.invalid, "Cannot add a PRIMARY KEY column") }
    if !draft.uniques.isEmpty { throw SQLError(.invalid, "Cannot add a UNIQUE column") }
    return draft.table.columns[0]
  }
}

/// ALTER TABLE in canonical form, without a semicolon, as stock SQLite takes it.
public func print(_ alter: AlterTable) -> String {
  let head = "ALTER TABLE \(quotedName(alter.table)) "
  switch alter.action {
  case .addColumn(let column): return head + "ADD COLUMN " + print(column)
  case .rename(let name): return head + "RENAME TO " + quotedName(name)
  case .renameColumn(let source, let target):
    return head + "RENAME COLUMN \(quotedName(source)) TO \(quotedName(target))"
  }
}

extension CreateTable {
  /// This definition, as SQLite wrote it after an ALTER TABLE, with the clauses that SQLite does not know: those of the
  /// definition before, by the places of their columns.
  public func keepingClauses(of earlier: CreateTable) -> CreateTable {
    var table = self
    table.shardKey = earlier.shardKey
    table.unenforcedUniques = earlier.unenforcedUniques
    table.withoutRowid = earlier.withoutRowid
    return table
  }

  /// This definition with another default of its last column, for the printer: `text` is its SQL.
  public func withLastDefault(_ text: String) -> CreateTable {
    var table = self
    table.columns[columns.count - 1].defaultValue = DefaultValue(text: text, value: nil)
    return table
  }

  /// The statements that make the same table of SQLite's out of one with the definition `earlier`: at most a new name,
  /// new names of columns, and new columns at the end.
  public func alterations(from earlier: CreateTable) -> [AlterTable] {
    var result: [AlterTable] = []
    if earlier.name != name { result.append(AlterTable(table: earlier.name, action: .rename(to: name))) }
    for (old, new) in zip(earlier.columns, columns) where old.name != new.name {
      result.append(AlterTable(table: name, action: .renameColumn(from: old.name, to: new.name)))
    }
    for column in columns.dropFirst(earlier.columns.count) {
      result.append(AlterTable(table: name, action: .addColumn(column)))
    }
    return result
  }
}
