// The store fails a statement inside BEGIN … COMMIT: the disk is full, a file cannot be written or read, the statement
// is interrupted. The whole transaction is undone, nothing behind that statement is executed as one of its own, and
// COMMIT says that there is nothing to commit.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct TransactionLossTests {
  /// What happens in the middle of a transaction.
  enum Trouble: String, CaseIterable, Sendable {
    /// Rows are refused: the disk is below its watermark.
    case lowDisk
    /// The staged file cannot be created, or written.
    case noStagedFile, stagedWrite
    /// A row cannot be read, by a statement and by the first look at what was staged.
    case unreadable, unreadableFirst
    case interrupt
  }

  /// A store of two rows in tables, whose blocks are not in memory.
  private struct Stage {
    let bench = Bench()
    let clock = SimulatedClock()

    func open() throws -> Store {
      try bench.open {
        $0.clock = clock
        $0.diskReserveBytes = 60 << 10
      }
    }

    func fill() throws {
      let store = try open()
      let session = try store.makeSession()
      try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
      try session.run("INSERT INTO t VALUES(1, 'one'), (2, 'two')")
      try session.settle()
      try store.flush()
      try store.close()
    }

    /// What makes `sql` fail from here on.
    func begin(_ trouble: Trouble, _ session: Session, _ stop: StopSignal) throws {
      switch trouble {
      case .lowDisk:
        try bench.disk.inject("full after 30000")
        clock.advance(microseconds: 100_000)
        _ = session.store.pipeline.room.look()
      case .noStagedFile: try bench.disk.inject("fail create *.stage")
      case .stagedWrite: try bench.disk.inject("fail write *.stage")
      case .unreadable, .unreadableFirst: try bench.disk.inject("fail read *.table")
      case .interrupt:
        stop.set()
        session.interrupter.obey(stop)
      }
    }

    func end(_ session: Session) {
      bench.disk.clearFaults()
      clock.advance(microseconds: 100_000)
      _ = session.store.pipeline.room.look()
      session.interrupter.obey(nil)
    }
  }

  private let large = "INSERT INTO t VALUES(11, '\(String(repeating: "x", count: 2_000))')"

  /// The statement that meets it.
  private func failing(_ trouble: Trouble) -> String {
    switch trouble {
    case .lowDisk: "INSERT INTO t VALUES(11, 'low')"
    case .noStagedFile, .stagedWrite: large
    case .unreadable, .unreadableFirst: "UPDATE t SET v = v || (SELECT count(*) FROM t) WHERE id >= 1"
    case .interrupt:
      "UPDATE t SET v = (WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)"
    }
  }

  @Test(arguments: Trouble.allCases, ["COMMIT", "END", "ROLLBACK", "RELEASE s"])
  func whatTheStoreFailsTakesTheTransactionAlong(_ trouble: Trouble, _ ending: String) throws {
    let stage = Stage()
    try stage.fill()
    let store = try stage.open()
    let session = try store.makeSession()
    try session.run(ending == "RELEASE s" ? "SAVEPOINT s" : "BEGIN")
    // By SAVEPOINT the transaction reads from its beginning, and nothing is staged.
    if ending == "RELEASE s", trouble == .noStagedFile || trouble == .stagedWrite { return }
    try session.run("INSERT INTO t VALUES(10, 'before')")
    if trouble == .unreadable { try session.run("SELECT id FROM t WHERE id = 10") }
    let stop = StopSignal()
    try stage.begin(trouble, session, stop)
    let error = storeError { try session.run(failing(trouble)) }
    #expect(error?.message.hasSuffix("; the transaction is rolled back") == true, "\(error as Any)")
    #expect(error?.line == 1)
    stage.end(session)
    #expect(session.inTransaction)
    for behind in [
      "INSERT INTO t VALUES(12, 'behind')", "SELECT * FROM t", "UPDATE t SET v = 'x'", "BEGIN",
      "SAVEPOINT x", "RELEASE x", "ROLLBACK TO s", "CREATE TABLE u(x)", "INSERT INTO t DEFAULT VALUES",
    ] {
      let error = storeError { try session.run(behind) }
      #expect(error?.message.hasPrefix("the transaction was rolled back by an earlier error (") == true, "\(behind)")
    }
    var line = 1
    let script = Array("INSERT INTO t VALUES(13, 'ingested');".utf8)
    #expect(script.withUnsafeBytes { session.ingest($0, line: &line) } == 0)
    let insert = try session.prepareInsert(into: "t")
    #expect(storeError { try insert.run([14, "prepared"]) } != nil)
    let end = storeError { try session.run(ending) }
    if ending == "ROLLBACK" {
      #expect(end == nil)
    } else {
      #expect(end?.message.hasPrefix("cannot commit - no transaction is active: it was rolled back") == true)
    }
    #expect(!session.inTransaction)
    try session.run("INSERT INTO t VALUES(20, 'later')")
    try expectRows([1, 2, 20], session, store, stage)
  }

  /// COMMIT itself meets it: the transaction is over, and nothing of it is there.
  @Test(arguments: ["fail write *.stage", "fail sync *.stage", "fail syncDirectory log", "low"], [false, true])
  func aCommitThatFailsEndsTheTransaction(_ fault: String, reads: Bool) throws {
    if reads, fault != "low" { return }
    let stage = Stage()
    try stage.fill()
    let store = try stage.open()
    let session = try store.makeSession()
    try session.run("BEGIN")
    try session.run(large)
    if reads { try session.run("SELECT count(*) FROM t") }
    try session.run("INSERT INTO t VALUES(12, 'last')")
    let stop = StopSignal()
    if fault == "low" {
      try stage.begin(.lowDisk, session, stop)
    } else {
      try stage.bench.disk.inject(fault)
    }
    let error = storeError { try session.run("COMMIT") }
    stage.end(session)
    if fault == "low", !reads {
      // Rows that were taken are written.
      #expect(error == nil)
      return try expectRows([1, 2, 11, 12], session, store, stage)
    }
    #expect(error?.message.hasSuffix("; the transaction is rolled back") == true, "\(error as Any)")
    #expect(!session.inTransaction)
    try session.run("INSERT INTO t VALUES(20, 'later')")
    try expectRows([1, 2, 20], session, store, stage)
  }

  /// What is wrong with a statement is rejected alone, as before.
  @Test func aStatementThatIsWrongFailsAlone() throws {
    let stage = Stage()
    try stage.fill()
    let store = try stage.open()
    let session = try store.makeSession()
    try session.run("BEGIN")
    try session.run("INSERT INTO t VALUES(10, 'before')")
    for wrong in [
      "INSERT INTO t VALUES(1, 'taken')", "INSERT INTO none VALUES(1)", "UPDATE t SET id = NULL", "nonsense",
      "INSERT INTO t VALUES(abs(-9223372036854775808), 1)",
    ] {
      let error = storeError { try session.run("SELECT 1; ") } ?? storeError { try session.run(wrong) }
      #expect(error != nil && error?.message.contains("rolled back") == false, "\(wrong)")
    }
    try session.run("COMMIT")
    try expectRows([1, 2, 10], session, store, stage)
  }

  private func expectRows(_ ids: [Int64], _ session: Session, _ store: Store, _ stage: Stage) throws {
    let expected = ids.map { [Value.integer($0)] }
    #expect(try session.run("SELECT id FROM t ORDER BY id") == expected)
    try session.settle()
    try store.close()
    let again = try stage.open()
    #expect(try again.makeSession().run("SELECT id FROM t ORDER BY id") == expected)
    #expect(try stage.bench.disk.list("shop/log").allSatisfy { !$0.hasSuffix(".stage") })
    try again.close()
  }
}
