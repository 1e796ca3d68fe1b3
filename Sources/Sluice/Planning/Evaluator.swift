// SQLite as the evaluator of everything that is not a plain literal: expressions in VALUES, defaults, conversions
// between storage classes, CHECK constraints, and the words of its error messages. Private in-memory databases: one
// without tables, so that an expression which reads one is found out, and one with tables that convert and check.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Evaluates expressions once, before the log; so the log never needs an evaluator.
final class Evaluator: ValueEvaluator {
  private let connection: Connection
  /// Holds a table for each affinity and the SQL table that was checked last.
  private let tables: Connection
  /// For each affinity, a one-row table that SQLite converts values for.
  private var conversions: [Affinity: (update: SluiceSQLite.Statement, select: SluiceSQLite.Statement)] = [:]
  /// A database with the SQL table whose RETURNING was checked last.
  private var returning: (table: SQLTable, scratch: Connection)?
  private var checks: [UInt32: (table: SQLTable, insert: SluiceSQLite.Statement, delete: SluiceSQLite.Statement)] = [:]

  /// `lastRowid` is what last_insert_rowid() gives.
  init(lastRowid: LastRowid) throws(StoreError) {
    do {
      connection = try Connection(path: ":memory:", mode: .readWriteCreate)
      tables = try Connection(path: ":memory:", mode: .readWriteCreate)
      try connection.register(function: "last_insert_rowid", argumentCount: 0, deterministic: false) {
        (_) throws(SQLiteError) in
        if lastRowid.isOpen { throw SQLiteError(message: "no such table: rows of this session") }
        return .integer(lastRowid.value)
      }
      for name in ["changes", "total_changes"] {
        try connection.register(function: name, argumentCount: 0, deterministic: false) {
          (_) throws(SQLiteError) in
          throw SQLiteError(message: "no such table: rows of this session")
        }
      }
    } catch { throw StoreError(error) }
  }

  /// Those that evaluate statements of the session.
  var connections: [Connection] { [connection, tables] }

  /// Lets `interrupter` end a long evaluation.
  func interrupted(by interrupter: SessionInterrupter) throws(StoreError) {
    do { try interrupter.watch(connection) } catch { throw StoreError(error) }
  }

  func evaluate(_ expression: UnsafeRawBufferPointer, affinity: Affinity) throws(SQLError) -> Value {
    let text = String(decoding: expression, as: UTF8.self)
    // VALUES has no rows to aggregate, and neither has WHERE, where SQLite says so.
    if callsAggregate(expression) { _ = try prepare("SELECT 1 WHERE ", text) }
    let statement = try prepare("SELECT ", text)
    // Values of parameters, and rows of tables, are for the connection over live tables.
    guard statement.parameterCount == 0 else { throw SQLError(.evaluated, "a parameter stands in VALUES") }
    do {
      guard let value = try statement.rows().first?.first else { return .null }
      return try convert(value, affinity)
    } catch {
      let failure = explain(error)
      throw failure.kind == .evaluated ? failure : SQLError(.failed, error.message, code: error.primaryCode)
    }
  }

  private func prepare(_ head: String, _ text: String) throws(SQLError) -> SluiceSQLite.Statement {
    do { return try connection.prepare(head + text) } catch {
      let failure = explain(error)
      guard error.offset >= head.utf8.count else { throw failure }
      throw SQLError(failure.kind, failure.message, offset: error.offset - head.utf8.count)
    }
  }

  private func explain(_ error: SQLiteError) -> SQLError {
    if error.message.hasPrefix("no such table") { return SQLError(.evaluated, error.message) }
    return SQLError(.invalid, error.message)
  }

  /// Applies a column's affinity as SQLite does when it stores a value.
  func convert(_ value: Value, _ affinity: Affinity) throws(SQLiteError) -> Value {
    switch (value, affinity) {
    case (.null, _), (.blob, _), (_, .blob), (.text, .text), (.integer, .integer), (.integer, .numeric): return value
    case (.real(let number), .real): return .real(storedReal(number))
    default: break
    }
    if conversions[affinity] == nil {
      let name = "sluice_conversion_\(affinity.rawValue)"
      let type = ["BLOB", "TEXT", "NUMERIC", "INTEGER", "REAL"][Int(affinity.rawValue)]
      try tables.execute("CREATE TABLE \(name)(v \(type)); INSERT INTO \(name) VALUES(NULL)")
      conversions[affinity] = (
        try tables.prepare("UPDATE \(name) SET v = ?", persistent: true),
        try tables.prepare("SELECT v FROM \(name)", persistent: true)
      )
    }
    guard let (update, select) = conversions[affinity] else { return value }
    try update.bind(1, value)
    try update.run()
    return try select.rows().first?.first ?? .null
  }

