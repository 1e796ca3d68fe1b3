// Connection and statement against the SQLite they wrap.
import CSQLite
import Foundation
import SluiceSQLite
import SluiceSystem
import Testing

@Suite struct ConnectionTests {
  @Test func allClassesOfValuesRoundTrip() throws {
    let connection = try Connection.memory()
    let values: [Value] = [
      .null, .integer(0), .integer(.min), .integer(.max), .real(0.1), .real(-.infinity), .real(1e308), text(""),
      text("héé\u{1F600}"), .text([0x61, 0, 0x62]), .blob([]), .blob([0, 255, 0]),
      .text(Array(repeating: 0x61, count: 1_000_000)),
    ]
    let echo = try connection.prepare("SELECT ?1", persistent: true)
    for value in values {
      try echo.bind(1, value)
      #expect(try echo.rows() == [[value]])
    }
    try echo.bind(1, Double.nan)
    #expect(try echo.rows() == [[.null]])
  }

  @Test(arguments: [UInt64(1), 2, 3]) func randomValuesRoundTripThroughAFile(seed: UInt64) throws {
    let scratch = try Scratch()
    var random = SeededGenerator(seed: seed)
    let rows = (0..<200).map { _ in (0..<5).map { _ in randomValue(&random) } }
    do {
      let connection = try Connection(path: scratch.file("a.db"), mode: .readWriteCreate)
      try connection.execute("CREATE TABLE t(a,b,c,d,e); BEGIN")
      let insert = try connection.prepare("INSERT INTO t VALUES(?,?,?,?,?)", persistent: true)
      for row in rows {
        try insert.bind(row)
        try insert.run()
        #expect(connection.changes == 1)
      }
      #expect(connection.isInTransaction)
      try connection.execute("COMMIT")
      #expect(connection.lastInsertRowid == 200)
      #expect(connection.totalChanges == 200)
    }
    let connection = try Connection(path: scratch.file("a.db"), mode: .readOnly)
    #expect(connection.isReadOnly)
    #expect(try connection.rows("SELECT * FROM t ORDER BY rowid") == rows, "seed \(seed)")
  }

  @Test func textIsSQLitesOwn() throws {
    let statement = try Connection.memory().prepare("SELECT 1.0, 1e100, 12, NULL, x'6162', 0.1+0.2")
    #expect(try statement.step())
    #expect((0..<6).map { statement.string($0) } == ["1.0", "1.0e+100", "12", "", "ab", "0.3"])
  }

