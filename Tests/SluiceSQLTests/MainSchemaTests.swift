// Views that say `main.`: the word goes where it names a schema, and stays where it is something else.
import SluiceSQL
import Testing

@Suite struct MainSchemaTests {
  static let texts: [(text: String, result: String?)] = [
    ("SELECT a FROM t", "SELECT a FROM t"),
    ("SELECT * FROM main.t", "SELECT * FROM t"),
    ("SELECT * FROM MAIN . \"t\" AS x", "SELECT * FROM \"t\" AS x"),
    (
      "SELECT * FROM \"main\".t, [main].u JOIN `main`.[v w] ON a = b, 'main'.z",
      "SELECT * FROM t, u JOIN [v w] ON a = b, z"
    ),
    ("SELECT main.t.a, t.a FROM main.t WHERE main.t.b > 1", "SELECT t.a, t.a FROM t WHERE t.b > 1"),
    ("SELECT (SELECT max(main.u.x) FROM main.u) FROM t", "SELECT (SELECT max(u.x) FROM u) FROM t"),
    ("SELECT a FROM t WHERE a IN main.u", "SELECT a FROM t WHERE a IN u"),
    ("SELECT a FROM t WHERE a IN (SELECT b FROM main.u)", "SELECT a FROM t WHERE a IN (SELECT b FROM u)"),
    ("WITH x AS (SELECT * FROM main.t) SELECT * FROM x, main.u", "WITH x AS (SELECT * FROM t) SELECT * FROM x, u"),
    ("SELECT * FROM (main.t JOIN main.u USING (a)), (SELECT 1)", "SELECT * FROM (t JOIN u USING (a)), (SELECT 1)"),
    ("SELECT * FROM t UNION SELECT * FROM main.u ORDER BY 1", "SELECT * FROM t UNION SELECT * FROM u ORDER BY 1"),
    ("SELECT * FROM main.json_each('[1]')", "SELECT * FROM json_each('[1]')"),
    ("SELECT main.t.* FROM main.t", "SELECT t.* FROM t"),
    // A table, or an alias, of that name.
    ("SELECT main.a FROM main", "SELECT main.a FROM main"),
    (
      "SELECT main.a, main.b FROM t AS main JOIN u ON main.a = u.a",
      "SELECT main.a, main.b FROM t AS main JOIN u ON main.a = u.a"
    ),
    ("SELECT main.a FROM main.main", "SELECT main.a FROM main"),
    ("SELECT main.main.a FROM main.main", "SELECT main.a FROM main"),
    ("SELECT 1 FROM t, u ORDER BY t.a, main.b", "SELECT 1 FROM t, u ORDER BY t.a, main.b"),
    ("SELECT 1 FROM main WHERE a IS DISTINCT FROM main.b", "SELECT 1 FROM main WHERE a IS DISTINCT FROM main.b"),
    (
      "SELECT count(DISTINCT main.a) FROM main GROUP BY main.a, main.b HAVING main.a > 1",
      "SELECT count(DISTINCT main.a) FROM main GROUP BY main.a, main.b HAVING main.a > 1"
    ),
    // Texts and comments are none.
    ("SELECT 'FROM main.t' FROM t", "SELECT 'FROM main.t' FROM t"),
    // WITH hides a table of main.
    ("WITH t AS (SELECT * FROM main.t) SELECT * FROM t", nil),
    ("WITH RECURSIVE t(a) AS NOT MATERIALIZED (SELECT 1) SELECT * FROM main.T", nil),
    ("WITH x AS (SELECT 1), \"t\" AS MATERIALIZED (SELECT * FROM main.t) SELECT * FROM t", nil),
  ]

  @Test(arguments: texts.indices)
  func theSchemaIsLeftOut(_ index: Int) {
    let (text, result) = Self.texts[index]
    let head = "CREATE VIEW \"x\" AS "
    #expect(withoutMainSchema(head + text) == result.map { head + $0 })
  }

  @Test func indexesThatComputeTheirEntriesAreTold() throws {
    let plain = [
      "(a)", "(a, b DESC)", "(\"a\" COLLATE NOCASE ASC, [b c])", "('a')", "(a COLLATE \"nocase\")",
    ]
    let computed = [
      "(a + 1)", "(a) WHERE b", "(lower(a))", "((a))", "(a, b || 'x' DESC)", "(-a)", "(1)", "(t.a)",
      "(a COLLATE x + 1)",
      "(a) WHERE a IS NOT NULL",
    ]
    for (rests, isEvaluated) in [(plain, false), (computed, true)] {
      for rest in rests {
        guard case .createIndex(let index) = try parseStatement("CREATE INDEX i ON t\(rest)") else {
          Issue.record("\(rest)")
          continue
        }
        #expect(index.isEvaluated == isEvaluated, "\(rest)")
      }
    }
  }
}
