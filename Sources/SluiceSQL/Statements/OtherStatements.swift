// The statements without a tree: transactions, PRAGMA, SHOW, SET, maintenance, DROP.

extension Parser {
  mutating func transaction() throws(SQLError) -> Statement {
    if take("BEGIN") {
      var mode = BeginMode.deferred
      if take("IMMEDIATE") {
        mode = .immediate
      } else if take("EXCLUSIVE") {
        mode = .exclusive
      } else {
        _ = take("DEFERRED")
      }
      try transactionName()
      return .begin(mode)
    }
    let isRollback = at("ROLLBACK")
    advance()
    if take("TRANSACTION"), !at(.semicolon), !at(.end), !at("TO") { _ = try name() }
    if isRollback, take("TO") {
      _ = take("SAVEPOINT")
      let name = try self.name()
      try finish()
      return .rollbackTo(name)
    }
    try finish()
    return isRollback ? .rollback : .commit
  }

  /// `[TRANSACTION [name]]`, as SQLite allows.
  private mutating func transactionName() throws(SQLError) {
    if take("TRANSACTION"), !at(.semicolon), !at(.end) { _ = try name() }
    try finish()
  }

  /// SAVEPOINT and RELEASE.
  mutating func savepoint() throws(SQLError) -> Statement {
    let isRelease = at("RELEASE")
    advance()
    if isRelease { _ = take("SAVEPOINT") }
    let name = try self.name()
    try finish()
    return isRelease ? .release(name) : .savepoint(name)
  }

  mutating func pragma() throws(SQLError) -> Statement {
    advance()
    var schema: String?
    var name = try self.name()
    if take(.dot) {
      schema = name
      name = try self.name()
    }
    var argument: String?
    if take(.equal) {
      argument = try pragmaArgument()
    } else if take(.leftParen) {
      argument = try pragmaArgument()
      try expect(.rightParen)
    }
    try finish()
    return .pragma(Pragma(schema: schema, name: name, argument: argument))
  }

  /// A signed number, or a word of any kind.
  private mutating func pragmaArgument() throws(SQLError) -> String {
    var sign = ""
    if take(.minus) { sign = "-" } else { _ = take(.plus) }
    if at(.integer) || at(.real) {
      let text = lexer.text(token)
      advance()
      return sign + text
    }
    guard sign.isEmpty else { throw unexpected() }
    if at("ON") || at("DELETE") || at("DEFAULT") {
      let text = lexer.text(token)
      advance()
      return text
    }
    return try name()
  }

  mutating func show() throws(SQLError) -> Statement {
    advance()
    let word = folded(try name())
    try finish()
    switch word {
    case "shards": return .show(.shards)
    case "queue": return .show(.queue)
    case "projections": return .show(.projections)
    case "tables": return .show(.tables)
    default: return .show(.setting(word))
    }
  }

  mutating func set() throws(SQLError) -> Statement {
    advance()
    let name = folded(try self.name())
    if !take("TO") { try expect(.equal) }
    let value = try settingValue()
    try finish()
    return .set(name: name, value: value)
  }

  mutating func settingValue() throws(SQLError) -> SettingValue {
    let isNegative = take(.minus)
    if !isNegative { _ = take(.plus) }
    if at(.integer) || at(.real) {
      let text = (isNegative ? "-" : "") + lexer.text(token)
      if let number = Int64(text) {
        advance()
        return .integer(number)
      }
      guard let number = Double(text), number.isFinite else { throw unexpected() }
      advance()
      return .real(number)
    }
    guard !isNegative else { throw unexpected() }
    if at(.string) { return .text(try name()) }
    if at("ON") {
      advance()
      return .word("on")
    }
    return .word(folded(try name()))
  }

  mutating func maintenance() throws(SQLError) -> Statement {
    if take("VACUUM") {
      if at("INTO") { return .refused("VACUUM INTO is not supported: copy projections.db") }
      if at(.word) || at(.quotedName) { _ = try name() }
      if at("INTO") { return .refused("VACUUM INTO is not supported: copy projections.db") }
      try finish()
      return .vacuum
    }
    let isAnalyze = at("ANALYZE")
    advance()
    let name = at(.semicolon) || at(.end) ? nil : try qualifiedName()
    try finish()
    return isAnalyze ? .analyze(name: name) : .reindex(name: name)
  }

  mutating func drop() throws(SQLError) -> Statement {
    advance()
    if at("TRIGGER") { return .refused("DROP TRIGGER is not supported: a store has no triggers") }
    let isTable = at("TABLE")
    let isIndex = at("INDEX")
    let isView = at("VIEW")
    guard isTable || isIndex || isView || at("PROJECTION") else { throw unexpected() }
    advance()
    let ifExists = try self.ifExists()
    let drop = Drop(name: try qualifiedName(), ifExists: ifExists)
    try finish()
    if isTable { return .dropTable(drop) }
    return isIndex ? .dropIndex(drop) : isView ? .dropView(drop) : .dropProjection(drop)
  }
}
