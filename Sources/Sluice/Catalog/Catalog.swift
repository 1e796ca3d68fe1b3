// What SQL tables, indexes and views exist. A value: readers keep the one they have, the applier puts a new one in
// place.
import SluiceSQL
import SluiceSystem
import Synchronization

/// One SQL table. Immutable but for its key counter.
final class SQLTable: Sendable {
  let id: UInt32
  let definition: CreateTable
  /// Highest number given to a row, or brought by one; nil until somebody needs it.
  let highestKey: KeyCounter
  /// Whether the engine key of a row is one number that is given out when it is omitted: its INTEGER PRIMARY KEY, or a
  /// number of its own in a table without a primary key.
  let hasNumberKey: Bool
  /// Whether rows are keyed by their position: in a table without a primary key that an early store made.
  let isStream: Bool
  /// What stands behind the table's name in each index that computes its entries: a row for which one of them fails is
  /// refused when it is written.
  let evaluatedIndexes: [String]

  /// `isNumbered`: rows have numbers of their own when there is no primary key, and not their positions.
  init(
    id: UInt32, definition: CreateTable, isNumbered: Bool, highestKey: KeyCounter = KeyCounter(),
    evaluatedIndexes: [String] = []
  ) {
    self.id = id
    self.definition = definition
    self.highestKey = highestKey
    isStream = definition.primaryKey.isEmpty && !isNumbered
    hasNumberKey = definition.isRowidAlias || (definition.primaryKey.isEmpty && isNumbered)
    self.evaluatedIndexes = evaluatedIndexes
  }

  /// The same table with other indexes.
  func with(evaluatedIndexes: [String]) -> SQLTable {
    SQLTable(
      id: id, definition: definition, isNumbered: isNumbered, highestKey: highestKey,
      evaluatedIndexes: evaluatedIndexes)
  }

  var name: String { definition.name }
  /// Whether no column tells rows apart, but their rowid.
  var isKeyless: Bool { definition.primaryKey.isEmpty }
  /// Whether rows of a table without a primary key have numbers of their own.
  var isNumbered: Bool { isKeyless && hasNumberKey }
  /// Whether rows have a rowid: their INTEGER PRIMARY KEY, their number, or their position.
  var hasRowid: Bool { hasNumberKey || isStream }

  /// Columns whose values place a row: the shard key, else the primary key; empty: its number or position.
  var placingColumns: [Int] { definition.shardKey ?? definition.primaryKey }

  /// Why an INSERT cannot name a column so; nil: it can.
  func objection(toColumn name: String) -> String? {
    if definition.columnIndex(name) != nil { return nil }
    if hasRowid, ["rowid", "oid", "_rowid_"].contains(folded(name)) { return rowidObjection }
    return "table \(self.name) has no column named \(name)"
  }

  /// Why nobody can choose the rowid of a row; nil: anybody can.
  var rowidObjection: String? {
    if isStream {
      return
        "the rowid of \(name) cannot be set: each row of this table has its position, as an earlier version made it"
    }
    guard isNumbered, let shardKey = definition.shardKey else { return nil }
    let columns = shardKey.map { definition.columns[$0].name }.joined(separator: ", ")
    return
      "the rowid of \(name) cannot be set: rows are placed by \(columns), and any shard may have one of that number"
  }

  /// Why the rowid of a row cannot be read; nil: it can. SQLite numbers the rows of a table with another key too, as
  /// they come; here such a table is one WITHOUT ROWID.
  var rowidAbsence: String? {
    if hasRowid || definition.columnIndex("rowid") != nil { return nil }
    let key = definition.primaryKey.map { definition.columns[$0].name }.joined(separator: ", ")
    return "no such column: rowid (rows of \(name) are told apart by their primary key: \(key))"
  }

  /// SQLite's name for the rowid that no column has taken; nil: all are taken.
  var rowidName: String? { ["_rowid_", "rowid", "oid"].first { definition.columnIndex($0) == nil } }

  /// Quoted names of the columns that tell the mirror's rows apart, or of the rowid; nil: nothing names its rows.
  var keyNames: [String]? {
    if isKeyless { return rowidName.map { [quoted($0)] } }
    return definition.primaryKey.map { quoted(definition.columns[$0].name) }
  }

  /// The column that stands for the rowid.
  var rowidAlias: String? { definition.isRowidAlias ? definition.columns[definition.primaryKey[0]].name : nil }

