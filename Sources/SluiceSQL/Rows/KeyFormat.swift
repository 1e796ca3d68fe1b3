// The encoded key: memcmp of two keys orders them as SQLite compares their values, column by column, with BINARY
// collation: NULL < numbers < texts < blobs. 1 and 1.0 are one key.
// Unsafe by nature: named in the tidy test.
//
//   value                bytes
//   NULL                 05                                      also NaN, which SQLite reads as NULL
//   -inf ... -2^63       14 ~bits                                below -2^63; IEEE bits, 8 bytes, inverted
//   v < 0                (1F - n) ~m ~00 | (1F - n) ~m ~01 ~f    m = |v| cut to an integer, in its n = 0...8 bytes
//   v >= 0               (20 + n) m 00   | (20 + n) m 01 f       f = IEEE bits of |v| - m, 8 bytes; 00: v is integral
//   2^63 ... inf         2A bits                                 reals from 2^63 on
//   text                 30 bytes 00 00                          each 00 in the bytes is written 00 FF
//   blob                 40 bytes 00 00                          likewise
//   (m, f and bits are big-endian; ~ inverts each bit.)
//
// Why the order holds. Numbers: the tag orders by sign and size of m, then m, then the marker (integral before any
// fraction of the same m), then f, for IEEE bits of positive reals rise with the value; both |v| - m and m are exact,
// so two numbers get the same bytes only if they are equal. Negative ones invert all of that. A real that is an
// Int64 is encoded as one, -2^63 included; only reals outside have the tags 14 and 2A, and lie beyond all others.
// Texts and blobs: the first difference decides, and 00 00 is below 00 FF and below any other byte, so a prefix comes
// first. No encoding is a prefix of another, so a difference in one column is never decided by the next one.
//
// Limits: a key is at most 16 KiB (`KeyFormat.maximumSize`). A decoder reports any other byte as corruption.
//
// Example: (NULL, 1, -2, 0.5, 'a', X'0061')
//   05 | 21 01 00 | 1e fd ff | 20 01 3f e0 00 00 00 00 00 00 | 30 61 00 00 | 40 00 ff 61 00 00
import SluiceSystem

public enum KeyFormat {
  /// Most bytes of an encoded primary key.
  public static let maximumSize = 16 << 10

  static let null: UInt8 = 0x05
  static let belowIntegers: UInt8 = 0x14
  @usableFromInline static let negative: UInt8 = 0x1f
  @usableFromInline static let positive: UInt8 = 0x20
  static let aboveIntegers: UInt8 = 0x2a
  static let text: UInt8 = 0x30
  static let blob: UInt8 = 0x40
  @usableFromInline static let integral: UInt8 = 0x00
  @usableFromInline static let fractional: UInt8 = 0x01

  /// Appends a row's cell to a key. Cost: a few stores; texts and blobs byte by byte only where they hold zeros.
  @inline(__always)
  public static func append(_ cell: Cell, to key: inout ByteBuffer) {
    switch RowFormat.storageClass(cell.code) {
    case .null: key.append(byte: null)
    case .integer: append(integer: cell.integer, to: &key)
    case .real: append(real: cell.real, to: &key)
    case .text: append(cell.bytes, tag: text, to: &key)
    case .blob: append(cell.bytes, tag: blob, to: &key)
    }
  }

  /// Appends a value to a key. For slow paths.
  public static func append(_ value: Value, to key: inout ByteBuffer) {
    switch value {
    case .null: key.append(byte: null)
    case .integer(let number): append(integer: number, to: &key)
    case .real(let number): append(real: number, to: &key)
    case .text(let bytes): bytes.withUnsafeBytes { append($0, tag: text, to: &key) }
    case .blob(let bytes): bytes.withUnsafeBytes { append($0, tag: blob, to: &key) }
    }
  }

  /// Appends a text, without a copy of its own.
  public static func append(text bytes: UnsafeRawBufferPointer, to key: inout ByteBuffer) {
    append(bytes, tag: text, to: &key)
  }

  /// Appends a blob, without a copy of its own.
  public static func append(blob bytes: UnsafeRawBufferPointer, to key: inout ByteBuffer) {
    append(bytes, tag: blob, to: &key)
  }

