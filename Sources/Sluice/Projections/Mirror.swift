// The mirror of one SQL table: rows of applied batches go into SQLite by `INSERT … SELECT FROM delta`, where delta is a
// virtual table over the batch memory. One decode per row, no copy of text. Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Collects rows of one SQL table, and keys that were removed, and writes them to its mirror.
final class Mirror {
  let table: SQLTable
  private let delta: RowDelta
  private let keys: KeyDelta
  private let connection: Connection
  /// Projections that follow the table, for those who keep some.
  private let copies: ProjectionCopies?
  /// Its indexes, where it has some by now.
  private let indexes: MirrorIndexes?
  private var insert: SluiceSQLite.Statement?
  private var removal: SluiceSQLite.Statement?
  private var isRising = true
  private var hasRemovals = false
  /// Whether the mirror may hold an earlier image of some row collected.
  private var mayReplace = false
  /// The highest key that the mirror has or had; nil: none.
  private var highestKey: [UInt8]?
  /// Whether the first row collected stands behind it.
  private var beginsBehind = false

  init(
    table: SQLTable, connection: Connection, copies: ProjectionCopies? = nil, indexes: MirrorIndexes? = nil
  ) throws(SQLiteError) {
    self.table = table
    self.connection = connection
    self.copies = copies
    self.indexes = indexes
    delta = RowDelta(table)
    keys = KeyDelta(table)
    try connection.register(table: ProjectionBase.deltaName(table), delta)
    try connection.register(table: ProjectionBase.keysName(table), keys)
    highestKey = try lastKey()
  }

  private func lastKey() throws(SQLiteError) -> [UInt8]? {
    guard let names = table.keyNames else { return nil }
    let order = names.map { $0 + " DESC" }.joined(separator: ", ")
    let rows = try connection.prepare(
      "SELECT \(names.joined(separator: ", ")) FROM main.\(quoted(table.name)) ORDER BY \(order) LIMIT 1"
    ).rows()
    return rows.first.map { engineKey($0, of: table) }
  }

  var rowCount: Int { delta.rows.count }

  /// Takes note of a row; its memory must stay until `write`. `isNew`: no row has the key before. Returns whether it
  /// stands behind all others of the mirror and of those collected.
  @inline(__always)
  @discardableResult
  func add(key: UnsafeRawBufferPointer, row: UnsafeRawBufferPointer, position: UInt64, isNew: Bool) -> Bool {
    if isRising, let last = delta.rows.last, compareBytes(last.key, key) >= 0 { isRising = false }
    if !isNew { mayReplace = true }
    if delta.rows.isEmpty { beginsBehind = isBehind(key) }
    delta.rows.append(DeltaRow(key: key, row: row, position: position, isNew: isNew))
    return isNew && isRising && beginsBehind
  }

  private func isBehind(_ key: UnsafeRawBufferPointer) -> Bool {
    highestKey.map { $0.withUnsafeBytes { compareBytes($0, key) < 0 } } ?? true
  }

  /// Takes note of a key that was removed; its memory must stay until `write`.
  func remove(key: UnsafeRawBufferPointer, position: UInt64) {
    hasRemovals = true
    add(key: key, row: UnsafeRawBufferPointer(start: nil, count: 0), position: position, isNew: false)
  }

  /// Takes all rows away: what was collected need not be written, and SQLite empties the table as a whole.
  func clear() throws(SQLiteError) {
    forget()
    try connection.execute("DELETE FROM main.\(quoted(table.name))")
    if let copies { try copies.clear(table) }
  }

  private func forget() {
    delta.rows.removeAll(keepingCapacity: true)
    isRising = true
    hasRemovals = false
    mayReplace = false
  }

  /// Writes what was collected, in key order, only the last image of a key; and brings the projections of the table
  /// along: what is replaced is subtracted before, what is there is added behind.
  func write() throws(SQLiteError) {
    guard !delta.rows.isEmpty else { return }
    if !isRising { sortRows() }
    if let last = delta.rows.last, isBehind(last.key) { highestKey = [UInt8](last.key) }
    let followers = copies?.followers(of: table) ?? []
    let replaces = mayReplace && !followers.isEmpty
    if replaces {
      try keys.take(delta.rows)
      try copies?.replaced(keys, in: followers)
    }
    if let indexes {
      try indexes.write(table) { () throws(SQLiteError) in try writeRows() }
    } else {
      try writeRows()
    }
    try copies?.added(delta, to: followers, settles: replaces)
    forget()
  }

