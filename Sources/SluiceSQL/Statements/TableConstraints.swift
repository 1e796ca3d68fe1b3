// The constraints of CREATE TABLE: keys, CHECK, UNIQUE, FOREIGN KEY, DEFAULT, and the clauses they share.
import SluiceSystem

extension Parser {
  /// Reads one table constraint; false where a column begins instead.
  mutating func tableConstraint(into draft: inout TableDraft) throws(SQLError) -> Bool {
    var name: String?
    let isNamed = at("CONSTRAINT")
    if take("CONSTRAINT") {
      name = try self.name()
      draft.checkName = name
    }
    if at("PRIMARY") {
      try tablePrimaryKey(name: name, into: &draft)
    } else if try shardKey(into: &draft) {
      return true
    } else if at("UNIQUE") {
      try tableUnique(into: &draft)
    } else if take("CHECK") {
      draft.table.checks.append(Check(name: draft.checkName, text: try parenthesised()))
      try conflictClause()
    } else if at("FOREIGN") {
      try foreignKey(name: name, into: &draft)
    } else if isNamed {
      // A name without a constraint is one to SQLite.
      return true
    } else {
      return false
    }
    return true
  }

  /// PRIMARY KEY, once in a table.
  mutating func beginPrimaryKey(name: String?, in draft: inout TableDraft) throws(SQLError) {
    guard draft.key == nil else { throw invalid("table \"\(draft.table.name)\" has more than one primary key") }
    draft.keyOffset = token.start
    draft.table.primaryKeyName = name
    try expect("PRIMARY")
    try expect("KEY")
  }

  private mutating func tablePrimaryKey(name: String?, into draft: inout TableDraft) throws(SQLError) {
    try beginPrimaryKey(name: name, in: &draft)
    draft.key = try keyColumns(autoIncrement: &draft.table.autoIncrement)
    try conflictClause()
  }

  /// `(name [COLLATE c] [ASC], … [AUTOINCREMENT])`.
  private mutating func keyColumns(autoIncrement: inout Bool) throws(SQLError) -> [KeyColumn] {
    try expect(.leftParen)
    var columns: [KeyColumn] = []
    repeat {
      let start = token
      let name = try keyColumnName()
      let collation = take("COLLATE") ? try self.name() : nil
      try ascending()
      columns.append(KeyColumn(name: name, collation: collation, offset: start.start))
    } while take(.comma)
    if take("AUTOINCREMENT") { autoIncrement = true }
    try expect(.rightParen)
    return columns
  }

  private mutating func keyColumnName() throws(SQLError) -> String {
    let start = token
    guard !at(.leftParen), !at(.integer), !at(.real), peek().kind != .leftParen else { throw expressionInKey(start) }
    let name = try self.name()
    guard at(.comma) || at(.rightParen) || at(.word) || at(.end) else { throw expressionInKey(start) }
    return name
  }

  private func expressionInKey(_ start: Token) -> SQLError {
    SQLError(.invalid, "expressions prohibited in PRIMARY KEY and UNIQUE constraints", offset: start.start)
  }

  /// ASC says nothing; keys are not stored downwards.
  mutating func ascending() throws(SQLError) {
    if at("DESC") { throw unsupported("DESC on a key column is not supported: keys are stored upwards") }
    _ = take("ASC")
    if take("NULLS") {
      throw unsupported("NULLS FIRST and NULLS LAST on a key column are not supported")
    }
  }

  /// SHARD KEY (columns). `shard key` is a column of the type key where no column list follows.
  private mutating func shardKey(into draft: inout TableDraft) throws(SQLError) -> Bool {
    guard at("SHARD") else { return false }
    var ahead = lexer
    guard ahead.isWord(ahead.next(), "KEY"), ahead.next().kind == .leftParen else { return false }
    switch ahead.next().kind {
    case .integer, .real, .minus, .plus: return false
    default: break
    }
    guard draft.shardKey == nil else { throw invalid("table \"\(draft.table.name)\" has more than one shard key") }
    draft.shardKeyOffset = token.start
    advance()
    advance()
    draft.shardKey = try nameList()
    return true
  }

  private mutating func tableUnique(into draft: inout TableDraft) throws(SQLError) {
    let offset = token.start
    advance()
    var autoIncrement = false
    let columns = try keyColumns(autoIncrement: &autoIncrement)
    if autoIncrement { throw invalid("AUTOINCREMENT is only allowed on an INTEGER PRIMARY KEY") }
    try conflictClause()
    let isEnforced = try !notEnforced()
    draft.uniques.append(UniqueDraft(columns: columns.map(\.name), isEnforced: isEnforced, offset: offset))
  }

  /// `NOT ENFORCED` behind UNIQUE; another NOT belongs to the next constraint.
  mutating func notEnforced() throws(SQLError) -> Bool {
    guard at("NOT"), lexer.isWord(peek(), "ENFORCED") else { return false }
    advance()
    advance()
    return true
  }

