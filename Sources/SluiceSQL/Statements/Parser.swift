// A recursive-descent parser's tools: one token ahead, names, words, SQLite's error texts; and the choice of statement.

/// Reads one statement. A semicolon may end it; nothing may follow. Throws syntax, incomplete, unsupported, invalid.
public func parseStatement(_ text: UnsafeRawBufferPointer) throws(SQLError) -> Statement {
  var parser = try Parser(text)
  return try parser.statement()
}

/// The same for a Swift string.
public func parseStatement(_ text: String) throws(SQLError) -> Statement {
  try parsing(text) { (parser) throws(SQLError) in
    var parser = parser
    return try parser.statement()
  }
}

/// Throws when anything but white space, comments and semicolons stands in a text: what is behind a statement.
public func checkNothingFollows(in text: UnsafeRawBufferPointer) throws(SQLError) {
  var parser = try Parser(text)
  try parser.finish()
}

/// What `body` reads of a text. The parser is good only as long as `body` runs.
func parsing<T>(_ text: String, _ body: (Parser) throws(SQLError) -> T) throws(SQLError) -> T {
  let bytes = Array(text.utf8)
  return try bytes.withUnsafeBytes { text in
    Result { () throws(SQLError) in try body(try Parser(text)) }
  }.get()
}

struct Parser {
  var lexer: Lexer
  /// The token to be read next.
  var token: Token

  init(_ text: UnsafeRawBufferPointer) throws(SQLError) {
    lexer = Lexer(text)
    token = lexer.next()
  }

  // MARK: Tokens

  mutating func advance() { token = lexer.next() }

  func at(_ kind: TokenKind) -> Bool { token.kind == kind }
  func at(_ word: StaticString) -> Bool { lexer.isWord(token, word) }

  /// The token behind the next one.
  func peek() -> Token {
    var ahead = lexer
    return ahead.next()
  }

  mutating func take(_ kind: TokenKind) -> Bool {
    guard at(kind) else { return false }
    advance()
    return true
  }

  mutating func take(_ word: StaticString) -> Bool {
    guard at(word) else { return false }
    advance()
    return true
  }

  mutating func expect(_ kind: TokenKind) throws(SQLError) {
    guard take(kind) else { throw unexpected() }
  }

  mutating func expect(_ word: StaticString) throws(SQLError) {
    guard take(word) else { throw unexpected() }
  }

  func unexpected() -> SQLError { SQLError.unexpected(token, in: lexer) }

  func unsupported(_ message: String) -> SQLError {
    SQLError(.unsupported, message, offset: token.start)
  }

  func invalid(_ message: String) -> SQLError {
    SQLError(.invalid, message, offset: token.start)
  }

  /// The statement's end: nothing, or a semicolon and nothing.
  mutating func finish() throws(SQLError) {
    while take(.semicolon) {}
    guard at(.end) else { throw unexpected() }
  }

  // MARK: Names

  /// A name: a bare word that is not reserved, or anything in quotes.
  mutating func name() throws(SQLError) -> String {
    let bytes: [UInt8]
    switch token.kind {
    case .word:
      let word = lexer.text(token)
      if Keywords.reserved.contains(word.uppercased()) { throw unexpected() }
      bytes = Array(UnsafeBufferPointer(start: lexer.base + token.start, count: token.size))
    case .quotedName, .string: bytes = lexer.unquoted(token)
    default: throw unexpected()
    }
    guard let name = String(validating: bytes, as: UTF8.self) else {
      throw SQLError(.syntax, "a name is not UTF-8", offset: token.start)
    }
    advance()
    return name
  }

  /// `[main.]name`; any other schema is refused.
  mutating func qualifiedName() throws(SQLError) -> String {
    let start = token
    let first = try name()
    guard take(.dot) else { return first }
    let second = try name()
    if sameName(first, "main") { return second }
    throw schemaRefused(first, start)
  }

  private func schemaRefused(_ schema: String, _ start: Token) -> SQLError {
    sameName(schema, "temp")
      ? SQLError(.unsupported, "the schema temp is not supported: a store has no temporary tables", offset: start.start)
      : SQLError(.invalid, "unknown database \(schema)", offset: start.start)
  }

  /// `(name, …)`.
  mutating func nameList() throws(SQLError) -> [String] {
    try placedNameList().names
  }

  /// `(name, …)`, and where each name stands.
  mutating func placedNameList() throws(SQLError) -> (names: [String], offsets: [Int]) {
    try expect(.leftParen)
    var names: [String] = []
    var offsets: [Int] = []
    repeat {
      offsets.append(token.start)
      names.append(try name())
    } while take(.comma)
    try expect(.rightParen)
    return (names, offsets)
  }

  mutating func ifNotExists() throws(SQLError) -> Bool {
    guard take("IF") else { return false }
    try expect("NOT")
    try expect("EXISTS")
    return true
  }

  mutating func ifExists() throws(SQLError) -> Bool {
    guard take("IF") else { return false }
    try expect("EXISTS")
    return true
  }

  // MARK: Text kept for SQLite

