// The one query that is worth a plan of its own: the number of rows of a table.

/// The result column's name and the table's name of `SELECT count(*) FROM [main.]table`, or nil for any other text. The
/// column is named as SQLite names it: by the expression as written, or by its alias.
public func parseCountQuery(_ text: UnsafeRawBufferPointer) -> (column: String, table: String)? {
  var lexer = Lexer(text)
  var parser: Parser
  guard lexer.isWord(lexer.next(), "SELECT") else { return nil }
  do throws(SQLError) {
    parser = try Parser(text)
    parser.advance()
    let start = parser.token.start
    guard parser.take("COUNT"), parser.take(.leftParen), parser.take(.star) else { return nil }
    let end = parser.token.end
    guard parser.take(.rightParen) else { return nil }
    var column = try parser.keptText(start..<end)
    if parser.take("AS") { column = try parser.name() }
    guard parser.take("FROM") else { return nil }
    let table = try parser.qualifiedName()
    try parser.finish()
    return (column, table)
  } catch { return nil }
}
