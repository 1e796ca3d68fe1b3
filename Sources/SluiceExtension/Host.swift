// What one connection of the host has of Sluice: the modules, the stores it has attached, and which tables stand for
// them.
//
//   CREATE VIRTUAL TABLE temp.s USING sluice('shop.sluice', 'x_')      the whole store: temp.x_orders and so on; s is
//                                                                      the list of its tables
//   CREATE VIRTUAL TABLE temp.o USING sluice_table('shop.sluice', 'orders')   one table, under a name of its own
//
// A whole store's tables are made by the second statement with the list's name as a third argument, by which they are
// found again in the schema: that is the one place where it stands what is attached. All of it is in temp: nothing of
// a store's address may stay in a file of the host.
import Sluice
import SluiceSQLite
import SluiceSystem

final class Host {
  let connection: Connection
  /// Stores that some table object holds, by absolute path.
  private var stores: [String: Weak] = [:]
  /// Absolute paths by what stood in the statement when it ran: the working directory may change.
  private var paths: [String: String] = [:]

  /// The lists, by folded name. One whose CREATE was rolled back stays, and is not in the schema.
  private var lists: [[UInt8]: List] = [:]

  private struct Weak { weak var store: HostedStore? }

  private struct List {
    let name: String
    let path: String
    let prefix: String
  }

  init(_ connection: Connection) { self.connection = connection }

  func register() throws(SQLiteError) {
    try connection.register(module: "sluice", directOnly: true) { (arguments) throws(SQLiteError) in
      try self.makeList(arguments)
    }
    try connection.register(module: "sluice_table", directOnly: true) { (arguments) throws(SQLiteError) in
      try self.makeTable(arguments)
    }
    try registerFunctions()
  }

  // MARK: Stores

  /// The store at a path, shared by all tables of this connection.
  private func store(at path: String, creates: Bool = false) throws(SQLiteError) -> HostedStore {
    if let known = stores[path]?.store { return known }
    do throws(StoreError) {
      let use = try OpenStores.shared.take(path, creates: creates)
      let made: HostedStore
      // The store is the object's as long as it lives: the closure holds its share.
      switch use.access {
      case .writing(let store):
        made = HostedStore(path: path, host: connection, session: try store.makeSession(), writers: use.writers) {
          () throws(StoreError) in try use.check()
        }
      case .reading(let reader, let refusal):
        made = HostedStore(path: path, host: connection, reader: reader, refusal: refusal) { () throws(StoreError) in
          try use.check()
        }
      }
      stores[path] = Weak(store: made)
      return made
    } catch { throw SQLiteError(converting: error) }
  }

  private func absolute(_ text: String, isCreating: Bool) -> String {
    if !isCreating, let known = paths[text] { return known }
    let path = absolutePath(text)
    paths[text] = path
    return path
  }

  /// The store that a function is about: the one at `path`, or the only one.
  func attached(_ path: String?, function: String) throws(SQLiteError) -> HostedStore {
    var found = stores.values.compactMap(\.store)
    if found.isEmpty {
      // SQLite lets go of all tables when a change of the schema is rolled back, and connects again when one is used.
      for list in try presentLists() { _ = try connection.prepare("SELECT 1 FROM temp.\(quoted(list.name))") }
      found = stores.values.compactMap(\.store)
    }
    if let path {
      let wanted = absolutePath(path)
      guard let store = found.first(where: { $0.path == wanted }) else {
        throw SQLiteError(message: "\(function): no store is attached from \(path)")
      }
      return store
    }
    guard let store = found.first else { throw SQLiteError(message: "\(function): no store is attached") }
    guard found.count == 1 else {
      throw SQLiteError(message: "\(function): several stores are attached; the last argument says which, by its path")
    }
    return store
  }

  // MARK: Modules

  private func checkPlace(_ arguments: ModuleArguments, _ example: String) throws(SQLiteError) {
    guard arguments.schema == "temp" else {
      throw SQLiteError(
        message:
          "a store is attached to temp, not to \(arguments.schema): CREATE VIRTUAL TABLE temp.\(arguments.table) "
          + "USING \(example)")
    }
  }

