// What SQLite calls on a writable table, in which order, and what becomes of the errors.
import CSQLite
import SluiceSQLite
import SluiceSystem
import Testing

/// A connection with `t` as a module's table and `e` as an eponymous one, each with its store.
private struct Fixture {
  let connection: Connection
  let store = OrderedRows(), other = OrderedRows()

  init(path: String = ":memory:") throws {
    connection = try Connection(path: path, mode: .readWriteCreate)
    let store = store
    try connection.register(module: "ordered") { OrderedTable($0.table, store) }
    try connection.register(table: "e", OrderedTable("e", other))
    try connection.execute("CREATE VIRTUAL TABLE t USING ordered")
    _ = store.takeCalls()
  }

  /// The calls that `sql` makes on `t`.
  func calls(_ sql: String) throws -> [String] {
    try connection.execute(sql)
    return store.takeCalls()
  }

  func error(_ sql: String) -> SQLiteError? { sqliteError { try connection.execute(sql) } }
}

@Suite struct WritableTableTests {
  // MARK: Order of calls

  @Test func aStatementIsATransaction() throws {
    let fixture = try Fixture()
    #expect(try fixture.calls("INSERT INTO t VALUES(1, 2, 3)") == ["begin", "insert", "sync", "commit"])
    #expect(try fixture.calls("DELETE FROM t WHERE k > 7") == ["begin", "sync", "commit"])
    #expect(try fixture.calls("SELECT * FROM t") == [])
    #expect(fixture.error("INSERT INTO t VALUES(2, 0, 0), (1, 0, 0)")?.kind == .constraint)
    #expect(fixture.store.takeCalls() == ["begin", "insert", "insert", "rollback"])
    #expect(fixture.store.keys == [1])
    #expect(fixture.error("INSERT OR FAIL INTO t VALUES(2, 0, 0), (1, 0, 0)")?.kind == .constraint)
    #expect(fixture.store.takeCalls() == ["begin", "insert", "insert", "sync", "commit"])
    #expect(fixture.store.keys == [1, 2])
  }

  @Test func createCountsAsBegun() throws {
    let store = OrderedRows(), connection = try Connection.memory()
    try connection.register(module: "ordered") { OrderedTable($0.table, store) }
    try connection.execute("CREATE VIRTUAL TABLE t USING ordered")
    #expect(store.takeCalls() == ["sync", "commit"])
    try connection.execute("DROP TABLE t; BEGIN; CREATE VIRTUAL TABLE t USING ordered")
    #expect(store.takeCalls() == ["drop"])
    try connection.execute("INSERT INTO t VALUES(1, 1, 1), (2, 2, 2)")
    #expect(store.takeCalls() == ["savepoint 0", "insert", "insert", "release 0"])
    try connection.execute("COMMIT")
    #expect(store.takeCalls() == ["sync", "commit"])
  }

