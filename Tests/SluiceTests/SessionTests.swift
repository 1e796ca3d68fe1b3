// Sessions: who is told what, and what numbers a table gives out.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct SessionTests {
  /// A session ends while its batch is on its way; the next one must not take that batch for its own.
  @Test func sessionIsNotMistakenForAnEarlierOne() throws {
    let bench = Bench()
    let store = try bench.open()
    try store.makeSession().run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    do {
      let passing = try store.makeSession()
      passing.acknowledgement = .queued
      try passing.run("INSERT INTO t VALUES(1)")
      try passing.run("INSERT INTO t VALUES(1)")
      try passing.acknowledge()
    }
    let session = try store.makeSession()
    try session.run("INSERT INTO t VALUES(2)")
    try session.settle()
    #expect(session.takeRejections().isEmpty)
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(2)]])
    try store.close()
  }

  @Test func closedStoreRefuses() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try store.close()
    try store.close()
    let error = storeError {
      try session.run("INSERT INTO t VALUES(1)")
      try session.settle()
    }
    #expect(error?.kind == .unavailable)
    #expect(storeError { try session.settle() }?.message.contains("is closed") == true)
    #expect(storeError { _ = try store.makeSession().run("CREATE TABLE u(id)") }?.kind == .unavailable)
  }

  /// Nothing of a closed store stays in memory: its parts know one another only while it is open.
  @Test(arguments: [true, false])
  func closedStoreIsGivenBack(_ threaded: Bool) throws {
    let bench = Bench()
    weak var core: StoreCore?
    weak var pipeline: Pipeline?
    do {
      let store = try bench.open { $0.threaded = threaded }
      core = store.core
      pipeline = store.core.pipeline
      try store.makeSession().run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
      try store.close()
    }
    #expect(core == nil)
    #expect(pipeline == nil)
  }

  /// The number behind the highest, as in SQLite; with AUTOINCREMENT from 1. A row that is left out takes none.
  @Test func numbersThatARowLeavesOut() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v NOT NULL)")
    try session.run("CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, v)")
    for table in ["t", "a"] { try session.run("INSERT INTO \(table) VALUES(-5, 1), (NULL, 2)") }
    #expect(storeError { try session.run("INSERT INTO t(v) VALUES(NULL)") } != nil)
    try session.run("INSERT OR IGNORE INTO t(id, v) VALUES(NULL, NULL), (700, NULL)")
    try session.run("INSERT INTO t(v) VALUES(3)")
    #expect(try session.run("SELECT id FROM t ORDER BY id") == [[.integer(-5)], [.integer(-4)], [.integer(-3)]])
    #expect(try session.run("SELECT id FROM a ORDER BY id") == [[.integer(-5)], [.integer(1)]])
    try store.close()
  }

  @Test func indexGoesWithItsTableForGood() throws {
    let bench = Bench()
    var store = try bench.open()
    var session = try store.makeSession()
    for statement in [
      "CREATE TABLE t(a, b)", "CREATE INDEX i ON t(a)", "INSERT INTO t VALUES(1, 2)", "DROP TABLE t",
      "CREATE TABLE t(b)",
    ] { try session.run(statement) }
    try session.settle()
    try store.close()
    removeDatabase(bench.projections)
    store = try bench.open()
    session = try store.makeSession()
    #expect(try session.run("SELECT count(*) FROM sqlite_schema WHERE name = 'i'") == [[.integer(0)]])
    try session.run("CREATE INDEX i ON t(b)")
    #expect(try session.run("SELECT count(*) FROM sqlite_schema WHERE name = 'i'") == [[.integer(1)]])
    try store.close()
  }

  @Test func sequenceGoesWithItsTable() throws {
    let bench = Bench()
    var store = try bench.open()
    var session = try store.makeSession()
    for statement in [
      "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)", "INSERT INTO sqlite_sequence VALUES('t', 500)",
      "DROP TABLE t", "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)",
    ] { try session.run(statement) }
    try store.close()
    store = try bench.open()
    session = try store.makeSession()
    try session.run("INSERT INTO t(v) VALUES('x')")
    #expect(try session.run("SELECT id FROM t") == [[.integer(1)]])
    try store.close()
  }

  /// EXPLAIN INSERT gives out no number, and takes none back that another session has used meanwhile.
  @Test func explainGivesOutNoNumbers() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    try session.run("INSERT INTO t(v) VALUES('a')")
    #expect(try session.run("EXPLAIN INSERT INTO t(v) VALUES('b'), ('c')").count == 2)
    try session.run("INSERT INTO t(v) VALUES('b')")
    #expect(try session.run("SELECT max(id) FROM t") == [[.integer(2)]])
    let counter = KeyCounter()
    counter.raise(to: 10)
    counter.raise(to: 12)
    counter.restore(9, from: 10)
    #expect(counter.current == 12)
    try store.close()
  }

  @Test func rejectedTransactionUnderBailUndoesItsDefinitionsToo() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.run("INSERT INTO t VALUES(1)")
    session.stopAtFirstError = true
    try session.run("BEGIN")
    try session.run("CREATE TABLE u(id INTEGER PRIMARY KEY)")
    try session.run("INSERT INTO u VALUES(5)")
    try session.run("INSERT INTO t VALUES(2)")
    try session.run("INSERT INTO t VALUES(1)")
    _ = storeError { try session.run("COMMIT") }
    try session.settle()
    #expect(Set(try store.liveContents().keys) == ["t"])
    #expect(Set(try store.liveContents()["t"]!.keys) == ["1"])
    session.stopAtFirstError = false
    let image = Bench(disk: bench.disk.crashImage(.keepAll))
    let after = try image.open()
    #expect(Set(try after.liveContents().keys) == ["t"])
    try after.close()
    try store.close()
  }
}
