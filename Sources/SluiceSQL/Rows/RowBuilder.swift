// Builds one encoded row (RowFormat) in memory that the next row uses again.
// Unsafe by nature: named in the tidy test. Every store is behind `ensure`; columns are below `columnCount`.
//
// Codes stand at their place from the start and bodies are appended, so a row whose values come in column order is
// complete with its last value: `finish` hands out what is there. Any other row is put in order by one copy.
import SluiceSystem

/// Per-row scratch of the insert path. No allocation once it has the size of the largest row.
public struct RowBuilder: ~Copyable {
  @usableFromInline var row: UnsafeMutableRawPointer
  @usableFromInline var room: Int
  @usableFromInline var used = 0
  /// Where a row is put in order.
  private var ordered: ByteBuffer
  /// Offset of each column's body, behind its size field.
  @usableFromInline let offsets: UnsafeMutablePointer<UInt32>
  @usableFromInline var headerSize = 1
  @usableFromInline var columnCount = 0
  @usableFromInline var isOrdered = true
  /// The rowid that was put at `rowidPlace`: its code, and the offset of its body.
  @usableFromInline var rowidCode = RowFormat.null
  @usableFromInline var rowidOffset: UInt32 = 0

  /// The place of a rowid that is no column: its value is kept beside the row.
  public static let rowidPlace = -2

  /// Bytes beyond a body that a store may touch.
  @usableFromInline static let slack = 32

  public init() {
    room = 4096
    row = .allocate(byteCount: room, alignment: 16)
    ordered = ByteBuffer(capacity: 4096)
    offsets = .allocate(capacity: CreateTable.maximumColumns)
    offsets.initialize(repeating: 0, count: CreateTable.maximumColumns)
  }

  deinit {
    row.deallocate()
    offsets.deallocate()
  }