  @Test func aTransactionBeginsWithItsFirstWrite() throws {
    let fixture = try Fixture()
    #expect(try fixture.calls("BEGIN; SELECT * FROM t") == [])
    #expect(try fixture.calls("INSERT INTO t VALUES(1, 1, 1)") == ["begin", "insert"])
    // A statement that may fail after its first row is a savepoint; one row is not, so a row is all or nothing.
    #expect(
      try fixture.calls("INSERT INTO t VALUES(2, 2, 2), (3, 3, 3)")
        == ["savepoint 0", "insert", "insert", "release 0"])
    #expect(fixture.error("INSERT INTO t VALUES(4, 4, 4), (1, 0, 0)")?.kind == .constraint)
    #expect(fixture.store.takeCalls() == ["savepoint 0", "insert", "insert", "rollback to 0", "release 0"])
    #expect(fixture.store.keys == [1, 2, 3])
    #expect(try fixture.calls("COMMIT") == ["sync", "commit"])
    #expect(try fixture.calls("BEGIN; INSERT INTO t VALUES(9, 9, 9); ROLLBACK") == ["begin", "insert", "rollback"])
    #expect(fixture.store.keys == [1, 2, 3])
  }

  @Test func aSavepointBeforeTheFirstWriteIsNotCalled() throws {
    let fixture = try Fixture()
    try fixture.connection.execute("INSERT INTO t VALUES(1, 1, 1)")
    _ = fixture.store.takeCalls()
    #expect(try fixture.calls("BEGIN; SAVEPOINT a; SAVEPOINT b") == [])
    // Of three open (a, b and the statement's own) the innermost alone is called.
    #expect(
      try fixture.calls("INSERT INTO t VALUES(2, 2, 2), (3, 3, 3)")
        == ["begin", "savepoint 2", "insert", "insert", "release 2"])
    #expect(try fixture.calls("SAVEPOINT c; INSERT INTO t VALUES(4, 4, 4)") == ["savepoint 2", "insert"])
    #expect(try fixture.calls("ROLLBACK TO c") == ["rollback to 2"])
    #expect(fixture.store.keys == [1, 2, 3])
    // The state of a is that before the first write, though number 2 alone was called since.
    #expect(try fixture.calls("ROLLBACK TO a") == ["rollback to 0"])
    #expect(fixture.store.keys == [1])
    #expect(try fixture.calls("INSERT INTO t VALUES(5, 5, 5); RELEASE a") == ["insert", "release 0"])
    #expect(try fixture.calls("COMMIT") == ["sync", "commit"])
    #expect(fixture.store.keys == [1, 5])
  }

  @Test func nestedSavepoints() throws {
    let fixture = try Fixture()
    #expect(try fixture.calls("SAVEPOINT a; INSERT INTO t VALUES(1, 1, 1)") == ["begin", "insert"])
    #expect(try fixture.calls("SAVEPOINT b; INSERT INTO t VALUES(2, 2, 2)") == ["savepoint 0", "insert"])
    #expect(try fixture.calls("SAVEPOINT c; INSERT INTO t VALUES(3, 3, 3)") == ["savepoint 1", "insert"])
    #expect(try fixture.calls("RELEASE c") == ["release 1"])
    #expect(fixture.store.keys == [1, 2, 3])
    #expect(try fixture.calls("SAVEPOINT c; DELETE FROM t WHERE k = 1; ROLLBACK TO c").last == "rollback to 1")
    #expect(fixture.store.keys == [1, 2, 3])
    #expect(try fixture.calls("ROLLBACK TO b; ROLLBACK TO b") == ["rollback to 0", "rollback to 0"])
    #expect(fixture.store.keys == [1])
    #expect(try fixture.calls("INSERT INTO t VALUES(4, 4, 4); ROLLBACK TO b") == ["insert", "rollback to 0"])
    #expect(fixture.store.keys == [1])
    // The outermost savepoint, without BEGIN, is the transaction.
    #expect(try fixture.calls("RELEASE a") == ["sync", "commit"])
    #expect(fixture.store.keys == [1])
  }

  @Test func theSchemaMayChangeWithinATransaction() throws {
    let fixture = try Fixture()
    #expect(
      try fixture.calls("BEGIN; SAVEPOINT a; INSERT INTO t VALUES(1, 1, 1)") == ["begin", "savepoint 0", "insert"])
    #expect(try fixture.calls("SAVEPOINT b; CREATE TABLE x(y); INSERT INTO t VALUES(2, 2, 2)").last == "insert")
    // Taking back the CREATE makes SQLite connect anew; the first object goes on to be called, beside the second.
    #expect(try fixture.calls("ROLLBACK TO b") == ["rollback to 1"])
    #expect(fixture.store.keys == [1])
    #expect(try fixture.calls("INSERT INTO t VALUES(3, 3, 3)") == ["begin", "savepoint 1", "insert"])
    #expect(try fixture.calls("ROLLBACK TO b") == ["rollback to 1", "rollback to 1"])
    #expect(fixture.store.keys == [1])
    #expect(try fixture.calls("INSERT INTO t VALUES(4, 4, 4); ROLLBACK TO a").last == "rollback to 0")
    #expect(fixture.store.keys == [])
    #expect(try fixture.calls("INSERT INTO t VALUES(5, 5, 5)") == ["begin", "savepoint 0", "insert"])
    let ending = try fixture.calls("COMMIT")
    let half = ending.count / 2
    #expect(half > 1 && ending == Array(repeating: "sync", count: half) + Array(repeating: "commit", count: half))
    #expect(fixture.store.keys == [5])
  }

  @Test func anObjectMadeWithinASavepointDoesNotMoveIt() throws {
    let fixture = try Fixture()
    try fixture.connection.execute(
      """
      BEGIN; INSERT INTO t VALUES(1, 1, 1); SAVEPOINT a; INSERT INTO t VALUES(2, 2, 2);
      SAVEPOINT b; CREATE TABLE x(y); ROLLBACK TO b; RELEASE b
      """)
    _ = fixture.store.takeCalls()
    #expect(try fixture.calls("INSERT INTO t VALUES(3, 3, 3)") == ["begin", "savepoint 0", "insert"])
    try fixture.connection.execute("ROLLBACK TO a")
    #expect(fixture.store.keys == [1])
  }

  @Test func twoTablesCommitTogether() throws {
    let fixture = try Fixture()
    try fixture.connection.execute("BEGIN; INSERT INTO t VALUES(1, 1, 1); INSERT INTO e VALUES(1, 1, 1)")
    fixture.other.failing = "sync"
    #expect(fixture.error("COMMIT")?.message == "refused: é")
    #expect(fixture.store.takeCalls() == ["begin", "insert", "sync", "rollback"])
    #expect(fixture.other.takeCalls() == ["begin", "insert", "sync", "rollback"])
    #expect(fixture.store.keys == [] && fixture.other.keys == [] && !fixture.connection.isInTransaction)
    fixture.other.failing = nil
    try fixture.connection.execute("BEGIN; INSERT INTO t VALUES(1, 1, 1); INSERT INTO e SELECT * FROM t; COMMIT")
    #expect(fixture.store.keys == [1] && fixture.other.keys == [1])
  }

  @Test func sqlitesFilesCommitBetweenSyncAndCommit() throws {
    let scratch = try Scratch()
    let connection = try Connection(path: scratch.file("db"), mode: .readWriteCreate)
    try connection.execute("PRAGMA journal_mode = wal; CREATE TABLE r(a)")
    let reader = try Connection(path: scratch.file("db"), mode: .readOnly)
    let table = WatchingTable { (try? reader.rows("SELECT a FROM r"))?.count }
    try connection.register(table: "w", table)
    try connection.execute("BEGIN; INSERT INTO r VALUES(1); INSERT INTO w VALUES(1); COMMIT")
    #expect(table.seen == ["sync", "0", "commit", "1"])
  }

  @Test func aStatementReadsBeforeItWrites() throws {
    let connection = try Connection.memory(), table = KeyedTable()
    try connection.register(table: "keyed", table)
    try connection.execute(
      """
      INSERT INTO keyed VALUES(1, 1, 1), (2, 2, 2), (3, 3, 3);
      INSERT INTO keyed SELECT key + 10, a, b FROM keyed; UPDATE keyed SET key = key + 20 WHERE key > 2;
      DELETE FROM keyed WHERE a = 2; REPLACE INTO keyed SELECT key, b, a FROM keyed WHERE a > 1;
      """)
    #expect(table.rows.map { $0[0] } == [.integer(1), .integer(23), .integer(31), .integer(33)])
    #expect(table.scans > 3 && table.changesInScans == 0)
    // Another statement's scan may be under way.
    let select = try connection.prepare("SELECT key FROM keyed")
    #expect(try select.step())
    try connection.execute("DELETE FROM keyed")
    #expect(table.changesInScans > 0)
  }

  // MARK: Errors

  @Test(arguments: [
    SQLITE_CONSTRAINT | 6 << 8, SQLITE_CONSTRAINT | 8 << 8, SQLITE_CONSTRAINT | 5 << 8, SQLITE_CONSTRAINT, SQLITE_BUSY,
    SQLITE_FULL, SQLITE_READONLY, SQLITE_ERROR, SQLITE_MISMATCH, SQLITE_IOERR | 2 << 8, SQLITE_INTERRUPT,
  ])
  func codeAndMessageReachTheHost(code: Int32) throws {
    let fixture = try Fixture()
    let calls = ["insert": "INSERT INTO t VALUES(7, 7, 7)", "update": "UPDATE t SET a = 5", "delete": "DELETE FROM t"]
    try fixture.connection.execute("INSERT INTO t VALUES(1, 1, 1)")
    fixture.store.failure = SQLiteError(code: code, message: "row refused: é")
    for (call, sql) in calls {
      fixture.store.failing = call
      for statement in [sql, sql.replacing("INSERT", with: "INSERT OR FAIL"), "BEGIN; \(sql)"] {
        let error = fixture.error(statement)
        #expect(error?.code == code && error?.message == "row refused: é", "\(statement)")
      }
      if fixture.connection.isInTransaction { try fixture.connection.execute("ROLLBACK") }
      #expect(fixture.store.keys == [1])
    }
    fixture.store.failing = "begin"
    #expect(fixture.error("DELETE FROM t")?.code == code)
    #expect(fixture.error("DELETE FROM t")?.message == "row refused: é")
    fixture.store.failing = "sync"
    #expect(fixture.error("DELETE FROM t")?.code == code)
    #expect(fixture.error("DELETE FROM t")?.message == "row refused: é")
    #expect(fixture.store.keys == [1])
  }

  @Test func damageOfATableDoesNotStopTheConnection() throws {
    let fixture = try Fixture()
    fixture.store.failure = SQLiteError(code: SQLITE_CORRUPT, message: "row refused: é")
    fixture.store.failing = "insert"
    #expect(fixture.error("BEGIN; INSERT INTO t VALUES(7, 7, 7)")?.kind == .corrupt)
    try fixture.connection.execute("CREATE TABLE r(a); INSERT INTO r VALUES(1); COMMIT")
  }

  @Test func errorsOfSavepointsAreTheStatements() throws {
    let fixture = try Fixture()
    fixture.store.failure = SQLiteError(code: SQLITE_AUTH, message: "refused: é")
    try fixture.connection.register(function: "stop", argumentCount: 0, deterministic: false) {
      [interrupter = fixture.connection.interrupter] _ in
      interrupter.interrupt()
      return .null
    }
    try fixture.connection.execute("BEGIN; INSERT INTO t VALUES(1, 1, 1), (2, 2, 2)")
    // Prepared before: planning alone drops a message.
    let select = try fixture.connection.prepare("SELECT stop() FROM t")
    for (call, sql) in [
      ("savepoint 0", "SAVEPOINT a"), ("savepoint 0", "UPDATE t SET b = 2"), ("release 0", "RELEASE a"),
      ("rollback to 0", "ROLLBACK TO a"),
    ] {
      if sql.hasSuffix("a") && sql != "SAVEPOINT a" { try fixture.connection.execute("SAVEPOINT a") }
      fixture.store.failing = call
      let error = fixture.error(sql)
      // Here SQLite passes on the code alone.
      #expect(error?.code == SQLITE_AUTH && error?.message == "authorization denied", "\(sql)")
      fixture.store.failing = nil
      // The message that SQLite left lying is not taken for that of an error without one.
      #expect(sqliteError { try select.run() }?.message == "interrupted", "\(sql)")
      #expect(fixture.store.keys == [1, 2] && fixture.connection.isInTransaction, "\(sql)")
      try fixture.connection.execute("ROLLBACK; BEGIN; INSERT INTO t VALUES(1, 1, 1), (2, 2, 2)")
    }
  }

  @Test func ignoredRowsLeaveNoTrace() throws {
    let fixture = try Fixture()
    try fixture.connection.execute("INSERT INTO t VALUES(1, 1, 1)")
    let insert = try fixture.connection.prepare("INSERT OR IGNORE INTO t VALUES(1, 5, 5), (2, 2, 2), (3, 1, 1)")
    try insert.run()
    #expect(fixture.connection.changes == 1 && fixture.connection.lastInsertRowid == 2)
    #expect(fixture.store.keys == [1, 2])
    #expect(fixture.error("INSERT OR IGNORE INTO t VALUES('x', 5, 5)")?.message == "datatype mismatch")
    #expect(fixture.error("SELECT missing FROM t")?.message == "no such column: missing")
  }

  // MARK: What a statement brings

  @Test func aNewRowidIsAnInteger() throws {
    let fixture = try Fixture()
    try fixture.connection.execute("INSERT INTO t VALUES(1, 1, 1); UPDATE t SET rowid = '5'; UPDATE t SET rowid = 6.0")
    #expect(fixture.store.keys == [6])
    for wrong in ["'x'", "NULL", "6.5", "x'35'", "1e30"] {
      let error = fixture.error("UPDATE t SET rowid = \(wrong)")
      #expect(error?.code == SQLITE_MISMATCH && error?.message == "datatype mismatch", "\(wrong)")
      #expect(fixture.error("INSERT INTO t(rowid) VALUES(\(wrong == "NULL" ? "'y'" : wrong))")?.code == SQLITE_MISMATCH)
    }
    #expect(fixture.store.keys == [6])
  }

  @Test func updateReadsAllColumns() throws {
    let connection = try Connection.memory()
    var needed: [UInt64] = []
    let table = KeyedTable { needed.append($0) }
    try connection.register(table: "keyed", table)
    try connection.execute("INSERT INTO keyed VALUES('p', 1, 2), ('q', 3, 4)")
    needed = []
    try connection.execute("UPDATE keyed SET a = 9 WHERE key = 'q'")
    // SQLite asks for all columns, though the statement names two of them.
    #expect(needed.count == 1 && needed.allSatisfy { $0 & 0b111 == 0b111 })
    #expect(
      try connection.rows("SELECT * FROM keyed") == [
        [text("p"), .integer(1), .integer(2)], [text("q"), .integer(9), .integer(4)],
      ])
  }

  @Test func aTableWithoutRowidIsChangedByKey() throws {
    let connection = try Connection.memory()
    let table = KeyedTable()
    try connection.register(table: "keyed", table)
    try connection.execute("INSERT INTO keyed VALUES('p', 1, 2), ('q', 3, 4), (x'00', NULL, 1.5)")
    #expect(sqliteError { try connection.execute("INSERT INTO keyed VALUES('p', 0, 0)") }?.code == 1555)
    try connection.execute("INSERT OR IGNORE INTO keyed VALUES('p', 0, 0); REPLACE INTO keyed VALUES('q', 0, 0)")
    try connection.execute("UPDATE keyed SET b = b + 1 WHERE key = 'p'; UPDATE keyed SET key = 'r' WHERE key = 'q'")
    #expect(
      try connection.rows("SELECT * FROM keyed") == [
        [text("p"), .integer(1), .integer(3)], [text("r"), .integer(0), .integer(0)],
        [.blob([0]), .null, .real(1.5)],
      ])
    try connection.execute("DELETE FROM keyed WHERE key = x'00'")
    #expect(table.rows.count == 2)
    #expect(sqliteError { try connection.execute("SELECT rowid FROM keyed") }?.message == "no such column: rowid")
    // What an UPDATE leaves as it is was not carried.
    #expect(table.unchanged == [[true, true, false], [false, true, true]])
  }

  @Test func readOnlyTablesOfAModuleRefuse() throws {
    let connection = try Connection.memory()
    try connection.register(module: "bare") { _ in VirtualTable(columns: ["a"]) }
    try connection.execute("CREATE VIRTUAL TABLE t USING bare")
    let error = sqliteError { try connection.execute("INSERT INTO t VALUES(1)") }
    #expect(error?.kind == .unwritable && error?.message == "the table may not be modified")
    try connection.execute("BEGIN; SAVEPOINT a; RELEASE a; COMMIT")
    try connection.register(table: "w", WritableTable(columns: ["a"]))
    #expect(
      sqliteError { try connection.execute("INSERT INTO w VALUES(1)") }?.message
        == "WritableTable does not override update")
  }
}

