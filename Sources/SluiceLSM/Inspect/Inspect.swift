// Reads a table without an engine and says what is in it. Read-only; goes on past damage. The words are those of
// InspectionReport.swift. What it checks beyond the checksums: that entries rise, that their positions, counts and
// sizes are those of the properties, that the index names each block's last key, that the filter knows each key.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// How much of a table is looked at.
public enum TableDepth: Sendable {
  /// What opening an engine reads: header, footer, properties, filter, index.
  case parts
  /// That, and every entry of every block.
  case blocks
  /// That, and each entry is told.
  case entries
}

/// What was read of tables.
public struct TableTotals: Sendable {
  public var tables = 0
  public var blocks = 0
  public var entries = 0
  public var bytes: UInt64 = 0

  /// For the verdict.
  public var fields: String { "tables=\(tables) blocks=\(blocks) entries=\(entries) table_bytes=\(bytes)" }

  public init() {}

  public static func += (a: inout TableTotals, b: TableTotals) {
    a.tables += b.tables
    a.blocks += b.blocks
    a.entries += b.entries
    a.bytes += b.bytes
  }
}

/// Lines that describe a table file, the verdict last. Damage is a line, not an error.
public func describeTable(fileSystem: any FileSystem, path: String, entries: Bool = false) -> [String] {
  let report = InspectionReport()
  let totals = inspectTable(path, fileSystem: fileSystem, depth: entries ? .entries : .blocks, report: report)
  report.conclude(totals.fields)
  return report.lines
}

/// Describes a table file to `report`. Cost: by `depth`, the parts or all of the file are read once.
public func inspectTable(
  _ path: String, fileSystem: any FileSystem, depth: TableDepth, report: InspectionReport
) -> TableTotals {
  let file: any File
  do { file = try fileSystem.open(path, .read) } catch {
    report.refused(error)
    return TableTotals()
  }
  defer { file.close() }
  return TableInspection(file, named: nil, depth: depth, report: report).run()
}

/// One run over one table.
final class TableInspection {
  private let file: any File
  private let named: TableInfo?
  private let depth: TableDepth
  private let report: InspectionReport
  private var size: UInt64 = 0
  private var properties: TableProperties?
  private var filter: Filter?
  /// What the blocks hold, to be compared with the properties.
  private var found = TableProperties()
  private var lastKey = ByteBuffer()
  private var lastTrailer: UInt64 = 0
  private var totals = TableTotals()

  /// `named`: what the manifest says about the table, if one names it.
  init(_ file: any File, named: TableInfo?, depth: TableDepth, report: InspectionReport) {
    self.file = file
    self.named = named
    self.depth = depth
    self.report = report
  }

  func run() -> TableTotals {
    do { size = try file.size() } catch {
      report.refused(error)
      return totals
    }
    totals.tables = 1
    totals.bytes = size
    guard describeHeader(), let footer = readFooter() else { return totals }
    describeProperties(footer)
    describeFilter(footer)
    let before = report.damageCount
    let blocks = describeIndex(footer)
    if depth == .parts { return totals }
    for (number, block) in blocks.enumerated() {
      describe(block, number, after: number > 0 ? blocks[number - 1].lastKey : properties?.smallest)
    }
    if report.damageCount == before { compareCounts(footer) }
    return totals
  }

  private func damage(_ what: String, _ offset: UInt64, keys: String? = nil) {
    let keys = keys ?? properties.map { hex($0.smallest) + ".." + hex($0.largest) } ?? named?.keyRange
    report.damage(what, file: file.path, offset: offset, place: keys.map { "keys=\($0)" } ?? "")
  }

  // MARK: Parts

  /// Whether there is anything to be read behind the header.
  private func describeHeader() -> Bool {
    let line = "table" + field("file", file.path) + " bytes=\(size)"
    let least = TableFormat.headerSize + TableFormat.footerSize
    guard size >= UInt64(least), let header = read(0, TableFormat.headerSize) else {
      report.tell(line)
      if size < UInt64(least) { damage("a table has at least \(least) bytes", size) }
      return false
    }
    defer { withExtendedLifetime(header) {} }
    let bytes = UnsafeRawBufferPointer(header.bytes)
    report.tell(line + versionFields(bytes))
    if let named, named.size != size { damage("the manifest says \(named.size) bytes", size) }
    if let flaw = headerDamage(bytes, magic: TableFormat.headerMagic, version: TableFormat.version) {
      if flaw.kind == .unsupported {
        report.unread(flaw.message, file: file.path)
        return false
      }
      damage(flaw.message, 0)
    }
    return true
  }