  @inlinable @inline(__always)
  public static func append(integer: Int64, to key: inout ByteBuffer) {
    append(magnitude: integer.magnitude, isNegative: integer < 0, fraction: 0, to: &key)
  }

  /// Integers from 0 up to this one have encodings that fit in a word.
  public static let wordLimit: Int64 = 1 << 48 - 1

  /// The encoding of an integer of 0 … `wordLimit`: its bytes from the word's lowest one on, with zeros above.
  @inlinable @inline(__always)
  public static func word(of integer: Int64) -> (bytes: UInt64, size: Int) {
    let magnitude = UInt64(bitPattern: integer)
    let size = (71 &- magnitude.leadingZeroBitCount) / 8
    let tag = UInt64(truncatingIfNeeded: Int(positive) &+ size) << 56
    return ((tag | magnitude << UInt64(truncatingIfNeeded: 56 &- size &* 8)).byteSwapped, size &+ 2)
  }

  public static func append(real: Double, to key: inout ByteBuffer) {
    if real.isNaN { return key.append(byte: null) }
    if real >= 0x1p63 {
      key.append(byte: aboveIntegers)
      key.append(bigEndian: real.bitPattern)
    } else if real < -0x1p63 {
      key.append(byte: belowIntegers)
      key.append(bigEndian: ~real.bitPattern)
    } else {
      let size = real.magnitude
      let whole = UInt64(size)
      append(magnitude: whole, isNegative: real < 0, fraction: size - Double(whole), to: &key)
    }
  }

  /// Tag, magnitude, marker and fraction; for a negative number the tag counts down and the rest is inverted.
  @inlinable @inline(__always)
  static func append(magnitude: UInt64, isNegative: Bool, fraction: Double, to key: inout ByteBuffer) {
    let size = (71 &- magnitude.leadingZeroBitCount) / 8
    let flip: UInt64 = isNegative ? ~0 : 0
    let target = key.reserve(24)
    target.storeBytes(of: isNegative ? negative &- UInt8(size) : positive &+ UInt8(size), as: UInt8.self)
    // The significant bytes moved to the top, big-endian: the store's surplus bytes are overwritten or not claimed.
    let shifted = size == 0 ? 0 : (magnitude ^ flip) << UInt64(64 &- size &* 8)
    target.storeBytes(of: shifted.bigEndian, toByteOffset: 1, as: UInt64.self)
    let marker = (fraction == 0 ? integral : fractional) ^ UInt8(truncatingIfNeeded: flip)
    target.storeBytes(of: marker, toByteOffset: 1 &+ size, as: UInt8.self)
    if fraction == 0 { return key.advance(2 &+ size) }
    target.storeBytes(of: (fraction.bitPattern ^ flip).bigEndian, toByteOffset: 2 &+ size, as: UInt64.self)
    key.advance(10 &+ size)
  }

  @inline(__always)
  private static func append(_ bytes: UnsafeRawBufferPointer, tag: UInt8, to key: inout ByteBuffer) {
    key.append(byte: tag)
    var start = 0
    for i in 0..<bytes.count where bytes[i] == 0 {
      key.append(UnsafeRawBufferPointer(rebasing: bytes[start..<(i + 1)]))
      key.append(byte: 0xff)
      start = i + 1
    }
    key.append(UnsafeRawBufferPointer(rebasing: bytes[start...]))
    key.append(littleEndian: UInt16(0))
  }
}

/// Takes an encoded key apart into the ranges of its columns, without decoding them.
public struct KeyParts {
  private let key: UnsafeRawBufferPointer
  private var offset: Int

  public init(_ key: UnsafeRawBufferPointer, offset: Int = 0) {
    self.key = key
    self.offset = offset
  }

