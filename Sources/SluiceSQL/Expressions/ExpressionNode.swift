// The shape of an expression: which parts of its text belong together. Operators have no kinds of their own, for
// SQLite evaluates the text; only what an analysis looks for has.

/// A part of an expression. Ranges are in bytes of the statement's text.
struct ExpressionNode {
  enum Kind {
    /// A number, a text, a blob, NULL, or the time.
    case literal
    case name(NameReference)
    /// A column of the table by its index: a star stands for all of them.
    case tableColumn(Int)
    /// The arguments are the children, and behind them FILTER's condition.
    case call(FunctionCall)
    /// One child in parentheses.
    case parenthesised
    /// `-` or `+` in front of its child.
    case signed(isNegative: Bool)
    /// Any other: tokens and children in the order they are written. Operators that follow one another, each over all
    /// in front of it, make one node: a long sum is no deep tree.
    case compound
  }

  let kind: Kind
  let range: Range<Int>
  let children: [ExpressionNode]
  /// Where each of the operations of such a node ends; else empty.
  let steps: [Int]
  /// How many nodes stand above one another.
  let depth: Int
  /// How many operations do, as SQLite counts them.
  let height: Int

  init(_ kind: Kind, _ range: Range<Int>, _ children: [ExpressionNode] = []) {
    self.kind = kind
    self.range = range
    self.children = children
    steps = []
    depth = 1 + (children.map(\.depth).max() ?? 0)
    height = 1 + (children.map(\.height).max() ?? 0)
  }

  /// An operation that ends at `end`, on `left` and the operands behind it.
  init(_ left: ExpressionNode, _ others: [ExpressionNode], end: Int) {
    kind = .compound
    range = left.range.lowerBound..<end
    let isLonger = !left.steps.isEmpty
    children = (isLonger ? left.children : [left]) + others
    steps = left.steps + [end]
    depth = max(isLonger ? left.depth : left.depth + 1, 1 + (others.map(\.depth).max() ?? 0))
    height = 1 + max(left.height, others.map(\.height).max() ?? 0)
  }

  /// The node itself, or what stands in its parentheses.
  var withoutParentheses: ExpressionNode {
    var node = self
    while case .parenthesised = node.kind { node = node.children[0] }
    return node
  }
}

/// A name that stands for a value: `column`, `table.column`, `schema.table.column`.
struct NameReference {
  var schema: String?
  var table: String?
  let column: String
  /// Where the name begins when the schema is left out.
  let start: Int
  let isQuoted: Bool

  /// As SQLite writes it in its messages.
  var text: String { [schema, table, column].compactMap(\.self).joined(separator: ".") }
}

/// A call of a function.
struct FunctionCall {
  /// Without quotes, folded.
  let name: String
  let isDistinct: Bool
  /// `f(*)`.
  let hasStar: Bool
  let hasFilter: Bool
  let argumentCount: Int

  /// The aggregate function that this calls; nil for any other function.
  var aggregate: Aggregate.Function? {
    guard let function = Aggregate.Function(rawValue: name) else { return nil }
    // With several arguments, these compare their arguments.
    return (function == .min || function == .max) && argumentCount > 1 ? nil : function
  }

  /// Whether this is an aggregate or window function that is not kept.
  var isRefused: Bool { FunctionCall.refused.contains(name) }

  private static let refused: Set<String> = [
    "group_concat", "string_agg", "json_group_array", "json_group_object", "jsonb_group_array", "jsonb_group_object",
    "median", "percentile", "percentile_cont", "percentile_disc", "row_number", "rank", "dense_rank", "percent_rank",
    "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value",
  ]
}
