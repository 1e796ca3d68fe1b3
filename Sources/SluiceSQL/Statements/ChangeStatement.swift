// INSERT, UPDATE and DELETE in the forms that SQLite evaluates: with a SELECT, a WHERE, ON CONFLICT, RETURNING. Their
// expressions are not parsed here; only the places are found where one clause ends and the next begins, so that each
// can be handed to SQLite as text.

/// A statement that changes rows, taken apart into clauses. Ranges are in bytes of the statement's text.
public struct ChangeStatement: Equatable, Sendable {
  public enum Verb: Equatable, Sendable {
    case insert
    case update
    case delete
  }

  public internal(set) var verb: Verb
  public internal(set) var orAction = OrAction.abort
  /// The table's name as written, without quotes and schema.
  public internal(set) var table = ""
  /// Where that name, or its schema, begins.
  public internal(set) var tableOffset = 0
  /// `AS name` behind the table.
  public internal(set) var alias: String?
  /// The column list of an INSERT; nil: all columns in their order.
  public internal(set) var columns: [String]?
  /// Where each name of the column list stands.
  public internal(set) var columnOffsets: [Int] = []
  /// `WITH …` in front of the verb; empty without.
  public internal(set) var with = 0..<0
  /// Where the verb begins.
  public internal(set) var verbOffset = 0
  /// VALUES … or SELECT … of an INSERT; empty for DEFAULT VALUES.
  public internal(set) var source = 0..<0
  /// Whether VALUES has more than one row.
  public internal(set) var hasSeveralRows = false
  /// `ON CONFLICT …`, all of them; nil without.
  public internal(set) var conflict: Range<Int>?
  /// What stands behind RETURNING; nil without.
  public internal(set) var returning: Range<Int>?
  /// Where RETURNING begins, or the statement ends: a semicolon is not counted.
  public internal(set) var bodyEnd = 0
  /// Whether something stands behind the table's name: a DELETE of nothing but FROM t deletes all of it.
  public internal(set) var isWholeTable = false
}

/// Takes an INSERT apart, whatever its form. Throws syntax, incomplete, unsupported, invalid.
public func parseInsertChange(_ text: UnsafeRawBufferPointer) throws(SQLError) -> ChangeStatement {
  var parser = try Parser(text)
  var with = 0..<0
  if parser.at("WITH") { with = try parser.skipWith() }
  return try parser.insertChange(with: with)
}

extension Parser {
  /// Goes on to the verb behind WITH, which is the next token afterwards. Returns the range of the WITH clause.
  mutating func skipWith() throws(SQLError) -> Range<Int> {
    let start = self
    var depth = 0
    while true {
      let last = token.end
      advance()
      switch token.kind {
      case .end, .semicolon, .illegal: throw unexpected()
      case .leftParen: depth += 1
      case .rightParen: depth -= 1
      case .word where depth == 0:
        if ["SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"].contains(lexer.text(token).uppercased()) {
          return start.token.start..<last
        }
      default: break
      }
      if depth < 0 { throw start.unexpected() }
    }
  }

  // MARK: INSERT

  /// INSERT in any form, from its verb on.
  mutating func insertChange(with: Range<Int>) throws(SQLError) -> ChangeStatement {
    var change = ChangeStatement(verb: .insert)
    change.with = with
    change.verbOffset = token.start
    let target = try insertTarget()
    change.orAction = target.orAction
    change.table = target.table
    change.tableOffset = target.tableOffset
    change.alias = target.alias
    change.columns = target.columns
    change.columnOffsets = target.columnOffsets
    if at("DEFAULT") {
      advance()
      try expect("VALUES")
      change.source = token.start..<token.start
      try clauses(of: &change)
      guard change.source.isEmpty else { throw unexpected() }
      return change
    }
    guard at("VALUES") || at("SELECT") || at("WITH") else { throw unexpected() }
    change.source = token.start..<token.end
    try clauses(of: &change)
    return change
  }

  // MARK: UPDATE and DELETE

  mutating func update(with: Range<Int>) throws(SQLError) -> ChangeStatement {
    var change = ChangeStatement(verb: .update)
    change.with = with
    change.verbOffset = token.start
    advance()
    if take("OR") { change.orAction = try orAction() }
    try changedTable(&change)
    guard at("SET") || at("INDEXED") || at("NOT") else { throw unexpected() }
    try clauses(of: &change)
    return change
  }

  mutating func delete(with: Range<Int>) throws(SQLError) -> ChangeStatement {
    var change = ChangeStatement(verb: .delete)
    change.with = with
    change.verbOffset = token.start
    advance()
    try expect("FROM")
    try changedTable(&change)
    change.isWholeTable = at(.end) || at(.semicolon)
    try clauses(of: &change)
    return change
  }

  private mutating func changedTable(_ change: inout ChangeStatement) throws(SQLError) {
    change.tableOffset = token.start
    change.table = try qualifiedName()
    if take("AS") { change.alias = try name() }
  }

  // MARK: Clauses

  /// Finds ON CONFLICT and RETURNING outside all parentheses, and the statement's end.
  private mutating func clauses(of change: inout ChangeStatement) throws(SQLError) {
    var depth = 0
    var last = token.start
    var conflictStart: Int?
    scan: while true {
      switch token.kind {
      case .end, .semicolon: break scan
      case .illegal: throw unexpected()
      case .leftParen: depth += 1
      case .rightParen:
        depth -= 1
        if depth < 0 { throw unexpected() }
      case .comma where depth == 0 && conflictStart == nil: change.hasSeveralRows = true
      case .word where depth == 0:
        if at("RETURNING") { break scan }
        if conflictStart == nil, change.verb == .insert, at("ON"), lexer.isWord(peek(), "CONFLICT") {
          conflictStart = token.start
          change.source = change.source.lowerBound..<last
        }
      default: break
      }
      last = token.end
      advance()
    }
    if depth > 0 { throw unexpected() }
    change.bodyEnd = last
    if let conflictStart {
      change.conflict = conflictStart..<last
    } else if change.verb == .insert {
      change.source = change.source.lowerBound..<last
    }
    if at("RETURNING") { change.returning = try returning() }
    try finish()
  }

  private mutating func returning() throws(SQLError) -> Range<Int> {
    advance()
    let start = token.start
    var last = start
    while !at(.end), !at(.semicolon) {
      if at(.illegal) { throw unexpected() }
      last = token.end
      advance()
    }
    guard last > start else { throw unexpected() }
    return start..<last
  }
}
