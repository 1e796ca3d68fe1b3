// The analysis of projections' queries: what each is taken apart into, and why others are refused.
import SluiceTesting
import Testing

@testable import SluiceSQL

private let columns = [
  "orders": ["user_id", "id", "sku", "Amount", "quantity", "note"],
  "named": ["rowid", "oid", "next", "id"], "pairs": ["a", "b", "user_id", "id"],
  "odd names": ["select", "two words", "a\"b"], "words": ["filter", "over", "window", "of", "refresh", "projection"],
]

/// A query over the tables of these tests, taken apart.
func projectionQuery(_ query: String) throws(SQLError) -> ProjectionQuery {
  try parseProjectionQuery(query) { table in columns.first { sameName($0.key, table) }?.value }
}

private func holes(_ piece: Expression.Piece) -> String {
  switch piece {
  case .text(let text): text
  case .group(let index): "{g\(index)}"
  case .aggregate(let index): "{a\(index)}"
  }
}

private func describe(_ query: ProjectionQuery) -> String {
  var lines = ["\(query.isGrouped ? "groups" : "rows") of \(query.table) as \(query.alias)"]
  lines += query.columns.map { "\($0.name): \($0.expression.rendered(holes))" }
  if let filter = query.filter { lines.append("where \(filter)") }
  lines += query.groups.enumerated().map { "{g\($0)} \($1)" }
  lines += query.aggregates.enumerated().map { "{a\($0)} \(call($1))" }
  if let having = query.having { lines.append("having \(having.rendered(holes))") }
  return lines.joined(separator: "\n")
}

/// An aggregate as SQL.
func call(_ aggregate: Aggregate) -> String {
  let argument = (aggregate.isDistinct ? "DISTINCT " : "") + (aggregate.argument ?? "*")
  let filter = aggregate.filter.map { " FILTER (WHERE \($0))" } ?? ""
  return "\(aggregate.function.rawValue)(\(argument))\(filter)"
}

@Suite struct ProjectionQueryTests {
  @Test(arguments: goldenFiles("Golden/ProjectionQuery"))
  func queriesAreTakenApart(_ file: GoldenFile) throws {
    var count = 0
    try file.run { golden in
      count += 1
      do throws(SQLError) {
        let query = try projectionQuery(golden.input)
        #expect(file.description == "kept.txt", "\(golden.input)")
        return describe(query)
      } catch {
        #expect(file.description == "refused.txt", "\(golden.input)")
        return "\(error.kind) at \(error.offset): \(error.message)"
      }
    }
    #expect(count > 50)
  }

  @Test func holesAreFilled() throws {
    let query = try projectionQuery("SELECT user_id, count(*), (sum(amount)), user_id + 1 FROM orders GROUP BY user_id")
    #expect(query.columns.map(\.expression.groupIndex) == [0, nil, nil, nil])
    #expect(query.columns.map(\.expression.aggregateIndex) == [nil, 0, 1, nil])
    #expect(query.columns[3].expression.pieces == [.group(0), .text(" + 1")])
    #expect(query.columns[3].expression.rendered { _ in "g" } == "g + 1")
    #expect(query.hasGroupBy && query.isGrouped)
    #expect(query.aggregates[0] == Aggregate(function: .count, argument: nil, isDistinct: false, filter: nil))
    let all = try projectionQuery("SELECT count(*) FROM orders")
    #expect(!all.hasGroupBy && all.isGrouped)
    #expect(try !projectionQuery("SELECT max(id, 1) FROM orders").isGrouped)
  }

  @Test func deepExpressionsAreRefused() throws {
    let deep = String(repeating: "(", count: 250) + "1" + String(repeating: ")", count: 250)
    let long = "id" + String(repeating: " + 1", count: 1500)
    #expect(sqlError { () throws(SQLError) in try projectionQuery("SELECT \(deep) FROM orders") }?.kind == .unsupported)
    #expect(sqlError { () throws(SQLError) in try projectionQuery("SELECT \(long) FROM orders") }?.kind == .unsupported)
    // As deep as it may be.
    let allowed = String(repeating: "(", count: 150) + "1" + String(repeating: ")", count: 150)
    let longest = "id" + String(repeating: " + 1", count: 990)
    #expect(try projectionQuery("SELECT \(allowed) FROM orders").columns.count == 1)
    #expect(try projectionQuery("SELECT \(longest) FROM orders GROUP BY id").groups == ["id"])
  }
}

