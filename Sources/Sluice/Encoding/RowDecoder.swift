// Encoded rows as cells for SQLite. Unsafe by nature: named in the tidy test.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Decodes rows of one SQL table. Belongs to one thread.
final class RowDecoder {
  let columnCount: Int
  private let offsets: UnsafeMutablePointer<UInt32>
  /// Values of columns that a row does not have because they were added later; their bytes live as long as this object.
  private let defaults: UnsafeMutablePointer<SluiceSQLite.Cell>
  private var defaultBytes: [UnsafeMutableRawBufferPointer] = []

  init(_ definition: CreateTable) {
    columnCount = definition.columns.count
    offsets = .allocate(capacity: CreateTable.maximumColumns)
    defaults = .allocate(capacity: max(columnCount, 1))
    defaults.initialize(repeating: .null, count: max(columnCount, 1))
    for (index, column) in definition.columns.enumerated() {
      switch column.valueOfEarlierRows {
      case .null: break
      case .integer(let number): defaults[index] = .integer(number)
      case .real(let number): defaults[index] = .real(number)
      case .text(let bytes): defaults[index] = .text(keep(bytes))
      case .blob(let bytes): defaults[index] = .blob(keep(bytes))
      }
    }
  }

  deinit {
    offsets.deallocate()
    defaults.deallocate()
    for bytes in defaultBytes { bytes.deallocate() }
  }

  private func keep(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 1)
    memory.copyBytes(from: bytes)
    defaultBytes.append(memory)
    return UnsafeRawBufferPointer(rebasing: memory[..<bytes.count])
  }

  /// Decodes the columns in `needed` (as `Scan.neededColumns`) of a row into `cells`, which point into the row. False:
  /// the row is damaged as far as it was looked at. About 1 ns a column up to the last needed one, and 2 ns for each.
  @inline(__always)
  func decode(
    _ row: UnsafeRawBufferPointer, into cells: UnsafeMutablePointer<SluiceSQLite.Cell>, needed: UInt64
  ) -> Bool {
    let reader = RowReader(row)
    let wanted = min(64 &- needed.leadingZeroBitCount, columnCount)
    let end = wanted == 64 ? columnCount : wanted
    let known = min(reader.columnCount, columnCount)
    guard reader.locate(into: offsets, count: min(known, end)) else { return false }
    var column = 0
    while column < end {
      if needed & (1 << UInt64(min(column, 63))) != 0 {
        cells[column] = column < known ? cell(reader.cell(column, offsets)) : defaults[column]
      }
      column &+= 1
    }
    return true
  }

  @inline(__always)
  private func cell(_ cell: SluiceSQL.Cell) -> SluiceSQLite.Cell {
    switch cell.storageClass {
    case .null: .null
    case .integer: .integer(cell.integer)
    case .real: .real(cell.real)
    case .text: .text(cell.bytes)
    case .blob: .blob(cell.bytes)
    }
  }
}
