// Stock sqlite3 as the judge of what queries are taken apart into: the parts put together again give what the query
// gives, under the same names; and operators take the operands that SQLite gives them.
import Foundation
import SluiceTesting
import Testing

@testable import SluiceSQL

private let schema = """
  CREATE TABLE orders (user_id INTEGER, id INTEGER, sku TEXT COLLATE NOCASE, Amount REAL, quantity INTEGER, note TEXT);
  INSERT INTO orders
    WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 60)
    SELECT i % 7, i, char(65 + i % 3 + i % 2 * 32), CASE WHEN i % 11 THEN (i * 37 % 50) / 4.0 END, i * 13 % 5,
      CASE WHEN i % 4 THEN '{"a":{"b":' || i || '}}' END FROM n;
  CREATE TABLE named (rowid, oid, next, id);
  INSERT INTO named VALUES (1, 2, 3, 4), (5, 6, 7, 8), ('x', NULL, 0, 1);
  CREATE TABLE pairs (a, b, user_id, id);
  INSERT INTO pairs VALUES (1, 2, 3, 4), (1, 2, 3, 4), (NULL, 'x', 1, 2), (NULL, 'x', 1, 2), (1, '2', 3, 4);
  CREATE TABLE "odd names" ("select", "two words", "a""b");
  INSERT INTO "odd names" VALUES (1, 2, 3), (0, 'x', NULL);
  CREATE TABLE words (filter, over, "window", of, refresh, projection);
  INSERT INTO words VALUES (1, 2, 3, 4, 5, 6), (0, 1, 'w', 'o', 'r', 'p');

  """

/// The query made of its parts: over the table for rows, over stored groups and aggregates for groups.
private func recomposed(_ query: ProjectionQuery) -> String {
  let source =
    "FROM \(quotedName(query.table)) AS \(quotedName(query.alias))" + (query.filter.map { " WHERE \($0)" } ?? "")
  func hole(_ piece: SluiceSQL.Expression.Piece) -> String {
    switch piece {
    case .text(let text): text
    case .group(let index): "g\(index)"
    case .aggregate(let index): "a\(index)"
    }
  }
  let columns = query.columns.map { "\($0.expression.rendered(hole)) AS \(quotedName($0.name))" }.joined(
    separator: ", ")
  guard query.isGrouped else { return "SELECT \(columns) \(source)" }
  let stored =
    query.groups.enumerated().map { "\($1) AS g\($0)" }
    + query.aggregates.enumerated().map { "\(call($1)) AS a\($0)" }
  // Not as ordinals: a term may be a constant.
  let groups = query.hasGroupBy ? " GROUP BY " + query.groups.joined(separator: ", ") : ""
  return "SELECT \(columns) FROM (SELECT \(stored.joined(separator: ", ")) \(source)\(groups))"
    + (query.having.map { " WHERE \($0.rendered(hole))" } ?? "")
}

/// What stock sqlite3 prints for each query, the names of its columns first.
private func answers(_ queries: [String], mayFail: Bool = false) throws -> [[String]] {
  var script = schema + ".headers on\n.mode quote\n"
  for query in queries { script += ".print @@@\n\(query);\n" }
  let result = try stockSQLite(script)
  #expect(mayFail ? !result.errorText.contains("syntax error") : result.errorText == "")
  let blocks = result.text.components(separatedBy: "@@@\n").dropFirst()
  return blocks.map { block in
    let lines = block.split(separator: "\n").map(String.init)
    return lines.prefix(1) + lines.dropFirst().sorted()
  }
}

@Test func partsPutTogetherGiveWhatTheQueryGives() throws {
  let file = try #require(goldenFiles("Golden/ProjectionQuery").first { $0.description == "kept.txt" })
  var originals: [String] = []
  var parts: [String] = []
  try file.run { golden in
    let query = golden.input.trimmingCharacters(in: ["\n", ";"])
    originals.append(query)
    parts.append(recomposed(try projectionQuery(query)))
    return golden.output
  }
  let expected = try answers(originals)
  let got = try answers(parts)
  #expect(expected.count == originals.count && got.count == originals.count && expected.count > 50)
  for (index, query) in originals.enumerated() where expected[index] != got[index] {
    Issue.record("\(query)\n\(parts[index])\n\(expected[index])\n\(got[index])")
  }
  // Rows came out, not only names.
  #expect(expected.count { $0.count > 1 } > expected.count / 2)
}

