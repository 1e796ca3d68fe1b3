// A prepared statement. Belongs to its connection's thread. Finalized with its last reference; it keeps its connection
// alive. Unsafe by nature: named in the tidy test.
import CSQLite
import SluiceSystem

/// SQLite's five storage classes, with SQLite's own numbers.
@frozen
public enum ColumnType: Int32, Sendable {
  case integer = 1
  case real = 2
  case text = 3
  case blob = 4
  case null = 5
}

/// A prepared statement: bind its parameters (from 1), step through its rows, read their columns (from 0), reset.
public final class Statement {
  public let connection: Connection
  @usableFromInline let handle: OpaquePointer
  private let db: OpaquePointer
  private var givenNames: [Int: String] = [:]

  init(_ handle: OpaquePointer, of connection: Connection, _ db: OpaquePointer) {
    self.handle = handle
    self.connection = connection
    self.db = db
  }

  deinit { sx_finalize(handle) }

  /// The statement's own text, without what followed it.
  public var sql: String { String(cString: sx_sql(handle)) }
  /// Whether it leaves the database file as it is. True for BEGIN and COMMIT too.
  public var isReadOnly: Bool { sx_stmt_readonly(handle) != 0 }
  /// Whether it is an EXPLAIN or an EXPLAIN QUERY PLAN.
  public var isExplain: Bool { sx_stmt_isexplain(handle) != 0 }

  /// An error about this statement; read at once, before the connection's next call.
  @usableFromInline @inline(never)
  func failure(_ code: Int32) -> SQLiteError {
    // Counted up to the cut: the statement may be a hundred megabytes.
    var size = 0
    let start = sx_sql(handle)
    while size < SQLiteError.sqlSizeLimit, let start, start[size] != 0 { size += 1 }
    let cut = excerpt(UnsafeRawBufferPointer(start: start, count: size))
    // A closed connection keeps its statements running but no longer its messages.
    if connection.handle == nil { return .general(code, sql: cut) }
    return .last(db, sql: cut)
  }

  @inlinable @inline(__always)
  func check(_ code: Int32) throws(SQLiteError) {
    if code != SQLITE_OK { throw failure(code) }
  }

  // MARK: Running

  /// Goes on to the next row; false when there is none. After false or an error the next call begins anew.
  @inlinable @inline(__always)
  public func step() throws(SQLiteError) -> Bool {
    let code = sx_step(handle)
    if code == SQLITE_ROW { return true }
    if code == SQLITE_DONE { return false }
    throw failure(code)
  }

  /// Runs the statement to its end, drops its rows, and makes it ready to run again, also after an error.
  public func run() throws(SQLiteError) {
    defer { reset() }
    while try step() {}
  }

  /// Makes it ready to run again and ends its hold on locks. Bindings stay.
  @inlinable
  public func reset() {
    // Its code repeats the error that `step` already threw.
    sx_reset(handle)
  }

  // MARK: Parameters

  /// Number of the highest parameter.
  public var parameterCount: Int { Int(sx_bind_parameter_count(handle)) }

  /// Number of a named parameter (`:a`, `@a` or `$a`, with that sign), or nil.
  public func parameterIndex(_ name: String) -> Int? {
    let index = sx_bind_parameter_index(handle, name)
    return index == 0 ? nil : Int(index)
  }

  /// The name of a parameter with its sign, `?5` for a numbered one; nil for a mere `?`.
  public func parameterName(_ index: Int) -> String? {
    sx_bind_parameter_name(handle, Int32(truncatingIfNeeded: index)).map { String(cString: $0) }
  }

  @inlinable @inline(__always)
  public func bindNull(_ index: Int) throws(SQLiteError) {
    try check(sx_bind_null(handle, Int32(truncatingIfNeeded: index)))
  }

  @inlinable @inline(__always)
  public func bind(_ index: Int, _ value: Int64) throws(SQLiteError) {
    try check(sx_bind_int64(handle, Int32(truncatingIfNeeded: index), value))
  }

  @inlinable @inline(__always)
  public func bind(_ index: Int, _ value: Int) throws(SQLiteError) { try bind(index, Int64(value)) }

  /// NaN becomes NULL.
  @inlinable @inline(__always)
  public func bind(_ index: Int, _ value: Double) throws(SQLiteError) {
    try check(sx_bind_double(handle, Int32(truncatingIfNeeded: index), value))
  }

  /// Binds UTF-8 bytes. Copied, unless `borrowed`: then they must stay until the parameter is bound again or the
  /// statement is gone.
  @inlinable @inline(__always)
  public func bind(_ index: Int, text: UnsafeRawBufferPointer, borrowed: Bool = false) throws(SQLiteError) {
    let size = UInt64(text.count)
    try check(sx_bind_text(handle, Int32(truncatingIfNeeded: index), text.baseAddress, size, borrowed ? 0 : 1))
  }

  /// Binds bytes. Copied, unless `borrowed`: then they must stay until the parameter is bound again or the statement
  /// is gone.
  @inlinable @inline(__always)
  public func bind(_ index: Int, blob: UnsafeRawBufferPointer, borrowed: Bool = false) throws(SQLiteError) {
    let size = UInt64(blob.count)
    try check(sx_bind_blob(handle, Int32(truncatingIfNeeded: index), blob.baseAddress, size, borrowed ? 0 : 1))
  }

