// An open table: its index in memory, and its filter from the first point read on. Its blocks are read in place from
// the mapped file, where that is possible and they are not compressed; else through the cache. Either way a block is
// checked when it is first read, and not again.
//
// Why a mapping: half of the point reads of data twice the size of the cache miss it, and a call to the system for
// 4 KiB takes longer (1.2-2 µs) than all the rest of the read (0.7 µs). Whole walks read with calls: RunCursor.swift.
//
// Never changes after `open`, but for which blocks are known to be good, which are cached, and whether the filter is
// there (`@unchecked Sendable`: the fields are immutable, the memory behind the pointers too, but for `checked`, whose
// bytes are atomic).
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// What a point read found: the newest version at or below the asked one. `block` keeps the value's memory; nil when
/// the table itself does.
struct FoundEntry {
  var trailer: UInt64
  var value: UnsafeRawBufferPointer
  var block: BlockMemory?
}

final class Table: @unchecked Sendable {
  let info: TableInfo
  let shard: Int
  let properties: TableProperties
  /// To be loaded by `loadFilter` before it is asked.
  let filter: Filter
  private let filterPlace: BlockPlace
  let index: TableIndex
  /// The greatest key, in memory of the index.
  let largest: SearchKey
  private let file: EngineFile
  private let resources: EngineResources
  private let counters: ReadCounters
  private let cached: CachedBlocks
  private let mapping: FileMapping?
  /// For each block what reading it has shown.
  private let checked: UnsafeMutablePointer<UInt8>

  private enum Check {
    static let unknown: UInt8 = 0
    static let plain: UInt8 = 1
    static let compressed: UInt8 = 2
  }

  private init(
    info: TableInfo, file: EngineFile, shard: Int, resources: EngineResources, counters: ReadCounters,
    filter: BlockPlace, index: TableIndex, properties: TableProperties, mapping: FileMapping?
  ) {
    self.info = info
    self.file = file
    self.shard = shard
    self.resources = resources
    self.counters = counters
    filterPlace = filter
    self.filter = Filter(contentSize: Int(filter.size))
    self.index = index
    self.properties = properties
    largest = SearchKey(index.lastKey(index.count - 1))
    cached = CachedBlocks(count: index.count)
    self.mapping = mapping
    checked = .allocate(capacity: index.count)
    checked.initialize(repeating: Check.unknown, count: index.count)
  }

  deinit {
    resources.cache.remove(cached)
    resources.files.close(file)
    checked.deallocate()
  }

  var path: String { file.path }
  var blockCount: Int { index.count }

  /// Opens a table that the manifest names and checks everything but its data blocks and its filter. Reads the
  /// index. The filters of a large store would be megabytes to read before the first answer, of which a read by key
  /// needs one or two.
  static func open(
    fileSystem: any FileSystem, directory: String, info: TableInfo, shard: Int, resources: EngineResources,
    counters: ReadCounters
  ) throws(EngineError) -> Table {
    let file = EngineFile(path: directory + "/" + TableFormat.fileName(info.number), fileSystem: fileSystem)
    let opened: Result<Table, EngineError>
    do {
      opened = try resources.files.use(file) { handle throws(SystemError) in
        Result { () throws(EngineError) in
          try load(handle, file, info: info, shard: shard, resources: resources, counters: counters)
        }
      }
    } catch {
      throw EngineError(
        error.code == noSuchFile ? .corrupt : .io, "table \(info.number) of the manifest cannot be opened",
        shard: shard,
        file: file.path, keyRange: info.keyRange, cause: error)
    }
    if case .failure = opened { resources.files.close(file) }
    return try opened.get()
  }

  private static func load(
    _ handle: any File, _ file: EngineFile, info: TableInfo, shard: Int, resources: EngineResources,
    counters: ReadCounters
  ) throws(EngineError) -> Table {
    let parts = try TableParts(handle, shard: shard, keyRange: info.keyRange)
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
    guard let index = parts.readIndex() else { throw corrupt("damaged index", parts.footer.index.offset) }
    return Table(
      info: info, file: file, shard: shard, resources: resources, counters: counters,
      filter: parts.footer.filter, index: index, properties: properties, mapping: handle.map(size: parts.size))
  }

  func corrupt(_ message: String, offset: UInt64) -> EngineError {
    EngineError(.corrupt, message, shard: shard, file: path, offset: offset, keyRange: info.keyRange)
  }

  /// Bytes of memory that the open table holds.
  var pinnedBytes: Int {
    filter.byteCount + index.byteCount + blockCount * MemoryLayout<Int>.size * 2
  }