  /// Begins a row of `shape` with the defaults of the columns that get no value.
  public mutating func begin(_ shape: borrowing InsertShape) {
    begin(columnCount: shape.columnCount)
    isOrdered = shape.keepsOrder
    if shape.isIdentity { return }
    ensure(shape.bodies.count)
    shape.codes.withUnsafeBytes { (row + headerSize).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    for column in 0..<columnCount { offsets[column] = shape.offsets[column] &+ UInt32(used) }
    if shape.bodies.isEmpty { return }
    shape.bodies.withUnsafeBytes { (row + used).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    used += shape.bodies.count
  }

  /// Begins a row of NULLs whose values come in column order.
  @inline(__always)
  public mutating func begin(columnCount: Int) {
    invariant(columnCount > 0 && columnCount <= CreateTable.maximumColumns, "a row of \(columnCount) columns")
    if columnCount != self.columnCount {
      self.columnCount = columnCount
      headerSize = columnCount < 0x80 ? 1 : 2
      used = 0
      ensure(headerSize + columnCount)
    }
    // A varint of one or two bytes; the codes overwrite the surplus byte.
    let count = columnCount < 0x80 ? columnCount : (columnCount & 0x7f | 0x80 | (columnCount >> 7) << 8)
    row.storeBytes(of: UInt16(count).littleEndian, as: UInt16.self)
    used = headerSize &+ columnCount
    isOrdered = true
    rowidCode = RowFormat.null
  }

  /// Makes all columns of a row that was just begun NULL, for one whose values may be left out.
  public mutating func clear() {
    (row + headerSize).initializeMemory(as: UInt8.self, repeating: RowFormat.null, count: columnCount)
  }

  /// Values do not come in column order: the row is put in order when it is finished.
  @inlinable
  public mutating func disorder() { isOrdered = false }

  /// The encoded row. Valid until the builder is used again. Cost: nothing, or one copy of a row out of order.
  @inlinable @inline(__always)
  public mutating func finish(_ shape: borrowing InsertShape) -> UnsafeRawBufferPointer {
    invariant(shape.columnCount == columnCount, "a row of \(columnCount) columns for \(shape.columnCount)")
    return finish()
  }

  /// The encoded row. Valid until the builder is used again.
  @inlinable @inline(__always)
  public mutating func finish() -> UnsafeRawBufferPointer {
    isOrdered ? UnsafeRawBufferPointer(start: row, count: used) : finishInOrder()
  }

  @usableFromInline @inline(never)
  mutating func finishInOrder() -> UnsafeRawBufferPointer {
    ordered.removeAll()
    ordered.append(UnsafeRawBufferPointer(start: row, count: headerSize + columnCount))
    for column in 0..<columnCount {
      let cell = cell(column: column)
      if cell.code == RowFormat.longText || cell.code == RowFormat.longBlob {
        ordered.append(littleEndian: UInt32(cell.size))
      }
      ordered.append(cell.bytes)
    }
    return ordered.bytes
  }

  /// The column's cell. Valid until the builder is used again.
  @inline(__always)
  public func cell(column: Int) -> Cell {
    invariant(column < columnCount, "column \(column) of \(columnCount)")
    let code = (row + headerSize).load(fromByteOffset: column, as: UInt8.self)
    // A row of NULLs may have no offsets yet.
    guard code != RowFormat.null else { return Cell(code: code, body: UnsafeRawPointer(row), size: 0) }
    let body = UnsafeRawPointer(row) + Int(offsets[column])
    return Cell(code: code, body: body, size: RowReader.bodySize(code, body))
  }

  /// What was put at `rowidPlace`, else NULL. Valid until the builder is used again.
  public var rowid: Cell {
    let body = UnsafeRawPointer(row) + Int(rowidOffset)
    return Cell(
      code: rowidCode, body: body, size: rowidCode == RowFormat.null ? 0 : RowReader.bodySize(rowidCode, body))
  }

  /// Whether the column is NULL.
  @inlinable @inline(__always)
  public func isNull(column: Int) -> Bool {
    invariant(column < columnCount, "column \(column) of \(columnCount)")
    return (row + headerSize).load(fromByteOffset: column, as: UInt8.self) == RowFormat.null
  }

  /// The integer in a column; nil when it holds something else. One load, whatever its size: the builder's slack lies
  /// behind the last body.
  @inlinable @inline(__always)
  public func integer(column: Int) -> Int64? {
    invariant(column < columnCount, "column \(column) of \(columnCount)")
    let code = (row + headerSize).load(fromByteOffset: column, as: UInt8.self)
    if code == RowFormat.zero { return 0 }
    // Codes of integers are their sizes.
    guard code &- 1 < 8 else { return nil }
    let word = row.loadUnaligned(fromByteOffset: Int(offsets[column]), as: Int64.self)
    let shift = Int64(64 &- Int(code) &* 8)
    return (Int64(littleEndian: word) << shift) >> shift
  }

  /// Appends the key encoding of these columns, in this order, to `key`.
  @inline(__always)
  public func appendKey(columns: [Int], to key: inout ByteBuffer) {
    for column in columns { KeyFormat.append(cell(column: column), to: &key) }
  }

  /// Gives a column another value after the row's values are in: a number for a NULL key, a default, a new image.
  public mutating func set(column: Int, _ value: Value) {
    invariant(column < columnCount, "column \(column) of \(columnCount)")
    isOrdered = false
    put(value, at: column)
  }

  /// Writes a whole row of values in column order and finishes it. For slow paths.
  public mutating func encode(_ values: [Value]) -> UnsafeRawBufferPointer {
    begin(columnCount: values.count)
    for (column, value) in values.enumerated() { put(value, at: column) }
    return finish()
  }

  /// Forgets a cell whose body began at `mark`: its text went on as an expression.
  @inline(__always)
  mutating func rewind(to mark: Int) { used = mark }
}

// One store per storage class. `column` -1 keeps the bytes without a place, and `rowidPlace` notes where they are; the
// row is put in order without them.
extension RowBuilder {
  public mutating func put(_ value: Value, at column: Int) {
    switch value {
    case .null: putNull(at: column)
    case .integer(let number): put(integer: number, at: column)
    case .real(let number): put(real: number, at: column)
    case .text(let bytes): bytes.withUnsafeBytes { put($0, isText: true, at: column) }
    case .blob(let bytes): bytes.withUnsafeBytes { put($0, isText: false, at: column) }
    }
  }

  @inlinable @inline(__always)
  public mutating func putNull(at column: Int) { note(RowFormat.null, at: column) }

  @inlinable @inline(__always)
  public mutating func put(integer: Int64, at column: Int) {
    ensure(0)
    // Significant bits with the sign bit, in whole bytes; none for 0.
    let size = integer == 0 ? 0 : (72 &- (integer ^ (integer >> 63)).leadingZeroBitCount) / 8
    note(size == 0 ? RowFormat.zero : UInt8(truncatingIfNeeded: size), at: column)
    row.storeBytes(of: integer.littleEndian, toByteOffset: used, as: Int64.self)
    used &+= size
  }

  @inlinable @inline(__always)
  public mutating func put(real: Double, at column: Int) {
    if real.isNaN { return putNull(at: column) }
    ensure(0)
    note(RowFormat.real, at: column)
    row.storeBytes(of: real.bitPattern.littleEndian, toByteOffset: used, as: UInt64.self)
    used &+= 8
  }

  public mutating func put(_ bytes: UnsafeRawBufferPointer, isText: Bool, at column: Int) {
    let target = open(size: bytes.count, isText: isText, at: column)
    if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
    used &+= bytes.count
  }

  /// Notes a text or blob of `size` bytes and returns where its bytes go, with room for `slack` bytes more.
  /// The caller stores them and then calls `close`.
  @inline(__always)
  mutating func open(size: Int, isText: Bool, at column: Int) -> UnsafeMutableRawPointer {
    ensure(size &+ 4)
    if size < RowFormat.shortLimit {
      let base = isText ? RowFormat.shortText : RowFormat.shortBlob
      note(base | UInt8(truncatingIfNeeded: size), at: column)
    } else {
      row.storeBytes(of: UInt32(truncatingIfNeeded: size).littleEndian, toByteOffset: used, as: UInt32.self)
      used &+= 4
      note(isText ? RowFormat.longText : RowFormat.longBlob, at: column)
    }
    return row + used
  }

  @inline(__always)
  mutating func close(size: Int) { used &+= size }

  /// The decimal digits of an integer, as INTEGER becomes TEXT.
  public mutating func put(decimal integer: Int64, at column: Int) {
    var text = String(integer)
    text.withUTF8 { put(UnsafeRawBufferPointer($0), isText: true, at: column) }
  }

  @inlinable @inline(__always)
  mutating func note(_ code: UInt8, at column: Int) {
    guard column >= 0 else { return noteRowid(code, at: column) }
    row.storeBytes(of: code, toByteOffset: headerSize &+ column, as: UInt8.self)
    offsets[column] = UInt32(truncatingIfNeeded: used)
  }

  @usableFromInline @inline(never)
  mutating func noteRowid(_ code: UInt8, at place: Int) {
    guard place == RowBuilder.rowidPlace else { return }
    rowidCode = code
    rowidOffset = UInt32(truncatingIfNeeded: used)
  }

  @inlinable @inline(__always)
  mutating func ensure(_ size: Int) {
    if room &- used < size &+ RowBuilder.slack { grow(size) }
  }

  @usableFromInline @inline(never)
  mutating func grow(_ size: Int) {
    var larger = room * 2
    while larger - used < size + RowBuilder.slack { larger *= 2 }
    let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
    moved.copyMemory(from: row, byteCount: used)
    row.deallocate()
    row = moved
    room = larger
  }
}
