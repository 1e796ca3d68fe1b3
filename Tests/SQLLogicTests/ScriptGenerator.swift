// Random scripts: schemas with every kind of key, and statements of every kind over them, such that SQLite's answers
// do not depend on the order in which it visits rows.
//
// Kept out, because Sluice differs there on purpose: rowids of tables without INTEGER PRIMARY KEY, NULL in other
// primary keys, UPDATE of keys that collide on the way, numbers of an INTEGER PRIMARY KEY behind rejected ones.
import SluiceTesting

/// A column of a random table.
private struct GeneratedColumn {
  let name: String
  let type: String
  var isKey = false
}

private struct GeneratedTable {
  let name: String
  var columns: [GeneratedColumn]
  /// What makes it a table, behind its columns: for both engines, or for each.
  let definition: (sluice: String, stock: String)
  let hasRowid: Bool

  var keys: [GeneratedColumn] { columns.filter(\.isKey) }
  var others: [GeneratedColumn] { columns.filter { !$0.isKey } }
}

/// Makes the records of one script.
struct ScriptGenerator {
  private var random: SeededRandom
  private var tables: [GeneratedTable] = []
  private var records: [LogicRecord] = []
  private var savepoints = 0
  private var inTransaction = false
  private var tableCount = 0
  /// The table that the statement changes: no subquery of it reads that, for SQLite may find rows changed already.
  private var changed: String?

  init(seed: UInt64) { random = SeededRandom(seed: seed) }

  /// `count` statements over two or three tables.
  mutating func script(_ count: Int) -> [LogicRecord] {
    for _ in 0..<(2 + random.below(2)) { createTable() }
    for _ in 0..<count { addStatement() }
    if inTransaction { add(pick(["COMMIT", "ROLLBACK"])) }
    for table in tables { addQuery("SELECT * FROM \(table.name)") }
    return records
  }

  // MARK: Helpers

  private mutating func pick<T>(_ list: [T]) -> T { list[random.below(list.count)] }

  private mutating func chance(_ numerator: Int, of denominator: Int) -> Bool {
    random.chance(numerator, of: denominator)
  }

  private mutating func add(_ sql: String, only: [String] = [], skip: [String] = []) {
    records.append(
      LogicRecord(kind: .statement(succeeds: true), sql: sql, line: records.count + 1, only: only, skip: skip))
  }

  private mutating func addQuery(_ sql: String, isOrdered: Bool = false) {
    records.append(
      LogicRecord(
        kind: .query(types: "", sort: isOrdered ? .nosort : .rowsort, label: nil), sql: sql, line: records.count + 1))
  }

  // MARK: Tables

  private mutating func createTable() {
    tableCount += 1
    let name = "t\(tableCount)"
    let types = ["INTEGER", "TEXT", "REAL", "NUMERIC", "BLOB", "", "TEXT COLLATE NOCASE", "INT", "VARCHAR(9)"]
    var columns = (0..<(3 + random.below(3))).map { GeneratedColumn(name: "c\($0)", type: pick(types)) }
    var (sluice, stock, hasRowid) = ("", "", false)
    switch random.below(5) {
    case 0:
      columns[0] = GeneratedColumn(name: "c0", type: "INTEGER PRIMARY KEY", isKey: true)
      hasRowid = true
      sluice = ")"
      stock = ")"
    case 1:
      sluice = chance(1, of: 2) || columns[1].type.contains("COLLATE") ? ")" : ", SHARD KEY(\(columns[1].name)))"
      stock = ")"
    default:
      let count = 1 + random.below(2)
      let keys = (0..<count).map { columns[$0].name }.joined(separator: ", ")
      for index in 0..<count {
        let type = pick(types.filter { !$0.contains("COLLATE") })
        columns[index] = GeneratedColumn(name: columns[index].name, type: type, isKey: true)
      }
      let shard = chance(1, of: 2) ? "" : ", SHARD KEY(\(columns[random.below(count)].name))"
      sluice = ", PRIMARY KEY(\(keys))\(shard)) WITHOUT ROWID"
      stock = ", PRIMARY KEY(\(keys))) WITHOUT ROWID"
    }
    let table = GeneratedTable(
      name: name, columns: columns, definition: (sluice: sluice, stock: stock), hasRowid: hasRowid)
    let items = columns.map { column in
      let extra = column.isKey ? "" : ["", "", " DEFAULT 7", " DEFAULT 'd'", " NOT NULL DEFAULT 0"][random.below(5)]
      return "\(column.name) \(column.type)\(extra)"
    }
    let head = "CREATE TABLE \(name)(" + items.joined(separator: ", ")
    add(head + sluice, only: ["sluice"])
    add(head + stock, skip: ["sluice"])
    tables.append(table)
    for _ in 0..<(1 + random.below(3)) { insert(table, count: 1 + random.below(12)) }
    if chance(1, of: 3) { add("CREATE INDEX i\(tableCount) ON \(name)(\(pick(columns).name))") }
  }

