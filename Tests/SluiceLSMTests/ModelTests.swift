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
  /// Snapshots held, with what they must show for ever.
  var held: [(snapshot: Snapshot, rows: [Row])] = []

  init(seed: UInt64) throws {
    self.seed = seed
    random = SeededRandom(seed: seed)
    engine = try openEngine(disk)
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

  mutating func drop() throws {
    guard liveTables.count > 2, let table = liveTables.last else { return }
    position += 1
    try engine.dropPrefix(table, position: position)
    model.drops.append((table, position))
    liveTables[liveTables.count - 1] = nextTable
    nextTable += 1
  }

  mutating func reopen() throws {
    held.removeAll()
    engine.close()
    engine = try openEngine(disk, cacheBytes: random.chance(1, of: 2) ? 0 : 1 << 20)
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
    for _ in 0..<20 {
      let key = randomKey()
      #expect(try snapshot.row(key) == model.get(key, at: at), comment)
    }
    for prefix in [makeKey(1, []), makeKey(2, []), makeKey(2, [0x61])] {
      let expected = model.scan(at: .max, lower: prefix, upper: successor(ofPrefix: prefix)).last?.key
      #expect(try engine.lastKey(prefix: prefix) == expected, comment)
    }
    for held in held { #expect(try held.snapshot.rows() == held.rows, comment) }
    if random.chance(1, of: 4), held.count < 3 { held.append((snapshot, model.scan(at: at))) }
    if random.chance(1, of: 4), !held.isEmpty { held.removeFirst() }
  }

  mutating func step() throws {
    switch random.below(100) {
    case ..<50: try batch()
    case ..<70: engine.freeze(at: position)
    case ..<82: _ = try engine.flush()
    case ..<90: _ = try engine.compact()
    case ..<92: try drop()
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
