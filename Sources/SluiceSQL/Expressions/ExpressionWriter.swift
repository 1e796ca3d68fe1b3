// Looks up the names of a query over one table, and writes its expressions: as text, or with holes for groups and
// aggregates. Written text has one space between tokens where SQL does not stand closer; comments are gone.

/// What names stand for in a query over one table.
struct QueryScope {
  let lexer: Lexer
  let alias: String
  /// Whether the table goes by another name than its own.
  private let isAliased: Bool
  let columns: [String]
  /// Result columns that have a name given, for the clauses that may use it.
  var aliases: [(name: String, node: ExpressionNode)] = []

  init(_ draft: SelectDraft, columns: [String], lexer: Lexer) {
    self.lexer = lexer
    self.columns = columns
    alias = draft.alias ?? draft.table
    isAliased = draft.alias != nil
  }

  enum Meaning {
    case column(Int)
    case rowid
    /// Index into `aliases`.
    case alias(Int)
    /// TRUE or FALSE.
    case literal
  }

  /// As SQLite looks: columns of the table, its rowid, then aliases where the clause sees them.
  func resolve(_ name: NameReference, withAliases: Bool) throws(SQLError) -> Meaning {
    let isTable =
      (name.table.map { sameName($0, alias) } ?? true)
      && (name.schema.map { sameName($0, "main") && !isAliased } ?? true)
    if isTable {
      if let index = columns.firstIndex(where: { sameName($0, name.column) }) { return .column(index) }
      if ["rowid", "oid", "_rowid_"].contains(folded(name.column)) { return .rowid }
    }
    if name.table == nil {
      if withAliases, let index = aliases.firstIndex(where: { sameName($0.name, name.column) }) { return .alias(index) }
      if !name.isQuoted, ["true", "false"].contains(folded(name.column)) { return .literal }
    }
    throw SQLError(.invalid, "no such column: \(name.text)", offset: name.start)
  }

  /// Whether an aggregate stands in the expression, aliases aside.
  func hasAggregate(_ node: ExpressionNode) -> Bool {
    if case .call(let call) = node.kind, call.aggregate != nil { return true }
    return node.children.contains(where: hasAggregate)
  }

  /// What an expression is made of, in the order it is written.
  enum Part {
    case token(Token)
    case child(ExpressionNode)

    /// Where it begins.
    var start: Int {
      switch self {
      case .token(let token): token.start
      case .child(let child): child.range.lowerBound
      }
    }
  }

  func parts(of node: ExpressionNode) -> [Part] {
    var parts: [Part] = []
    var cursor = lexer
    cursor.offset = node.range.lowerBound
    var children = node.children[...]
    while cursor.offset < node.range.upperBound {
      if let child = children.first, cursor.skipBlank(from: cursor.offset) == child.range.lowerBound {
        parts.append(.child(child))
        cursor.offset = child.range.upperBound
        children = children.dropFirst()
      } else {
        parts.append(.token(cursor.next()))
      }
    }
    return parts
  }

  /// A text that is the same for expressions that say the same: names by what they mean, words in one case, no
  /// parentheses that change nothing.
  func key(of node: ExpressionNode, withAliases: Bool) throws(SQLError) -> String {
    let keys = try keys(of: node, withAliases: withAliases)
    return keys[keys.count - 1]
  }

  /// For each of its operations the key of everything up to its end; of any other node its key alone.
  func keys(of node: ExpressionNode, withAliases: Bool) throws(SQLError) -> [String] {
    switch node.kind {
    case .tableColumn(let index): return ["#\(index)"]
    case .parenthesised: return [try key(of: node.children[0], withAliases: withAliases)]
    case .name(let name):
      switch try resolve(name, withAliases: withAliases) {
      case .column(let index): return ["#\(index)"]
      case .rowid: return ["#rowid"]
      case .alias(let index): return [try key(of: aliases[index].node, withAliases: false)]
      case .literal: return [folded(name.column)]
      }
    case .literal, .call, .signed, .compound: break
    }
    var result: [String] = []
    var words: [String] = []
    for part in parts(of: node) {
      if result.count < node.steps.count, part.start >= node.steps[result.count] {
        result.append("(" + words.joined(separator: " ") + ")")
        words = [result[result.count - 1]]
      }
      switch part {
      case .token(let token): words.append(foldedText(token))
      case .child(let child): words.append(try key(of: child, withAliases: withAliases))
      }
    }
    result.append(words.count == 1 ? words[0] : "(" + words.joined(separator: " ") + ")")
    return result
  }

  /// A token in the one form that all its spellings have.
  private func foldedText(_ token: Token) -> String {
    if token.kind == .quotedName { return folded(String(decoding: lexer.unquoted(token), as: UTF8.self)) }
    let text = lexer.text(token)
    switch text {
    case "==": return "="
    case "<>": return "!="
    default: return token.kind == .string ? text : folded(text)
    }
  }
}

