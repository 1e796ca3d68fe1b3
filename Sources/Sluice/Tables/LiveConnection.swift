// The SQLite connection on which a session's statements run: its main database, in memory, holds the live tables of the
// catalog and the views over them; projections.db is attached as `projections`; system tables are there by name.
// Unsafe by nature: named in the tidy test.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// A query as SQLite has prepared it.
struct PreparedQuery {
  let statement: SluiceSQLite.Statement
  /// What it reads in projections.db, by folded name: mirrors, projections, and the tables of projections.
  let reads: Set<String>
  /// Whether an index of a mirror might help it.
  let isIndexable: Bool
}

/// A connection over live tables. Belongs to its session's thread.
final class LiveConnection {
  let connection: Connection
  let scope: LiveScope
  /// What stands in the main database, by folded name: what statements have named so far.
  private var tables: [String: SQLTable] = [:]
  private var views: [String: String] = [:]
  /// Views that are this connection's own, by folded name, with their CREATE: they end with it.
  private(set) var temporaryViews: [String: String] = [:]
  /// What `follow` was given.
  private var catalog: Catalog?
  /// Tables that have indexes, by folded name.
  private var indexed: Set<String> = []
  private var version: UInt64?
  /// The tables being declared, by id, for the module that makes them.
  private let known = KnownTables()
  /// Tables that the session's transaction has dropped, by folded name: projections.db has them still, and there SQLite
  /// would look for them next.
  var hidden: Set<String> = []
  /// Whether the statement being prepared asks for projections.db by name.
  private var namesProjections = false
  /// Why the statement being prepared is refused.
  private var refusal: String?
  /// What the statement being prepared reads in projections.db, by folded name.
  private(set) var reads: Set<String> = []
  /// The plan of the INSERT that SQLite evaluated last, and the columns that it named.
  var insertPlan: (columns: [String]?, plan: InsertPlan)?
  /// The table that RETURNING reads, as the last statement left it.
  private var returned: (table: SQLTable, rows: ReturnedRows)?
  /// Rises when a view of this connection's own comes or goes: a name may mean something else then.
  private(set) var viewVersion = 0

  private final class KnownTables {
    var tables: [UInt32: SQLTable] = [:]
    /// The live table of each, as SQLite has it.
    var live: [UInt32: LiveTable] = [:]
  }

  init(source: any LiveSource) throws(SQLiteError) {
    let scope = LiveScope(source)
    self.scope = scope
    // Nothing is created by attaching it.
    connection = try Connection(
      path: ":memory:", mode: .readWrite, busyTimeoutMilliseconds: 5_000, attachesURIs: true, checksPages: true)
    let known = known
    try connection.register(module: "sluice_live") { (arguments) throws(SQLiteError) in
      guard let id = UInt32(arguments.unquoted(0)), let table = known.tables[id] else {
        throw SQLiteError(message: "no such table in the store: \(arguments.table)")
      }
      let live = LiveTable(table, scope: scope)
      known.live[id] = live
      return live
    }
    try connection.watchReads { [unowned self] read in allows(read) }
  }

  private func allows(_ read: ReadColumn) -> Bool {
    // A table named without a schema and without columns is that of the main database if there is one.
    guard read.schema.map({ $0 == "projections" }) ?? !isLive(read.table) else {
      return read.isRowid ? passes(tables[folded(read.table)]?.rowidAbsence) : true
    }
    reads.insert(folded(read.table))
    if let view = read.view { reads.insert(folded(view)) }
    return passes(hidden.contains(folded(read.table)) && !namesProjections ? "no such table: \(read.table)" : nil)
  }

  private func passes(_ objection: String?) -> Bool {
    refusal = refusal ?? objection
    return objection == nil
  }

  private func isLive(_ name: String) -> Bool {
    let name = folded(name)
    return tables[name] != nil || views[name] != nil
  }

  /// Prepares the one statement in `text`.
  func prepare(_ text: String, persistent: Bool = false) throws(SQLiteError) -> PreparedQuery {
    try declare(namedBy: text)
    reads = []
    scope.isIndexable = false
    refusal = nil
    var copy = text
    namesProjections = !hidden.isEmpty && copy.withUTF8 { mentions(UnsafeRawBufferPointer($0), "projections") }
    do {
      let statement = try connection.prepare(text, persistent: persistent)
      statement.nameRowids(in: text) { tables[folded($0)] }
      return PreparedQuery(statement: statement, reads: reads, isIndexable: scope.isIndexable)
    } catch {
      guard let refusal else { throw error }
      throw SQLiteError(message: refusal, sql: error.sql)
    }
  }

  /// Where rows of a table are collected for RETURNING, with none in it: `sluice_returning`.
  func returnedRows(of table: SQLTable) throws(SQLiteError) -> ReturnedRows {
    if let returned, returned.table === table {
      returned.rows.removeAll()
      return returned.rows
    }
    let rows = ReturnedRows(table)
    try connection.register(table: "sluice_returning", rows)
    returned = (table, rows)
    return rows
  }

