// What ALTER TABLE does to the catalog. SQLite itself decides and rewrites: the statement runs in a database of its own
// that holds the definitions of all tables, indexes and views, and the texts that it leaves are read back. SHARD KEY
// and the other clauses that SQLite does not know go over by the places of their columns.
//
// Those tables are empty, and SQLite allows more in an empty table than in one with rows. So a new column is also
// added to a table of one row: there SQLite says what it says of any table with rows, and shows the value that these
// rows get. Where the table is known to be empty, that does not count; with other sessions about, nobody can tell
// whether it still is when the change is applied.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// One ALTER TABLE, for one catalog.
struct Alteration {
  private let statement: AlterTable
  private let catalog: Catalog
  private let scratch: Connection
  /// Whether the table has no rows, and gets none before the change.
  private let isEmpty: () throws(StoreError) -> Bool

  init(
    _ statement: AlterTable, _ catalog: Catalog, isEmpty: @escaping () throws(StoreError) -> Bool
  ) throws(StoreError) {
    self.isEmpty = isEmpty
    self.statement = statement
    self.catalog = catalog
    do {
      scratch = try Connection(path: ":memory:", mode: .readWriteCreate)
      for table in catalog.tables.values { try scratch.execute(SluiceSQL.print(table.definition, shardKey: false)) }
      // A projection is something that views read; its own text is none that SQLite would rewrite.
      try Evaluator.declare(catalog.objects.values.filter { $0.kind == .projection }, in: scratch)
      for object in catalog.objects.values.sorted(by: { $0.kind.rawValue > $1.kind.rawValue })
      where object.kind != .projection && !catalog.exists(.projection, folded(object.owner)) {
        try scratch.execute(object.sql)
      }
    } catch { throw StoreError(error) }
  }

  /// The changes that make one statement of the log: the table's, then what SQLite rewrote because of it.
  func changes() throws(StoreError) -> [CatalogChange] {
    let before = try texts()
    try run(statement, on: scratch) { refusal($0, isParse: $1) }
    let after = try texts()
    guard let table = catalog.table(statement.table) else {
      throw StoreError(.internal, "SQLite altered \(statement.table), which is no table of the catalog")
    }
    let definition = try definition(of: table, after)
    var result = changes(of: table, to: definition)
    result[0].sequence = catalog.mark
    for other in sorted(catalog.tables) where other !== table {
      guard let sql = after[folded(other.name)], sql != before[folded(other.name)] else { continue }
      result += changes(of: other, to: try parse(sql).keepingClauses(of: other.definition))
    }
    for object in sorted(catalog.objects) {
      guard let sql = after[folded(object.name)] else { continue }
      let isOwn = object.kind == .index && folded(object.owner) == folded(table.name)
      // The table's own indexes always: an entry that is older than the table's would pass for one of an earlier table.
      guard isOwn || sql != before[folded(object.name)] else { continue }
      result.append(
        CatalogChange(
          operation: .alter, object: object.kind, name: object.name, owner: isOwn ? definition.name : object.owner,
          definition: sql))
    }
    if definition.autoIncrement, table.highestKey.current > Int64.min {
      result.append(
        CatalogChange(
          operation: .setSequence, object: .table, tableID: table.id, sequence: table.highestKey.current,
          name: definition.name))
    }
    return result
  }

  private func changes(of table: SQLTable, to definition: CreateTable) -> [CatalogChange] {
    var change = CatalogChange(
      operation: .alter, object: .table, isNumbered: table.isNumbered, tableID: table.id, name: table.name,
      definition: SluiceSQL.print(definition, shardKey: true))
    if definition.name == table.name { return [change] }
    var renamed = change
    change.owner = definition.name
    renamed.name = definition.name
    return [change, renamed]
  }

  /// The table's new definition.
  private func definition(of table: SQLTable, _ after: [String: String]) throws(StoreError) -> CreateTable {
    var name = table.name
    if case .rename(let other) = statement.action { name = other }
    guard let sql = after[folded(name)] else { throw StoreError(.internal, "SQLite holds no table \(name)") }
    var definition = try parse(sql).keepingClauses(of: table.definition)
    if case .addColumn(let column) = statement.action, let (text, value) = try valueOfRowsThere(column) {
      definition = try parse(SluiceSQL.print(definition.withLastDefault(text), shardKey: true))
      guard isSame(definition.columns[definition.columns.count - 1].valueOfEarlierRows, value) else {
        throw StoreError(
          .unsupported, "the default of \(column.name) cannot be written as a literal: \(text)", isParse: true,
          sqliteCode: 1)
      }
    }
    let altered = SQLTable(id: table.id, definition: definition, isNumbered: table.isNumbered)
    guard !table.isKeyless || altered.rowidName != nil || table.rowidName == nil else {
      throw StoreError(
        .unsupported,
        "columns named rowid, oid and _rowid_ leave the rows of \(table.name) without a name: it has no primary key",
        isParse: true, sqliteCode: 1)
    }
    return definition
  }

