// What a plan is told: right-hand values, collations, IN lists, what ORDER BY is for, LIMIT and OFFSET. And cells.
import CSQLite
import SluiceSQLite
import SluiceSystem
import Testing

/// The integers 1 to 100 as `value`, which notes what its plans are told and takes what it is asked to take.
private final class AskedTable: VirtualTable {
  struct Term: Equatable {
    var column: Int, comparison: Int32
    var value: Value?
    var collation: String
    var isList = false
  }

  var takesLists = false, takesBounds = false
  var terms: [Term] = []
  var distinctness: AccessPlan.Distinctness?
  var lists: [[Value]] = []
  var scans = 0, rowsRead = 0

  init() { super.init(columns: ["value INTEGER", "name TEXT COLLATE NOCASE"]) }

  override func plan(_ plan: inout AccessPlan) throws(SQLiteError) {
    terms = []
    distinctness = plan.distinctness
    var argument = 0
    for index in 0..<plan.constraintCount {
      let term = plan.constraint(index)
      terms.append(
        Term(
          column: term.column, comparison: term.operator, value: plan.value(of: index)?.value,
          collation: plan.collation(of: index), isList: plan.isList(index)))
      guard term.isUsable else { continue }
      if takesLists, term.column == 0, plan.isList(index) {
        plan.takeList(index, argument: argument)
        (argument, plan.number) = (argument + 1, plan.number | 1)
      } else if takesBounds, term.isLimit || term.isOffset {
        plan.take(index, argument: argument, exact: term.isOffset)
        (argument, plan.number) = (argument + 1, plan.number | (term.isLimit ? 2 : 4))
      }
    }
    plan.isOrdered = plan.orderCount == 1 && plan.order(0).column == 0 && !plan.order(0).isDescending
  }

  override func makeCursor() throws(SQLiteError) -> VirtualCursor { AskedCursor(self) }
}

private final class AskedCursor: VirtualCursor {
  let table: AskedTable
  var values: [Int64] = [], index = 0

  init(_ table: AskedTable) {
    self.table = table
    super.init(columnCount: 2)
  }

  override func start(_ scan: Scan) throws(SQLiteError) -> Bool {
    table.scans += 1
    (values, index) = (Array(1...100), -1)
    var argument = 0
    if scan.plan & 1 != 0 {
      var list = scan.arguments.list(argument), found: [Value] = []
      while let cell = try list.next() { found.append(cell.value) }
      values = values.filter { found.contains(.integer($0)) }
      table.lists.append(found)
      argument += 1
    }
    var limit = Int.max, offset = 0
    if scan.plan & 2 != 0 {
      limit = Int(scan.arguments.int64(argument))
      argument += 1
    }
    if scan.plan & 4 != 0 { offset = Int(scan.arguments.int64(argument)) }
    values = Array(values.dropFirst(offset).prefix(limit))
    return try next()
  }

  override func next() throws(SQLiteError) -> Bool {
    index += 1
    guard index < values.count else { return false }
    table.rowsRead += 1
    cells[0] = .integer(values[index])
    cells[1] = .null
    return true
  }
}

@Suite struct AccessPlanTests {
  private func asked() throws -> (Connection, AskedTable) {
    let connection = try Connection.memory(), table = AskedTable()
    try connection.register(table: "t", table)
    return (connection, table)
  }