  /// The next column's bytes; empty at the end of the key, and where the bytes are no key.
  public mutating func next() -> Range<Int> {
    let start = offset
    guard start < key.count else { return start..<start }
    let tag = key[start]
    switch tag {
    case KeyFormat.null: offset += 1
    case KeyFormat.belowIntegers, KeyFormat.aboveIntegers: offset += 9
    case KeyFormat.text, KeyFormat.blob: skipBytes()
    case KeyFormat.positive...(KeyFormat.positive + 8): skipNumber(Int(tag - KeyFormat.positive), flip: 0)
    case (KeyFormat.negative - 8)...KeyFormat.negative: skipNumber(Int(KeyFormat.negative - tag), flip: 0xff)
    default: offset = key.count
    }
    offset = min(offset, key.count)
    return start..<offset
  }

  private mutating func skipNumber(_ size: Int, flip: UInt8) {
    let marker = offset + 1 + size
    offset = marker + 1
    if marker < key.count, key[marker] ^ flip == KeyFormat.fractional { offset += 8 }
  }

  private mutating func skipBytes() {
    offset += 1
    while offset < key.count {
      if key[offset] != 0 {
        offset += 1
      } else if offset + 1 < key.count, key[offset + 1] == 0 {
        offset += 2
        return
      } else {
        offset += 2
      }
    }
  }
}

/// Takes an encoded key apart into values. A number that is integral comes back as an integer, whatever it was.
public struct KeyDecoder {
  private var reader: ByteReader
  /// Whether the bytes read so far are no key.
  public private(set) var failed = false

  public init(_ key: UnsafeRawBufferPointer, offset: Int = 0) {
    reader = ByteReader(key, offset: offset)
  }

  /// The next column's value; nil at the end of the key and, with `failed` set, at bytes that are no key.
  public mutating func next() -> Value? {
    guard !failed, reader.remaining > 0 else { return nil }
    let value = decode(reader.readByte())
    if value == nil || reader.failed {
      failed = true
      return nil
    }
    return value
  }

  private mutating func decode(_ tag: UInt8) -> Value? {
    switch tag {
    case KeyFormat.null: return .null
    case KeyFormat.text: return readBytes().map(Value.text)
    case KeyFormat.blob: return readBytes().map(Value.blob)
    case KeyFormat.aboveIntegers:
      let real = Double(bitPattern: readBigEndian(8))
      return real >= 0x1p63 ? .real(real) : nil
    case KeyFormat.belowIntegers:
      let real = Double(bitPattern: ~readBigEndian(8))
      return real < -0x1p63 ? .real(real) : nil
    case KeyFormat.positive...(KeyFormat.positive + 8): return readNumber(Int(tag - KeyFormat.positive), flip: 0)
    case (KeyFormat.negative - 8)...KeyFormat.negative: return readNumber(Int(KeyFormat.negative - tag), flip: ~0)
    default: return nil
    }
  }

  private mutating func readBigEndian(_ size: Int) -> UInt64 {
    var value: UInt64 = 0
    for _ in 0..<size { value = value << 8 | UInt64(reader.readByte()) }
    return value
  }

  private mutating func readNumber(_ size: Int, flip: UInt64) -> Value? {
    let mask = size == 8 ? ~0 : (UInt64(1) << UInt64(size * 8)) - 1
    let magnitude = (readBigEndian(size) ^ flip) & mask
    let marker = reader.readByte() ^ UInt8(truncatingIfNeeded: flip)
    let isNegative = flip != 0
    if marker == KeyFormat.integral {
      if isNegative {
        return magnitude > 0 && magnitude <= 1 << 63 ? .integer(Int64(truncatingIfNeeded: 0 &- magnitude)) : nil
      }
      return Int64(exactly: magnitude).map(Value.integer)
    }
    guard marker == KeyFormat.fractional else { return nil }
    let fraction = Double(bitPattern: readBigEndian(8) ^ flip)
    guard fraction > 0, fraction < 1, magnitude < 1 << 53 else { return nil }
    let value = Double(magnitude) + fraction
    return .real(isNegative ? -value : value)
  }

  private mutating func readBytes() -> [UInt8]? {
    var result: [UInt8] = []
    while !reader.failed {
      let byte = reader.readByte()
      if byte != 0 {
        result.append(byte)
        continue
      }
      switch reader.readByte() {
      case 0x00: return reader.failed ? nil : result
      case 0xff: result.append(0)
      default: return nil
      }
    }
    return nil
  }
}
