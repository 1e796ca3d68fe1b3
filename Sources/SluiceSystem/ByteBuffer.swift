// A growable run of bytes outside Swift's arrays: no reference count and no zeroing on the row path.
// Unsafe by nature: named in the tidy test.
import CSystem

/// Owns `capacity` bytes of which `count` are written. Grows by doubling; never shrinks until `reset`.
public struct ByteBuffer: ~Copyable, @unchecked Sendable {
  @usableFromInline var start: UnsafeMutableRawPointer
  @usableFromInline var used: Int
  @usableFromInline var room: Int

  public init(capacity: Int = 256) {
    room = max(capacity, 16)
    start = .allocate(byteCount: room, alignment: 16)
    used = 0
  }

  deinit { start.deallocate() }

  /// Has the system back the first `size` bytes of the memory now, which are about to be filled: a fault for each of
  /// their pages costs more.
  public func populate(_ size: Int) { csystem_populate(start, min(size, room)) }

  /// Where the content begins. Valid until the next mutation.
  @inlinable public var base: UnsafeMutableRawPointer { start }
  /// Size of the content in bytes.
  @inlinable public var count: Int { used }
  /// Bytes that fit before the memory moves.
  @inlinable public var capacity: Int { room }

  /// What is written. Valid until the next mutation.
  @inlinable public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: used) }

  /// Forgets the content, keeps the memory.
  @inlinable public mutating func removeAll() { used = 0 }

  /// Cuts the content back to `count` bytes.
  public mutating func truncate(to count: Int) {
    invariant(count <= used, "truncate to \(count) of \(used) bytes")
    used = count
  }

  /// Makes the content the least run of bytes above all that begin with it; false when it is empty or all FF, and then
  /// it is empty.
  @discardableResult
  public mutating func advanceToSuccessor() -> Bool {
    while used > 0 {
      let last = start.load(fromByteOffset: used - 1, as: UInt8.self)
      if last < 0xff {
        start.storeBytes(of: last + 1, toByteOffset: used - 1, as: UInt8.self)
        return true
      }
      used -= 1
    }
    return false
  }

  /// Room for `size` more bytes, to be filled through the returned pointer and claimed by `advance`.
  @inlinable @inline(__always)
  public mutating func reserve(_ size: Int) -> UnsafeMutableRawPointer {
    if room &- used < size { grow(size) }
    return start + used
  }

  /// Counts `size` bytes, written through `reserve`, as content.
  @inlinable @inline(__always)
  public mutating func advance(_ size: Int) {
    used &+= size
  }

  @inline(never)
  @usableFromInline
  mutating func grow(_ size: Int) {
    var larger = room * 2
    while larger - used < size { larger *= 2 }
    let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
    moved.copyMemory(from: start, byteCount: used)
    start.deallocate()
    start = moved
    room = larger
  }

  @inlinable @inline(__always)
  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress else { return }
    reserve(bytes.count).copyMemory(from: source, byteCount: bytes.count)
    used &+= bytes.count
  }

  public mutating func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { append($0) }
  }

  @inlinable @inline(__always)
  public mutating func append(byte: UInt8) {
    reserve(1).storeBytes(of: byte, as: UInt8.self)
    used &+= 1
  }

  /// Appends an integer in little-endian order.
  @inlinable @inline(__always)
  public mutating func append<T: FixedWidthInteger>(littleEndian value: T) {
    reserve(MemoryLayout<T>.size).storeBytes(of: value.littleEndian, as: T.self)
    used &+= MemoryLayout<T>.size
  }

  /// Appends an integer in big-endian order: memcmp then orders unsigned values.
  @inlinable @inline(__always)
  public mutating func append<T: FixedWidthInteger>(bigEndian value: T) {
    reserve(MemoryLayout<T>.size).storeBytes(of: value.bigEndian, as: T.self)
    used &+= MemoryLayout<T>.size
  }

  /// Appends an unsigned LEB128 varint (1 to 10 bytes).
  @inlinable @inline(__always)
  public mutating func append(varint value: UInt64) {
    let target = reserve(10)
    used &+= storeVarint(value, to: target)
  }

  /// Overwrites four bytes at `offset`, little-endian.
  public mutating func overwrite(littleEndian value: UInt32, at offset: Int) {
    invariant(offset + 4 <= count, "overwrite at \(offset) of \(count) bytes")
    start.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
  }
}

