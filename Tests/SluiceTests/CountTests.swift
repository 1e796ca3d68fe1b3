// What sessions and clients say they changed, of rows that turn out to have no effect.
import SluiceSQL
import Testing

@testable import Sluice

@Suite struct CountTests {
  private let clients = ClientBench()

  /// Rows of prepared inserts count once they are applied, and then only those that are there.
  @Test func preparedRowsThatAreLeftOutDoNotCount() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    _ = try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    let insert = try session.prepareInsert(into: "t", orAction: .ignore)
    for id in [1, 2, 1, 3, 2] as [Int64] { try insert.run([.integer(id), .null]) }
    try session.settle()
    #expect(session.changeCount == 0 && session.totalChangeCount == 3)
    #expect(try session.run("SELECT last_insert_rowid()") == [[.integer(3)]])
    // One that is rejected is no change either.
    let plain = try session.prepareInsert(into: "t")
    for id in [9, 3] as [Int64] { try plain.run([.integer(id), .null]) }
    try session.settle()
    #expect(session.takeRejections().count == 1)
    #expect(session.changeCount == 0 && session.totalChangeCount == 4)
    #expect(try session.run("SELECT last_insert_rowid(), total_changes()") == [[.integer(9), .integer(4)]])
    try store.close()
  }

  /// The numbers of rows that are given theirs are not waited for, whoever asks for many at once.
  @Test func nullsAreGivenNumbersWithoutAWait() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    _ = try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    for _ in 0..<3 { _ = try session.execute("INSERT INTO t VALUES(NULL, 1), (NULL, 2)") }
    #expect(session.counts.raised.isEmpty)
    _ = try session.execute("INSERT INTO t VALUES(10, 1), (11, 2)")
    #expect(session.counts.raised.count == 1)
    _ = try session.execute("INSERT INTO t(v) VALUES(3)")
    #expect(session.counts.raised.isEmpty)
    #expect(try session.run("SELECT max(id), count(*) FROM t") == [[.integer(12), .integer(9)]])
    try store.close()
  }

  @Test func aClientsChangesAreOfRowsThatAreThere() async throws {
    let store = try await clients.open()
    let client = try await store.makeClient()
    try await client.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    #expect(try await client.execute("INSERT INTO t VALUES(1, 1), (2, 2)").changes == 2)
    let some = try await client.execute("INSERT OR IGNORE INTO t VALUES(2, 2), (3, 3)")
    #expect(some.changes == 1 && some.lastInsertedRowid == 3)
    let none = try await client.execute("INSERT OR IGNORE INTO t VALUES(2, 2)")
    #expect(none.changes == 0 && none.lastInsertedRowid == 3)
    try await client.close()
    try await store.close()
  }
}