  private func writeRows() throws(SQLiteError) {
    if hasRemovals { try writeRemovals() }
    if insert == nil { insert = try connection.prepare(insertSQL, persistent: true) }
    if let insert, !delta.rows.isEmpty { try delta.feed(insert) }
  }

  private func sortRows() {
    delta.rows.sort { a, b in
      let order = compareBytes(a.key, b.key)
      return order != 0 ? order < 0 : a.position < b.position
    }
    var kept = 0
    // Whether a key is new is what the first of its rows says.
    var isNew: Bool?
    for index in delta.rows.indices {
      isNew = isNew ?? delta.rows[index].isNew
      let isLast =
        index + 1 == delta.rows.count || compareBytes(delta.rows[index].key, delta.rows[index + 1].key) != 0
      if isLast {
        delta.rows[kept] = delta.rows[index]
        delta.rows[kept].isNew = isNew ?? false
        isNew = nil
        kept += 1
      }
    }
    delta.rows.removeSubrange(kept...)
  }

  /// Takes the removed keys out of the delta and the mirror, one by one: SQLite finds each by its key, whatever the
  /// planner thinks of the table's size. Each key stands in the delta once, so rows and removals do not meet, whatever
  /// their order.
  private func writeRemovals() throws(SQLiteError) {
    if removal == nil { removal = try connection.prepare(removalSQL, persistent: true) }
    for row in delta.rows where row.isRemoval {
      try removal?.bind(try row.keyValues(of: table))
      try removal?.run()
    }
    delta.rows.removeAll(where: \.isRemoval)
  }

  /// A table without a key has its rows' numbers as rowids, under a name for it that no column has taken.
  private var insertSQL: String {
    var columns = table.definition.columns.map { quoted($0.name) }
    if table.isKeyless, let rowid = table.rowidName { columns.insert(rowid, at: 0) }
    let list = columns.joined(separator: ", ")
    let source = ProjectionBase.deltaName(table)
    return "INSERT OR REPLACE INTO main.\(quoted(table.name))(\(list)) SELECT \(list) FROM \(source)"
  }

  /// Key columns compare as BINARY (the parser refuses any other collation on them), and a key taken apart equals what
  /// is stored as SQLite compares the two: 1 finds 1.0. Rows of a table whose columns have taken all names of the rowid
  /// cannot be named.
  private var removalSQL: String {
    let condition = (table.keyNames ?? ["NULL"]).map { "\($0) = ?" }.joined(separator: " AND ")
    return "DELETE FROM main.\(quoted(table.name)) WHERE \(condition)"
  }
}

/// One row of the delta: where its key and its encoded columns lie.
struct DeltaRow {
  let key: UnsafeRawBufferPointer
  /// Without an address: the key was removed.
  let row: UnsafeRawBufferPointer
  let position: UInt64
  /// Whether no row has had the key before it.
  var isNew: Bool

  var isRemoval: Bool { row.baseAddress == nil }

  /// The values of the key's columns, or the rowid.
  func keyValues(of table: SQLTable) throws(SQLiteError) -> [Value] { try Sluice.keyValues(key, of: table) }
}

/// The values of a key's columns, or the rowid.
func keyValues(_ key: UnsafeRawBufferPointer, of table: SQLTable) throws(SQLiteError) -> [Value] {
  if let rowid = table.rowid(ofKey: key) { return [.integer(rowid)] }
  var decoder = KeyDecoder(key, offset: KeySpace.prefixSize)
  var values: [Value] = []
  while let value = decoder.next() { values.append(value) }
  guard !decoder.failed, values.count == table.definition.primaryKey.count else {
    throw SQLiteError(message: "a key of \(table.name) cannot be read")
  }
  return values
}

/// The same for a key that somebody owns.
func keyValues(_ key: [UInt8], of table: SQLTable) throws(SQLiteError) -> [Value] {
  try key.span.withUnsafeBytes { (key) throws(SQLiteError) in try keyValues(key, of: table) }
}

/// The engine key of a row of the mirror.
func engineKey(_ values: [Value], of table: SQLTable) -> [UInt8] {
  var key = ByteBuffer()
  key.append(keyPrefix(ofTable: table.id))
  for value in values {
    if table.isStream, case .integer(let position) = value {
      table.append(rowid: position, to: &key)
    } else {
      KeyFormat.append(value, to: &key)
    }
  }
  return Array(key.bytes)
}

