// CREATE TABLE, from the table's name to the last option. Columns and constraints are gathered as names and resolved
// at the end, for a key may be written in front of nothing it names.

/// What CREATE TABLE says, before the names in its keys are looked up.
struct TableDraft {
  var table: CreateTable
  /// The primary key as written, and where; nil: none.
  var key: [KeyColumn]?
  var keyOffset = -1
  var shardKey: [String]?
  var shardKeyOffset = -1
  var uniques: [UniqueDraft] = []
  var foreignKeyColumns: [String] = []
  /// The CONSTRAINT name that SQLite has read last and not forgotten: that of a CHECK. It forgets it where a column
  /// begins, and at a comma between two constraints of the table.
  var checkName: String?
}

/// A column as a key names it.
struct KeyColumn {
  let name: String
  let collation: String?
  let offset: Int
}

/// A UNIQUE constraint other than the primary key.
struct UniqueDraft {
  let columns: [String]
  let isEnforced: Bool
  let offset: Int
}

extension Parser {
  /// CREATE TABLE behind its TABLE.
  mutating func createTable() throws(SQLError) -> Statement {
    let ifNotExists = try self.ifNotExists()
    let name = try objectName()
    var draft = TableDraft(table: CreateTable(name: name))
    draft.table.ifNotExists = ifNotExists
    if at("AS") {
      throw unsupported("CREATE TABLE … AS SELECT is not supported: create the table, then insert the rows")
    }
    try expect(.leftParen)
    repeat {
      if !draft.table.columns.isEmpty, try tableConstraint(into: &draft) {
        try moreTableConstraints(into: &draft)
        break
      }
      try column(into: &draft)
    } while take(.comma)
    try expect(.rightParen)
    try tableOptions(into: &draft.table)
    try finish()
    return .createTable(try resolve(draft))
  }

  /// The constraints behind the first one: SQLite lets the commas out.
  private mutating func moreTableConstraints(into draft: inout TableDraft) throws(SQLError) {
    while !at(.rightParen) {
      if take(.comma) { draft.checkName = nil }
      guard try tableConstraint(into: &draft) else { throw unexpected() }
    }
  }

  private mutating func tableOptions(into table: inout CreateTable) throws(SQLError) {
    guard !at(.semicolon), !at(.end) else { return }
    repeat {
      if take("WITHOUT") {
        guard at(.word) || at(.quotedName) else { throw unexpected() }
        guard at("ROWID") else { throw invalid("unknown table option: \(lexer.text(token))") }
        advance()
        table.withoutRowid = true
      } else if at("STRICT") {
        throw unsupported("STRICT is not supported: types follow SQLite's affinity rules")
      } else {
        guard at(.word) else { throw unexpected() }
        if at("SHARD") {
          throw invalid("SHARD KEY (…) stands inside the parentheses of CREATE TABLE, behind the columns")
        }
        throw invalid("unknown table option: \(lexer.text(token))")
      }
    } while take(.comma)
  }
}

// MARK: Columns

extension Parser {
  /// One column with its constraints, up to the comma, the parenthesis or the end of the statement behind it.
  mutating func column(into draft: inout TableDraft) throws(SQLError) {
    let start = token
    let name = try self.name()
    guard draft.table.columnIndex(name) == nil else {
      throw SQLError(.invalid, "duplicate column name: \(name)", offset: start.start)
    }
    guard draft.table.columns.count < CreateTable.maximumColumns else {
      throw SQLError(.invalid, "too many columns on \(draft.table.name)", offset: start.start)
    }
    var column = Column(name: name)
    column.typeName = try typeName()
    column.affinity = affinity(ofType: column.typeName)
    draft.checkName = nil
    while !at(.comma), !at(.rightParen), !at(.semicolon), !at(.end) {
      try columnConstraint(of: &column, in: &draft)
    }
    draft.table.columns.append(column)
  }

  /// The words of a type as written, with `(n)` or `(n,m)`; empty where none is written.
  private mutating func typeName() throws(SQLError) -> String {
    let start = token.start
    var last = start
    while at(.quotedName) || at(.string) || (at(.word) && !isReserved(token)) {
      last = token.end
      advance()
    }
    guard last > start else { return "" }
    let words = try keptText(start..<last)
    if folded(words).hasSuffix("generated always") { throw generatedColumn() }
    if take(.leftParen) {
      try signedNumber()
      if take(.comma) { try signedNumber() }
      last = token.end
      try expect(.rightParen)
    }
    return try keptText(start..<last)
  }

  private func isReserved(_ token: Token) -> Bool {
    Keywords.reserved.contains(lexer.text(token).uppercased())
  }

  private mutating func signedNumber() throws(SQLError) {
    if !take(.minus) { _ = take(.plus) }
    guard at(.integer) || at(.real) else { throw unexpected() }
    advance()
  }

  private func generatedColumn() -> SQLError {
    unsupported("generated columns are not supported: compute the value before the insert, or in a view")
  }

  /// One constraint of a column, with its CONSTRAINT name.
  private mutating func columnConstraint(of column: inout Column, in draft: inout TableDraft) throws(SQLError) {
    var constraintName: String?
    if take("CONSTRAINT") {
      constraintName = try name()
      draft.checkName = constraintName
      // A name without a constraint is one to SQLite.
      if at(.comma) || at(.rightParen) { return }
    }
    if at("NOT") || take("NULL") {
      try nullConstraint(of: &column)
    } else if take("DEFAULT") {
      column.defaultValue = try defaultValue()
    } else if take("COLLATE") {
      column.collation = try name()
    } else if take("CHECK") {
      column.checks.append(Check(name: draft.checkName, text: try parenthesised()))
    } else if at("REFERENCES") {
      column.references.append(constraintPrefix(constraintName) + (try references()))
    } else if at("PRIMARY") {
      try columnPrimaryKey(of: column, name: constraintName, in: &draft)
    } else if at("UNIQUE") {
      let offset = token.start
      advance()
      try conflictClause()
      let isEnforced = try !notEnforced()
      draft.uniques.append(UniqueDraft(columns: [column.name], isEnforced: isEnforced, offset: offset))
    } else if at("GENERATED") || at("AS") {
      throw generatedColumn()
    } else {
      throw unexpected()
    }
  }

  /// NOT NULL, or NULL, which says nothing. A lone DEFERRABLE clause behind a reference is part of that.
  private mutating func nullConstraint(of column: inout Column) throws(SQLError) {
    if take("NOT") {
      try expect("NULL")
      column.notNull = true
    }
    try conflictClause()
  }

  private mutating func columnPrimaryKey(
    of column: Column, name: String?, in draft: inout TableDraft
  ) throws(SQLError) {
    let offset = token.start
    try beginPrimaryKey(name: name, in: &draft)
    try ascending()
    try conflictClause()
    if take("AUTOINCREMENT") { draft.table.autoIncrement = true }
    draft.key = [KeyColumn(name: column.name, collation: nil, offset: offset)]
  }

  func constraintPrefix(_ name: String?) -> String {
    name.map { "CONSTRAINT \(quotedName($0)) " } ?? ""
  }
}
