// `inspect --check` says that projections.db is sound when it says the same as the store, and only then.
import Foundation
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct MirrorCheckTests {
  private func check(_ bench: WalBench) throws -> (outcome: StoreInspection.Outcome, lines: [String]) {
    var lines: [String] = []
    let outcome = try StoreInspection.run(.store(check: true), path: bench.path) { lines.append($0) }
    return (outcome, lines)
  }

  /// A store with tables of each kind, updated and deleted from, and projections.
  private func make(_ bench: WalBench) throws {
    let store = try bench.open()
    let session = try store.makeSession()
    for sql in [
      // SQLite 3.40's own check finds NULLs in the first of them.
      "CREATE TABLE f(z INT NOT NULL, k TEXT, PRIMARY KEY(k))", "CREATE TABLE t(id INTEGER PRIMARY KEY, g, r REAL)",
      "CREATE TABLE s(a, b TEXT)", "CREATE TABLE c(a, b, c BLOB, PRIMARY KEY(a, b))",
      "CREATE PROJECTION p AS SELECT g, count(*) AS n, sum(r) AS total, min(r) AS least FROM t GROUP BY g",
      "CREATE PROJECTION q AS SELECT id, r * 2 AS twice FROM t WHERE g > 1",
      "INSERT INTO f VALUES(5, 'a'), (6, 'b')",
      "INSERT INTO c VALUES(1, 'x', x'00'), (1.5, 'y', NULL), ('text', 2, 'z'), (x'01', '', 3)",
    ] { try session.run(sql) }
    for id in 1...500 {
      try session.run("INSERT INTO t VALUES(\(id), \(id % 4), \(Double(id) / 7))")
      try session.run("INSERT INTO s VALUES(\(id), 'row \(id)')")
    }
    try session.run("UPDATE t SET r = r * 1.1 WHERE id % 3 = 0")
    try session.run("DELETE FROM t WHERE id % 50 = 0")
    try session.run("DELETE FROM s WHERE a < 10")
    try session.run("ALTER TABLE s ADD COLUMN d DEFAULT 'late'")
    try session.run("INSERT INTO s VALUES(1, 2, 3)")
    try session.settle()
    try store.close()
  }

  @Test func aStoreIsSound() throws {
    let bench = WalBench()
    try make(bench)
    let (outcome, lines) = try check(bench)
    #expect(outcome == .sound, "\(lines)")
  }

  /// By somebody who knows of triggers and of checksums.
  @Test(arguments: [
    ("DELETE FROM t WHERE id = 7", "the mirror of t lacks a row"), ("INSERT INTO s VALUES(1, 2, 3)", "of s has a row"),
    ("UPDATE c SET c = 4 WHERE a = 1", "of c has another value of c"), ("DELETE FROM s", "of s lacks a row"),
    ("UPDATE f SET z = 7 WHERE k = 'b'", "of f has another value of z"),
    ("DELETE FROM sluice_p_1 WHERE g = 1", "projection p holds other rows"),
    ("DELETE FROM sluice_q_2 WHERE id < 20", "projection q holds other rows"), ("DROP TABLE c", "no such table"),
  ])
  func whatDiffersIsNamed(_ sql: String, _ what: String) throws {
    let bench = WalBench()
    try make(bench)
    let connection = try Connection(path: bench.projections, mode: .readWrite, checksPages: true)
    try connection.disableTriggers()
    try connection.execute(sql)
    connection.close()
    let (outcome, lines) = try check(bench)
    #expect(outcome == .damaged && lines.contains { $0.contains(what) }, "\(sql): \(lines)")
  }

  /// One bit, anywhere.
  @Test func aBitIsFound() throws {
    let bench = WalBench()
    try make(bench)
    let good = try Data(contentsOf: URL(fileURLWithPath: bench.projections))
    var random = SeededRandom(seed: testSeed(otherwise: 7))
    for _ in 0..<40 {
      var bytes = good
      // In front of it stands what makes it a database.
      bytes[100 + random.below(good.count - 100)] ^= 1 << UInt8(random.below(8))
      try bytes.write(to: URL(fileURLWithPath: bench.projections))
      let (outcome, lines) = try check(bench)
      #expect(outcome == .damaged, "\(lines)")
      let store = try bench.open()
      let session = try store.makeSession()
      try session.wait(for: .projected)
      #expect(try session.run("SELECT count(*), sum(g) FROM t") == [[.integer(490), .integer(740)]])
      #expect(try session.run("SELECT sum(n) FROM p") == [[.integer(490)]])
      #expect(try session.run("SELECT count(*) FROM projections.s") == [[.integer(492)]])
      try store.close()
    }
  }
}