  /// SQLite's sentence for a duplicate.
  var duplicateMessage: String {
    if isKeyless { return "UNIQUE constraint failed: \(name).rowid" }
    let columns = definition.primaryKey.map { "\(name).\(definition.columns[$0].name)" }
    return "UNIQUE constraint failed: " + columns.joined(separator: ", ")
  }
}

/// Gives out the numbers of rows that bring none.
final class KeyCounter: Sendable {
  private let highest = Atomic<Int64>(Int64.min)
  /// Whether `highest` has what is stored too; until then it has only what was raised.
  private let loaded = Atomic<Bool>(false)
  /// Whether the stored keys have ever been looked at.
  private let isUsed = Atomic<Bool>(false)
  /// What the catalog says it was at last.
  private let kept = Atomic<Int64>(Int64.min)

  /// Takes note of a key that a row brought itself. About 1 ns when it is not the highest.
  @inline(__always)
  func raise(to key: Int64) {
    var current = highest.load(ordering: .relaxed)
    while key > current {
      let (exchanged, original) = highest.compareExchange(
        expected: current, desired: key, ordering: .relaxed)
      if exchanged { return }
      current = original
    }
  }

  /// The highest key so far.
  var current: Int64 { highest.load(ordering: .relaxed) }

  /// The same once the stored keys were looked at; nil when there has been none.
  var known: Int64? { current == Int64.min ? nil : current }

  /// Looks at the stored keys, unless that was done.
  func load<E: Error>(stored: () throws(E) -> Int64?) throws(E) {
    guard !loaded.load(ordering: .acquiring) else { return }
    isUsed.store(true, ordering: .relaxed)
    if let key = try stored() { raise(to: key) }
    loaded.store(true, ordering: .releasing)
  }

  /// What the catalog says it is where nobody has taken a key yet, as at the opening of a store.
  func begin(at key: Int64) {
    if !isUsed.load(ordering: .relaxed) { highest.store(key, ordering: .relaxed) }
  }

  /// The catalog says this from now on.
  func keep(_ key: Int64) { kept.store(key, ordering: .relaxed) }

  /// Whether the catalog knows of the highest key.
  var isKept: Bool { kept.load(ordering: .relaxed) >= current }

  /// Takes back keys given out or seen since `current` was `key`, by one session for something that was not written;
  /// nothing when others have moved on from `reached`, which is what `current` was afterwards. At that time the stored
  /// keys were perhaps not looked at yet, so they are looked at again.
  func restore(_ key: Int64, from reached: Int64) {
    let (exchanged, _) = highest.compareExchange(expected: reached, desired: key, ordering: .relaxed)
    if exchanged { loaded.store(false, ordering: .releasing) }
  }

  /// Rows are gone, the one with the highest key among them: the stored keys are to be looked at again. Nothing when
  /// others have moved on from `reached`.
  func forget(from reached: Int64) { restore(.min, from: reached) }

  /// The next key where the stored ones were looked at and it is in 2 ... `limit`; nil: ask `next`.
  @inline(__always)
  func following(upTo limit: Int64) -> Int64? {
    let current = highest.load(ordering: .relaxed)
    guard loaded.load(ordering: .acquiring), current > 0, current < limit else { return nil }
    let (exchanged, _) = highest.compareExchange(expected: current, desired: current &+ 1, ordering: .relaxed)
    return exchanged ? current &+ 1 : nil
  }

  /// The next key, 1 when there is none yet and `least` or above; `stored` finds the highest stored one the first time.
  /// Nil when the last integer is taken.
  func next<E: Error>(least: Int64 = 1, stored: () throws(E) -> Int64?) throws(E) -> Int64? {
    try load(stored: stored)
    var current = highest.load(ordering: .relaxed)
    while true {
      if current == Int64.max { return nil }
      let following = current == Int64.min ? 1 : max(current + 1, least)
      let (exchanged, original) = highest.compareExchange(
        expected: current, desired: following, ordering: .relaxed)
      if exchanged { return following }
      current = original
    }
  }
}

/// An index, a view or a projection: it acts on the read side only, so its text is all there is.
struct ReadObject: Sendable {
  let kind: CatalogChange.ObjectKind
  let name: String
  /// SQL table or projection of an index, SQL table that a projection follows row by row, else "".
  let owner: String
  let sql: String
  /// Of an index that computes its entries, what stands behind the table's name; else nil.
  let evaluated: String?