/// Takes any row, and looks at something while its transaction ends.
private final class WatchingTable: WritableTable {
  private let look: () -> Int?
  var seen: [String] = []

  init(_ look: @escaping () -> Int?) {
    self.look = look
    super.init(columns: ["a"])
  }

  override func update(_ change: RowChange, onConflict: ConflictAction) throws(SQLiteError) -> Int64 { 1 }
  override func sync() throws(SQLiteError) { seen += ["sync", look().map(String.init) ?? "nothing"] }
  override func commit() { seen += ["commit", look().map(String.init) ?? "nothing"] }
}

/// `(key PRIMARY KEY, a, b) WITHOUT ROWID`, in the order of insertion.
private final class KeyedTable: WritableTable {
  var rows: [[Value]] = []
  var unchanged: [[Bool]] = []
  var scans = 0, openScans = 0, changesInScans = 0
  let seen: (UInt64) -> Void

  init(_ seen: @escaping (UInt64) -> Void = { _ in }) {
    self.seen = seen
    super.init(declaration: "CREATE TABLE x(key PRIMARY KEY, a, b)\nwithout  rowid", columnCount: 3)
  }

  override func makeCursor() throws(SQLiteError) -> VirtualCursor { KeyedCursor(self) }

  override func updateKeyed(_ change: KeyedChange, onConflict: ConflictAction) throws(SQLiteError) {
    changesInScans += openScans
    switch change {
    case .insert(let values):
      let row = (0..<3).map { values.value($0) }
      if let index = rows.firstIndex(where: { $0[0] == row[0] }) {
        guard onConflict == .replace else {
          throw SQLiteError(code: SQLITE_CONSTRAINT | 6 << 8, message: "UNIQUE constraint failed: keyed.key")
        }
        rows.remove(at: index)
        rows.insert(row, at: index)
      } else {
        rows.append(row)
      }
    case .update(let key, let values):
      unchanged.append((0..<3).map { values.isUnchanged($0) })
      guard let index = rows.firstIndex(where: { $0[0] == key.value }) else { return }
      for column in 0..<3 where !values.isUnchanged(column) { rows[index][column] = values.value(column) }
    case .delete(let key): rows.removeAll { $0[0] == key.value }
    }
  }
}