  private func readFooter() -> TableFooter? {
    let offset = size - UInt64(TableFormat.footerSize)
    guard let tail = read(offset, TableFormat.footerSize) else { return nil }
    defer { withExtendedLifetime(tail) {} }
    if let footer = TableFooter(UnsafeRawBufferPointer(tail.bytes), fileSize: size) { return footer }
    damage("the footer does not verify: nothing else of the table can be found", offset)
    return nil
  }

  private func describeProperties(_ footer: TableFooter) {
    let place = footer.properties
    guard let block = readPart("properties", place) else { return }
    defer { withExtendedLifetime(block) {} }
    guard let read = TableProperties(block.content) else { return damage("the properties do not decode", place.offset) }
    properties = read
    report.tell(
      "properties keys=\(hex(read.smallest))..\(hex(read.largest)) "
        + "positions=\(read.lowestPosition)..\(read.highestPosition) entries=\(read.entries) "
        + "tombstones=\(read.tombstones) key_bytes=\(read.keyBytes) value_bytes=\(read.valueBytes)")
    if let named, !named.agrees(with: read) { damage("the manifest has other properties of the table", place.offset) }
  }

  private func describeFilter(_ footer: TableFooter) {
    guard let block = readPart("filter", footer.filter) else { return }
    defer { withExtendedLifetime(block) {} }
    filter = Filter(block.content)
    if filter == nil { damage("the filter does not decode", footer.filter.offset) }
  }

  private func describeIndex(_ footer: TableFooter) -> [IndexedBlock] {
    guard let block = readPart("index", footer.index) else { return [] }
    defer { withExtendedLifetime(block) {} }
    let (blocks, flaw) = readBlocks(of: block, upTo: footer.filter.offset)
    if let flaw { damage(flaw, footer.index.offset) }
    return blocks
  }

  /// Tells of a part and reads it; nil when it does not verify.
  private func readPart(_ name: String, _ place: BlockPlace) -> BlockMemory? {
    report.tell("part name=\(name) offset=\(place.offset) bytes=\(place.size)")
    guard let block = read(place) else { return nil }
    switch StoredBlock(UnsafeRawBufferPointer(block.bytes)) {
    case .plain: return block
    case .lz4: damage("\(name): compressed, which no writer does", place.offset)
    case .damaged(let flaw): damage("\(name): \(flaw)", place.offset)
    }
    return nil
  }

  private func read(_ place: BlockPlace) -> BlockMemory? {
    fill(BlockMemory(size: Int(place.size), trailerSize: BlockFormat.trailerSize), place.offset)
  }

  private func read(_ offset: UInt64, _ count: Int) -> BlockMemory? { fill(BlockMemory(size: count), offset) }

  private func fill(_ memory: BlockMemory, _ offset: UInt64) -> BlockMemory? {
    do { try readFully(file, into: memory.bytes, at: offset, shard: 0, keyRange: nil) } catch {
      damage(error.message + (error.cause.map { ": \($0)" } ?? ""), offset)
      return nil
    }
    return memory
  }

  // MARK: Blocks

  private func describe(_ block: IndexedBlock, _ number: Int, after previous: [UInt8]?) {
    let keys = "\(previous.map { hex($0) } ?? "")..\(hex(block.lastKey))"
    let line = "block number=\(number) offset=\(block.place.offset) bytes=\(block.place.size)"
    let last = "last=\(hex(block.lastKey))"
    guard let memory = read(block.place) else { return }
    totals.blocks += 1
    let (content, type, damaged) = unpack(memory)
    guard let content else {
      report.tell("\(line) \(last)")
      return damage(damaged, block.place.offset, keys: keys)
    }
    defer { withExtendedLifetime(content) {} }
    var flaw: String?
    var (count, end) = forEachEntry(content.content) { cursor in
      if flaw == nil { flaw = self.flaw(of: cursor) }
      take(cursor)
    }
    if end == nil, !lastKey.bytes.elementsEqual(block.lastKey) { end = "the index has another last key of this block" }
    totals.entries += count
    report.tell("\(line) type=\(type) entries=\(count) \(last)")
    if depth == .entries { _ = forEachEntry(content.content) { tell($0) } }
    if let flaw = flaw ?? end { damage(flaw, block.place.offset, keys: keys) }
  }

  /// The content of a block as it was read, and its type; or what is wrong with it.
  private func unpack(_ stored: BlockMemory) -> (content: BlockMemory?, type: String, damage: String) {
    switch StoredBlock(UnsafeRawBufferPointer(stored.bytes)) {
    case .plain: return (stored, "plain", "")
    case .damaged(let flaw): return (nil, "", flaw)
    case .lz4(let packed, let size):
      let content = BlockMemory(size: size)
      defer { withExtendedLifetime(stored) {} }
      return decompress(packed, into: content.bytes)
        ? (content, "lz4 content_bytes=\(size)", "") : (nil, "", "the block does not decompress")
    }
  }

