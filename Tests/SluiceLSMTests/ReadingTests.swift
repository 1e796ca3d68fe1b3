// An engine that is read while another one, as it were in another process, writes the same directory: tables that were
// merged away stay readable, also when their files were closed meanwhile.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

private func openForReading(
  _ directory: String, _ compression: Compression, sharing earlier: Engine? = nil
) throws -> Engine {
  // One open file for many tables: each is closed when the next one is read.
  let resources = earlier?.resources ?? EngineResources(cacheBytes: 4_000, openFileLimit: 1, compression: compression)
  return try Engine.openForReading(
    fileSystem: RealFileSystem(), directory: directory, shard: 0, resources: resources, sharing: earlier)
}

@Test(arguments: [Compression.none, .lz4])
func tablesThatTheirWriterRemovedAreRead(_ compression: Compression) throws {
  let folder = TemporaryFolder()
  let directory = folder.file("engine")
  #expect(try openForReading(directory, compression).flushedPosition == 0)
  let writer = try openEngine(RealFileSystem(), directory: directory, compression: compression)
  var model = Model()
  var position: UInt64 = 0
  func write(_ count: Int) throws {
    let commands = (0..<count).map { _ -> Model.Command in
      position += 1
      return put(position, makeKey(1, position % 700), [UInt8](repeating: UInt8(position % 251), count: 60))
    }
    for command in commands { model.apply(command) }
    writer.apply(commands)
    writer.freeze(at: position)
    try writer.flushAll()
  }
  for _ in 0..<4 { try write(500) }
  let names = try RealFileSystem().list(directory)
  let reader = try openForReading(directory, compression)
  #expect(reader.tables.count > 4)
  #expect(try RealFileSystem().list(directory) == names)
  let (seen, expected) = (position, model.scan(at: position))
  for _ in 0..<6 {
    try write(500)
    try writer.compactAll(isIdle: true)
  }
  let left = try RealFileSystem().list(directory)
  #expect(names.filter { $0.hasSuffix(".table") && !left.contains($0) }.count > 4)
  #expect(try reader.snapshot(at: seen).rows() == expected)
  for row in expected.prefix(100) { #expect(try reader.snapshot(at: seen).row(row.key) == row) }
  #expect(throws: EngineError.self) { try reader.flush() }
  // Opened anew it has the present, and shares what is still there.
  let later = try openForReading(directory, compression, sharing: reader)
  #expect(try later.snapshot(at: position).rows() == model.scan(at: position))
  let again = try openForReading(directory, compression, sharing: later)
  #expect(again.tables.count == later.tables.count)
  #expect(again.tables.allSatisfy { later.tables[$0.key] === $0.value })
  writer.close()
}
