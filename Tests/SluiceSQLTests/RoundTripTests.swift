// Every statement of sql/ is accepted; a table's definition survives being printed.
@testable import SluiceSQL
import SluiceSystem
import Testing

@Test(arguments: scriptNames)
func everyStatementIsAccepted(_ name: String) throws {
  let all = statements(try sqlFile(name))
  #expect(!all.isEmpty)
  for statement in all {
    let parsed = try parseStatement(statement)
    if case .refused(let sentence) = parsed { Issue.record("\(statement): \(sentence)") }
  }
}

@Test(arguments: scriptNames)
func aPrintedTableIsTheSameTable(_ name: String) throws {
  for statement in statements(try sqlFile(name)) {
    guard case .createTable(let table) = try parseStatement(statement) else { continue }
    let printed = print(table, shardKey: true)
    #expect(try parseStatement(printed) == .createTable(table), "\(printed)")
  }
}

@Test(arguments: scriptNames)
func aPrintedAlterTableIsTheSame(_ name: String) throws {
  for statement in statements(try sqlFile(name)) {
    guard case .alterTable(let alter) = try parseStatement(statement) else { continue }
    #expect(try parseStatement(print(alter)) == .alterTable(alter), "\(print(alter))")
  }
}

@Test(arguments: scriptNames)
func aPrintedProjectionIsTheSame(_ name: String) throws {
  var count = 0
  for statement in statements(try sqlFile(name)) {
    switch try parseStatement(statement) {
    case .createProjection(let projection):
      #expect(try parseStatement(print(projection)) == .createProjection(projection), "\(print(projection))")
    case .alterProjection(let projection):
      let text = printAlteration(projection)
      #expect(try parseStatement(text) == .alterProjection(projection), "\(text)")
    default: continue
    }
    count += 1
  }
  #expect((count > 10) == (name == "projections.sql"))
}

/// What ALTER TABLE adds to a definition comes out again as the statements that lead there.
@Test func alterationsLeadFromOneDefinitionToAnother() throws {
  let old = try table("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
  let new = try table("CREATE TABLE u (a INTEGER PRIMARY KEY, \"b c\" TEXT, d REAL DEFAULT 2 CHECK (d > 1), e)")
  #expect(
    new.alterations(from: old).map(print) == [
      "ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME COLUMN b TO \"b c\"",
      "ALTER TABLE u ADD COLUMN d REAL DEFAULT 2 CHECK (d > 1)", "ALTER TABLE u ADD COLUMN e",
    ])
  #expect(new.alterations(from: new).isEmpty)
}

@Test(arguments: scriptNames)
func theMirrorsTableKeepsColumnsAndKey(_ name: String) throws {
  for statement in statements(try sqlFile(name)) {
    guard case .createTable(let table) = try parseStatement(statement) else { continue }
    let printed = print(table, shardKey: false)
    guard case .createTable(let mirror) = try parseStatement(printed) else { continue }
    #expect(mirror.columns == table.columns, "\(printed)")
    #expect(mirror.primaryKey == table.primaryKey)
    #expect(mirror.isRowidAlias == table.isRowidAlias)
    #expect(mirror.shardKey == nil)
    #expect(mirror.unenforcedUniques.isEmpty)
    #expect(mirror.withoutRowid == (!table.primaryKey.isEmpty && !table.isRowidAlias))
  }
}

@Test(arguments: scriptNames)
func explainedAndPlainStatementsAreEqual(_ name: String) throws {
  for statement in statements(try sqlFile(name)) where !statement.uppercased().hasPrefix("EXPLAIN") {
    // As far to the right as behind EXPLAIN: a statement that is taken apart says where its parts stand.
    let inner = try parseStatement("        " + statement)
    guard case .explain(let queryPlan, let offset, let explained) = try parseStatement("EXPLAIN " + statement)
    else { continue }
    #expect(!queryPlan && offset == 8)
    // Offsets inside count from the whole text.
    if case .insert = inner { continue }
    #expect(explained == inner)
  }
}

