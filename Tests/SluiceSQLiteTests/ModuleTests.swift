// Modules: CREATE VIRTUAL TABLE with arguments, reconnecting, DROP, RENAME, and what a foreign schema may not use.
import CSQLite
import SluiceSQLite
import SluiceSystem
import Testing

private final class RenamedTable: WritableTable {
  var names: [String] = []
  override func rename(to name: String) throws(SQLiteError) { names.append(name) }
}

@Suite struct ModuleTests {
  @Test func argumentsComeAsTheyStand() throws {
    let connection = try Connection.memory()
    var made: [ModuleArguments] = []
    try connection.register(module: "thing") { (arguments) throws(SQLiteError) in
      made.append(arguments)
      return VirtualTable(columns: ["a"])
    }
    try connection.execute(
      """
      CREATE VIRTUAL TABLE temp.x USING thing(a, 'it''s, b', "c""d", path = 'e f' , f(1, 2), [g],`h`, '', ');')
      """)
    let first = try #require(made.first)
    #expect(first.module == "thing" && first.schema == "temp" && first.table == "x" && first.isCreating)
    #expect(
      first.texts == ["a", "'it''s, b'", "\"c\"\"d\"", "path = 'e f'", "f(1, 2)", "[g]", "`h`", "''", "');'"])
    #expect(
      first.texts.indices.map { first.unquoted($0) }
        == ["a", "it's, b", "c\"d", "path = 'e f'", "f(1, 2)", "g", "h", "", ");"])
    try connection.execute("CREATE VIRTUAL TABLE y USING thing; CREATE VIRTUAL TABLE z USING thing()")
    #expect(made.map(\.schema) == ["temp", "main", "main"] && made[1].texts == [] && made[2].texts == [])
    for odd in ["'", "''x", "'a\"", ""] { #expect(ModuleArguments.unquote(odd) == odd) }
    #expect(sqliteError { try connection.execute("SELECT * FROM thing") }?.message == "no such table: thing")
  }

  @Test func errorsOfTheMakerAreTheStatements() throws {
    let scratch = try Scratch()
    let code: Int32 = SQLITE_CANTOPEN | 2 << 8
    var fails = true
    func open() throws -> Connection {
      let connection = try Connection(path: scratch.file("db"), mode: .readWriteCreate)
      try connection.register(module: "thing") { (arguments) throws(SQLiteError) in
        if fails { throw SQLiteError(code: code, message: "no store at \(arguments.texts[0]): é") }
        return VirtualTable(columns: ["a"])
      }
      return connection
    }
    let connection = try open()
    let error = sqliteError { try connection.execute("CREATE VIRTUAL TABLE t USING thing(here)") }
    #expect(error?.code == code && error?.message == "no store at here: é")
    fails = false
    try connection.execute("CREATE VIRTUAL TABLE t USING thing(here)")
    connection.close()
    fails = true
    let again = sqliteError { try open().execute("SELECT * FROM t") }
    #expect(again?.code == code && again?.message == "no store at here: é")
    let wrong = try Connection.memory()
    try wrong.register(module: "thing") { _ in VirtualTable(declaration: "CREATE TABLE x(a", columnCount: 1) }
    #expect(sqliteError { try wrong.execute("CREATE VIRTUAL TABLE t USING thing") }?.kind == .invalid)
  }

  @Test func aTableOfAFileIsConnectedAgain() throws {
    let scratch = try Scratch()
    let store = OrderedRows()
    var made: [ModuleArguments] = []
    func open() throws -> Connection {
      let connection = try Connection(path: scratch.file("db"), mode: .readWriteCreate)
      try connection.register(module: "ordered") { (arguments) throws(SQLiteError) in
        made.append(arguments)
        return OrderedTable(arguments.table, store)
      }
      return connection
    }
    var connection = try open()
    try connection.execute("CREATE VIRTUAL TABLE t USING ordered('x'); INSERT INTO t VALUES(1, 2, 3)")
    connection.close()
    connection = try open()
    #expect(try connection.rows("SELECT * FROM t") == [[.integer(1), .integer(2), .integer(3)]])
    try connection.execute("CREATE TABLE r(a); BEGIN; DROP TABLE r; ROLLBACK; UPDATE t SET b = 4")
    #expect(made.map(\.isCreating) == [true, false, false])
    #expect(made.allSatisfy { $0.texts == ["'x'"] && $0.schema == "main" && $0.table == "t" })
    #expect(try connection.rows("SELECT b FROM t") == [[.integer(4)]])
    try connection.execute("DROP TABLE t")
    #expect(store.calls.last == "drop")
    #expect(sqliteError { try connection.execute("SELECT * FROM t") }?.message == "no such table: t")
  }

  @Test func dropMayBeRefused() throws {
    let store = OrderedRows(), connection = try Connection.memory()
    try connection.register(module: "ordered") { OrderedTable($0.table, store) }
    try connection.execute("CREATE VIRTUAL TABLE t USING ordered; INSERT INTO t VALUES(1, 2, 3)")
    (store.failing, store.failure) = ("drop", SQLiteError(code: SQLITE_BUSY, message: "held"))
    #expect(sqliteError { try connection.execute("DROP TABLE t") }?.code == SQLITE_BUSY)
    #expect(try connection.rows("SELECT count(*) FROM t") == [[.integer(1)]])
    store.failing = nil
    try connection.execute("DROP TABLE t; CREATE VIRTUAL TABLE t USING ordered")
  }

  @Test func renaming() throws {
    let connection = try Connection.memory()
    try connection.register(module: "ordered") { OrderedTable($0.table) }
    try connection.execute("CREATE VIRTUAL TABLE t USING ordered; INSERT INTO t VALUES(1, 2, 3)")
    let error = sqliteError { try connection.execute("ALTER TABLE t RENAME TO u") }
    #expect(error?.message == "cannot rename to u: a table of this module keeps its name")
    #expect(try connection.rows("SELECT count(*) FROM t") == [[.integer(1)]])
    let table = RenamedTable(columns: ["a"])
    try connection.register(module: "renamed") { _ in table }
    try connection.execute("CREATE VIRTUAL TABLE r USING renamed; ALTER TABLE r RENAME TO s")
    #expect(table.names == ["s"])
    #expect(sqliteError { try connection.execute("DELETE FROM r") }?.message == "no such table: r")
  }

  @Test func tablesAndTheMakerAreReleased() throws {
    weak var table: OrderedTable?
    weak var store: OrderedRows?
    let connection = try Connection.memory()
    do {
      let kept = OrderedRows()
      store = kept
      try connection.register(module: "ordered") { (arguments) throws(SQLiteError) in
        let made = OrderedTable(arguments.table, kept)
        table = made
        return made
      }
    }
    try connection.execute("CREATE VIRTUAL TABLE t USING ordered; INSERT INTO t VALUES(1, 2, 3)")
    #expect(table != nil)
    try connection.execute("DROP TABLE t")
    #expect(table == nil && store != nil)
    try connection.execute(
      "CREATE VIRTUAL TABLE t USING ordered; BEGIN; CREATE VIRTUAL TABLE u USING ordered; ROLLBACK")
    try connection.execute("INSERT INTO t VALUES(4, 5, 6)")
    #expect(table != nil)
    try connection.unregister(table: "ordered")
    connection.close()
    #expect(table == nil && store == nil)
  }

  @Test func directOnlyIsRefusedInASchema() throws {
    let connection = try Connection.memory()
    let store = OrderedRows()
    for isDirectOnly in [false, true] {
      let end = isDirectOnly ? "direct" : "any"
      try connection.register(table: "e_\(end)", OrderedTable("e", store), directOnly: isDirectOnly)
      try connection.register(module: "m_\(end)", directOnly: isDirectOnly) { OrderedTable($0.table, store) }
      try connection.register(
        function: "f_\(end)", argumentCount: 0, deterministic: false, directOnly: isDirectOnly
      ) { _ in .string("é") }
      try connection.execute(
        """
        CREATE VIRTUAL TABLE m_\(end)_table USING m_\(end);
        CREATE TABLE r_\(end)(a);
        CREATE VIEW ve_\(end) AS SELECT * FROM e_\(end); CREATE VIEW vm_\(end) AS SELECT * FROM m_\(end)_table;
        CREATE VIEW vf_\(end) AS SELECT f_\(end)();
        CREATE TRIGGER g_\(end) AFTER INSERT ON r_\(end) BEGIN INSERT INTO m_\(end)_table(a) VALUES(new.a); END;
        SELECT * FROM e_\(end), m_\(end)_table; SELECT f_\(end)();
        INSERT INTO m_\(end)_table(a) VALUES(0); DELETE FROM m_\(end)_table;
        """)
    }
    #expect(try connection.rows("SELECT * FROM vf_any") == [[text("é")]])
    try connection.execute("SELECT * FROM ve_any; SELECT * FROM vm_any; INSERT INTO r_any VALUES(7)")
    #expect(store.keys == [1])
    for (sql, message) in [
      ("SELECT * FROM ve_direct", "unsafe use of virtual table \"e_direct\""),
      ("SELECT * FROM vm_direct", "unsafe use of virtual table \"m_direct_table\""),
      ("SELECT * FROM vf_direct", "unsafe use of f_direct()"),
      ("INSERT INTO r_direct VALUES(8)", "unsafe use of virtual table \"m_direct_table\""),
    ] {
      let error = sqliteError { try connection.execute(sql) }
      #expect(error?.message == message && error?.kind == .invalid, "\(sql)")
    }
    #expect(store.keys == [1])
  }

  @Test func aFunctionMayRunStatementsOnItsConnection() throws {
    let connection = try Connection.memory()
    try connection.execute("CREATE TABLE log(a)")
    try connection.register(function: "logged", argumentCount: 1, deterministic: false) {
      [unowned connection] (arguments) throws(SQLiteError) in
      let insert = try connection.prepare("INSERT INTO log VALUES(?) RETURNING a || '!'")
      try insert.bind(1, arguments.cell(0))
      guard try insert.step() else { return .null }
      let value = insert.cell(0).value
      insert.reset()
      return value
    }
    #expect(try connection.rows("SELECT logged(1), logged('é')") == [[text("1!"), text("é!")]])
    #expect(try connection.rows("SELECT a FROM log") == [[.integer(1)], [text("é")]])
    let error = sqliteError { try connection.execute("DROP TABLE log; SELECT logged(1)") }
    #expect(error?.message == "no such table: log")
  }
}
