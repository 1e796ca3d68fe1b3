// What stands in the schema of projections.db, and whether it is what the projector made.
//
// The file is an ordinary SQLite file, and others may add to it: indexes, views and tables of their own stay as long as
// they are in nobody's way. Rows of the projector's tables are guarded by triggers that refuse to change them; the
// projector's own connection fires none. So a table that has lost a trigger is one that others may have changed.
//
// SQLite counts each change of a schema (`PRAGMA schema_version`), and the checkpoint has the count behind the
// projector's last transaction: only when the two differ is the schema looked through.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// One look at the schema. Inside a transaction that writes, for what is in the way is taken away.
struct FileSchema {
  private struct Object {
    let type: String
    let name: String
    let table: String
    let sql: String
  }

  private let connection: Connection
  private let catalog: Catalog
  private let copies: ProjectionCopies
  private let quarantine: Quarantine
  /// By folded name.
  private var objects: [String: Object] = [:]
  private var own: Set<String> = []
  /// Tables of ANALYZE.
  private var statistics = 0
  /// What was taken away, for people.
  private(set) var notices: [String] = []

  init(
    _ connection: Connection, _ catalog: Catalog, _ copies: ProjectionCopies, _ quarantine: Quarantine
  ) throws(SQLiteError) {
    self.quarantine = quarantine
    self.connection = connection
    self.catalog = catalog
    self.copies = copies
    for row in try connection.prepare("SELECT type, name, tbl_name, sql FROM main.sqlite_schema").rows() {
      let words = row.map(\.words)
      // An index without a text is part of its table; SQLite's own tables are in nobody's way.
      guard !words[3].isEmpty, !words[1].hasPrefix("sqlite_") else {
        if words[1].hasPrefix("sqlite_stat") { statistics += 1 }
        continue
      }
      objects[folded(words[1])] = Object(type: words[0], name: words[1], table: words[2], sql: words[3])
    }
  }

  /// Compares everything; returns how many objects of others there are. Throws `corrupt` when something that holds rows
  /// is not as it was made.
  mutating func reconcile() throws(SQLiteError) -> Int {
    for table in ProjectionsFile.ownTables + ProjectionCopies.ownTables { try checkTable(table, key: table) }
    for table in catalog.tables.values {
      try checkTable(table.name, key: RowGuard.key(table))
      try checkColumns(table)
    }
    for copy in copies.all where isExpected(copy) {
      for table in copy.tables { try checkTable(table, key: table) }
      for (name, object) in objects where folded(object.table) == folded(copy.tableName) && object.type == "index" {
        if name.hasPrefix("sluice_") { own.insert(name) }
      }
    }
    for object in catalog.objects.values { try settle(object) }
    try removeObstacles()
    return statistics + objects.keys.count { !own.contains($0) }
  }

  /// Whether the tables of a copy must be there: what is made anew from time to time, or has failed, may have none.
  private func isExpected(_ copy: ProjectionCopy) -> Bool {
    objects[folded(copy.tableName)] != nil || copy.serves || (!copy.isRefreshed && copy.state != .failed)
  }

  private mutating func checkTable(_ name: String, key: String) throws(SQLiteError) {
    guard let table = objects[folded(name)], table.type == "table" else {
      throw SQLiteError(damage: "table \(name) was removed by another program")
    }
    own.insert(folded(name))
    for name in RowGuard.names(key).map(folded) {
      guard let found = objects[name], found.type == "trigger", folded(found.table) == folded(table.name) else {
        throw SQLiteError(damage: "table \(table.name) was changed by another program")
      }
      own.insert(name)
    }
  }

  private func checkColumns(_ table: SQLTable) throws(SQLiteError) {
    let select = try connection.prepare("SELECT name FROM pragma_table_xinfo(?1, 'main') ORDER BY cid")
    try select.bind(1, table.name)
    let found = try select.rows()
    guard found == table.definition.columns.map({ [.text(Array($0.name.utf8))] }) else {
      throw SQLiteError(damage: "the columns of table \(table.name) were changed by another program")
    }
  }

  /// An index, view or projection of the store has its name for itself.
  private mutating func settle(_ object: ReadObject) throws(SQLiteError) {
    let name = folded(object.name)
    let definition: String?
    switch object.kind {
    case .view: definition = quarantine.entries[name] == nil ? withoutMainSchema(object.sql) : nil
    case .index:
      let isMirrors = !catalog.exists(.projection, folded(object.owner))
      definition = isMirrors && quarantine.entries[name] == nil ? object.sql : nil
    case .projection: definition = copies.serving(object.name)?.view
    case .table, .setting: return
    }
    let found = objects[name]
    let isSame = found.map { Self.body($0.sql) == definition.map(Self.body) } ?? (definition == nil)
    if found != nil, isSame {
      own.insert(name)
      return
    }
    if let found, definition == nil || !isSame { try remove(found, because: "the store has that name") }
    guard let definition else { return }
    try quarantine.make(object.name, object.kind) { () throws(SQLiteError) in try connection.execute(definition) }
    own.insert(name)
  }

  /// A definition from its object's name on: what stands before is not kept as it was written.
  private static func body(_ sql: String) -> Substring {
    let words = ["create", "unique", "index", "view", "if", "not", "exists"]
    var rest = sql[...]
    while true {
      rest = rest.drop { $0.isWhitespace }
      let word = rest.prefix { !$0.isWhitespace }
      guard words.contains(folded(String(word))) else { break }
      rest = rest[word.endIndex...]
    }
    return rest.hasPrefix("main.") ? rest.dropFirst(5) : rest
  }

  /// Takes away what would change rows that the projector writes.
  private mutating func removeObstacles() throws(SQLiteError) {
    for (name, object) in objects where !own.contains(name) {
      if name.hasPrefix("sluice_") {
        try remove(object, because: "names that begin with sluice_ are the store's")
      } else if object.type == "index", own.contains(folded(object.table)), isUnique(object) {
        try remove(object, because: "a unique index would remove rows of \(object.table)")
      }
    }
  }

  private func isUnique(_ index: Object) -> Bool {
    index.sql.split(separator: " ", maxSplits: 2).dropFirst().first.map { folded(String($0)) } == "unique"
  }

  private mutating func remove(_ object: Object, because reason: String) throws(SQLiteError) {
    try connection.execute("DROP \(object.type) IF EXISTS main.\(quoted(object.name))")
    objects[folded(object.name)] = nil
    notices.append("\(object.type) \(object.name) was removed from projections.db: \(reason)")
  }
}
