// ALTER TABLE against SQLite itself: the files of sql/ say every form, and what SQLite makes of them is what the
// shards, the session's SELECT and projections.db must hold, after restarts and rebuilds too.
import Foundation
import SluiceSQL
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// The statements of a file of sql/.
private func script(_ name: String) throws -> [String] {
  let text = Array(try Data(contentsOf: URL(fileURLWithPath: packageFolder() + "/sql/" + name)))
  return text.withUnsafeBytes { bytes in
    var result: [String] = []
    var offset = 0
    while offset < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
      switch StatementSplitter.next(in: rest, atEnd: true) {
      case .statement(let range, _, _, _):
        result.append(String(decoding: rest[range], as: UTF8.self))
        offset += range.upperBound
      case .blank(let skip, _): offset += skip
      case .incomplete: offset = bytes.count
      }
    }
    return result
  }
}

private func plain(_ statement: String) -> String {
  statement.replacing(/, SHARD KEY \(\w+\)\)/, with: ") WITHOUT ROWID")
}

/// Columns and rows of all tables and views of a database, in words.
private func contents(_ database: Connection) throws -> [String: [String]] {
  let names = try database.prepare(
    """
    SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')
      AND name NOT GLOB 'sqlite_*' AND name NOT GLOB 'sluice_*'
    """
  ).rows()
  var result: [String: [String]] = [:]
  for case .text(let bytes)? in names.map(\.first) {
    let name = String(decoding: bytes, as: UTF8.self)
    let columns = try database.prepare("SELECT name, type, \"notnull\" FROM pragma_table_info(\(literal(text(name))))")
    result[name] =
      try columns.rows().map { $0.map(literal).joined(separator: " ") }
      + database.prepare("SELECT * FROM \(quoted(name))").rows().map { $0.map(literal).joined(separator: "|") }.sorted()
  }
  return result
}

/// Texts of indexes, by name.
private func indexes(_ database: Connection) throws -> [[Value]] {
  try database.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
    .rows().map { $0.map { if case .text(let t) = $0 { text(spaced(t)) } else { $0 } } }
}

private func spaced(_ bytes: [UInt8]) -> String {
  String(decoding: bytes, as: UTF8.self).filter { $0 != " " && $0 != "\"" }
}

/// Rows of all SQL tables as the shards hold them.
private func liveRows(_ store: Store) throws -> [String: [String]] {
  try store.liveContents().reduce(into: [:]) { result, table in
    result[table.key] = table.value.values.map { $0.values.map(literal).joined(separator: "|") }.sorted()
  }
}

private func rowsOnly(_ database: Connection, _ names: some Sequence<String>) throws -> [String: [String]] {
  try names.reduce(into: [:]) { result, name in
    result[name] = try database.prepare("SELECT * FROM \(quoted(name))").rows()
      .map { $0.map(literal).joined(separator: "|") }.sorted()
  }
}

private func compare(_ found: [String: [String]], _ expected: [String: [String]], _ state: Comment) {
  for name in Set(found.keys).union(expected.keys).sorted() where found[name] != expected[name] {
    let found = found[name] ?? ["no table"], expected = expected[name] ?? ["no table"]
    let extra = found.filter { !expected.contains($0) }, missing = expected.filter { !found.contains($0) }
    Issue.record("\(state): \(name): has \(extra), lacks \(missing)")
  }
}

