// Reads expressions by SQLite's precedence (https://sqlite.org/lang_expr.html and its parse.y), for an analysis that
// has to know where each part ends. What no analysis may see (subqueries, windows, parameters) is refused by name.

/// Reads the parts of a query over one table.
struct QueryParser {
  /// The most operators over one another, as in SQLite.
  static let maximumHeight = 1000
  /// The most nodes over one another; each is one call deep where a tree is walked or let go, and a thread of 512 KiB
  /// has room for them, also where a sanitizer makes each call several times as large.
  static let maximumDepth = 250
  /// The most parts inside one another; each is some calls deep where it is read.
  static let maximumNesting = 200

  var parser: Parser
  private var nesting = 0

  init(_ parser: Parser) { self.parser = parser }

  /// How tightly operators bind.
  private enum Level {
    static let or = 1
    static let and = 2
    static let not = 3
    static let equality = 4
    static let comparison = 5
    static let bits = 6
    static let sum = 7
    static let product = 8
    static let concatenation = 9
    static let collation = 10
    static let sign = 11
  }

  func refusal(_ thing: String) -> SQLError { parser.unsupported("\(thing) cannot be kept incrementally") }

  /// An expression whose outer operators bind at least as tightly as `minimum`.
  mutating func expression(_ minimum: Int = 1) throws(SQLError) -> ExpressionNode {
    nesting += 1
    guard nesting < QueryParser.maximumNesting else { throw tooDeep(QueryParser.maximumNesting) }
    var node = try operand()
    while let next = try operation(on: node, minimum) {
      guard next.height < QueryParser.maximumHeight else { throw tooDeep(QueryParser.maximumHeight) }
      guard next.depth < QueryParser.maximumDepth else { throw tooDeep(QueryParser.maximumDepth) }
      node = next
    }
    nesting -= 1
    return node
  }

  private func tooDeep(_ limit: Int) -> SQLError { refusal("an expression of more than \(limit) levels") }

  // MARK: Operators

  /// What the next operator makes of what stands in front of it; nil: none follows that binds tightly enough.
  private mutating func operation(on left: ExpressionNode, _ minimum: Int) throws(SQLError) -> ExpressionNode? {
    if let level = binaryLevel() {
      guard level >= minimum else { return nil }
      parser.advance()
      return joined(left, [try expression(level + 1)])
    }
    if parser.at("COLLATE"), Level.collation >= minimum {
      parser.advance()
      let end = parser.token.end
      _ = try parser.name()
      return ExpressionNode(left, [], end: end)
    }
    guard Level.equality >= minimum else { return nil }
    if parser.at("ISNULL") || parser.at("NOTNULL") { return postfix(left) }
    if parser.take("IS") {
      _ = parser.take("NOT")
      if parser.take("DISTINCT") { try parser.expect("FROM") }
      return joined(left, [try expression(Level.comparison)])
    }
    if parser.at("NOT") {
      let next = parser.peek()
      if parser.lexer.isWord(next, "NULL") {
        parser.advance()
        return postfix(left)
      }
      guard ["LIKE", "GLOB", "REGEXP", "MATCH", "BETWEEN", "IN"].contains(parser.lexer.text(next).uppercased()) else {
        return nil
      }
      parser.advance()
    }
    if parser.take("BETWEEN") {
      let low = try expression(Level.equality)
      try parser.expect("AND")
      return joined(left, [low, try expression(Level.comparison)])
    }
    if parser.take("IN") { return try membership(left) }
    if parser.take("LIKE") || parser.take("GLOB") || parser.take("REGEXP") || parser.take("MATCH") {
      let pattern = try expression(Level.comparison)
      guard parser.take("ESCAPE") else { return joined(left, [pattern]) }
      return joined(left, [pattern, try expression(Level.comparison)])
    }
    return nil
  }

