// Clients and tasks at once: cancellation, many clients, one client for many tasks, and ends with work under way.
import SluiceSystem
import Testing

@testable import Sluice

@Suite struct ClientConcurrencyTests {
  private let bench = ClientBench()
  /// Queries that never end by themselves: in SQLite alone, over live tables, and in the count of a table's rows.
  private static let endless = [
    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "SELECT count(*) FROM t a, t b, t c, t d, t e WHERE a.v + b.v + c.v + d.v + e.v < 0",
    "UPDATE t SET v = (SELECT count(*) FROM t a, t b, t c, t d, t e WHERE a.v + b.v + c.v + d.v + e.v < 0)",
    "DELETE FROM t WHERE v > (SELECT count(*) FROM t a, t b, t c, t d, t e WHERE a.v + b.v + c.v + d.v + e.v < 0)",
    "INSERT INTO t SELECT a.id + 10000, 1 FROM t a, t b, t c, t d, t e ON CONFLICT DO NOTHING",
  ]

  private func makeTable(_ client: Client, rows: Int = 2_000) async throws {
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER)")
    let insert = try await client.prepareInsert(into: "t")
    try await insert.insert((0..<rows).map { [.integer(Int64($0)), .integer(Int64($0))] })
    try await client.wait(for: .projected)
  }

  /// Before the statement begins, and while it runs. A cancellation that is missed lets the test hang.
  @Test(arguments: endless, [0, 30])
  func cancellingEndsAStatement(_ sql: String, afterMilliseconds: Int) async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await makeTable(client)
    let task = Task { await isCancelled { for try await _ in client.query(sql) {} } }
    if afterMilliseconds > 0 { try await Task.sleep(for: .milliseconds(afterMilliseconds)) }
    task.cancel()
    #expect(await task.value)
    // The client goes on, and nothing was done.
    let rows = try await client.query("SELECT count(*), sum(id = v) FROM t").all()
    #expect(rows.map(\.values) == [[2_000, 2_000]])
    try await client.execute("UPDATE t SET v = 0 WHERE id = 1")
    try await store.close()
  }

  /// What was accepted before a cancellation stands, and the task can undo its transaction.
  @Test func aCancelledTransactionIsUndone() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await makeTable(client, rows: 10)
    let task = Task {
      await isCancelled {
        try await client.transaction {
          try await client.execute("DELETE FROM t WHERE id < 5")
          try await client.execute(Self.endless[0])
        }
      }
    }
    try await Task.sleep(for: .milliseconds(30))
    task.cancel()
    #expect(await task.value)
    #expect(try await client.query("SELECT count(*) FROM t").all()[0][0] == 10)
    try await store.close()
  }

  @Test func manyClientsAtOnce() async throws {
    let store = try await bench.open()
    let first = try await store.makeClient()
    try await first.execute("CREATE TABLE events(client INTEGER, n INTEGER, PRIMARY KEY(client, n))")
    try await first.execute("CREATE TABLE counter(id INTEGER PRIMARY KEY, n INTEGER)")
    try await first.execute("INSERT INTO counter VALUES(1, 0)")
    try await first.wait(for: .applied)
    let retries = try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 0..<6 {
        group.addTask {
          let client = try await store.makeClient()
          let insert = try await client.prepareInsert(into: "events")
          var retries = 0
          for round in 0..<10 {
            try await insert.insert((0..<50).map { [.integer(Int64(number)), .integer(Int64(round * 50 + $0))] })
            var isDone = false
            while !isDone {
              do {
                try await client.transaction {
                  let n: Int64 = try await client.query("SELECT n FROM counter WHERE id = 1").all()[0].get(0)
                  try await client.execute("UPDATE counter SET n = ? WHERE id = 1", [.integer(n + 1)])
                }
                isDone = true
              } catch let error as StoreError where error.kind == .conflict && error.sqliteCode == 5 { retries += 1 }
            }
            let own: Int = try await client.query("SELECT count(*) FROM events WHERE client = \(number)").all()[0].get(
              0)
            #expect(own == (round + 1) * 50)
          }
          try await client.close()
          return retries
        }
      }
      return try await group.reduce(0, +)
    }
    let n: Int = try await first.query("SELECT n FROM counter").all()[0].get(0)
    #expect(n == 60, "\(retries) retries")
    #expect(try await first.query("SELECT count(*) FROM events").all()[0][0] == 3_000)
    try await store.close()
  }

  /// Transactions of one client do not meet: no increment is lost, and nobody has to retry.
  @Test func oneClientForManyTasks() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE counter(id INTEGER PRIMARY KEY, n INTEGER)")
    try await client.execute("CREATE TABLE log(task INTEGER, n INTEGER)")
    try await client.execute("INSERT INTO counter VALUES(1, 0)")
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<12 {
        group.addTask {
          for _ in 0..<10 {
            let n: Int64 = try await client.transaction {
              let n: Int64 = try await client.query("SELECT n FROM counter WHERE id = 1").all()[0].get(0)
              await Task.yield()
              // A child task belongs to the transaction too.
              async let update = client.execute("UPDATE counter SET n = ? WHERE id = 1", [.integer(n + 1)])
              _ = try await update
              return n
            }
            try await client.execute("INSERT INTO log VALUES(?, ?)", [.integer(Int64(number)), .integer(n)])
            var rows = 0
            for try await _ in client.query("SELECT * FROM log") { rows += 1 }
            #expect(rows > 0)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await client.query("SELECT n FROM counter").all()[0][0] == 120)
    let log = try await client.query("SELECT count(*), count(DISTINCT n), min(n), max(n) FROM log").all()
    #expect(log[0].values == [120, 120, 0, 119])
    try await client.wait(for: .projected)
    try await store.close()
  }

  /// Statements that run when the store is closed end, and what was accepted is there.
  @Test func closingTheStoreWithWorkUnderWay() async throws {
    let store = try await bench.open()
    let (busy, open, writer) = (
      try await store.makeClient(), try await store.makeClient(), try await store.makeClient()
    )
    try await makeTable(busy)
    let reading = Task { () async -> StoreError? in
      await storeError { for try await _ in busy.query(Self.endless[2]) {} }
    }
    let writing = Task { () async -> Int in
      var accepted = 0
      while true {
        let error = await storeError { try await writer.execute("INSERT INTO t(v) VALUES(-1)") }
        if let error {
          #expect(error.kind == .unavailable || error.sqliteCode == 9, "\(error)")
          return accepted
        }
        accepted += 1
      }
    }
    let transaction = Task { () async -> StoreError? in
      await storeError {
        try await open.transaction {
          try await open.execute("INSERT INTO t(v) VALUES(-2)")
          try await open.execute(Self.endless[0])
        }
      }
    }
    try await Task.sleep(for: .milliseconds(50))
    try await store.close()
    #expect(await reading.value?.sqliteCode == 9)
    #expect(await transaction.value != nil)
    let accepted = await writing.value
    #expect(accepted > 0)
    let again = try await bench.open()
    let client = try await again.makeClient()
    let rows = try await client.query("SELECT sum(v = -1), sum(v = -2), count(*) FROM t").all()
    #expect(rows[0].values == [.integer(Int64(accepted)), 0, .integer(Int64(2_000 + accepted))])
    try await again.close()
  }

  /// A client that is closed while tasks use it: what was accepted is acknowledged, the rest is refused.
  @Test func closingAClientThatIsUsed() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await makeTable(client, rows: 1)
    let tasks = (0..<8).map { number in
      Task { () async -> Int in
        var accepted = 0
        while await storeError({ try await client.execute("INSERT INTO t(v) VALUES(\(number))") }) == nil {
          accepted += 1
        }
        return accepted
      }
    }
    try await Task.sleep(for: .milliseconds(30))
    try await client.close()
    var accepted: Int64 = 1
    for task in tasks { accepted += Int64(await task.value) }
    let other = try await store.makeClient()
    #expect(try await other.query("SELECT count(*) FROM t").all()[0][0] == .integer(accepted))
    try await store.close()
  }
}
