// Writes one run: as many tables as it takes, none with a key of another.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Used by the compactor. Ended by `finish` or `abandon`.
final class RunWriter {
  private let engine: Engine
  private let filterStrength: FilterStrength
  private var writer: TableWriter?
  private(set) var finished: [TableInfo] = []
  private var numbers: [UInt64] = []

  init(_ engine: Engine, _ filterStrength: FilterStrength) {
    self.engine = engine
    self.filterStrength = filterStrength
  }

  /// Bytes of all tables so far.
  var size: UInt64 { finished.reduce(writer?.size ?? 0) { $0 + $1.size } }

  func add(_ head: MergeHead) throws(EngineError) {
    if let writer, writer.size >= engine.sizes.target, compareBytes(writer.lastKey, head.key) != 0 {
      try endTable()
    }
    let target: TableWriter
    if let writer {
      target = writer
    } else {
      target = try begin()
      writer = target
    }
    try target.add(head.key, trailer: head.trailer, value: head.value)
  }

  private func begin() throws(EngineError) -> TableWriter {
    let number = engine.takeNumber()
    numbers.append(number)
    return try TableWriter(
      fileSystem: engine.fileSystem, directory: engine.directory, number: number, shard: engine.shard,
      compression: engine.resources.compression, filterStrength: filterStrength)
  }

  /// Ends the current table, if there is one.
  func endTable() throws(EngineError) {
    guard let writer else { return }
    finished.append(try writer.finish())
    self.writer = nil
  }

  /// Ends the run: the tables and their names are durable afterwards.
  func finish() throws(EngineError) -> [TableInfo] {
    try endTable()
    if !finished.isEmpty {
      do { try engine.fileSystem.syncDirectory(engine.directory) } catch {
        throw EngineError(error, doing: "syncing the names of new tables", shard: engine.shard)
      }
    }
    return finished
  }

  /// Removes everything that was written.
  func abandon() {
    writer?.abandon()
    writer = nil
    for number in numbers {
      do { try engine.fileSystem.remove(engine.directory + "/" + TableFormat.fileName(number)) } catch {
        // It names nothing that counts; the next open removes it.
        continue
      }
    }
  }
}
