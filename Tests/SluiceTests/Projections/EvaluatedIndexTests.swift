// Indexes that compute their entries, by an expression or a WHERE: a row for which one fails is refused when it is
// written, in the words of SQLite itself, by every way in; and whatever fails all the same costs the mirror that index
// and nothing else.
import SluiceSQL
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct EvaluatedIndexTests {
  /// What a statement answers: nil, or SQLite's message and code.
  private func answer(_ sql: String, _ session: Session) -> String? {
    storeError {
      try session.run(sql)
      try session.settle()
      if let rejection = session.takeRejections().first { throw rejection }
    }.map { "\($0.message) (\($0.sqliteCode ?? 0))" }
  }

  private func answer(_ sql: String, _ stock: Connection) -> String? {
    do {
      try stock.execute(sql)
      return nil
    } catch { return "\(error.message) (\(error.code & 0xff))" }
  }

  /// The same statements by a session and by SQLite: the same errors, the same rows, and a mirror with the same index.
  private func compare(_ statements: [String], _ comment: Comment? = nil) throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    let stock = try Connection(path: ":memory:", mode: .readWriteCreate)
    var failures = 0
    for sql in statements {
      let expected = answer(sql, stock)
      let found = answer(sql, session)
      #expect(found == expected, "\(sql); \(comment?.description ?? "")")
      if expected != nil { failures += 1 }
    }
    #expect(failures > 0)
    try session.wait(for: .projected)
    for table in session.tableNames() {
      let select = "SELECT * FROM \(table) ORDER BY 1"
      let expected = try stock.prepare(select).rows()
      #expect(try session.run(select) == expected)
      #expect(try bench.file(select) == expected)
    }
    let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1"
    #expect(try bench.file(indexes) == stock.prepare(indexes).rows())
    #expect(store.progress.quarantined.isEmpty)
    try store.close()
  }

  static let tables = [
    "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)", "CREATE TABLE t(id INTEGER, v TEXT)",
    "CREATE TABLE t(id TEXT, v TEXT, PRIMARY KEY(id, v)) WITHOUT ROWID",
    "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT CHECK(v <> 'never'))",
  ]

  @Test(arguments: tables)
  func rowsAreRefusedAsBySQLite(_ table: String) throws {
    try compare([
      table, "CREATE INDEX e ON t(v ->> '$.a' COLLATE NOCASE DESC, id)", "INSERT INTO t VALUES(1, '{\"a\":1}')",
      "INSERT INTO t VALUES(2, 'no json')", "INSERT INTO t VALUES(3, '{}'), (4, 'no json')",
      "INSERT OR IGNORE INTO t VALUES(5, 'no json')", "INSERT OR REPLACE INTO t VALUES(1, 'no json')",
      "INSERT INTO t SELECT 6, 'no json'", "INSERT INTO t SELECT 7, '[]'", "UPDATE t SET v = 'no json' WHERE id = 7",
      "UPDATE t SET v = '[1]' WHERE id = 7", "UPDATE OR IGNORE t SET v = 'no json'", "BEGIN",
      "INSERT INTO t VALUES(8, 'no json')", "INSERT INTO t VALUES(9, '{}')", "UPDATE t SET v = 'no json' WHERE id = 9",
      "INSERT INTO t VALUES(10, 'no json')", "COMMIT", "DELETE FROM t WHERE id = 9", "DROP INDEX e",
      "INSERT INTO t VALUES(11, 'no json')", "CREATE INDEX e ON t(v ->> '$.a')", "DELETE FROM t WHERE id = 11",
      "CREATE INDEX e ON t(v ->> '$.a')", "INSERT INTO t VALUES(12, 'no json')",
    ])
  }

  @Test func otherExpressionsFailAsInSQLite() throws {
    try compare([
      "CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "CREATE INDEX a ON t(id) WHERE abs(v) > 3",
      "INSERT INTO t VALUES(1, -9223372036854775808)", "INSERT INTO t VALUES(2, -4)", "DROP INDEX a",
      "CREATE INDEX d ON t(date(v))", "INSERT INTO t VALUES(3, 'now')", "INSERT INTO t VALUES(4, '2024-01-02')",
      "UPDATE t SET v = 'now' WHERE id = 2", "DROP INDEX d", "INSERT INTO t VALUES(5, 'now')",
      "CREATE INDEX d ON t(date(v))", "CREATE INDEX r ON t(random())", "CREATE INDEX n ON t(date('now'))",
      "CREATE INDEX s ON t((SELECT 1))", "DELETE FROM t WHERE id = 5", "CREATE INDEX d ON t(date(v))",
    ])
  }

  @Test func upsertsAreTriedToo() throws {
    try compare([
      "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)", "CREATE INDEX e ON t(json_extract(v, '$.a'))",
      "INSERT INTO t VALUES(1, '{}')",
      "INSERT INTO t VALUES(1, '{\"b\":1}') ON CONFLICT(id) DO UPDATE SET v = 'no ' || excluded.v",
      "INSERT INTO t VALUES(1, '{\"b\":2}') ON CONFLICT(id) DO UPDATE SET v = excluded.v",
      "INSERT INTO t VALUES(2, 'no json') ON CONFLICT(id) DO UPDATE SET v = excluded.v",
      "INSERT INTO t VALUES(3, '[]') ON CONFLICT(id) DO NOTHING",
    ])
  }

  @Test func anAlteredTableKeepsItsIndexes() throws {
    try compare([
      "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)", "CREATE INDEX e ON t(json_extract(v, '$.a'))",
      "INSERT INTO t VALUES(1, '{}')", "ALTER TABLE t ADD COLUMN w DEFAULT 7", "INSERT INTO t VALUES(2, 'no json', 1)",
      "ALTER TABLE t RENAME COLUMN v TO body", "INSERT INTO t VALUES(3, 'no json', 1)", "ALTER TABLE t RENAME TO u",
      "INSERT INTO u VALUES(4, 'no json', 1)", "INSERT INTO u VALUES(5, '{}', 1)",
      "CREATE INDEX f ON u(w) WHERE abs(w) > 0", "INSERT INTO u VALUES(6, '{}', -9223372036854775808)",
      "INSERT INTO u(id, body) VALUES(7, 'no json')", "CREATE TABLE t(x)", "INSERT INTO t VALUES('no json')",
    ])
  }

  @Test func preparedRowsAreRefused() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    let other = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    let insert = try session.prepareInsert(into: "t")
    let statement = try session.prepare("INSERT INTO t VALUES(?, ?)")
    try insert.run([.integer(1), text("{}")])
    try session.settle()
    // Made by another session while both stand.
    try other.run("CREATE INDEX e ON t(v ->> '$.a')")
    #expect(storeError { try insert.run([.integer(2), text("no json")]) }?.message == "malformed JSON")
    #expect(storeError { try statement.run([.integer(3), text("no json")]) }?.message == "malformed JSON")
    try insert.run([.integer(4), text("[]")])
    try statement.run([.integer(5), text("[]")])
    var line = 1
    let script = Array("INSERT INTO t VALUES(6, '{}');\nINSERT INTO t VALUES(7, 'no json');\n".utf8)
    #expect(script.withUnsafeBytes { session.ingest($0, line: &line) } == 30)
    try session.wait(for: .projected)
    #expect(try bench.file("SELECT id FROM t") == [1, 4, 5, 6].map { [.integer($0)] })
    #expect(store.progress.quarantined.isEmpty)
    try store.close()
  }

  /// CREATE INDEX over rows that have no entry fails and is not recorded, wherever the rows are.
  @Test(arguments: ["stored", "unread", "staged", "read"])
  func anIndexThatRowsContradictIsNotRecorded(_ place: String) throws {
    let bench = Bench()
    let store = try bench.open { $0.stageBytes = 2_048 }
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.run("CREATE TABLE u(x)")
    if place != "stored" { try session.run("BEGIN") }
    for id in 0..<200 { try session.run("INSERT INTO t VALUES(\(id), '\(id == 100 ? "no json" : "{}")')") }
    if place == "staged" { #expect(session.transaction?.staged != nil) }
    if place == "read" { try session.run("SELECT * FROM t") }
    #expect(answer("CREATE INDEX e ON t(v ->> '$.a')", session) == "malformed JSON (1)")
    try session.run("CREATE INDEX f ON t(id) WHERE id <> 100 AND v ->> '$.a' IS NULL")
    #expect(session.catalog.objects.keys.sorted() == ["f"])
    try session.run("INSERT INTO u VALUES(1)")
    if place != "stored" { try session.run("COMMIT") }
    try session.wait(for: .projected)
    #expect(try bench.file("SELECT count(*) FROM t") == [[.integer(200)]])
    #expect(try bench.file("SELECT name FROM sqlite_schema WHERE type = 'index'") == [[text("f")]])
    try store.close()
  }

  /// A session has encoded a row when another makes an index that has no entry for it: the row is stored, the mirror
  /// holds it, and does without the index.
  private func poisoned(_ bench: Bench, _ table: String = tables[0]) throws -> Store {
    let store = try bench.open()
    let session = try store.makeSession()
    let other = try store.makeSession()
    try session.run(table)
    try session.run("CREATE TABLE u(x)")
    try session.run("INSERT INTO t VALUES(1, '{\"a\":1}')")
    try session.settle()
    try session.run("INSERT INTO t VALUES(2, 'no json')")
    try other.run("CREATE INDEX good ON t(abs(id))")
    try other.run("CREATE INDEX e ON t(v ->> '$.a')")
    try session.run("INSERT INTO u VALUES(1)")
    try session.settle()
    return store
  }

  @Test(arguments: tables)
  func theMirrorDoesWithoutAnIndexThatFails(_ table: String) throws {
    let bench = Bench()
    let store = try poisoned(bench, table)
    let session = try store.makeSession()
    try session.wait(for: .projected)
    #expect(try bench.file("SELECT id FROM t ORDER BY id") == session.run("SELECT id FROM t ORDER BY id"))
    #expect(try bench.file("SELECT x FROM u") == [[.integer(1)]])
    let shown = try session.run("SELECT name, kind, state, last_error FROM sluice_projections WHERE kind = 'index'")
    #expect(shown.map { Array($0[..<3]) } == [[text("e"), text("index"), text("quarantined")]])
    guard case .text(let sentence)? = shown.first?.last else { return #expect(Bool(false)) }
    #expect(String(decoding: sentence, as: UTF8.self).contains("malformed JSON; correct the rows"))
    #expect(store.takeNotices() == [String(decoding: sentence, as: UTF8.self)])
    let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    #expect(try bench.file(indexes) == [[text("good")]])
    // The store goes on: rows are still tried, others come into the mirror.
    #expect(answer("INSERT INTO t VALUES(3, 'no json')", session) == "malformed JSON (1)")
    try session.run("INSERT INTO t VALUES(4, '{}')")
    try session.run("DELETE FROM t WHERE id = 1")
    try session.wait(for: .projected)
    #expect(try bench.file("SELECT id FROM t ORDER BY id") == session.run("SELECT id FROM t ORDER BY id"))
    // What the sentence says helps.
    try session.run("UPDATE t SET v = '{}' WHERE id = '2'")
    try session.run("DROP INDEX e")
    try session.run("CREATE INDEX e ON t(v ->> '$.a')")
    try session.wait(for: .projected)
    #expect(try bench.file(indexes + " ORDER BY 1") == [[text("e")], [text("good")]])
    #expect(store.progress.quarantined.isEmpty)
    try store.close()
  }

  /// A store that an earlier version left with a row and an index that contradict each other: it opens, also without
  /// its projections.db, is altered, and DROP INDEX works.
  @Test(arguments: [true, false])
  func aStoreWithAFailingIndexOpens(_ hasFile: Bool) throws {
    let before = Bench()
    let store = try poisoned(before)
    let bench = Bench(disk: before.disk.crashImage(.keepAll))
    if hasFile { copyDatabase(before.projections, to: bench.projections) }
    try store.close()
    for change in ["", "ALTER TABLE t ADD COLUMN w", "ALTER TABLE t RENAME COLUMN v TO body", "DROP INDEX e"] {
      let store = try bench.open()
      let session = try store.makeSession()
      if !change.isEmpty { try session.run(change) }
      try session.run("INSERT INTO u VALUES(1)")
      try session.wait(for: .projected)
      #expect(store.progress.quarantined.keys.sorted() == (change == "DROP INDEX e" ? [] : ["e"]))
      #expect(try bench.file("SELECT id FROM t") == [[.integer(1)], [.integer(2)]])
      #expect(try bench.file("SELECT count(*) FROM u") == session.run("SELECT count(*) FROM u"))
      if change == "DROP INDEX e" { try session.run("DROP TABLE t") }
      try store.close()
    }
  }

  /// Many rows, of which some fail, in many transactions: no row is lost and the projector comes to an end.
  @Test func manyFailingRowsAreAllMirrored() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    let other = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.settle()
    for id in 0..<300 { try session.run("INSERT INTO t VALUES(\(id), '\(id % 90 == 89 ? "no json" : "{}")')") }
    try other.run("CREATE INDEX e ON t(v ->> '$.a')")
    try other.run("CREATE INDEX f ON t(json_type(v)) WHERE id > 50")
    try session.settle()
    try session.wait(for: .projected)
    #expect(try bench.file("SELECT count(*) FROM t") == [[.integer(300)]])
    #expect(store.progress.quarantined.keys.sorted() == ["e", "f"])
    try store.close()
  }

  /// Columns as they are cost nothing when a row is written.
  @Test func anIndexOfColumnsLeavesThePlanAsItIs() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.run("CREATE INDEX plain ON t(v COLLATE NOCASE DESC, [id] ASC)")
    try session.run("INSERT INTO t VALUES(1, 'a')")
    #expect(session.plan?.isPlain == true)
    try session.run("CREATE INDEX computed ON t(lower(v))")
    try session.run("INSERT INTO t VALUES(2, 'a')")
    #expect(session.plan?.isPlain == false)
    try session.run("DROP INDEX computed")
    try session.run("INSERT INTO t VALUES(3, 'a')")
    #expect(session.plan?.isPlain == true)
    try store.close()
  }
}
