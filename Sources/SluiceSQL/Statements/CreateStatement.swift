// CREATE: which kind it is; CREATE INDEX and CREATE VIEW, whose text goes on to stock SQLite.

extension Parser {
  mutating func create() throws(SQLError) -> Statement {
    advance()
    if at("TEMP") || at("TEMPORARY") {
      advance()
      guard at(.word) else { throw unexpected() }
      if take("VIEW") { return try createView(isTemporary: true) }
      return .refused("CREATE TEMP \(lexer.text(token).uppercased()) is not supported: a store has no temporary tables")
    }
    if at("TRIGGER") { return .refused("CREATE TRIGGER is not supported: a store has no triggers") }
    if at("VIRTUAL") { return .refused("CREATE VIRTUAL TABLE is not supported") }
    if take("PROJECTION") { return try createProjection() }
    if take("TABLE") { return try createTable() }
    if take("VIEW") { return try createView() }
    let isUnique = take("UNIQUE")
    try expect("INDEX")
    return try createIndex(isUnique: isUnique)
  }

  private mutating func createIndex(isUnique: Bool) throws(SQLError) -> Statement {
    let ifNotExists = try self.ifNotExists()
    let name = try objectName()
    try expect("ON")
    let table = try self.name()
    guard at(.leftParen) else { throw unexpected() }
    let rest = try restOfStatement()
    let head = "CREATE \(isUnique ? "UNIQUE " : "")INDEX \(ifNotExists ? "IF NOT EXISTS " : "")"
    return .createIndex(
      CreateIndex(
        name: name, table: table, ifNotExists: ifNotExists, isUnique: isUnique,
        text: head + "\(quotedName(name)) ON \(quotedName(table)) \(rest)"))
  }

  private mutating func createView(isTemporary: Bool = false) throws(SQLError) -> Statement {
    let ifNotExists = try self.ifNotExists()
    let name = try objectName()
    guard at(.leftParen) || at("AS") else { throw unexpected() }
    let rest = try restOfStatement()
    let head = "CREATE \(isTemporary ? "TEMP " : "")VIEW \(ifNotExists ? "IF NOT EXISTS " : "")"
    return .createView(
      CreateView(
        name: name, ifNotExists: ifNotExists, isTemporary: isTemporary,
        text: head + "\(quotedName(name)) \(rest)"))
  }

  /// The name of a new table, index, view or projection: not one of those SQLite and Sluice keep for themselves.
  mutating func objectName() throws(SQLError) -> String {
    let start = token
    let name = try qualifiedName()
    let folded = folded(name)
    guard !folded.hasPrefix("sqlite_"), !folded.hasPrefix("sluice_") else {
      throw SQLError(.invalid, "object name reserved for internal use: \(name)", offset: start.start)
    }
    guard !name.isEmpty else { throw SQLError(.invalid, "a name is empty", offset: start.start) }
    return name
  }

  /// The text from the next token to the end of the statement, without its semicolon.
  private mutating func restOfStatement() throws(SQLError) -> String {
    let start = token.start
    var last = start
    while !at(.end), !at(.semicolon) {
      if at(.illegal) { throw unexpected() }
      last = token.end
      advance()
    }
    try finish()
    guard last > start else { throw unexpected() }
    return try keptText(start..<last)
  }
}

extension CreateIndex {
  /// The text behind the table's name: columns, and WHERE.
  public var rest: String {
    let head = "CREATE \(isUnique ? "UNIQUE " : "")INDEX \(ifNotExists ? "IF NOT EXISTS " : "")"
    return String(text.dropFirst("\(head)\(quotedName(name)) ON \(quotedName(table)) ".count))
  }

  /// Whether an entry of it is computed, which may fail for a row: an expression, or WHERE. A column, with its
  /// collation and its order, is there as it is.
  public var isEvaluated: Bool {
    do throws(SQLError) {
      return try parsing(rest) { (parser) throws(SQLError) in
        var parser = parser
        try parser.expect(.leftParen)
        repeat {
          guard parser.at(.word) || parser.at(.quotedName) || parser.at(.string) else { return true }
          parser.advance()
          if parser.take("COLLATE") { parser.advance() }
          if parser.at("ASC") || parser.at("DESC") { parser.advance() }
        } while parser.take(.comma)
        return !parser.take(.rightParen) || !parser.at(.end)
      }
    } catch { return true }
  }
}
