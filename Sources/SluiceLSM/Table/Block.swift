// A block: about 4 KiB of entries in order, the unit of reading, checking, compressing and caching.
//
//   content  8   base     position of the first entry, so that the others need only a difference
//            …   heads    of the entries, in order
//            …   values   of the entries, in order, one behind the other
//            8n  restarts of each entry whose key is stored whole (every 16th): 4 offset of its head in the content,
//                         4 offset of its value
//            4   n        count of restarts, at least 1
//   trailer  1   type     0 = content as it is; 1 = LZ4: 4 size of the content, then one LZ4 block; others are refused
//            4   CRC32C   of the stored content and the type
//
//   head     v   shared   bytes that the key has in common with the key before; 0 at a restart
//            v   unshared bytes of the key that follow
//            v   size     of the value
//            v   tag      zigzag(position - base) << 2 | kind (1 put, 2 tombstone)
//            …   unshared key bytes
//
// v is an unsigned LEB128 varint, all fixed integers are little-endian. User keys are compared by memcmp and positions
// as numbers, one after the other, so keys may be prefixes of one another. Keys and values stand apart because a search
// then touches a few lines of memory and not the whole block. The values begin where the first restart says.
// LZ4 is kept only where it saves an eighth.
// Limits: key 65,535 bytes, value 65 MiB, block below 4 GiB; a block holds at least one entry, and is cut when it has
// reached 4 KiB, so a large value has a block of its own.
// A reader checks the CRC once, when the block comes from the file, and every number again when it is used: a number
// that leads outside the block makes the block corrupt, never a read elsewhere.
//
// Example: base 7, put "ab" = "x" at position 7, tombstone "ac" at position 9:
//   0700000000000000  00020101 6162  01010012 63  78  08000000 13000000 01000000  00  crc
// (tag 01: difference 0, put; tag 12: zigzag(2) = 4, shifted by 2, tombstone)
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// How an engine stores blocks.
public enum Compression: Sendable {
  case none
  /// LZ4 where it saves an eighth of the block.
  case lz4
}

enum BlockFormat {
  static let targetSize = 4096
  static let restartInterval = 16
  static let trailerSize = 5
  static let headSize = 8
  static let restartSize = 8
  static let plain: UInt8 = 0
  static let lz4: UInt8 = 1
  /// Smallest content: base, one head of four bytes, one restart, the count.
  static let leastSize = headSize + 4 + restartSize + 4
  /// Largest content a reader makes room for: a value of its own, its key, and some.
  static let largestSize = EngineLimits.valueSize + EngineLimits.keySize + 4096
}

/// Writes blocks one after the other into a buffer.
struct BlockBuilder: ~Copyable {
  private let compression: Compression
  private var start = 0
  private var values = ByteBuffer(capacity: 2 * BlockFormat.targetSize)
  /// Of each restart the offset of its head, and that of its value behind the first value.
  private var restarts = ByteBuffer(capacity: 256)
  private var sinceRestart = 0
  private var base: UInt64 = 0
  private var lastKey = ByteBuffer(capacity: 256)
  private var scratch = ByteBuffer(capacity: 16)
  private(set) var entryCount = 0

  init(compression: Compression = .none) { self.compression = compression }

  /// The last key added, or remembered. Valid until the next one.
  var last: UnsafeRawBufferPointer { lastKey.bytes }

  /// Content bytes so far.
  @inline(__always)
  func size(in output: borrowing ByteBuffer) -> Int {
    entryCount == 0 ? 0 : output.count &- start &+ values.count &+ restarts.count
  }

  /// Adds an entry behind the others; a first one begins the block at the end of `output`. No allocation.
  mutating func add(
    _ key: UnsafeRawBufferPointer, trailer: UInt64, value: UnsafeRawBufferPointer, to output: inout ByteBuffer
  ) {
    let shared = append(key, behind: lastKey.bytes, trailer: trailer, value: value, to: &output)
    lastKey.truncate(to: shared)
    lastKey.append(UnsafeRawBufferPointer(rebasing: key[shared...]))
  }

  /// Makes `key` the last one, for whoever adds entries by `append`.
  mutating func remember(_ key: UnsafeRawBufferPointer) {
    lastKey.removeAll()
    lastKey.append(key)
  }

  /// As `add`, for keys that stay in memory: `last` is the key before, and is not remembered here. Returns how many
  /// bytes of it the key shares.
  @inline(__always)
  mutating func append(
    _ key: UnsafeRawBufferPointer, behind last: UnsafeRawBufferPointer, trailer: UInt64,
    value: UnsafeRawBufferPointer, to output: inout ByteBuffer
  ) -> Int {
    let position = trailer >> 8
    var shared = 0
    if entryCount == 0 {
      start = output.count
      base = position
      output.append(littleEndian: base)
    }
    if entryCount == 0 || sinceRestart == BlockFormat.restartInterval {
      // The value's offset counts from the first value until the block ends.
      restarts.append(littleEndian: UInt32(output.count - start))
      restarts.append(littleEndian: UInt32(values.count))
      sinceRestart = 0
    } else {
      shared = commonPrefix(last, key)
    }
    let unshared = key.count &- shared
    let target = output.reserve(40 &+ unshared)
    var size = storeVarint(UInt64(shared), to: target)
    size &+= storeVarint(UInt64(unshared), to: target + size)
    size &+= storeVarint(UInt64(value.count), to: target + size)
    let difference = Int64(bitPattern: position &- base)
    let zigzag = UInt64(bitPattern: difference << 1 ^ difference >> 63)
    size &+= storeVarint(zigzag << 2 | trailer & 3, to: target + size)
    if unshared > 0 { copyShort(from: key.baseAddress.unsafelyUnwrapped + shared, to: target + size, unshared) }
    output.advance(size &+ unshared)
    values.append(value)
    sinceRestart &+= 1
    entryCount &+= 1
    return shared
  }