  /// How tightly the next token binds as an operator between two operands; nil: it is none.
  private func binaryLevel() -> Int? {
    switch parser.token.kind {
    case .equal: return Level.equality
    case .plus, .minus: return Level.sum
    case .star: return Level.product
    case .word: return parser.at("OR") ? Level.or : parser.at("AND") ? Level.and : nil
    case .sign: break
    default: return nil
    }
    switch parser.lexer.text(parser.token) {
    case "<>", "!=": return Level.equality
    case "<", "<=", ">", ">=": return Level.comparison
    case "&", "|", "<<", ">>": return Level.bits
    case "/", "%": return Level.product
    case "||", "->", "->>": return Level.concatenation
    default: return nil
    }
  }

  private func joined(_ left: ExpressionNode, _ others: [ExpressionNode]) -> ExpressionNode {
    ExpressionNode(left, others, end: others.last?.range.upperBound ?? left.range.upperBound)
  }

  /// The next token ends the expression.
  private mutating func postfix(_ left: ExpressionNode) -> ExpressionNode {
    let end = parser.token.end
    parser.advance()
    return ExpressionNode(left, [], end: end)
  }

  /// IN behind its IN.
  private mutating func membership(_ left: ExpressionNode) throws(SQLError) -> ExpressionNode {
    guard parser.at(.leftParen) else {
      _ = try parser.name()
      throw refusal("IN with a table")
    }
    parser.advance()
    try refuseSubquery()
    var others: [ExpressionNode] = []
    if !parser.at(.rightParen) {
      repeat { others.append(try expression()) } while parser.take(.comma)
    }
    let end = parser.token.end
    try parser.expect(.rightParen)
    return ExpressionNode(left, others, end: end)
  }

  private func refuseSubquery() throws(SQLError) {
    if parser.at("SELECT") || parser.at("VALUES") || parser.at("WITH") { throw refusal("a subquery") }
  }

  // MARK: Operands

  private mutating func operand() throws(SQLError) -> ExpressionNode {
    let start = parser.token.start
    switch parser.token.kind {
    case .string, .blob, .integer, .real: return literal()
    case .variable: throw refusal("a parameter")
    case .leftParen: return try parenthesised()
    case .minus, .plus:
      let isNegative = parser.at(.minus)
      parser.advance()
      let inner = try expression(Level.sign)
      return ExpressionNode(.signed(isNegative: isNegative), start..<inner.range.upperBound, [inner])
    case .sign where parser.lexer.text(parser.token) == "~":
      parser.advance()
      let inner = try expression(Level.sign)
      return ExpressionNode(.compound, start..<inner.range.upperBound, [inner])
    case .quotedName: return try reference()
    case .word: return try word()
    default: throw parser.unexpected()
    }
  }

  private mutating func literal() -> ExpressionNode {
    let range = parser.token.start..<parser.token.end
    parser.advance()
    return ExpressionNode(.literal, range)
  }

  /// An operand that begins with a bare word.
  private mutating func word() throws(SQLError) -> ExpressionNode {
    let start = parser.token.start
    let next = parser.peek().kind
    if parser.take("NOT") {
      let inner = try expression(Level.not)
      return ExpressionNode(.compound, start..<inner.range.upperBound, [inner])
    }
    if parser.at("NULL") { return literal() }
    if parser.at("CASE") { return try choice() }
    if parser.at("EXISTS"), next == .leftParen { throw refusal("a subquery") }
    if parser.at("CAST"), next == .leftParen { return try conversion() }
    if parser.at("CURRENT_TIME") || parser.at("CURRENT_DATE") || parser.at("CURRENT_TIMESTAMP"),
      next != .dot, next != .leftParen
    {
      return literal()
    }
    return try reference()
  }

  /// `(expression)`, or a row `(a, b)`.
  private mutating func parenthesised() throws(SQLError) -> ExpressionNode {
    let start = parser.token.start
    parser.advance()
    try refuseSubquery()
    var children: [ExpressionNode] = []
    repeat { children.append(try expression()) } while parser.take(.comma)
    let end = parser.token.end
    try parser.expect(.rightParen)
    return ExpressionNode(children.count == 1 ? .parenthesised : .compound, start..<end, children)
  }

