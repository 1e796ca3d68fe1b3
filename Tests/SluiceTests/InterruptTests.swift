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
}