  /// The text of a parenthesised run, without its parentheses: comments become spaces, the rest stays as written.
  mutating func parenthesised() throws(SQLError) -> String {
    try expect(.leftParen)
    let start = token.start
    var last = start
    var depth = 0
    while true {
      switch token.kind {
      case .end, .illegal, .semicolon: throw unexpected()
      case .leftParen: depth += 1
      case .rightParen:
        if depth == 0 {
          guard last > start else { throw unexpected() }
          let text = try keptText(start..<last)
          advance()
          return text
        }
        depth -= 1
      default: break
      }
      last = token.end
      advance()
    }
  }

  /// The text of a range as it is kept: as written, or with single spaces between tokens where comments stand in it.
  func keptText(_ range: Range<Int>) throws(SQLError) -> String {
    guard
      let text = String(
        validating: UnsafeBufferPointer(start: lexer.base + range.lowerBound, count: range.count), as: UTF8.self)
    else { throw SQLError(.syntax, "the text is not UTF-8", offset: range.lowerBound) }
    var cursor = Lexer(base: lexer.base, count: range.upperBound)
    cursor.offset = range.lowerBound
    var words = ""
    var hasComment = false
    var last = range.lowerBound
    while true {
      let token = cursor.next()
      let isGapBlank = (last..<token.start).allSatisfy { isSpace(lexer.base[$0]) }
      if !isGapBlank { hasComment = true }
      if token.kind == .end { return hasComment ? words : text }
      if token.start > last, !words.isEmpty { words += " " }
      words += lexer.text(token)
      last = token.end
    }
  }
}

/// The last three tokens of a statement that is being read to its end.
struct StatementTail {
  /// The parser in front of the third last token, the second last, and the last.
  private(set) var first: Parser
  private(set) var second: Parser
  var third: Parser
  /// Where each of the last four tokens ends; 0: there are not that many.
  private var ends = (0, 0, 0, 0)

  init(_ parser: Parser) {
    first = parser
    second = parser
    third = parser
  }

  /// The parser's next token is one of the statement's.
  mutating func note(_ parser: Parser) {
    (first, second, third) = (second, third, parser)
    ends = (ends.1, ends.2, ends.3, parser.token.end)
  }

  /// Where the last token ends.
  var end: Int { ends.3 }
  /// Where the token in front of the last three ends.
  var endBefore: Int { ends.0 }
}

// MARK: The choice of statement

extension Parser {
  mutating func statement() throws(SQLError) -> Statement {
    guard at(.word) else { throw unexpected() }
    if at("INSERT") || at("REPLACE") { return try insert() }
    if at("CREATE") { return try create() }
    if at("DROP") { return try drop() }
    if at("ALTER") { return try alter() }
    if at("SELECT") || at("VALUES") { return .select }
    if at("WITH") { return try with() }
    if at("EXPLAIN") { return try explain() }
    if at("DELETE") { return try delete() }
    if at("UPDATE") { return .change(try update(with: 0..<0)) }
    if at("SAVEPOINT") || at("RELEASE") { return try savepoint() }
    if at("PRAGMA") { return try pragma() }
    if at("SHOW") { return try show() }
    if at("SET") { return try set() }
    if at("BEGIN") || at("COMMIT") || at("END") || at("ROLLBACK") { return try transaction() }
    if at("REBUILD") || at("PAUSE") || at("RESUME") { return try projectionCommand() }
    if at("REDRIVE") { return try redrive() }
    if at("WAIT") { return try waitFor() }
    if at("ANALYZE") || at("REINDEX") || at("VACUUM") { return try maintenance() }
    if let sentence = refusal() { return .refused(sentence) }
    throw unexpected()
  }

  /// The sentence for a statement that Sluice refuses by its first word.
  private func refusal() -> String? {
    if at("ATTACH") || at("DETACH") {
      return "\(lexer.text(token).uppercased()) is not supported: a store is one database"
    }
    return nil
  }

  /// WITH in front of a query, or of a change.
  private mutating func with() throws(SQLError) -> Statement {
    let with = try skipWith()
    if at("INSERT") || at("REPLACE") { return .change(try insertChange(with: with)) }
    if at("UPDATE") { return .change(try update(with: with)) }
    if at("DELETE") { return .change(try delete(with: with)) }
    return .select
  }

  private mutating func explain() throws(SQLError) -> Statement {
    advance()
    var queryPlan = false
    if at("QUERY"), lexer.isWord(peek(), "PLAN") {
      queryPlan = true
      advance()
      advance()
    }
    if at("EXPLAIN") { throw unexpected() }
    let offset = token.start
    let inner = try statement()
    return .explain(queryPlan: queryPlan, innerOffset: offset, statement: inner)
  }

  /// `DELETE FROM sqlite_sequence;` is what `.dump` writes.
  private mutating func delete() throws(SQLError) -> Statement {
    let change = try delete(with: 0..<0)
    return sameName(change.table, "sqlite_sequence") && change.isWholeTable ? .clearSequences : .change(change)
  }
}
