// Writes one table file, front to back. The format is in TableFormat.swift.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Builds a table from entries given in order. A caller ends it by `finish` or `abandon`.
final class TableWriter {
  private static let chunkSize = 1 << 20

  private let file: any File
  private let shard: Int
  private let number: UInt64
  private var output = ByteBuffer(capacity: chunkSize + 2 * BlockFormat.targetSize)
  /// Bytes of the file before `output`.
  private var written: UInt64 = 0
  private var data: BlockBuilder
  private var index = TableIndexBuilder()
  private let filterStrength: FilterStrength
  private var hashes: [UInt64] = []
  private var properties = TableProperties()

  /// Creates the file, which must not exist.
  init(
    fileSystem: any FileSystem, directory: String, number: UInt64, shard: Int, compression: Compression = .none,
    filterStrength: FilterStrength = .bottom
  ) throws(EngineError) {
    self.shard = shard
    self.number = number
    self.filterStrength = filterStrength
    data = BlockBuilder(compression: compression)
    do { file = try fileSystem.open(directory + "/" + TableFormat.fileName(number), .create) } catch {
      throw EngineError(error, doing: "creating a table", shard: shard)
    }
    appendFileHeader(TableFormat.headerMagic, version: TableFormat.version, to: &output)
  }

  /// Bytes of blocks so far.
  var size: UInt64 { written + UInt64(output.count) }

  /// The last key added; empty before the first. Valid until the next `add`.
  var lastKey: UnsafeRawBufferPointer { data.last }

  /// Adds an entry behind the others. Writes about every megabyte.
  func add(_ key: UnsafeRawBufferPointer, trailer: UInt64, value: UnsafeRawBufferPointer) throws(EngineError) {
    if properties.entries == 0 { properties.smallest = [UInt8](key) }
    let isNewKey = properties.entries == 0 || compareBytes(data.last, key) != 0
    if isNewKey { hashes.append(SluiceSystem.hash(key)) }
    // A block ends before an entry that begins it anew, so that its last key is known.
    if data.size(in: output) >= BlockFormat.targetSize { try endBlock() }
    data.add(key, trailer: trailer, value: value, to: &output)
    let position = trailer >> 8
    properties.lowestPosition = min(properties.lowestPosition, position)
    properties.highestPosition = max(properties.highestPosition, position)
    properties.entries += 1
    if isTombstone(trailer) { properties.tombstones += 1 }
    properties.keyBytes += UInt64(key.count)
    properties.valueBytes += UInt64(value.count)
  }

  private func endBlock() throws(EngineError) {
    let size = data.finish(in: &output)
    index.add(lastKey: data.last, storedSize: size)
    if output.count >= Self.chunkSize { try writeOut() }
  }

  private func writeOut() throws(EngineError) {
    do {
      try file.write(output.bytes, at: written)
      file.startWriteback(at: written, size: UInt64(output.count))
    } catch { throw EngineError(error, doing: "writing a table", shard: shard) }
    written += UInt64(output.count)
    output.removeAll()
  }

  /// Writes the rest, syncs and closes. There must be an entry. The name is durable when the directory is synced.
  func finish() throws(EngineError) -> TableInfo {
    invariant(properties.entries > 0, "table \(number) without entries")
    properties.largest = [UInt8](data.last)
    try endBlock()
    func endPart(_ start: Int) -> BlockPlace {
      let place = BlockPlace(offset: written + UInt64(start), size: UInt64(output.count - start))
      appendBlockTrailer(to: &output, from: start)
      return place
    }
    var start = output.count
    appendFilter(hashes, filterStrength, to: &output)
    let filter = endPart(start)
    start = output.count
    index.append(to: &output)
    let indexPlace = endPart(start)
    start = output.count
    properties.append(to: &output)
    let footer = TableFooter(filter: filter, index: indexPlace, properties: endPart(start))
    footer.append(to: &output)
    try writeOut()
    do { try file.sync() } catch { throw EngineError(error, doing: "syncing a table", shard: shard) }
    file.close()
    return TableInfo(
      number: number, size: written, smallest: properties.smallest, largest: properties.largest,
      lowestPosition: properties.lowestPosition, highestPosition: properties.highestPosition,
      entries: properties.entries, tombstones: properties.tombstones)
  }

  /// Closes the unfinished file; whoever made the writer removes it.
  func abandon() { file.close() }
}
