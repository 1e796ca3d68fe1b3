// Several sessions at once on a threaded store, with readers of projections.db beside them. Run under the thread
// sanitizer too: swift test --sanitize=thread --filter Concurren
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Synchronization
import Testing

@testable import Sluice

/// What the threads of a test found.
private final class Findings: Sendable {
  let rejected = Atomic<Int>(0)
  let problems = Mutex<[String]>([])
  let isDone = Atomic<Bool>(false)

  func note(_ problem: String) { problems.withLock { $0.append(problem) } }
}

@Suite struct ConcurrencyTests {
  private static let sessionCount = 4
  private static let ownRows = 300
  private static let sharedRows = 60

  /// Writes rows of its own, then rows that all sessions write: each of these is taken by one of them.
  private func write(_ number: Int, _ store: Store, _ findings: Findings) {
    do throws(StoreError) {
      let session = try store.makeSession()
      for id in 0..<Self.ownRows {
        _ = try session.execute("INSERT INTO t VALUES('own \(number)', \(id), 'x'), ('other \(number)', \(id), 'y')")
      }
      for id in 0..<Self.sharedRows { _ = try session.execute("INSERT INTO t VALUES('shared', \(id), '\(number)')") }
      _ = try session.execute("BEGIN")
      for id in 0..<50 { _ = try session.execute("INSERT INTO t VALUES('late \(number)', \(id), 'z')") }
      _ = try session.execute("COMMIT")
      try session.settle()
      for rejection in session.takeRejections() {
        findings.rejected.add(1, ordering: .relaxed)
        if rejection.message != "UNIQUE constraint failed: t.a, t.b" { findings.note(rejection.message) }
      }
      // A session reads what it wrote.
      guard case .rows(let rows) = try session.execute("SELECT count(*) FROM t WHERE a = 'late \(number)'"),
        try rows.next(), rows.value(0) == .integer(50)
      else { return findings.note("session \(number) does not see its own rows") }
    } catch { findings.note("session \(number): \(error)") }
  }

  /// Reads all the time, without a busy timeout; the count never goes back and a transaction is seen whole.
  private func read(_ path: String, _ findings: Findings) {
    do throws(SQLiteError) {
      let connection = try Connection(path: path, mode: .readWrite)
      var last: Int64 = 0
      while !findings.isDone.load(ordering: .acquiring) {
        let row = try connection.prepare("SELECT count(*), sum(a GLOB 'late*') FROM t").rows()[0]
        guard case .integer(let count) = row[0] else { return findings.note("no count") }
        if count < last { findings.note("the count went back from \(last) to \(count)") }
        if case .integer(let late) = row[1], late % 50 != 0 { findings.note("half a transaction: \(late)") }
        last = count
      }
    } catch { findings.note("reader: \(error)") }
  }

  @Test func concurrentSessionsAndReaders() throws {
    let scratch = Scratch()
    var options = StoreOptions()
    options.memtableBudgetBytes = 16 << 10
    options.projectorQueueBytes = 8 << 10
    let path = scratch.file("c.sluice")
    let store = try Store.open(path: path, options: options)
    let first = try store.makeSession()
    try first.run("CREATE TABLE t(a TEXT, b INTEGER, c TEXT, PRIMARY KEY (a, b), SHARD KEY (a))")
    _ = try first.run("SELECT count(*) FROM t")
    let findings = Findings()
    let writers = try (0..<Self.sessionCount).map { number in
      try Thread(name: "writer") { write(number, store, findings) }
    }
    let reader = try Thread(name: "reader") { read(path + "/projections.db", findings) }
    for writer in writers { writer.join() }
    findings.isDone.store(true, ordering: .releasing)
    reader.join()
    #expect(findings.problems.withLock { $0 } == [])
    #expect(findings.rejected.load(ordering: .relaxed) == Self.sharedRows * (Self.sessionCount - 1))
    let total = Int64(Self.sessionCount * (2 * Self.ownRows + 50) + Self.sharedRows)
    #expect(try first.run("SELECT count(*) FROM t") == [[.integer(total)]])
    // Positions have no gaps: one for the table, one for each row that was sent.
    let sent = UInt64(1 + Self.sessionCount * (2 * Self.ownRows + Self.sharedRows + 50))
    #expect(store.progress.durable == sent)
    #expect(store.progress.applied == sent)
    try store.close()
    let again = try Store.open(path: path, options: options)
    #expect(try again.makeSession().run("SELECT count(*) FROM t") == [[.integer(total)]])
    try again.close()
  }
}