  /// Reads the filter, if that was not done yet.
  @inline(never)
  func loadFilter() throws(EngineError) {
    if filter.isLoaded { return }
    let size = Int(filterPlace.size)
    let memory = Filter.allocate(size + BlockFormat.trailerSize)
    do throws(EngineError) {
      if let mapping {
        try copy(mapping, into: memory, at: filterPlace.offset)
      } else {
        try read(into: memory, at: filterPlace.offset)
      }
      switch StoredBlock(UnsafeRawBufferPointer(memory)) {
      case .plain: break
      case .damaged(let damage): throw corrupt(damage, offset: filterPlace.offset)
      case .lz4: throw corrupt("a compressed part", offset: filterPlace.offset)
      }
    } catch {
      memory.deallocate()
      throw error
    }
    if !filter.take(memory, contentSize: size) { throw corrupt("damaged filter", offset: filterPlace.offset) }
  }

  /// The newest version of `key` at or below `trailer`, or nil. One block when the filter says yes.
  func find(
    _ key: SearchKey, trailer: UInt64, cursor: inout BlockCursor
  ) throws(EngineError) -> FoundEntry? {
    var ordinal = index.firstBlock(key.bytes)
    while ordinal < index.count {
      let (content, block) = try content(ordinal)
      guard cursor.open(content) else { throw corrupt("damaged block", offset: index.place(ordinal).offset) }
      switch cursor.seek(key, trailer: trailer) {
      case .corrupt: throw corrupt("damaged entry in a block", offset: index.place(ordinal).offset)
      case .end: ordinal += 1  // only when versions of one key go on in the next block
      case .entry:
        if compareBytes(cursor.key, key.bytes) != 0 { return nil }
        return FoundEntry(trailer: cursor.trailer, value: cursor.value, block: block)
      }
    }
    return nil
  }

  /// Content of a data block, in the mapped file, or in memory of the cache that the second value keeps.
  @inline(__always)
  func content(_ ordinal: Int) throws(EngineError) -> (UnsafeRawBufferPointer, BlockMemory?) {
    if let mapping, let content = try mappedContent(mapping, ordinal) { return (content, nil) }
    let block = try block(ordinal)
    return (block.content, block)
  }

  /// Content of a block in the mapped file; nil when it is compressed.
  @inline(__always)
  private func mappedContent(
    _ mapping: FileMapping, _ ordinal: Int
  ) throws(EngineError) -> UnsafeRawBufferPointer? {
    let place = index.place(ordinal)
    let stored = UnsafeRawBufferPointer(
      start: mapping.bytes.baseAddress.unsafelyUnwrapped + Int(place.offset), count: Int(place.size))
    Self.prefetchBlock(stored)
    switch loadByte(checked + ordinal) {
    case Check.plain: return stored
    case Check.compressed: return nil
    default: return try check(mapping, ordinal) ? stored : nil
    }
  }

  /// Asks for the memory of a block that is read soon, where it is mapped.
  func prefetchBlock(_ ordinal: Int) {
    guard let base = mapping?.bytes.baseAddress else { return }
    let place = index.place(ordinal)
    prefetch(checked + ordinal)
    Self.prefetchBlock(UnsafeRawBufferPointer(start: base + Int(place.offset), count: Int(place.size)))
  }

  /// A search reads the restarts at the end of a block and the heads at its begin: their cache misses overlap.
  @inline(__always)
  private static func prefetchBlock(_ bytes: UnsafeRawBufferPointer) {
    let base = bytes.baseAddress.unsafelyUnwrapped
    let size = bytes.count
    prefetch(base + (size &- 4))
    var offset = 0
    while offset < min(size, 512) {
      prefetch(base + offset)
      offset &+= 64
    }
  }

  /// Checks a block of the mapped file; false when it is compressed.
  @inline(never)
  private func check(_ mapping: FileMapping, _ ordinal: Int) throws(EngineError) -> Bool {
    counters.blockReads.add(1)
    let place = index.place(ordinal)
    let bytes = UnsafeRawBufferPointer(
      start: mapping.bytes.baseAddress.unsafelyUnwrapped + Int(place.offset), count: Int(place.end - place.offset))
    let block = StoredBlock(bytes)
    try checkMapping()
    switch block {
    case .plain:
      storeByte(Check.plain, at: checked + ordinal)
      return true
    case .lz4:
      storeByte(Check.compressed, at: checked + ordinal)
      return false
    case .damaged(let damage): throw corrupt(damage, offset: place.offset)
    }
  }

  /// Whether a page of the mapped file could not be read.
  var hasFaulted: Bool { mapping?.hasFaulted ?? false }

