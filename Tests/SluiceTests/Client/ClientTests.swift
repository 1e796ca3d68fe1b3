// What a client answers: rows and their types, rejections, prepared statements, transactions, and its end.
import SluiceSystem
import Testing

@testable import Sluice

/// Whether `body` ends as cancelled.
func isCancelled(_ body: () async throws -> Void) async -> Bool {
  do { try await body() } catch is CancellationError { return true } catch { Issue.record("\(error)") }
  return false
}

/// The error that `body` throws, which must be a StoreError.
func storeError(_ body: () async throws -> Void) async -> StoreError? {
  do {
    try await body()
    return nil
  } catch let error as StoreError {
    return error
  } catch {
    Issue.record("not a StoreError: \(error)")
    return nil
  }
}

/// A store on a real disk, for its threads.
struct ClientBench {
  let scratch = Scratch()

  func open() async throws -> Store {
    var options = StoreOptions()
    options.memoryBytes = 6 << 20
    options.synchronous = false
    return try await Store.open(path: scratch.file("shop"), options: options)
  }
}

@Suite struct ClientTests {
  private let bench = ClientBench()

  private func counted(_ client: Client, _ table: String) async throws -> Int {
    try await client.query("SELECT count(*) FROM \(table)").all()[0].get(0)
  }

