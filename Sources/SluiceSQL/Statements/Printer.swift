// Writes a table's definition as canonical SQL: the catalog's text, and the mirror's for stock SQLite.

/// CREATE TABLE in canonical form, without a semicolon.
///
/// With `shardKey`, every clause of the definition: parsing it gives the same definition. Without, what stock SQLite
/// takes: same names, columns, types, defaults, checks and references; a primary key that is no rowid alias makes the
/// table WITHOUT ROWID; SHARD KEY and UNIQUE … NOT ENFORCED are left out.
/// `temporaryName`: a temporary table of that name.
public func print(_ table: CreateTable, shardKey: Bool, temporaryName: String? = nil) -> String {
  var parts = table.columns.indices.map { columnText(table, $0) }
  if !table.primaryKey.isEmpty, !table.isRowidAlias {
    parts.append(constraint(table.primaryKeyName) + "PRIMARY KEY (\(names(table, table.primaryKey)))")
  }
  if shardKey {
    if let columns = table.shardKey { parts.append("SHARD KEY (\(names(table, columns)))") }
    parts += table.unenforcedUniques.map { "UNIQUE (\(names(table, $0))) NOT ENFORCED" }
  }
  parts += table.checks.map(checkText)
  parts += table.foreignKeys
  let isWithoutRowid = shardKey ? table.withoutRowid : !table.primaryKey.isEmpty && !table.isRowidAlias
  let head =
    temporaryName.map { "CREATE TEMP TABLE \(quotedName($0))" }
    ?? "CREATE TABLE \(table.ifNotExists ? "IF NOT EXISTS " : "")\(quotedName(table.name))"
  return head + " (\n  " + parts.joined(separator: ",\n  ") + "\n)" + (isWithoutRowid ? " WITHOUT ROWID" : "")
}

/// One column of a table in canonical form.
public func print(_ column: Column) -> String {
  var table = CreateTable(name: "")
  table.columns = [column]
  return columnText(table, 0)
}

private func columnText(_ table: CreateTable, _ index: Int) -> String {
  let column = table.columns[index]
  var text = quotedName(column.name)
  if !column.typeName.isEmpty { text += " " + column.typeName }
  if table.isRowidAlias, table.primaryKey == [index] {
    text += " " + constraint(table.primaryKeyName) + "PRIMARY KEY" + (table.autoIncrement ? " AUTOINCREMENT" : "")
  }
  if column.notNull { text += " NOT NULL" }
  if let value = column.defaultValue { text += " DEFAULT " + value.text }
  if let collation = column.collation { text += " COLLATE " + quotedName(collation) }
  for check in column.checks { text += " " + checkText(check) }
  for reference in column.references { text += " " + reference }
  return text
}

private func checkText(_ check: Check) -> String { constraint(check.name) + "CHECK (\(check.text))" }

private func constraint(_ name: String?) -> String { name.map { "CONSTRAINT \(quotedName($0)) " } ?? "" }

private func names(_ table: CreateTable, _ columns: [Int]) -> String {
  columns.map { quotedName(table.columns[$0].name) }.joined(separator: ", ")
}
