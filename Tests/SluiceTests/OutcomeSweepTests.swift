// What a statement is told is true: every file call of a workload fails in turn, what each statement was told is
// written down, and the store is opened again from what a crash may leave. Told as done: it is there. Told as failed:
// it is not. Told as unknown: either.
import SluiceLog
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct OutcomeSweepTests {
  /// What a statement was told; the number is its own, and that of its row.
  private struct Told {
    let number: Int
    let way: String
    let outcome: StoreError.Outcome
    let error: StoreError?
  }

  /// Ways to write the row `number`, each with the wait for it.
  private static let ways: [(name: String, body: @Sendable (Store, Session, Int) throws -> Void)] = [
    (
      "INSERT",
      { _, session, number in
        try session.run("INSERT INTO t VALUES(\(number), 'plain')")
        try session.settle()
      }
    ),
    (
      "many INSERTs",
      { _, session, number in
        for part in 1...3 {
          try session.run(
            "INSERT INTO t VALUES(\(1_000 + number * 10 + part), '\(String(repeating: "x", count: 300))')")
          try session.wait(for: .queued)
        }
        try session.run("INSERT INTO t VALUES(\(number), 'last')")
        try session.settle()
      }
    ),
    ("INSERT … SELECT", { _, session, number in try session.run("INSERT INTO t SELECT \(number), 'evaluated'") }),
    ("UPDATE", { _, session, number in try session.run("UPDATE t SET id = \(number) WHERE id = \(-number)") }),
    (
      "prepared",
      { _, session, number in
        let insert = try session.prepareInsert(into: "t")
        try insert.run([.integer(Int64(number)), "prepared"])
        try session.settle()
      }
    ),
    (
      "staged COMMIT",
      { _, session, number in
        try session.run("BEGIN")
        for part in 1...4 {
          try session.run(
            "INSERT INTO t VALUES(\(1_000 + number * 10 + part), '\(String(repeating: "x", count: 400))')")
        }
        try session.run("INSERT INTO t VALUES(\(number), 'last')")
        try session.run("COMMIT")
        try session.settle()
      }
    ),
    (
      "reading COMMIT",
      { _, session, number in
        try session.run("BEGIN")
        try session.run("INSERT INTO t VALUES(\(number), 'first')")
        try session.run("SELECT max(id) FROM t")
        try session.run("UPDATE t SET v = 'second' WHERE id = \(number)")
        try session.run("COMMIT")
      }
    ),
    (
      "CREATE INDEX",
      { _, session, number in
        try session.run("BEGIN")
        try session.run("CREATE INDEX i\(number) ON t(v)")
        try session.run("INSERT INTO t VALUES(\(number), 'indexed')")
        try session.run("COMMIT")
        try session.settle()
      }
    ),
    (
      "-bail",
      { _, session, number in
        session.stopAtFirstError = true
        defer { session.stopAtFirstError = false }
        try session.run("INSERT INTO t VALUES(\(number), 'bail')")
      }
    ),
    (
      "key and value",
      { store, _, number in
        let session = try store.makeKeyValueSession()
        try session.put(bytes("\(number)"), bytes("v"))
        try session.commit()
      }
    ),
    (
      "key and value, settled",
      { store, _, number in
        let session = try store.makeKeyValueSession()
        try session.put(bytes("\(number)"), bytes("v"))
        try session.settle()
      }
    ),
  ]

  /// Runs all ways twice, with what comes between: flushes, and a wait for projections.
  private func run(_ store: Store, _ acknowledgement: AcknowledgementLevel, _ told: inout [Told]) throws {
    let session = try store.makeSession()
    session.acknowledgement = acknowledgement
    for number in 1...(2 * Self.ways.count) {
      let way = Self.ways[(number - 1) % Self.ways.count]
      do {
        try way.body(store, session, number)
        told.append(Told(number: number, way: way.name, outcome: .stored, error: nil))
      } catch let error as StoreError {
        told.append(Told(number: number, way: way.name, outcome: error.outcome, error: error))
        if session.inTransaction { _ = storeError { try session.run("ROLLBACK") } }
      }
      if number % 5 == 0 { _ = storeError { try store.flush() } }
    }
  }

  private func prepare(_ bench: Bench) throws {
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    for number in 1...(2 * Self.ways.count) { try session.run("INSERT INTO t VALUES(\(-number), 'old')") }
    try session.settle()
    try store.close()
  }

  /// The numbers that are there.
  private func found(_ bench: Bench) throws -> Set<Int> {
    let store = try bench.open()
    defer { _ = storeError { try store.close(drain: false) } }
    var found: Set<Int> = []
    for row in try store.makeSession().run("SELECT id FROM t WHERE id > 0") {
      if case .integer(let id) = row[0] { found.insert(Int(id)) }
    }
    for row in try store.makeKeyValueSession().rows() {
      if let id = Int(String(decoding: row.key, as: UTF8.self)) { found.insert(id) }
    }
    return found
  }

  /// The calls of an undisturbed run, as faults that strike each of them.
  private func everyFault(_ acknowledgement: AcknowledgementLevel) throws -> [String] {
    let bench = Bench()
    try prepare(bench)
    let calls = Monitor([String]())
    let hooked = HookedFileSystem(bench.disk) { call in calls.withLock { $0.append(call) } }
    let store = try bench.open { $0.fileSystem = hooked }
    let opened = calls.withLock { $0.count }
    var told: [Told] = []
    try run(store, acknowledgement, &told)
    #expect(told.allSatisfy { $0.error == nil }, "\(told.compactMap(\.error))")
    let ended = calls.withLock { $0.count }
    try store.close()
    var counts: [String: Int] = [:]
    return calls.withLock { $0[opened..<ended] }.flatMap { call -> [String] in
      var word = String(call.prefix { $0 != " " })
      if call.hasPrefix("sync directory") { word = "syncDirectory" }
      if call.hasPrefix("create directory") { word = "createDirectory" }
      counts[word, default: 0] += 1
      let place = "* at \(counts[word]!)"
      return word == "write" ? ["fail write \(place)", "short write \(place)"] : ["fail \(word) \(place)"]
    }
  }

  @Test(arguments: [AcknowledgementLevel.durable, .applied, .projected])
  func whatAStatementIsToldIsTrue(_ acknowledgement: AcknowledgementLevel) throws {
    let seed = testSeed()
    var random = SeededRandom(seed: seed)
    var counts: [StoreError.Outcome: Int] = [:]
    /// Told plainly as failed, so many would have been there.
    var foundInDoubt = 0
    let kinds = Dictionary(grouping: try everyFault(acknowledgement)) { $0.prefix { $0 != "*" } }
    var faults = kinds.sorted { $0.key < $1.key }.flatMap { $0.value.shuffled(using: &random).prefix(8) }
    faults += [
      "fail read *.table", "fail read * at 3", "fail create *", "fail write *", "full after 0", "full after 900",
      "full after 4000",
    ]
    for fault in faults {
      let bench = Bench()
      try prepare(bench)
      let store = try bench.open()
      try bench.disk.inject(fault)
      var told: [Told] = []
      try run(store, acknowledgement, &told)
      bench.disk.clearFaults()
      let images: [CrashMode] = [.keepAll, .keepNothing, .seeded(random.next())]
      let crashed = images.map { ($0, bench.disk.crashImage($0)) }
      _ = storeError { try store.close() }
      for (mode, disk) in crashed + [(.keepAll, bench.disk)] {
        let after = Bench(disk: disk)
        copyDatabase(bench.projections, to: after.projections)
        let found = try found(after)
        for one in told {
          let told = "\(one.way) \(one.number) told \(one.outcome), \(one.error?.message ?? "done")"
          let comment: Comment = "\(fault), \(mode): \(told); \(repeatCommand(seed, "OutcomeSweep"))"
          if one.outcome == .unknown, found.contains(one.number) { foundInDoubt += 1 }
          if one.outcome != .unknown { #expect(found.contains(one.number) == (one.outcome == .stored), comment) }
          #expect((one.outcome == .unknown) == (one.error?.message.contains("is not known") ?? false), comment)
        }
      }
      for one in told { counts[one.outcome, default: 0] += 1 }
    }
    #expect(counts[.unknown] ?? 0 > 10 && counts[.notStored] ?? 0 > 50 && counts[.stored] ?? 0 > 100, "\(counts)")
    #expect(foundInDoubt > 0)
  }
}
