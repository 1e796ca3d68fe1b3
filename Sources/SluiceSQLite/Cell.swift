// One column of one row on its way from a virtual table to SQLite: 16 bytes, no reference count.
// Unsafe by nature: named in the tidy test.
import CSQLite
import SluiceSystem

/// A value whose bytes, if it has any, lie elsewhere.
@frozen
public struct Cell {
  @usableFromInline
  @frozen
  enum Kind: UInt8 {
    case null, integer, real, text, blob
  }

  /// The integer, the IEEE bits, or the address of the bytes.
  @usableFromInline let bits: UInt64
  /// Size of the bytes: SQLite's own limit is below 2^31.
  @usableFromInline let size: UInt32
  @usableFromInline let kind: Kind

  @inlinable @inline(__always)
  init(_ kind: Kind, _ bits: UInt64, _ size: UInt32) {
    self.kind = kind
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

  var address: UnsafeRawPointer? { UnsafeRawPointer(bitPattern: UInt(truncatingIfNeeded: bits)) }

  /// Gives the value to SQLite as a column's or a function's result.
  @inline(__always)
  func give(to context: OpaquePointer?, copies: Int32) {
    switch kind {
    case .null: sx_result_null(context)
    case .integer: sx_result_int64(context, Int64(bitPattern: bits))
    case .real: sx_result_double(context, Double(bitPattern: bits))
    case .text: sx_result_text(context, address, UInt64(size), copies)
    case .blob: sx_result_blob(context, address, UInt64(size), copies)
    }
  }
}

/// Values that SQLite hands over: the arguments of a function or of a table's constraints. Valid during that call.
public struct Arguments {
  public let count: Int
  private let values: UnsafeMutablePointer<OpaquePointer?>?

  init(_ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
    self.count = Int(count)
    self.values = values
  }

  private func handle(_ index: Int) -> OpaquePointer? {
    invariant(index >= 0 && index < count, "argument \(index) of \(count)")
    return values?[index]
  }

  public func type(_ index: Int) -> ColumnType { ColumnType(rawValue: sx_value_type(handle(index))) ?? .null }
  public func int64(_ index: Int) -> Int64 { sx_value_int64(handle(index)) }
  public func double(_ index: Int) -> Double { sx_value_double(handle(index)) }

  public func text(_ index: Int) -> UnsafeRawBufferPointer {
    let value = handle(index), bytes = sx_value_text(value)
    return UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(sx_value_bytes(value)))
  }

  public func blob(_ index: Int) -> UnsafeRawBufferPointer {
    let value = handle(index), bytes = sx_value_blob(value)
    return UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(sx_value_bytes(value)))
  }

  public func value(_ index: Int) -> Value {
    switch type(index) {
    case .integer: .integer(int64(index))
    case .real: .real(double(index))
    case .text: .text([UInt8](text(index)))
    case .blob: .blob([UInt8](blob(index)))
    case .null: .null
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