  /// What rows that are there get in a new column; nil also where there are none.
  private func valueOfRowsThere(_ column: Column) throws(StoreError) -> (text: String, value: Value)? {
    do throws(StoreError) {
      guard let value = try valueOfRows(column) else { return nil }
      return try isEmpty() ? nil : value
    } catch {
      if try isEmpty() { return nil }
      throw error
    }
  }

  /// What the rows of a table get in a new column, as a literal and its value, where that is not what its default says
  /// as it stands; nil where it is. Later rows get the same. (SQLite's own get 1.5 by TEXT DEFAULT 1.50, and those that
  /// are there 1.50.)
  private func valueOfRows(_ column: Column) throws(StoreError) -> (text: String, value: Value)? {
    let name = quoted(statement.table)
    let probe: Connection
    do {
      probe = try Connection(path: ":memory:", mode: .readWriteCreate)
      try probe.execute("CREATE TABLE \(name)(sluice_present); INSERT INTO \(name) VALUES(1)")
    } catch { throw StoreError(error) }
    try run(statement, on: probe) { message, isParse in
      guard message.contains("no such column") else { return refusal(message, isParse: isParse) }
      // The table itself knows these columns, so it is a CHECK that reads them.
      return StoreError(
        .unsupported,
        "a new column's CHECK cannot read other columns: the rows of \(statement.table) were not checked for it",
        isParse: true, sqliteCode: 1)
    }
    do {
      let select = "SELECT \(quoted(column.name)), quote(\(quoted(column.name))) FROM \(name)"
      guard let row = try probe.prepare(select).rows().first, case .text(let literal)? = row.last,
        column.defaultValue != nil, !isSame(row[0], column.valueOfEarlierRows)
      else { return nil }
      return (String(decoding: literal, as: UTF8.self), row[0])
    } catch { throw StoreError(error) }
  }

  /// Runs an ALTER TABLE; `refusal` makes the error of its message, and of whether SQLite refused it before it ran.
  private func run(
    _ statement: AlterTable, on connection: Connection, refusal: (_ message: String, _ isParse: Bool) -> StoreError
  ) throws(StoreError) {
    let prepared: SluiceSQLite.Statement
    do { prepared = try connection.prepare(SluiceSQL.print(statement)) } catch { throw refusal(error.message, true) }
    do { try prepared.run() } catch { throw refusal(error.message, false) }
  }

  /// Whether two values are one to the store: 1 and 1.0 are not.
  private func isSame(_ a: Value, _ b: Value) -> Bool {
    if case .real(let x) = a, case .real(let y) = b { return x.bitPattern == y.bitPattern }
    return a == b
  }

  /// SQLite's text of every object, by folded name.
  private func texts() throws(StoreError) -> [String: String] {
    var result: [String: String] = [:]
    do {
      for row in try scratch.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").rows() {
        guard case .text(let name) = row[0], case .text(let sql) = row[1] else { continue }
        result[folded(String(decoding: name, as: UTF8.self))] = String(decoding: sql, as: UTF8.self)
      }
    } catch { throw StoreError(error) }
    return result
  }

  private func parse(_ sql: String) throws(StoreError) -> CreateTable {
    do {
      guard case .createTable(let definition) = try parseStatement(sql) else {
        throw StoreError(.internal, "SQLite wrote no CREATE TABLE: \(sql.prefix(80))")
      }
      return definition
    } catch let error as SQLError { throw StoreError(error) } catch { throw StoreError(converting: error) }
  }

  private func refusal(_ message: String, isParse: Bool) -> StoreError {
    StoreError(.invalid, message, isParse: isParse, sqliteCode: 1)
  }

  private func sorted<T>(_ objects: [String: T]) -> [T] { objects.sorted { $0.key < $1.key }.map(\.value) }
}