@Suite struct AlterTests {
  @Test(arguments: [false, true]) func everyFormDoesWhatSQLiteDoes(flushes: Bool) throws {
    let bench = Bench()
    var store = try bench.open()
    let oracle = try Connection(path: ":memory:", mode: .readWriteCreate)
    let session = try store.makeSession()
    for statement in try script("alter_table.sql") {
      try oracle.execute(plain(statement))
      do { try session.run(statement) } catch { Issue.record("\(statement): \(error)") }
      if flushes, !session.inTransaction { try store.flush() }
    }
    try session.settle()
    #expect(session.takeRejections().isEmpty)
    let expected = try contents(oracle)
    #expect(expected.count == 6 && expected["sales"]?.count == 21, "\(expected)")
    func check(_ state: Comment) throws {
      let live = try liveRows(store)
      compare(live, try rowsOnly(oracle, live.keys), state)
      #expect(Set(live.keys) == Set(expected.keys).subtracting(["revenue"]), state)
      let reader = try store.makeSession()
      #expect(
        try reader.run("SELECT * FROM revenue ORDER BY 1") == oracle.prepare("SELECT * FROM revenue ORDER BY 1").rows(),
        state)
      try reader.wait(for: .projected)
      try store.close(drain: !flushes)
      let mirror = try Connection(path: bench.projections, mode: .readOnly)
      compare(try contents(mirror), expected, state)
      #expect(try indexes(mirror) == indexes(oracle), state)
      #expect(try mirror.prepare("PRAGMA integrity_check").rows() == [[text("ok")]], state)
      mirror.close()
      store = try bench.open()
    }
    try check("at first")
    try check("opened again")
    try store.close()
    removeDatabase(bench.projections)
    store = try bench.open()
    try check("rebuilt")
    let again = try store.makeSession()
    for statement in ["INSERT INTO \"counted again\"(v) VALUES('three')", "INSERT INTO orders VALUES(9)"] {
      try again.run(statement)
      try oracle.execute(statement)
    }
    try again.settle()
    compare(try liveRows(store), try rowsOnly(oracle, try liveRows(store).keys), "written on")
    try store.close()
  }

  @Test(arguments: goldenFiles("Golden/Alter")) func whatIsRefusedSaysWhy(_ file: GoldenFile) throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    var before: [String: String?] = [:]
    func definitions() -> [String: String?] {
      ["t", "s", "named", "v"].reduce(into: [:]) { $0[$1] = session.createStatement($1) }
    }
    try file.run { command in
      if command.command == "prepare" {
        for statement in command.input.split(separator: "\n") { try session.run(String(statement)) }
        try session.settle()
        before = definitions()
        return "done"
      }
      let error = storeError { try session.run(command.input) }
      #expect(definitions() == before, "\(command.input)")
      let answer = error.map { "\($0.kind)\($0.isParse ? "" : " at run time"): \($0.message)" } ?? "accepted"
      // The same words as in a transaction, which goes on.
      try session.run("BEGIN")
      #expect(storeError { try session.run(command.input) }?.message == error?.message)
      try session.run("ROLLBACK")
      return answer
    }
    try store.close()
  }

  /// Worked out for a catalog that is no longer the newest: nothing of it may take effect.
  @Test func aChangeOfTheCatalogInBetweenIsNoticed() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession(), other = try store.makeSession()
    try session.run("CREATE TABLE t(a, b)")
    guard case .alterTable(let statement) = try parseStatement("ALTER TABLE t RENAME a TO c") else { return }
    let changes = try Alteration(statement, session.catalog, isEmpty: { false }).changes()
    try other.run("CREATE INDEX by_a ON t(a)")
    #expect(storeError { try session.change(changes, line: 1) }?.message == "database schema has changed")
    #expect(session.columnNames("t") == ["a", "b"])
    try session.run("ALTER TABLE t RENAME a TO c")
    #expect(session.createStatement("by_a") == "CREATE INDEX by_a ON t (c)")
    // Inside a transaction it is noticed at its COMMIT, and the statement alone is rejected.
    try session.run("BEGIN")
    try session.run("ALTER TABLE t RENAME c TO d")
    try session.run("CREATE TABLE kept(a)")
    try other.run("CREATE TABLE other(a)")
    try session.run("COMMIT")
    try session.settle()
    #expect(session.takeRejections().map(\.message) == ["database schema has changed"])
    #expect(session.columnNames("t") == ["c", "b"] && session.columnNames("kept") == ["a"])
    try store.close()
    let again = try bench.open()
    #expect(try again.makeSession().columnNames("t") == ["c", "b"])
    try again.close()
  }

  /// The commands of one statement change the catalog together.
  @Test func severalChangesAreOneStatement() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(a)")
    let table = try #require(session.catalog.table("t"))
    let alter = CatalogChange(
      operation: .alter, object: .table, tableID: table.id, name: "t", definition: "CREATE TABLE t (a, b)")
    let missing = CatalogChange(operation: .alter, object: .index, name: "i", owner: "t", definition: "")
    #expect(storeError { try session.change([alter, missing], line: 1) }?.message == "no such index: i")
    // The next change of the catalog shows what the resolver has.
    try session.run("CREATE TABLE other(a)")
    #expect(session.columnNames("t") == ["a"])
    try session.change([alter, alter], line: 1)
    #expect(session.columnNames("t") == ["a", "b"])
    try session.run("INSERT INTO t VALUES(1, 2)")
    try session.settle()
    try store.close(drain: false)
    let again = try bench.open()
    #expect(try again.makeSession().run("SELECT * FROM t") == [[.integer(1), .integer(2)]])
    try again.close()
  }

  /// The catalog that shard 0 keeps: names that were used twice, indexes older than their table's entry, sequences.
  @Test func namesIndexesAndSequencesOutliveTheLog() throws {
    let bench = Bench()
    var store = try bench.open()
    var session = try store.makeSession()
    for statement in [
      "CREATE TABLE c(id INTEGER PRIMARY KEY AUTOINCREMENT, v)", "CREATE INDEX by_v ON c(v)",
      "CREATE INDEX by_both ON c(v, id)", "INSERT INTO sqlite_sequence VALUES('c', 50)",
      "ALTER TABLE c ADD w DEFAULT 1",
      "ALTER TABLE c RENAME TO d", "CREATE TABLE c(id INTEGER PRIMARY KEY AUTOINCREMENT, v)",
      "INSERT INTO sqlite_sequence VALUES('c', 7)", "CREATE TABLE e(a)",
      "ALTER TABLE e RENAME TO f", "ALTER TABLE f RENAME TO e", "CREATE TABLE g(a)", "CREATE INDEX by_g ON g(a)",
      "ALTER TABLE g RENAME TO h", "DROP TABLE h", "CREATE TABLE g(z)",
    ] { try session.run(statement) }
    func objects(_ catalog: Catalog) -> [String] {
      catalog.tables.values.map { "\($0.id) \($0.name) \($0.highestKey.current)" }.sorted()
        + catalog.objects.values.map { "\($0.name) \($0.owner) \($0.sql)" }.sorted()
    }
    let before = objects(session.catalog)
    #expect(before.count == 6 && before.contains("1 d 50") && before.contains("2 c 7"), "\(before)")
    for drain in [true, false, true] {
      try store.flush()
      try store.close(drain: drain)
      store = try bench.open()
      session = try store.makeSession()
      #expect(objects(session.catalog) == before)
    }
    try session.run("INSERT INTO d(v) VALUES('x')")
    try session.run("INSERT INTO c(v) VALUES('x')")
    #expect(try session.run("SELECT id FROM d") == [[.integer(51)]])
    #expect(try session.run("SELECT id FROM c") == [[.integer(8)]])
    try store.close()
  }

  /// Rows that another session had planned before the column came have its default.
  @Test func rowsPlannedBeforeHaveTheDefault() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession(), other = try store.makeSession()
    try session.run("CREATE TABLE t(a INTEGER PRIMARY KEY, b CHECK(b > 0))")
    try other.run("BEGIN")
    try other.run("INSERT INTO t VALUES(1, 2)")
    try session.run("ALTER TABLE t ADD c TEXT NOT NULL DEFAULT 'new' CHECK (c <> '')")
    try session.run("INSERT INTO t VALUES(2, 3, 'own')")
    try other.run("COMMIT")
    try other.settle()
    let rows: [[Value]] = [
      [.integer(1), .integer(2), text("new")], [.integer(2), .integer(3), text("own")],
    ]
    #expect(try session.run("SELECT * FROM t") == rows)
    #expect(
      storeError { try session.run("INSERT INTO t VALUES(3, 3, '')") }?.message == "CHECK constraint failed: c <> ''")
    #expect(
      storeError { try other.run("INSERT INTO t VALUES(3, 0, 'x')") }?.message == "CHECK constraint failed: b > 0")
    try store.close()
    removeDatabase(bench.projections)
    let again = try bench.open()
    #expect(try again.makeSession().run("SELECT * FROM t") == rows)
    try again.close()
  }
}