/// Stores an unsigned LEB128 varint at `target` (room for 10 bytes); returns its size.
@inlinable @inline(__always)
public func storeVarint(_ value: UInt64, to target: UnsafeMutableRawPointer) -> Int {
  var rest = value
  var size = 0
  while rest >= 0x80 {
    target.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: size, as: UInt8.self)
    rest >>= 7
    size &+= 1
  }
  target.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: size, as: UInt8.self)
  return size &+ 1
}

/// Size in bytes of the LEB128 varint of `value`: 1 to 10.
@inlinable @inline(__always)
public func varintSize(_ value: UInt64) -> Int {
  (70 &- (value | 1).leadingZeroBitCount) / 7
}

/// Reads bytes front to back with bounds checked; a read past the end sets `failed` and returns zero or nothing.
public struct ByteReader {
  public let bytes: UnsafeRawBufferPointer
  public var offset: Int
  /// Whether a read went past the end.
  public var failed = false

  @inlinable
  public init(_ bytes: UnsafeRawBufferPointer, offset: Int = 0) {
    self.bytes = bytes
    self.offset = offset
  }

  @inlinable public var remaining: Int { bytes.count - offset }

  @inlinable
  public mutating func readByte() -> UInt8 {
    guard remaining >= 1 else { return fail(0) }
    offset &+= 1
    return bytes[offset &- 1]
  }

  @inlinable
  public mutating func readLittleEndian<T: FixedWidthInteger>(_ type: T.Type) -> T {
    guard remaining >= MemoryLayout<T>.size else { return fail(0) }
    let value = T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    offset &+= MemoryLayout<T>.size
    return value
  }

  @inlinable
  public mutating func readVarint() -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while offset < bytes.count, shift < 64 {
      let byte = bytes[offset]
      offset &+= 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift &+= 7
    }
    return fail(0)
  }

  @inlinable
  public mutating func read(_ size: Int) -> UnsafeRawBufferPointer {
    guard size >= 0, remaining >= size else { return fail(UnsafeRawBufferPointer(start: nil, count: 0)) }
    offset &+= size
    return UnsafeRawBufferPointer(rebasing: bytes[(offset &- size)..<offset])
  }

  /// A varint size followed by that many bytes.
  @inlinable
  public mutating func readSized() -> UnsafeRawBufferPointer {
    let size = readVarint()
    return read(size > UInt64(remaining) ? -1 : Int(size))
  }

  @inlinable
  mutating func fail<T>(_ value: T) -> T {
    failed = true
    return value
  }
}

/// Whether the `count` bytes at `a` and at `b` are equal, eight at a time and without a call: for runs of some dozen
/// bytes that nearly always are.
@inlinable @inline(__always)
public func equalBytes(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, count: Int) -> Bool {
  if count < 8 {
    for offset in 0..<count
    where a.load(fromByteOffset: offset, as: UInt8.self) != b.load(fromByteOffset: offset, as: UInt8.self) {
      return false
    }
    return true
  }
  // The last word may overlap the one before.
  let last = count &- 8
  var offset = 0
  while offset < last {
    let isSame =
      a.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      == b.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    if !isSame { return false }
    offset &+= 8
  }
  return a.loadUnaligned(fromByteOffset: last, as: UInt64.self)
    == b.loadUnaligned(fromByteOffset: last, as: UInt64.self)
}

/// memcmp order of two runs of bytes, a shorter prefix first: negative, zero or positive.
@inlinable @inline(__always)
public func compareBytes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
  let size = min(a.count, b.count)
  if size > 0 {
    let order = Int(csystem_compare(a.baseAddress.unsafelyUnwrapped, b.baseAddress.unsafelyUnwrapped, size))
    if order != 0 { return order }
  }
  return a.count &- b.count
}
