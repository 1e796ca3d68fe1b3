// The analysis of a projection's SELECT: a query over one table, taken apart so that SQLite can evaluate its parts over
// changed rows alone, and fold what they give into what is stored.
//
// A row query gives one result row for each row of the table that its filter lets through. A grouped query gives one
// for each group: its result columns and HAVING are expressions over the group's terms and its aggregates, and over
// nothing else, so both have holes where these stand. What is no such query is refused with a reason that names the
// thing.

/// A SELECT over one table, taken apart so that it can be evaluated over changed rows only.
///
/// All texts are SQL over the table's columns, which may be qualified with `alias`.
public struct ProjectionQuery: Equatable, Sendable {
  /// A column of the result.
  public struct Column: Equatable, Sendable {
    /// As SQLite names it: by its alias, else a plain column's own name as declared, else by the text as written.
    public let name: String
    public let expression: Expression
  }

  /// The table's name as written, without quotes and schema.
  public let table: String
  /// The name by which columns may be qualified: the table's when it has no other.
  public let alias: String
  public let columns: [Column]
  /// WHERE, with aliases of result columns written out; nil: every row.
  public let filter: String?
  /// The terms of GROUP BY, with ordinals and aliases written out, each once; empty without GROUP BY.
  public let groups: [String]
  public let hasGroupBy: Bool
  /// Every distinct aggregate of the result columns and of HAVING, in the order they are met.
  public let aggregates: [Aggregate]
  public let having: Expression?

  /// Whether a result row stands for a group: without GROUP BY, for the only one.
  public var isGrouped: Bool { hasGroupBy || !aggregates.isEmpty }
}

/// SQL text with holes for what is stored. Without holes, it is over the table's columns.
public struct Expression: Equatable, Sendable {
  public enum Piece: Equatable, Sendable {
    case text(String)
    /// The value of `ProjectionQuery.groups[index]`.
    case group(Int)
    /// The value of `ProjectionQuery.aggregates[index]`.
    case aggregate(Int)
  }

  public let pieces: [Piece]

  /// The text with what `hole` gives for each group and aggregate: a name, or an expression in parentheses.
  public func rendered(_ hole: (Piece) -> String) -> String {
    pieces.map { piece in if case .text(let text) = piece { text } else { hole(piece) } }.joined()
  }

  /// The group that this is and nothing but; nil for any other expression.
  public var groupIndex: Int? { if pieces.count == 1, case .group(let index) = pieces[0] { index } else { nil } }

  /// The aggregate that this is and nothing but; nil for any other expression.
  public var aggregateIndex: Int? {
    if pieces.count == 1, case .aggregate(let index) = pieces[0] { index } else { nil }
  }
}

/// A call of an aggregate function. Its texts are over the table's columns.
public struct Aggregate: Equatable, Sendable {
  public enum Function: String, Equatable, Sendable, CaseIterable {
    case count
    case sum
    case total
    case avg
    case min
    case max
  }

  public let function: Function
  /// nil: `count(*)`.
  public let argument: String?
  /// Whether equal values count once; of `count` only.
  public let isDistinct: Bool
  /// FILTER (WHERE …); nil: every row.
  public let filter: String?
}

/// Takes a projection's SELECT apart. `columnsOf` gives the names of a table's columns, or nil where there is none.
///
/// Throws syntax and incomplete; unsupported, with the reason, for a query that is not kept over changed rows only; and
/// invalid for a table or column that is not there.
public func parseProjectionQuery(
  _ select: String, columnsOf: (String) -> [String]?
) throws(SQLError) -> ProjectionQuery {
  try parsing(select) { (parser) throws(SQLError) in
    let lexer = parser.lexer
    var reader = QueryParser(parser)
    let draft = try reader.select()
    guard let columns = columnsOf(draft.table) else {
      throw SQLError(.invalid, "no such table: \(draft.table)", offset: draft.tableOffset)
    }
    var assembly = QueryAssembly(draft, QueryScope(draft, columns: columns, lexer: lexer))
    return try assembly.query()
  }
}

/// Puts the parts of a query that was read together: names are looked up, holes made.
private struct QueryAssembly {
  private let draft: SelectDraft
  private var writer: ExpressionWriter

  init(_ draft: SelectDraft, _ scope: QueryScope) {
    self.draft = draft
    writer = ExpressionWriter(scope)
  }

