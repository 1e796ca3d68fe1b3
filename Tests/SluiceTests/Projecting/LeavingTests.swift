// What is being made when somebody leaves, or when it is not wanted any more. A fill here takes minutes, so that no
// test depends on how fast the machine is.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct LeavingTests {
  /// Each row takes a while.
  private static let tough = "SELECT id, length(hex(zeroblob(20000000 + id))) AS n FROM many"

  private func open(_ scratch: Scratch) throws -> (Store, Session) {
    let store = try Store.open(path: scratch.file("shop"))
    let session = try store.makeSession()
    try session.run("CREATE TABLE IF NOT EXISTS many(id INTEGER PRIMARY KEY, word TEXT)")
    return (store, session)
  }

  private func insert(_ count: Int, _ session: Session) throws {
    try session.run(
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < \(count)) "
        + "INSERT INTO many SELECT x, 'word ' || x * 7919 % 1000003 FROM c")
    try session.wait(for: .projected)
  }

  private func eventually(_ story: Comment, _ condition: () throws -> Bool) throws {
    let start = SystemClock().monotonicNanoseconds()
    while try !condition() {
      try #require(SystemClock().monotonicNanoseconds() < start + 20_000_000_000, story)
      SluiceSystem.Thread.sleep(nanoseconds: 1_000_000)
    }
  }

  private func beginTough(_ store: Store, _ session: Session) throws {
    try insert(20_000, session)
    try session.run("CREATE PROJECTION slow AS \(Self.tough)")
    try session.wait(for: .projected)
    try eventually("it is not filled") { store.progress.projections["slow"]?.filling != nil }
  }

  /// It is told what is waited for, and the end of it says what is left to do.
  @Test func itIsToldWhatIsWaitedFor() throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try beginTough(store, session)
    var told: [ClosingWait] = []
    let error = storeError {
      try store.close { wait in
        told.append(wait)
        if told.count == 3 { store.hastenClose() }
      }
    }
    #expect(told.count >= 3)
    #expect(told.allSatisfy { $0.subject == "projection slow" }, "\(told)")
    #expect(told.allSatisfy { $0.state.hasPrefix("has ") && $0.state.hasSuffix(" of 20.0 k rows") }, "\(told)")
    #expect(
      error?.message.hasPrefix("interrupted: what is written is safe; projection slow has ") == true
        && error?.message.hasSuffix("and what is missing follows at the next opening") == true,
      "\(String(describing: error))")
    let (again, other) = try open(scratch)
    #expect(again.progress.projections["slow"]?.filling != nil)
    try other.run("DROP PROJECTION slow")
    try again.close()
  }

  /// A copy that goes on where it was tells the rows that it has from before too.
  @Test func rowsFromBeforeCount() throws {
    let scratch = Scratch()
    var (store, session) = try open(scratch)
    try insert(20_000, session)
    // The last rows take for ever.
    try session.run(
      "CREATE PROJECTION slow AS SELECT id, CASE WHEN id > 12000 THEN length(hex(zeroblob(20000000 + id))) END AS n "
        + "FROM many")
    let isPartlyFilled = { (store: Store) in store.progress.projections["slow"]?.filling?.key != nil }
    try eventually("no part is filled") { isPartlyFilled(store) }
    try store.close(drain: false)
    (store, session) = try open(scratch)
    #expect(isPartlyFilled(store))
    var first: ClosingWait?
    let error = storeError {
      try store.close { wait in
        first = first ?? wait
        store.hastenClose()
      }
    }
    #expect(error?.sqliteCode == 9)
    let words = try #require(first).state.split(separator: " ")
    #expect(words.count == 6 && words[0] == "has" && Double(words[1]).map { $0 >= 8 && $0 <= 12.1 } == true, "\(words)")
  }

  /// PAUSE ends the filling of what does not serve yet, and nobody who leaves waits for it; who asks for it has it.
  @Test func pauseEndsAFill() throws {
    let scratch = Scratch()
    var (store, session) = try open(scratch)
    try beginTough(store, session)
    try session.run("PAUSE PROJECTION slow")
    try session.wait(for: .projected)
    #expect(store.progress.projections["slow"]?.filling == nil)
    #expect(store.progress.projections["slow"]?.state == "paused")
    let leaving = store
    try store.close { wait in
      #expect(wait.subject != "projection slow")
      leaving.hastenClose()
    }
    (store, session) = try open(scratch)
    #expect(store.progress.projections["slow"]?.state == "paused")
    let interrupter = session.interrupter
    let isDone = Monitor(false)
    let opened = store
    let thread = try Thread(name: "interrupts") {
      while !isDone.withLock({ $0 }) {
        // Once it is being filled.
        if opened.progress.projections["slow"]?.filling != nil { interrupter.interrupt() }
        SluiceSystem.Thread.sleep(nanoseconds: 1_000_000)
      }
    }
    #expect(storeError { try session.run("SELECT * FROM slow") }?.sqliteCode == 9)
    isDone.withLock { $0 = true }
    thread.join()
    try session.run("RESUME PROJECTION slow")
    try session.wait(for: .projected)
    #expect(store.progress.projections["slow"]?.filling != nil)
    try session.run("DROP PROJECTION slow")
    try store.close()
  }

  /// An index that is being made ends with what it is for, and is not begun when that is known before.
  @Test(arguments: ["DROP INDEX i", "DROP TABLE many", "DROP PROJECTION p"])
  func anIndexThatIsDroppedIsNotMade(_ statement: String) throws {
    let scratch = Scratch()
    let (store, session) = try open(scratch)
    try insert(200_000, session)
    let owner = statement.hasSuffix("p") ? "p" : "many"
    let isMade = { store.core.pipeline.projectorStatus.withLock { $0.making } == "index i" }
    var count = 0
    // The index may be made before anybody drops it.
    for _ in 0..<20 where store.core.projector.endedCount.load(ordering: .relaxed) == 0 {
      count += 1
      if owner == "p" {
        try session.run("CREATE PROJECTION p AS SELECT id, word FROM many")
        try session.run("WAIT FOR p")
      }
      try session.run("CREATE INDEX i ON \(owner)(word)")
      try eventually("the index is not made") { isMade() || store.progress.projected == store.progress.durable }
      try session.run(statement)
      try session.wait(for: .projected)
      let file = try Connection(path: scratch.file("shop/projections.db"), mode: .readOnly)
      #expect(try file.prepare("SELECT name FROM sqlite_schema WHERE name LIKE '%i'").rows() == [])
      if statement == "DROP TABLE many" {
        try session.run("CREATE TABLE many(id INTEGER PRIMARY KEY, word TEXT)")
        try insert(200_000, session)
      }
    }
    #expect(store.core.projector.endedCount.load(ordering: .relaxed) == 1, "\(count) rounds")
    #expect(try session.run("SELECT count(*) FROM projections.many") == [[.integer(200_000)]])
    try store.close()
  }

  @Test func amounts() {
    #expect(amount(0, "row") == "0 rows")
    #expect(amount(1, "row") == "1 row")
    #expect(amount(12, "row", of: 9_999) == "12 of 9999 rows")
    #expect(amount(1_160, "row", of: 13_000) == "1.1 of 13.0 k rows")
    #expect(amount(1_199_999, "change", of: 1_300_000) == "1.1 of 1.3 M changes")
    #expect(amount(13_000_000, "row") == "13.0 M rows")
  }
}
