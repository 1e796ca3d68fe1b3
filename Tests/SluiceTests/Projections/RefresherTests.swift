// Queries of projections that are made anew as a whole run beside everything else, and end when nobody wants them any
// more. The query here never ends by itself, so that no test depends on how fast the machine is.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct RefresherTests {
  /// A query over `t` that does not end.
  private static let endless =
    "SELECT t.id, count(*) AS n FROM t, (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
    + "SELECT x FROM c) GROUP BY t.id"

  private func open(_ scratch: Scratch) throws -> (Store, Session) {
    let store = try Store.open(path: scratch.file("shop"))
    let session = try store.makeSession()
    try session.run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY)")
    try session.run("CREATE TABLE IF NOT EXISTS other(id INTEGER PRIMARY KEY)")
    try session.run("INSERT OR IGNORE INTO t VALUES(1)")
    try session.wait(for: .projected)
    return (store, session)
  }

  /// Waits until `condition` holds; a test that fails ends all the same.
  private func eventually(_ story: Comment, _ condition: () throws -> Bool) throws {
    let start = SystemClock().monotonicNanoseconds()
    while try !condition() {
      try #require(SystemClock().monotonicNanoseconds() < start + 20_000_000_000, story)
      SluiceSystem.Thread.sleep(nanoseconds: 5_000_000)
    }
  }

  private func beginEndless(_ store: Store, _ session: Session) throws {
    try session.run("CREATE PROJECTION p AS \(Self.endless) REFRESH EVERY '1h'")
    try eventually("the query does not begin") { store.core.projector.refresher.runningJob != nil }
  }

  /// Mirrors, other projections and their queries go on; the statement that asks for it can be interrupted.
  @Test func everythingElseGoesOn() throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try beginEndless(store, session)
    try session.run("INSERT INTO other VALUES(1), (2)")
    #expect(try session.run("SELECT count(*) FROM projections.other") == [[.integer(2)]])
    try session.run("CREATE PROJECTION followed AS SELECT count(*) AS n FROM other")
    #expect(try session.run("SELECT n FROM followed") == [[.integer(2)]])
    #expect(store.core.projector.refresher.runningJob != nil, "the query was ended by what has nothing to do with it")
    let interrupter = session.interrupter
    let isDone = Monitor(false)
    let thread = try Thread(name: "interrupts") {
      while !isDone.withLock({ $0 }) { interrupter.interrupt() }
    }
    #expect(storeError { try session.run("SELECT * FROM p") }?.sqliteCode == 9)
    isDone.withLock { $0 = true }
    thread.join()
    try session.run("DROP PROJECTION p")
    try store.close()
  }

  @Test(arguments: [
    "DROP PROJECTION p", "PAUSE PROJECTION p", "ALTER PROJECTION p AS SELECT count(*) AS n FROM t REFRESH EVERY '1h'",
  ])
  func endedByWhatConcernsTheProjection(_ statement: String) throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try beginEndless(store, session)
    let select = store.core.projector.refresher.runningJob?.select
    try session.run(statement)
    try eventually("\(statement) leaves it running") { store.core.projector.refresher.runningJob?.select != select }
    if statement.hasPrefix("PAUSE") { session.expectRefused("SELECT n FROM p", "RESUME PROJECTION p") }
    try store.close()
  }

  @Test(arguments: ["DROP TABLE t", "ALTER TABLE t ADD COLUMN v", "ALTER TABLE t RENAME TO u", "REBUILD PROJECTION p"])
  func endedByWhatConcernsItsTable(_ statement: String) throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try beginEndless(store, session)
    let serial = store.core.projector.refresher.runningJob?.serial
    try session.run(statement)
    let position = session.lastPosition
    try eventually("\(statement) leaves it running") {
      guard let job = store.core.projector.refresher.runningJob else { return true }
      return job.position >= position || job.serial != serial
    }
    try session.run("DROP PROJECTION p")
    try store.close()
  }

  @Test func leavingWithoutDrainingEndsIt() throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try beginEndless(store, session)
    try session.run("INSERT INTO t VALUES(2)")
    try session.settle()
    try store.close(drain: false)
    let (again, other) = try open(scratch)
    #expect(try other.run("SELECT count(*) FROM projections.t") == [[.integer(2)]])
    try other.run("DROP PROJECTION p")
    try again.close()
  }

  /// Who leaves is patient for five seconds, and then told; all else is in projections.db.
  @Test func leavingNamesWhatTakesTooLong() throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try beginEndless(store, session)
    try session.run("INSERT INTO t VALUES(2)")
    try session.settle()
    let error = storeError { try store.close() }
    #expect(
      error?.kind == .overloaded && error?.message.contains("projection p is behind") == true,
      "\(String(describing: error))")
    #expect(error?.message.contains("the next opening") == true)
    let files = RealFileSystem()
    #expect(try !files.exists(scratch.file("shop/projections.db-wal")), "the file is not left as one")
    let file = try Connection(path: scratch.file("shop/projections.db"), mode: .readOnly)
    #expect(try file.prepare("SELECT count(*) FROM t").rows() == [[.integer(2)]])
  }

  /// The DROP stands in the log and not in projections.db yet: nothing is done for the projection.
  @Test func aDroppedProjectionIsNotWorkedForAfterReopening() throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try beginEndless(store, session)
    store.suspendProjector(true)
    try session.run("DROP PROJECTION p")
    try store.close(drain: false)
    let (again, other) = try open(scratch)
    try other.run("INSERT INTO other VALUES(7)")
    try other.wait(for: .projected)
    #expect(again.core.projector.refresher.jobCount == 0)
    try again.close()
  }

  /// A projection over another: both hold what the session wrote when one of them is asked for.
  @Test func oneOverAnotherHoldsWhatWasWritten() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.run("CREATE PROJECTION a AS SELECT count(*) AS n FROM t REFRESH EVERY '1h'")
    try session.run("CREATE PROJECTION b AS SELECT n * 10 AS n FROM a REFRESH EVERY '1h'")
    try session.run("CREATE PROJECTION c AS SELECT b.n + a.n AS n FROM a, b REFRESH EVERY '1h'")
    for id in 1...5 {
      try session.run("INSERT INTO t VALUES(\(id))")
      #expect(try session.run("SELECT n FROM c") == [[.integer(Int64(id * 11))]])
    }
    try store.close()
  }

  /// `SELECT *` has more columns when its table has; indexes of the projection stay.
  @Test func itsColumnsFollowItsTable() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.run("INSERT INTO t VALUES(1)")
    try session.run("CREATE PROJECTION p AS SELECT * FROM t REFRESH EVERY '1h'")
    try session.run("CREATE INDEX i ON p(id)")
    try session.run("WAIT FOR p")
    try session.run("ALTER TABLE t ADD COLUMN v DEFAULT 'x'")
    #expect(try session.run("SELECT * FROM p") == [[.integer(1), text("x")]])
    #expect(
      try bench.file("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name GLOB '*_i'") == [[.integer(1)]])
    try store.close()
  }

  /// The table of a projection stays the same from one time to the next: nobody has to read the schema again.
  @Test func theSchemaStaysAsItIs() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, \"a \"\"b\" TEXT, c REAL, d)")
    try session.run("CREATE PROJECTION p AS SELECT *, count(*) OVER (), d || 'x', 1 FROM t REFRESH EVERY '1h'")
    try session.run("WAIT FOR p")
    let version = try bench.file("PRAGMA schema_version")
    try session.run("INSERT INTO t VALUES(1, 'x', 2, x'00')")
    let select = "SELECT *, count(*) OVER (), d || 'x', 1 FROM t"
    #expect(try session.run("SELECT * FROM p") == session.run(select))
    #expect(try bench.file("PRAGMA schema_version") == version)
    try store.close()
  }

  /// While a query reads the file, its write-ahead log cannot begin anew: it may become longer than it usually may, and
  /// the mirrors do not wait.
  @Test func mirrorsGoOnPastTheUsualSizeOfTheLog() throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try session.run("CREATE TABLE big(id INTEGER PRIMARY KEY, v)")
    try beginEndless(store, session)
    try session.run(
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 90) "
        + "INSERT INTO big SELECT x, zeroblob(1000000) FROM c")
    try session.wait(for: .projected)
    for id in 1_000..<1_040 {
      try session.run("INSERT INTO big VALUES(\(id), zeroblob(1000000))")
      try session.wait(for: .projected)
    }
    #expect(try session.run("SELECT count(*) FROM projections.big") == [[.integer(130)]])
    #expect(store.core.projector.refresher.runningJob != nil)
    try store.close(drain: false)
  }

  // MARK: Copies that are filled

  /// A query of which each row takes a while; a part of some thousand rows takes minutes.
  private static let tough = "SELECT id, length(hex(zeroblob(20000000 + id))) AS n FROM many"

  private func beginTough(_ store: Store, _ session: Session) throws {
    try session.run("CREATE TABLE many(id INTEGER PRIMARY KEY)")
    try session.run(
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000) INSERT INTO many SELECT x FROM c"
    )
    try session.wait(for: .projected)
    try session.run("CREATE PROJECTION slow AS \(Self.tough)")
    try session.wait(for: .projected)
    try eventually("it is not filled") { store.progress.projections["slow"]?.filling != nil }
  }

  /// Others do not wait for the part that is being filled, and what is dropped is not filled any further.
  @Test func aPartThatTakesTooLongIsEnded() throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try beginTough(store, session)
    try session.run("INSERT INTO other VALUES(1)")
    #expect(try session.run("SELECT count(*) FROM projections.other") == [[.integer(1)]])
    #expect(store.progress.projections["slow"]?.filling != nil)
    try session.run("DROP PROJECTION slow")
    try session.wait(for: .projected)
    #expect(store.progress.projections["slow"] == nil)
    try store.close()
  }

  /// A projection that is filled for long keeps no other one from being made anew.
  @Test func oneThatIsFilledHoldsUpNoOther() throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try beginTough(store, session)
    try session.run("CREATE PROJECTION quick AS SELECT count(*) AS n FROM t REFRESH EVERY '1h'")
    #expect(try session.run("SELECT n FROM quick") == [[.integer(1)]])
    try session.run("DROP PROJECTION slow")
    try store.close()
  }

  /// Who leaves without draining ends it, and so does who is told to make haste.
  @Test(arguments: [false, true]) func leavingEndsAPart(isHastened: Bool) throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try beginTough(store, session)
    if isHastened {
      let isDone = Monitor(false)
      let thread = try Thread(name: "haste") {
        while !isDone.withLock({ $0 }) { store.hastenClose() }
      }
      let error = storeError { try store.close() }
      #expect(error?.kind == .overloaded && error?.sqliteCode == 9)
      isDone.withLock { $0 = true }
      thread.join()
    } else {
      try store.close(drain: false)
    }
    let (again, other) = try open(scratch)
    #expect(again.progress.projections["slow"]?.filling != nil)
    try other.run("DROP PROJECTION slow")
    try again.close()
  }
}