@Test func ordersIsReadAsWritten() throws {
  let orders = try table(try #require(statements(try sqlFile("orders.sql")).first))
  #expect(orders.columns.map(\.name) == ["user_id", "id", "sku", "quantity", "amount", "note"])
  #expect(orders.columns.map(\.affinity) == [.integer, .integer, .text, .integer, .numeric, .text])
  #expect(orders.columns.map(\.typeName)[4] == "NUMERIC(10,2)")
  #expect(orders.primaryKey == [0, 1] && orders.shardKey == [0] && !orders.isRowidAlias)
  #expect(orders.columns[3].defaultValue == DefaultValue(text: "1", value: .integer(1)))
  #expect((0..<6).map(orders.rejectsNull) == [true, true, true, true, false, false])
  #expect(
    print(orders, shardKey: false) == """
      CREATE TABLE orders (
        user_id INTEGER,
        id INTEGER,
        sku TEXT NOT NULL,
        quantity INTEGER NOT NULL DEFAULT 1,
        amount NUMERIC(10,2),
        note TEXT,
        PRIMARY KEY (user_id, id)
      ) WITHOUT ROWID
      """)
}

@Test(arguments: [
  ("INT", Affinity.integer), ("tinyint", .integer), ("UNSIGNED BIG INT", .integer), ("CHARINT", .integer),
  ("VARCHAR(255)", .text), ("NCHAR(55)", .text), ("CLOB", .text), ("TEXT", .text), ("", .blob), ("BLOB", .blob),
  ("REAL", .real), ("DOUBLE PRECISION", .real), ("FLOAT", .real), ("FLOATING POINT", .integer), ("NUMERIC", .numeric),
  ("DECIMAL(10,5)", .numeric), ("BOOLEAN", .numeric), ("DATE", .numeric), ("STRING", .numeric),
])
func affinityFollowsTheTypesName(_ type: String, _ expected: Affinity) {
  #expect(affinity(ofType: type) == expected)
}

@Test func clausesAreKept() throws {
  let p = try table("CREATE TABLE p (a CONSTRAINT positive CHECK (a > 0 /* c */ AND a < 10) DEFAULT 'x', CHECK (1))")
  #expect(p.allChecks == [Check(name: "positive", text: "a > 0 AND a < 10"), Check(name: "positive", text: "1")])
  let d = try table("CREATE TABLE d (id INTEGER PRIMARY KEY AUTOINCREMENT, v DEFAULT (1 + 1))")
  #expect(d.isRowidAlias && d.autoIncrement && d.primaryKey == [0] && !d.rejectsNull(0))
  #expect(d.columns[1].defaultValue == DefaultValue(text: "(1 + 1)", value: nil))
  let s = try table("CREATE TABLE y (a, shard key, SHARD KEY (shard))")
  #expect(s.columns[1].typeName == "key" && s.shardKey == [1])
}

@Test func otherStatementsSayWhatTheySay() throws {
  #expect(try parseStatement("END TRANSACTION") == .commit)
  #expect(try parseStatement("begin immediate;") == .begin(.immediate))
  #expect(try parseStatement("SHOW Ack") == .show(.setting("ack")))
  #expect(try parseStatement("SET drain_rate = 50000") == .set(name: "drain_rate", value: .integer(50000)))
  #expect(try parseStatement("SET ratio = -0.5") == .set(name: "ratio", value: .real(-0.5)))
  #expect(try parseStatement("SET ack TO 'x y'") == .set(name: "ack", value: .text("x y")))
  #expect(
    try parseStatement("PRAGMA main.cache_size(-5)")
      == .pragma(Pragma(schema: "main", name: "cache_size", argument: "-5")))
  #expect(try parseStatement("DELETE FROM sqlite_sequence;") == .clearSequences)
  #expect(
    try parseStatement("INSERT INTO sqlite_sequence VALUES('t',7);") == .setSequence(table: "t", value: 7))
  #expect(
    try parseStatement("EXPLAIN QUERY PLAN SELECT 1")
      == .explain(queryPlan: true, innerOffset: 19, statement: .select))
  guard case .createIndex(let index) = try parseStatement("create unique index main.i on t(a /* x */ , b);") else {
    Issue.record("no index")
    return
  }
  #expect(index.isUnique && index.text == "CREATE UNIQUE INDEX i ON t (a , b)")
}
