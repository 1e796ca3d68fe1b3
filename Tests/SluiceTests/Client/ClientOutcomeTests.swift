// What a task is told about its own statements: each rejection reaches the call whose statement it is and nobody else,
// text and parameters that do not fit are errors, and a cancellation is one wherever the task waits.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ClientOutcomeTests {
  private let bench = ClientBench()

  /// 32 tasks of one client; every third row of each takes a key that is taken. Who inserted a row that is there was
  /// told so, and who did not was told that.
  @Test(arguments: ["durable", "applied", "projected"])
  func rejectionsReachTheTaskWhoseStatementItWas(_ level: String) async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, task INTEGER, n INTEGER)")
    try await client.execute("SET ack = \(level)")
    let insert = try await client.prepareInsert(into: "t")
    let rounds = level == "projected" ? 6 : 30
    let told = try await withThrowingTaskGroup(of: [(id: Int64, task: Int, n: Int, isStored: Bool)].self) { group in
      for task in 0..<32 {
        group.addTask {
          var told: [(id: Int64, task: Int, n: Int, isStored: Bool)] = []
          for n in 0..<rounds {
            // Keys that several tasks want.
            let id = Int64((n + task / 3) % 3 == 0 ? n : 1_000 + task * rounds + n)
            do {
              let row: [Value] = [.integer(id), .integer(Int64(task)), .integer(Int64(n))]
              switch task % 3 {
              case 0: try await client.execute("INSERT INTO t VALUES(\(id), \(task), \(n))")
              case 1: try await client.execute("INSERT INTO t VALUES(?, ?, ?)", row)
              default: try await insert.insert([row])
              }
              try await client.wait(for: .applied)
              told.append((id, task, n, true))
            } catch let error as StoreError where error.sqliteCode == 19 { told.append((id, task, n, false)) }
          }
          return told
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    var stored: [Int64: [Value]] = [:]
    for row in try await client.query("SELECT id, task, n FROM t").all() {
      stored[try row.get(0)] = [row[1], row[2]]
    }
    var wrong = 0
    for one in told {
      let isThere = stored[one.id] == [.integer(Int64(one.task)), .integer(Int64(one.n))]
      if isThere != one.isStored { wrong += 1 }
    }
    #expect(wrong == 0, "\(wrong) of \(told.count) were told the wrong outcome")
    #expect(told.contains { !$0.isStored })
    #expect(await client.takeRejections().isEmpty)
    try await client.close()
    try await store.close()
  }

  /// What stands behind the semicolon is not dropped, whatever the statement and the way in.
  @Test(arguments: [
    "INSERT INTO t VALUES(7)", "INSERT INTO t VALUES(7), (8)", "INSERT OR IGNORE INTO t VALUES(7)",
    "INSERT INTO t DEFAULT VALUES", "INSERT INTO t VALUES(abs(-7))", "INSERT INTO t SELECT 7",
    "INSERT INTO t VALUES(7) ON CONFLICT DO NOTHING", "INSERT INTO t VALUES(7) RETURNING id",
    "REPLACE INTO t VALUES(7)", "UPDATE t SET id = 7", "DELETE FROM t", "DELETE FROM t WHERE id = 1", "SELECT 1",
    "SELECT count(*) FROM t", "VALUES(1)", "BEGIN", "CREATE TABLE u(x)", "DROP TABLE t", "PRAGMA user_version",
    "SHOW ack", "SET ack = durable", "EXPLAIN SELECT 1", "ALTER TABLE t ADD COLUMN x",
  ])
  func oneStatementACall(_ statement: String) async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try await client.execute("INSERT INTO t VALUES(1)")
    let session = try store.makeSession()
    for behind in ["; this is no SQL", ";INSERT INTO t VALUES(9)", "; /* a */ x", "; 'x'", ";;SELECT 2", "; -- a\n )"] {
      let text = statement + behind
      #expect(await storeError { try await client.execute(text) }?.kind == .invalid, "\(text)")
      #expect(await storeError { _ = try await client.query(text).all() }?.kind == .invalid, "\(text)")
      #expect(await storeError { try await client.prepare(text).execute() }?.kind == .invalid, "\(text)")
      #expect(storeError { _ = try session.execute(text) }?.kind == .invalid, "\(text)")
    }
    #expect(try await client.query("SELECT * FROM t").all().map(\.values) == [[1]], "\(statement)")
    // Blanks, comments and empty statements are nothing.
    for behind in ["; ", ";\n-- a comment", " ; /* ; x */ ;", ";;"] {
      _ = try await client.query("SELECT 1" + behind).all()
      try await client.execute("INSERT OR REPLACE INTO t VALUES(1)" + behind)
    }
    try await store.close()
  }

  /// As many values as the statement has parameters, by number or by name, in all of its parts.
  @Test(arguments: [
    ("SELECT ?, ?", 2), ("SELECT ?2", 2), ("SELECT :a, @b, :a", 2), ("SELECT 1", 0),
    ("INSERT INTO t VALUES(?, ?)", 2), ("INSERT INTO t VALUES(:id, :v)", 2), ("INSERT INTO t VALUES(7, 8)", 0),
    ("INSERT INTO t SELECT ?, ?", 2), ("INSERT INTO t VALUES(?, 0) ON CONFLICT(id) DO UPDATE SET v = ?", 2),
    ("INSERT INTO t VALUES(?, 0) RETURNING ?", 2), ("UPDATE t SET v = ? WHERE id = ? RETURNING ?", 3),
    ("DELETE FROM t WHERE id = $id", 1),
  ])
  func asManyValuesAsParameters(_ sql: String, _ count: Int) async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    let prepared = try await client.prepare(sql)
    for given in 0...(count + 2) {
      let values = (0..<given).map { Value.integer(Int64(10 + $0)) }
      let errors = [
        await storeError { try await client.execute(sql, values) },
        await storeError { _ = try await client.query(sql, values).all() },
        await storeError { try await prepared.execute(values) },
        await storeError { _ = try await prepared.query(values).all() },
      ]
      if given == count {
        // The second INSERT of the same key is a duplicate.
        #expect(errors.allSatisfy { $0 == nil || $0?.sqliteCode == 19 }, "\(given) for \(sql): \(errors)")
      } else {
        #expect(errors.allSatisfy { $0?.kind == .invalid && $0?.sqliteCode == 25 }, "\(given) for \(sql): \(errors)")
        #expect(try await client.query("SELECT count(*) FROM t").all()[0][0] == 0)
      }
      if given == count { try await client.execute("DELETE FROM t") }
    }
    try await store.close()
  }

  /// A parameter has one number in the whole statement, however Sluice takes it apart.
  @Test func parametersKeepTheirNumbersInAllParts() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    try await client.execute("INSERT INTO t VALUES(1, 0)")
    let sql = "INSERT INTO t VALUES(?, ?) ON CONFLICT(id) DO UPDATE SET v = excluded.v || ? RETURNING v, ?"
    #expect(try await client.query(sql, [1, "two", "three", "four"]).all().map(\.values) == [["twothree", "four"]])
    let named = "INSERT INTO t VALUES(:id, :b) ON CONFLICT(id) DO UPDATE SET v = :c || :b RETURNING v, :c, :id"
    #expect(try await client.query(named, [1, "b", "c"]).all().map(\.values) == [["cb", "c", 1]])
    let update = "UPDATE t SET v = ? WHERE id = ? RETURNING v, ?"
    #expect(try await client.query(update, ["u", 1, "r"]).all().map(\.values) == [["u", "r"]])
    try await store.close()
  }

  /// A batch whose rows have not as many values as columns is refused as a whole; one with duplicates says which.
  @Test func aBatchTellsItsRows() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    let insert = try await client.prepareInsert(into: "t")
    for row: [Value] in [[2], [], [2, 3, 4]] {
      #expect(await storeError { try await insert.insert([[1, 1], row]) }?.kind == .invalid)
    }
    #expect(try await client.query("SELECT count(*) FROM t").all()[0][0] == 0)
    let numbers = try await insert.insert([[1, 0], [2, 0]])
    let error = await storeError { try await insert.insert([[1, 1], [3, 0], [2, 1], [4, 0]]) }
    #expect(error?.sqliteCode == 19 && error?.line == numbers.upperBound, "\(error as Any)")
    #expect(error?.further.map(\.line) == [numbers.upperBound + 2])
    #expect(try await client.query("SELECT group_concat(id) FROM t").all()[0][0] == "1,2,3,4")
    try await store.close()
  }

  /// Whoever accepts not to know learns it from `wait(for:of:)` by number, from `takeRejections`, or from `close`.
  @Test func rejectionsThatNobodyTookAreToldAtTheEnd() async throws {
    for closesStore in [false, true] {
      let store = try await bench.open()
      let client = try await store.makeClient()
      try await client.execute("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY)")
      try await client.execute("INSERT OR IGNORE INTO t VALUES(1)")
      try await client.execute("SET ack = queued")
      let good = try await client.execute("INSERT OR REPLACE INTO t VALUES(2)")
      let bad = try await client.execute("INSERT INTO t VALUES(1)")
      try await client.execute("INSERT INTO t VALUES(2)")
      try await client.wait(for: .applied)
      try await client.wait(for: .applied, of: good.number..<good.number + 1)
      let error = await storeError { try await client.wait(for: .applied, of: bad.number..<bad.number + 1) }
      #expect(error?.sqliteCode == 19 && error?.line == bad.number)
      let last = await storeError { if closesStore { try await store.close() } else { try await client.close() } }
      #expect(last?.sqliteCode == 19 && last?.line == bad.number + 1, "\(last as Any)")
      try await store.close()
    }
  }

  /// When a call returns its row is where the level says: what a power cut leaves, what others read, projections.db.
  @Test(arguments: [AcknowledgementLevel.durable, .applied, .projected])
  func aCallReturnsAtItsLevel(_ level: AcknowledgementLevel) async throws {
    let bench = Bench()
    var options = bench.options
    options.threaded = true
    options.clock = SystemClock()
    let store = try await Store.open(path: "shop", options: options)
    let client = try await store.makeClient(), other = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try await client.execute("SET ack = \(level.rawValue)")
    let insert = try await client.prepareInsert(into: "t")
    for id in 1...16 {
      switch id % 4 {
      case 0: try await client.execute("INSERT INTO t VALUES(\(id))")
      case 1: try await client.execute("INSERT INTO t VALUES(?)", [.integer(Int64(id))])
      case 2: try await insert.insert([[.integer(Int64(id))]])
      default: try await client.transaction { _ = try await client.execute("INSERT INTO t VALUES(\(id))") }
      }
      #expect(try await other.query("SELECT max(id) FROM t").all()[0].get(0) == id)
      if level == .projected {
        let file = try Connection(path: bench.projections, mode: .readOnly)
        #expect(try file.prepare("SELECT max(id) FROM t").rows() == [[.integer(Int64(id))]])
      }
      let after = Bench(disk: bench.disk.crashImage(.keepNothing))
      let survivor = try after.open()
      #expect(try survivor.makeSession().run("SELECT max(id) FROM t") == [[.integer(Int64(id))]])
      try await survivor.close()
    }
    try await store.close()
  }

  /// A transaction that a statement has undone takes nothing more: it is no statement of its own.
  @Test func aTransactionThatEndedTakesNothingMore() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try await client.execute("INSERT INTO t VALUES(1)")
    let error = await storeError {
      try await client.transaction {
        try await client.execute("INSERT INTO t VALUES(2)")
        #expect(await storeError { try await client.execute("INSERT OR ROLLBACK INTO t VALUES(1)") }?.sqliteCode == 19)
        #expect(await storeError { try await client.execute("INSERT INTO t VALUES(3)") }?.kind == .invalid)
      }
    }
    #expect(error?.kind == .invalid, "\(error as Any)")
    #expect(try await client.query("SELECT count(*) FROM t").all()[0][0] == 1)
    try await store.close()
  }

  // MARK: Cancellation

  private static let endless = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

  /// Everything that a task can wait for at a client.
  private func waits(_ client: Client) async throws -> [@Sendable () async throws -> Void] {
    let statement = try await client.prepare("SELECT count(*) FROM t"),
      insert = try await client.prepareInsert(into: "t")
    return [
      { try await client.execute("INSERT INTO t VALUES(7)") },
      { for try await _ in client.query("SELECT * FROM t") {} },
      { _ = try await client.prepare("SELECT 1") }, { _ = try await client.prepareInsert(into: "t") },
      { try await statement.execute() }, { _ = try await statement.query().all() },
      { try await insert.insert([[7]]) }, { try await client.transaction {} }, { try await client.wait(for: .applied) },
      { try await client.close() },
    ]
  }

  /// Whoever waits behind another task's transaction, or statement, waits no longer once it is cancelled, and nothing
  /// of what it asked for is done. A cancellation that is missed lets the test hang.
  @Test(arguments: [false, true]) func whoIsCancelledWaitsForNobody(behindAStatement: Bool) async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    let waits = try await waits(client)
    let (started, start) = AsyncStream.makeStream(of: Void.self)
    let blocker = Task {
      await isCancelled {
        try await client.transaction {
          start.finish()
          if behindAStatement { try await client.execute(Self.endless) }
          try await Task.sleep(for: .seconds(3_600))
        }
      }
    }
    for await _ in started {}
    let tasks = waits.map { wait in Task { await isCancelled(wait) } }
    try await Task.sleep(for: .milliseconds(50))
    for task in tasks { task.cancel() }
    for task in tasks { #expect(await task.value) }
    blocker.cancel()
    #expect(await blocker.value)
    #expect(try await client.query("SELECT count(*) FROM t").all()[0][0] == 0)
    try await store.close()
  }

  @Test func waitingForALevelIsCancelled() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    store.suspendProjector(true)
    try await client.execute("INSERT INTO t VALUES(1)")
    let task = Task { await isCancelled { try await client.wait(for: .projected) } }
    try await Task.sleep(for: .milliseconds(50))
    task.cancel()
    #expect(await task.value)
    store.suspendProjector(false)
    try await client.wait(for: .projected)
    #expect(try await client.query("SELECT id FROM t").all()[0][0] == 1)
    try await store.close()
  }

  /// Tasks that are cancelled at any moment: what was told as cancelled is not there, what was told as done is.
  @Test func aCancelledStatementIsNotDone() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    let insert = try await client.prepareInsert(into: "t")
    let tasks = (0..<600).map { number in
      Task { () async -> Bool in
        let id = Int64(number)
        do {
          switch number % 4 {
          case 0: try await client.execute("INSERT INTO t VALUES(\(id), 0)")
          case 1: try await client.execute("INSERT INTO t VALUES(?, ?)", [.integer(id), 0])
          case 2: try await insert.insert([[.integer(id), 0], [.integer(id + 10_000), 0]])
          default:
            try await client.transaction {
              try await client.execute("INSERT INTO t VALUES(\(id), 0)")
              try await client.execute("UPDATE t SET v = v + 1 WHERE id = ?", [.integer(id)])
            }
          }
          return true
        } catch {
          #expect(error is CancellationError, "\(error)")
          return false
        }
      }
    }
    for (number, task) in tasks.enumerated() where number % 3 != 0 {
      task.cancel()
      if number % 50 == 1 { try await Task.sleep(for: .milliseconds(1)) }
    }
    var told: Set<Int> = []
    for (number, task) in tasks.enumerated() where await task.value { told.insert(number) }
    var found: Set<Int> = []
    for row in try await client.query("SELECT id FROM t WHERE id < 10000").all() { found.insert(try row.get(0)) }
    #expect(told == found, "\(told.symmetricDifference(found))")
    #expect(told.count >= 200 && told.count < 600, "\(told.count)")
    try await store.close()
  }
}