  mutating func query() throws(SQLError) -> ProjectionQuery {
    let results = try resultColumns()
    writer.scope.aliases = results.compactMap { result in result.alias.map { ($0, result.node) } }
    writer.isGrouped = isGrouped(results)
    if let having = draft.having, !writer.isGrouped {
      throw SQLError(.invalid, "HAVING clause on a non-aggregate query", offset: having.range.lowerBound)
    }
    var filter: String?
    if let node = draft.filter { filter = try writer.text(of: node, in: .filter, withAliases: true) }
    let groups = try groups(results)
    var columns: [ProjectionQuery.Column] = []
    for result in results {
      let node = result.node.withoutParentheses
      let expression =
        writer.isGrouped ? try writer.grouped(node, withAliases: false) : try writer.expression(of: node)
      columns.append(ProjectionQuery.Column(name: try name(of: result), expression: expression))
    }
    var having: Expression?
    if let node = draft.having { having = try writer.grouped(node, withAliases: true) }
    return ProjectionQuery(
      table: draft.table, alias: writer.scope.alias, columns: columns, filter: filter, groups: groups,
      hasGroupBy: draft.hasGroupBy, aggregates: writer.aggregates, having: having)
  }

  /// An aggregate in HAVING alone does not make a query a grouped one to SQLite.
  private func isGrouped(_ results: [Result]) -> Bool {
    if draft.hasGroupBy { return true }
    for result in results where writer.scope.hasAggregate(result.node) { return true }
    return false
  }

  private mutating func groups(_ results: [Result]) throws(SQLError) -> [String] {
    var groups: [String] = []
    for node in draft.groups {
      let (term, seesAliases) = try groupTerm(node, results)
      let text = try writer.text(of: term, in: .group, withAliases: seesAliases)
      if writer.addGroup(try writer.scope.key(of: term, withAliases: seesAliases)) { groups.append(text) }
    }
    return groups
  }

  /// A column of the result: stars are written out.
  private struct Result {
    let node: ExpressionNode
    let alias: String?
  }

  private func resultColumns() throws(SQLError) -> [Result] {
    var results: [Result] = []
    for result in draft.results {
      switch result {
      case .expression(let node, let alias): results.append(Result(node: node, alias: alias))
      case .star(let qualifier, let offset):
        if let qualifier, !sameName(qualifier, writer.scope.alias) {
          throw SQLError(.invalid, "no such table: \(qualifier)", offset: offset)
        }
        results += writer.scope.columns.indices.map {
          Result(node: ExpressionNode(.tableColumn($0), offset..<offset), alias: nil)
        }
      }
    }
    return results
  }

  private func name(of result: Result) throws(SQLError) -> String {
    if let alias = result.alias { return alias }
    let node = result.node.withoutParentheses
    switch node.kind {
    case .tableColumn(let index): return writer.scope.columns[index]
    case .name(let name):
      switch try writer.scope.resolve(name, withAliases: false) {
      case .column(let index): return writer.scope.columns[index]
      case .rowid: return "rowid"
      case .alias, .literal: break
      }
    default: break
    }
    return writer.scope.lexer.text(result.node.range)
  }

  /// What a term of GROUP BY stands for: an ordinal or an alias for its result column, in which no alias is seen.
  private func groupTerm(
    _ term: ExpressionNode, _ results: [Result]
  ) throws(SQLError) -> (node: ExpressionNode, seesAliases: Bool) {
    let node = term.withoutParentheses
    if case .name(let name) = node.kind, case .alias(let index) = try writer.scope.resolve(name, withAliases: true) {
      return (writer.scope.aliases[index].node.withoutParentheses, false)
    }
    guard let ordinal = ordinal(node) else { return (node, true) }
    guard results.indices.contains(ordinal - 1) else {
      throw SQLError(
        .invalid, "GROUP BY term \(ordinal) out of range - should be between 1 and \(results.count)",
        offset: term.range.lowerBound)
    }
    return (results[ordinal - 1].node.withoutParentheses, false)
  }

  /// A whole number, with or without a sign, is one.
  private func ordinal(_ node: ExpressionNode) -> Int? {
    if case .literal = node.kind { return Int(writer.scope.lexer.text(node.range)) }
    guard case .signed(let isNegative) = node.kind, let inner = ordinal(node.children[0].withoutParentheses) else {
      return nil
    }
    return isNegative ? -inner : inner
  }
}