  // MARK: Values

  private mutating func literal() -> String {
    switch random.below(14) {
    case 0: "NULL"
    case 1, 2, 3: "\(random.below(9) - 2)"
    case 4: "'\(random.below(5))'"
    case 5: pick(["1.5", "2.0", "-0.5", "0.25", "1e3"])
    case 6: pick(["'1.0'", "' 2'", "'3abc'", "'-1'", "'1e0'", "'02'", "'2.5'", "''"])
    case 7, 8: pick(["'a'", "'A'", "'b'", "'abc'", "'Z'", "'é'", "'a b'"])
    case 9: pick(["x'61'", "x''", "x'3131'"])
    case 10: "\(random.below(40))"
    case 11: pick(["9223372036854775807", "-9223372036854775808", "4611686018427387904", "1e18"])
    default: "\(random.below(20)).\(pick(["0", "5", "25"]))"
    }
  }

  /// A literal, or something that SQLite evaluates.
  private mutating func value() -> String {
    guard chance(1, of: 5) else { return literal() }
    switch random.below(6) {
    case 0: return "\(literal()) || \(literal())"
    case 1: return "\(random.below(9)) + \(random.below(9))"
    case 2: return "abs(\(random.below(9) - 4))"
    case 3: return "coalesce(\(literal()), \(literal()))"
    case 4: return "CAST(\(literal()) AS \(pick(["INTEGER", "TEXT", "REAL", "NUMERIC", "BLOB"])))"
    default: return "(SELECT count(*) FROM \(pick(tables).name))"
    }
  }

  /// A value for a key column, which is never NULL, nor the number behind which SQLite makes them up.
  private mutating func keyValue(_ column: GeneratedColumn, isAlone: Bool = true) -> String {
    // What is no integer there is an error, in a transaction with the rows before it kept.
    if column.type == "INTEGER PRIMARY KEY", !isAlone || chance(9, of: 10) {
      return pick([
        "NULL", "\(random.below(40))", "\(random.below(20))", "'\(random.below(9))'", "\(random.below(9) - 4).0",
      ])
    }
    let value = literal()
    return value == "NULL" || value == "9223372036854775807" ? "\(random.below(30))" : value
  }

  private mutating func expression(_ columns: [String], depth: Int = 2) -> String {
    guard depth > 0, chance(2, of: 3) else { return chance(2, of: 3) ? pick(columns) : literal() }
    let left = expression(columns, depth: depth - 1)
    let right = expression(columns, depth: depth - 1)
    switch random.below(12) {
    case 0: return "(\(left) || \(right))"
    case 1: return "(\(left) + \(random.below(5)))"
    case 2: return "- \(left)"
    case 3: return "+ \(left)"
    case 4: return "CASE WHEN \(condition(columns, depth: depth - 1)) THEN \(left) ELSE \(right) END"
    case 5: return "coalesce(\(left), \(right))"
    case 6: return "typeof(\(left))"
    case 7: return "CAST(\(left) AS \(pick(["INTEGER", "TEXT", "REAL", "NUMERIC"])))"
    case 8: return "length(\(left))"
    case 9: return "nullif(\(left), \(right))"
    case 10: return "upper(\(left))"
    default: return "(\(left) = \(right))"
    }
  }