  init(kind: CatalogChange.ObjectKind, name: String, owner: String, sql: String) {
    self.kind = kind
    self.name = name
    self.owner = owner
    self.sql = sql
    evaluated = kind == .index ? indexDefinition(sql).flatMap { $0.isEvaluated ? $0.rest : nil } : nil
  }
}

/// The definition of an index as the catalog keeps it, or nil when it is something else.
func indexDefinition(_ text: String) -> CreateIndex? {
  do {
    if case .createIndex(let definition) = try parseStatement(text) { return definition }
  } catch {}
  return nil
}

struct Catalog: Sendable {
  /// By folded name.
  private(set) var tables: [String: SQLTable] = [:]
  private(set) var tablesByID: [UInt32: SQLTable] = [:]
  /// Indexes, views and projections by folded name.
  private(set) var objects: [String: ReadObject] = [:]
  /// Settings of the store by folded name.
  private(set) var settings: [String: String] = [:]
  /// Highest table id ever seen.
  private(set) var highestTableID: UInt32 = 0
  /// Rises with each change.
  private(set) var version: UInt64 = 0

  func table(_ name: String) -> SQLTable? { tables[folded(name)] }

  /// What stands in the way of creating `name`, in SQLite's words, or nil.
  func obstacle(to name: String, _ kind: CatalogChange.ObjectKind) -> String? {
    let key = folded(name)
    if tables[key] != nil {
      return kind == .index ? "there is already a table named \(name)" : "table \(name) already exists"
    }
    guard let object = objects[key] else { return nil }
    switch object.kind {
    case .index: return kind == .index ? "index \(name) already exists" : "there is already an index named \(name)"
    case .projection:
      return kind == .index ? "there is already a projection named \(name)" : "projection \(name) already exists"
    default: return kind == .index ? "there is already a table named \(name)" : "view \(name) already exists"
    }
  }

  /// What a change does to this catalog.
  enum Effect {
    case none
    case changed
    /// The change contradicts the catalog: SQLite's sentence.
    case refused(String)
  }

  /// Applies a change. Deterministic: the same changes in the same order give the same catalog and the same effects.
  mutating func apply(_ change: CatalogChange) throws(SQLError) -> Effect {
    let key = folded(change.name)
    highestTableID = max(highestTableID, change.tableID)
    if change.object == .setting {
      settings[key] = change.definition
      version += 1
      return .changed
    }
    switch change.operation {
    case .create:
      if let obstacle = obstacle(to: change.name, change.object) {
        return change.lenient && exists(change.object, key) ? .none : .refused(obstacle)
      }
      if change.object == .table {
        let table = SQLTable(
          id: change.tableID, definition: try parseDefinition(change.definition), isNumbered: change.isNumbered)
        tables[key] = table
        tablesByID[change.tableID] = table
      } else {
        let object = ReadObject(
          kind: change.object, name: change.name, owner: change.owner, sql: change.definition)
        objects[key] = object
        if let text = object.evaluated, let table = tables[folded(object.owner)] {
          replace(table, by: table.with(evaluatedIndexes: table.evaluatedIndexes + [text]))
        }
      }
    case .drop:
      guard exists(change.object, key) else {
        return change.lenient ? .none : .refused(missing(change.object, change.name))
      }
      if change.object == .table, let follower = follower(of: key) {
        return .refused("projection \(follower) follows table \(change.name): DROP PROJECTION \(follower) first")
      }
      if change.object == .table, let table = tables.removeValue(forKey: key) {
        tablesByID[table.id] = nil
      } else if let dropped = objects.removeValue(forKey: key), dropped.evaluated != nil {
        noteIndexes(of: dropped.owner)
      }
      if change.object == .table || change.object == .projection {
        objects = objects.filter { folded($0.value.owner) != key || $0.value.kind != .index }
      }
    case .setSequence:
      // A table keeps its id whatever its name becomes; early stores did not note it.
      guard let table = change.tableID == 0 ? tables[key] : tablesByID[change.tableID] else {
        return .refused(missing(.table, change.name))
      }
      if change.lenient {
        table.highestKey.begin(at: change.sequence)
      } else {
        table.highestKey.raise(to: change.sequence)
      }
      table.highestKey.keep(change.sequence)
    case .alter:
      if let refusal = try alter(change, key) { return .refused(refusal) }
    }
    version += 1
    return .changed
  }

