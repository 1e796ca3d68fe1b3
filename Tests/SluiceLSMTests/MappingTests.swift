// Real files, read in place: the same answers as by calls, and a file that is cut under an open engine is an error with
// its name, not the end of the process.
import Glibc
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

/// A directory of its own for `body`, removed afterwards.
private func withDirectory(_ body: (String) throws -> Void) throws {
  var template = Array("/tmp/sluice-mapping-\(getpid())-".utf8CString.dropLast()) + Array("XXXXXX".utf8CString)
  guard let made = mkdtemp(&template) else { throw SystemError(call: "mkdtemp", path: "", code: errno) }
  let path = String(cString: made)
  defer {
    let files = RealFileSystem()
    for shard in ["engine"] {
      for name in (try? files.list("\(path)/\(shard)")) ?? [] { unlink("\(path)/\(shard)/\(name)") }
      rmdir("\(path)/\(shard)")
    }
    rmdir(path)
  }
  try body(path)
}

private func fill(_ directory: String, _ compression: Compression) throws -> (Engine, Model) {
  let engine = try openEngine(
    RealFileSystem(), directory: directory + "/engine", cacheBytes: 40_000, compression: compression)
  engine.sizes.target = 100_000
  var model = Model()
  var random = SeededRandom(seed: 21)
  var position: UInt64 = 0
  for _ in 0..<3 {
    let commands = (0..<2000).map { _ -> Model.Command in
      position += 1
      let value = [UInt8](repeating: UInt8(random.below(256)), count: random.below(120))
      return Model.Command(
        position: position, key: makeKey(1, UInt64(random.below(3000))), value: random.chance(1, of: 9) ? nil : value)
    }
    for command in commands { model.apply(command) }
    engine.apply(commands)
    engine.freeze(at: position)
    try engine.flushAll()
  }
  return (engine, model)
}

@Test(arguments: [Compression.none, .lz4])
func mappedTablesAnswerLikeTheModel(_ compression: Compression) throws {
  try withDirectory { directory in
    let (engine, model) = try fill(directory, compression)
    let snapshot = engine.snapshot(at: 6000)
    let expected = model.scan(at: 6000)
    for _ in 0..<2 {
      for number in UInt64(0)..<3000 {
        #expect(try snapshot.row(makeKey(1, number)) == model.get(makeKey(1, number), at: 6000))
      }
    }
    #expect(try snapshot.rows() == expected)
    #expect(try snapshot.rows(isForward: false) == expected.reversed())
    #expect(engine.resources.cache.byteCount <= 40_000)
    #expect(compression == .none ? engine.resources.cache.byteCount == 0 : engine.resources.cache.byteCount > 20_000)
  }
}

/// What is read in place is checked as what is read by calls: a flipped bit is found at the first read of its block.
@Test(arguments: [Compression.none, .lz4])
func aFlippedBitOfAMappedTableIsFound(_ compression: Compression) throws {
  try withDirectory { directory in
    let (engine, model) = try fill(directory, compression)
    engine.close()
    let files = RealFileSystem()
    let name = try #require(try files.list(directory + "/engine").first { $0.hasSuffix(".table") })
    let path = "\(directory)/engine/\(name)"
    let descriptor = open(path, O_RDWR)
    defer { close(descriptor) }
    var random = SeededRandom(seed: 8)
    var found = 0
    for _ in 0..<20 {
      // The first half of the file is blocks.
      let offset = off_t(TableFormat.headerSize + random.below(Int(lseek(descriptor, 0, SEEK_END)) / 2))
      var byte: UInt8 = 0
      #expect(pread(descriptor, &byte, 1, offset) == 1)
      var flipped = byte ^ (1 << UInt8(random.below(8)))
      #expect(pwrite(descriptor, &flipped, 1, offset) == 1)
      let damaged = try openEngine(
        files, directory: directory + "/engine", cacheBytes: 40_000, compression: compression)
      let snapshot = damaged.snapshot(at: 6000)
      do {
        for number in UInt64(0)..<3000 {
          let row = try snapshot.row(makeKey(1, number))
          #expect(row == model.get(makeKey(1, number), at: 6000))
        }
      } catch let error as EngineError {
        found += 1
        #expect(error.kind == .corrupt && error.file == path && error.offset != nil && error.keyRange != nil)
      }
      damaged.close()
      #expect(pwrite(descriptor, &byte, 1, offset) == 1)
    }
    // A block none of whose versions is the newest of its key is not read.
    #expect(found >= 15, "\(found) of 20")
  }
}

@Test func aTableCutWhileItIsOpenIsAnError() throws {
  try withDirectory { directory in
    let (engine, model) = try fill(directory, .none)
    let snapshot = engine.snapshot(at: 6000)
    let names = try RealFileSystem().list(directory + "/engine").filter { $0.hasSuffix(".table") }
    for name in names { #expect(truncate("\(directory)/engine/\(name)", 4096) == 0) }
    var failures = 0
    for number in UInt64(0)..<3000 {
      let key = makeKey(1, number)
      do { #expect(try snapshot.row(key) == model.get(key, at: 6000)) } catch let error as EngineError {
        failures += 1
        #expect(error.kind == .io)
        #expect(names.contains { error.file.hasSuffix($0) })
      }
    }
    #expect(failures > 1000)
    #expect(throws: EngineError.self) { try snapshot.rows() }
    // Another state over the same tables knows it too.
    engine.apply([put(6001, makeKey(2, 1), [1])])
    #expect(throws: EngineError.self) { try engine.snapshot(at: 6001).rows(isForward: false) }
    #expect(try engine.snapshot(at: 6001).get(makeKey(2, 1)) == [1])
  }
}
