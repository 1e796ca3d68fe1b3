// The encoded row: the value of an engine entry, and what a batch carries.
// Unsafe by nature: named in the tidy test. A reader walks and bounds-checks a row once, then reads columns without.
//
//   row    := columnCount codes bodies
//   field        size           meaning, reason
//   columnCount  varint (1-2)   columns in the row, 1...1024; a row written before columns were added has fewer
//   codes        1 each         storage class and size of each column: a column is found without decoding others
//   bodies       by code        in column order
//
//   code         body           value
//   0x00         none           NULL
//   0x01...0x08  n bytes        integer, two's complement, little-endian, the smallest n that holds it
//   0x09         none           integer 0, the most frequent one
//   0x0A         8 bytes        real, IEEE 754 little-endian
//   0x0B         u32 + bytes    text of 64 bytes or more: size, then UTF-8
//   0x0C         u32 + bytes    blob of 64 bytes or more: size, then bytes
//   0x40 + n     n bytes        text of n = 0...63 bytes
//   0x80 + n     n bytes        blob of n = 0...63 bytes
//
// Limits: a row is at most 64 MiB (`RowFormat.maximumSize`), so offsets fit in 32 bits.
// Any other code, a body past the end and bytes behind the last body make the row corrupt: `locate` returns false.
// A sign-extended integer with needless bytes is read; no writer makes one.
//
// Example: (1, -2, 300, 0, NULL, 1.5, 'ab', X'00ff')
//   08 | 01 01 02 09 00 0a 42 82 | 01 | fe | 2c 01 | 00 00 00 00 00 00 f8 3f | 61 62 | 00 ff
import SluiceSystem

public enum RowFormat {
  /// Most bytes of an encoded row.
  public static let maximumSize = 64 << 20

  public static let null: UInt8 = 0x00
  public static let zero: UInt8 = 0x09
  public static let real: UInt8 = 0x0a
  public static let longText: UInt8 = 0x0b
  public static let longBlob: UInt8 = 0x0c
  public static let shortText: UInt8 = 0x40
  public static let shortBlob: UInt8 = 0x80
  /// Texts and blobs below this size keep it in their code.
  static let shortLimit = 64

  /// The storage class that a code stands for.
  public enum StorageClass: Sendable {
    case null
    case integer
    case real
    case text
    case blob
  }

  /// The storage class of a valid code.
  @inlinable @inline(__always)
  public static func storageClass(_ code: UInt8) -> StorageClass {
    if code >= shortBlob { return .blob }
    if code >= shortText { return .text }
    switch code {
    case null: return .null
    case real: return .real
    case longText: return .text
    case longBlob: return .blob
    default: return .integer
    }
  }
}

/// One column of a row: its code and where its body stands. A text's size is that of its bytes.
public struct Cell {
  public let code: UInt8
  public let body: UnsafeRawPointer
  public let size: Int

  @inlinable @inline(__always)
  public init(code: UInt8, body: UnsafeRawPointer, size: Int) {
    self.code = code
    self.body = body
    self.size = size
  }

  @inlinable public var storageClass: RowFormat.StorageClass { RowFormat.storageClass(code) }
  @inlinable public var isNull: Bool { code == RowFormat.null }
  @inlinable public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: body, count: size) }

  /// The integer of an integer cell.
  @inlinable @inline(__always)
  public var integer: Int64 {
    guard code != RowFormat.zero else { return 0 }
    var value = Int64(body.load(fromByteOffset: size &- 1, as: Int8.self))
    var i = size &- 2
    while i >= 0 {
      value = value << 8 | Int64(body.load(fromByteOffset: i, as: UInt8.self))
      i &-= 1
    }
    return value
  }

  /// The real of a real cell.
  @inlinable @inline(__always)
  public var real: Double {
    Double(bitPattern: UInt64(littleEndian: body.loadUnaligned(as: UInt64.self)))
  }

  /// A copy of the value, for slow paths.
  public var value: Value {
    switch storageClass {
    case .null: .null
    case .integer: .integer(integer)
    case .real: .real(real)
    case .text: .text(Array(bytes))
    case .blob: .blob(Array(bytes))
    }
  }
}

