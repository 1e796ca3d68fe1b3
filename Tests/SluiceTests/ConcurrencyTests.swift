// Threads as in production: sessions on threads of their own, a reader on projections.db beside them. Run these with
// `swift test --sanitize=thread --filter Concurren`.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct StoreConcurrencyTests {
  private static let sessionCount = 4
  private static let rowCount = 1_500

  private struct Outcome {
    var rejections = 0
    var failures: [String] = []
    var reads = 0
    var isDone = false
  }

  /// Each session writes keys of its own to one table, and the same keys as all others to another: of those exactly one
  /// session wins each, and each of the others is told.
  @Test func concurrentSessionsAndAReader() throws {
    let scratch = Scratch()
    var options = StoreOptions()
    options.memtableBudgetBytes = 64 << 10
    options.projectorQueueBytes = 32 << 10
    let store = try Store.open(path: scratch.file("shop"), options: options)
    try store.makeSession().run("CREATE TABLE own(s INTEGER, n INTEGER, v TEXT, PRIMARY KEY(s, n), SHARD KEY(n))")
    try store.makeSession().run("CREATE TABLE shared(n INTEGER PRIMARY KEY, s INTEGER)")
    try store.makeSession().wait(for: .projected)
    let outcome = Monitor(Outcome())
    let reader = try startReader(scratch.file("shop/projections.db"), outcome)
    let writers = try (0..<Self.sessionCount).map { number in
      try Thread(name: "session \(number)") { write(store, number, outcome) }
    }
    for writer in writers { writer.join() }
    let session = try store.makeSession()
    let total = Int64(Self.rowCount)
    #expect(
      try session.run("SELECT count(*), count(DISTINCT n), sum(n) FROM own")
        == [[.integer(total * 4), .integer(total), .integer(total * (total - 1) / 2 * 4)]])
    #expect(try session.run("SELECT count(*), max(n) FROM shared") == [[.integer(total), .integer(total - 1)]])
    outcome.update { $0.isDone = true }
    reader.join()
    try store.close()
    outcome.withLock {
      #expect($0.failures == [])
      #expect($0.rejections == Self.rowCount * (Self.sessionCount - 1))
      #expect($0.reads > 0)
    }
    let reopened = try Store.open(path: scratch.file("shop"), options: options)
    #expect(try reopened.liveContents()["own"]?.count == Self.rowCount * 4)
    #expect(try reopened.makeSession().run("SELECT count(*) FROM own") == [[.integer(total * 4)]])
    try reopened.close()
  }

  private func write(_ store: Store, _ number: Int, _ outcome: Monitor<Outcome>) {
    do {
      let session = try store.makeSession()
      for row in 0..<Self.rowCount {
        try session.run("INSERT INTO own VALUES(\(number), \(row), 'value \(row)')")
        try session.run("INSERT INTO shared VALUES(\(row), \(number))")
        if row % 50 == number { try session.settle() }
        if row % 400 == 7 {
          let found = try session.run("SELECT count(*) FROM own WHERE s = \(number)")
          if found != [[.integer(Int64(row + 1))]] { throw StoreError(.internal, "read \(found) after \(row + 1)") }
        }
      }
      try session.settle()
      let rejections = session.takeRejections()
      outcome.update { $0.rejections += rejections.count { $0.message == "UNIQUE constraint failed: shared.n" } }
    } catch { outcome.update { $0.failures.append("\(error)") } }
  }

  /// Reads without a busy timeout: any lock in its way would be an error. What it sees only grows.
  private func startReader(_ path: String, _ outcome: Monitor<Outcome>) throws -> Thread {
    try Thread(name: "reader") {
      do throws(SQLiteError) {
        let connection = try Connection(path: path, mode: .readOnly)
        let counting = try connection.prepare("SELECT count(*) FROM own")
        var last: Int64 = 0
        while !outcome.withLock({ $0.isDone }) {
          guard case .integer(let count)? = try counting.rows().first?.first, count >= last else {
            throw SQLiteError(message: "fewer rows than \(last)")
          }
          last = count
          outcome.update { $0.reads += 1 }
        }
      } catch { outcome.update { $0.failures.append("reader: \(error)") } }
    }
  }

  /// Readers of projections.db see all of a large transaction or nothing of it.
  @Test func concurrentReaderSeesTransactionsWhole() throws {
    let scratch = Scratch()
    var options = StoreOptions()
    options.stageBytes = 4 << 10
    options.projectorQueueBytes = 16 << 10
    let store = try Store.open(path: scratch.file("shop"), options: options)
    let session = try store.makeSession()
    try session.run("CREATE TABLE own(n INTEGER PRIMARY KEY, v TEXT)")
    #expect(try session.run("SELECT count(*) FROM own") == [[.integer(0)]])
    let seen = Monitor((counts: Set<Int64>(), isDone: false, failure: ""))
    let path = scratch.file("shop/projections.db")
    try session.wait(for: .projected)
    let reader = try Thread(name: "reader") {
      do throws(SQLiteError) {
        let connection = try Connection(path: path, mode: .readOnly)
        let counting = try connection.prepare("SELECT count(*) FROM own")
        while !seen.withLock({ $0.isDone }) {
          guard case .integer(let count)? = try counting.rows().first?.first else { continue }
          seen.update { _ = $0.counts.insert(count) }
        }
      } catch { seen.update { $0.failure = "\(error)" } }
    }
    for round in 0..<4 {
      try session.run("BEGIN")
      for row in 0..<3_000 { try session.run("INSERT INTO own VALUES(\(round * 3_000 + row), 'value')") }
      try session.run("COMMIT")
    }
    #expect(try session.run("SELECT count(*) FROM own") == [[.integer(12_000)]])
    seen.update { $0.isDone = true }
    reader.join()
    seen.withLock {
      #expect($0.failure == "")
      #expect($0.counts.allSatisfy { $0 % 3_000 == 0 }, "\($0.counts.sorted())")
    }
    try store.close()
  }

  /// A role that fails stops writing with its error; nobody waits for ever.
  @Test(arguments: ["fail write *.table", "fail sync log/* at 20", "fail write shards/*/MANIFEST* at 3"])
  func concurrentFailureEndsEveryWait(_ fault: String) throws {
    let bench = Bench()
    let store = try bench.open {
      $0.threaded = true
      $0.memtableBudgetBytes = 8 << 10
    }
    try store.makeSession().run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try bench.disk.inject(fault)
    let failures = Monitor<[StoreError]>([])
    let writers = try (0..<3).map { number in
      try Thread(name: "session \(number)") {
        do throws(StoreError) {
          let session = try store.makeSession()
          for row in 0..<3_000 {
            try session.run("INSERT INTO t VALUES(\(number * 10_000 + row), '\(String(repeating: "v", count: 60))')")
            if row % 20 == 0 { try session.settle() }
          }
        } catch { failures.update { $0.append(error) } }
      }
    }
    for writer in writers { writer.join() }
    failures.withLock { failures in
      #expect(failures.count == 3, "\(fault)")
      #expect(failures.allSatisfy { $0.kind == .unavailable }, "\(failures)")
    }
    #expect(storeError { try store.close() }?.kind == .unavailable)
  }

  /// Leaving without draining while duplicates wait to be resolved is no error; the next opening catches up.
  @Test func concurrentLeavingWithoutDraining() throws {
    let scratch = Scratch()
    for round in 0..<4 {
      let store = try Store.open(path: scratch.file("shop"))
      let session = try store.makeSession()
      try session.run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v TEXT)")
      for row in 0..<800 { try session.run("INSERT INTO t VALUES(\(row), '\(round)')") }
      try session.acknowledge()
      try store.close(drain: false)
    }
    let store = try Store.open(path: scratch.file("shop"))
    #expect(
      try store.makeSession().run("SELECT count(*), min(v), max(v) FROM t") == [[.integer(800), text("0"), text("0")]])
    try store.close()
  }
}

