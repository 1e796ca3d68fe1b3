// SQLite as the evaluator of everything that is not a plain literal: expressions in VALUES, defaults, conversions
// between storage classes, CHECK constraints, and the words of its error messages. Private in-memory databases: one
// without tables, so that an expression which reads one is found out, and one with tables that convert and check.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Evaluates expressions once, before the log; so the log never needs an evaluator.
final class Evaluator: ValueEvaluator {
  private let connection: Connection
  /// Holds a table for each affinity and the SQL tables whose rows are checked.
  private let tables: Connection
  /// For each affinity, a one-row table that SQLite converts values for.
  private var conversions: [Affinity: (update: SluiceSQLite.Statement, select: SluiceSQLite.Statement)] = [:]
  /// A database with the SQL table whose RETURNING was checked last.
  private var returning: (table: SQLTable, scratch: Connection)?
  private var checks: [UInt32: (table: SQLTable, insert: SluiceSQLite.Statement, delete: SluiceSQLite.Statement)] = [:]
  /// Tables, views and projections that were created to judge statements.
  private(set) var declaredCount = 0
  /// SQL tables that are held at once.
  private static let checksLimit = 64

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

  /// Checks a row against the table's CHECK constraints and computes its entries in indexes; SQLite's own error when
  /// one fails.
  func check(_ row: [Value], of table: SQLTable) throws(SQLiteError) {
    // An altered table has its id, and another definition.
    if checks[table.id]?.table !== table { try hold(table) }
    guard let (_, insert, delete) = checks[table.id] else { return }
    try insert.bind(row)
    try insert.run()
    try delete.run()
  }

  private func hold(_ table: SQLTable) throws(SQLiteError) {
    let outdated = checks.filter {
      $0.key == table.id || folded($0.value.table.name) == folded(table.name) || checks.count >= Self.checksLimit
    }
    for (id, check) in outdated {
      checks[id] = nil
      try tables.execute("DROP TABLE IF EXISTS \(quoted(check.table.name))")
    }
    // One that could not be held is there without a statement.
    try tables.execute("DROP TABLE IF EXISTS \(quoted(table.name))")
    try Self.create(table, in: tables)
    let parameters = table.definition.columns.map { _ in "?" }.joined(separator: ", ")
    checks[table.id] = (
      table, try tables.prepare("INSERT INTO \(quoted(table.name)) VALUES(\(parameters))", persistent: true),
      try tables.prepare("DELETE FROM \(quoted(table.name))", persistent: true)
    )
  }

  /// Creates a table with those of its indexes that compute their entries.
  private static func create(_ table: SQLTable, in connection: Connection) throws(SQLiteError) {
    try connection.execute(SluiceSQL.print(table.definition, shardKey: false))
    for (number, rest) in table.evaluatedIndexes.enumerated() {
      try connection.execute("CREATE INDEX sluice_index_\(table.id)_\(number) ON \(quoted(table.name)) \(rest)")
    }
  }

  /// Lets SQLite judge a CREATE TABLE that Sluice's parser has accepted: default expressions, checks, collations.
  func validate(_ definition: CreateTable) throws(SQLiteError) {
    try attempt([SluiceSQL.print(definition, shardKey: false)])
  }

  /// Computes the entries of an index for rows that are there already; SQLite's own error at the first that fails.
  /// Constraints are not looked at again.
  final class IndexTrial {
    private static let batchRows = 1_000
    private let connection: Connection
    private let insert: SluiceSQLite.Statement
    private let clear: SluiceSQLite.Statement
    private var count = 0

    init(_ index: CreateIndex, of table: SQLTable) throws(SQLiteError) {
      connection = try Connection(path: ":memory:", mode: .readWriteCreate)
      try Evaluator.create(table.with(evaluatedIndexes: [index.rest]), in: connection)
      try connection.execute("PRAGMA ignore_check_constraints = ON; BEGIN")
      let parameters = table.definition.columns.map { _ in "?" }.joined(separator: ", ")
      // Of rows that are not applied yet some may have the same key.
      insert = try connection.prepare("INSERT OR REPLACE INTO \(quoted(table.name)) VALUES(\(parameters))")
      clear = try connection.prepare("DELETE FROM \(quoted(table.name))")
    }

    /// About 2 µs.
    func add(_ row: [Value]) throws(SQLiteError) {
      try insert.bind(row)
      try insert.run()
      count += 1
      if count % Self.batchRows == 0 { try clear.run() }
    }
  }

  /// Lets SQLite judge a CREATE VIEW, which looks for nothing that it names.
  func validate(_ view: CreateView) throws(SQLiteError) { try attempt([view.text]) }

  /// Lets SQLite judge a CREATE INDEX over a table of `catalog`.
  func validate(_ index: CreateIndex, in catalog: Catalog) throws(SQLiteError) {
    let scratch = try Connection(path: ":memory:", mode: .readWriteCreate)
    try declare(catalog, namedBy: quoted(index.table) + " " + quoted(index.name), in: scratch)
    try scratch.execute(index.text)
  }

  /// Creates the tables and views of `catalog` that a text names, and that those name in turn, and for each projection
  /// a table with its columns. Cost: that of as many CREATE statements, whatever else the catalog has.
  func declare(_ catalog: Catalog, namedBy text: String, in scratch: Connection) throws(SQLiteError) {
    var names = ExpressionText(text).possibleNames
    var waiting = names
    var views: [ReadObject] = []
    var projections: [ReadObject] = []
    while let name = waiting.popFirst() {
      if let table = catalog.tables[name] {
        try scratch.execute(SluiceSQL.print(table.definition, shardKey: false))
        declaredCount += 1
        continue
      }
      guard let object = catalog.objects[name], object.kind == .view || object.kind == .projection else { continue }
      if object.kind == .view { views.append(object) } else { projections.append(object) }
      let found = ExpressionText(object.sql).possibleNames.subtracting(names)
      names.formUnion(found)
      waiting.formUnion(found)
    }
    for view in views { try scratch.execute(view.sql) }
    declaredCount += views.count + projections.count
    try Self.declare(projections, in: scratch)
  }

  /// Creates a table with the columns of each projection.
  static func declare(_ projections: [ReadObject], in scratch: Connection) throws(SQLiteError) {
    var waiting = projections
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
}
