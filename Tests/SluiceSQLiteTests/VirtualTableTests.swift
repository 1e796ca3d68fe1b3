// Virtual tables as SQL sees them: scans, joins, order, push-down, lifetimes of bytes, errors.
import CSQLite
import SluiceSQLite
import SluiceSystem
import Testing

/// The integers from `low` to `high`, with push-down of bounds on `value`; `name` reuses one memory for every row.
private final class SeriesTable: VirtualTable {
  let low: Int64, high: Int64
  var plans = 0, scans: [(plan: Int32, first: Int64, last: Int64, needed: UInt64)] = []
  var failsAt: Int64?

  init(_ low: Int64, _ high: Int64) {
    (self.low, self.high) = (low, high)
    super.init(columns: ["value INTEGER", "name TEXT", "square INTEGER HIDDEN"])
  }

  override func plan(_ plan: inout AccessPlan) throws(SQLiteError) {
    plans += 1
    var argument = 0
    for index in 0..<plan.constraintCount {
      let term = plan.constraint(index)
      guard term.column == 0, term.isUsable, plan.number & 3 != 3 else { continue }
      let bit: Int32 =
        switch term.operator {
        case SQLITE_INDEX_CONSTRAINT_GE where plan.number == 0: 1
        case SQLITE_INDEX_CONSTRAINT_LE where plan.number < 2: 2
        default: 0
        }
      guard bit != 0 else { continue }
      plan.number |= bit
      plan.take(index, argument: argument, exact: true)
      argument += 1
    }
    if plan.orderCount == 1, plan.order(0).column == 0, !plan.order(0).isDescending { plan.isOrdered = true }
    plan.estimatedRows = high - low + 1
    plan.estimatedCost = Double(high - low + 1)
  }

  override func makeCursor() throws(SQLiteError) -> VirtualCursor { SeriesCursor(self) }
}

private final class SeriesCursor: VirtualCursor {
  let table: SeriesTable
  var value: Int64 = 0, last: Int64 = 0
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 20, alignment: 1)

  init(_ table: SeriesTable) {
    self.table = table
    super.init(columnCount: 3)
  }

  deinit { memory.deallocate() }

  override func start(_ scan: Scan) throws(SQLiteError) -> Bool {
    var argument = 0
    (value, last) = (table.low, table.high)
    if scan.plan & 1 != 0 {
      value = max(value, scan.arguments.int64(argument))
      argument += 1
    }
    if scan.plan & 2 != 0 { last = min(last, scan.arguments.int64(argument)) }
    table.scans.append((scan.plan, value, last, scan.neededColumns))
    return try load()
  }

  override func next() throws(SQLiteError) -> Bool {
    value += 1
    return try load()
  }

  override var rowid: Int64? { value * 10 }

  func load() throws(SQLiteError) -> Bool {
    guard value <= last else { return false }
    if value == table.failsAt { throw SQLiteError(code: SQLITE_CORRUPT, message: "row \(value) is damaged: é") }
    let name = Array("n\(value)".utf8)
    memory.copyBytes(from: name)
    cells[0] = .integer(value)
    cells[1] = .text(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[..<name.count]))
    cells[2] = .integer(value * value)
    return true
  }
}

@Suite struct VirtualTableTests {
  private func people() throws -> Connection {
    let connection = try Connection.memory()
    try connection.register(table: "people", columns: ["id INTEGER", "name TEXT", "city TEXT", "x BLOB", "r REAL"]) {
      () throws(SQLiteError) -> [[Value]] in
      [
        [.integer(1), text("Ann"), text("Bern"), .blob([1, 0, 2]), .real(0.5)],
        [.integer(2), text("Bob"), text("Aarau"), .blob([]), .real(-1)],
        [.integer(3), text(""), text("Bern"), .null, .null], [.integer(4)],
        [.integer(5), text("Eve"), text("Chur"), .null, .real(2), text("one too many")],
      ]
    }
    return connection
  }