  /// Binds a value that lies elsewhere. Its bytes are copied, unless `borrowed` as for text.
  @inlinable
  public func bind(_ index: Int, _ cell: Cell, borrowed: Bool = false) throws(SQLiteError) {
    switch cell.type {
    case .null: try bindNull(index)
    case .integer: try bind(index, cell.integer)
    case .real: try bind(index, cell.real)
    case .text: try bind(index, text: cell.bytes, borrowed: borrowed)
    case .blob: try bind(index, blob: cell.bytes, borrowed: borrowed)
    }
  }

  public func bind(_ index: Int, _ text: String) throws(SQLiteError) {
    let bytes = Array(text.utf8)
    try bytes.span.withUnsafeBytes { (bytes) throws(SQLiteError) -> Void in try bind(index, text: bytes) }
  }

  public func bind(_ index: Int, _ value: Value) throws(SQLiteError) {
    switch value {
    case .null: try bindNull(index)
    case .integer(let number): try bind(index, number)
    case .real(let number): try bind(index, number)
    case .text(let bytes):
      try bytes.span.withUnsafeBytes { (bytes) throws(SQLiteError) -> Void in try bind(index, text: bytes) }
    case .blob(let bytes):
      try bytes.span.withUnsafeBytes { (bytes) throws(SQLiteError) -> Void in try bind(index, blob: bytes) }
    }
  }

  /// Binds parameters 1, 2, 3 … in order.
  public func bind(_ values: [Value]) throws(SQLiteError) {
    for index in values.indices { try bind(index + 1, values[index]) }
  }

  // MARK: Columns of the current row

  /// Columns of a row; 0 for a statement that returns none.
  public var columnCount: Int { Int(sx_column_count(handle)) }

  /// A result column's name; "" past the last.
  public func columnName(_ index: Int) -> String {
    guard let name = sx_column_name(handle, Int32(truncatingIfNeeded: index)) else { return "" }
    return String(cString: name)
  }

  /// The type a result column was declared with, when it is a table's column.
  public func columnDeclaredType(_ index: Int) -> String? {
    sx_column_decltype(handle, Int32(truncatingIfNeeded: index)).map { String(cString: $0) }
  }

  /// Names of the result columns; those of `nameRowids` where it has given them some.
  public var columnNames: [String] { (0..<columnCount).map { givenNames[$0] ?? columnName($0) } }

  /// Gives each result column that is the rowid of a virtual table, and goes by no other name, the name of the column
  /// that stands for it: SQLite does so with tables of its own.
  public func nameRowids(_ column: (_ table: String) -> String?) {
    for index in 0..<columnCount where columnName(index) == "rowid" {
      guard let origin = sx_column_origin(handle, Int32(truncatingIfNeeded: index)), String(cString: origin) == "rowid",
        let table = sx_column_table(handle, Int32(truncatingIfNeeded: index))
      else { continue }
      givenNames[index] = column(String(cString: table))
    }
  }

  /// A value's storage class. Ask before a conversion (`text` of a number) changes it.
  @inlinable @inline(__always)
  public func columnType(_ index: Int) -> ColumnType {
    ColumnType(rawValue: sx_column_type(handle, Int32(truncatingIfNeeded: index))) ?? .null
  }

  @inlinable @inline(__always)
  public func isNull(_ index: Int) -> Bool { columnType(index) == .null }

  @inlinable @inline(__always)
  public func int64(_ index: Int) -> Int64 { sx_column_int64(handle, Int32(truncatingIfNeeded: index)) }

  @inlinable @inline(__always)
  public func double(_ index: Int) -> Double { sx_column_double(handle, Int32(truncatingIfNeeded: index)) }

  /// A value as text, by SQLite's own conversion; empty for NULL. Valid until the next `step`, `reset` or access to
  /// this column.
  @inlinable @inline(__always)
  public func text(_ index: Int) -> UnsafeRawBufferPointer {
    let bytes = sx_column_text(handle, Int32(truncatingIfNeeded: index))
    return UnsafeRawBufferPointer(
      start: bytes, count: bytes == nil ? 0 : Int(sx_column_bytes(handle, Int32(truncatingIfNeeded: index))))
  }

  /// A value's bytes; empty for NULL. Valid until the next `step`, `reset` or access to this column.
  @inlinable @inline(__always)
  public func blob(_ index: Int) -> UnsafeRawBufferPointer {
    let bytes = sx_column_blob(handle, Int32(truncatingIfNeeded: index))
    return UnsafeRawBufferPointer(
      start: bytes, count: bytes == nil ? 0 : Int(sx_column_bytes(handle, Int32(truncatingIfNeeded: index))))
  }

  /// A column as it is. Its bytes are valid until the next `step`, `reset` or access to this column.
  @inlinable
  public func cell(_ index: Int) -> Cell {
    switch columnType(index) {
    case .null: .null
    case .integer: .integer(int64(index))
    case .real: .real(double(index))
    case .text: .text(text(index))
    case .blob: .blob(blob(index))
    }
  }

  public func string(_ index: Int) -> String { String(decoding: text(index), as: UTF8.self) }

  public func value(_ index: Int) -> Value {
    switch columnType(index) {
    case .integer: .integer(int64(index))
    case .real: .real(double(index))
    case .text: .text([UInt8](text(index)))
    case .blob: .blob([UInt8](blob(index)))
    case .null: .null
    }
  }

  /// All values of the current row.
  public var row: [Value] { (0..<Int(sx_data_count(handle))).map { value($0) } }

  /// Runs the statement from the beginning and collects its rows: for few.
  public func rows() throws(SQLiteError) -> [[Value]] {
    reset()
    defer { reset() }
    var rows: [[Value]] = []
    while try step() { rows.append(row) }
    return rows
  }
}
