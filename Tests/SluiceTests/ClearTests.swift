// DELETE without WHERE: one record in the log, whatever it takes away, in all shards, in the mirror, and for who reads
// the store beside its writer.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ClearTests {
  private let bench = Bench()

  private func fill(_ session: Session) throws {
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.run("CREATE TABLE other(id INTEGER PRIMARY KEY, v TEXT)")
    for id in 1...40 { try session.run("INSERT INTO t VALUES(\(id), 'value of \(id)')") }
    try session.run("INSERT INTO other SELECT * FROM t")
    try session.settle()
  }

  @Test func oneRecordTakesAllRows() throws {
    let store = try bench.open()
    let session = try store.makeSession()
    try fill(session)
    let before = store.lastPosition
    let total = session.totalChangeCount
    try session.run("DELETE FROM t")
    #expect(store.lastPosition == before + 1)
    #expect(session.changeCount == 40 && session.totalChangeCount == total + 40)
    #expect(try session.run("SELECT changes(), count(*) FROM t") == [[.integer(40), .integer(0)]])
    // What is empty needs no record.
    try session.run("DELETE FROM t")
    #expect(store.lastPosition == before + 1 && session.changeCount == 0)
    // Its keys are free, and the next batch knows.
    try session.run("INSERT INTO t VALUES(7, 'again'), (3, 'too'), (900, 'high')")
    try session.run("INSERT INTO t VALUES(7, 'twice')")
    try session.settle()
    #expect(session.takeRejections().map(\.message) == ["UNIQUE constraint failed: t.id"])
    let rows: [[Value]] = [
      [.integer(3), text("too")], [.integer(7), text("again")], [.integer(900), text("high")],
    ]
    #expect(try session.run("SELECT * FROM t ORDER BY id") == rows)
    try session.wait(for: .projected)
    #expect(try session.run("SELECT * FROM projections.t ORDER BY id") == rows)
    #expect(try session.run("SELECT count(*) FROM other") == [[.integer(40)]])
    try store.flush()
    #expect(try session.run("SELECT * FROM t ORDER BY id") == rows)
    try store.close()
    let again = try bench.open()
    let reopened = try again.makeSession()
    #expect(try reopened.run("SELECT * FROM t ORDER BY id") == rows)
    try reopened.wait(for: .projected)
    #expect(try reopened.run("SELECT count(*) FROM projections.other") == [[.integer(40)]])
    try again.close()
  }

  /// The mirror has rows from before and behind it in one go of the projector.
  @Test func theMirrorKeepsTheOrder() throws {
    let store = try bench.open()
    let session = try store.makeSession()
    try fill(session)
    for round in 0..<5 {
      for id in 1...20 { try session.run("INSERT OR REPLACE INTO t VALUES(\(id + round * 7), 'round \(round)')") }
      try session.run("DELETE FROM t WHERE id % 3 = 0")
      if round == 3 { try session.run("DELETE FROM t") }
    }
    let live = try session.run("SELECT * FROM t ORDER BY id")
    #expect(live.count == 13)
    try session.wait(for: .projected)
    #expect(try session.run("SELECT * FROM projections.t ORDER BY id") == live)
    try store.close()
  }

  /// What stands on a row that is gone has no effect.
  @Test func conditionsOnClearedRowsFail() throws {
    let store = try bench.open()
    let (session, other) = (try store.makeSession(), try store.makeSession())
    try fill(session)
    try other.run("BEGIN")
    try other.run("UPDATE t SET v = 'mine' WHERE id = 5")
    try session.run("DELETE FROM t")
    let error = storeError { try other.run("COMMIT") }
    #expect(error?.kind == .conflict && error?.sqliteCode == 5, "\(error as Any)")
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(0)]])
    // A snapshot from before keeps its rows; a row that it finds missing may be written.
    try session.run("INSERT INTO t VALUES(1, 'one')")
    try session.settle()
    try other.run("BEGIN")
    #expect(try other.run("SELECT count(*) FROM t") == [[.integer(1)]])
    try session.run("DELETE FROM t")
    #expect(try other.run("SELECT count(*) FROM t") == [[.integer(1)]])
    try other.run("INSERT INTO t VALUES(2, 'two')")
    try other.run("COMMIT")
    #expect(try session.run("SELECT id FROM t") == [[.integer(2)]])
    try store.close()
  }

  /// Inside a transaction, with RETURNING or with a condition rows are deleted one by one, with the same result.
  @Test func otherFormsTakeRowsOneByOne() throws {
    let store = try bench.open()
    let session = try store.makeSession()
    try fill(session)
    var position = store.lastPosition
    try session.run("BEGIN")
    try session.run("DELETE FROM t")
    try session.run("ROLLBACK")
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(40)]])
    #expect(store.lastPosition == position)
    #expect(try session.run("DELETE FROM other RETURNING id").count == 40)
    #expect(store.lastPosition == position + 40)
    position = store.lastPosition
    try session.run("DELETE FROM t WHERE true")
    #expect(store.lastPosition == position + 40 && session.changeCount == 40)
    try store.close()
  }

  /// A table of each kind, and rows that are in tables of all shards already.
  @Test func flushedRowsGoToo() throws {
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE pair(a TEXT, b INTEGER, v, PRIMARY KEY(a, b), SHARD KEY(a))")
    try session.run("CREATE TABLE stream(v)")
    for id in 0..<60 {
      try session.run("INSERT INTO pair VALUES('a\(id)', \(id), zeroblob(50))")
      try session.run("INSERT INTO stream VALUES(\(id))")
    }
    try session.settle()
    try store.flush()
    for name in ["pair", "stream"] {
      try session.run("DELETE FROM \(name)")
      #expect(session.changeCount == 60)
    }
    try session.run("INSERT INTO stream VALUES(-1)")
    try session.run("INSERT INTO pair VALUES('a5', 5, 'new')")
    try session.settle()
    try store.close(drain: false)
    removeDatabase(bench.projections)
    let again = try bench.open()
    let reopened = try again.makeSession()
    #expect(try reopened.run("SELECT v FROM stream") == [[.integer(-1)]])
    #expect(try reopened.run("SELECT a, v FROM pair") == [[text("a5"), text("new")]])
    try reopened.wait(for: .projected)
    #expect(try reopened.run("SELECT v FROM projections.stream") == [[.integer(-1)]])
    try again.flush()
    #expect(try reopened.run("SELECT a, v FROM pair") == [[text("a5"), text("new")]])
    try again.close()
  }

  /// A table that is dropped before the record comes: the statement is rejected, and the log says so.
  @Test func aDroppedTableRejectsIt() throws {
    let store = try bench.open()
    let (session, other) = (try store.makeSession(), try store.makeSession())
    try fill(session)
    // Both know the table; the other's record stands behind the DROP.
    let known = try #require(other.catalog.table("t") ?? session.catalog.table("t"))
    try session.run("DROP TABLE t")
    try other.clear(known)
    try other.settle()
    #expect(other.takeRejections().map(\.message) == ["no such table"])
    try store.close(drain: false)
    let again = try bench.open()
    #expect(try again.makeSession().run("SELECT count(*) FROM other") == [[.integer(40)]])
    try again.close()
  }
}

extension Session {
  /// Sends the record alone.
  fileprivate func clear(_ table: SQLTable) throws(StoreError) {
    appendClear(of: table)
    ticket = try store.pipeline.write(seal())
  }
}
