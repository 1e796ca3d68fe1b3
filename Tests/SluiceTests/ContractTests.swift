// The contracts of the store, one test each that fails without it, by their numbers in the design: 1 position,
// 2 acknowledgement, 4 atomic statements, 5 uniqueness, 6 order, 7 read your writes, 8 exactly once, 9 disposable
// projections, 12 limits, 13 leaving. (3, a failed fsync, and 11, damage, are in FaultTests.swift.)
import SluiceLog
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ContractTests {
  @Test func positionsHaveNoGapsOverSessions() throws {
    let bench = Bench()
    let store = try bench.open()
    let sessions = try (0..<3).map { _ in try store.makeSession() }
    try sessions[0].run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    for row in 0..<60 {
      // Every third one is a duplicate: it has a position all the same.
      try sessions[row % 3].run("INSERT INTO t VALUES(\(row - row % 9 / 8))")
      if row % 7 == 0 { try sessions[(row + 1) % 3].settle() }
    }
    for session in sessions { try session.settle() }
    let reader = try store.core.pipeline.log.reader(after: 0, upTo: store.lastPosition)
    var next: UInt64 = 1
    while let record = try reader.next() {
      guard case .commands(let batch, _) = record else { continue }
      #expect(batch.firstPosition == next)
      next = batch.lastPosition + 1
    }
    #expect(next == 62)
    let progress = store.progress
    #expect(progress.durable == 61 && progress.applied == 61 && progress.visible == 61)
    try store.close()
  }

  @Test func acknowledgementSaysWhatItMeans() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    func rowsAfterPowerCut() throws -> Int? {
      let after = Bench(disk: bench.disk.crashImage(.keepNothing))
      let store = try after.open()
      defer { _ = storeError { try store.close() } }
      return try store.liveContents()["t"]?.count
    }
    for (level, rows) in [("queued", 0), ("durable", 2), ("applied", 3), ("projected", 4)] {
      try session.run("SET ack = \(level)")
      #expect(try session.run("SHOW ack") == [[text(level)]])
      try session.run("INSERT INTO t VALUES(\(store.lastPosition * 10 + UInt64(rows)))")
      try session.acknowledge()
      #expect(try rowsAfterPowerCut() == rows, "\(level)")
      if level == "applied" { #expect(store.progress.applied == store.lastPosition) }
      if level == "projected" {
        let file = try Connection(path: bench.projections, mode: .readOnly)
        #expect(try file.prepare("SELECT count(*) FROM t").rows() == [[.integer(4)]])
      }
    }
    #expect(storeError { try session.run("SET ack = perhaps") }?.kind == .invalid)
    try store.close()
  }

  @Test func statementIsAtomicOverShards() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.run("INSERT INTO t VALUES(1000, 'there')")
    let rows = (0..<30).map { "(\($0), 'row')" } + ["(1000, 'duplicate')"]
    try session.run("INSERT INTO t VALUES\(rows.joined(separator: ","))")
    try session.run("INSERT INTO t VALUES(2000, 'behind'), (2001, 'behind')")
    try session.run("BEGIN")
    try session.run("INSERT INTO t VALUES(3000, 'in')")
    try session.run("INSERT INTO t VALUES(3001, 'in'), (1000, 'in')")
    try session.run("INSERT INTO t VALUES(3002, 'in')")
    try session.run("COMMIT")
    try session.settle()
    #expect(session.takeRejections().map(\.message) == Array(repeating: "UNIQUE constraint failed: t.id", count: 2))
    let keys: Set<String> = ["1000", "2000", "2001", "3000", "3002"]
    #expect(Set(try store.liveContents()["t"]!.keys) == keys)
    // The thirty rows had more than one shard to lie on.
    let shards = Set(
      try session.run("EXPLAIN INSERT INTO t VALUES\(rows.joined(separator: ","))").map { literal($0[4]) })
    #expect(shards.count > 1)
    for mode in [CrashMode.keepAll, .keepNothing] {
      let image = Bench(disk: bench.disk.crashImage(mode))
      let after = try image.open()
      #expect(Set(try after.liveContents()["t"]!.keys) == keys)
      try after.close()
      withExtendedLifetime(image) {}
    }
    try store.close()
  }

  /// Rows still on their way at BEGIN are no part of the transaction; ROLLBACK takes all of it, staged or not.
  /// One row that changed takes the whole statement with it, whatever shards its other rows lie on.
  @Test func conditionsHoldForTheWholeStatement() throws {
    let bench = Bench()
    var store = try bench.open()
    var session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.run("INSERT INTO t VALUES" + (0..<30).map { "(\($0), 'old')" }.joined(separator: ", "))
    try session.settle()
    func changes(_ kind: CommandKind, _ ids: Range<Int64>, wrong: Int64?) throws -> [Change] {
      let rows = try store.liveContents()["t"]!
      return ids.map { id in
        let expected = (rows["\(id)"]?.position ?? 0) + (id == wrong ? 1 : 0)
        return Change(
          kind: kind, row: ContentRow(position: 0, values: [.integer(id), text("new")]), expected: expected)
      }
    }
    for kind in [CommandKind.putIf, .deleteIf] {
      let before = try store.liveContents()
      try session.perform(.change("t", try changes(kind, 0..<30, wrong: 29)))
      try session.settle()
      let rejections = session.takeRejections()
      #expect(rejections.map(\.message) == ["the row changed meanwhile"] && rejections[0].sqliteCode == 5)
      #expect(rejections[0].kind == .conflict)
      #expect(difference(try store.liveContents(), before) == nil, "\(kind)")
    }
    // No such key is a condition too, and the statement behind the rejected one stands.
    try session.perform(.change("t", try changes(.putIf, 28..<32, wrong: nil)))
    try session.perform(.change("t", try changes(.deleteIf, 0..<28, wrong: nil)))
    try session.settle()
    #expect(session.takeRejections().isEmpty)
    let rows = try session.run("SELECT id, v FROM t ORDER BY id")
    #expect(rows == (28..<32).map { [.integer(Int64($0)), text("new")] })
    try store.close(drain: false)
    store = try bench.open()
    session = try store.makeSession()
    #expect(try session.run("SELECT id, v FROM t ORDER BY id") == rows)
    try store.close()
  }

  @Test(arguments: [3, 300])
  func rollbackTakesTheTransactionAndNoMore(_ rowCount: Int) throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    for (start, end) in [(0, "ROLLBACK"), (1_000, "COMMIT"), (2_000, "ROLLBACK")] {
      try session.run("INSERT INTO t VALUES(\(start))")
      try session.run("BEGIN")
      for row in 1...rowCount { try session.run("INSERT INTO t VALUES(\(start + row))") }
      let staged = try bench.disk.list("shop/log").contains { $0.hasPrefix("staged") }
      #expect(staged == (rowCount > 100))
      try session.run(end)
    }
    try session.settle()
    #expect(
      try session.run("SELECT count(*), sum(id = 0), sum(id = 2000), max(id) FROM t")
        == [[.integer(Int64(rowCount + 3)), .integer(1), .integer(1), .integer(2_000)]])
    #expect(try bench.disk.list("shop/log").allSatisfy { !$0.hasPrefix("staged") })
    try store.close()
  }

  @Test func uniquenessInSQLitesWords() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    let error = storeError {
      try session.run("CREATE TABLE bad(a INTEGER, b INTEGER, PRIMARY KEY(a), SHARD KEY(b))")
    }
    #expect(error?.message.contains("shard key") == true, "\(error.map { "\($0)" } ?? "accepted")")
    try session.run("CREATE TABLE \"two keys\"(a INTEGER, b TEXT, PRIMARY KEY(a, b), SHARD KEY(a))")
    try session.run("INSERT INTO \"two keys\" VALUES(1, 'x')")
    var line = 7
    let text = Array("INSERT INTO \"two keys\" VALUES(2, 'x');\nINSERT INTO \"two keys\" VALUES(1, 'x');\n".utf8)
    let used = text.withUnsafeBytes { session.ingest($0, line: &line) }
    #expect(used >= text.count - 1)
    try session.settle()
    let rejections = session.takeRejections()
    #expect(rejections.map(\.message) == ["UNIQUE constraint failed: two keys.a, two keys.b"])
    #expect(rejections.map(\.line) == [8])
    #expect(rejections.map(\.kind) == [.conflict] && rejections.first?.sqliteCode == 19)
    #expect(session.takeRejections().isEmpty)
    try store.close()
  }

  @Test func orderOfASessionIsKept() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER)")
    for round in 0..<200 {
      try session.run("INSERT OR REPLACE INTO t VALUES(\(round % 3), \(round))")
      if round % 11 == 0 { try session.acknowledge() }
    }
    try session.settle()
    let expected: [[Value]] = [
      [.integer(0), .integer(198)], [.integer(1), .integer(199)], [.integer(2), .integer(197)],
    ]
    #expect(try session.run("SELECT * FROM t ORDER BY id") == expected)
    #expect(try store.liveContents()["t"]?["1"]?.position == 201)
    try store.close()
  }

  @Test func sessionsReadTheirWrites() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    let other = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    for row in 1...5 {
      try session.run("INSERT INTO t VALUES(\(row))")
      #expect(try session.run("SELECT count(*) FROM t") == [[.integer(Int64(row))]])
    }
    // And a session begun later sees all that was durable then.
    try session.run("INSERT INTO t VALUES(6)")
    try session.acknowledge()
    #expect(try store.makeSession().run("SELECT count(*) FROM t") == [[.integer(6)]])
    #expect(try other.run("INSERT INTO t VALUES(7)") == [])
    #expect(try other.run("SELECT count(*) FROM t") == [[.integer(7)]])
    try store.close()
  }

  /// The checkpoint's own update is made to fail, after the rows of its transaction were written: then those are not
  /// there either. They come exactly once, in the file that is made anew.
  @Test func rowsAndCheckpointCommitTogether() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(v TEXT)")
    try session.run("INSERT INTO t VALUES('a')")
    try session.wait(for: .projected)
    let other = try Connection(path: bench.projections, mode: .readWrite)
    try other.execute("CREATE INDEX halt ON sluice_checkpoint(abs(iif(position > 2, -9223372036854775807 - 1, 0)))")
    try session.run("INSERT INTO t VALUES('b'), ('c')")
    try session.wait(for: .projected)
    #expect(store.takeNotices() == ["projections.db is made anew: integer overflow"])
    #expect(try other.prepare("SELECT v FROM t").rows() == [[text("a")]])
    #expect(try other.prepare("SELECT position FROM sluice_checkpoint").rows() == [[.integer(2)]])
    #expect(
      try session.run("SELECT rowid, v FROM t").map { $0.map(literal) } == [
        ["1", "'a'"], ["2", "'b'"], ["3", "'c'"],
      ])
    try store.close()
  }

  @Test(arguments: [false, true])
  func projectionsAreDisposable(_ isDamaged: Bool) throws {
    let bench = Bench()
    var store = try bench.open()
    let session = try store.makeSession()
    for statement in [
      "CREATE TABLE a(id INTEGER PRIMARY KEY, v TEXT)", "CREATE TABLE b(x, y DEFAULT 3)",
      "CREATE TABLE c(k TEXT PRIMARY KEY, v) WITHOUT ROWID", "CREATE INDEX a_v ON a(v)",
      "CREATE VIEW av AS SELECT a.v, b.y FROM a, b", "INSERT INTO a(v) VALUES('one'), ('two'), ('two')",
      "INSERT INTO b(x) VALUES(NULL), (1.5), (x'00ff'), ('text')", "INSERT INTO c VALUES('k', 1), ('l', 2)",
      "INSERT OR REPLACE INTO c VALUES('k', 3)", "CREATE TABLE gone(v)", "CREATE INDEX gone_v ON gone(v)",
      "INSERT INTO gone VALUES(1)", "DROP TABLE gone",
    ] { try session.run(statement) }
    try session.settle()
    try store.close()
    let before = try dump(bench.projections)
    #expect(before.count > 12)
    if isDamaged {
      removeDatabase(bench.projections)
      try overwrite(bench.projections, with: [UInt8](repeating: 0x5a, count: 8192))
    } else {
      removeDatabase(bench.projections)
    }
    store = try bench.open()
    try store.close()
    #expect(try dump(bench.projections) == before)
  }

  private func overwrite(_ path: String, with bytes: [UInt8]) throws {
    let file = try RealFileSystem().open(path, .create)
    defer { file.close() }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { buffer.deallocate() }
    buffer.copyBytes(from: bytes)
    try file.write(UnsafeRawBufferPointer(buffer), at: 0)
  }

  /// Definitions, then all rows of all tables.
  private func dump(_ path: String) throws -> [String] {
    let connection = try Connection(path: path, mode: .readOnly)
    var lines = try connection.prepare(
      "SELECT type, name, sql FROM sqlite_schema WHERE name <> 'sluice_catalog' ORDER BY 2"
    )
    .rows().map { $0.map(literal).joined(separator: "|") }
    for row in try connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1").rows() {
      guard case .text(let name) = row[0], name != Array("sluice_catalog".utf8) else { continue }
      let table = String(decoding: name, as: UTF8.self)
      // How often the schema has changed is not its content.
      let columns = table == "sluice_checkpoint" ? "store_id, position, others" : "*"
      lines += try connection.prepare("SELECT \(columns) FROM \(table) ORDER BY 1, 2").rows().map {
        table + ": " + $0.map(literal).joined(separator: "|")
      }
    }
    return lines
  }

  @Test func limitsAreErrors() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(k TEXT PRIMARY KEY, v)")
    try session.run("INSERT INTO t VALUES('\(String(repeating: "k", count: 16_000))', 1)")
    let key = storeError { try session.run("INSERT INTO t VALUES('\(String(repeating: "k", count: 16_500))', 1)") }
    #expect(key?.message.contains("16384") == true, "\(key.map { "\($0)" } ?? "accepted")")
    let row = storeError {
      try session.run("INSERT INTO t VALUES('big', zeroblob(\((64 << 20) + 1)))")
    }
    #expect(row?.message.contains("67108864") == true, "\(row.map { "\($0)" } ?? "accepted")")
    let columns = (0..<1_024).map { "c\($0)" }
    try session.run("CREATE TABLE wide(\(columns.joined(separator: ",")))")
    try session.run("INSERT INTO wide VALUES(\(columns.map { _ in "1" }.joined(separator: ",")))")
    #expect(storeError { try session.run("CREATE TABLE wider(\(columns.joined(separator: ",")), more)") } != nil)
    try session.settle()
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(1)]])
    #expect(try session.run("SELECT c1023 FROM wide") == [[.integer(1)]])
    try store.close()
    var options = bench.options
    options.shardCount = 257
    let shards = storeError { _ = try Store.open(path: "another", options: options) }
    #expect(shards?.kind == .invalid)
  }

  @Test(arguments: [true, false])
  func leavingWithAndWithoutDraining(_ drain: Bool) throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.wait(for: .projected)
    for row in 0..<50 { try session.run("INSERT INTO t VALUES(\(row / 2))") }
    try session.acknowledge()
    try store.close(drain: drain)
    let file = try Connection(path: bench.projections, mode: .readOnly)
    #expect(try file.prepare("SELECT count(*) FROM t").rows() == [[.integer(drain ? 25 : 0)]])
    file.close()
    let next = try bench.open()
    #expect(try next.makeSession().run("SELECT count(*) FROM t") == [[.integer(25)]])
    try next.close()
  }

  /// What is still in the queue when the store is left is drained with the rest.
  @Test(arguments: [false, true])
  func leavingDrainsTheQueue(_ threaded: Bool) throws {
    let bench = Bench()
    for round in 0..<(threaded ? 10 : 1) {
      let store = try bench.open { $0.threaded = threaded }
      let session = try store.makeSession()
      try session.run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY)")
      session.acknowledgement = .queued
      for row in 0..<20 {
        try session.run("INSERT INTO t VALUES(\(round * 20 + row))")
        try session.acknowledge()
      }
      try store.close()
      let file = try Connection(path: bench.projections, mode: .readOnly)
      #expect(try file.prepare("SELECT count(*) FROM t").rows() == [[.integer(Int64(round * 20 + 20))]])
    }
  }
}