  /// A value as SQLite's literal of it.
  func literal(_ value: Value) -> String {
    do {
      let statement = try connection.prepare("SELECT quote(?)")
      try statement.bind(1, value)
      if case .text(let bytes)? = try statement.rows().first?.first { return String(decoding: bytes, as: UTF8.self) }
    } catch {}
    return "NULL"
  }

  /// A real as SQLite's text of it.
  func realText(_ real: Double) -> [UInt8] {
    do {
      if case .text(let bytes) = try convert(.real(real), .text) { return bytes }
    } catch {}
    return Array(String(real).utf8)
  }

  /// The value of a column's default, with the column's affinity.
  func defaultValue(_ column: Column) throws(SQLError) -> Value {
    guard var text = column.defaultValue?.text else { return .null }
    let result: Result<Value, SQLError> = text.withUTF8 { bytes in
      do throws(SQLError) {
        return .success(try evaluate(UnsafeRawBufferPointer(bytes), affinity: column.affinity))
      } catch { return .failure(error) }
    }
    return try result.get()
  }

  /// Throws what SQLite says where RETURNING of a change to `table` has an aggregate, a window function or `t.*`; its
  /// offset counts from the start of `list`. Whatever else is wrong is found when the list is evaluated.
  func checkReturning(_ list: String, isInsert: Bool, of table: SQLTable) throws(SQLiteError) {
    if returning?.table !== table {
      let scratch = try Connection(path: ":memory:", mode: .readWriteCreate)
      try scratch.execute(SluiceSQL.print(table.definition, shardKey: false))
      returning = (table, scratch)
    }
    let name = quoted(table.name)
    let head = (isInsert ? "INSERT INTO \(name) DEFAULT VALUES" : "DELETE FROM \(name)") + " RETURNING "
    do { _ = try returning?.scratch.prepare(head + list) } catch {
      guard error.message.hasPrefix("misuse of") || error.message.hasPrefix("RETURNING") else { return }
      throw SQLiteError(
        code: error.code, message: error.message, offset: error.offset < 0 ? -1 : error.offset - head.utf8.count)
    }
  }

  /// Checks a row against the table's CHECK constraints; SQLite's own error when one fails.
  func check(_ row: [Value], of table: SQLTable) throws(SQLiteError) {
    // An altered table has its id, and another definition.
    if checks[table.id]?.table !== table {
      try ensure(table)
      let parameters = row.map { _ in "?" }.joined(separator: ", ")
      checks[table.id] = (
        table, try tables.prepare("INSERT INTO \(quoted(table.name)) VALUES(\(parameters))", persistent: true),
        try tables.prepare("DELETE FROM \(quoted(table.name))", persistent: true)
      )
    }
    guard let (_, insert, delete) = checks[table.id] else { return }
    try insert.bind(row)
    try insert.run()
    try delete.run()
  }

  /// Lets SQLite judge a CREATE TABLE that Sluice's parser has accepted: default expressions, checks, collations.
  func validate(_ definition: CreateTable) throws(SQLiteError) {
    try attempt([SluiceSQL.print(definition, shardKey: false)])
  }

  /// Lets SQLite judge a CREATE INDEX or CREATE VIEW over the tables of `catalog`.
  func validate(_ sql: String, in catalog: Catalog) throws(SQLiteError) {
    let scratch = try Connection(path: ":memory:", mode: .readWriteCreate)
    try declare(catalog, in: scratch)
    try scratch.execute(sql)
  }

  /// Creates the tables and views of `catalog`, and for each projection a table with its columns.
  func declare(_ catalog: Catalog, in scratch: Connection) throws(SQLiteError) {
    for table in catalog.tables.values { try scratch.execute(SluiceSQL.print(table.definition, shardKey: false)) }
    for object in catalog.objects.values where object.kind == .view { try scratch.execute(object.sql) }
    try Self.declareProjections(of: catalog, in: scratch)
  }

  /// Creates a table with the columns of each projection.
  static func declareProjections(of catalog: Catalog, in scratch: Connection) throws(SQLiteError) {
    var waiting = catalog.objects.values.filter { $0.kind == .projection }
    // One may read another.
    while !waiting.isEmpty {
      let count = waiting.count
      waiting = waiting.filter { object in
        guard let definition = projectionDefinition(object.sql) else { return false }
        do throws(SQLiteError) {
          try scratch.execute("CREATE TABLE \(quoted(object.name)) AS \(definition.select)")
          return false
        } catch { return true }
      }
      if waiting.count == count { return }
    }
  }

  /// Runs statements in a database of their own and forgets them.
  private func attempt(_ statements: [String]) throws(SQLiteError) {
    let scratch = try Connection(path: ":memory:", mode: .readWriteCreate)
    for statement in statements { try scratch.execute(statement) }
  }

  private func ensure(_ table: SQLTable) throws(SQLiteError) {
    try tables.execute("DROP TABLE IF EXISTS \(quoted(table.name))")
    checks = checks.filter { $0.key == table.id }
    try tables.execute(SluiceSQL.print(table.definition, shardKey: false))
  }
}
