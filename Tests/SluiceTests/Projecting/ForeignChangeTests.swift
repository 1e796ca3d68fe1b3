// Others and projections.db: what they may not do is refused by the file itself; what they do all the same is noticed
// before an answer uses it, and keeps no command from being written, read or projected.
import Foundation
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ForeignChangeTests {
  /// A store with a table, an index, a view and a projection, left tidily.
  private func make(_ bench: WalBench, rows: Int = 100) throws {
    let store = try bench.open()
    let session = try store.makeSession()
    for sql in [
      "CREATE TABLE t(id INTEGER PRIMARY KEY, g, v TEXT)", "CREATE INDEX tg ON t(g)",
      "CREATE VIEW big AS SELECT * FROM t WHERE id > 50",
      "CREATE PROJECTION p AS SELECT g, count(*) AS n, sum(id) AS total FROM t GROUP BY g",
    ] { try session.run(sql) }
    try session.run("BEGIN")
    for id in 1...rows { try session.run("INSERT INTO t VALUES(\(id), \(id % 5), 'value \(id)')") }
    try session.run("COMMIT")
    try store.close()
    #expect(store.takeNotices() == [])
  }

  /// What the store answers is what its tables hold, by each way to ask.
  private func expectTrue(_ store: Store, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let session = try store.makeSession()
    let live = try store.makeSession()
    live.readsMirrors = false
    try session.wait(for: .projected)
    let queries = [
      "SELECT count(*), sum(id), max(v) FROM t", "SELECT g, count(*), sum(id) FROM t GROUP BY g ORDER BY 1",
      "SELECT count(*) FROM t WHERE g = 3", "SELECT count(*) FROM big",
    ]
    for query in queries {
      #expect(try session.run(query) == live.run(query), "\(query)", sourceLocation: sourceLocation)
    }
    #expect(
      try session.run("SELECT g, n, total FROM p ORDER BY g") == live.run(queries[1]), sourceLocation: sourceLocation)
    #expect(
      try session.run("SELECT count(*), sum(id), max(v) FROM projections.t") == live.run(queries[0]),
      sourceLocation: sourceLocation)
  }

  @Test func rowsAreGuarded() throws {
    let bench = WalBench()
    try make(bench)
    for sql in [
      "INSERT INTO t VALUES(1000, 1, 'phantom')", "REPLACE INTO t VALUES(1, 1, 'phantom')", "DELETE FROM t",
      "UPDATE t SET v = 'phantom' WHERE id = 5", "UPDATE sluice_checkpoint SET position = 1",
      "DELETE FROM sluice_p_1", "DELETE FROM sluice_catalog", "UPDATE sluice_copies SET state = 'failed'",
      "INSERT INTO sluice_rejected VALUES('p', 't', '1', 1, 'r', 1, '', 1, x'00')",
    ] {
      let result = try stockSQLite(sql, database: bench.projections)
      #expect(result.errorText.contains(RowGuard.message), "\(sql): \(result.errorText)")
    }
    let store = try bench.open()
    try expectTrue(store)
    #expect(store.takeNotices() == [])
    try store.close()
  }

  /// Triggers can be turned off, in a closed store and in an open one.
  @Test(arguments: [
    "INSERT INTO t VALUES(1000, 1, 'phantom')", "DELETE FROM t WHERE g = 2", "DELETE FROM sluice_p_1",
  ])
  func rowsChangedPastTheGuardAreNoticed(_ sql: String) throws {
    let bench = WalBench()
    try make(bench)
    func change() throws {
      let connection = try Connection(path: bench.projections, mode: .readWrite, busyTimeoutMilliseconds: 5_000)
      try connection.disableTriggers()
      try connection.execute(sql)
      connection.close()
    }
    try change()
    let store = try bench.open()
    let session = try store.makeSession()
    try expectTrue(store)
    #expect(try session.run("SELECT n FROM p WHERE g = 1") == [[.integer(20)]])
    #expect(store.takeNotices().count == 1)
    try change()
    #expect(try session.run("SELECT n FROM p WHERE g = 1") == [[.integer(20)]])
    try expectTrue(store)
    try store.close()
    #expect(store.takeNotices() == ["projections.db is made anew: rows were changed by another program"])
  }

  /// Each in a closed store and in an open one, with a session that has read before.
  @Test(arguments: [
    ("DROP TABLE t", "table t was removed"), ("ALTER TABLE t ADD COLUMN extra", "the columns of table t"),
    ("ALTER TABLE t RENAME COLUMN v TO w", "the columns of table t"), ("DROP TABLE sluice_p_1", "table sluice_p_1"),
    ("DROP TRIGGER sluice_guard_1_insert; INSERT INTO t VALUES(1000, 1, 'phantom')", "table t was changed"),
    ("DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, g, v TEXT)", "table t was changed"),
    ("DROP TABLE sluice_catalog", "table sluice_catalog was removed"), ("DROP VIEW p", nil), ("DROP VIEW big", nil),
    ("DROP VIEW big; CREATE VIEW big AS SELECT 1 AS id", "view big was removed"), ("DROP INDEX tg", nil),
    ("DROP INDEX tg; CREATE INDEX tg ON t(v)", "index tg was removed"),
    ("CREATE UNIQUE INDEX u ON t(v)", "a unique index would remove rows of t"),
    ("CREATE INDEX broken ON t(json(iif(id > 100, v, '1')))", "malformed JSON"),
    ("CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT raise(ABORT, 'no'); END", nil),
    ("CREATE TABLE sluice_mine(a)", "names that begin with sluice_"), ("VACUUM", nil), ("ANALYZE", nil),
  ])
  func changesOfTheSchemaAreNoticed(_ sql: String, _ notice: String?) throws {
    for isOpen in [false, true] {
      let bench = WalBench()
      try make(bench)
      var store: Store?
      if isOpen {
        store = try bench.open()
        try expectTrue(store!)
        #expect(try store!.makeSession().run("SELECT n FROM p WHERE g = 1") == [[.integer(20)]])
      }
      #expect(try stockSQLite(sql, database: bench.projections).errorText == "", "\(sql)")
      let opened = try store ?? bench.open()
      try expectTrue(opened)
      let session = try opened.makeSession()
      try session.run("INSERT INTO t VALUES(200, 3, 'later')")
      try session.run("CREATE INDEX tv ON t(v)")
      try session.run("ALTER TABLE t ADD COLUMN c")
      try session.run("DELETE FROM t WHERE id < 10")
      try expectTrue(opened)
      try opened.close()
      let notices = opened.takeNotices()
      // Pages that others wrote into a closed file have no checksums: it is made anew, whatever they wrote.
      let isNamed = notices.contains {
        $0.contains(notice ?? "never") || (!isOpen && $0.contains("a page of the file"))
      }
      #expect(isOpen && notice == nil ? notices.isEmpty : isNamed, "\(sql): \(notices)")
    }
  }

  @Test func theStoreHasTheNamesItWants() throws {
    let bench = WalBench()
    try make(bench)
    let store = try bench.open()
    #expect(
      try stockSQLite(
        """
        CREATE TABLE n1(a); CREATE VIEW n2 AS SELECT 1; CREATE INDEX n3 ON t(v); CREATE TABLE N4(a);
        CREATE TABLE n5(a)
        """,
        database: bench.projections
      ).errorText == "")
    let session = try store.makeSession()
    for sql in [
      "CREATE TABLE n1(id INTEGER PRIMARY KEY)", "CREATE TABLE n2(a)", "CREATE INDEX n3 ON t(g, v)",
      "CREATE PROJECTION n4 AS SELECT count(*) AS n FROM n1", "INSERT INTO n1 VALUES(7)",
      "ALTER TABLE n2 RENAME TO n5", "INSERT INTO n5 VALUES('x')",
    ] { try session.run(sql) }
    try expectTrue(store)
    #expect(try session.run("SELECT n FROM n4") == [[.integer(1)]])
    #expect(try session.run("SELECT a FROM projections.n5") == [[text("x")]])
    try store.close()
    #expect(store.takeNotices().count == 5)
  }

  /// What others have in the file stays: over changes of the tables beneath it, and when the file is made anew.
  @Test func whatIsInNobodysWayStays() throws {
    let bench = WalBench()
    try make(bench)
    var store = try bench.open()
    let mine = """
      CREATE TABLE notes(a, b); INSERT INTO notes VALUES(1, 'kept'); CREATE INDEX mine ON t(v, g);
      CREATE VIEW sums AS SELECT g, sum(id) AS s FROM t GROUP BY g; CREATE VIEW names AS SELECT v FROM t;
      """
    #expect(try stockSQLite(mine, database: bench.projections).errorText == "")
    try expectTrue(store)
    let session = try store.makeSession()
    try session.run("ALTER TABLE t ADD COLUMN c")
    try session.settle()
    try expectTrue(store)
    try store.close()
    #expect(store.takeNotices() == [])
    let query = """
      SELECT a, b FROM notes; SELECT s FROM sums WHERE g = 1; SELECT count(*) FROM t INDEXED BY mine WHERE v > ''
      """
    #expect(try bench.stock(query) == "1|kept\n970\n100\n")
    #expect(try bench.stock("ALTER TABLE t ADD COLUMN d") == "")
    store = try bench.open()
    try expectTrue(store)
    try store.close()
    #expect(store.takeNotices().count == 1)
    #expect(try bench.stock(query) == "1|kept\n970\n100\n")
    #expect(try bench.files() == ["projections.db"])
  }

  enum Disappearance: CaseIterable { case removed, replacedByAnother, replacedByItsCopy, emptied }

  @Test(arguments: Disappearance.allCases)
  func aFileThatGoesAwayIsMadeAnew(_ how: Disappearance) throws {
    let bench = WalBench()
    try make(bench)
    let files = FileManager.default
    try files.copyItem(atPath: bench.projections, toPath: bench.scratch.file("copy.db"))
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("INSERT INTO t VALUES(1000, 1, 'later')")
    try expectTrue(store)
    #expect(try session.run("SELECT n FROM p WHERE g = 1") == [[.integer(21)]])
    switch how {
    case .removed: try files.removeItem(atPath: bench.projections)
    case .replacedByAnother:
      #expect(try stockSQLite("CREATE TABLE x(a)", database: bench.scratch.file("other.db")).errorText == "")
      #expect(rename(bench.scratch.file("other.db"), bench.projections) == 0)
    case .replacedByItsCopy: #expect(rename(bench.scratch.file("copy.db"), bench.projections) == 0)
    case .emptied:
      try files.removeItem(atPath: bench.projections)
      #expect(files.createFile(atPath: bench.projections, contents: nil))
    }
    #expect(try session.run("SELECT n FROM p WHERE g = 1") == [[.integer(21)]])
    try session.run("INSERT INTO t VALUES(1001, 1, 'behind it')")
    try session.wait(for: .projected)
    #expect(try session.run("SELECT n FROM p WHERE g = 1") == [[.integer(22)]])
    try expectTrue(store)
    #expect(try bench.stock("SELECT n FROM p WHERE g = 1") == "22\n")
    try store.close()
    #expect(try bench.stock("PRAGMA integrity_check; SELECT n FROM p WHERE g = 1") == "ok\n22\n")
  }

  /// README: remove the file, and the next opening makes it anew. Somebody has it open, and its log with it.
  @Test func aRemovedFileOfWhichSomebodyHasTheLog() throws {
    let bench = WalBench()
    try make(bench)
    var store = try bench.open()
    let reader = try StockShell(bench.projections)
    #expect(try reader.run("BEGIN; SELECT count(*) FROM t;").contains("100"))
    let session = try store.makeSession()
    for id in 200..<400 { try session.run("INSERT INTO t VALUES(\(id), 1, 'value \(id)')") }
    try session.settle()
    try store.close()
    try reader.run("COMMIT;")
    try FileManager.default.removeItem(atPath: bench.projections)
    for id in 0..<3 {
      store = try bench.open()
      let session = try store.makeSession()
      try session.run("INSERT INTO t VALUES(\(-1 - id), 2, 'x')")
      try session.settle()
      try expectTrue(store)
      try store.close()
      #expect(try bench.stock("PRAGMA integrity_check; SELECT count(*) FROM t") == "ok\n\(301 + id)\n")
    }
    #expect(try reader.run("SELECT count(*) FROM t;").contains("300"))
    try reader.end()
  }

  /// Pages of nonsense anywhere but in front.
  @Test func damagedPagesAreReplaced() throws {
    let bench = WalBench()
    try make(bench, rows: 3_000)
    let good = try Data(contentsOf: URL(fileURLWithPath: bench.projections))
    for page in stride(from: 1, to: good.count / ProjectionsFile.pageSizeBytes, by: 3) {
      var bytes = good
      let start = page * ProjectionsFile.pageSizeBytes
      bytes.replaceSubrange(
        start..<start + ProjectionsFile.pageSizeBytes, with: (0..<8_192).map { UInt8(truncatingIfNeeded: $0 &* 77) })
      try bytes.write(to: URL(fileURLWithPath: bench.projections))
      let store = try bench.open()
      let session = try store.makeSession()
      try session.run("UPDATE t SET v = v || 'x' WHERE id % 97 = 3")
      try session.run("INSERT OR REPLACE INTO t VALUES(-1, 3, 'z')")
      try session.run("DELETE FROM t WHERE id % 101 = 7")
      try store.close()
      let reopened = try bench.open()
      try expectTrue(reopened)
      try reopened.close()
      #expect(try bench.stock("PRAGMA integrity_check") == "ok\n", "page \(page)")
    }
  }

  /// Others that copy the write-ahead log into the file all the time (Litestream, a pool of connections with its usual
  /// settings): its pages keep their checksums, and it is made anew for none of them.
  @Test(arguments: ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
  func othersMayAskForCheckpoints(_ mode: String) throws {
    let bench = WalBench()
    try make(bench)
    var store = try bench.open()
    let file = RealFileSystem()
    let identity = try file.identity(bench.projections)
    let other = try StockShell(bench.projections)
    for round in 1...20 {
      let session = try store.makeSession()
      for id in 1...200 { try session.run("INSERT INTO t VALUES(\(round * 1_000 + id), \(id % 5), 'value \(id)')") }
      try session.run("UPDATE t SET v = v || 'x' WHERE id % 97 = \(round)")
      try session.wait(for: .projected)
      let answer = try other.run("PRAGMA wal_checkpoint(\(mode)); SELECT count(*) FROM t;")
      #expect(answer.split(separator: "\n").last == "\(100 + round * 200)")
    }
    try expectTrue(store)
    try store.close()
    try other.end()
    store = try bench.open()
    try expectTrue(store)
    try store.close()
    #expect(store.takeNotices() == [])
    #expect(try file.identity(bench.projections) == identity)
    var lines: [String] = []
    #expect(try StoreInspection.run(.store(check: true), path: bench.path) { lines.append($0) } == .sound, "\(lines)")
  }

  /// A reader that began when the store was closed keeps the file from being opened: nobody waits for it who has
  /// nothing to bring into the file.
  @Test func aReaderFromBeforeTheOpeningHoldsUpNobody() throws {
    let bench = WalBench()
    try make(bench)
    let reader = try StockShell(bench.projections)
    #expect(try reader.run("BEGIN; SELECT count(*) FROM t;") == "100")
    let store = try bench.open()
    var session: Session? = try store.makeSession()
    #expect(try session?.run("SELECT count(*) FROM t") == [[.integer(100)]])
    #expect(try session?.projectionStatus("t")["blocked_by"] == text(reader.name))
    session = nil
    try store.close()
    #expect(store.takeNotices() == [])
    #expect(try reader.run("SELECT count(*) FROM t; COMMIT;") == "100")
    try reader.end()
    let reopened = try bench.open()
    try expectTrue(reopened)
    try reopened.close()
  }

  @Test func aLockedFileIsWaitedFor() throws {
    let bench = WalBench()
    try make(bench)
    let holder = try StockShell(bench.projections)
    try holder.run("PRAGMA locking_mode = exclusive; SELECT count(*) FROM t;")
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("INSERT INTO t VALUES(1000, 1, 'later')")
    try session.settle()
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(101)]])
    let line = try #require(try session.run("SHOW PROJECTIONS").first { $0[0] == text("t") })
    #expect(line[2] == text("blocked") && line[8] == text(holder.name))
    #expect(storeError { try session.wait(for: .projected) }?.message.contains("\(holder.name) has locked it") == true)
    try holder.end()
    try session.wait(for: .projected)
    try expectTrue(store)
    try store.close()
    #expect(try bench.stock("SELECT count(*) FROM t") == "101\n")
  }

  /// Whatever stands in the checkpoint.
  @Test(arguments: [0, 1, 3, 5, 50, 103, 104, 105, 1_000, Int64.max, -1, Int64.min])
  func aCheckpointIsNotTakenOnTrust(_ position: Int64) throws {
    for isSummed in [false, true] {
      let bench = WalBench()
      try make(bench)
      let connection = try Connection(path: bench.projections, mode: .readWrite)
      try connection.disableTriggers()
      try connection.execute("UPDATE sluice_checkpoint SET position = \(position)")
      if isSummed {
        let row = try #require(
          try connection.prepare("SELECT store_id, position, schema, others FROM sluice_checkpoint").rows().first)
        var bytes: [UInt8] = []
        for case .integer(let field) in row { withUnsafeBytes(of: field.bigEndian) { bytes += Array($0) } }
        let sum = bytes.withUnsafeBytes { checksum($0) }
        try connection.execute("UPDATE sluice_checkpoint SET sum = \(sum)")
      }
      connection.close()
      // A whole checkpoint is a witness: of a log that does not reach that far something is gone.
      if isSummed, UInt64(bitPattern: position) > 104 {
        let error = storeError { _ = try bench.open() }
        #expect(error?.kind == .corrupt && error?.message.contains(bench.projections) == true, "\(error as Any)")
        continue
      }
      let store = try bench.open()
      let session = try store.makeSession()
      try session.run("INSERT INTO t VALUES(1000, 1, 'later')")
      try session.wait(for: .projected)
      #expect(try session.run("SELECT count(*), sum(id) FROM t") == [[.integer(101), .integer(6_050)]])
      if !isSummed { try expectTrue(store) }
      try store.close()
    }
  }
}
