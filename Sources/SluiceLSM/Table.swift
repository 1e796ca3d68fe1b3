// An open table: its index and filter in memory, its blocks through the cache.
//
// Never changes after `open` (`@unchecked Sendable`: the fields are immutable, the memory behind the pointers too).
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// A data block in the index: its last key and its place.
struct IndexEntry {
  var order: UInt128
  var key: UnsafeRawPointer?
  var keySize: Int
  var place: BlockPlace

  var keyBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: key, count: keySize) }
}

/// What a point read found: the newest version at or below the asked one. `block` keeps the value's memory.
struct FoundEntry {
  var trailer: UInt64
  var value: UnsafeRawBufferPointer
  var block: BlockMemory
}

final class Table: @unchecked Sendable {
  let info: TableInfo
  let path: String
  let shard: Int
  private let file: any File
  private let cache: BlockCache
  private let cacheId: UInt64
  private let filter: Filter
  private let indexMemory: BlockMemory
  private let index: UnsafeMutablePointer<IndexEntry>
  let blockCount: Int
  let properties: TableProperties

  private init(
    info: TableInfo, file: any File, shard: Int, cache: BlockCache, filter: Filter, indexMemory: BlockMemory,
    index: UnsafeMutablePointer<IndexEntry>, blockCount: Int, properties: TableProperties
  ) {
    self.info = info
    self.path = file.path
    self.shard = shard
    self.file = file
    self.cache = cache
    self.cacheId = cache.newTableId()
    self.filter = filter
    self.indexMemory = indexMemory
    self.index = index
    self.blockCount = blockCount
    self.properties = properties
  }

  deinit {
    file.close()
    index.deallocate()
  }

  /// Opens a table that the manifest names and checks everything but its data blocks. Reads index and filter.
  static func open(
    fileSystem: any FileSystem, directory: String, info: TableInfo, shard: Int, cache: BlockCache
  ) throws(EngineError) -> Table {
    let path = directory + "/" + TableFormat.fileName(info.number)
    let file: any File
    do { file = try fileSystem.open(path, .read) } catch {
      throw EngineError(
        error.code == 2 ? .corrupt : .io, "table \(info.number) of the manifest cannot be opened", shard: shard,
        file: path, keyRange: info.keyRange, cause: error)
    }
    do { return try load(file, info: info, shard: shard, cache: cache) } catch {
      file.close()
      throw error
    }
  }

  private static func load(
    _ file: any File, info: TableInfo, shard: Int, cache: BlockCache
  ) throws(EngineError) -> Table {
    let parts = try TableParts(file, shard: shard, keyRange: info.keyRange)
    func corrupt(_ message: String, _ offset: UInt64) -> EngineError {
      EngineError(.corrupt, message, shard: shard, file: file.path, offset: offset, keyRange: info.keyRange)
    }
    guard parts.size == info.size else {
      throw corrupt("table of \(parts.size) bytes, the manifest says \(info.size)", parts.size)
    }
    let properties = parts.properties
    guard properties.smallest == info.smallest, properties.largest == info.largest,
      properties.entries == info.entries, properties.tombstones == info.tombstones,
      properties.lowestPosition == info.lowestPosition, properties.highestPosition == info.highestPosition
    else {
      throw corrupt("properties of table \(info.number) differ from the manifest", parts.footer.properties.offset)
    }
    guard let filter = Filter(parts.filter) else { throw corrupt("damaged filter", parts.footer.filter.offset) }
    guard let (index, count) = readIndex(parts) else { throw corrupt("damaged index", parts.footer.index.offset) }
    return Table(
      info: info, file: file, shard: shard, cache: cache, filter: filter, indexMemory: parts.index, index: index,
      blockCount: count, properties: properties)
  }