/// Reads an encoded row. `locate` checks it whole and notes where the bodies stand; `cell` then costs a few loads.
public struct RowReader {
  @usableFromInline let bytes: UnsafeRawBufferPointer
  @usableFromInline let codesOffset: Int
  /// Columns of the row; 0: the row is corrupt.
  public let columnCount: Int

  /// Reads the column count only.
  @inlinable
  public init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    var reader = ByteReader(bytes)
    let count = reader.readVarint()
    codesOffset = reader.offset
    let isSane = !reader.failed && count <= UInt64(CreateTable.maximumColumns) && Int(count) <= reader.remaining
    columnCount = isSane ? Int(count) : 0
  }

  /// Checks the whole row and stores the offset of each body, without its size field, into `offsets`, which has
  /// room for `columnCount`. False: the row is corrupt. Cost: one step per column.
  @inlinable
  public func locate(into offsets: UnsafeMutablePointer<UInt32>) -> Bool {
    guard let end = locateEnd(into: offsets, count: columnCount) else { return false }
    return end == bytes.count
  }

  /// The same for the first `count` columns, at most all: what stands behind them is not looked at.
  @inlinable @inline(__always)
  public func locate(into offsets: UnsafeMutablePointer<UInt32>, count: Int) -> Bool {
    locateEnd(into: offsets, count: count) != nil
  }

  /// Where the body of column `count` would begin; nil: the row is corrupt.
  @inlinable @inline(__always)
  func locateEnd(into offsets: UnsafeMutablePointer<UInt32>, count: Int) -> Int? {
    guard columnCount > 0, let base = bytes.baseAddress, bytes.count <= RowFormat.maximumSize else { return nil }
    var body = codesOffset &+ columnCount
    for column in 0..<count {
      let code = base.load(fromByteOffset: codesOffset &+ column, as: UInt8.self)
      if code == RowFormat.longText || code == RowFormat.longBlob {
        guard bytes.count &- body >= 4 else { return nil }
        let size = Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: body, as: UInt32.self)))
        body &+= 4
        offsets[column] = UInt32(truncatingIfNeeded: body)
        body &+= size
      } else {
        guard let size = RowReader.fixedSize(code) else { return nil }
        offsets[column] = UInt32(truncatingIfNeeded: body)
        body &+= size
      }
      guard body <= bytes.count else { return nil }
    }
    return body
  }

  /// The column's cell, after `locate` returned true. `column` is below `columnCount`.
  @inlinable @inline(__always)
  public func cell(_ column: Int, _ offsets: UnsafePointer<UInt32>) -> Cell {
    let base = bytes.baseAddress.unsafelyUnwrapped
    let code = base.load(fromByteOffset: codesOffset &+ column, as: UInt8.self)
    let body = base + Int(offsets[column])
    return Cell(code: code, body: body, size: RowReader.bodySize(code, body))
  }

  /// A copy of all values, or nil for a corrupt row. For slow paths and tests.
  public func values() -> [Value]? {
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: max(columnCount, 1)) { offsets in
      guard let start = offsets.baseAddress, locate(into: start) else { return nil }
      return (0..<columnCount).map { cell($0, start).value }
    }
  }

  /// Size of the body that a code fixes by itself; nil for long texts and blobs and for unknown codes.
  @inlinable @inline(__always)
  static func fixedSize(_ code: UInt8) -> Int? {
    if code >= 0xc0 { return nil }
    if code >= RowFormat.shortText { return Int(code & 0x3f) }
    if code <= 8 { return Int(code) }
    if code == RowFormat.zero { return 0 }
    return code == RowFormat.real ? 8 : nil
  }

  /// Size of a checked cell's body; a long one's stands in front of it.
  @inlinable @inline(__always)
  static func bodySize(_ code: UInt8, _ body: UnsafeRawPointer) -> Int {
    fixedSize(code)
      ?? Int(UInt32(littleEndian: body.loadUnaligned(fromByteOffset: -4, as: UInt32.self)))
  }
}
