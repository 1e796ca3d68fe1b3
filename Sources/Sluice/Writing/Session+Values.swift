// Rows whose values SQLite has computed: each is given its column's affinity and encoded, as the row path does with
// text. Unsafe by nature: named in the tidy test.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  /// Puts a value into a column of the row being built, with its affinity.
  @inline(__always)
  func put(_ cell: SluiceSQLite.Cell, at column: Int, _ affinity: Affinity) throws(StoreError) {
    switch cell.type {
    case .null: row.putNull(at: column)
    case .integer:
      switch affinity {
      case .real: row.put(real: Double(cell.integer), at: column)
      case .text: row.put(decimal: cell.integer, at: column)
      default: row.put(integer: cell.integer, at: column)
      }
    case .real: try put(real: cell.real, at: column, affinity)
    case .text: try put(text: cell.bytes, at: column, affinity)
    case .blob: row.put(cell.bytes, isText: false, at: column)
    }
  }

  private func put(real: Double, at column: Int, _ affinity: Affinity) throws(StoreError) {
    switch affinity {
    case .text: try putConverted(.real(real), at: column, affinity)
    case .integer, .numeric:
      if let whole = integralValue(real) {
        row.put(integer: whole, at: column)
      } else {
        row.put(real: real, at: column)
      }
    default: row.put(real: real, at: column)
    }
  }

  private func put(text: UnsafeRawBufferPointer, at column: Int, _ affinity: Affinity) throws(StoreError) {
    guard isText(text) else {
      throw StoreError(.invalid, "a text value holds a NUL or is not UTF-8", sqliteCode: 1)
    }
    if affinity.rawValue >= Affinity.numeric.rawValue, mayBeNumber(text) {
      try putConverted(.text([UInt8](text)), at: column, affinity)
    } else {
      row.put(text, isText: true, at: column)
    }
  }

  /// A conversion that SQLite makes.
  @inline(never)
  private func putConverted(_ value: Value, at column: Int, _ affinity: Affinity) throws(StoreError) {
    do { row.put(try evaluator.convert(value, affinity), at: column) } catch { throw StoreError(error) }
  }
}