  /// Decodes the index; nil unless its keys rise and its blocks fill the space before the filter.
  static func readIndex(_ parts: TableParts) -> (UnsafeMutablePointer<IndexEntry>, Int)? {
    var cursor = BlockCursor()
    guard cursor.open(parts.index.content) else { return nil }
    let count = cursor.restarts
    let index = UnsafeMutablePointer<IndexEntry>.allocate(capacity: count)
    var offset = UInt64(TableFormat.headerSize)
    for position in 0..<count {
      guard cursor.moveTo(restart: position), cursor.step() == .entry, cursor.keySize > 0 else { break }
      var reader = ByteReader(cursor.value)
      let place = BlockPlace(offset: reader.readVarint(), size: reader.readVarint())
      guard !reader.failed, reader.remaining == 0, place.offset == offset, place.size < parts.footer.filter.offset,
        place.end <= parts.footer.filter.offset
      else { break }
      // The key of a restart stands whole before its value.
      let key = UnsafeRawPointer(cursor.value.baseAddress! - cursor.keySize)
      let entry = IndexEntry(
        order: keyOrder(key, cursor.keySize), key: key, keySize: cursor.keySize, place: place)
      // Equal neighbours: the versions of one key may fill more than a block.
      if position > 0, compareBytes(index[position - 1].keyBytes, entry.keyBytes) > 0 { break }
      index[position] = entry
      offset = place.end
      if position == count - 1, offset == parts.footer.filter.offset,
        parts.properties.largest.elementsEqual(entry.keyBytes)
      {
        return (index, count)
      }
    }
    index.deallocate()
    return nil
  }

  func corrupt(_ message: String, offset: UInt64) -> EngineError {
    EngineError(.corrupt, message, shard: shard, file: path, offset: offset, keyRange: info.keyRange)
  }

  /// Bytes of memory that the open table holds.
  var pinnedBytes: Int { indexMemory.byteCount + filter.byteCount + blockCount * MemoryLayout<IndexEntry>.stride }

  /// Place of a data block, `index` below `blockCount`.
  func place(_ index: Int) -> BlockPlace { self.index[index].place }

  /// Last key of a data block.
  func lastKey(_ index: Int) -> UnsafeRawBufferPointer { self.index[index].keyBytes }

