// The engine against the model, driven by a seed: every kind of call, in any order, with reopening.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

/// One run: an engine and a model that get the same commands.
private struct Driver {
  let disk = SimulatedFileSystem()
  let seed: UInt64
  var random: SeededRandom
  var engine: Engine
  var model = Model()
  var position: UInt64 = 0
  var liveTables: [UInt32] = [1, 2, 3]
  var nextTable: UInt32 = 4
  let compression: Compression
  /// Snapshots held, with what they must show for ever.
  var held: [(snapshot: Snapshot, rows: [Row])] = []

  init(seed: UInt64) throws {
    self.seed = seed
    random = SeededRandom(seed: seed)
    compression = random.chance(1, of: 2) ? .lz4 : .none
    engine = try openEngine(disk, compression: compression)
  }

  var comment: Comment { "\(repeatCommand(seed, "SluiceLSMTests"))" }

  mutating func randomKey() -> [UInt8] {
    let table = liveTables[random.below(liveTables.count)]
    // Table 1 rises; the others have few letters, so that keys repeat and are prefixes of one another.
    if table == 1 { return makeKey(1, random.chance(9, of: 10) ? position + 1 : UInt64(random.below(500))) }
    let size = random.chance(1, of: 10) ? 20 + random.below(40) : random.below(6)
    return makeKey(table, (0..<size).map { _ in [0, 1, 0x61, 0xff][random.below(4)] })
  }

  mutating func batch() throws {
    let batch = TestBatch()
    var accepted: [Model.Command] = []
    for _ in 0..<(1 + random.below(4)) {
      let mark = engine.mark()
      var statement: [Model.Command] = []
      for _ in 0..<(1 + random.below(20)) {
        position += 1
        let key = randomKey()
        if random.chance(1, of: 3) {
          let seen = (accepted + statement).last { $0.key == key }
          let expected = seen.map { $0.value != nil } ?? (model.get(key, at: .max) != nil)
          #expect(try engine.contains(key: key) == expected, comment)
        }
        let size = random.chance(1, of: 50) ? 9000 : random.below(120)
        statement.append(
          Model.Command(position: position, key: key, value: random.chance(1, of: 4) ? nil : random.bytes(size)))
        engine.append(statement[statement.count - 1], in: batch)
      }
      if random.chance(1, of: 5) {
        engine.rollback(to: mark)
        for command in statement.prefix(3) {
          let seen = accepted.last { $0.key == command.key }
          let expected = seen.map { $0.value != nil } ?? (model.get(command.key, at: .max) != nil)
          #expect(try engine.contains(key: command.key) == expected, comment)
        }
      } else {
        accepted += statement
      }
    }
    engine.publish(upTo: position, owner: batch)
    for command in accepted { model.apply(command) }
  }

  /// Deletes all of an SQL table; half of the time it is used again.
  mutating func deletePrefix() {
    let place = random.below(liveTables.count)
    let table = liveTables[place]
    position += 1
    engine.deletePrefix(table, position: position)
    model.drops.append((table, position))
    if table != 1, random.chance(1, of: 2) {
      liveTables[place] = nextTable
      nextTable += 1
    }
  }

  mutating func reopen() throws {
    held.removeAll()
    engine.close()
    engine = try openEngine(disk, cacheBytes: random.chance(1, of: 2) ? 0 : 1 << 20, compression: compression)
    try engine.replay(model)
  }

  mutating func check() throws {
    let flushed = engine.flushedPosition
    let at = random.chance(1, of: 2) ? position : flushed + UInt64(random.below(Int(position - flushed) + 1))
    let snapshot = engine.snapshot(at: at)
    var bounds = [randomKey(), randomKey()].sorted { compareKeys($0, $1) < 0 }
    if random.chance(1, of: 5) { bounds[1] = bounds[0] }
    #expect(try snapshot.rows() == model.scan(at: at), comment)
    #expect(
      try snapshot.rows(lower: bounds[0], upper: bounds[1])
        == model.scan(at: at, lower: bounds[0], upper: bounds[1]), comment)
    #expect(try snapshot.rows(isForward: false) == model.scan(at: at).reversed(), comment)
    #expect(
      try snapshot.rows(lower: bounds[0], upper: bounds[1], isForward: false)
        == model.scan(at: at, lower: bounds[0], upper: bounds[1]).reversed(), comment)
    try checkPoints(snapshot, at)
    for prefix in [makeKey(1, []), makeKey(2, []), makeKey(2, [0x61])] {
      let upper = successor(ofPrefix: prefix)
      #expect(
        try engine.lastKey(prefix: prefix) == model.scan(at: .max, lower: prefix, upper: upper).last?.key, comment)
      let isForward = random.chance(1, of: 2)
      let expected = model.scan(at: at, lower: prefix, upper: upper)
      #expect(
        try snapshot.iterator(prefix: prefix, isForward: isForward).rows()
          == (isForward ? expected : expected.reversed()), comment)
    }
    for held in held { #expect(try held.snapshot.rows() == held.rows, comment) }
    if random.chance(1, of: 4), held.count < 3 { held.append((snapshot, model.scan(at: at))) }
    if random.chance(1, of: 4), !held.isEmpty { held.removeFirst() }
  }

  /// The same keys by a snapshot, by the engine, and all at once.
  mutating func checkPoints(_ snapshot: Snapshot, _ at: UInt64) throws {
    var scratch = LookupScratch()
    let keys = (0..<20).map { _ in randomKey() }
    let expected = keys.map { model.get($0, at: at) }
    for (key, row) in zip(keys, expected) {
      #expect(try snapshot.row(key) == row, comment)
      let read = key.withUnsafeBytes { bytes in
        Result { try engine.view().find(bytes, at: at, &scratch) { [UInt8]($0.value) } }
      }
      #expect(try read.get() == row?.value, comment)
    }
    var found = [[UInt8]?](repeating: nil, count: keys.count)
    try snapshot.find(keys) { found[$0] = $1.map { [UInt8]($0.value) } }
    #expect(found == expected.map { $0?.value }, comment)
  }

  mutating func step() throws {
    switch random.below(100) {
    case ..<50: try batch()
    case ..<70: engine.freeze(at: position)
    case ..<82: _ = try engine.flush()
    case ..<90: _ = try engine.compact(isIdle: random.chance(1, of: 2))
    case ..<92: deletePrefix()
    case ..<94: try reopen()
    default: try check()
    }
  }
}

@Test(arguments: 0..<6)
func engineEqualsModel(_ run: Int) throws {
  var driver = try Driver(seed: testSeed() &+ UInt64(run))
  for _ in 0..<250 { try driver.step() }
  driver.engine.freeze(at: driver.position)
  try driver.engine.flushAll()
  try driver.engine.compactAll()
  try driver.reopen()
  try driver.check()
  let statistics = driver.engine.statistics()
  #expect(statistics.tables > 3, "the run is too small to mean anything")
}
