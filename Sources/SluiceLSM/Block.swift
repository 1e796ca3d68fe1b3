// A block: about 4 KiB of entries in order, the unit of reading, checking and caching. Data blocks and the index of a
// table have the same form.
//
//   content  8   base     position of the first entry, so that the others need only a difference
//            …   entries
//            4n  restarts offset in the content of each entry that is stored whole: every 16th (index: every one)
//            4   n        count of restarts, at least 1
//   trailer  1   type     0 = content as it is; 1 is reserved for LZ4; others are refused
//            4   CRC32C   of content and type
//
//   entry    v   shared   bytes that the key has in common with the key before; 0 at a restart
//            v   unshared bytes of the key that follow
//            v   size     of the value
//            v   tag      zigzag(position - base) << 2 | kind (1 put, 2 tombstone)
//            …   unshared key bytes, then the value
//
// v is an unsigned LEB128 varint, all fixed integers are little-endian. User keys are compared by memcmp and positions
// as numbers, one after the other, so keys may be prefixes of one another.
// Limits: key 65,535 bytes, value 65 MiB, block below 4 GiB; a block holds at least one entry, and is cut when it has
// reached 4 KiB, so a large value has a block of its own.
// A reader checks the CRC once, when the block comes from the file, and every number again when it is used: a number
// that leads outside the block makes the block corrupt, never a read elsewhere.
//
// Example: base 7, put "ab" = "x" at position 7, tombstone "ac" at position 9:
//   0700000000000000  00020101 6162 78  01010012 63  08000000 01000000  00  crc
// (tag 01: difference 0, put; tag 12: zigzag(2) = 4, shifted by 2, tombstone)
// Unsafe by nature: named in the tidy test.
import SluiceSystem

enum BlockFormat {
  static let targetSize = 4096
  static let restartInterval = 16
  static let trailerSize = 5
  static let headSize = 8
  static let plain: UInt8 = 0
  /// Smallest content: head, one entry of four bytes, one restart, the count.
  static let leastSize = headSize + 4 + 4 + 4
}

/// Writes blocks one after the other into a buffer.
struct BlockBuilder: ~Copyable {
  private let restartInterval: Int
  private var start = 0
  private var restarts: [UInt32] = []
  private var sinceRestart = 0
  private var base: UInt64 = 0
  private var lastKey = ByteBuffer(capacity: 256)
  private(set) var entryCount = 0

  init(restartInterval: Int) { self.restartInterval = restartInterval }

  /// The last key added since `begin`. Valid until the next `add`.
  var last: UnsafeRawBufferPointer { lastKey.bytes }

  /// Content bytes so far.
  func size(in output: borrowing ByteBuffer) -> Int { entryCount == 0 ? 0 : output.count - start + restarts.count * 4 }

  /// Adds an entry behind the others; a first one begins the block at the end of `output`. No allocation.
  mutating func add(
    _ key: UnsafeRawBufferPointer, trailer: UInt64, value: UnsafeRawBufferPointer, to output: inout ByteBuffer
  ) {
    let position = trailer >> 8
    var shared = 0
    if entryCount == 0 {
      start = output.count
      base = position
      output.append(littleEndian: base)
    }
    if entryCount == 0 || sinceRestart == restartInterval {
      restarts.append(UInt32(output.count - start))
      sinceRestart = 0
    } else {
      shared = commonPrefix(lastKey.bytes, key)
    }
    let unshared = key.count - shared
    let target = output.reserve(40 + unshared + value.count)
    var size = storeVarint(UInt64(shared), to: target)
    size &+= storeVarint(UInt64(unshared), to: target + size)
    size &+= storeVarint(UInt64(value.count), to: target + size)
    let difference = Int64(bitPattern: position &- base)
    let zigzag = UInt64(bitPattern: difference << 1 ^ difference >> 63)
    size &+= storeVarint(zigzag << 2 | trailer & 3, to: target + size)
    if unshared > 0 { (target + size).copyMemory(from: key.baseAddress! + shared, byteCount: unshared) }
    size &+= unshared
    if let bytes = value.baseAddress { (target + size).copyMemory(from: bytes, byteCount: value.count) }
    output.advance(size + value.count)
    lastKey.removeAll()
    lastKey.append(key)
    sinceRestart += 1
    entryCount += 1
  }

  /// Ends the block: restarts and trailer. Returns the size of its content.
  mutating func finish(in output: inout ByteBuffer) -> Int {
    for restart in restarts { output.append(littleEndian: restart) }
    output.append(littleEndian: UInt32(restarts.count))
    let size = output.count - start
    appendBlockTrailer(to: &output, from: start)
    restarts.removeAll(keepingCapacity: true)
    sinceRestart = 0
    entryCount = 0
    return size
  }
}

/// Closes a block whose content begins at `start`.
func appendBlockTrailer(to output: inout ByteBuffer, from start: Int) {
  output.append(byte: BlockFormat.plain)
  let sum = checksum(UnsafeRawBufferPointer(rebasing: output.bytes[start...]))
  output.append(littleEndian: sum)
}

/// What is wrong with a block with its trailer, or nil.
func blockDamage(_ bytes: UnsafeRawBufferPointer) -> String? {
  let size = bytes.count - BlockFormat.trailerSize
  if size < 0 { return "block of \(bytes.count) bytes" }
  let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: size + 1, as: UInt32.self))
  let computed = checksum(UnsafeRawBufferPointer(rebasing: bytes[..<(size + 1)]))
  if stored != computed { return "block checksum \(computed), stored \(stored)" }
  if bytes[size] != BlockFormat.plain { return "unknown block type \(bytes[size])" }
  return nil
}

/// Bytes that two keys have in common, from the front.
@inline(__always)
func commonPrefix(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
  let size = min(a.count, b.count)
  guard size > 0, let first = a.baseAddress, let second = b.baseAddress else { return 0 }
  var index = 0
  while index &+ 8 <= size {
    let difference =
      first.loadUnaligned(fromByteOffset: index, as: UInt64.self)
      ^ second.loadUnaligned(fromByteOffset: index, as: UInt64.self)
    if difference != 0 { return index &+ UInt64(littleEndian: difference).trailingZeroBitCount / 8 }
    index &+= 8
  }
  while index < size,
    first.load(fromByteOffset: index, as: UInt8.self) == second.load(fromByteOffset: index, as: UInt8.self)
  {
    index &+= 1
  }
  return index
}

/// Memory of a block, checked when it was read; shared by the cache and whoever reads it. Never changes
/// (`@unchecked Sendable`).
final class BlockMemory: @unchecked Sendable {
  let bytes: UnsafeMutableRawBufferPointer

  init(size: Int) { bytes = .allocate(byteCount: size, alignment: 16) }

  deinit { bytes.deallocate() }

  var byteCount: Int { bytes.count }

  /// The content without the trailer.
  var content: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: bytes.baseAddress, count: bytes.count - BlockFormat.trailerSize)
  }
}
