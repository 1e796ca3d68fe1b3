// Raw keys against a dictionary: random writes, reads, scans, batches, flushes, tidy and untidy ends. After a crash the
// store must be what the dictionary was after some unit (a row or a batch) that was not before the last commit.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// One store, one session, and what they should hold.
private final class ModelRun {
  private let seed: UInt64
  private var random: SeededRandom
  private var bench = Bench()
  private var store: Store
  private var session: KeyValueSession
  private var model = RowModel()
  /// The model after the last commit and after each unit since.
  private var history: [RowModel] = [RowModel()]
  private var inBatch = false
  private let change: (inout StoreOptions) -> Void

  var comment: Comment { "\(repeatCommand(seed, "KeyValueModelTests"))" }

  init(seed: UInt64, _ change: @escaping (inout StoreOptions) -> Void) throws {
    self.seed = seed
    self.change = change
    random = SeededRandom(seed: seed)
    store = try bench.open(change)
    session = try store.makeKeyValueSession(space: 9)
  }

  /// Few keys, some of them prefixes of others, so that they meet often.
  private func key() -> Bytes {
    var key = Bytes(String(random.below(40)).utf8)
    if random.chance(1, of: 4) { key += Bytes(repeating: UInt8(random.below(2) * 255), count: 1 + random.below(20)) }
    return key
  }

  private func value() -> Bytes {
    Bytes(repeating: UInt8(random.below(256)), count: random.chance(1, of: 50) ? 3_000 : random.below(60))
  }

  private func noteUnit() { if !inBatch { history.append(model) } }

  func step() throws {
    switch random.below(100) {
    case 0..<45:
      let (key, value) = (key(), value())
      try session.put(key, value)
      model.put(key, value)
      noteUnit()
    case 45..<55:
      let key = key()
      try session.delete(key)
      model.delete(key)
      noteUnit()
    case 55..<70:
      let key = key()
      #expect(try session.get(key) == model[key], comment)
    case 70..<74:
      let keys = (0..<random.below(6)).map { _ in key() }
      #expect(try session.multiGet(keys) == keys.map { model[$0] }, comment)
    case 74..<80: try scan()
    case 80..<84: try toggleBatch()
    case 84..<90: try commit()
    case 90..<93: if !inBatch { try store.flush() }
    case 93..<95: try reopen()
    case 95..<97: try crash()
    default: #expect(try session.rows() == model.rows(), comment)
    }
  }

  private func scan() throws {
    var (lower, upper) = (key(), key())
    if upper.lexicographicallyPrecedes(lower) { swap(&lower, &upper) }
    let rows = model.rows(lower: lower, upper: upper)
    #expect(try session.rows(KeyRange(lower: lower, upper: upper)) == rows, comment)
    #expect(try session.rows(KeyRange(lower: lower, upper: upper), .descending) == rows.reversed(), comment)
    let limit = random.below(8)
    #expect(try session.scan(from: lower, limit: limit) == Array(model.rows(lower: lower).prefix(limit)), comment)
  }

  private func toggleBatch() throws {
    if !inBatch {
      try session.beginBatch()
      inBatch = true
    } else if random.chance(1, of: 3) {
      try session.cancelBatch()
      inBatch = false
      model = history.last!
    } else {
      try session.endBatch()
      inBatch = false
      history.append(model)
    }
  }

  private func commit() throws {
    if inBatch { return }
    if random.chance(1, of: 2) { try session.commit() } else { try session.settle() }
    history = [model]
  }

  /// Leaves tidily: everything handed over is there.
  private func reopen() throws {
    if inBatch { try toggleBatch() }
    if inBatch { return }
    try session.settle()
    history = [model]
    try store.close(drain: random.chance(1, of: 2))
    store = try bench.open(change)
    session = try store.makeKeyValueSession(space: 9)
    #expect(try session.rows() == model.rows(), comment)
  }

  /// The process and the machine stop.
  func crash() throws {
    let before = bench
    let mode: CrashMode = [.keepAll, .keepNothing, .seeded(seed &+ UInt64(random.below(1 << 30)))][random.below(3)]
    bench = Bench(disk: before.disk.crashImage(mode))
    copyDatabase(before.projections, to: bench.projections)
    try? store.close(drain: false)
    inBatch = false
    store = try bench.open(change)
    session = try store.makeKeyValueSession(space: 9)
    let found = try session.rows()
    let states = history.map { $0.rows() }
    guard let index = states.lastIndex(of: found) else {
      Issue.record("not a state since the last commit; \(comment)")
      return
    }
    model = history[index]
    history = [model]
  }
}

@Suite struct KeyValueModelTests {
  @Test(arguments: 0..<8) func randomUse(_ part: Int) throws {
    let seed = testSeed() &+ UInt64(part) << 32
    let run = try ModelRun(seed: seed) { options in
      options.shardCount = 1 + part % 4
      options.memtableBudgetBytes = [2 << 10, 64 << 10][part % 2]
    }
    for _ in 0..<1_200 { try run.step() }
    try run.crash()
  }
}
