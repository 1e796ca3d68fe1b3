// Virtual tables for which convenience counts: few rows, made by a closure at each scan.
//
//   try connection.register(table: "sluice_shards", columns: ["shard INTEGER", "rows INTEGER"]) {
//     store.shards.map { [.integer($0.number), .integer($0.rowCount)] }
//   }
//
// Unsafe by nature: named in the tidy test.
import SluiceSystem

extension Connection {
  /// Makes what `rows` returns readable as the table `name`. It is asked anew at the start of each scan, on the
  /// connection's thread. A row shorter than the columns is filled with NULL.
  public func register(
    table name: String, columns: [String], rows: @escaping () throws(SQLiteError) -> [[Value]]
  ) throws(SQLiteError) {
    try register(table: name, RowsTable(columns: columns, rows: rows))
  }
}

private final class RowsTable: VirtualTable {
  private let rows: () throws(SQLiteError) -> [[Value]]

  init(columns: [String], rows: @escaping () throws(SQLiteError) -> [[Value]]) {
    self.rows = rows
    super.init(columns: columns)
  }

  override func plan(_ plan: inout AccessPlan) throws(SQLiteError) {
    plan.estimatedCost = 100
    plan.estimatedRows = 100
  }

  override func makeCursor() throws(SQLiteError) -> VirtualCursor {
    RowsCursor(columnCount: columnCount, rows: rows)
  }
}

private final class RowsCursor: VirtualCursor {
  private let produce: () throws(SQLiteError) -> [[Value]]
  private var rows: [[Value]] = []
  private var index = 0
  private var bytes = ByteBuffer()

  init(columnCount: Int, rows: @escaping () throws(SQLiteError) -> [[Value]]) {
    produce = rows
    super.init(columnCount: columnCount)
  }

  override func start(_ scan: Scan) throws(SQLiteError) -> Bool {
    rows = try produce()
    index = 0
    return load()
  }

  override func next() throws(SQLiteError) -> Bool {
    index += 1
    return load()
  }

  /// Text and blobs of the row are laid out one behind the other first, for the buffer may move while it grows.
  private func load() -> Bool {
    guard index < rows.count else { return false }
    let row = rows[index].prefix(columnCount)
    bytes.removeAll()
    for value in row {
      switch value {
      case .text(let content), .blob(let content): bytes.append(content)
      default: break
      }
    }
    cells.update(repeating: .null, count: columnCount)
    var offset = 0
    for (column, value) in row.enumerated() {
      switch value {
      case .null: break
      case .integer(let number): cells[column] = .integer(number)
      case .real(let number): cells[column] = .real(number)
      case .text(let content): cells[column] = .text(slice(&offset, content.count))
      case .blob(let content): cells[column] = .blob(slice(&offset, content.count))
      }
    }
    return true
  }

  private func slice(_ offset: inout Int, _ size: Int) -> UnsafeRawBufferPointer {
    defer { offset += size }
    return UnsafeRawBufferPointer(rebasing: bytes.bytes[offset..<offset + size])
  }
}