  @Test func borrowedBytesAreReadAndEmptyOnesAreNotNull() throws {
    let statement = try Connection.memory().prepare("SELECT typeof(?1), typeof(?2), ?3")
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 3, alignment: 1)
    defer { bytes.deallocate() }
    bytes.copyBytes(from: Array("abc".utf8))
    try statement.bind(1, text: nothing)
    try statement.bind(2, blob: nothing, borrowed: true)
    try statement.bind(3, text: UnsafeRawBufferPointer(bytes), borrowed: true)
    #expect(try statement.rows() == [[text("text"), text("blob"), text("abc")]])
  }

  @Test func namesTypesAndParameters() throws {
    let connection = try Connection.memory()
    try connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT)")
    let select = try connection.prepare("SELECT id, name AS n, 1+1 FROM t WHERE id = :id AND name = ?2")
    #expect(select.columnNames == ["id", "n", "1+1"])
    #expect(select.columnDeclaredType(0) == "INTEGER" && select.columnDeclaredType(2) == nil)
    #expect(select.columnName(99) == "" && select.columnName(-1) == "")
    #expect(select.parameterCount == 2 && select.parameterIndex(":id") == 1 && select.parameterIndex(":x") == nil)
    #expect(select.isReadOnly && !select.isExplain)
    #expect(try !connection.prepare("DELETE FROM t").isReadOnly)
    #expect(try connection.prepare("EXPLAIN QUERY PLAN SELECT 1").isExplain)
    #expect(sqliteError { try select.bind(3, 1) }?.primaryCode == SQLITE_RANGE)
    #expect(sqliteError { try select.bind(0, 1) }?.primaryCode == SQLITE_RANGE)
    // No row is current: every accessor answers NULL.
    #expect(select.value(0) == .null && select.value(77) == .null && select.row.isEmpty)
  }

  @Test func errorsTellMessageCodeTextAndOffset() throws {
    let connection = try Connection.memory()
    let bad = "SELECT 1; SELECT nope FROM sqlite_schema"
    let error = try #require(sqliteError { try connection.execute(bad) })
    #expect(error.message == "no such column: nope" && error.kind == .invalid)
    #expect(error.sql == bad && error.offset == 17)
    #expect(sqliteError { _ = try connection.prepare("SELEC 1") }?.message == "near \"SELEC\": syntax error")
    try connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES(1)")
    let insert = try connection.prepare("INSERT INTO t VALUES(?)")
    try insert.bind(1, 1)
    let twice = try #require(sqliteError { try insert.run() })
    #expect(twice.code == SQLITE_CONSTRAINT | 6 << 8 && twice.kind == .constraint)
    #expect(twice.message == "UNIQUE constraint failed: t.id" && twice.sql == "INSERT INTO t VALUES(?)")
    try insert.bind(1, 2)
    try insert.run()
    #expect(try connection.rows("SELECT count(*) FROM t") == [[.integer(2)]])
  }

  @Test func prepareWantsOneStatement() throws {
    let connection = try Connection.memory()
    #expect(try connection.prepare(" SELECT 1 ; -- end\n ;; /* x */ ").rows() == [[.integer(1)]])
    #expect(sqliteError { _ = try connection.prepare("  -- nothing\n") }?.primaryCode == SQLITE_MISUSE)
    let two = try #require(sqliteError { _ = try connection.prepare("SELECT 1; SELECT 2") })
    #expect(two.offset == 9 && two.message == "more than one statement in the text")
  }

  @Test func prepareFirstTellsBytesUsed() throws {
    let connection = try Connection.memory()
    var rest = Array("SELECT 1; ;SELECT 22 -- é\n".utf8)[...]
    var used: [Int] = []
    var rows: [[Value]] = []
    while !rest.isEmpty {
      let (statement, count) = try rest.withUnsafeBytes { try connection.prepareFirst(in: $0) }
      rows += try statement?.rows() ?? []
      used.append(count)
      rest = rest.dropFirst(count)
    }
    #expect(rows == [[.integer(1)], [.integer(22)]])
    #expect(used.reduce(0, +) == 27 && used[0] == 9)
  }

  @Test func nothingBehindANULIsDroppedInSilence() throws {
    let connection = try Connection.memory()
    for sql in ["SELECT 1;\0SELECT 2", "\0", "CREATE TABLE t(a);\0 ", "SELECT 1 \0"] {
      let error = sqliteError { try connection.execute(sql) }
      #expect(error?.message == "unrecognized token: NUL", "\(sql.debugDescription)")
    }
    #expect(sqliteError { _ = try Connection(path: "/tmp\0/x.db", mode: .readWrite) }?.kind == .unwritable)
  }

  @Test(arguments: 0..<20) func garbageIsAnErrorAndNeverACrash(seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed))
    let connection = try Connection.memory()
    let words = ["SELECT", "FROM", "'", "\"", "(", ")", "1", ",", "x'", "--", ";", "WITH", "\0", "\u{FFFD}", "INSERT"]
    for _ in 0..<300 {
      let soup = (0..<Int.random(in: 0...12, using: &random)).map { _ in words.randomElement(using: &random)! }
      let bytes =
        Bool.random(using: &random)
        ? randomBytes(Int.random(in: 0...60, using: &random), &random) : Array(soup.joined(separator: " ").utf8)
      if let error = sqliteError({ try bytes.withUnsafeBytes { try connection.execute($0) } }) {
        #expect(error.offset <= bytes.count && !error.message.isEmpty, "seed \(seed)")
      }
    }
    #expect(try connection.rows("SELECT 1") == [[.integer(1)]])
  }

  @Test func openingWhatCannotBeOpened() throws {
    let scratch = try Scratch()
    #expect(sqliteError { _ = try Connection(path: scratch.file("no.db"), mode: .readWrite) }?.kind == .unwritable)
    #expect(sqliteError { _ = try Connection(path: scratch.path, mode: .readWriteCreate) }?.kind == .unwritable)
    try Data(repeating: 0x41, count: 4096).write(to: URL(fileURLWithPath: scratch.file("junk.db")))
    let junk = try Connection(path: scratch.file("junk.db"), mode: .readWrite)
    #expect(sqliteError { try junk.execute("SELECT * FROM sqlite_schema") }?.kind == .corrupt)
  }

  @Test func closingInAnyOrder() throws {
    let scratch = try Scratch()
    var connection: Connection? = try Connection(path: scratch.file("a.db"), mode: .readWriteCreate)
    try connection?.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1),(2)")
    var statement: Statement? = try connection?.prepare("SELECT a FROM t")
    #expect(try statement?.step() == true)
    let interrupter = try #require(connection?.interrupter)
    connection?.close()
    connection?.close()
    #expect(sqliteError { try connection?.execute("SELECT 1") }?.message == "the connection is closed")
    #expect(connection?.changes == 0 && connection?.lastErrorOffset == -1)
    connection = nil
    interrupter.interrupt()
    #expect(try statement?.step() == true)
    #expect(statement?.int64(0) == 2)
    statement?.reset()
    #expect(sqliteError { try statement?.bind(9, 1) }?.primaryCode == SQLITE_RANGE)
    statement = nil
    let again = try Connection(path: scratch.file("a.db"), mode: .readWrite)
    #expect(try again.rows("SELECT sum(a) FROM t") == [[.integer(3)]])
  }

  @Test func limitsAndLocks() throws {
    let scratch = try Scratch()
    let first = try Connection(path: scratch.file("a.db"), mode: .readWriteCreate)
    let before = first.setLimit(SQLITE_LIMIT_SQL_LENGTH, 20)
    #expect(before > 20 && first.setLimit(SQLITE_LIMIT_SQL_LENGTH, -1) == 20)
    let long = "SELECT '" + String(repeating: "x", count: 50) + "'"
    #expect(sqliteError { try first.execute(long) }?.kind == .limit)
    first.setLimit(SQLITE_LIMIT_SQL_LENGTH, before)
    try first.execute("CREATE TABLE t(a); BEGIN IMMEDIATE")
    let second = try Connection(path: scratch.file("a.db"), mode: .readWrite)
    #expect(sqliteError { try second.execute("INSERT INTO t VALUES(1)") }?.kind == .busy)
    let reader = try Connection(path: scratch.file("a.db"), mode: .readOnly)
    try first.execute("ROLLBACK")
    #expect(sqliteError { try reader.execute("INSERT INTO t VALUES(1)") }?.kind == .unwritable)
  }

  @Test func scalarFunctions() throws {
    let connection = try Connection.memory()
    try connection.register(function: "same", argumentCount: 1, deterministic: true) { $0.value(0) }
    try connection.register(function: "total_size", argumentCount: -1, deterministic: true) { arguments in
      .integer(Int64((0..<arguments.count).reduce(0) { $0 + arguments.text($1).count }))
    }
    try connection.register(function: "fails", argumentCount: 0, deterministic: false) {
      (_) throws(SQLiteError) -> Value in throw SQLiteError(code: SQLITE_CONSTRAINT, message: "not today: é")
    }
    let values: [Value] = [.null, .integer(-7), .real(2.5), text(""), text("é"), .blob([]), .blob([1, 0])]
    let same = try connection.prepare("SELECT same(?)")
    for value in values {
      try same.bind(1, value)
      #expect(try same.rows() == [[value]])
    }
    #expect(try connection.rows("SELECT total_size(), total_size('ab', 123, NULL)") == [[.integer(0), .integer(5)]])
    let error = try #require(sqliteError { _ = try connection.rows("SELECT fails()") })
    #expect(error.message == "not today: é" && error.kind == .constraint)
    #expect(
      sqliteError { try connection.register(function: "f", argumentCount: 9999, deterministic: true) { _ in .null } }
        != nil)
  }

  @Test func scalarFunctionsAreReleasedOnce() throws {
    final class Probe {}
    weak var seen: Probe?
    do {
      let probe = Probe()
      seen = probe
      let connection = try Connection.memory()
      try connection.register(function: "f", argumentCount: 0, deterministic: true) { _ in
        withExtendedLifetime(probe) { .integer(1) }
      }
      #expect(try connection.rows("SELECT f()") == [[.integer(1)]])
    }
    #expect(seen == nil)
  }
}
