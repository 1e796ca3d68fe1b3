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
  private let memory: TableMemory

  init(_ engine: Engine, _ filterStrength: FilterStrength) {
    self.engine = engine
    self.filterStrength = filterStrength
    memory = engine.resources.takeTableMemory()
  }

  deinit { engine.resources.giveBack(memory) }

  /// Bytes of all tables so far.
  var size: UInt64 { finished.reduce(writer?.size ?? 0) { $0 + $1.size } }

  func add(_ head: MergeHead) throws(EngineError) {
    if let writer, writer.size >= engine.sizes.target, compareBytes(writer.lastKey, head.key) != 0 {
      try endTable()
    }
    try current().add(head.key, trailer: head.trailer, value: head.value)
  }

  /// Adds the entries of a run of memory, none with a key that was added before, but for those that `filter` leaves
  /// out.
  func add(_ run: Run, filter: inout VersionFilter) throws(EngineError) {
    var done = 0
    while done < run.count {
      if let writer, writer.size >= engine.sizes.target { try endTable() }
      let target = try current()
      done += try target.add(
        run.base + done, count: run.count - done, limit: engine.sizes.target, filter: &filter)
    }
  }

  private func current() throws(EngineError) -> TableWriter {
    if let writer { return writer }
    let new = try begin()
    writer = new
    return new
  }

  private func begin() throws(EngineError) -> TableWriter {
    let number = engine.takeNumber()
    numbers.append(number)
    return try TableWriter(
      fileSystem: engine.fileSystem, directory: engine.directory, number: number, shard: engine.shard,
      compression: engine.resources.compression, filterStrength: filterStrength, memory: memory)
  }

  /// Ends the current table, if there is one.
  func endTable() throws(EngineError) {
    guard let writer else { return }
    if writer.isEmpty {
      // The filter has left out everything.
      writer.abandon()
      removeFile(numbers.removeLast())
    } else {
      finished.append(try writer.finish())
    }
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
    for number in numbers { removeFile(number) }
  }

  /// Removes a file that nothing names; if that fails, the next open does.
  private func removeFile(_ number: UInt64) {
    do { try engine.fileSystem.remove(engine.directory + "/" + TableFormat.fileName(number)) } catch {}
  }
}
