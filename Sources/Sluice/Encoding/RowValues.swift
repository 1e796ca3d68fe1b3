// Rows whose values SQLite has computed: each is given its column's affinity and encoded, as the row path does with
// text. Unsafe by nature: named in the tidy test.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension RowBuilder {
  /// Puts a value into a column, with its affinity; `evaluator` makes the conversions that SQLite must make.
  @inline(__always)
  mutating func put(
    _ cell: SluiceSQLite.Cell, at column: Int, _ affinity: Affinity, _ evaluator: Evaluator
  ) throws(StoreError) {
    switch cell.type {
    case .null: putNull(at: column)
    case .integer:
      switch affinity {
      case .real: put(real: Double(cell.integer), at: column)
      case .text: put(decimal: cell.integer, at: column)
      default: put(integer: cell.integer, at: column)
      }
    case .real: try put(real: cell.real, at: column, affinity, evaluator)
    case .text: try put(text: cell.bytes, at: column, affinity, evaluator)
    case .blob: put(cell.bytes, isText: false, at: column)
    }
  }

  private mutating func put(
    real: Double, at column: Int, _ affinity: Affinity, _ evaluator: Evaluator
  ) throws(StoreError) {
    switch affinity {
    case .text: try putConverted(.real(real), at: column, affinity, evaluator)
    case .integer, .numeric:
      if let whole = integralValue(real) {
        put(integer: whole, at: column)
      } else {
        put(real: real, at: column)
      }
    case .real: put(real: storedReal(real), at: column)
    case .blob: put(real: real, at: column)
    }
  }

  private mutating func put(
    text: UnsafeRawBufferPointer, at column: Int, _ affinity: Affinity, _ evaluator: Evaluator
  ) throws(StoreError) {
    guard isText(text) else {
      throw StoreError(.invalid, "a text value holds a NUL or is not UTF-8", sqliteCode: 1)
    }
    if affinity.rawValue >= Affinity.numeric.rawValue, mayBeNumber(text) {
      try putConverted(.text([UInt8](text)), at: column, affinity, evaluator)
    } else {
      put(text, isText: true, at: column)
    }
  }

  /// A conversion that SQLite makes.
  @inline(never)
  private mutating func putConverted(
    _ value: Value, at column: Int, _ affinity: Affinity, _ evaluator: Evaluator
  ) throws(StoreError) {
    do { put(try evaluator.convert(value, affinity), at: column) } catch { throw StoreError(error) }
  }
}
