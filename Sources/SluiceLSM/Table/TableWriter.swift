// Writes one table file, front to back. The format is in TableFormat.swift.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Memory that tables are built in, one after the other: new memory costs a page fault each 4 KiB.
final class TableMemory {
  static let chunkSize = 1 << 20
  fileprivate var output = ByteBuffer(capacity: chunkSize + 2 * BlockFormat.targetSize)
  /// Hashes of the keys, eight bytes each.
  fileprivate var hashes = ByteBuffer(capacity: 64 << 10)

  /// Empty memory, as a table begins with it.
  fileprivate func clear() {
    output.removeAll()
    hashes.removeAll()
  }
}

/// Builds a table from entries given in order. A caller ends it by `finish` or `abandon`.
final class TableWriter {
  /// What entries point to does not lie in their order: without this each costs a cache miss or two.
  private static let prefetchDistance = 8

  private let file: any File
  private let shard: Int
  private let number: UInt64
  private let memory: TableMemory
  /// Bytes of the file before what stands in `memory`.
  private var written: UInt64 = 0
  private var data: BlockBuilder
  private var index = TableIndexBuilder()
  private let filterStrength: FilterStrength
  private var properties = TableProperties()

  /// Creates the file, which must not exist.
  init(
    fileSystem: any FileSystem, directory: String, number: UInt64, shard: Int, compression: Compression = .none,
    filterStrength: FilterStrength = .bottom, memory: TableMemory = TableMemory()
  ) throws(EngineError) {
    self.shard = shard
    self.number = number
    self.filterStrength = filterStrength
    self.memory = memory
    memory.clear()
    data = BlockBuilder(compression: compression)
    do { file = try fileSystem.open(directory + "/" + TableFormat.fileName(number), .create) } catch {
      throw EngineError(error, doing: "creating a table", shard: shard)
    }
    appendFileHeader(TableFormat.headerMagic, version: TableFormat.version, to: &memory.output)
  }

  /// Bytes of blocks so far.
  var size: UInt64 { written + UInt64(memory.output.count) }

  var isEmpty: Bool { properties.entries == 0 }

  /// The last key added; empty before the first. Valid until the next `add`.
  var lastKey: UnsafeRawBufferPointer { data.last }

  /// Adds an entry behind the others. Writes about every megabyte.
  func add(_ key: UnsafeRawBufferPointer, trailer: UInt64, value: UnsafeRawBufferPointer) throws(EngineError) {
    if properties.entries == 0 { properties.smallest = [UInt8](key) }
    let isNewKey = properties.entries == 0 || compareBytes(data.last, key) != 0
    if isNewKey { memory.hashes.append(littleEndian: SluiceSystem.hash(key)) }
    // A block ends before an entry that begins it anew, so that its last key is known.
    if data.size(in: memory.output) >= BlockFormat.targetSize { try endBlock() }
    data.add(key, trailer: trailer, value: value, to: &memory.output)
    properties.count(trailer, keySize: key.count, valueSize: value.count)
  }

  /// Adds entries of a memtable behind the others, but for those that `filter` leaves out. The first one has another
  /// key than what was added before. Ends before an entry with a new key when the table has `limit` bytes; returns how
  /// many of `count` it has looked at. Unlike `add` it copies no key to remember it: they stay where they are.
  func add(
    _ entries: MemoryEntries, count: Int, limit: UInt64, filter: inout VersionFilter
  ) throws(EngineError) -> Int {
    var last = data.last
    var index = 0
    while index < count {
      let entry = entries + index
      if index &+ Self.prefetchDistance < count {
        let ahead = (entry + Self.prefetchDistance).pointee.key
        prefetch(ahead)
        prefetch(ahead + 64)
      }
      let isNewKey = index == 0 || !isSameKey(entry.pointee, (entry - 1).pointee)
      if isNewKey, index > 0, size >= limit { break }
      index &+= 1
      if !filter.keeps(entry.pointee, isNewKey: isNewKey) { continue }
      let key = entry.pointee.keyBytes
      if isNewKey { memory.hashes.append(littleEndian: SluiceSystem.hash(key)) }
      if properties.entries == 0 { properties.smallest = [UInt8](key) }
      if data.size(in: memory.output) >= BlockFormat.targetSize {
        data.remember(last)
        try endBlock()
      }
      let value = entry.pointee.valueBytes
      _ = data.append(key, behind: last, trailer: entry.pointee.trailer, value: value, to: &memory.output)
      last = key
      properties.count(entry.pointee.trailer, keySize: key.count, valueSize: value.count)
    }
    data.remember(last)
    return index
  }

  private func endBlock() throws(EngineError) {
    let size = data.finish(in: &memory.output)
    index.add(lastKey: data.last, storedSize: size)
    if memory.output.count >= TableMemory.chunkSize { try writeOut() }
  }

  private func writeOut() throws(EngineError) {
    do {
      try file.write(memory.output.bytes, at: written)
      file.startWriteback(at: written, size: UInt64(memory.output.count))
    } catch { throw EngineError(error, doing: "writing a table", shard: shard) }
    written += UInt64(memory.output.count)
    memory.output.removeAll()
  }

  /// Writes the rest, syncs and closes. There must be an entry. The name is durable when the directory is synced.
  func finish() throws(EngineError) -> TableInfo {
    invariant(properties.entries > 0, "table \(number) without entries")
    properties.largest = [UInt8](data.last)
    try endBlock()
    func endPart(_ start: Int) -> BlockPlace {
      let place = BlockPlace(offset: written + UInt64(start), size: UInt64(memory.output.count - start))
      appendBlockTrailer(to: &memory.output, from: start)
      return place
    }
    var start = memory.output.count
    memory.hashes.bytes.withMemoryRebound(to: UInt64.self) { hashes in
      appendFilter(hashes, filterStrength, to: &memory.output)
    }
    let filter = endPart(start)
    start = memory.output.count
    index.append(to: &memory.output)
    let indexPlace = endPart(start)
    start = memory.output.count
    properties.append(to: &memory.output)
    let footer = TableFooter(filter: filter, index: indexPlace, properties: endPart(start))
    footer.append(to: &memory.output)
    try writeOut()
    do { try file.sync() } catch { throw EngineError(error, doing: "syncing a table", shard: shard) }
    file.close()
    return TableInfo(
      number: number, size: written, smallest: properties.smallest, largest: properties.largest,
      lowestPosition: properties.lowestPosition, highestPosition: properties.highestPosition,
      entries: properties.entries, tombstones: properties.tombstones)
  }

  /// Closes the unfinished file; whoever made the writer removes the file.
  func abandon() { file.close() }
}