  private mutating func choice() throws(SQLError) -> ExpressionNode {
    let start = parser.token.start
    parser.advance()
    var children: [ExpressionNode] = []
    if !parser.at("WHEN") { children.append(try expression()) }
    repeat {
      try parser.expect("WHEN")
      children.append(try expression())
      try parser.expect("THEN")
      children.append(try expression())
    } while parser.at("WHEN")
    if parser.take("ELSE") { children.append(try expression()) }
    let end = parser.token.end
    try parser.expect("END")
    return ExpressionNode(.compound, start..<end, children)
  }

  /// `CAST (expression AS type)`; the type's words stay as they are.
  private mutating func conversion() throws(SQLError) -> ExpressionNode {
    let start = parser.token.start
    parser.advance()
    try parser.expect(.leftParen)
    try refuseSubquery()
    let inner = try expression()
    try parser.expect("AS")
    var depth = 0
    while depth > 0 || !parser.at(.rightParen) {
      switch parser.token.kind {
      case .leftParen: depth += 1
      case .rightParen: depth -= 1
      case .word, .quotedName, .string, .integer, .real, .plus, .minus, .comma: break
      default: throw parser.unexpected()
      }
      parser.advance()
    }
    let end = parser.token.end
    parser.advance()
    return ExpressionNode(.compound, start..<end, [inner])
  }

  /// A name, qualified or not, or a call.
  private mutating func reference() throws(SQLError) -> ExpressionNode {
    let start = parser.token.start
    let isQuoted = parser.at(.quotedName)
    var end = parser.token.end
    let first = try parser.name()
    if parser.at(.leftParen) { return try call(first, start) }
    var names = [first]
    var starts = [start]
    while names.count < 3, parser.take(.dot) {
      starts.append(parser.token.start)
      end = parser.token.end
      names.append(try parser.name())
    }
    let name = NameReference(
      schema: names.count == 3 ? names[0] : nil, table: names.count > 1 ? names[names.count - 2] : nil,
      column: names[names.count - 1], start: names.count == 3 ? starts[1] : start, isQuoted: isQuoted)
    return ExpressionNode(.name(name), start..<end)
  }

  // MARK: Calls

  /// A call behind the function's name.
  private mutating func call(_ name: String, _ start: Int) throws(SQLError) -> ExpressionNode {
    parser.advance()
    let isDistinct = parser.take("DISTINCT")
    if !isDistinct { _ = parser.take("ALL") }
    var children: [ExpressionNode] = []
    let hasStar = !isDistinct && parser.take(.star)
    if !hasStar, !parser.at(.rightParen) {
      try refuseSubquery()
      repeat { children.append(try expression()) } while parser.take(.comma)
    }
    if parser.at("ORDER") { throw refusal("ORDER BY in \(name)()") }
    let argumentCount = children.count
    var end = parser.token.end
    try parser.expect(.rightParen)
    if parser.at("WITHIN"), parser.lexer.isWord(parser.peek(), "GROUP") { throw refusal("WITHIN GROUP of \(name)()") }
    let hasFilter = parser.at("FILTER") && parser.peek().kind == .leftParen
    if hasFilter {
      parser.advance()
      parser.advance()
      try parser.expect("WHERE")
      children.append(try expression())
      end = parser.token.end
      try parser.expect(.rightParen)
    }
    if parser.at("OVER"), isWindow(parser.peek()) { throw refusal("a window (\(name)() OVER)") }
    let call = FunctionCall(
      name: folded(name), isDistinct: isDistinct, hasStar: hasStar, hasFilter: hasFilter,
      argumentCount: argumentCount)
    return ExpressionNode(.call(call), start..<end, children)
  }

  /// Whether the token behind OVER makes it more than an alias.
  private func isWindow(_ token: Token) -> Bool {
    switch token.kind {
    case .leftParen, .quotedName, .string: true
    case .word: !Keywords.reserved.contains(parser.lexer.text(token).uppercased())
    default: false
    }
  }
}