  private mutating func condition(_ columns: [String], depth: Int = 2) -> String {
    let column = pick(columns)
    if depth > 0, chance(1, of: 3) {
      let (left, right) = (condition(columns, depth: depth - 1), condition(columns, depth: depth - 1))
      return chance(1, of: 5) ? "NOT (\(left))" : "(\(left) \(pick(["AND", "AND", "OR"])) \(right))"
    }
    switch random.below(11) {
    case 0: return "\(column) IS \(pick(["NULL", "NOT NULL"]))"
    case 1:
      return
        "\(column) \(pick(["", "NOT "]))IN ("
        + (0..<(1 + random.below(4))).map { _ in literal() }.joined(separator: ", ")
        + ")"
    case 2: return "\(column) \(pick(["", "NOT "]))BETWEEN \(literal()) AND \(literal())"
    case 3: return "\(column) \(pick(["LIKE", "GLOB", "NOT LIKE"])) \(pick(["'a%'", "'%1%'", "'*b*'", "'_'"]))"
    case 4:
      let table = pick(readable)
      return "\(column) \(pick(["", "NOT "]))IN (SELECT \(pick(table.columns).name) FROM \(table.name))"
    case 5:
      let table = pick(readable)
      return "EXISTS (SELECT 1 FROM \(table.name) AS x WHERE x.\(pick(table.columns).name) = \(column))"
    case 6 where depth > 0: return "\(expression(columns, depth: 1)) \(comparison()) \(literal())"
    case 7: return "\(column) \(comparison()) \(pick(columns))"
    default: return "\(column) \(comparison()) \(literal())"
    }
  }

  private mutating func comparison() -> String { pick(["=", "=", "=", "<", "<=", ">", ">=", "<>", "IS", "IS NOT"]) }

  private mutating func names(_ table: GeneratedTable, as alias: String? = nil) -> [String] {
    table.columns.map { alias.map { $0 + "." } ?? "" + $0.name }.enumerated().map { index, prefix in
      alias == nil ? prefix : prefix + table.columns[index].name
    }
  }

  // MARK: Statements

  private mutating func addStatement() {
    let table = pick(tables)
    switch random.below(24) {
    case 0, 1, 2: insert(table, count: 1 + random.below(4))
    case 3: insertQuery(table)
    case 4, 5, 6: update(table)
    case 7, 8: delete(table)
    case 9: transactionStatement()
    case 10: savepointStatement()
    case 11: upsert(table)
    case 12: returning(table)
    case 13 where chance(1, of: 4): replaceTable()
    case 14, 15, 16: join()
    case 17: aggregate(table)
    case 18: compound()
    default: select(table)
    }
  }

  private mutating func rows(_ table: GeneratedTable, _ columns: [GeneratedColumn], count: Int) -> String {
    (0..<count).map { _ in
      "(" + columns.map { $0.isKey ? keyValue($0, isAlone: count == 1) : value() }.joined(separator: ", ") + ")"
    }.joined(separator: ", ")
  }

  private mutating func insert(_ table: GeneratedTable, count: Int) {
    // Numbers given to rows of a statement that is rejected once it is applied are not given again.
    let isPlain = !table.hasRowid || count == 1
    let verb = pick((isPlain ? ["INSERT", "INSERT"] : []) + ["INSERT OR IGNORE", "INSERT OR REPLACE", "REPLACE"])
    var columns = table.columns
    if chance(1, of: 4) { columns = table.keys + table.others.filter { _ in chance(1, of: 2) } }
    if table.hasRowid, chance(1, of: 4) { columns.removeFirst() }
    guard !columns.isEmpty else { return add("\(verb) INTO \(table.name) DEFAULT VALUES") }
    let list = columns.map(\.name).joined(separator: ", ")
    add("\(verb) INTO \(table.name)(\(list)) VALUES\(rows(table, columns, count: count))")
  }

  private var readable: [GeneratedTable] { tables.filter { $0.name != changed } }