  /// Throws when a page of the mapped file could not be read: what was read of it is zeros.
  func checkMapping() throws(EngineError) {
    if hasFaulted {
      throw EngineError(
        .io, "a page of a table cannot be read: the disk fails, or the file was cut", shard: shard, file: path,
        keyRange: info.keyRange)
    }
  }

  /// A data block by the cache, or from the file and then kept in the cache.
  private func block(_ ordinal: Int) throws(EngineError) -> BlockMemory {
    if let block = cached.find(ordinal) {
      counters.cacheHits.add(1)
      return block
    }
    let block = try readBlock(ordinal)
    resources.cache.insert(block, cached, ordinal)
    return block
  }

  @inline(never)
  private func readBlock(_ ordinal: Int) throws(EngineError) -> BlockMemory {
    let place = index.place(ordinal)
    if let mapping {
      // Its checksum held when it was found to be compressed.
      let stored = UnsafeRawBufferPointer(
        start: mapping.bytes.baseAddress.unsafelyUnwrapped + Int(place.offset), count: Int(place.size))
      let size = Int(UInt32(littleEndian: stored.loadUnaligned(as: UInt32.self)))
      try checkMapping()
      return try unpack(UnsafeRawBufferPointer(rebasing: stored[4...]), size: size, place)
    }
    counters.blockReads.add(1)
    let stored = BlockMemory(size: Int(place.size), trailerSize: BlockFormat.trailerSize)
    try read(into: stored.bytes, at: place.offset)
    switch StoredBlock(UnsafeRawBufferPointer(stored.bytes)) {
    case .plain: return stored
    case .damaged(let damage): throw corrupt(damage, offset: place.offset)
    case .lz4(let bytes, let size):
      defer { withExtendedLifetime(stored) {} }
      return try unpack(bytes, size: size, place)
    }
  }

  private func unpack(
    _ bytes: UnsafeRawBufferPointer, size: Int, _ place: BlockPlace
  ) throws(EngineError) -> BlockMemory {
    guard size <= BlockFormat.largestSize else { throw corrupt("damaged size of a block", offset: place.offset) }
    let block = BlockMemory(size: size)
    guard decompress(bytes, into: block.bytes) else {
      try checkMapping()
      throw corrupt("a block does not decompress", offset: place.offset)
    }
    return block
  }

  /// A data block if the cache has it.
  func cachedBlock(_ ordinal: Int) -> BlockMemory? { cached.find(ordinal) }

  /// Fills `buffer` from the file.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(EngineError) {
    let count: Int
    do {
      count = try resources.files.use(file) { handle throws(SystemError) in
        try handle.read(at: offset, into: buffer)
      }
    } catch {
      // Its process removed it: the mapping still has it.
      if error.code == noSuchFile, let mapping { return try copy(mapping, into: buffer, at: offset) }
      throw EngineError(error, doing: "reading \(buffer.count) bytes at \(offset)", shard: shard)
    }
    if count < buffer.count {
      throw corrupt("file ends \(buffer.count - count) bytes early", offset: offset)
    }
  }

  private func copy(
    _ mapping: FileMapping, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(EngineError) {
    guard offset <= UInt64(mapping.bytes.count), buffer.count <= mapping.bytes.count - Int(offset) else {
      throw corrupt("reading \(buffer.count) bytes behind the end of the table", offset: offset)
    }
    buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: mapping.bytes[Int(offset)...].prefix(buffer.count)))
    try checkMapping()
  }
}

// ENOENT of Linux: its number is part of its binary interface.
let noSuchFile: Int32 = 2

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
      let memory = BlockMemory(size: Int(place.size), trailerSize: BlockFormat.trailerSize)
      try readFully(file, into: memory.bytes, at: place.offset, shard: shard, keyRange: keyRange)
      switch StoredBlock(UnsafeRawBufferPointer(memory.bytes)) {
      case .plain: return memory
      case .damaged(let damage): throw corrupt(damage, place.offset)
      case .lz4: throw corrupt("a compressed part", place.offset)
      }
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
    index = try part(footer.index)
    let block = try part(footer.properties)
    defer { withExtendedLifetime(block) {} }
    guard let properties = TableProperties(block.content) else {
      throw corrupt("damaged properties", footer.properties.offset)
    }
    self.properties = properties
  }

  func readIndex() -> TableIndex? {
    guard let index = TableIndex(index, smallest: properties.smallest, dataEnd: footer.filter.offset),
      properties.largest.elementsEqual(index.lastKey(index.count - 1))
    else { return nil }
    return index
  }
}
