// One value on its way to or from SQLite: 16 bytes, no reference count. What a cursor fills, what a change and a
// constraint bring, what a statement binds and returns.
// Unsafe by nature: named in the tidy test.
import CSQLite
import SluiceSystem

/// A value whose bytes, if it has any, lie elsewhere.
@frozen
public struct Cell {
  /// The integer, the IEEE bits, or the address of the bytes.
  @usableFromInline let bits: UInt64
  /// Size of the bytes: SQLite's own limit is below 2^31.
  @usableFromInline let size: UInt32
  /// The storage class.
  public let type: ColumnType

  @inlinable @inline(__always)
  init(_ type: ColumnType, _ bits: UInt64, _ size: UInt32) {
    self.type = type
    self.bits = bits
    self.size = size
  }

  @inlinable public static var null: Cell { Cell(.null, 0, 0) }

  @inlinable @inline(__always)
  public static func integer(_ value: Int64) -> Cell { Cell(.integer, UInt64(bitPattern: value), 0) }

  /// NaN reads as NULL.
  @inlinable @inline(__always)
  public static func real(_ value: Double) -> Cell { Cell(.real, value.bitPattern, 0) }

  /// UTF-8 bytes: up to 4 GiB, of which SQLite takes 1 GB.
  @inlinable @inline(__always)
  public static func text(_ bytes: UnsafeRawBufferPointer) -> Cell {
    Cell(.text, UInt64(UInt(bitPattern: bytes.baseAddress)), UInt32(clamping: bytes.count))
  }

  /// Bytes: up to 4 GiB, of which SQLite takes 1 GB.
  @inlinable @inline(__always)
  public static func blob(_ bytes: UnsafeRawBufferPointer) -> Cell {
    Cell(.blob, UInt64(UInt(bitPattern: bytes.baseAddress)), UInt32(clamping: bytes.count))
  }

  /// The integer; 0 for any other storage class.
  @inlinable public var integer: Int64 { type == .integer ? Int64(bitPattern: bits) : 0 }

  /// The number, of an integer too; 0 for any other storage class.
  @inlinable public var real: Double {
    switch type {
    case .real: Double(bitPattern: bits)
    case .integer: Double(Int64(bitPattern: bits))
    default: 0
    }
  }

  /// The bytes of a text or a blob where they lie; empty for any other storage class.
  @inlinable public var bytes: UnsafeRawBufferPointer {
    guard type == .text || type == .blob else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: address, count: address == nil ? 0 : Int(size))
  }

  @inlinable public var isNull: Bool { type == .null }

  /// A copy that owns its bytes.
  public var value: Value {
    switch type {
    case .null: .null
    case .integer: .integer(integer)
    case .real: .real(real)
    case .text: .text([UInt8](bytes))
    case .blob: .blob([UInt8](bytes))
    }
  }

  @usableFromInline
  var address: UnsafeRawPointer? { UnsafeRawPointer(bitPattern: UInt(truncatingIfNeeded: bits)) }

  /// Gives the value to SQLite as a column's or a function's result.
  @inline(__always)
  func give(to context: OpaquePointer?, copies: Int32) {
    switch type {
    case .null: sx_result_null(context)
    case .integer: sx_result_int64(context, Int64(bitPattern: bits))
    case .real: sx_result_double(context, Double(bitPattern: bits))
    case .text: sx_result_text(context, address, UInt64(size), copies)
    case .blob: sx_result_blob(context, address, UInt64(size), copies)
    }
  }
}

/// The code by which a table or a function of ours reports an error. A bare SQLITE_CORRUPT would tell SQLite that its
/// own file is damaged, and inside a transaction it would then refuse every further write of the connection.
func resultCode(_ error: SQLiteError) -> Int32 {
  switch error.primaryCode {
  case SQLITE_CORRUPT: SQLITE_CORRUPT | 1 << 8  // SQLITE_CORRUPT_VTAB
  case SQLITE_OK, SQLITE_NOTICE...: SQLITE_ERROR  // no errors: notices, SQLITE_ROW, SQLITE_DONE
  default: error.code
  }
}
