// The oracle: random scripts through a session and through SQLite; the same rows and the same sentences must come out.
//
// Kept out, because Sluice differs there on purpose: numbers of an INTEGER PRIMARY KEY after a rejected statement (they
// are given out before that is known) or after a CHECK under OR IGNORE, NULL in other primary keys (so they are made
// WITHOUT ROWID), the order of the errors of a statement that has several.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// A table of a random script.
private struct OracleTable {
  enum Key { case none, alias, single, double }
  let name: String
  let columns: [String]
  let key: Key
  let definition: String
}

private struct ScriptMaker {
  var random: SeededRandom

  private mutating func pick<T>(_ list: [T]) -> T { list[random.below(list.count)] }

  mutating func table(_ number: Int) -> OracleTable {
    let key = pick([OracleTable.Key.none, .alias, .single, .double])
    let name = pick(["t\(number)", "\"ta ble\(number)\"", "[sel ect\(number)]", "`T\(number)`", "\"q\"\"\(number)\""])
    var columns: [String] = []
    var items: [String] = []
    for index in 0..<(3 + random.below(3)) {
      let column = pick(["c\(index)", "\"co l\(index)\"", "[Group\(index)]", "\"é\(index)\""])
      columns.append(column)
      let isAlias = key == .alias && index == 0
      var item =
        column + " "
        + (isAlias
          ? "INTEGER PRIMARY KEY"
          : pick([
            "INTEGER", "INT", "TEXT", "VARCHAR(10)", "REAL", "DOUBLE", "NUMERIC", "DECIMAL(10,2)", "BLOB", "", "DATE",
          ]))
      if !isAlias {
        if random.chance(1, of: 4) { item += " NOT NULL" }
        if random.chance(1, of: 3) {
          item +=
            " DEFAULT " + pick(["7", "'d'", "-1.5", "(1 + 2)", "(abs(-4))", "x'0102'", "TRUE", "('a' || 'b')"])
        }
        if key != .alias, random.chance(1, of: 5) {
          item += " CHECK(" + pick(["\(column) <> 3", "length(\(column)) < 12", "\(column) IS NOT 'bad'"]) + ")"
        }
      }
      items.append(item)
    }
    switch key {
    case .single: items.append("PRIMARY KEY(\(columns[0]))")
    case .double: items.append("PRIMARY KEY(\(columns[1]), \(columns[0]))")
    default: break
    }
    return OracleTable(
      name: name, columns: columns, key: key,
      definition: "CREATE TABLE \(name)(\(items.joined(separator: ", ")))"
        + (key == .single || key == .double ? " WITHOUT ROWID" : ""))
  }

  private mutating func value() -> String {
    pick([
      "NULL", "0", "1", "2", "3", "-5", "+5", "127", "128", "65536", "9223372036854775807", "9223372036854775808",
      "-9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", "1.0", "1.5", "-0.0", "0.1",
      "1e3",
      "1e400", "-1e-400", "2.", ".5", "1E+2", "3.0e0", "123456789.123456789", "0x1F", "0xffffffffffffffff", "'12'",
      "' 12 '",
      "'1e3'", "'1.0'", "'0x1F'", "'-7'", "'9223372036854775808'", "'12abc'", "''", "'it''s'", "'bad'", "'né€'",
      "'NULL'",
      "x''", "X'00fF'", "x'3132'", "TRUE", "false", "1 + 1", "'a' || 'b'", "abs(-3)", "-(2)", "(4)", "upper('x')",
      "round(2.5)", "1 / 0", "7 / 2", "7 / 2.0", "CAST('5' AS INTEGER)", "typeof(1)", "CASE WHEN 1 THEN 'c' END",
      "NOT 0",
      "coalesce(NULL, 9)", "hex('a')", "zeroblob(3)", "1 = 1", "- 5", "'long text that is longer than twelve'",
    ])
  }