  /// Replaces a definition; why it cannot be, or nil.
  private mutating func alter(_ change: CatalogChange, _ key: String) throws(SQLError) -> String? {
    if change.sequence != 0, change.sequence != mark { return "database schema has changed" }
    guard exists(change.object, key) else { return missing(change.object, change.name) }
    guard change.object == .table, let table = tables[key] else {
      let object = ReadObject(
        kind: change.object, name: change.name, owner: change.owner, sql: change.definition)
      let before = objects.updateValue(object, forKey: key)
      if object.evaluated != nil || before?.evaluated != nil { noteIndexes(of: object.owner) }
      return nil
    }
    guard table.id == change.tableID else { return missing(.table, change.name) }
    let name = change.owner.isEmpty ? change.name : change.owner
    let newKey = folded(name)
    let definition = try parseDefinition(change.definition)
    if let follower = follower(of: key), newKey != key || !definition.extends(table.definition) {
      return "projection \(follower) follows table \(table.name): DROP PROJECTION \(follower) first"
    }
    if newKey != key, tables[newKey] != nil || objects[newKey] != nil {
      return "there is already another table or index with this name: \(name)"
    }
    let altered = SQLTable(
      id: table.id, definition: definition, isNumbered: table.isNumbered, highestKey: table.highestKey,
      evaluatedIndexes: table.evaluatedIndexes)
    tables[key] = nil
    tables[newKey] = altered
    tablesByID[table.id] = altered
    for (name, object) in objects where object.kind == .index && folded(object.owner) == key {
      objects[name] = ReadObject(kind: .index, name: object.name, owner: altered.name, sql: object.sql)
    }
    return nil
  }

  /// Has a table know its indexes that compute their entries.
  private mutating func noteIndexes(of owner: String) {
    let key = folded(owner)
    guard let table = tables[key] else { return }
    let indexes = objects.filter { $0.value.evaluated != nil && folded($0.value.owner) == key }
    replace(table, by: table.with(evaluatedIndexes: indexes.sorted { $0.key < $1.key }.compactMap(\.value.evaluated)))
  }

  private mutating func replace(_ table: SQLTable, by other: SQLTable) {
    tables[folded(table.name)] = other
    tablesByID[table.id] = other
  }

  /// Tells catalogs apart, for a change that was worked out for one of them: bit 32 and a CRC32C over the names of all
  /// tables and columns and the texts of all indexes and views. Part of the log's format.
  var mark: Int64 {
    var bytes = ByteBuffer()
    for (name, table) in tables.sorted(by: { $0.key < $1.key }) {
      bytes.append(littleEndian: table.id)
      for text in [name] + table.definition.columns.map(\.name) { bytes.append(Array(text.utf8) + [0]) }
    }
    for (name, object) in objects.sorted(by: { $0.key < $1.key }) {
      for text in [name, object.owner, object.sql] { bytes.append(Array(text.utf8) + [0]) }
    }
    return 1 << 32 | Int64(checksum(bytes.bytes))
  }

  /// Takes note of the table ids that a change names, without applying it.
  mutating func noteTableID(_ change: CatalogChange) { highestTableID = max(highestTableID, change.tableID) }

  /// The first projection that follows the table of that folded name row by row.
  func follower(of key: String) -> String? {
    objects.values.filter { $0.kind == .projection && folded($0.owner) == key }.map(\.name).min()
  }

  func exists(_ kind: CatalogChange.ObjectKind, _ key: String) -> Bool {
    kind == .table ? tables[key] != nil : objects[key]?.kind == kind
  }

  private func parseDefinition(_ text: String) throws(SQLError) -> CreateTable {
    guard case .createTable(let definition) = try parseStatement(text) else {
      throw SQLError(.invalid, "not a CREATE TABLE: \(text.prefix(80))")
    }
    return definition
  }

  private func missing(_ kind: CatalogChange.ObjectKind, _ name: String) -> String {
    switch kind {
    case .table: "no such table: \(name)"
    case .index: "no such index: \(name)"
    case .view: "no such view: \(name)"
    case .projection: "no such projection: \(name)"
    case .setting: "no such setting: \(name)"
    }
  }
}

extension CreateTable {
  /// Whether it has the columns of an earlier definition under their names, and perhaps more.
  fileprivate func extends(_ earlier: CreateTable) -> Bool {
    columns.count >= earlier.columns.count && zip(columns, earlier.columns).allSatisfy { $0.name == $1.name }
  }
}
