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
// In memory the eight key bytes behind what all keys of the table have in common stand in an array of their own: a
// search runs over 8 bytes a block, and compares whole keys only where they are equal.
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

/// A data block in the index.
struct IndexEntry {
  var key: UnsafeRawPointer
  var keySize: Int
  var place: BlockPlace

  var keyBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: key, count: keySize) }
}

/// The decoded index of an open table. Never changes (`@unchecked Sendable`).
final class TableIndex: @unchecked Sendable {
  private let memory: BlockMemory
  private let entries: UnsafeMutablePointer<IndexEntry>
  /// The bytes of each last key behind the common ones.
  private let orders: UnsafeMutablePointer<UInt64>
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
    entries = .allocate(capacity: count)
    orders = .allocate(capacity: count)
    guard Self.decode(&reader, count, into: entries, dataEnd: dataEnd) else {
      entries.deallocate()
      orders.deallocate()
      return nil
    }
    let last = entries[count - 1].keyBytes
    commonSize = smallest.withUnsafeBytes { commonPrefix($0, last) }
    for index in 0..<count {
      let entry = entries[index]
      orders[index] = bigEndian(entry.key + min(commonSize, entry.keySize), entry.keySize - commonSize)
    }
  }

  private static func decode(
    _ reader: inout ByteReader, _ count: Int, into entries: UnsafeMutablePointer<IndexEntry>, dataEnd: UInt64
  ) -> Bool {
    var offset = UInt64(TableFormat.headerSize)
    for index in 0..<count {
      let size = reader.readVarint()
      let key = reader.readSized()
      guard !reader.failed, let base = key.baseAddress, key.count > 0, size < dataEnd else { return false }
      let place = BlockPlace(offset: offset, size: size)
      entries[index] = IndexEntry(key: base, keySize: key.count, place: place)
      // Equal neighbours: the versions of one key may fill more than a block.
      if index > 0, compareBytes(entries[index - 1].keyBytes, key) > 0 { return false }
      offset = place.end
      if offset > dataEnd { return false }
    }
    return offset == dataEnd && reader.remaining == 0
  }

  deinit {
    entries.deallocate()
    orders.deallocate()
  }

  /// Bytes of memory that the index holds.
  var byteCount: Int {
    memory.byteCount + count * (MemoryLayout<IndexEntry>.stride + MemoryLayout<UInt64>.stride)
  }

  /// A block, `index` below `count`.
  @inline(__always)
  subscript(_ index: Int) -> IndexEntry { entries[index] }

  /// The first block whose last key is at or behind `key`; `count` when there is none. About 60 ns at 8,000 blocks.
  func firstBlock(_ key: UnsafeRawBufferPointer) -> Int {
    let common = UnsafeRawBufferPointer(start: entries[0].key, count: commonSize)
    let shared = min(commonSize, key.count)
    let order = compareBytes(UnsafeRawBufferPointer(rebasing: key[..<shared]), common)
    if order != 0 { return order < 0 ? 0 : count }
    let wanted = bigEndianFast(key, from: shared)
    var low = lowerBound(wanted, from: 0)
    // Keys that are equal in these eight bytes are told apart by all of theirs.
    var high = low < count && orders[low] == wanted ? upperBound(wanted, from: low) : low
    while low < high {
      let middle = (low + high) / 2
      if compareBytes(entries[middle].keyBytes, key) < 0 { low = middle + 1 } else { high = middle }
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
      base = orders[base &+ half &- 1] < wanted ? base &+ half : base
      rest &-= half
    }
    return rest == 1 && orders[base] < wanted ? base &+ 1 : base
  }

  private func upperBound(_ wanted: UInt64, from start: Int) -> Int {
    wanted == .max ? count : lowerBound(wanted + 1, from: start)
  }
}