  /// USING sluice(path[, prefix])
  private func makeList(_ arguments: ModuleArguments) throws(SQLiteError) -> VirtualTable {
    try checkPlace(arguments, "sluice('path')")
    guard (1...2).contains(arguments.texts.count), !arguments.unquoted(0).isEmpty else {
      throw SQLiteError(message: "sluice takes the path of a store and perhaps a prefix for the names of its tables")
    }
    let path = absolute(arguments.unquoted(0), isCreating: arguments.isCreating)
    let store = try store(at: path)
    let list = List(
      name: arguments.table, path: path, prefix: arguments.texts.count > 1 ? arguments.unquoted(1) : "")
    if arguments.isCreating {
      try refresh(store)
      try follow(store, list)
    }
    lists[folded(list.name)] = list
    return StoreList(arguments.table, store, host: self)
  }

  /// USING sluice_table(path, table[, list])
  private func makeTable(_ arguments: ModuleArguments) throws(SQLiteError) -> VirtualTable {
    try checkPlace(arguments, "sluice_table('path', 'table')")
    guard (2...3).contains(arguments.texts.count), !arguments.unquoted(0).isEmpty else {
      throw SQLiteError(message: "sluice_table takes the path of a store and the name of one of its tables")
    }
    let path = absolute(arguments.unquoted(0), isCreating: arguments.isCreating)
    return try store(at: path).makeTable(arguments.unquoted(1), hostName: arguments.table)
  }

  private func refresh(_ store: HostedStore) throws(SQLiteError) {
    do { try store.refresh() } catch { throw SQLiteError(converting: error) }
  }

  // MARK: Whole stores

  /// Makes the store at `path` before it is attached.
  func create(_ path: String) throws(SQLiteError) {
    // Held until the list holds it.
    let made = try store(at: absolutePath(path), creates: true)
    created = made
  }

  /// A store between its creation and its attachment.
  var created: HostedStore?

  /// The list's name for an attachment by function.
  func listName(prefix: String) -> String { prefix + "sluice_tables" }

  /// Attaches a store, or brings what is attached up to date. Returns how many tables it has.
  func attach(_ path: String, prefix: String) throws(SQLiteError) -> Int {
    let list = listName(prefix: prefix)
    let path = absolute(path, isCreating: true)
    if try definition(of: list) != nil {
      guard let known = lists[folded(list)], known.path == path else {
        throw SQLiteError(
          message: "another store is attached with \(prefix.isEmpty ? "no prefix" : "the prefix \(prefix)"): "
            + "DROP TABLE temp.\(list) lets go of it")
      }
      let store = try store(at: path)
      try refresh(store)
      try follow(store, known)
      return store.tables.count
    }
    try connection.execute(
      "CREATE VIRTUAL TABLE temp.\(quoted(list)) USING sluice(\(literal(path)), \(literal(prefix)))")
    return try store(at: path).tables.count
  }

  /// Brings every whole attachment of a store up to date.
  func followAll(_ store: HostedStore) throws(SQLiteError) {
    for list in try presentLists() where list.path == store.path { try follow(store, list) }
  }

  private func presentLists() throws(SQLiteError) -> [List] {
    var present: [List] = []
    for list in lists.values where try definition(of: list.name)?.hasPrefix("CREATE VIRTUAL") == true {
      present.append(list)
    }
    return present
  }

  /// Makes tables and views of the store that are not there, and drops those that are something else now: all, or
  /// nothing and an error.
  private func follow(_ store: HostedStore, _ attachment: List) throws(SQLiteError) {
    let (list, prefix) = (attachment.name, attachment.prefix)
    let tables = store.tables
    // A view names the tables of its own store, which have other names here.
    let views = prefix.isEmpty ? store.views : []
    let present = Set(try members(of: list))
    var stale: Set<String> = []
    for name in present where try isStale(name, store, prefix, tables, views) { stale.insert(name) }
    for object in tables + views where !present.contains(prefix + object.name) {
      try checkFree(prefix + object.name, for: object.name, list: list)
    }
    var made: [String] = []
    do throws(SQLiteError) {
      for name in stale { try dropMember(name) }
      for table in tables where !present.contains(prefix + table.name) || stale.contains(prefix + table.name) {
        let name = prefix + table.name
        try connection.execute(
          "CREATE VIRTUAL TABLE temp.\(quoted(name)) "
            + "USING sluice_table(\(literal(store.path)), \(literal(table.name)), \(literal(list)))")
        made.append(name)
      }
      for view in views where !present.contains(view.name) || stale.contains(view.name) {
        try connection.execute("CREATE TEMP VIEW \(quoted(view.name)) \(marker(list)) \(view.sql)")
        made.append(view.name)
      }
    } catch {
      do { for name in made { try dropMember(name) } } catch {}
      throw error
    }
  }