  /// Walks the entries that decode; their count, and why the walk ended early.
  private func forEachEntry(
    _ content: UnsafeRawBufferPointer, _ body: (borrowing BlockCursor) -> Void
  ) -> (count: Int, flaw: String?) {
    var cursor = BlockCursor()
    guard cursor.open(content) else { return (0, "the block's restarts do not fit it") }
    var count = 0
    while true {
      switch cursor.step() {
      case .entry: body(cursor)
      case .end: return (count, nil)
      case .corrupt: return (count, "entry \(count) of the block does not decode")
      }
      count += 1
    }
  }

  private func tell(_ cursor: borrowing BlockCursor) {
    let kind = isTombstone(cursor.trailer) ? "tombstone" : "put"
    let value = cursor.value.count
    let position = cursor.trailer >> 8
    let key = hexDigits(cursor.key)
    report.tell("  entry key=\(key) position=\(position) kind=\(kind) value_bytes=\(value)")
  }

  /// Why the entry cannot stand behind the one before, or in this table; nil when it can.
  private func flaw(of cursor: borrowing BlockCursor) -> String? {
    let position = cursor.trailer >> 8
    if found.entries > 0 {
      let order = compareBytes(lastKey.bytes, cursor.key)
      if order > 0 || order == 0 && lastTrailer <= cursor.trailer {
        return "key \(hex([UInt8](cursor.key))) at position \(position) stands behind a greater entry"
      }
    }
    if let properties, position < properties.lowestPosition || position > properties.highestPosition {
      return "key \(hex([UInt8](cursor.key))) has position \(position), outside those of the properties"
    }
    if let filter, !filter.mayContain(SluiceSystem.hash(cursor.key)) {
      return "the filter does not know key \(hex([UInt8](cursor.key)))"
    }
    return nil
  }

  private func take(_ cursor: borrowing BlockCursor) {
    if found.entries == 0 { found.smallest = [UInt8](cursor.key) }
    found.entries += 1
    if isTombstone(cursor.trailer) { found.tombstones += 1 }
    found.keyBytes += UInt64(cursor.key.count)
    found.valueBytes += UInt64(cursor.value.count)
    found.lowestPosition = min(found.lowestPosition, cursor.trailer >> 8)
    found.highestPosition = max(found.highestPosition, cursor.trailer >> 8)
    lastKey.removeAll()
    lastKey.append(cursor.key)
    lastTrailer = cursor.trailer
  }

  /// All blocks were read: the properties must say the same.
  private func compareCounts(_ footer: TableFooter) {
    guard let properties else { return }
    found.largest = [UInt8](lastKey.bytes)
    if found != properties {
      damage(
        "the blocks hold \(found.entries) entries of \(found.keyBytes) and \(found.valueBytes) bytes, "
          + "which the properties do not say", footer.properties.offset)
    }
  }
}

// MARK: What the format's files do not offer to a reader who goes on past damage

/// A data block as the index names it.
private struct IndexedBlock {
  let lastKey: [UInt8]
  let place: BlockPlace
}

/// The blocks that an index names, up to the first entry that leads nowhere, and what is wrong with the index.
private func readBlocks(of index: BlockMemory, upTo end: UInt64) -> (blocks: [IndexedBlock], flaw: String?) {
  var reader = ByteReader(index.content)
  let count = Int(reader.readLittleEndian(UInt32.self))
  var blocks: [IndexedBlock] = []
  var next = UInt64(TableFormat.headerSize)
  while blocks.count < count {
    let size = reader.readVarint()
    let key = reader.readSized()
    if reader.failed { return (blocks, "entry \(blocks.count) of the index does not decode") }
    let place = BlockPlace(offset: next, size: size)
    guard size < end, place.end <= end else {
      return (blocks, "entry \(blocks.count) of the index leads outside the blocks")
    }
    blocks.append(IndexedBlock(lastKey: [UInt8](key), place: place))
    next = place.end
  }
  if reader.failed || reader.remaining > 0 { return (blocks, "the index has \(reader.remaining) bytes too many") }
  return (blocks, next == end ? nil : "the index ends at \(next), its blocks at \(end)")
}

/// Version and lowest reader version of the header of a table or a manifest.
func versionFields(_ header: UnsafeRawBufferPointer) -> String {
  var reader = ByteReader(header, offset: 8)
  return " version=\(reader.readLittleEndian(UInt16.self)) reader=\(reader.readLittleEndian(UInt16.self))"
}

extension TableInfo {
  /// Whether the table's own properties are those of the manifest.
  fileprivate func agrees(with properties: TableProperties) -> Bool {
    properties.smallest == smallest && properties.largest == largest && properties.entries == entries
      && properties.tombstones == tombstones && properties.lowestPosition == lowestPosition
      && properties.highestPosition == highestPosition
  }
}