  @Test func rowsHaveTypedValues() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, r REAL, \"A Name\" TEXT, b BLOB)")
    let first = try await client.execute("INSERT INTO t VALUES(?, ?, ?, ?)", [7, 2.5, "text", .blob([1, 2])])
    #expect(first.changes == 1 && first.lastInsertedRowid == 7 && first.number == 2)
    try await client.execute("INSERT INTO t(id, r) VALUES(8, 3)")
    let rows = try await client.query("SELECT *, id AS twice, id + 0 AS twice FROM t WHERE id >= ?1 ORDER BY id", [7])
      .all()
    #expect(rows.count == 2)
    let row = try #require(rows.first)
    #expect(row.columnNames == ["id", "r", "A Name", "b", "twice", "twice"] && row.count == 6)
    #expect(row.values == [7, 2.5, "text", .blob([1, 2]), 7, 7])
    #expect(try row.get(0, as: Int.self) == 7 && row.get("ID", as: Int64.self) == 7)
    #expect(try row.get("r", as: Double.self) == 2.5 && row.get("id", as: Double.self) == 7)
    #expect(try row.get("a name", as: String.self) == "text" && row.get(3, as: [UInt8].self) == [1, 2])
    #expect(row["TWICE"] == 7 && row["none"] == nil && row[2] == "text")
    #expect(try rows[1].get("b", as: [UInt8]?.self) == nil && rows[1].get("r", as: Double?.self) == 3)
    #expect(try rows[1].get("b", as: Value.self) == .null)
    #expect(
      storeError { _ = try row.get("b", as: String.self) }?.message == "column 3 (b) holds a blob, not a text")
    #expect(
      storeError { _ = try rows[1].get(2, as: String.self) }?.message == "column 2 (A Name) holds NULL, not a text")
    #expect(storeError { _ = try row.get("x", as: Int.self) }?.message.hasPrefix("there is no column x") == true)
    #expect(storeError { _ = try row.get(6, as: Int.self) }?.message == "there is no column 6: a row has 6")
    #expect(try await client.query("CREATE TABLE u(x)").all().isEmpty)
    #expect(await storeError { _ = try await client.query("SELECT x FROM missing").all() }?.kind == .invalid)
    #expect(await storeError { try await client.execute("no statement") }?.isParse == true)
    try await store.close()
  }

  /// More rows than a batch holds, by number and by size; each iteration runs the query anew.
  @Test func manyRowsComeInOrder() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    let numbers = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    let sequence = client.query("\(numbers) SELECT i, i / 100.0 FROM n", [5_000])
    for _ in 0..<2 {
      var expected: Int64 = 0
      for try await row in sequence {
        expected += 1
        #expect(try row.get(0, as: Int64.self) == expected && row.get(1, as: Double.self) == Double(expected) / 100)
      }
      #expect(expected == 5_000)
    }
    var sizes = 0
    for try await row in client.query("\(numbers) SELECT zeroblob(300000) FROM n", [9]) {
      sizes += try row.get(0, as: [UInt8].self).count
    }
    #expect(sizes == 2_700_000)
    #expect(try await client.query("SELECT 1 WHERE false").all().isEmpty)
    // An error half-way ends the rows.
    let failing = client.query(
      "\(numbers) SELECT CASE WHEN i < 2000 THEN i ELSE abs(-9223372036854775808) END FROM n", [3_000])
    var iterator = failing.makeAsyncIterator()
    var count = 0
    let error = await storeError { while try await iterator.next() != nil { count += 1 } }
    #expect(error?.message == "integer overflow" && count < 2_000)
    #expect(try await iterator.next() == nil)
    try await client.close()
    try await store.close()
  }

  /// At the level of `queued` a call returns before its outcome is known.
  @Test func rejectionsOfQueuedStatementsAreTaken() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try await client.execute("SET ack = queued")
    try await client.execute("INSERT INTO t VALUES(1, 'one')")
    let second = try await client.execute("INSERT INTO t VALUES(1, 'again')")
    try await client.execute("INSERT INTO t VALUES(2, 'two')")
    let fourth = try await client.execute("INSERT INTO t VALUES(2, 'again')")
    // Other calls do not throw them.
    #expect(try await counted(client, "t") == 2)
    for expected in [second, fourth] {
      let number = expected.number
      let error = await storeError { try await client.wait(for: .applied, of: number..<number + 1) }
      #expect(error?.message == "UNIQUE constraint failed: t.id" && error?.sqliteCode == 19)
      #expect(error?.kind == .conflict && error?.line == expected.number)
    }
    try await client.wait(for: .projected)
    #expect(await client.takeRejections().isEmpty)
    let insert = try await client.prepareInsert(into: "t")
    let numbers = try await insert.insert([[3, "three"], [3, "x"], [1, "x"], [4, "four"]])
    #expect(try await counted(client, "t") == 4)
    let rejections = await client.takeRejections()
    #expect(rejections.map(\.line) == [numbers.lowerBound + 1, numbers.lowerBound + 2])
    try await client.execute("INSERT INTO t VALUES(4, 'x')")
    #expect(await storeError { try await client.close() }?.kind == .conflict)
    try await client.close()
    try await store.close()
  }

  @Test func preparedInsertsTakeBatches() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT DEFAULT 'none' NOT NULL, w REAL)")
    let insert = try await client.prepareInsert(into: "t", columns: ["w", "id"])
    #expect(insert.valueCount == 2)
    for start in stride(from: 0, to: 3_000, by: 1_000) {
      let numbers = try await insert.insert(
        (start..<(start + 1_000)).map { [.real(Double($0) / 2), .integer(Int64($0))] })
      #expect(numbers.count == 1_000)
    }
    #expect(try await counted(client, "t WHERE v = 'none' AND w * 2 = id") == 3_000)
    let error = await storeError { try await insert.insert([[1, 5_000], ["x", "no number"], [1, 5_001]]) }
    #expect(error?.sqliteCode == 20 && error?.line == 3_004, "\(error as Any)")
    #expect(await storeError { try await insert.insert([[1]]) }?.message == "1 values for 2 columns")
    #expect(try await counted(client, "t WHERE id >= 5000") == 1)
    #expect(
      await storeError { _ = try await client.prepareInsert(into: "none") }?.message == "no such table: none")
    try await store.close()
  }

  @Test func preparedStatementsRunAgain() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    let put = try await client.prepare("INSERT OR REPLACE INTO t VALUES(?1, ?2)")
    let find = try await client.prepare("SELECT v FROM t WHERE id = ?")
    for id in 0..<20 { try await put.execute([.integer(Int64(id % 10)), .string("value \(id)")]) }
    for id in 0..<10 {
      let found = try await find.query([.integer(Int64(id))]).all()
      #expect(found.map(\.values) == [[.string("value \(id + 10)")]])
    }
    #expect(await storeError { _ = try await client.prepare("SELECT v FROM missing") }?.isParse == true)
    // A sequence keeps what it was prepared from.
    let rows = try await client.prepare("SELECT count(*) AS n FROM t WHERE id < ?").query([5])
    #expect(try await rows.all().first?["n"] == 5)
    try await store.close()
  }

  @Test func transactionsCommitOrUndo() async throws {
    let store = try await bench.open()
    let (client, other) = (try await store.makeClient(), try await store.makeClient())
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER)")
    try await client.execute("INSERT INTO t VALUES(1, 10), (2, 20)")
    let sum: Int64 = try await client.transaction {
      try await client.execute("UPDATE t SET v = v + 1")
      try await client.prepareInsert(into: "t").insert([[3, 30]])
      // Nobody else sees it yet.
      #expect(try await other.query("SELECT sum(v) FROM t").all()[0].get(0, as: Int.self) == 30)
      return try await client.query("SELECT sum(v) FROM t").all()[0].get(0)
    }
    #expect(sum == 62)
    #expect(try await other.query("SELECT sum(v) FROM t").all()[0].get(0, as: Int.self) == 62)
    struct Trouble: Error {}
    await #expect(throws: Trouble.self) {
      try await client.transaction {
        try await client.execute("DELETE FROM t")
        throw Trouble()
      }
    }
    #expect(try await counted(client, "t") == 3)
    // A duplicate is known at once; caught, the rest stands.
    try await client.transaction {
      let error = await storeError { try await client.execute("INSERT INTO t VALUES(1, 0)") }
      #expect(error?.sqliteCode == 19)
      try await client.execute("INSERT INTO t VALUES(4, 40)")
      let nested = await storeError { try await client.transaction {} }
      #expect(nested?.message == "cannot start a transaction within a transaction")
    }
    #expect(try await counted(client, "t") == 4)
    // Another session is faster.
    let error = await storeError {
      try await client.transaction {
        try await client.execute("UPDATE t SET v = v + 1 WHERE id = 1")
        try await other.execute("UPDATE t SET v = v + 100 WHERE id = 1")
      }
    }
    #expect(error?.kind == .conflict && error?.sqliteCode == 5, "\(error as Any)")
    #expect(try await client.query("SELECT v FROM t WHERE id = 1").all()[0].get(0, as: Int.self) == 111)
    try await store.close()
  }

  /// Statements between the rows of a query: the rest is kept, as it was when the query began.
  @Test func rowsOutliveTheNextStatement() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    let insert = try await client.prepareInsert(into: "t")
    try await insert.insert((0..<2_000).map { [.integer(Int64($0)), "old"] })
    var seen = 0
    for try await row in client.query("SELECT id, v FROM t ORDER BY id") {
      #expect(try row.get(0, as: Int.self) == seen && row.get(1, as: String.self) == "old")
      if seen % 500 == 0 { try await client.execute("UPDATE t SET v = 'new' WHERE id > \(seen)") }
      if seen == 1_000 { try await client.execute("ALTER TABLE t ADD COLUMN w") }
      seen += 1
    }
    #expect(seen == 2_000)
    #expect(try await counted(client, "t WHERE v = 'new'") == 1_999)
    // More than is kept for a slow reader.
    try await client.execute("CREATE TABLE big(id INTEGER PRIMARY KEY, v BLOB)")
    try await client.execute(
      "INSERT INTO big WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 80) "
        + "SELECT i, zeroblob(1000000) FROM n"
    )
    var iterator = client.query("SELECT v FROM big").makeAsyncIterator()
    #expect(try await iterator.next() != nil)
    try await client.execute("UPDATE t SET v = 'newer' WHERE id = 1")
    let error = await storeError { while try await iterator.next() != nil {} }
    #expect(error?.kind == .overloaded && error?.sqliteCode == 4, "\(error as Any)")
    // One that is given up holds nothing: the table can go.
    for try await _ in client.query("SELECT v FROM big") { break }
    try await client.execute("DROP TABLE big")
    try await store.close()
  }

  @Test func whatIsClosedSaysSo() async throws {
    let store = try await bench.open()
    let client = try await store.makeClient(), last = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    let insert = try await client.prepareInsert(into: "t")
    try await insert.insert([[1], [2]])
    var iterator = client.query("SELECT * FROM t").makeAsyncIterator()
    try await client.close()
    #expect(await storeError { try await client.execute("SELECT 1") }?.kind == .unavailable)
    #expect(await storeError { try await insert.insert([[3]]) }?.kind == .unavailable)
    #expect(await storeError { try await client.wait() }?.kind == .unavailable)
    #expect(await storeError { try await client.transaction {} }?.kind == .unavailable)
    #expect(await storeError { _ = try await iterator.next() }?.kind == .unavailable)
    #expect(try await counted(last, "t") == 2)
    // Not waited for, and not lost when the store is closed in peace.
    try await last.execute("INSERT INTO t VALUES(3)")
    try await store.close()
    #expect(await storeError { try await last.execute("SELECT 1") }?.kind == .unavailable)
    #expect(await storeError { _ = try await store.makeClient() }?.kind == .unavailable)
    try await store.close()
    let again = try await bench.open()
    #expect(try await counted(again.makeClient(), "t") == 3)
    try await again.close()
    #expect(await storeError { _ = try await Store.open(path: "/dev/null/no") } != nil)
  }
}
