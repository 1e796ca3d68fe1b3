// An SQL table of the store as a virtual table: SQLite's SELECT, UPDATE and DELETE run on the shards themselves. Rows
// come from a merge of the shards and of what the session has written; changes go into its open transaction.
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// One table of a connection.
class LiveTable: WritableTable {
  final let table: SQLTable
  /// The same table as the catalog has it now: it may have other indexes.
  final private(set) var current: SQLTable
  final let scope: LiveScope
  final let decoder: RowDecoder
  /// Whether the table's mirror has indexes.
  final var hasIndexes = false
  /// The plans chosen so far, with the numbers by which prepared statements name them.
  private final var numbers: [KeyPlan: Int32] = [:]
  /// How rows are encoded, by what happens to those that are in the way.
  final var insertPlans: [OrAction: InsertPlan] = [:]

  init(_ table: SQLTable, scope: LiveScope) {
    self.table = table
    current = table
    self.scope = scope
    decoder = RowDecoder(table.definition)
    super.init(columns: Self.declaration(table.definition))
  }

  /// Names, types and collations: SQLite compares by them.
  static func declaration(_ definition: CreateTable) -> [String] {
    definition.columns.map { column in
      var text = quoted(column.name)
      if !column.typeName.isEmpty { text += " " + column.typeName }
      if let collation = column.collation { text += " COLLATE " + quoted(collation) }
      return text
    }
  }

  override func plan(_ plan: inout AccessPlan) throws(SQLiteError) {
    var planner = KeyPlanner(table, hasIndexes: hasIndexes)
    let chosen = planner.choose(&plan)
    if planner.isIndexable, !chosen.isPoint { scope.isIndexable = true }
    if let number = numbers[chosen] {
      plan.number = number
    } else {
      plan.number = scope.number(chosen, of: self)
      numbers[chosen] = plan.number
    }
  }

  func damaged(_ position: UInt64) -> SQLiteError {
    SQLiteError(
      StoreError(.corrupt, "table \(table.name), position \(position): the row cannot be read", sqliteCode: 11))
  }

  /// Takes in what has become of the table; its definition is the same.
  func follow(_ current: SQLTable) {
    guard current !== self.current else { return }
    self.current = current
    insertPlans = [:]
  }

  override func makeCursor() throws(SQLiteError) -> VirtualCursor { LiveCursor(self) }

  override func update(_ change: RowChange, onConflict action: ConflictAction) throws(SQLiteError) -> Int64 {
    do { return try scope.source.apply(change, to: self, action) } catch { throw SQLiteError(error) }
  }
}

extension SQLiteError {
  /// An error of the store, as a host of its tables hears it.
  init(_ error: StoreError) {
    self.init(code: SQLiteError.extended(error), message: error.message)
  }

  /// The extended result code: SQLite tells its constraints apart by it (https://sqlite.org/rescode.html).
  private static func extended(_ error: StoreError) -> Int32 {
    guard let code = error.sqliteCode else { return 1 }
    if code == 19 {
      if error.message.hasPrefix("UNIQUE ") { return 19 | 6 << 8 }
      if error.message.hasPrefix("NOT NULL ") { return 19 | 5 << 8 }
      if error.message.hasPrefix("CHECK ") { return 19 | 1 << 8 }
    }
    return code
  }
}

extension LiveTable {
  /// The shard that holds `key`, an engine key, when the key tells; nil for a table without primary key that is placed
  /// by some of its columns.
  func shard(ofKey key: UnsafeRawBufferPointer, scratch: inout ByteBuffer) -> Int? {
    slot(ofKey: key, scratch: &scratch).map { scope.source.router.shard(slot: $0) }
  }

  /// The slot of `key`, when the key tells.
  func slot(ofKey key: UnsafeRawBufferPointer, scratch: inout ByteBuffer) -> UInt16? {
    let placing = table.placingColumns
    if table.isStream {
      guard placing.isEmpty else { return nil }
      return SluiceLog.slot(ofPosition: UInt64(bigEndian: key.loadUnaligned(fromByteOffset: 4, as: UInt64.self)))
    }
    if placing == table.definition.primaryKey {
      return scope.source.router.slot(shardKey: UnsafeRawBufferPointer(rebasing: key[4...]))
    }
    var parts = KeyParts(key, offset: 4)
    let ranges = table.definition.primaryKey.map { _ in parts.next() }
    scratch.removeAll()
    for column in placing {
      guard let index = table.definition.primaryKey.firstIndex(of: column) else { return nil }
      scratch.append(UnsafeRawBufferPointer(rebasing: key[ranges[index]]))
    }
    return scope.source.router.slot(shardKey: scratch.bytes)
  }
}
