// Damage: flipped bits, cut and missing files. An error that names the file, or the right answer; nothing else.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

/// A small store with all that a file can hold: levels, tombstones, a drop, a large value.
private func smallStore(_ compression: Compression = .none) throws -> (disk: SimulatedFileSystem, model: Model) {
  let disk = SimulatedFileSystem()
  let engine = try openEngine(disk, compression: compression)
  var model = Model()
  var random = SeededRandom(seed: 5)
  for generation in 0..<7 {
    var commands: [Model.Command] = []
    for step in 1...40 {
      let position = UInt64(generation * 40 + step)
      let key = makeKey(UInt32(1 + random.below(2)), [UInt8(random.below(100)), UInt8(random.below(2))])
      let size = step == 7 ? 5000 : random.below(60)
      commands.append(.init(position: position, key: key, value: random.chance(1, of: 5) ? nil : bytes(size, &random)))
    }
    for command in commands { model.apply(command) }
    engine.apply(commands)
    engine.freeze(at: commands[39].position)
    try engine.flushAll()
    try engine.compactAll()
  }
  engine.deletePrefix(9, position: 281)
  engine.freeze(at: 281)
  try engine.flushAll()
  engine.close()
  return (disk, model)
}

/// Half of them compress well.
private func bytes(_ size: Int, _ random: inout SeededRandom) -> [UInt8] {
  random.chance(1, of: 2) ? random.bytes(size) : [UInt8](repeating: UInt8(random.below(4)), count: size)
}

/// Reads everything in every way; the answer or the error.
private func readAll(_ disk: any FileSystem, _ model: Model) throws -> [Row] {
  let engine = try openEngine(disk)
  defer { engine.close() }
  let snapshot = engine.snapshot(at: 281)
  let rows = try snapshot.rows()
  #expect(engine.flushedPosition == 281)
  for row in rows { #expect(try snapshot.row(row.key) == row) }
  #expect(try snapshot.rows(isForward: false) == rows.reversed())
  return rows
}

@Test(arguments: [Compression.none, .lz4])
func flippedBitsAreFoundAndNamed(_ compression: Compression) throws {
  let (disk, model) = try smallStore(compression)
  let expected = model.scan(at: 281)
  let names = try disk.list("engine").map { "engine/" + $0 }
  #expect(names.count > 3)
  let seed = testSeed()
  var random = SeededRandom(seed: seed)
  var found = 0
  for _ in 0..<10_000 {
    let name = names[random.below(names.count)]
    let original = try #require(disk.content(name))
    var damaged = original
    let offset = random.below(damaged.count)
    damaged[offset] ^= 1 << UInt8(random.below(8))
    try disk.setContent(name, damaged)
    let comment: Comment = "\(name) offset \(offset): \(repeatCommand(seed, "flippedBits"))"
    do {
      let rows = try readAll(disk, model)
      #expect(rows == expected, comment)
    } catch let error as EngineError {
      found += 1
      #expect(error.kind == .corrupt || error.kind == .unsupported, comment)
      #expect(error.file == name, comment)
      #expect(error.offset != nil, comment)
      if name.hasSuffix(".table") { #expect(error.keyRange != nil, comment) }
    }
    try disk.setContent(name, original)
  }
  // Every byte is under a checksum or is a magic.
  #expect(found == 10_000)
}

@Test func cutFilesAreFound() throws {
  let (disk, model) = try smallStore()
  for name in try disk.list("engine").map({ "engine/" + $0 }) where name.hasSuffix(".table") {
    let original = try #require(disk.content(name))
    for size in [0, 1, 15, 16, 60, 100, original.count / 2, original.count - 1] where size < original.count {
      try disk.setContent(name, Array(original.prefix(size)))
      let error = #expect(throws: EngineError.self) { try readAll(disk, model) }
      #expect(error?.kind == .corrupt && error?.file == name)
    }
    try disk.setContent(name, original + [0])
    #expect(throws: EngineError.self) { try readAll(disk, model) }
    try disk.setContent(name, original)
  }
}

@Test func missingFilesAreFound() throws {
  for suffix in [".table", "MANIFEST"] {
    let (disk, model) = try smallStore()
    let name = try #require(try disk.list("engine").first { $0.contains(suffix) })
    try disk.remove("engine/" + name)
    let error = #expect(throws: EngineError.self) { try readAll(disk, model) }
    #expect(error?.kind == .corrupt)
  }
}

@Test func aTornManifestRecordIsCut() throws {
  let (disk, model) = try smallStore()
  let name = "engine/" + (try #require(try disk.list("engine").first { $0.hasPrefix("MANIFEST") }))
  let original = try #require(disk.content(name))
  // The last edit moved the flushed position from 280 to 281 and dropped a prefix.
  for size in [original.count - 1, original.count - 5, original.count - 16] {
    try disk.setContent(name, Array(original.prefix(size)))
    let engine = try openEngine(disk.crashImage(.keepAll))
    #expect(engine.flushedPosition == 280)
    #expect(try engine.snapshot(at: 281).rows() == model.scan(at: 281))
    engine.close()
  }
}

@Test func garbageIsRefused() throws {
  var random = SeededRandom(seed: 3)
  for _ in 0..<300 {
    let bytes = random.bytes(random.below(400))
    let disk = SimulatedFileSystem()
    try disk.createDirectory("engine")
    try disk.setContent("engine/000001.table", bytes)
    #expect(throws: EngineError.self) { try openEngine(disk) }
    let lines = describeTable(fileSystem: disk, path: "engine/000001.table")
    #expect(lines.last?.hasPrefix("verdict state=damaged") == true)
    #expect(!describeManifest(fileSystem: disk, path: "engine/000001.table").isEmpty)
    // Block content with a valid checksum but arbitrary numbers: any walk ends, inside the block.
    var cursor = BlockCursor()
    bytes.withUnsafeBytes { content in
      guard cursor.open(content) else { return }
      var steps = 0
      while cursor.step() == .entry { steps += 1 }
      #expect(steps <= bytes.count)
      [UInt8](arrayLiteral: 1, 2, 3).withUnsafeBytes { _ = cursor.seek(SearchKey($0), trailer: 0) }
      steps = 0
      var step = cursor.last()
      while step == .entry {
        steps += 1
        step = cursor.stepBack()
      }
      #expect(steps <= bytes.count)
    }
  }
}

@Test func newerFormatsAreRefusedAsSuch() throws {
  let (disk, model) = try smallStore()
  for name in try disk.list("engine").map({ "engine/" + $0 }) {
    let original = try #require(disk.content(name))
    var newer = original
    newer[8] = 3
    newer[10] = 3
    let size = name.hasSuffix(".table") ? 12 : 24
    let sum = newer.prefix(size).withUnsafeBytes { checksum($0) }
    for index in 0..<4 { newer[size + index] = UInt8(truncatingIfNeeded: sum >> (8 * UInt32(index))) }
    try disk.setContent(name, newer)
    let error = #expect(throws: EngineError.self) { try readAll(disk, model) }
    #expect(error?.kind == .unsupported)
    try disk.setContent(name, original)
  }
}
