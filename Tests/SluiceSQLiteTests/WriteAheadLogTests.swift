// Readers beside a writer in WAL mode, checkpoints, interruption.
import CSQLite
import Foundation
import SluiceSQLite
import SluiceSystem
import Testing

@Suite struct WriteAheadLogTests {
  private func walDatabase(_ scratch: Scratch, _ name: String = "w.db") throws -> Connection {
    let connection = try Connection(path: scratch.file(name), mode: .readWriteCreate, busyTimeoutMilliseconds: 5000)
    #expect(try connection.rows("PRAGMA journal_mode=WAL") == [[text("wal")]])
    try connection.execute("PRAGMA synchronous=NORMAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    return connection
  }

  /// Read as immutable, a settled database leaves no file beside it and sees all; rows in the log are not seen.
  @Test func readingWithoutATrace() throws {
    for name in ["w.db", "50% of? #1 é.db"] {
      let scratch = try Scratch()
      let writer = try walDatabase(scratch, name)
      try writer.execute("INSERT INTO t VALUES(1, 2)")
      _ = try writer.checkpoint(.truncate)
      try writer.execute("INSERT INTO t VALUES(2, 3)")
      let reader = try Connection(path: scratch.file(name), mode: .immutable)
      #expect(reader.isReadOnly)
      #expect(try reader.rows("SELECT a FROM t") == [[.integer(1)]])
      #expect(sqliteError { try reader.execute("INSERT INTO t VALUES(3, 4)") }?.kind == .unwritable)
      reader.close()
      writer.close()
      let settled = try Connection(path: scratch.file(name), mode: .immutable)
      #expect(try settled.rows("SELECT a FROM t ORDER BY a") == [[.integer(1)], [.integer(2)]])
      #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == [name])
      settled.close()
      #expect(sqliteError { _ = try Connection(path: scratch.file("none"), mode: .immutable) }?.kind == .unwritable)
    }
  }

  /// Two readers, each on its own thread and connection, without a busy timeout: any lock would be an error.
  @Test func concurrentReadersAreNeverLockedOut() throws {
    let scratch = try Scratch()
    let writer = try walDatabase(scratch)
    let done = Monitor(false)
    let failures = Monitor<[String]>([])
    let reads = Monitor(0)
    let path = scratch.file("w.db")
    let readers = try (0..<2).map { number in
      try Thread(name: "reader \(number)") {
        do throws(SQLiteError) {
          let reader = try Connection(path: path, mode: .readOnly)
          let sum = try reader.prepare("SELECT count(*), coalesce(sum(b), 0), coalesce(max(a), 0) FROM t")
          var last: Int64 = 0
          while !done.withLock({ $0 }) {
            let row = try sum.rows()[0]
            guard case .integer(let count) = row[0], row[1] == row[0], row[2] == row[0], count % 10 == 0, count >= last
            else {
              failures.update { $0.append("half a transaction seen: \(row)") }
              return
            }
            last = count
            reads.update { $0 += 1 }
          }
        } catch {
          failures.update { $0.append("\(error)") }
        }
      }
    }
    let insert = try writer.prepare("INSERT INTO t VALUES(?, 1)", persistent: true)
    for transaction in 0..<150 {
      try writer.execute("BEGIN")
      for row in 1...10 {
        try insert.bind(1, transaction * 10 + row)
        try insert.run()
      }
      try writer.execute("COMMIT")
      if transaction % 20 == 0 { _ = try writer.checkpoint(.passive) }
    }
    _ = reads.wait { $0 >= 10 || !failures.withLock { $0.isEmpty } ? true : nil }
    done.update { $0 = true }
    for reader in readers { reader.join() }
    #expect(failures.withLock { $0 } == [])
    #expect(try writer.rows("SELECT count(*) FROM t") == [[.integer(1500)]])
  }

  @Test func checkpointsCountFrames() throws {
    let scratch = try Scratch()
    let writer = try walDatabase(scratch)
    try writer.takeOverCheckpoints()
    try writer.execute("BEGIN")
    for row in 0..<500 { try writer.execute("INSERT INTO t VALUES(\(row), zeroblob(2000))") }
    try writer.execute("COMMIT")
    #expect(writer.walPages > 200)
    let passive = try writer.checkpoint(.passive)
    #expect(passive.isComplete && passive.logFrames >= writer.walPages && passive.movedFrames > 200)
    let cut = try writer.checkpoint(.truncate)
    #expect(cut.logFrames == 0 && cut.movedFrames == 0 && !cut.wasBlocked && cut.isComplete)
    #expect(writer.walPages == 0)
    // A reader of the old state keeps a full move from ending: told, not thrown.
    try writer.execute("INSERT INTO t VALUES(1000, 1)")
    let reader = try Connection(path: scratch.file("w.db"), mode: .readOnly)
    let held = try reader.prepare("SELECT a FROM t")
    #expect(try held.step())
    try writer.execute("INSERT INTO t VALUES(1001, 1)")
    let impatient = try Connection(path: scratch.file("w.db"), mode: .readWrite)
    let blocked = try impatient.checkpoint(.restart)
    #expect(blocked.wasBlocked && !blocked.isComplete)
    held.reset()
    #expect(try impatient.checkpoint(.restart).isComplete)
    #expect(try Connection.memory().checkpoint(.full).logFrames == -1)
  }

  @Test func interruptionFromAnotherThread() throws {
    let connection = try Connection.memory()
    let started = Monitor(false)
    try connection.register(function: "begun", argumentCount: 0, deterministic: false) { _ in
      started.update { $0 = true }
      return .integer(1)
    }
    let interrupter = connection.interrupter
    let thread = try Thread(name: "interrupter") {
      _ = started.wait { $0 ? true : nil }
      interrupter.interrupt()
    }
    let endless = "WITH RECURSIVE n(i) AS (SELECT begun() UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n"
    #expect(sqliteError { try connection.execute(endless) }?.kind == .interrupted)
    thread.join()
    #expect(try connection.rows("SELECT 1") == [[.integer(1)]])
  }
}