/// The text of an expression with parentheses around each part of it.
private func parenthesised(_ node: ExpressionNode, _ scope: QueryScope) -> String {
  let words = scope.parts(of: node).map { part in
    switch part {
    case .token(let token): scope.lexer.text(token)
    case .child(let child): parenthesised(child, scope)
    }
  }
  if case .compound = node.kind { return "(" + words.joined(separator: " ") + ")" }
  if case .signed = node.kind { return "(" + words.joined(separator: " ") + ")" }
  return words.joined(separator: " ")
}

/// Operators and operands in any order that SQLite takes.
private func randomExpression(_ random: inout SeededGenerator, _ depth: Int) -> String {
  let binary = [
    "OR", "AND", "=", "==", "<>", "!=", "IS", "IS NOT", "IS DISTINCT FROM", "IS NOT DISTINCT FROM", "LIKE", "NOT LIKE",
    "GLOB", "NOT GLOB", "<", "<=", ">", ">=", "&", "|", "<<", ">>", "+", "-", "*", "/", "%", "||", "->>",
  ]
  func next() -> String { randomExpression(&random, depth - 1) }
  func leaf() -> String {
    random.pick(["id", "quantity", "user_id", "sku", "note", "0", "1", "2", "3", "'a'", "'A'", "NULL", "Amount"])
  }
  guard depth > 0 else { return leaf() }
  switch random.below(14) {
  case 0: return "NOT \(next())"
  case 1: return "\(random.pick(["-", "+", "~"])) \(next())"
  case 2: return "\(next()) COLLATE \(random.pick(["NOCASE", "BINARY"]))"
  case 3: return "\(next()) \(random.pick(["ISNULL", "NOTNULL", "NOT NULL", "IS NULL"]))"
  case 4: return "\(next()) \(random.pick(["BETWEEN", "NOT BETWEEN"])) \(next()) AND \(next())"
  case 5: return "\(next()) \(random.pick(["IN", "NOT IN"])) (\(next()), \(next()))"
  case 6: return "CASE WHEN \(next()) THEN \(next()) ELSE \(next()) END"
  case 7: return "\(next()) LIKE \(leaf()) ESCAPE \(random.pick(["'x'", "'a'"]))"
  case 8: return leaf()
  default: return "\(next()) \(random.pick(binary)) \(next())"
  }
}

@Test func operatorsTakeTheOperandsThatSQLiteGivesThem() throws {
  var plain: [String] = []
  var grouped: [String] = []
  var refused = 0
  for seed in 0..<1500 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    let expression = randomExpression(&random, 3)
    do throws(SQLError) {
      grouped.append(
        try parsing("SELECT \(expression) FROM orders") { (parser) throws(SQLError) in
          let draft = try {
            () throws(SQLError) in
            var reader = QueryParser(parser)
            return try reader.select()
          }()
          guard case .expression(let node, _) = draft.results[0] else { return "" }
          return parenthesised(node, QueryScope(draft, columns: [], lexer: parser.lexer))
        })
      plain.append(expression)
    } catch {
      // What reads as no SQL here, SQLite does not take either.
      let stock = try stockSQLite("\(schema)SELECT \(expression) FROM orders;")
      #expect(stock.errorText.contains("syntax error"), "seed \(seed): \(expression): \(error)")
      refused += 1
    }
  }
  #expect(plain.count > 1000 && refused < 200)
  func values(_ expressions: [String]) throws -> [[String]] {
    try answers(expressions.map { "SELECT \($0) AS v FROM orders LIMIT 12" }, mayFail: true)
  }
  let expected = try values(plain)
  let got = try values(grouped)
  #expect(expected.count == plain.count && got.count == plain.count)
  #expect(expected.count { $0.count > 1 } > 1000)
  for index in plain.indices where expected[index] != got[index] {
    Issue.record("\(plain[index])\n\(grouped[index])\n\(expected[index])\n\(got[index])")
  }
}