  @Test func rightHandValuesAndCollations() throws {
    let (connection, table) = try asked()
    try connection.execute(
      """
      SELECT 1 FROM t WHERE value > 5 AND name = 'é' AND name COLLATE BINARY < x'01' AND value IS NOT NULL
        AND rowid = 2.5
      """)
    #expect(
      table.terms.contains(
        .init(column: 0, comparison: SQLITE_INDEX_CONSTRAINT_GT, value: .integer(5), collation: "BINARY")))
    #expect(
      table.terms.contains(
        .init(column: 1, comparison: SQLITE_INDEX_CONSTRAINT_EQ, value: text("é"), collation: "NOCASE")))
    #expect(
      table.terms.contains(
        .init(column: 1, comparison: SQLITE_INDEX_CONSTRAINT_LT, value: .blob([1]), collation: "BINARY")))
    #expect(
      table.terms.contains(
        .init(column: -1, comparison: SQLITE_INDEX_CONSTRAINT_EQ, value: .real(2.5), collation: "BINARY")))
    #expect(table.terms.first { $0.comparison == SQLITE_INDEX_CONSTRAINT_ISNOTNULL }?.value == nil)
    try connection.execute("SELECT 1 FROM t WHERE value = abs(random())")
    #expect(table.terms.count == 1 && table.terms.first?.value == nil)
  }

  @Test func anInListComesAtOnce() throws {
    let (connection, table) = try asked()
    let wanted: [[Value]] = [[.integer(3)], [.integer(5)], [.integer(70)]]
    let sql = "SELECT value FROM t WHERE value IN (70, 5, 3, 5, NULL, 'x', 2.5, x'00') ORDER BY value"
    #expect(try connection.rows(sql) == wanted)
    #expect(table.terms.map(\.isList) == [true] && table.lists == [] && table.scans == 1)
    (table.takesLists, table.rowsRead) = (true, 0)
    #expect(try connection.rows(sql) == wanted)
    #expect(table.rowsRead == 3 && table.scans == 2)
    let list = try #require(table.lists.last)
    #expect(list.count == 7)
    for value in [Value.integer(3), .integer(5), .integer(70), .null, text("x"), .real(2.5), .blob([0])] {
      #expect(list.contains(value))
    }
    #expect(try connection.rows("SELECT value FROM t WHERE value IN (SELECT 9 UNION SELECT 8)").count == 2)
    #expect(try connection.rows("SELECT value FROM t WHERE value IN (SELECT 1 WHERE 0)") == [])
    try connection.execute("SELECT value FROM t WHERE value = 5")
    #expect(table.terms.map(\.isList) == [false])
  }

  @Test func aListIsNotAskedOfAnythingElse() throws {
    let connection = try Connection.memory()
    try connection.register(function: "members", argumentCount: 1, deterministic: true) {
      (arguments) throws(SQLiteError) in
      var list = arguments.list(0)
      return try list.next()?.value ?? .null
    }
    #expect(sqliteError { try connection.execute("SELECT members(5)") } != nil)
  }

  @Test func whatTheOrderIsFor() throws {
    let (connection, table) = try asked()
    for (sql, expected) in [
      ("SELECT value FROM t ORDER BY value", AccessPlan.Distinctness.ordered),
      ("SELECT count(*) FROM t GROUP BY value", .grouped), ("SELECT DISTINCT value FROM t", .distinct),
      ("SELECT DISTINCT value FROM t ORDER BY value", .distinctOrdered),
    ] {
      #expect(try connection.rows(sql).count == 100)
      #expect(table.distinctness == expected, "\(sql)")
    }
  }

  @Test func limitAndOffset() throws {
    let (connection, table) = try asked()
    let sql = "SELECT value FROM t LIMIT 3 OFFSET 20"
    let wanted: [[Value]] = [[.integer(21)], [.integer(22)], [.integer(23)]]
    #expect(try connection.rows(sql) == wanted)
    #expect(table.rowsRead > 20)
    #expect(table.terms.contains { $0.comparison == SQLITE_INDEX_CONSTRAINT_LIMIT && $0.column == -2 })
    #expect(table.terms.contains { $0.comparison == SQLITE_INDEX_CONSTRAINT_OFFSET && $0.column == -2 })
    (table.takesBounds, table.rowsRead) = (true, 0)
    #expect(try connection.rows(sql) == wanted)
    #expect(table.rowsRead == 3)
    #expect(try connection.rows("SELECT value FROM t LIMIT 2") == [[.integer(1)], [.integer(2)]])
    // A term that is no constraint of this table: then SQLite offers no LIMIT.
    table.terms = []
    #expect(try connection.rows("SELECT value FROM t WHERE value % 7 = 0 LIMIT 2") == [[.integer(7)], [.integer(14)]])
    #expect(!table.terms.contains { $0.column == -2 })
  }

  @Test func cellsCarryValuesBothWays() throws {
    let connection = try Connection.memory()
    var random = SeededGenerator(seed: 5)
    try connection.register(function: "same", argumentCount: 1, deterministic: true) { $0.cell(0).value }
    let select = try connection.prepare("SELECT same(?1), typeof(?1)"), second = try connection.prepare("SELECT ?")
    for value in [.text([]), .blob([]), .null, .real(-0.5), .integer(.min)]
      + (0..<200).map({ _ in randomValue(&random) })
    {
      try select.bind(1, value)
      #expect(try select.step())
      let cell = select.cell(0)
      #expect(cell.value == value && cell.type == select.columnType(0) && cell.isNull == (value == .null))
      switch value {
      case .integer(let number): #expect(cell.integer == number && cell.real == Double(number) && cell.bytes.isEmpty)
      case .real(let number): #expect(cell.real == number && cell.integer == 0 && cell.bytes.isEmpty)
      case .text(let bytes), .blob(let bytes):
        #expect(Array(cell.bytes) == bytes && cell.integer == 0 && cell.real == 0)
      case .null: #expect(cell.integer == 0 && cell.real == 0 && cell.bytes.isEmpty)
      }
      for borrowed in [false, true] {
        try second.bind(1, cell, borrowed: borrowed)
        #expect(try second.rows() == [[value]])
      }
      select.reset()
    }
    #expect(MemoryLayout<Cell>.stride == 16)
  }
}
