// The write-ahead log of projections.db stays below its cap, whoever reads the file and whatever is changed; who is in
// the way is named, and nobody waits for him for ever.
import Foundation
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite(.serialized) struct WalLimitTests {
  /// A reader sits in its transaction while half a million rows flow: writers go on, projections wait, and follow when
  /// it has gone.
  @Test func aSittingReader() throws {
    let bench = WalBench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.pour(0..<10, size: 200)
    try session.wait(for: .projected)
    #expect(try session.projectionStatus("t")["state"] == text("current"))
    #expect(try session.projectionStatus("t")["blocked_by"] == .null)
    let watch = try SizeWatch(bench.projections + "-wal")
    let reader = try StockShell(bench.projections)
    #expect(try reader.run("BEGIN; SELECT count(*) FROM t;") == "10")
    try session.pour(10..<500_000, size: 200)
    try session.wait(for: .applied)
    try session.awaitState("blocked", of: "t")
    let status = try session.projectionStatus("t")
    #expect(status["blocked_by"] == text(reader.name))
    #expect(status["lag"] != .integer(0) && status["lag_ms"] != .integer(0))
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(500_000)]], "writers and live readers go on")
    #expect(try reader.run("SELECT count(*) FROM t;") == "10")
    // It is alive, and says so.
    SluiceSystem.Thread.sleep(nanoseconds: 300_000_000)
    #expect(try session.projectionStatus("t")["heartbeat"] != status["heartbeat"])
    #expect(try session.projectionStatus("t")["state"] == text("blocked"))
    #expect(watch.largest > 8 << 20)
    try reader.run("COMMIT;")
    try session.wait(for: .projected)
    #expect(try session.projectionStatus("t")["state"] == text("current"))
    #expect(try reader.run("SELECT count(*), sum(id) FROM t;") == "500000|124999750000")
    try reader.end()
    watch.end()
    #expect(watch.largest < WalBench.capBytes, "\(watch.largest)")
    try store.close()
  }

  /// A reader of the file alone, which began when the log was empty, is in the way of copying the log.
  @Test func aReaderOfTheFileAlone() throws {
    let bench = WalBench()
    var store = try bench.open()
    var session: Session? = try store.makeSession()
    try session?.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session?.pour(0..<10, size: 200)
    try session?.settle()
    session = nil
    try store.close()
    store = try bench.open()
    session = try store.makeSession()
    try session?.wait(for: .projected)
    let watch = try SizeWatch(bench.projections + "-wal")
    let reader = try StockShell(bench.projections)
    #expect(try reader.run("BEGIN; SELECT count(*) FROM t;") == "10")
    try session?.pour(10..<300_000, size: 200)
    try session?.awaitState("blocked", of: "t")
    #expect(try session?.projectionStatus("t")["blocked_by"] == text(reader.name))
    try reader.end()
    try session?.wait(for: .projected)
    watch.end()
    #expect(watch.largest < WalBench.capBytes, "\(watch.largest)")
    // What a session has open is closed with it.
    session = nil
    try store.close()
    #expect(try bench.files() == ["projections.db"])
    #expect(try bench.stock("SELECT count(*) FROM t; PRAGMA integrity_check") == "300000\nok\n")
  }

  /// Closing does not wait for a reader for ever: it says whom it waited for, and the next opening goes on.
  @Test func closingWhileBlocked() throws {
    let bench = WalBench()
    let store = try bench.open()
    var session: Session? = try store.makeSession()
    try session?.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session?.pour(0..<10, size: 200)
    try session?.wait(for: .projected)
    let reader = try StockShell(bench.projections)
    #expect(try reader.run("BEGIN; SELECT count(*) FROM t;") == "10")
    try session?.pour(10..<300_000, size: 200)
    let start = SystemClock().monotonicNanoseconds()
    let waiting = storeError { try session?.wait(for: .projected) }
    #expect(waiting?.kind == .overloaded && waiting?.sqliteCode == 5, "\(waiting?.message ?? "it came")")
    session = nil
    let error = storeError { try store.close() }
    #expect(error?.kind == .overloaded)
    #expect(error?.message.contains("\(reader.name) reads old pages of it") == true, "\(error?.message ?? "closed")")
    #expect(SystemClock().monotonicNanoseconds() < start + 30_000_000_000)
    #expect(try reader.run("SELECT count(*) FROM t; COMMIT;") == "10")
    try reader.end()
    let again = try bench.open()
    try again.makeSession().wait(for: .projected)
    try again.close()
    #expect(try bench.files() == ["projections.db"])
    #expect(try bench.stock("SELECT count(*) FROM t; PRAGMA integrity_check") == "300000\nok\n")
  }

  /// A session's own reader is in the way of nobody but those who wait for projections, and those are told.
  @Test func aReaderOfThisProcess() throws {
    let bench = WalBench()
    let store = try bench.open()
    let writer = try store.makeSession()
    try writer.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try writer.pour(0..<1_000, size: 200)
    try writer.wait(for: .projected)
    let reader = try store.makeSession()
    guard case .rows(let rows) = try reader.execute("SELECT id FROM projections.t") else { return }
    #expect(try rows.next())
    try writer.pour(1_000..<300_000, size: 200)
    try writer.awaitState("blocked", of: "t")
    #expect(try writer.projectionStatus("t")["blocked_by"] == text("this process"))
    let error = storeError { try writer.wait(for: .projected) }
    #expect(error?.message.contains("this process reads old pages of it") == true, "\(error?.message ?? "it came")")
    var count = 1
    while try rows.next() { count += 1 }
    #expect(count == 1_000)
    try writer.wait(for: .projected)
    #expect(try reader.run("SELECT count(*) FROM projections.t") == [[.integer(300_000)]])
    // A reader that never reads on is ended by its session's next statement.
    guard case .rows(let left) = try reader.execute("SELECT id FROM projections.t") else { return }
    #expect(try left.next())
    try writer.pour(300_000..<600_000, size: 200)
    try writer.awaitState("blocked", of: "t")
    _ = try reader.run("SELECT 1")
    try writer.wait(for: .projected)
    #expect(try reader.run("SELECT count(*) FROM projections.t") == [[.integer(600_000)]])
    try store.close()
  }

  /// Somebody else writes to the file, or means to: named, waited for, and closing does not wait for ever either.
  @Test func anotherWriter() throws {
    let bench = WalBench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.wait(for: .projected)
    let other = try StockShell(bench.projections)
    try other.run("BEGIN IMMEDIATE;")
    try session.pour(0..<10, size: 10)
    try session.awaitState("blocked", of: "t")
    #expect(try session.projectionStatus("t")["blocked_by"] == text(other.name))
    #expect(storeError { try session.wait(for: .projected) }?.message.contains("\(other.name) writes to it") == true)
    try other.run("ROLLBACK;")
    try session.wait(for: .projected)
    #expect(try other.run("SELECT count(*) FROM t;") == "10")
    try other.end()
    try store.close()
  }

  /// Deletes of rows on a page each: few bytes of log, many pages. And the same keys again, in a random order.
  @Test(arguments: [false, true]) func eachRowOnAPageOfItsOwn(hasReader: Bool) throws {
    let bench = WalBench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.pour(0..<40_000, size: 2_200)
    try session.wait(for: .projected)
    let watch = try SizeWatch(bench.projections + "-wal")
    let reader = hasReader ? try StockShell(bench.projections) : nil
    _ = try reader?.run("BEGIN; SELECT count(*) FROM t;")
    var random = SeededRandom(seed: testSeed())
    let ids = (0..<40_000).shuffled(using: &random)
    for id in ids[..<20_000] { try session.run("DELETE FROM t WHERE id = \(id)") }
    for id in ids[20_000...] { try session.run("INSERT OR REPLACE INTO t VALUES(\(id), 'short')") }
    try session.wait(for: .applied)
    if let reader {
      try session.awaitState("blocked", of: "t")
      try reader.end()
    }
    try session.wait(for: .projected)
    watch.end()
    #expect(watch.largest > 8 << 20)
    // Deletions take more pages the emptier these become: without a reader, nothing else is in the way of a large one.
    #expect(watch.largest < (hasReader ? WalBench.capBytes : WalBench.capBytes * 2), "\(watch.largest)")
    #expect(try bench.stock("SELECT count(*), sum(length(v)) FROM t") == "20000|100000\n")
    try store.close()
  }

  /// A transaction of a user is not split: the log becomes as large as it needs, and is cut back.
  @Test func aLargeTransaction() throws {
    let bench = WalBench()
    let store = try bench.open()
    var session: Session? = try store.makeSession()
    try session?.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session?.wait(for: .projected)
    let watch = try SizeWatch(bench.projections + "-wal")
    try session?.run("BEGIN")
    try session?.pour(0..<100_000, size: 1_000)
    try session?.run("COMMIT")
    try session?.wait(for: .projected)
    #expect(watch.largest > WalBench.capBytes, "\(watch.largest)")
    let files = RealFileSystem()
    let start = SystemClock().monotonicNanoseconds()
    while try files.fileSize(bench.projections + "-wal").map({ $0 > WalBench.capBytes }) == true {
      try #require(SystemClock().monotonicNanoseconds() < start + 10_000_000_000, "it stays large")
      SluiceSystem.Thread.sleep(nanoseconds: 10_000_000)
    }
    watch.end()
    #expect(try bench.stock("SELECT count(*) FROM t") == "100000\n")
    session = nil
    try store.close()
    #expect(try bench.files() == ["projections.db"])
  }
}