private let words = [
  "SELECT", "FROM", "orders", "named", "AS", "o", "id", "sku", "Amount", "*", "o.", ",", ",", "(", ")", "(", ")",
  "WHERE",
  "GROUP BY", "HAVING", "count(*)", "sum(", "max(", "count(DISTINCT", "FILTER (WHERE", "OVER", "CASE", "WHEN", "THEN",
  "END", "CAST(", "NOT", "AND", "OR", "IN (", "BETWEEN", "IS", "NULL", "-", "+", "=", "||", "1", "'x'", "\"id\"",
  "[sku]",
  "COLLATE NOCASE", "LIKE", "ESCAPE", "?", ";", "'", "/*", "--", "REFRESH", "EVERY", "'5s'", "date(", "'now'", "of",
]

/// Any text is an answer or an error; a statement that is one prints to what reads back as the same.
@Test func garbageIsTakenApartOrRefused() throws {
  var kept = 0
  var statements = 0
  for seed in 0..<40_000 as Range<UInt64> {
    var random = SeededGenerator(seed: seed)
    func some(_ bound: Int) -> String {
      (0..<random.below(bound)).map { _ in random.pick(words) }.joined(separator: " ")
    }
    let query = random.pick([
      "\(some(12))", "SELECT id \(some(4)) FROM orders \(some(4))", "SELECT id FROM orders GROUP BY id \(some(8))",
      "SELECT count(*), \(some(5)) FROM orders AS o WHERE id = \(some(5))",
      "SELECT \(some(6)) REFRESH EVERY '\(random.below(200)) \(random.pick(["us", "ms", "min", "days"]))'",
    ])
    if sqlError({ () throws(SQLError) in try projectionQuery(query) }) == nil { kept += 1 }
    _ = nondeterminism(in: query)
    let parsed = Result { () throws(SQLError) in try parseStatement("CREATE PROJECTION p AS " + query) }
    guard case .success(.createProjection(let projection)) = parsed else { continue }
    statements += 1
    #expect(try parseStatement(print(projection)) == .createProjection(projection), "seed \(seed): \(query)")
  }
  #expect(kept > 500 && statements > 5000, "\(kept), \(statements)")
}

@Test(
  arguments: [
    ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"), ("a > current_date", "CURRENT_DATE"),
    ("(Current_Time)", "CURRENT_TIME"),
    ("date('now')", "date() with 'now'"), ("DATETIME ( 'NOW' )", "datetime() with 'now'"),
    ("date('now', '-1 day')", "date() with 'now'"), ("date(\"now\")", "date() with 'now'"),
    ("date()", "date() without a time"), ("1 + julianday ( )", "julianday() without a time"),
    ("unixepoch()", "unixepoch() without a time"), ("time()", "time() without a time"),
    ("strftime('%Y')", "strftime() without a time"), ("strftime('%Y', 'now')", "strftime() with 'now'"),
    ("strftime()", "strftime() without a time"), ("timediff(a, 'now')", "timediff() with 'now'"),
    ("datetime(a, 'localtime')", "datetime() with 'localtime'"), ("time(a, '+1 day', 'UTC')", "time() with 'utc'"),
    ("date(coalesce(a, 'now'))", "date() with 'now'"), ("unixepoch('subsec')", "unixepoch() with 'subsec'"),
    ("date(a) || date('now')", "date() with 'now'"), ("date(date())", "date() without a time"),
    ("SELECT a FROM t WHERE b < datetime('now') /* c */", "datetime() with 'now'"),
  ] as [(String, String)])
func timeIsFound(_ text: String, _ name: String) { #expect(nondeterminism(in: text) == name) }

@Test(arguments: [
  "a", "", "date(a)", "date('2026-01-01')", "datetime(a, '+1 day')", "strftime('%s', a)", "strftime('now', a)",
  "timediff()",
  "'CURRENT_DATE'", "\"current_date\"", "t.current_date", "a AS current_time", "'date()'", "now", "'now'", "a = 'now'",
  "lower('now')", "dated()", "date", "date + 1", "unixepoch(a, 'subsec')", "timediff(a, b)", "-- date()\n a",
  "time(a, 'start of day')", "julianday(max(a, b), 'auto')",
])
func fixedValuesAreLeft(_ text: String) {
  #expect(nondeterminism(in: text) == nil)
}
