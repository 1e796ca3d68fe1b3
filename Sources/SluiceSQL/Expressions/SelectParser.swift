// Reads a SELECT over one table clause by clause. The clauses that make it another kind of query are refused by name.

/// A SELECT over one table as it is written, before its names are looked up.
struct SelectDraft {
  enum ResultColumn {
    case expression(ExpressionNode, alias: String?)
    /// `*` or `qualifier.*`.
    case star(qualifier: String?, offset: Int)
  }

  var results: [ResultColumn] = []
  /// The table's name without quotes and schema, and where it begins.
  var table = ""
  var tableOffset = 0
  var alias: String?
  var filter: ExpressionNode?
  var groups: [ExpressionNode] = []
  var hasGroupBy = false
  var having: ExpressionNode?
}

extension QueryParser {
  /// The whole query. A semicolon may end it; nothing may follow.
  mutating func select() throws(SQLError) -> SelectDraft {
    var draft = SelectDraft()
    if parser.at("WITH") || parser.at("VALUES") { throw refusal(parser.lexer.text(parser.token).uppercased()) }
    try parser.expect("SELECT")
    if parser.at("DISTINCT") { throw refusal("SELECT DISTINCT") }
    _ = parser.take("ALL")
    repeat { draft.results.append(try resultColumn()) } while parser.take(.comma)
    guard parser.at("FROM") else {
      try refuseOtherClauses()
      let isQuery = ["WHERE", "GROUP", "HAVING"].contains(where: { sameName(parser.lexer.text(parser.token), $0) })
      guard isQuery || parser.at(.semicolon) || parser.at(.end) else { throw parser.unexpected() }
      throw refusal("a query without FROM")
    }
    parser.advance()
    try table(into: &draft)
    if parser.take("WHERE") { draft.filter = try expression() }
    if parser.take("GROUP") {
      try parser.expect("BY")
      draft.hasGroupBy = true
      repeat { draft.groups.append(try expression()) } while parser.take(.comma)
    }
    if parser.take("HAVING") { draft.having = try expression() }
    try refuseOtherClauses()
    try parser.finish()
    return draft
  }

  private func refuseOtherClauses() throws(SQLError) {
    if isWindowClause() { throw refusal("WINDOW") }
    if parser.at("ORDER") { throw refusal("ORDER BY") }
    for word in ["LIMIT", "UNION", "INTERSECT", "EXCEPT"] where sameName(parser.lexer.text(parser.token), word) {
      throw refusal(word)
    }
  }

  /// Whether the clause follows, and not a name: `WINDOW name AS`.
  private func isWindowClause() -> Bool {
    var ahead = parser
    guard ahead.take("WINDOW"), ahead.at(.word) || ahead.at(.quotedName) else { return false }
    ahead.advance()
    return ahead.at("AS")
  }

  // MARK: Result columns

  private mutating func resultColumn() throws(SQLError) -> SelectDraft.ResultColumn {
    let start = parser
    if parser.take(.star) { return .star(qualifier: nil, offset: start.token.start) }
    if parser.at(.word) || parser.at(.quotedName), parser.peek().kind == .dot {
      let qualifier = try parser.name()
      parser.advance()
      if parser.take(.star) { return .star(qualifier: qualifier, offset: start.token.start) }
      parser = start
    }
    let node = try expression()
    return .expression(node, alias: try alias())
  }

  /// `[AS] alias`, or nothing.
  private mutating func alias() throws(SQLError) -> String? {
    if parser.take("AS") { return try parser.name() }
    switch parser.token.kind {
    case .string, .quotedName: return try parser.name()
    case .word:
      let word = parser.lexer.text(parser.token).uppercased()
      if Keywords.reserved.contains(word) || QueryParser.joinWords.contains(word) { return nil }
      return isWindowClause() ? nil : try parser.name()
    default: return nil
    }
  }

  /// Words that begin a join, JOIN itself aside: never an alias without AS.
  private static let joinWords: Set<String> = ["CROSS", "FULL", "INNER", "LEFT", "NATURAL", "OUTER", "RIGHT"]

  // MARK: FROM

  private mutating func table(into draft: inout SelectDraft) throws(SQLError) {
    if parser.at(.leftParen) {
      parser.advance()
      throw refusal(
        parser.at("SELECT") || parser.at("VALUES") || parser.at("WITH") ? "a subquery" : "a table in parentheses")
    }
    draft.tableOffset = parser.token.start
    draft.table = try parser.name()
    if parser.take(.dot) {
      let schema = draft.table
      draft.table = try parser.name()
      if !sameName(schema, "main") { throw refusal("a table of the schema \(schema)") }
    }
    if parser.at(.leftParen) { throw refusal("the table-valued function \(draft.table)()") }
    if parser.at("INDEXED"), parser.lexer.isWord(parser.peek(), "BY") { throw refusal("INDEXED BY") }
    draft.alias = try alias()
    if parser.at("INDEXED") { throw refusal("INDEXED BY") }
    if parser.at("NOT"), parser.lexer.isWord(parser.peek(), "INDEXED") { throw refusal("NOT INDEXED") }
    let word = parser.at(.word) ? parser.lexer.text(parser.token).uppercased() : ""
    if parser.at(.comma) || word == "JOIN" || QueryParser.joinWords.contains(word) { throw refusal("a join") }
  }
}