/// Writes expressions, and gathers the aggregates of a grouped query.
struct ExpressionWriter {
  /// Where an expression stands in which no aggregate may.
  enum Place {
    case filter
    case group
    case aggregate
    /// A result column of a query that has no groups.
    case row
  }

  var scope: QueryScope
  /// Whether the query is a grouped one: a group has no rowid.
  var isGrouped = false
  private(set) var aggregates: [Aggregate] = []
  private var aggregateKeys: [String] = []
  private var groupKeys: [String] = []

  init(_ scope: QueryScope) { self.scope = scope }

  /// False: the same term is there.
  mutating func addGroup(_ key: String) -> Bool {
    guard !groupKeys.contains(key) else { return false }
    groupKeys.append(key)
    return true
  }

  // MARK: Over the table's columns

  /// The text of an expression over the table's columns.
  func text(of node: ExpressionNode, in place: Place, withAliases: Bool) throws(SQLError) -> String {
    var text = PieceText()
    try write(node, in: place, withAliases: withAliases, to: &text)
    return text.whole
  }

  func expression(of node: ExpressionNode) throws(SQLError) -> Expression {
    Expression(pieces: [.text(try text(of: node, in: .row, withAliases: false))])
  }

  private func write(
    _ node: ExpressionNode, in place: Place, withAliases: Bool, to text: inout PieceText
  ) throws(SQLError) {
    switch node.kind {
    case .tableColumn(let index): text.put(quotedName(scope.columns[index]))
    case .name(let name):
      switch try scope.resolve(name, withAliases: withAliases) {
      case .alias(let index):
        let aliased = scope.aliases[index].node
        text.put("(", after: true)
        try write(aliased.withoutParentheses, in: place, withAliases: false, to: &text)
        text.put(")", before: true)
      case .rowid where isGrouped: throw refusal("\(name.text) in a grouped query", node)
      case .column, .literal, .rowid: text.put(scope.lexer.text(name.start..<node.range.upperBound))
      }
    case .literal, .call, .parenthesised, .signed, .compound:
      if case .call(let call) = node.kind { try check(call, node, in: place) }
      for part in scope.parts(of: node) {
        switch part {
        case .token(let token): text.put(token, of: node, scope.lexer)
        case .child(let child): try write(child, in: place, withAliases: withAliases, to: &text)
        }
      }
    }
  }

  private func check(_ call: FunctionCall, _ node: ExpressionNode, in place: Place) throws(SQLError) {
    if call.isRefused { throw refusal("\(call.name)()", node) }
    if call.aggregate != nil {
      switch place {
      case .row: break
      case .filter: throw unsupported("misuse of aggregate: \(call.name)()", node)
      case .aggregate: throw unsupported("misuse of aggregate function \(call.name)()", node)
      case .group: throw unsupported("aggregate functions are not allowed in the GROUP BY clause", node)
      }
      return
    }
    if call.isDistinct { throw refusal("DISTINCT in \(call.name)()", node) }
    if call.hasFilter {
      throw SQLError(
        .invalid, "FILTER may not be used with non-aggregate \(call.name)()", offset: node.range.lowerBound)
    }
  }

  private func refusal(_ thing: String, _ node: ExpressionNode) -> SQLError {
    unsupported("\(thing) cannot be kept incrementally", node)
  }

  private func unsupported(_ sentence: String, _ node: ExpressionNode) -> SQLError {
    SQLError(.unsupported, sentence, offset: node.range.lowerBound)
  }

  // MARK: Over groups and aggregates

  /// An expression of a grouped query, with holes for the groups' terms and the aggregates.
  mutating func grouped(_ node: ExpressionNode, withAliases: Bool) throws(SQLError) -> Expression {
    var text = PieceText()
    try writeGrouped(node, withAliases, to: &text)
    return text.expression
  }

  private mutating func writeGrouped(
    _ node: ExpressionNode, _ withAliases: Bool, to text: inout PieceText
  ) throws(SQLError) {
    if let group = try groupIn(node, withAliases) {
      text.put(hole: .group(group.index))
      for part in scope.parts(of: node) where part.start >= group.end {
        try writeGrouped(part, of: node, withAliases, to: &text)
      }
      return
    }
    if case .call(let call) = node.kind, let function = call.aggregate {
      text.put(hole: .aggregate(try aggregate(function, call, node, withAliases)))
      return
    }
    switch node.kind {
    case .tableColumn(let index): throw ungrouped(scope.columns[index], node)
    case .name(let name):
      switch try scope.resolve(name, withAliases: withAliases) {
      case .column(let index): throw ungrouped(scope.columns[index], node)
      case .rowid: throw ungrouped(name.column, node)
      case .literal: text.put(name.column)
      case .alias(let index):
        text.put("(", after: true)
        try writeGrouped(scope.aliases[index].node.withoutParentheses, false, to: &text)
        text.put(")", before: true)
      }
    case .literal, .call, .parenthesised, .signed, .compound:
      if case .call(let call) = node.kind { try check(call, node, in: .row) }
      for part in scope.parts(of: node) { try writeGrouped(part, of: node, withAliases, to: &text) }
    }
  }