  private mutating func insertQuery(_ table: GeneratedTable) {
    let source = pick(tables)
    let columns = names(source)
    let list = table.columns.map { column in
      let text = expression(columns, depth: 1)
      guard column.isKey else { return text }
      return "coalesce(\(table.hasRowid ? "CAST(\(text) AS INTEGER) % 1000" : text), \(random.below(50) + 50))"
    }
    add(
      "INSERT OR \(pick(["IGNORE", "ABORT"])) INTO \(table.name) SELECT \(list.joined(separator: ", ")) "
        + "FROM \(source.name) WHERE \(condition(columns)) ORDER BY \(columns.joined(separator: ", "))")
  }

  private mutating func update(_ table: GeneratedTable) {
    changed = table.name
    defer { changed = nil }
    let columns = names(table)
    guard !table.others.isEmpty else { return }
    var sets = ["\(pick(table.others).name) = \(expression(columns))"]
    if chance(1, of: 4) {
      let column = pick(table.others).name
      if !sets[0].hasPrefix(column + " ") { sets.append("\(column) = \(value())") }
    }
    var text = condition(columns)
    if !table.keys.isEmpty, chance(1, of: 4) {
      // A new key for one row at most.
      sets = ["\(table.keys[0].name) = \(keyValue(table.keys[0]))"]
      text = table.keys.map { "\($0.name) = \(keyValue($0))" }.joined(separator: " AND ")
    }
    add(
      "UPDATE \(pick(["", "OR IGNORE ", "OR REPLACE "]))\(table.name) SET \(sets.joined(separator: ", ")) WHERE \(text)"
    )
  }

  private mutating func delete(_ table: GeneratedTable) {
    changed = table.name
    defer { changed = nil }
    add("DELETE FROM \(table.name)" + (chance(1, of: 12) ? "" : " WHERE \(condition(names(table)))"))
  }

  private mutating func upsert(_ table: GeneratedTable) {
    guard !table.keys.isEmpty, let other = table.others.first else { return }
    let keys = table.keys.map(\.name).joined(separator: ", ")
    let action = pick([
      "NOTHING", "UPDATE SET \(other.name) = excluded.\(other.name)",
      "UPDATE SET \(other.name) = \(other.name) || '+' WHERE \(condition(names(table), depth: 0))",
    ])
    add(
      "INSERT INTO \(table.name) VALUES\(rows(table, table.columns, count: 1 + random.below(3))) "
        + "ON CONFLICT(\(keys)) DO \(action)")
  }

  private mutating func returning(_ table: GeneratedTable) {
    // SQLite 3.40 returns integers behind a REAL column as reals.
    guard !table.columns.contains(where: { $0.type == "REAL" }) else { return }
    changed = table.name
    defer { changed = nil }
    let columns = names(table)
    let list = "RETURNING *, typeof(\(pick(columns)))"
    switch random.below(3) {
    case 0 where !table.others.isEmpty:
      addQuery(
        "UPDATE \(table.name) SET \(pick(table.others).name) = \(value()) WHERE \(condition(columns)) \(list)")
    case 1: addQuery("DELETE FROM \(table.name) WHERE \(condition(columns)) \(list)")
    default: addQuery("INSERT OR IGNORE INTO \(table.name) VALUES\(rows(table, table.columns, count: 2)) \(list)")
    }
  }

  private mutating func transactionStatement() {
    if inTransaction {
      add(pick(["COMMIT", "END", "ROLLBACK"]))
      savepoints = 0
    } else {
      add(pick(["BEGIN", "BEGIN IMMEDIATE"]))
    }
    inTransaction.toggle()
  }

  private mutating func savepointStatement() {
    guard inTransaction else { return }
    switch random.below(3) {
    case 0:
      savepoints += 1
      add("SAVEPOINT s\(savepoints)")
    case 1 where savepoints > 0: add("ROLLBACK TO s\(1 + random.below(savepoints))")
    case 2 where savepoints > 0:
      let number = 1 + random.below(savepoints)
      add("RELEASE s\(number)")
      savepoints = number - 1
    default: break
    }
  }

  private mutating func replaceTable() {
    guard tables.count > 2 else { return createTable() }
    add("DROP TABLE \(tables.removeFirst().name)")
    createTable()
  }
}

// MARK: - Queries