  /// ON CONFLICT ABORT is what happens anyway; the others are refused.
  mutating func conflictClause() throws(SQLError) {
    guard take("ON") else { return }
    try expect("CONFLICT")
    if take("ABORT") { return }
    guard at("ROLLBACK") || at("FAIL") || at("IGNORE") || at("REPLACE") else { throw unexpected() }
    throw unsupported(
      "ON CONFLICT \(lexer.text(token).uppercased()) on a constraint is not supported: say it with INSERT OR …")
  }

  // MARK: Foreign keys

  private mutating func foreignKey(name: String?, into draft: inout TableDraft) throws(SQLError) {
    advance()
    try expect("KEY")
    let columns = try nameList()
    guard at("REFERENCES") else { throw unexpected() }
    draft.foreignKeyColumns += columns
    let list = columns.map(quotedName).joined(separator: ", ")
    draft.table.foreignKeys.append(constraintPrefix(name) + "FOREIGN KEY (\(list)) " + (try references()))
  }

  /// REFERENCES table [(columns)] with its actions, as canonical text.
  mutating func references() throws(SQLError) -> String {
    try expect("REFERENCES")
    var text = "REFERENCES \(quotedName(try name()))"
    if at(.leftParen) { text += "(" + (try nameList()).map(quotedName).joined(separator: ", ") + ")" }
    while true {
      if at("ON") {
        text += try referenceAction()
      } else if take("MATCH") {
        text += " MATCH " + quotedName(try name())
      } else if at("DEFERRABLE") || (at("NOT") && lexer.isWord(peek(), "DEFERRABLE")) {
        text += try deferrable()
      } else {
        return text
      }
    }
  }

  private mutating func referenceAction() throws(SQLError) -> String {
    advance()
    guard at("DELETE") || at("UPDATE") else { throw unexpected() }
    let event = lexer.text(token).uppercased()
    advance()
    if take("CASCADE") { return " ON \(event) CASCADE" }
    if take("RESTRICT") { return " ON \(event) RESTRICT" }
    if take("NO") {
      try expect("ACTION")
      return " ON \(event) NO ACTION"
    }
    try expect("SET")
    if take("NULL") { return " ON \(event) SET NULL" }
    try expect("DEFAULT")
    return " ON \(event) SET DEFAULT"
  }

  private mutating func deferrable() throws(SQLError) -> String {
    var text = take("NOT") ? " NOT DEFERRABLE" : " DEFERRABLE"
    try expect("DEFERRABLE")
    if take("INITIALLY") {
      guard at("DEFERRED") || at("IMMEDIATE") else { throw unexpected() }
      text += " INITIALLY " + lexer.text(token).uppercased()
      advance()
    }
    return text
  }

  // MARK: Defaults

  /// A literal, a signed number, a name taken as text, CURRENT_…, or a parenthesised expression.
  mutating func defaultValue() throws(SQLError) -> DefaultValue {
    if at(.leftParen) { return DefaultValue(text: "(" + (try parenthesised()) + ")", value: nil) }
    let isNegative = take(.minus)
    if isNegative || take(.plus) { return try signedDefault(isNegative: isNegative) }
    let text = lexer.text(token)
    let value: Value?
    switch token.kind {
    case .string, .quotedName:
      let name = try self.name()
      return DefaultValue(text: "'" + doubled(name, "'") + "'", value: .text(Array(name.utf8)))
    case .blob: value = .blob(lexer.blobBytes(token))
    case .integer, .real: value = numberValue(text)
    case .word:
      if at("NULL") {
        value = .null
      } else if at("TRUE") || at("FALSE") {
        value = .integer(at("TRUE") ? 1 : 0)
      } else if at("CURRENT_TIME") || at("CURRENT_DATE") || at("CURRENT_TIMESTAMP") {
        value = nil
      } else {
        let name = try self.name()
        return DefaultValue(text: "'" + doubled(name, "'") + "'", value: .text(Array(name.utf8)))
      }
    default: throw unexpected()
    }
    advance()
    return DefaultValue(text: text, value: value)
  }

  private mutating func signedDefault(isNegative: Bool) throws(SQLError) -> DefaultValue {
    guard at(.integer) || at(.real) else { throw unexpected() }
    let text = (isNegative ? "-" : "+") + lexer.text(token)
    advance()
    return DefaultValue(text: text, value: numberValue(text))
  }

  /// The value of a plain number; nil leaves it to SQLite.
  private func numberValue(_ text: String) -> Value? {
    Array(text.utf8).withUnsafeBufferPointer { digits in
      guard var p = digits.baseAddress else { return nil }
      let end = p + digits.count
      let number = readNumber(&p, end)
      guard p == end else { return nil }
      switch number {
      case .integer(let value): return .integer(value)
      case .real(let value): return .real(value)
      case .other: return nil
      }
    }
  }
}
