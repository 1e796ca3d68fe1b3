// Session.interrupter: what it ends, and what it leaves alone.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct InterruptTests {
  private static func filled(_ store: Store) throws -> Session {
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(k INTEGER PRIMARY KEY, v)")
    try session.run(
      "INSERT INTO t WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 6000) SELECT i, i FROM n"
    )
    return session
  }

  /// The count of a table is no statement of SQLite's: it looks up by itself.
  @Test func countOfATable() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try Self.filled(store)
    session.interrupter.begin()
    session.interrupter.interrupt()
    var query = "SELECT count(*) FROM t"
    let error = storeError {
      let result = query.withUTF8 { bytes in Result { try session.countOfTable(UnsafeRawBufferPointer(bytes)) } }
      _ = try result.get()
    }
    #expect(error?.message == "interrupted")
    #expect(error?.sqliteCode == 9)
    // What was asked for before a statement is not about it.
    #expect(try session.run(query) == [[.integer(6000)]])
    try store.close()
  }

  @Test func rowsBeingTaken() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try Self.filled(store)
    guard case .rows(let rows) = try session.execute("SELECT k FROM t") else {
      Issue.record("no rows")
      return
    }
    #expect(try rows.next())
    session.interrupter.interrupt()
    #expect(storeError { while try rows.next() {} }?.sqliteCode == 9)
    #expect(try session.run("SELECT k FROM t").count == 6000)
    try store.close()
  }

  /// From another thread, while a statement writes: it has no effect, and the session goes on.
  @Test func fromAnotherThread() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try Self.filled(store)
    let interrupter = session.interrupter
    let isDone = Monitor(false)
    let thread = try Thread(name: "interrupts") {
      while !isDone.withLock({ $0 }) { interrupter.interrupt() }
    }
    let error = storeError {
      try session.run("UPDATE t SET v = (SELECT count(*) FROM t a, t b, t c WHERE a.v + b.v + c.v = -1)")
    }
    isDone.withLock { $0 = true }
    thread.join()
    #expect(error?.sqliteCode == 9)
    #expect(try session.run("SELECT count(*), sum(v) FROM t") == [[.integer(6000), .integer(18_003_000)]])
    try store.close()
  }

  /// Nothing runs: nothing ends, whatever comes next.
  @Test func anIdleInterruptEndsNothing() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try Self.filled(store)
    try session.run("CREATE TABLE d(k INTEGER PRIMARY KEY, v DEFAULT (hex(zeroblob(3000))), CHECK (length(v) > 0))")
    let select = try session.prepare("SELECT count(*), sum(k) FROM t WHERE v >= 0")
    let update = try session.prepare("UPDATE t SET v = v + ?")
    let insert = try session.prepareInsert(into: "d", columns: ["k"])
    for round in 0..<3 {
      session.interrupter.interrupt()
      guard case .rows(let rows) = try select.run() else { return }
      #expect(try rows.next() && rows.value(0) == .integer(6000) && !rows.next())
      session.interrupter.interrupt()
      try update.run([.integer(1)])
      session.interrupter.interrupt()
      insert.bind(0, Int64(round))
      try insert.run()
      session.interrupter.interrupt()
      var line = 1
      var script = "INSERT INTO d VALUES(\(100 + round), hex(zeroblob(3000)) || upper('x'));"
      let used = script.withUTF8 { session.ingest(UnsafeRawBufferPointer($0), line: &line) }
      #expect(used == script.utf8.count)
      session.interrupter.interrupt()
      let text = TextImport(into: session, columnSeparator: 0x2c, rowSeparator: 0x0a, quotes: true, skipsEmpty: false)
      _ = try text.begin(into: "d")
      var csv = "\(200 + round),x\n"
      _ = try csv.withUTF8 { bytes in try text.take(UnsafeRawBufferPointer(bytes), isWhole: true) }
      try text.commit()
    }
    #expect(try session.run("SELECT count(*) FROM d") == [[.integer(9)]])
    #expect(session.takeRejections().isEmpty)
    try store.close()
  }

  /// The rows of a result that nobody takes any more are nothing that runs.
  @Test func rowsThatAreDone() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try Self.filled(store)
    for query in ["SELECT k FROM t WHERE k < 3", "SHOW TABLES"] {
      guard case .rows(let rows) = try session.execute(query) else { return }
      while try rows.next() {}
      session.interrupter.interrupt()
      #expect(try !rows.next())
      #expect(throws: Never.self) { try session.interrupter.check() }
    }
    do { _ = try session.execute("SELECT k FROM t") }
    session.interrupter.interrupt()
    #expect(throws: Never.self) { try session.interrupter.check() }
    try store.close()
  }

  /// A prepared statement that runs ends, alone.
  @Test func aPreparedStatementThatRuns() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try Self.filled(store)
    let select = try session.prepare("SELECT count(*) FROM t a, t b, t c WHERE a.v + b.v + c.v = -1")
    let simple = try session.prepare("SELECT count(*) FROM t WHERE v > 0")
    guard case .rows(let rows) = try select.run() else { return }
    let interrupter = session.interrupter
    let isDone = Monitor(false)
    let thread = try Thread(name: "interrupts") {
      while !isDone.withLock({ $0 }) { interrupter.interrupt() }
    }
    #expect(storeError { _ = try rows.next() }?.sqliteCode == 9)
    isDone.withLock { $0 = true }
    thread.join()
    guard case .rows(let others) = try simple.run() else { return }
    #expect(try others.next() && others.value(0) == .integer(6000))
    try store.close()
  }
}