extension ScriptGenerator {
  private mutating func select(_ table: GeneratedTable) {
    let columns = names(table)
    let list =
      chance(1, of: 3) ? "*" : (0..<(1 + random.below(3))).map { _ in expression(columns) }.joined(separator: ", ")
    let distinct = pick(["", "", "", "DISTINCT ", "ALL "])
    let text = chance(1, of: 8) ? "" : " WHERE \(condition(columns))"
    if distinct == "", chance(2, of: 5) {
      // An order in which no two rows that differ are equal.
      var order: [String] = []
      for column in columns.shuffled(using: &random) { order.append(column + pick(["", " ASC", " DESC"])) }
      if let key = table.keys.first, chance(1, of: 2) { order.insert(key.name + pick(["", " DESC"]), at: 0) }
      let limit = chance(1, of: 2) ? "" : " LIMIT \(random.below(6)) OFFSET \(random.below(3))"
      addQuery(
        "SELECT \(list) FROM \(table.name)\(text) ORDER BY \(order.joined(separator: ", "))\(limit)",
        isOrdered: isDistinctOrder(table))
    } else {
      // Of values that are equal and look different, DISTINCT keeps whichever comes first.
      let seen = distinct == "DISTINCT " ? "quote(\(expression(columns))), quote(\(pick(columns)))" : list
      addQuery("SELECT \(distinct)\(seen) FROM \(table.name)\(text)")
    }
  }

  /// Whether equal rows of an order are one and the same to the eye: without a collation that takes letters for equal.
  private func isDistinctOrder(_ table: GeneratedTable) -> Bool {
    !table.columns.contains { $0.type.contains("NOCASE") || $0.type == "" || $0.type == "BLOB" || $0.type == "NUMERIC" }
  }

  private mutating func join() {
    let count = 2 + random.below(2)
    let joined = (0..<count).map { _ in pick(tables) }
    var all: [String] = []
    var from = ""
    for (index, table) in joined.enumerated() {
      let alias = "a\(index)"
      let columns = names(table, as: alias)
      if index > 0 {
        let kind = pick([" JOIN ", " JOIN ", " LEFT JOIN ", " CROSS JOIN ", ", "])
        from += kind + table.name + " AS " + alias
        let match = "\(pick(all)) \(pick(["=", "=", "=", "=", "<", ">="])) \(pick(columns))"
        if kind.contains("LEFT") || kind == " JOIN " { from += " ON " + match } else { all.append("(\(match))") }
      } else {
        from = table.name + " AS " + alias
      }
      all += columns
    }
    let matches = all.filter { $0.hasPrefix("(") }
    let columns = all.filter { !$0.hasPrefix("(") }
    let conditions = matches + (chance(1, of: 2) ? [condition(columns, depth: 1)] : [])
    let list = (0..<3).map { _ in pick(columns) }.joined(separator: ", ")
    addQuery(
      "SELECT \(list) FROM \(from)"
        + (conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")))
  }

  private mutating func aggregate(_ table: GeneratedTable) {
    let columns = names(table)
    let group = pick(columns)
    let values = pick([
      "count(*)", "count(DISTINCT \(pick(columns)))",
      "CAST(max(\(pick(columns))) AS REAL), CAST(min(\(pick(columns))) AS REAL)",
      "count(\(pick(columns)))",
    ])
    switch random.below(5) {
    case 0: addQuery("SELECT count(*) FROM \(table.name)")
    case 1: addQuery("SELECT \(values) FROM \(table.name) WHERE \(condition(columns))")
    case 2:
      addQuery("SELECT typeof(\(group)), count(*) FROM \(table.name) GROUP BY 1 HAVING count(*) > \(random.below(3))")
    case 3: addQuery("SELECT CAST(max(\(group)) AS REAL) FROM \(table.name) WHERE \(condition(columns, depth: 0))")
    default:
      addQuery(
        "SELECT quote(\(group)), \(values) FROM \(table.name) GROUP BY quote(\(group)) "
          + "HAVING \(condition(["count(*)"], depth: 0))"
      )
    }
  }

  private mutating func compound() {
    let (left, right) = (pick(tables), pick(tables))
    addQuery(
      "SELECT \(pick(names(left))) || '' FROM \(left.name) \(pick(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"])) "
        + "SELECT \(pick(names(right))) || '' FROM \(right.name)")
  }
}