  mutating func insert(_ table: OracleTable) -> String {
    let action = pick([
      "INSERT", "INSERT", "insert", "INSERT OR IGNORE", "INSERT OR REPLACE", "REPLACE", "INSERT OR ABORT",
    ])
    var columns = table.columns
    if table.key == .alias { columns.removeFirst() }
    var names = ""
    if table.key == .alias || random.chance(1, of: 3) {
      if random.chance(1, of: 3), columns.count > 1 { columns.remove(at: random.below(columns.count)) }
      if random.chance(1, of: 3) { columns.swapAt(0, columns.count - 1) }
      names = "(" + columns.joined(separator: ", ") + ")"
    }
    if random.chance(1, of: 20) { return "\(action) INTO \(table.name) DEFAULT VALUES" }
    if random.chance(1, of: 25) { return "\(action) INTO \(table.name)(nowhere) VALUES(1)" }
    if random.chance(1, of: 25) { return "\(action) INTO \(table.name)\(names) VALUES(1, 2)" }
    let count = pick([1, 1, 1, 2, 4])
    let rows = (0..<count).map { _ in "(" + columns.map { _ in value() }.joined(separator: ", ") + ")" }
    return "\(action) INTO \(table.name)\(names) VALUES \(rows.joined(separator: pick([",", " ,\n "])))"
  }
}

@Suite struct OracleTests {
  @Test func randomScripts() throws {
    let seed = testSeed()
    var seeds = SeededRandom(seed: seed)
    var differences = 0
    for _ in 0..<60 where differences < 12 {
      differences += try compare(seeds.next(), "\(repeatCommand(seed, "SluiceTests.OracleTests"))")
    }
  }

  /// Runs one script; returns how many differences it showed.
  private func compare(_ seed: UInt64, _ comment: Comment) throws -> Int {
    var maker = ScriptMaker(random: SeededRandom(seed: seed))
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    let oracle = try Connection(path: ":memory:", mode: .readWriteCreate)
    var script: [String] = []
    func differs(_ statement: String, _ found: String?, _ expected: String?) -> Bool {
      if found == expected { return false }
      // Rows are checked before keys: of a statement with several rows the error of a later row may come first.
      if let found, let expected, expected.hasPrefix("UNIQUE"), !found.hasPrefix("UNIQUE"), statement.contains("(") {
        return false
      }
      Issue.record("\(statement)\nSluice: \(found ?? "no error")\nSQLite: \(expected ?? "no error")\n\(comment)")
      return true
    }
    for number in 0..<2 {
      let table = maker.table(number)
      if differs(table.definition, outcome(session, table.definition), outcome(oracle, table.definition)) { return 1 }
      script.append(table.definition)
      for _ in 0..<12 {
        let statement = maker.insert(table)
        script.append(statement)
        let expected = outcome(oracle, statement)
        if differs(script[script.count - 1] + "\n-- " + table.definition, outcome(session, statement), expected) {
          return 1
        }
        // A rejected statement has used numbers up.
        if expected != nil, table.key == .alias { break }
      }
      let select = "SELECT * FROM \(table.name)"
      let found = try session.run(select).map { $0.map(literal).joined(separator: "|") }.sorted()
      let expected = try oracle.prepare(select).rows().map { $0.map(literal).joined(separator: "|") }.sorted()
      if found != expected {
        Issue.record("\(script.joined(separator: ";\n"))\nSluice: \(found)\nSQLite: \(expected)\n\(comment)")
        return 1
      }
    }
    try store.close()
    return 0
  }

  private func outcome(_ session: Session, _ statement: String) -> String? {
    do {
      try session.run(statement)
      try session.settle()
      return session.takeRejections().first?.message
    } catch { return error.message }
  }

  private func outcome(_ connection: Connection, _ statement: String) -> String? {
    do {
      try connection.execute(statement)
      return nil
    } catch { return error.message }
  }
}