private final class KeyedCursor: VirtualCursor {
  private let table: KeyedTable
  private var rows: [[Value]] = []
  private var index = 0
  private var row: [UnsafeMutableRawBufferPointer] = []

  init(_ table: KeyedTable) {
    self.table = table
    super.init(columnCount: 3, omitsUnchanged: true)
  }

  deinit { for memory in row { memory.deallocate() } }

  override func start(_ scan: Scan) throws(SQLiteError) -> Bool {
    table.seen(scan.neededColumns)
    table.scans += 1
    table.openScans += 1
    (rows, index) = (table.rows, -1)
    return try next()
  }

  override func next() throws(SQLiteError) -> Bool {
    index += 1
    guard index < rows.count else {
      table.openScans -= 1
      return false
    }
    for (column, value) in rows[index].enumerated() {
      switch value {
      case .null: cells[column] = .null
      case .integer(let number): cells[column] = .integer(number)
      case .real(let number): cells[column] = .real(number)
      case .text(let bytes): cells[column] = .text(keep(bytes))
      case .blob(let bytes): cells[column] = .blob(keep(bytes))
      }
    }
    return true
  }

  private func keep(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    memory.copyBytes(from: bytes)
    row.append(memory)
    return UnsafeRawBufferPointer(memory)
  }
}