  /// Makes a view of this connection's own; `sql` is its CREATE TEMP VIEW.
  func createTemporaryView(_ name: String, _ sql: String) throws(SQLiteError) {
    try connection.execute(sql)
    temporaryViews[folded(name)] = sql
    viewVersion += 1
  }

  func dropTemporaryView(_ name: String) throws(SQLiteError) {
    try connection.execute("DROP VIEW temp.\(quoted(name))")
    temporaryViews[folded(name)] = nil
    viewVersion += 1
  }

  /// Number of the projections.db that is attached; 0: none is.
  private(set) var fileNumber = 0

  /// Has projections.db be the file that has this number; 0: none. No statement may be running.
  func attach(_ place: DatabasePath, number: Int) throws(SQLiteError) {
    if fileNumber == number { return }
    if fileNumber != 0 { try connection.execute("DETACH projections") }
    fileNumber = 0
    if number == 0 { return }
    try place.attach(to: connection)
    fileNumber = number
  }

  /// Takes in what has changed in the schema of projections.db.
  func refreshProjections() throws(SQLiteError) {
    if fileNumber == 0 { return }
    try connection.execute("SELECT 1 FROM projections.sqlite_schema LIMIT 0")
  }

  /// Takes nothing for granted at the next `follow`: a transaction's own catalog is gone.
  func forget() { version = nil }

  /// Brings the main database to the state of a catalog. No statement may be running.
  func follow(_ catalog: Catalog) throws(SQLiteError) {
    if version == catalog.version { return }
    version = nil
    self.catalog = catalog
    for (name, sql) in views where Self.view(name, of: catalog) != sql {
      try connection.execute("DROP VIEW main.\(quoted(name))")
      views[name] = nil
    }
    for (name, table) in tables where catalog.tables[name] !== table {
      try connection.execute("DROP TABLE main.\(quoted(name))")
      tables[name] = nil
      if catalog.tablesByID[table.id] !== table { known.live[table.id] = nil }
    }
    known.tables = catalog.tablesByID
    indexed = Set(catalog.objects.values.filter { $0.kind == .index }.map { folded($0.owner) })
    for live in known.live.values { live.hasIndexes = indexed.contains(folded(live.table.name)) }
    version = catalog.version
  }

  private static func view(_ name: String, of catalog: Catalog) -> String? {
    guard let object = catalog.objects[name], object.kind == .view else { return nil }
    return object.sql
  }

  /// Has the tables and views of the catalog that a statement names, and that those name in turn, stand in the main
  /// database. Cost: a look at each token, and for what is not there yet that of a CREATE among what is.
  func declare(namedBy text: String) throws(SQLiteError) {
    guard let catalog else { return }
    var names = ExpressionText(text).possibleNames
    var waiting = names
    var newViews: [(name: String, sql: String)] = []
    while let name = waiting.popFirst() {
      if let table = catalog.tables[name], tables[name] == nil { try declare(table, as: name) }
      let view = Self.view(name, of: catalog)
      if let view, views[name] == nil { newViews.append((name, view)) }
      for sql in [view, temporaryViews[name]].compactMap(\.self) {
        let found = ExpressionText(sql).possibleNames.subtracting(names)
        names.formUnion(found)
        waiting.formUnion(found)
      }
    }
    for (name, sql) in newViews {
      try connection.execute(sql)
      views[name] = sql
    }
  }

  private func declare(_ table: SQLTable, as name: String) throws(SQLiteError) {
    try connection.execute("CREATE VIRTUAL TABLE main.\(quoted(table.name)) USING sluice_live(\(table.id))")
    tables[name] = table
    known.live[table.id]?.hasIndexes = indexed.contains(name)
  }

  /// Tables and views that stand in the main database.
  var declaredCount: Int { tables.count + views.count }
}

extension SluiceSQLite.Statement {
  /// Has results that are rowids go by the names of their columns, unless the text calls one so itself, or takes it out
  /// of a subquery, which SQLite names by what stands there.
  func nameRowids(in text: String, _ table: (_ name: String) -> SQLTable?) {
    lazy var words = ExpressionText(text).names.map(folded)
    lazy var isNamed =
      words.count { $0 == "select" } > 1
      || zip(words, words.dropFirst()).contains { $0 == "as" && $1 == "rowid" }
    nameRowids { name in isNamed ? nil : table(name)?.rowidAlias }
  }
}

/// Whether `word`, lower case, stands in a text, in any case, also as a part of a longer one.
func mentions(_ text: UnsafeRawBufferPointer, _ word: String) -> Bool {
  var word = word
  return word.withUTF8 { word in
    guard text.count >= word.count else { return false }
    for start in 0...(text.count - word.count) where text[start] | 0x20 == word[0] {
      if word.indices.allSatisfy({ text[start + $0] | 0x20 == word[$0] | 0x20 }) { return true }
    }
    return false
  }
}
