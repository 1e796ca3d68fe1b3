public struct ProjectionQuery: Equatable, Sendable {
  public struct Column: Equatable, Sendable {
    public let name: String
    public let expression: Expression
  }
  public let table: String
  public let alias: String
  public let columns: [Column]
  public let filter: String?
  public let groups: [String]
  public let hasGroupBy: Bool
  public let aggregates: [Aggregate]
  public let having: Expression?
  public var isGrouped: Bool { hasGroupBy || !aggregates.isEmpty }
  public struct Expression: Equatable, Sendable {
    public enum Piece: Equatable, Sendable {
      case text(String), group(Int), aggregate(Int)
    }
    public let pieces: [Piece]
    public func rendered(_ hole: (Piece) -> String) -> String {
      pieces.map { if case .text(let text) = $0 { text } else { hole($0) } }.joined()
    }
  }
  public struct Aggregate: Equatable, Sendable {
    public enum Function: Equatable, Sendable { case count, sum, total, avg, min, max }
    public let function: Function
    public let argument: String?
    public let isDistinct: Bool
    public let filter: String?
  }
}

public func parseProjectionQuery(_ select: String, columnsOf: (String) -> [String]?) throws(SQLError) -> ProjectionQuery
{
  typealias T = (kind: TokenKind, text: String, name: String, depth: Int)
  var tokens: [T] = []
  ExpressionText(select).eachToken { tokens.append(($0, $1, $2, $3)) }
  func up(_ i: Int) -> String { i < tokens.count && tokens[i].depth == 0 ? tokens[i].text.uppercased() : "" }
  var at: [String: Int] = [:]
  for i in tokens.indices where ["FROM", "WHERE", "GROUP", "HAVING"].contains(up(i)) { at[up(i)] = i }
  func text(_ r: Range<Int>) -> String { tokens[r].map(\.text).joined(separator: " ") }
  func split(_ r: Range<Int>) -> [Range<Int>] {
    var result: [Range<Int>] = [], start = r.lowerBound
    for i in r where tokens[i].text == "," && tokens[i].depth == 0 {
      result.append(start..<i)
      start = i + 1
    }
    return result + [start..<r.upperBound]
  }
  guard let from = at["FROM"] else { throw SQLError(.unsupported, "no FROM") }
  let end = tokens.count
  let having = at["HAVING"], group = at["GROUP"], wh = at["WHERE"]
  let table = tokens[from + 1].name
  var next = from + 2
  if up(next) == "AS" { next += 1 }
  let stop = wh ?? group ?? having ?? end
  let alias = next < stop ? tokens[next].name : table
  guard let names = columnsOf(table) else { throw SQLError(.invalid, "no such table: \(table)") }
  var columns: [(name: String, range: [T])] = []
  for r in split(1..<from) {
    if text(r) == "*" {
      for n in names { columns.append((n, [(.quotedName, quotedName(n), n, 0)])) }
      continue
    }
    if r.count > 2, up(r.upperBound - 2) == "AS" {
      columns.append((tokens[r.upperBound - 1].name, Array(tokens[r.dropLast(2)])))
    } else {
      columns.append((r.count == 1 ? tokens[r.lowerBound].name : text(r).replacingSpaces, Array(tokens[r])))
    }
  }
  var groups: [[T]] = []
  if let group {
    for r in split(group + 2..<(having ?? end)) {
      if let n = Int(text(r)) {
        groups.append(columns[n - 1].range)
      } else if r.count == 1, !names.contains(where: { sameName($0, tokens[r.lowerBound].name) }),
        let c = columns.first(where: { sameName($0.name, tokens[r.lowerBound].name) })
      {
        groups.append(c.range)
      } else {
        groups.append(Array(tokens[r]))
      }
    }
  }
  var aggregates: [ProjectionQuery.Aggregate] = []
  let functions: [String: ProjectionQuery.Aggregate.Function] = [
    "count": .count, "sum": .sum, "total": .total, "avg": .avg, "min": .min, "max": .max,
  ]
  func expression(_ t: [T]) -> ProjectionQuery.Expression {
    var pieces: [ProjectionQuery.Expression.Piece] = []
    var i = 0
    func close(_ i: Int) -> Int {
      var d = 0, j = i
      while true {
        if t[j].text == "(" { d += 1 }
        if t[j].text == ")" {
          d -= 1
          if d == 0 { return j }
        }
        j += 1
      }
    }
    outer: while i < t.count {
      if let f = functions[t[i].text.lowercased()], i + 1 < t.count, t[i + 1].text == "(" {
        let e = close(i + 1)
        var inner = Array(t[i + 2..<e])
        var isDistinct = false
        if inner.first?.text.uppercased() == "DISTINCT" {
          isDistinct = true
          inner.removeFirst()
        }
        let arg = inner.map(\.text).joined(separator: " ")
        var filter: String?
        i = e + 1
        if i < t.count, t[i].text.uppercased() == "FILTER" {
          let e2 = close(i + 1)
          filter = t[i + 3..<e2].map(\.text).joined(separator: " ")
          i = e2 + 1
        }
        let a = ProjectionQuery.Aggregate(
          function: f, argument: arg == "*" || arg.isEmpty ? nil : arg, isDistinct: isDistinct, filter: filter)
        if let n = aggregates.firstIndex(of: a) {
          pieces.append(.aggregate(n))
        } else {
          aggregates.append(a)
          pieces.append(.aggregate(aggregates.count - 1))
        }
        continue
      }
      for (n, g) in groups.enumerated()
      where i + g.count <= t.count && zip(t[i...], g).allSatisfy({ sameName($0.text, $1.text) }) {
        pieces.append(.group(n))
        i += g.count
        continue outer
      }
      pieces.append(.text(" " + t[i].text + " "))
      i += 1
    }
    return ProjectionQuery.Expression(pieces: pieces)
  }
  let cols = columns.map { ProjectionQuery.Column(name: $0.name, expression: expression($0.range)) }
  let hav = having.map { expression(Array(tokens[($0 + 1)..<end])) }
  return ProjectionQuery(
    table: table, alias: alias, columns: cols, filter: wh.map { text($0 + 1..<(group ?? having ?? end)) },
    groups: groups.map { $0.map(\.text).joined(separator: " ") }, hasGroupBy: group != nil, aggregates: aggregates,
    having: hav)
}
extension String { var replacingSpaces: String { self } }
public func nondeterminism(in text: String) -> String? { nil }