/// The virtual table over the rows collected.
/// Text and blobs stay where they are: SQLite copies them into its pages.
final class RowDelta: DeltaTable {
  var rows: [DeltaRow] = []
  @exclusivity(unchecked) final var base: UnsafePointer<DeltaRow>?
  private let table: SQLTable
  private let decoder: RowDecoder
  /// Columns by which statements want the rows ordered; a plan's number is one more than the index.
  private var orders: [[Int]] = []

  init(_ table: SQLTable) {
    self.table = table
    decoder = RowDecoder(table.definition)
    super.init(columns: LiveTable.declaration(table.definition))
  }

  /// Runs a statement that reads the rows, or those of `range`.
  func feed(_ statement: SluiceSQLite.Statement, _ range: Range<Int>? = nil) throws(SQLiteError) {
    let range = range ?? 0..<rows.count
    rowCount = range.count
    defer { rowCount = 0 }
    let result = rows.withUnsafeBufferPointer { buffer -> Result<Void, SQLiteError> in
      base = buffer.baseAddress.map { $0 + range.lowerBound }
      defer { base = nil }
      do throws(SQLiteError) { return .success(try statement.run()) } catch { return .failure(error) }
    }
    try result.get()
  }

  override func decode(
    _ index: Int, into cells: UnsafeMutablePointer<SluiceSQLite.Cell>, needed: UInt64
  ) throws(SQLiteError) {
    let row = base.unsafelyUnwrapped[index]
    guard decoder.decode(row.row, into: cells, needed: needed) else {
      throw SQLiteError(message: "position \(row.position): the row cannot be read")
    }
  }

  /// Promises rows in the order of columns that compare as bytes.
  override func plan(_ plan: inout AccessPlan) throws(SQLiteError) {
    let terms = (0..<plan.orderCount).map { plan.order($0) }
    let definition = table.definition
    guard !terms.isEmpty,
      terms.allSatisfy({ !$0.isDescending && $0.column >= 0 && comparesAsBytes(definition.columns[$0.column]) })
    else { return }
    let columns = terms.map(\.column)
    if !orders.contains(columns) { orders.append(columns) }
    plan.number = Int32(orders.firstIndex(of: columns) ?? 0) + 1
    plan.isOrdered = true
  }

  private func comparesAsBytes(_ column: Column) -> Bool {
    column.collation.map { folded($0) == "binary" } ?? true
  }

  override func order(_ plan: Int32) throws(SQLiteError) -> [UInt32] {
    guard plan > 0, rowCount > 1 else { return [] }
    let columns = orders[Int(plan) - 1]
    let needed = columns.reduce(UInt64(0)) { $0 | 1 << UInt64(min($1, 63)) }
    let cells = UnsafeMutablePointer<SluiceSQLite.Cell>.allocate(capacity: columnCount)
    defer { cells.deallocate() }
    cells.initialize(repeating: .null, count: columnCount)
    var order = DeltaOrder(rowCount: rowCount)
    for index in 0..<rowCount {
      try decode(index, into: cells, needed: needed)
      for column in columns { order.append(cells[column]) }
      order.endRow()
    }
    return order.rows()
  }

  override func approach(near: Int, far: Int) {
    prefetch(base.unsafelyUnwrapped + far)
    guard let row = base.unsafelyUnwrapped[near].row.baseAddress else { return }
    prefetch(row)
    prefetch(row + 64)
  }

  override func rowid(_ index: Int) -> Int64? {
    table.rowid(ofKey: base.unsafelyUnwrapped[index].key)
  }
}

/// The virtual table over the keys of rows whose earlier images are replaced or removed.
final class KeyDelta: DeltaTable {
  private let table: SQLTable
  private var values: [Value] = []
  private var laid = ValueCells()
  private let width: Int

  init(_ table: SQLTable) {
    self.table = table
    width = max(table.definition.primaryKey.count, 1)
    super.init(columns: (0..<width).map { "k\($0)" })
  }

  /// Takes the keys of those rows that may have an earlier image. Cost: an allocation a text key.
  func take(_ rows: [DeltaRow]) throws(SQLiteError) {
    values.removeAll(keepingCapacity: true)
    for row in rows where !row.isNew { values += try row.keyValues(of: table) }
    laid.lay(values)
    rowCount = values.count / width
  }

  override func decode(
    _ index: Int, into cells: UnsafeMutablePointer<SluiceSQLite.Cell>, needed: UInt64
  ) throws(SQLiteError) {
    for column in 0..<width { cells[column] = laid.cells[index * width + column] }
  }
}