  /// Whether a member of a list is not what the store has under that name.
  private func isStale(
    _ name: String, _ store: HostedStore, _ prefix: String, _ tables: [HostedStore.Object],
    _ views: [HostedStore.Object]
  ) throws(SQLiteError) -> Bool {
    if let view = views.first(where: { prefix + $0.name == name }) {
      return try definition(of: name)?.hasSuffix(view.sql) != true
    }
    guard tables.contains(where: { prefix + $0.name == name }) else { return true }
    return try !isCurrent(name)
  }

  /// Whether a table can be opened: its object finds the store's table as it was.
  private func isCurrent(_ name: String) throws(SQLiteError) -> Bool {
    do {
      let statement = try connection.prepare("SELECT 1 FROM temp.\(quoted(name)) LIMIT 1")
      _ = try statement.step()
      return true
    } catch {
      if error.primaryCode == 1 { return false }
      throw error
    }
  }

  private func checkFree(_ name: String, for object: String, list: String) throws(SQLiteError) {
    var schemas: [String] = []
    for row in try connection.prepare("PRAGMA database_list").rows() {
      if case .text(let bytes) = row[1] { schemas.append(String(decoding: bytes, as: UTF8.self)) }
    }
    // The list's own row is in the schema already.
    if folded(name) == folded(list) { throw taken(name, "list itself", object) }
    for schema in schemas {
      let statement = try connection.prepare(
        "SELECT type FROM \(quoted(schema)).sqlite_schema WHERE name = ?1 COLLATE NOCASE")
      try statement.bind(1, .text(Array(name.utf8)))
      guard case .text(let type)? = try statement.rows().first?.first else { continue }
      throw taken(name, "\(String(decoding: type, as: UTF8.self)) \(schema).\(name)", object)
    }
  }

  private func taken(_ name: String, _ what: String, _ object: String) -> SQLiteError {
    SQLiteError(
      message: "the store's \(object) cannot be attached as \(name): the name is taken by the \(what); a prefix as the "
        + "second argument gives its tables other names")
  }

  /// Drops what belongs to a list.
  func dropMembers(of list: String) throws(SQLiteError) {
    for name in try members(of: list) { try dropMember(name) }
    lists[folded(list)] = nil
  }

  private func dropMember(_ name: String) throws(SQLiteError) {
    let isView = try definition(of: name)?.hasPrefix("CREATE VIEW") == true
    try connection.execute("DROP \(isView ? "VIEW" : "TABLE") temp.\(quoted(name))")
  }

  // MARK: The schema

  /// Tables and views that stand in temp for a list.
  private func members(of list: String) throws(SQLiteError) -> [String] {
    try names(
      "(sql LIKE '% USING sluice_table(%' AND substr(sql, -length(?1)) = ?1) OR instr(sql, ?2)",
      [", \(literal(list)))", marker(list)])
  }

  /// By which a view is known to belong to a list: SQLite keeps the comment.
  private func marker(_ list: String) -> String {
    "/* sluice \(list.utf8.map { String($0, radix: 16) }.joined()) */"
  }

  private func names(_ condition: String, _ values: [String]) throws(SQLiteError) -> [String] {
    let statement = try connection.prepare("SELECT name FROM temp.sqlite_schema WHERE \(condition) ORDER BY rowid")
    for (index, value) in values.enumerated() { try statement.bind(index + 1, .text(Array(value.utf8))) }
    return try statement.rows().compactMap { row in
      guard case .text(let bytes) = row[0] else { return nil }
      return String(decoding: bytes, as: UTF8.self)
    }
  }

  private func definition(of name: String) throws(SQLiteError) -> String? {
    let statement = try connection.prepare("SELECT sql FROM temp.sqlite_schema WHERE name = ?1 COLLATE NOCASE")
    try statement.bind(1, .text(Array(name.utf8)))
    guard case .text(let bytes)? = try statement.rows().first?.first else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}

func quoted(_ name: String) -> String { "\"" + doubled(name, "\"") + "\"" }

private func literal(_ text: String) -> String { "'" + doubled(text, "'") + "'" }

private func doubled(_ text: String, _ quote: Character) -> String {
  var result = ""
  for character in text { result += character == quote ? "\(quote)\(quote)" : String(character) }
  return result
}

/// A name as SQLite compares names.
private func folded(_ name: String) -> [UInt8] { name.utf8.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 } }