  /// Ends the block: values, restarts and trailer. Returns the size of what is stored before the trailer.
  mutating func finish(in output: inout ByteBuffer) -> Int {
    let firstValue = UInt32(output.count - start)
    output.append(values.bytes)
    var reader = ByteReader(restarts.bytes)
    while reader.remaining > 0 {
      output.append(littleEndian: reader.readLittleEndian(UInt32.self))
      output.append(littleEndian: reader.readLittleEndian(UInt32.self) + firstValue)
    }
    output.append(littleEndian: UInt32(restarts.count / BlockFormat.restartSize))
    let type = compression == .lz4 && compressContent(in: &output) ? BlockFormat.lz4 : BlockFormat.plain
    let size = output.count - start
    appendBlockTrailer(to: &output, from: start, type: type)
    values.removeAll()
    restarts.removeAll()
    sinceRestart = 0
    entryCount = 0
    return size
  }

  /// Replaces the content by its compressed form, if that saves an eighth.
  private mutating func compressContent(in output: inout ByteBuffer) -> Bool {
    let content = UnsafeRawBufferPointer(rebasing: output.bytes[start...])
    let room = content.count - content.count / 8 - 4
    guard room > 0 else { return false }
    scratch.removeAll()
    let size = compress(content, into: UnsafeMutableRawBufferPointer(start: scratch.reserve(room), count: room))
    if size == 0 { return false }
    scratch.advance(size)
    let contentSize = UInt32(content.count)
    output.truncate(to: start)
    output.append(littleEndian: contentSize)
    output.append(scratch.bytes)
    return true
  }
}

/// Copies what mostly is a few bytes, the end of a key: a call takes longer than they do.
@inline(__always)
private func copyShort(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ size: Int) {
  if size > 8 { return target.copyMemory(from: source, byteCount: size) }
  var index = 0
  while index < size {
    target.storeBytes(of: source.load(fromByteOffset: index, as: UInt8.self), toByteOffset: index, as: UInt8.self)
    index &+= 1
  }
}

/// Closes a block whose content begins at `start`.
func appendBlockTrailer(to output: inout ByteBuffer, from start: Int, type: UInt8 = BlockFormat.plain) {
  output.append(byte: type)
  let sum = checksum(UnsafeRawBufferPointer(rebasing: output.bytes[start...]))
  output.append(littleEndian: sum)
}

/// Stored bytes of a block whose checksum holds.
enum StoredBlock {
  /// The content as it is.
  case plain(UnsafeRawBufferPointer)
  /// An LZ4 block of a content of `size` bytes.
  case lz4(UnsafeRawBufferPointer, size: Int)
  case damaged(String)

  /// Checks a block with its trailer.
  init(_ bytes: UnsafeRawBufferPointer) {
    let size = bytes.count - BlockFormat.trailerSize
    guard size >= 0 else {
      self = .damaged("block of \(bytes.count) bytes")
      return
    }
    let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: size + 1, as: UInt32.self))
    let computed = checksum(UnsafeRawBufferPointer(rebasing: bytes[..<(size + 1)]))
    let content = UnsafeRawBufferPointer(rebasing: bytes[..<size])
    switch bytes[size] {
    case _ where stored != computed: self = .damaged("block checksum \(computed), stored \(stored)")
    case BlockFormat.plain: self = .plain(content)
    case BlockFormat.lz4 where size > 4:
      let contentSize = Int(UInt32(littleEndian: content.loadUnaligned(as: UInt32.self)))
      self =
        contentSize <= BlockFormat.largestSize
        ? .lz4(UnsafeRawBufferPointer(rebasing: content[4...]), size: contentSize)
        : .damaged("compressed block of \(contentSize) bytes")
    default: self = .damaged("unknown block type \(bytes[size])")
    }
  }
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
  /// The bytes without a trailer that stands behind them.
  let content: UnsafeRawBufferPointer

  /// Memory for a content of `size` bytes, and its trailer if it is read with it.
  init(size: Int, trailerSize: Int = 0) {
    bytes = .allocate(byteCount: size + trailerSize, alignment: 16)
    content = UnsafeRawBufferPointer(start: bytes.baseAddress, count: size)
  }

  deinit { bytes.deallocate() }

  var byteCount: Int { bytes.count }
}
