// The mirror of one SQL table: rows of applied batches go into SQLite by `INSERT … SELECT FROM delta`, where delta is a
// virtual table over the batch memory. One decode per row, no copy of text. Unsafe by nature: named in the tidy test.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Collects rows of one SQL table, and keys that were removed, and writes them to its mirror.
final class Mirror {
  let table: SQLTable
  private let delta: RowDelta
  private let connection: Connection
  private var insert: SluiceSQLite.Statement?
  private var removal: SluiceSQLite.Statement?
  private var isRising = true
  private var hasRemovals = false

  init(table: SQLTable, connection: Connection) throws(SQLiteError) {
    self.table = table
    self.connection = connection
    delta = RowDelta(table)
    try connection.register(table: "sluice_delta_\(table.id)", delta)
  }

  var rowCount: Int { delta.rows.count }

  /// Takes note of a row; its memory must stay until `write`.
  @inline(__always)
  func add(key: UnsafeRawBufferPointer, row: UnsafeRawBufferPointer, position: UInt64) {
    if isRising, let last = delta.rows.last, compareBytes(last.key, key) >= 0 { isRising = false }
    delta.rows.append(DeltaRow(key: key, row: row, position: position))
  }

  /// Takes note of a key that was removed; its memory must stay until `write`.
  func remove(key: UnsafeRawBufferPointer, position: UInt64) {
    hasRemovals = true
    add(key: key, row: UnsafeRawBufferPointer(start: nil, count: 0), position: position)
  }

  /// Takes all rows away: what was collected need not be written, and SQLite empties the table as a whole.
  func clear() throws(SQLiteError) {
    forget()
    try connection.execute("DELETE FROM main.\(quoted(table.name))")
  }

  private func forget() {
    delta.rows.removeAll(keepingCapacity: true)
    isRising = true
    hasRemovals = false
  }

  /// Writes what was collected, in key order, only the last image of a key.
  func write() throws(SQLiteError) {
    guard !delta.rows.isEmpty else { return }
    if !isRising { sortRows() }
    if hasRemovals { try writeRemovals() }
    if insert == nil { insert = try connection.prepare(insertSQL, persistent: true) }
    if let insert, !delta.rows.isEmpty { try delta.feed(insert) }
    forget()
  }

  private func sortRows() {
    delta.rows.sort { a, b in
      let order = compareBytes(a.key, b.key)
      return order != 0 ? order < 0 : a.position < b.position
    }
    var kept = 0
    for index in delta.rows.indices {
      let isLast =
        index + 1 == delta.rows.count || compareBytes(delta.rows[index].key, delta.rows[index + 1].key) != 0
      if isLast {
        delta.rows[kept] = delta.rows[index]
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
      try removal?.bind(try keyValues(row))
      try removal?.run()
    }
    delta.rows.removeAll(where: \.isRemoval)
  }

  private func keyValues(_ row: DeltaRow) throws(SQLiteError) -> [Value] {
    if table.isStream { return [.integer(row.keyPosition)] }
    var decoder = KeyDecoder(row.key, offset: KeySpace.prefixSize)
    var values: [Value] = []
    while let value = decoder.next() { values.append(value) }
    guard !decoder.failed, values.count == table.definition.primaryKey.count else {
      throw SQLiteError(message: "position \(row.position): the key cannot be read")
    }
    return values
  }

  /// A table without a key has its rows' positions as rowids, under a name for it that no column has taken.
  private var insertSQL: String {
    let names = table.definition.columns.map(\.name)
    let columns = names.map(quoted).joined(separator: ", ")
    let cells = names.indices.map { "c\($0)" }.joined(separator: ", ")
    let source = "FROM sluice_delta_\(table.id)"
    let target = "INSERT OR REPLACE INTO main.\(quoted(table.name))"
    if table.isStream, let rowid = table.rowidName {
      return "\(target)(\(rowid), \(columns)) SELECT key_position, \(cells) \(source)"
    }
    return "\(target)(\(columns)) SELECT \(cells) \(source)"
  }

  /// Key columns compare as BINARY (the parser refuses any other collation on them), and a key taken apart equals what
  /// is stored as SQLite compares the two: 1 finds 1.0. Rows of a table whose columns have taken all names of the rowid
  /// cannot be named.
  private var removalSQL: String {
    let columns =
      table.isStream
      ? [table.rowidName ?? "NULL"] : table.definition.primaryKey.map { quoted(table.definition.columns[$0].name) }
    let condition = columns.map { "\($0) = ?" }.joined(separator: " AND ")
    return "DELETE FROM main.\(quoted(table.name)) WHERE \(condition)"
  }
}

/// One row of the delta: where its key and its encoded columns lie.
struct DeltaRow {
  let key: UnsafeRawBufferPointer
  /// Without an address: the key was removed.
  let row: UnsafeRawBufferPointer
  let position: UInt64

  var isRemoval: Bool { row.baseAddress == nil }

  /// The key of a row without a primary key: the position that first wrote it. A new image keeps it.
  @inline(__always)
  var keyPosition: Int64 {
    guard key.count == KeySpace.prefixSize + 8 else { return Int64(bitPattern: position) }
    return Int64(bigEndian: key.loadUnaligned(fromByteOffset: KeySpace.prefixSize, as: Int64.self))
  }
}

/// The virtual table over the rows collected.
/// Text and blobs stay where they are: SQLite copies them into its pages.
final class RowDelta: DeltaTable {
  var rows: [DeltaRow] = []
  @exclusivity(unchecked) final var base: UnsafePointer<DeltaRow>?
  private let decoder: RowDecoder

  init(_ table: SQLTable) {
    decoder = RowDecoder(table.definition)
    super.init(columns: ["key_position"] + table.definition.columns.indices.map { "c\($0)" })
  }

  /// Runs a statement that reads the rows.
  func feed(_ statement: SluiceSQLite.Statement) throws(SQLiteError) {
    rowCount = rows.count
    defer { rowCount = 0 }
    let result = rows.withUnsafeBufferPointer { buffer -> Result<Void, SQLiteError> in
      base = buffer.baseAddress
      defer { base = nil }
      do throws(SQLiteError) { return .success(try statement.run()) } catch { return .failure(error) }
    }
    try result.get()
  }

  override func decode(
    _ index: Int, into cells: UnsafeMutablePointer<SluiceSQLite.Cell>, needed: UInt64
  ) throws(SQLiteError) {
    let row = base.unsafelyUnwrapped[index]
    cells[0] = .integer(row.keyPosition)
    guard decoder.decode(row.row, into: cells + 1, needed: needed >> 1 | needed & 1 << 63) else {
      throw SQLiteError(message: "position \(row.position): the row cannot be read")
    }
  }
}
