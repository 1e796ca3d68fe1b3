// The end of CREATE TABLE: names in keys become column indexes, and the rules between clauses are held.

extension Parser {
  /// The finished definition, or SQLite's words about what cannot be.
  func resolve(_ draft: TableDraft) throws(SQLError) -> CreateTable {
    var table = draft.table
    for name in draft.foreignKeyColumns where table.columnIndex(name) == nil {
      throw SQLError(.invalid, "unknown column \"\(name)\" in foreign key definition")
    }
    if let key = draft.key { try resolvePrimaryKey(key, in: &table) }
    try checkRowid(&table, keyOffset: draft.keyOffset)
    if let names = draft.shardKey { try resolveShardKey(names, draft.shardKeyOffset, in: &table) }
    for unique in draft.uniques { try resolveUnique(unique, in: &table) }
    return table
  }

  private func resolvePrimaryKey(_ key: [KeyColumn], in table: inout CreateTable) throws(SQLError) {
    for column in key {
      guard let index = table.columnIndex(column.name) else {
        throw SQLError(.invalid, "table \(table.name) has no column named \(column.name)", offset: column.offset)
      }
      guard !table.primaryKey.contains(index) else {
        throw SQLError(.invalid, "duplicate column in the primary key: \(column.name)", offset: column.offset)
      }
      try checkCollation(column.collation, of: table.columns[index], offset: column.offset)
      table.primaryKey.append(index)
    }
  }

  /// Key columns are compared byte by byte, wherever they are compared.
  private func checkCollation(_ collation: String?, of column: Column, offset: Int) throws(SQLError) {
    for name in [collation, column.collation] {
      guard let name, !sameName(name, "BINARY") else { continue }
      throw SQLError(
        .unsupported, "COLLATE \(name) on key column \(column.name) is not supported: keys compare as BINARY",
        offset: offset)
    }
  }

  private func checkRowid(_ table: inout CreateTable, keyOffset: Int) throws(SQLError) {
    let isInteger =
      table.primaryKey.count == 1
      && sameName(withoutQuotes(ofType: table.columns[table.primaryKey[0]].typeName), "INTEGER")
    if table.withoutRowid {
      if table.autoIncrement {
        throw SQLError(.invalid, "AUTOINCREMENT not allowed on WITHOUT ROWID tables", offset: keyOffset)
      }
      if table.primaryKey.isEmpty { throw SQLError(.invalid, "PRIMARY KEY missing on table \(table.name)") }
    }
    if table.autoIncrement, !isInteger {
      throw SQLError(.invalid, "AUTOINCREMENT is only allowed on an INTEGER PRIMARY KEY", offset: keyOffset)
    }
    table.isRowidAlias = isInteger && !table.withoutRowid
  }

  private func resolveShardKey(_ names: [String], _ offset: Int, in table: inout CreateTable) throws(SQLError) {
    var columns: [Int] = []
    for name in names {
      guard let index = table.columnIndex(name) else {
        throw SQLError(.invalid, "table \(table.name) has no column named \(name)", offset: offset)
      }
      guard !columns.contains(index) else {
        throw SQLError(.invalid, "duplicate column in the shard key: \(name)", offset: offset)
      }
      try checkCollation(nil, of: table.columns[index], offset: offset)
      columns.append(index)
    }
    guard table.primaryKey.isEmpty || columns.allSatisfy({ table.primaryKey.contains($0) }) else {
      let shard = columns.map { table.columns[$0].name }.joined(separator: ", ")
      let key = table.primaryKey.map { table.columns[$0].name }.joined(separator: ", ")
      throw SQLError(
        .invalid,
        "the shard key (\(shard)) must be part of the primary key (\(key)): "
          + "else a duplicate could hide on another shard",
        offset: offset)
    }
    table.shardKey = columns
  }

  /// UNIQUE over the primary key's columns says nothing new; any other is refused unless it is NOT ENFORCED.
  private func resolveUnique(_ unique: UniqueDraft, in table: inout CreateTable) throws(SQLError) {
    var columns: [Int] = []
    for name in unique.columns {
      guard let index = table.columnIndex(name) else {
        throw SQLError(.invalid, "table \(table.name) has no column named \(name)", offset: unique.offset)
      }
      columns.append(index)
    }
    if !unique.isEnforced {
      table.unenforcedUniques.append(columns)
    } else if table.primaryKey.isEmpty || Set(columns) != Set(table.primaryKey) {
      throw SQLError(
        .unsupported,
        "UNIQUE (\(unique.columns.joined(separator: ", "))) is not supported besides the primary key: "
          + "write UNIQUE … NOT ENFORCED to load without the check",
        offset: unique.offset)
    }
  }
}
