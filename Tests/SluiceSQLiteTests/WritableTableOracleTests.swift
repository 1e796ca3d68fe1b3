// A writable table against SQLite's own table of the same shape: the same random statements, and after each the same
// rows, the same counts, the same error.
import SluiceSQLite
import SluiceSystem
import Testing

/// Random statements on table `t(k INTEGER PRIMARY KEY, a UNIQUE, b)`, with small numbers, so that most of them meet.
private struct Statements {
  var random: SeededGenerator
  var savepoints = 0

  mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

  mutating func literal() -> String {
    switch number(0...9) {
    case 0, 1: "NULL"
    case 2: "'\(number(0...4))'"
    case 3: "x'0\(number(0...4))'"
    case 4: "\(number(0...9)).5"
    default: "\(number(0...9))"
    }
  }

  mutating func key() -> String { number(0...7) == 0 ? ["NULL", "'x'"][number(0...1)] : "\(number(1...12))" }
  mutating func row() -> String { "(\(key()), \(literal()), \(literal()))" }
  /// Among several rows none with a key of the wrong type: SQLite undoes the rows before it under ABORT alone, contrary
  /// to what its documentation says, and in a virtual table always.
  mutating func goodRow() -> String {
    "(\(number(0...9) == 0 ? "NULL" : "\(number(1...12))"), \(literal()), \(literal()))"
  }

  mutating func action(_ actions: [String]) -> String { actions[number(0...actions.count - 1)] }

  mutating func next() -> String {
    let all = ["", "", "OR ABORT", "OR FAIL", "OR IGNORE", "OR ROLLBACK", "OR REPLACE"]
    // UPDATE OR REPLACE changes one row at most: over several, SQLite's own table goes on with what REPLACE left of
    // them, while a virtual table is given the rows from before the statement.
    switch number(0...19) {
    case 0...4: return "INSERT \(action(all)) INTO t VALUES\(row())"
    case 5, 6: return "INSERT \(action(all)) INTO t VALUES\(goodRow()), \(goodRow()), \(goodRow())"
    case 7: return "INSERT \(action(all)) INTO t(a, b) SELECT b, a FROM t WHERE k < \(number(1...12)) ORDER BY k"
    case 8: return "INSERT \(action(all)) INTO t(rowid, a) VALUES(\(number(1...12)), \(literal()))"
    case 9: return "UPDATE \(action(all)) t SET a = \(literal()), b = a WHERE k = \(number(1...12))"
    case 10:
      if number(0...1) == 0 { return "UPDATE \(action(all)) t SET k = \(key()) WHERE k = \(number(1...12))" }
      let rowid = [key(), "'\(number(1...12))'", "\(number(1...12)).0", "\(number(1...12)).5"][number(0...3)]
      return "UPDATE \(action(all)) t SET rowid = \(rowid) WHERE k = \(number(1...12))"
    case 11: return "UPDATE \(action(all.dropLast())) t SET k = k + 1, a = b WHERE k > \(number(1...12))"
    case 12: return "UPDATE \(action(all.dropLast())) t SET a = k WHERE b > \(number(0...9))"
    case 13, 14: return "DELETE FROM t WHERE k BETWEEN \(number(1...12)) AND \(number(1...12))"
    case 15: return number(0...5) == 0 ? "DELETE FROM t" : "REPLACE INTO t VALUES\(row())"
    case 16: return ["BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"][number(0...3)]
    case 17: return "SAVEPOINT s\(number(0...2))"
    default: return ["ROLLBACK TO", "ROLLBACK TO", "RELEASE"][number(0...2)] + " s\(number(0...2))"
    }
  }
}

private struct Outcome: Equatable {
  var error: String?
  var code: Int32?
  var changes: Int64
  var lastRowid: Int64
  var isInTransaction: Bool
  var rows: [[Value]]
}

private func run(_ sql: String, _ connection: Connection) throws -> Outcome {
  let before = connection.totalChanges
  let error = sqliteError { try connection.execute(sql) }
  return Outcome(
    error: error?.message, code: error?.code, changes: connection.totalChanges - before,
    lastRowid: connection.lastInsertRowid, isInTransaction: connection.isInTransaction,
    rows: try connection.rows("SELECT rowid, k, a, b FROM t ORDER BY k"))
}

@Suite struct WritableTableOracleTests {
  @Test(arguments: 1...40 as ClosedRange<UInt64>) func equalsSQLitesOwnTable(seed: UInt64) throws {
    var statements = Statements(random: SeededGenerator(seed: seed))
    let real = try Connection.memory(), virtual = try Connection.memory()
    try real.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, a UNIQUE, b)")
    let store = OrderedRows()
    try virtual.register(module: "ordered") { OrderedTable($0.table, store) }
    try virtual.execute("CREATE VIRTUAL TABLE t USING ordered")
    var history: [String] = []
    for _ in 0..<150 {
      let sql = statements.next()
      history.append(sql)
      let expected = try run(sql, real), found = try run(sql, virtual)
      if expected != found {
        Issue.record("seed \(seed), expected \(expected)\nfound \(found)\n\(history.joined(separator: ";\n"))")
        return
      }
    }
  }
}
