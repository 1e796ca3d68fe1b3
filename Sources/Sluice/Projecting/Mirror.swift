// The mirror of one SQL table: rows of applied batches go into SQLite by `INSERT … SELECT FROM delta`, where delta is a
// virtual table over the batch memory. One decode per row, no copy of text. Unsafe by nature: named in the tidy test.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Collects rows of one SQL table and writes them to its mirror.
final class Mirror {
  let table: SQLTable
  private let delta: RowDelta
  private let connection: Connection
  private var insert: SluiceSQLite.Statement?
  private var isRising = true

  init(table: SQLTable, connection: Connection) throws(SQLiteError) {
    self.table = table
    self.connection = connection
    let columns = ["position"] + table.definition.columns.indices.map { "c\($0)" }
    delta = RowDelta(columns: columns)
    try connection.register(table: "sluice_delta_\(table.id)", delta)
  }

  var rowCount: Int { delta.rows.count }

  /// Takes note of a row; its memory must stay until `write`.
  @inline(__always)
  func add(key: UnsafeRawBufferPointer, row: UnsafeRawBufferPointer, position: UInt64) {
    if isRising, let last = delta.rows.last, compareBytes(last.key, key) >= 0 { isRising = false }
    delta.rows.append(DeltaRow(key: key, row: row, position: position))
  }

  /// Writes the rows collected, in key order, only the last image of a key.
  func write() throws(SQLiteError) {
    guard !delta.rows.isEmpty else { return }
    if !isRising { sortRows() }
    delta.rowCount = delta.rows.count
    if insert == nil { insert = try connection.prepare(insertSQL, persistent: true) }
    if let insert { try delta.feed(insert) }
    delta.rows.removeAll(keepingCapacity: true)
    delta.rowCount = 0
    isRising = true
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

  /// A table without a key gets its position as rowid, under a name for it that no column has taken.
  private var insertSQL: String {
    let names = table.definition.columns.map(\.name)
    let taken = Set(names.map(folded))
    let columns = names.map(quoted).joined(separator: ", ")
    let cells = names.indices.map { "c\($0)" }.joined(separator: ", ")
    let source = "FROM sluice_delta_\(table.id)"
    let target = "INSERT OR REPLACE INTO main.\(quoted(table.name))"
    if table.isStream, let rowid = ["_rowid_", "rowid", "oid"].first(where: { !taken.contains($0) }) {
      return "\(target)(\(rowid), \(columns)) SELECT position, \(cells) \(source)"
    }
    return "\(target)(\(columns)) SELECT \(cells) \(source)"
  }
}

/// One row of the delta: where its key and its encoded columns lie.
struct DeltaRow {
  let key: UnsafeRawBufferPointer
  let row: UnsafeRawBufferPointer
  let position: UInt64
}

/// The virtual table over the rows collected.
/// Text and blobs stay where they are: SQLite copies them into its pages.
final class RowDelta: DeltaTable {
  var rows: [DeltaRow] = []
  @exclusivity(unchecked) final var base: UnsafePointer<DeltaRow>?

  /// Runs a statement that reads the rows.
  func feed(_ statement: SluiceSQLite.Statement) throws(SQLiteError) {
    let result = rows.withUnsafeBufferPointer { buffer -> Result<Void, SQLiteError> in
      base = buffer.baseAddress
      defer { base = nil }
      do throws(SQLiteError) { return .success(try statement.run()) } catch { return .failure(error) }
    }
    try result.get()
  }

  private let offsets: UnsafeMutablePointer<UInt32>

  override init(columns: [String]) {
    offsets = .allocate(capacity: CreateTable.maximumColumns)
    super.init(columns: columns)
  }

  deinit { offsets.deallocate() }

  /// Columns that the row does not have (they were added later) are NULL.
  override func decode(
    _ index: Int, into cells: UnsafeMutablePointer<SluiceSQLite.Cell>, needed: UInt64
  ) throws(SQLiteError) {
    let row = base.unsafelyUnwrapped[index]
    cells[0] = .integer(Int64(bitPattern: row.position))
    let reader = RowReader(row.row)
    guard reader.locate(into: offsets) else {
      throw SQLiteError(message: "position \(row.position): the row cannot be read")
    }
    let known = min(reader.columnCount, columnCount - 1)
    for column in 0..<known {
      let cell = reader.cell(column, offsets)
      cells[column + 1] =
        switch cell.storageClass {
        case .null: .null
        case .integer: .integer(cell.integer)
        case .real: .real(cell.real)
        case .text: .text(cell.bytes)
        case .blob: .blob(cell.bytes)
        }
    }
    for column in known..<(columnCount - 1) { cells[column + 1] = .null }
  }
}
