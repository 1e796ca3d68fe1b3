// A reader on threads beside a writer on others, on real files, while the writer flushes, merges and adopts large
// transactions: at each position the reader must see what the writer's commands come to.
import SluiceLSM
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// What the table holds at a position.
private struct Sums: Equatable {
  var rows = 0
  var total: Int64 = 0
  /// Whether the other table stands.
  var hasOther = false
}

private func sums(_ view: StoreView) throws -> Sums {
  let contents = try view.contents()
  var sums = Sums(hasOther: contents["other"] != nil)
  for row in contents["t"] ?? [:] {
    sums.rows += 1
    if case .integer(let number) = row.value.values[1] { sums.total += number }
  }
  return sums
}

/// Writes, and says beforehand what there is at each position that a statement ends at.
private struct PlannedWriter {
  let session: Session
  let plan: Monitor<[UInt64: Sums]>
  private var position: UInt64 = 0
  private var now = Sums()
  private var nextID = 0
  private var random: SeededRandom

  init(_ store: Store, _ plan: Monitor<[UInt64: Sums]>, seed: UInt64) throws {
    session = try store.makeSession()
    self.plan = plan
    random = SeededRandom(seed: seed)
    plan.withLock { $0[0] = Sums() }
    try run(["CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, v TEXT)"], commands: 1, now)
  }

  /// `commands`: as many positions it takes, in one transaction if there are several statements.
  private mutating func run(_ statements: [String], commands: Int, _ after: Sums) throws {
    position += UInt64(commands)
    now = after
    plan.withLock { $0[position] = now }
    if statements.count > 1 { _ = try session.execute("BEGIN") }
    for statement in statements { _ = try session.execute(statement) }
    if statements.count > 1 { _ = try session.execute("COMMIT") }
  }

  private mutating func insert(_ count: Int, _ after: inout Sums) -> String {
    let values = (0..<count).map { _ -> String in
      let number = random.below(1_000)
      nextID += 1
      after.rows += 1
      after.total += Int64(number)
      return "(\(nextID), \(number), '\(String(repeating: "v", count: 20 + random.below(90)))')"
    }
    return "INSERT INTO t VALUES" + values.joined(separator: ",")
  }

  mutating func step() throws {
    var after = now
    switch random.below(12) {
    case 0:
      let statements = (0..<30).map { _ in insert(3, &after) }
      try run(statements, commands: 90, after)
    case 1:
      after.hasOther.toggle()
      let sql = after.hasOther ? "CREATE TABLE other(n INTEGER PRIMARY KEY)" : "DROP TABLE other"
      try run([sql], commands: 1, after)
    case 2 where nextID > 0:
      // The second of these is taken: none of them is there.
      let fresh = nextID + 1_000_000
      try run(["INSERT INTO t VALUES(\(fresh), 1, ''), (\(nextID), 1, ''), (\(fresh + 1), 1, '')"], commands: 3, now)
    case 3: try session.settle()
    default:
      let count = 1 + random.below(4)
      let sql = insert(count, &after)
      try run([sql], commands: count, after)
    }
  }
}

@Suite struct ReadingConcurrencyTests {
  @Test func aReaderBesideAWriter() throws {
    let seed = testSeed()
    let scratch = Scratch()
    var options = StoreOptions()
    options.shardCount = 2
    options.memtableBudgetBytes = 32 << 10
    options.stageBytes = 4 << 10
    let path = scratch.file("shop")
    let store = try Store.open(path: path, options: options)
    let readerOptions = options
    let plan = Monitor<[UInt64: Sums]>([0: Sums()])
    let reader = try StoreReader.open(path: path, options: readerOptions)
    let isDone = Monitor(false)
    let failures = Monitor<[String]>([])
    let writer = try Thread(name: "writer") {
      do {
        var planned = try PlannedWriter(store, plan, seed: seed)
        for _ in 0..<1_500 { try planned.step() }
        try planned.session.settle()
      } catch { failures.update { $0.append("writer: \(error)") } }
      isDone.update { $0 = true }
    }
    let positions = Monitor<Set<UInt64>>([])
    let lookers = try (0..<2).map { number in
      try Thread(name: "looker \(number)") {
        do {
          while !isDone.withLock({ $0 }) {
            if number == 0 { try reader.refresh() }
            let view = reader.view
            positions.withLock { _ = $0.insert(view.position) }
            let expected = plan.withLock { $0[view.position] }
            let found = try sums(view)
            if found != expected {
              failures.update { $0.append("\(view.position): \(found), not \(expected.map { "\($0)" } ?? "whole")") }
              return
            }
            if number == 0, view.position % 5 == 0 {
              let opened = try StoreReader.open(path: path, options: readerOptions)
              #expect(opened.position >= view.position)
            }
          }
        } catch { failures.update { $0.append("looker \(number): \(error)") } }
      }
    }
    writer.join()
    for looker in lookers { looker.join() }
    #expect(failures.withLock { $0 } == [], "\(repeatCommand(seed, "ReadingConcurrencyTests"))")
    try reader.refresh()
    try expectEqual(reader.view, store)
    #expect(positions.withLock { $0.count } > 5)
    #expect(store.engineStatistics.contains { $0.compactedBytes > 0 })
    try store.close()
  }
}