  @Test func rowsTablesAreThereWithoutCreate() throws {
    let connection = try people()
    #expect(
      try connection.rows("SELECT * FROM people WHERE id < 3 ORDER BY id DESC") == [
        [.integer(2), text("Bob"), text("Aarau"), .blob([]), .real(-1)],
        [.integer(1), text("Ann"), text("Bern"), .blob([1, 0, 2]), .real(0.5)],
      ])
    #expect(try connection.rows("SELECT city, count(*) FROM people GROUP BY 1 ORDER BY 2 DESC, 1").count == 4)
    #expect(
      try connection.rows("SELECT rowid, typeof(name) FROM people WHERE id IN (3, 4)") == [
        [.integer(3), text("text")], [.integer(4), text("null")],
      ])
    #expect(
      try connection.rows(
        "SELECT a.name, b.name FROM people a JOIN people b USING (city) WHERE a.id <> b.id ORDER BY a.id")
        == [[text("Ann"), text("")], [text(""), text("Ann")]])
    #expect(
      try connection.rows("WITH p AS (SELECT * FROM people) SELECT id, sum(r) OVER (ORDER BY id) FROM p WHERE id > 3")
        == [[.integer(4), .null], [.integer(5), .real(2)]])
    #expect(sqliteError { try connection.execute("INSERT INTO people VALUES(1,2,3,4,5)") }?.kind == .invalid)
    #expect(sqliteError { try connection.execute("CREATE VIRTUAL TABLE p USING people") } != nil)
  }

  @Test func rowsAreAskedForAtEachScan() throws {
    let connection = try Connection.memory()
    var calls: Int64 = 0
    try connection.register(table: "calls", columns: ["n INTEGER"]) {
      calls += 1
      return [[.integer(calls)]]
    }
    let select = try connection.prepare("SELECT n FROM calls")
    #expect(try select.rows() == [[.integer(1)]])
    #expect(try select.rows() == [[.integer(2)]])
  }

  @Test func bytesMayChangeWithTheRow() throws {
    let connection = try Connection.memory()
    try connection.register(table: "series", SeriesTable(1, 9))
    #expect(try connection.rows("SELECT max(name), min(name) FROM series") == [[text("n9"), text("n1")]])
    #expect(
      try connection.rows("SELECT group_concat(name) FROM (SELECT name FROM series ORDER BY value DESC)")
        == [[text("n9,n8,n7,n6,n5,n4,n3,n2,n1")]])
    #expect(
      try connection.rows("SELECT a.name FROM series a, series b WHERE b.value = 10 - a.value AND a.name < 'n3'")
        == [[text("n1")], [text("n2")]])
  }

  @Test func constraintsOrderAndNeededColumnsArePushedDown() throws {
    let connection = try Connection.memory()
    let table = SeriesTable(1, 1000)
    try connection.register(table: "series", table)
    #expect(
      try connection.rows("SELECT value FROM series WHERE value BETWEEN 40 AND 42 ORDER BY value")
        == [[.integer(40)], [.integer(41)], [.integer(42)]])
    let scan = try #require(table.scans.last)
    #expect(scan.plan == 3 && scan.first == 40 && scan.last == 42 && scan.needed == 1)
    #expect(try connection.rows("SELECT square FROM series WHERE value >= 1000") == [[.integer(1_000_000)]])
    #expect(table.scans.last?.needed == 0b101)
    #expect(try connection.rows("SELECT * FROM series WHERE rowid = 70") == [[.integer(7), text("n7")]])
    #expect(try connection.rows("SELECT count(*) FROM series") == [[.integer(1000)]])
    #expect(table.scans.last?.needed == 0)
    let plan = try connection.rows("EXPLAIN QUERY PLAN SELECT value FROM series ORDER BY value")
    #expect(plan.count == 1, "SQLite sorts what comes sorted")
    #expect(try connection.rows("EXPLAIN QUERY PLAN SELECT value FROM series ORDER BY value DESC").count == 2)
  }

  @Test func anErrorOfTheTableIsTheStatements() throws {
    let connection = try Connection.memory()
    let table = SeriesTable(1, 10)
    try connection.register(table: "series", table)
    let select = try connection.prepare("SELECT value FROM series")
    for failing: Int64 in [1, 4, 10] {
      table.failsAt = failing
      let error = try #require(sqliteError { _ = try select.rows() })
      #expect(error.kind == .corrupt && error.message == "row \(failing) is damaged: é")
    }
    table.failsAt = nil
    #expect(try select.rows().count == 10)
    try connection.register(table: "broken", columns: ["a"]) { () throws(SQLiteError) -> [[Value]] in
      throw SQLiteError(code: SQLITE_BUSY, message: "")
    }
    #expect(sqliteError { try connection.execute("SELECT * FROM broken") }?.kind == .busy)
    try connection.execute("CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES(1)")
    table.failsAt = 5
    #expect(sqliteError { try connection.execute("INSERT INTO t SELECT value FROM series") }?.kind == .corrupt)
    // The damage is the table's, not the file's: the connection can still write.
    try connection.execute("INSERT INTO t VALUES(2)")
    // SQLite keeps no statement journal for this INSERT, so rows 1 to 4 stay in the transaction: it is the unit.
    #expect(try connection.rows("SELECT count(*) FROM t") == [[.integer(6)]])
    try connection.execute("ROLLBACK")
    #expect(sqliteError { try connection.execute("INSERT INTO t SELECT value FROM series") }?.kind == .corrupt)
    #expect(try connection.rows("SELECT count(*) FROM t") == [[.integer(0)]])
  }

  @Test func wrongDeclarationsAndMissingCursors() throws {
    let connection = try Connection.memory()
    for columns in [[], [""], ["a INTEGER", "a TEXT"], ["a b c )"], ["'"]] {
      try connection.register(table: "t", columns: columns) { [[.integer(1)]] }
      #expect(sqliteError { try connection.execute("SELECT * FROM t") }?.message.isEmpty == false, "\(columns)")
    }
    // One element that hides two columns: the second has no cell and is NULL.
    try connection.register(table: "t", columns: ["a, b"]) { [[.integer(1), .integer(2)]] }
    #expect(try connection.rows("SELECT * FROM t") == [[.integer(1), .null]])
    try connection.register(table: "t", VirtualTable(columns: ["a"]))
    #expect(sqliteError { try connection.execute("SELECT * FROM t") }?.message.contains("no cursor") == true)
  }

  @Test func registeringAgainReplacesAndReleases() throws {
    weak var first: SeriesTable?
    let connection = try Connection.memory()
    do {
      let table = SeriesTable(1, 3)
      first = table
      try connection.register(table: "s", table)
    }
    #expect(try connection.rows("SELECT count(*) FROM s") == [[.integer(3)]])
    #expect(first != nil)
    try connection.register(table: "s", SeriesTable(1, 5))
    #expect(try connection.rows("SELECT count(*) FROM s") == [[.integer(5)]])
    #expect(first == nil, "SQLite disconnects the old table when it prepares the next statement")
    try connection.unregister(table: "s")
    try connection.unregister(table: "never there")
    #expect(sqliteError { try connection.execute("SELECT * FROM s") }?.message == "no such table: s")
  }

  @Test func tablesAreReleasedWithTheConnection() throws {
    weak var table: SeriesTable?
    var statement: Statement?
    do {
      let connection = try Connection.memory()
      let series = SeriesTable(1, 3)
      table = series
      try connection.register(table: "s", series)
      statement = try connection.prepare("SELECT value FROM s")
      #expect(try statement?.step() == true)
      connection.close()
    }
    #expect(table != nil)
    #expect(try statement?.step() == true)
    statement = nil
    #expect(table == nil)
  }
}
