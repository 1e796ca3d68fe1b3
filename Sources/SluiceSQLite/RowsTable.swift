// Virtual tables for which convenience counts: few rows, made by a closure at each scan.
//
//   try connection.register(table: "sluice_shards", columns: ["shard INTEGER", "rows INTEGER"]) {
//     store.shards.map { [.integer($0.number), .integer($0.rowCount)] }
//   }
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
  private var current = ValueCells()

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

  private func load() -> Bool {
    guard index < rows.count else { return false }
    current.lay(rows[index].prefix(columnCount))
    cells.update(repeating: .null, count: columnCount)
    for (column, cell) in current.cells.enumerated() { cells[column] = cell }
    return true
  }
}