@Suite struct LiveConcurrencyTests {
  /// Increments from several sessions: each reads, computes and writes, and none is lost. Transfers keep the sum.
  @Test func concurrentIncrementsAreAllCounted() throws {
    let scratch = Scratch()
    let store = try Store.open(path: scratch.file("shop"))
    let first = try store.makeSession()
    try first.run("CREATE TABLE counter(id INTEGER PRIMARY KEY, n INTEGER)")
    try first.run("INSERT INTO counter VALUES(0, 0), (1, 1000), (2, 1000), (3, 1000)")
    try first.settle()
    let failures = Monitor([String]())
    let threads = try (0..<4).map { number in
      try Thread(name: "session \(number)") {
        do {
          let session = try store.makeSession()
          for round in 0..<50 {
            try session.run("UPDATE counter SET n = n + 1 WHERE id = 0")
            let (from, to) = (1 + (number + round) % 3, 1 + (number + round + 1) % 3)
            try session.run("BEGIN")
            try session.run("UPDATE counter SET n = n - \(round) WHERE id = \(from)")
            let sum = try session.run("SELECT sum(n) + \(round) FROM counter WHERE id > 0")
            if sum != [[.integer(3_000)]] { throw StoreError(.internal, "a sum of \(sum)") }
            try session.run("UPDATE counter SET n = n + \(round) WHERE id = \(to)")
            do throws(StoreError) { try session.run("COMMIT") } catch {
              guard error.sqliteCode == 5 else { throw error }
            }
          }
        } catch { failures.update { $0.append("\(error)") } }
      }
    }
    for thread in threads { thread.join() }
    #expect(failures.withLock { $0 } == [])
    #expect(try first.run("SELECT n FROM counter WHERE id = 0") == [[.integer(200)]])
    #expect(try first.run("SELECT sum(n) FROM counter WHERE id > 0") == [[.integer(3_000)]])
    try store.close()
  }
}
