// The index of a table: where each data block begins and which keys it may hold. One level, read when the table is
// opened and pinned: a table is closed at 32 MiB of blocks, so it has about 8,000 entries.
//
//   4   count  of data blocks, at least 1
//   …   for each block: v size of its stored content, v size of its last key, the key
//
// The first block begins behind the table's header, each other one behind the trailer of the one before, so offsets
// need not be stored. v is an unsigned LEB128 varint. The index is stored as a block (type, CRC32C).
// A reader refuses an index whose keys fall, or whose blocks do not end where the filter begins.
//
// In memory a block has 16 bytes: the eight bytes of its last key behind what all keys of the table have in common, and
// its offset. A search runs over these, finds the place in the line of memory that it looked at last, and compares
// whole keys only where the eight bytes are equal.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Collects the entries of an index while blocks are written.
struct TableIndexBuilder: ~Copyable {
  private var entries = ByteBuffer(capacity: 4096)
  private var count: UInt32 = 0

  mutating func add(lastKey: UnsafeRawBufferPointer, storedSize: Int) {
    entries.append(varint: UInt64(storedSize))
    entries.append(varint: UInt64(lastKey.count))
    entries.append(lastKey)
    count += 1
  }

  func append(to output: inout ByteBuffer) {
    output.append(littleEndian: count)
    output.append(entries.bytes)
  }
}

/// The decoded index of an open table. Never changes (`@unchecked Sendable`).
final class TableIndex: @unchecked Sendable {
  private struct Slot {
    /// The bytes of the last key behind the common ones.
    var order: UInt64
    /// Where the block begins.
    var offset: UInt64
  }

  private let memory: BlockMemory
  /// A slot for each block, and one for the end of the last.
  private let slots: UnsafeMutablePointer<Slot>
  /// Where the last keys lie in `memory`.
  private let keys: UnsafeMutablePointer<UnsafeRawBufferPointer>
  let count: Int
  /// Bytes that all keys of the table have in common.
  private let commonSize: Int

  /// Decodes the index block of a table whose first key is `smallest`; nil when it is damaged.
  init?(_ memory: BlockMemory, smallest: [UInt8], dataEnd: UInt64) {
    var reader = ByteReader(memory.content)
    let count = Int(reader.readLittleEndian(UInt32.self))
    guard count >= 1, count <= memory.content.count / 3 else { return nil }
    self.memory = memory
    self.count = count
    slots = .allocate(capacity: count + 1)
    keys = .allocate(capacity: count)
    guard Self.decode(&reader, count, slots, keys, dataEnd: dataEnd) else {
      slots.deallocate()
      keys.deallocate()
      return nil
    }
    let last = keys[count - 1]
    commonSize = smallest.withUnsafeBytes { commonPrefix($0, last) }
    for index in 0..<count {
      let key = keys[index]
      slots[index].order = bigEndian(
        key.baseAddress.map { $0 + min(commonSize, key.count) }, key.count - min(commonSize, key.count))
    }
  }

  private static func decode(
    _ reader: inout ByteReader, _ count: Int, _ slots: UnsafeMutablePointer<Slot>,
    _ keys: UnsafeMutablePointer<UnsafeRawBufferPointer>, dataEnd: UInt64
  ) -> Bool {
    var offset = UInt64(TableFormat.headerSize)
    for index in 0..<count {
      let size = reader.readVarint()
      let key = reader.readSized()
      guard !reader.failed, key.count > 0, size < dataEnd else { return false }
      slots[index] = Slot(order: 0, offset: offset)
      keys[index] = key
      // Equal neighbours: the versions of one key may fill more than a block.
      if index > 0, compareBytes(keys[index - 1], key) > 0 { return false }
      offset = BlockPlace(offset: offset, size: size).end
      if offset > dataEnd { return false }
    }
    slots[count] = Slot(order: .max, offset: offset)
    return offset == dataEnd && reader.remaining == 0
  }

  deinit {
    slots.deallocate()
    keys.deallocate()
  }

  /// Bytes of memory that the index holds.
  var byteCount: Int {
    memory.byteCount + count * (MemoryLayout<Slot>.stride + MemoryLayout<UnsafeRawBufferPointer>.stride)
  }

  /// Where a block lies, `index` below `count`.
  @inline(__always)
  func place(_ index: Int) -> BlockPlace {
    let offset = slots[index].offset
    return BlockPlace(offset: offset, size: slots[index &+ 1].offset &- offset &- UInt64(BlockFormat.trailerSize))
  }

  /// The last key of a block, `index` below `count`.
  func lastKey(_ index: Int) -> UnsafeRawBufferPointer { keys[index] }

  /// The first block whose last key is at or behind `key`; `count` when there is none. About 60 ns at 8,000 blocks.
  func firstBlock(_ key: UnsafeRawBufferPointer) -> Int {
    let common = UnsafeRawBufferPointer(start: keys[0].baseAddress, count: commonSize)
    let shared = min(commonSize, key.count)
    let order = compareBytes(UnsafeRawBufferPointer(rebasing: key[..<shared]), common)
    if order != 0 { return order < 0 ? 0 : count }
    let wanted = bigEndianFast(key, from: shared)
    var low = lowerBound(wanted, from: 0)
    // Keys that are equal in these eight bytes are told apart by all of theirs.
    var high = low < count && slots[low].order == wanted ? upperBound(wanted, from: low) : low
    while low < high {
      let middle = (low + high) / 2
      if compareBytes(keys[middle], key) < 0 { low = middle + 1 } else { high = middle }
    }
    return low
  }

  @inline(__always)
  private func bigEndianFast(_ key: UnsafeRawBufferPointer, from start: Int) -> UInt64 {
    if key.count &- start >= 8 {
      return UInt64(bigEndian: key.loadUnaligned(fromByteOffset: start, as: UInt64.self))
    }
    return bigEndian(key.baseAddress.map { $0 + start }, key.count &- start)
  }

  @inline(__always)
  private func lowerBound(_ wanted: UInt64, from start: Int) -> Int {
    var base = start
    var rest = count &- start
    while rest > 1 {
      let half = rest / 2
      base = slots[base &+ half &- 1].order < wanted ? base &+ half : base
      rest &-= half
    }
    return rest == 1 && slots[base].order < wanted ? base &+ 1 : base
  }

  private func upperBound(_ wanted: UInt64, from start: Int) -> Int {
    wanted == .max ? count : lowerBound(wanted + 1, from: start)
  }
}
