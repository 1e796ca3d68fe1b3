// Values as SQLite shows them, in the encoding of keys.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension KeyFormat {
  /// Appends the encoding of a cell.
  @inline(__always)
  static func append(_ cell: SluiceSQLite.Cell, to key: inout ByteBuffer) {
    switch cell.type {
    case .null: append(Value.null, to: &key)
    case .integer: append(integer: cell.integer, to: &key)
    case .real: append(real: cell.real, to: &key)
    case .text: append(text: cell.bytes, to: &key)
    case .blob: append(blob: cell.bytes, to: &key)
    }
  }
}
