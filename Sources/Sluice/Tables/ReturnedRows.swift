// RETURNING: the rows that a statement has changed, as a table of their own. SQLite evaluates the list behind RETURNING
// over it, as it would over the rows themselves. Unsafe by nature: named in the tidy test.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Rows in the order in which they were changed: new images, of deleted rows the old ones.
final class ReturnedRows: VirtualTable {
  private var bytes = ByteBuffer(capacity: 1024)
  private var places: [(offset: Int, size: Int, rowid: Int64)] = []
  fileprivate let decoder: RowDecoder

  init(_ table: SQLTable) {
    decoder = RowDecoder(table.definition)
    super.init(columns: LiveTable.declaration(table.definition))
  }

  func removeAll() {
    if bytes.count > Self.keptBytes { bytes = ByteBuffer(capacity: 1024) } else { bytes.removeAll() }
    places = []
  }

  /// Memory that is used again.
  private static let keptBytes = 1 << 20

  func add(_ row: UnsafeRawBufferPointer, rowid: Int64) {
    places.append((bytes.count, row.count, rowid))
    bytes.append(row)
  }

  override func makeCursor() throws(SQLiteError) -> VirtualCursor { ReturnedCursor(self) }

  fileprivate var count: Int { places.count }

  fileprivate func row(_ index: Int) -> UnsafeRawBufferPointer {
    let place = places[index]
    return UnsafeRawBufferPointer(rebasing: bytes.bytes[place.offset..<(place.offset + place.size)])
  }

  fileprivate func rowid(_ index: Int) -> Int64 { places[index].rowid }
}

private final class ReturnedCursor: VirtualCursor {
  private let table: ReturnedRows
  private var index = 0
  private var needed: UInt64 = 0

  init(_ table: ReturnedRows) {
    self.table = table
    super.init(columnCount: table.columnCount)
  }

  override func start(_ scan: Scan) throws(SQLiteError) -> Bool {
    index = -1
    needed = scan.neededColumns
    return try next()
  }

  override func next() throws(SQLiteError) -> Bool {
    index += 1
    guard index < table.count else { return false }
    guard table.decoder.decode(table.row(index), into: cells, needed: needed) else {
      throw SQLiteError(code: 11, message: "a row that was just written cannot be read")
    }
    return true
  }

  override var rowid: Int64? { table.rowid(index) }
}