  private mutating func writeGrouped(
    _ part: QueryScope.Part, of node: ExpressionNode, _ withAliases: Bool, to text: inout PieceText
  ) throws(SQLError) {
    switch part {
    case .token(let token): text.put(token, of: node, scope.lexer)
    case .child(let child): try writeGrouped(child, withAliases, to: &text)
    }
  }

  /// The group's term that a node is, or that the longest run of its first operations is, and where that ends.
  private func groupIn(_ node: ExpressionNode, _ withAliases: Bool) throws(SQLError) -> (index: Int, end: Int)? {
    guard !groupKeys.isEmpty else { return nil }
    let keys = try scope.keys(of: node, withAliases: withAliases)
    for (place, key) in keys.enumerated().reversed() {
      guard let index = groupKeys.firstIndex(of: key) else { continue }
      return (index, place == keys.count - 1 ? node.range.upperBound : node.steps[place])
    }
    return nil
  }

  private func ungrouped(_ column: String, _ node: ExpressionNode) -> SQLError {
    unsupported("column \(column) is neither grouped nor inside an aggregate", node)
  }

  /// The index of an aggregate among those of the query.
  private mutating func aggregate(
    _ function: Aggregate.Function, _ call: FunctionCall, _ node: ExpressionNode, _ withAliases: Bool
  ) throws(SQLError) -> Int {
    let isCount = function == .count
    guard call.hasStar || call.argumentCount == 0 ? isCount && !call.isDistinct : call.argumentCount == 1 else {
      let sentence =
        call.isDistinct
        ? "DISTINCT aggregates must take exactly one argument" : "wrong number of arguments to function \(call.name)()"
      throw SQLError(.invalid, sentence, offset: node.range.lowerBound)
    }
    // Of equal values the least is the least.
    let isOrder = function == .min || function == .max
    if call.isDistinct, !isCount, !isOrder { throw refusal("DISTINCT in \(call.name)()", node) }
    let isDistinct = call.isDistinct && isCount
    var texts: [String] = []
    var key = "\(call.name) \(isDistinct)"
    for child in node.children {
      var text = PieceText()
      let inner = child.withoutParentheses
      try write(inner, in: .aggregate, withAliases: withAliases, to: &text)
      texts.append(text.whole)
      key += " " + (try scope.key(of: inner, withAliases: withAliases))
    }
    key += call.hasFilter ? " filter" : ""
    if let index = aggregateKeys.firstIndex(of: key) { return index }
    aggregateKeys.append(key)
    aggregates.append(
      Aggregate(
        function: function, argument: call.argumentCount == 0 ? nil : texts[0], isDistinct: isDistinct,
        filter: call.hasFilter ? texts[texts.count - 1] : nil))
    return aggregates.count - 1
  }
}

/// Text under way: pieces, and what keeps tokens apart.
private struct PieceText {
  private var pieces: [Expression.Piece] = []
  private var text = ""
  /// Whether the next token may follow at once.
  private var isOpen = true

  /// `before`, `after`: whether the text stands close to what is there, and the next text to it.
  mutating func put(_ word: String, before: Bool = false, after: Bool = false) {
    if !isOpen, !before { text += " " }
    text += word
    isOpen = after
  }

  /// A token of the node.
  mutating func put(_ token: Token, of node: ExpressionNode, _ lexer: Lexer) {
    var before = token.kind == .rightParen || token.kind == .comma
    var after = token.kind == .leftParen
    switch node.kind {
    // A comment begins with two of them.
    case .signed: if case .signed = node.children[0].kind {} else { after = true }
    // The first parenthesis of a call is the one behind its name.
    case .call: before = before || (token.kind == .leftParen && isName)
    default: break
    }
    put(lexer.text(token), before: before, after: after)
    isName = if case .call = node.kind { token.start == node.range.lowerBound } else { false }
  }

  /// Whether the last token was the name of a function.
  private var isName = false

  mutating func put(hole: Expression.Piece) {
    if !isOpen { text += " " }
    if !text.isEmpty { pieces.append(.text(text)) }
    text = ""
    pieces.append(hole)
    isOpen = false
  }

  /// Without holes.
  var whole: String { text }

  var expression: Expression { Expression(pieces: text.isEmpty ? pieces : pieces + [.text(text)]) }
}