  /// The first block whose last key is at or behind `key`; `blockCount` when there is none.
  func firstBlock(_ key: UnsafeRawBufferPointer, order: UInt128) -> Int {
    var low = 0
    var high = blockCount
    while low < high {
      let middle = (low + high) / 2
      let entry = index + middle
      var before = entry.pointee.order < order
      if entry.pointee.order == order {
        before = compareKeyTails(entry.pointee.key, entry.pointee.keySize, key.baseAddress, key.count) < 0
      }
      if before { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// False: the table has no version of a key of this hash. One cache miss.
  @inline(__always)
  func mayContain(hash: UInt64) -> Bool { filter.mayContain(hash) }

  /// The newest version of `key` at or below `trailer`, or nil. One block when the filter says yes.
  func find(
    _ key: UnsafeRawBufferPointer, order: UInt128, trailer: UInt64, cursor: inout BlockCursor
  ) throws(EngineError) -> FoundEntry? {
    var ordinal = firstBlock(key, order: order)
    while ordinal < blockCount {
      let block = try block(ordinal)
      defer { withExtendedLifetime(block) {} }
      let offset = index[ordinal].place.offset
      guard cursor.open(block.content) else { throw corrupt("damaged block", offset: offset) }
      switch cursor.seek(key, trailer: trailer) {
      case .corrupt: throw corrupt("damaged entry in a block", offset: offset)
      case .end: ordinal += 1  // only when versions of one key go on in the next block
      case .entry:
        if compareBytes(cursor.key, key) != 0 { return nil }
        return FoundEntry(trailer: cursor.trailer, value: cursor.value, block: block)
      }
    }
    return nil
  }

  /// A data block by the cache, or from the file and then kept in the cache.
  func block(_ ordinal: Int) throws(EngineError) -> BlockMemory {
    let place = index[ordinal].place
    if let block = cache.find(table: cacheId, offset: place.offset) { return block }
    let block = BlockMemory(size: Int(place.size) + BlockFormat.trailerSize)
    try read(into: block.bytes, at: place.offset)
    if let damage = blockDamage(UnsafeRawBufferPointer(block.bytes)) { throw corrupt(damage, offset: place.offset) }
    cache.insert(block, table: cacheId, offset: place.offset)
    return block
  }

  /// A data block if the cache has it.
  func cachedBlock(_ ordinal: Int) -> BlockMemory? {
    cache.find(table: cacheId, offset: index[ordinal].place.offset)
  }

  /// Fills `buffer` from the file.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(EngineError) {
    try readFully(file, into: buffer, at: offset, shard: shard, keyRange: info.keyRange)
  }

  /// The greatest key before `bound`, dead or alive; nil when there is none.
  func lastKey(before bound: [UInt8]?) throws(EngineError) -> [UInt8]? {
    guard let bound else { return info.largest }
    guard compareKeys(info.smallest, bound) < 0 else { return nil }
    let ordinal = bound.withUnsafeBytes { firstBlock($0, order: keyOrder($0)) }
    if ordinal == blockCount { return info.largest }
    let block = try block(ordinal)
    defer { withExtendedLifetime(block) {} }
    let offset = index[ordinal].place.offset
    var cursor = BlockCursor()
    guard cursor.open(block.content) else { throw corrupt("damaged block", offset: offset) }
    var found: [UInt8]?
    while true {
      let step = cursor.step()
      if step == .corrupt { throw corrupt("damaged entry in a block", offset: offset) }
      let isBefore = step == .entry && bound.withUnsafeBytes { compareBytes(cursor.key, $0) < 0 }
      if !isBefore { break }
      found = [UInt8](cursor.key)
    }
    if let found { return found }
    return ordinal > 0 ? [UInt8](lastKey(ordinal - 1)) : nil
  }
}

/// Reads all of `buffer`; a file that ends before is corrupt.
func readFully(
  _ file: any File, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, shard: Int,
  keyRange: @autoclosure () -> String?
) throws(EngineError) {
  let count: Int
  do { count = try file.read(at: offset, into: buffer) } catch {
    throw EngineError(error, doing: "reading \(buffer.count) bytes at \(offset)", shard: shard)
  }
  if count < buffer.count {
    throw EngineError(
      .corrupt, "file ends \(buffer.count - count) bytes early", shard: shard, file: file.path, offset: offset,
      keyRange: keyRange())
  }
}

/// The parts of a table file that are read when it is opened, each with its checksum verified.
struct TableParts {
  let size: UInt64
  let footer: TableFooter
  let properties: TableProperties
  let filter: BlockMemory
  let index: BlockMemory

  init(_ file: any File, shard: Int, keyRange: String?) throws(EngineError) {
    func corrupt(_ message: String, _ offset: UInt64, _ kind: EngineError.Kind = .corrupt) -> EngineError {
      EngineError(kind, message, shard: shard, file: file.path, offset: offset, keyRange: keyRange)
    }
    func bytes(_ offset: UInt64, _ size: Int) throws(EngineError) -> BlockMemory {
      let memory = BlockMemory(size: size)
      try readFully(file, into: memory.bytes, at: offset, shard: shard, keyRange: keyRange)
      return memory
    }
    func part(_ place: BlockPlace) throws(EngineError) -> BlockMemory {
      let memory = try bytes(place.offset, Int(place.size) + BlockFormat.trailerSize)
      if let damage = blockDamage(UnsafeRawBufferPointer(memory.bytes)) { throw corrupt(damage, place.offset) }
      return memory
    }
    do { size = try file.size() } catch { throw EngineError(error, doing: "sizing a table", shard: shard) }
    guard size >= UInt64(TableFormat.headerSize + TableFormat.footerSize) else {
      throw corrupt("table of \(size) bytes", 0)
    }
    let header = try bytes(0, TableFormat.headerSize)
    if let damage = headerDamage(
      UnsafeRawBufferPointer(header.bytes), magic: TableFormat.headerMagic, version: TableFormat.version)
    {
      throw corrupt(damage.message, 0, damage.kind)
    }
    let footerOffset = size - UInt64(TableFormat.footerSize)
    let tail = try bytes(footerOffset, TableFormat.footerSize)
    guard let footer = TableFooter(UnsafeRawBufferPointer(tail.bytes), fileSize: size) else {
      throw corrupt("damaged footer", footerOffset)
    }
    self.footer = footer
    filter = try part(footer.filter)
    index = try part(footer.index)
    let block = try part(footer.properties)
    defer { withExtendedLifetime(block) {} }
    guard let properties = TableProperties(block.content) else {
      throw corrupt("damaged properties", footer.properties.offset)
    }
    self.properties = properties
  }
}
