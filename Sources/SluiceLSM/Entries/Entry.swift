// What an engine stores: keys with positions. The order everywhere is key ascending (memcmp, a shorter prefix first),
// then position descending, so that the newest version of a key comes first.
//
// Three packed numbers stand for an entry in hot code:
//   table    the SQL-table id that a key begins with, 4 bytes big-endian
//   order    the 16 key bytes behind it as a big-endian number, padded with zeros: decides nearly every comparison
//   trailer  position << 8 | kind
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// What an entry says about its key. The raw values are part of the table format.
public enum EntryKind: UInt8, Sendable {
  case put = 1
  case tombstone = 2
}

/// One version of one key. The buffers are valid while the snapshot or iterator that gave them lives, and until its
/// next step.
public struct Entry {
  public let key: UnsafeRawBufferPointer
  public let position: UInt64
  public let kind: EntryKind
  public let value: UnsafeRawBufferPointer
}

/// Limits of an engine.
public enum EngineLimits {
  /// Largest key in bytes: the 16 KiB of a primary key with its escapes and the SQL-table id.
  public static let keySize = 65_535
  /// Largest value in bytes: a row of 64 MiB with room for its header.
  public static let valueSize = 65 << 20
  /// Largest position: it shares 64 bits with the kind.
  public static let position: UInt64 = (1 << 56) - 1
}

@inline(__always)
func packTrailer(_ position: UInt64, _ kind: EntryKind) -> UInt64 { position << 8 | UInt64(kind.rawValue) }

/// The trailer before which stand all versions that a reader at `position` must not see.
@inline(__always)
func ceilingTrailer(at position: UInt64) -> UInt64 { min(position, EngineLimits.position) << 8 | 0xff }

/// Kinds with these bits set stand for entries of an overlay: newer than all others of their position.
let overlayBits: UInt64 = 0xfc

@inline(__always)
func isTombstone(_ trailer: UInt64) -> Bool { trailer & 3 == UInt64(EntryKind.tombstone.rawValue) }

/// Key bytes that table id and order hold together.
let rankSize = 20

/// A key that is looked for, with its packed numbers.
struct SearchKey {
  let bytes: UnsafeRawBufferPointer
  let table: UInt32
  let order: UInt128

  @inline(__always)
  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    table = tableId(bytes)
    order = keyOrder(bytes)
  }
}

/// The SQL-table id that a key begins with; missing bytes count as zero.
@inline(__always)
func tableId(_ key: UnsafeRawBufferPointer) -> UInt32 {
  if key.count >= 4 { return UInt32(bigEndian: key.loadUnaligned(as: UInt32.self)) }
  return UInt32(truncatingIfNeeded: bigEndian(key.baseAddress, key.count) >> 32)
}

/// The bytes that the keys of an SQL table or a key space begin with: its id, big-endian.
public func keyPrefix(ofTable id: UInt32) -> [UInt8] {
  (0..<4).map { UInt8(truncatingIfNeeded: id >> (24 - 8 * UInt32($0))) }
}

/// The 16 bytes behind the table id as a big-endian number, zeros behind a shorter key.
@inline(__always)
func keyOrder(_ base: UnsafeRawPointer, _ size: Int) -> UInt128 {
  if size >= rankSize { return loadOrder(base) }
  return shortKeyOrder(base, size)
}

@inline(__always)
func keyOrder(_ key: UnsafeRawBufferPointer) -> UInt128 {
  guard let base = key.baseAddress else { return 0 }
  return keyOrder(base, key.count)
}

/// The order of a key in memory of which 20 bytes may be read, whatever stands behind the key.
@inline(__always)
func paddedKeyOrder(_ base: UnsafeRawPointer, _ size: Int) -> UInt128 {
  let order = loadOrder(base)
  if size >= rankSize { return order }
  if size <= 4 { return 0 }
  let unused = UInt128(truncatingIfNeeded: (rankSize &- size) &* 8)
  return (order >> unused) << unused
}

@inline(__always)
private func loadOrder(_ base: UnsafeRawPointer) -> UInt128 {
  let high = UInt64(bigEndian: base.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
  let low = UInt64(bigEndian: base.loadUnaligned(fromByteOffset: 12, as: UInt64.self))
  return UInt128(high) << 64 | UInt128(low)
}

@inline(__always)
private func shortKeyOrder(_ base: UnsafeRawPointer, _ size: Int) -> UInt128 {
  if size <= 12 { return UInt128(bigEndian(base + 4, size &- 4)) << 64 }
  let high = UInt64(bigEndian: base.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
  // The last eight bytes overlap the eight before them; what overlaps is shifted out.
  let tail = UInt64(bigEndian: base.loadUnaligned(fromByteOffset: size &- 8, as: UInt64.self))
  return UInt128(high) << 64 | UInt128(tail << UInt64((rankSize &- size) &* 8))
}

/// Up to eight bytes as a big-endian number, zeros behind them.
@inline(__always)
func bigEndian(_ base: UnsafeRawPointer?, _ size: Int) -> UInt64 {
  var number: UInt64 = 0
  guard let base else { return 0 }
  var index = 0
  while index < size, index < 8 {
    number |= UInt64(base.load(fromByteOffset: index, as: UInt8.self)) << UInt64(56 &- index &* 8)
    index &+= 1
  }
  return number
}

/// Compares two keys whose table ids and orders are equal: negative, zero or positive.
@inline(__always)
func compareKeyTails(_ a: UnsafeRawPointer?, _ aSize: Int, _ b: UnsafeRawPointer?, _ bSize: Int) -> Int {
  if aSize > rankSize, bSize > rankSize, let a, let b {
    return compareBytes(
      UnsafeRawBufferPointer(start: a + rankSize, count: aSize &- rankSize),
      UnsafeRawBufferPointer(start: b + rankSize, count: bSize &- rankSize))
  }
  // One of them ends within the 20 bytes and is continued by zeros in the other: the shorter comes first.
  return aSize &- bSize
}

/// The least sequence of bytes greater than everything that starts with `prefix`; nil when there is none.
package func successor(ofPrefix prefix: [UInt8]) -> [UInt8]? {
  var bytes = prefix
  while let last = bytes.last {
    if last < 0xff {
      bytes[bytes.count - 1] = last + 1
      return bytes
    }
    bytes.removeLast()
  }
  return nil
}

/// memcmp order of two arrays.
func compareKeys(_ a: [UInt8], _ b: [UInt8]) -> Int {
  a.withUnsafeBytes { first in b.withUnsafeBytes { second in compareBytes(first, second) } }
}
