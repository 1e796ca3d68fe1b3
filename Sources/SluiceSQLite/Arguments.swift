// Values that SQLite hands over for the length of one call: a function's arguments, a scan's, a changed row's.
// Unsafe by nature: named in the tidy test.
import CSQLite
import SluiceSystem

/// Values that SQLite hands over: the arguments of a function or of a table's constraints, or a row to write. Valid
/// during that call. Reading one allocates nothing, but for `value`; a text may be converted to UTF-8 once.
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
  /// The type it has beside a numeric column: a text that looks like a number becomes one, here and for good.
  public func numericType(_ index: Int) -> ColumnType {
    ColumnType(rawValue: sx_value_numeric_type(handle(index))) ?? .null
  }
  /// The value as it is.
  public func cell(_ index: Int) -> Cell { Cell(handle(index)) }
  /// Converted by SQLite's rules, as the following ones.
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

  /// A copy that owns its bytes.
  public func value(_ index: Int) -> Value { cell(index).value }

  /// Whether the column of an UPDATE keeps its value, which is then not here (it reads as NULL): only where the
  /// cursor was made with `omitsUnchanged`.
  public func isUnchanged(_ index: Int) -> Bool { sx_value_nochange(handle(index)) != 0 }

  /// The values of an IN that the plan took with `AccessPlan.takeList`, each once, in no order to rely on; NULL may be
  /// among them.
  public func list(_ index: Int) -> ValueList { ValueList(handle(index)) }
}

/// The values of an IN. Valid as long as the arguments it comes from.
public struct ValueList {
  private let list: OpaquePointer?
  private var isStarted = false

  init(_ list: OpaquePointer?) { self.list = list }

  /// The next value, valid until the one after it is asked for; nil behind the last.
  public mutating func next() throws(SQLiteError) -> Cell? {
    var value: OpaquePointer?
    let code = isStarted ? sx_vtab_in_next(list, &value) : sx_vtab_in_first(list, &value)
    isStarted = true
    if code == SQLITE_OK { return Cell(value) }
    if code != SQLITE_DONE { throw .general(code) }
    return nil
  }
}

extension Cell {
  /// A value of SQLite's; the bytes stay SQLite's.
  @inline(__always)
  init(_ value: OpaquePointer?) {
    switch sx_value_type(value) {
    case SQLITE_INTEGER: self = .integer(sx_value_int64(value))
    case SQLITE_FLOAT: self = .real(sx_value_double(value))
    case SQLITE_TEXT:
      let bytes = sx_value_text(value)
      self = .text(UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(sx_value_bytes(value))))
    case SQLITE_BLOB:
      let bytes = sx_value_blob(value)
      self = .blob(UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(sx_value_bytes(value))))
    default: self = .null
    }
  }
}
