// Transactions that read and statements that SQLite evaluates, cut at every file call: after the cut each of them is
// there as a whole or not at all, and none is missing that was acknowledged.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct LiveCrashTests {
  private static let accounts = 8

  private struct Seen {
    var imageCount = 0
    /// Moves whose statement has returned, and was settled.
    var acknowledged = 0
  }

  /// Money moves between accounts, by one statement or by several in a transaction; each move also writes a line.
  @Test func transfersAreWhole() throws {
    let seed = testSeed()
    let comment: Comment = "\(repeatCommand(seed, "LiveCrashTests"))"
    let bench = Bench()
    let seen = Monitor(Seen())
    let hooked = HookedFileSystem(bench.disk) { call in
      guard call.hasPrefix("write") || call.hasPrefix("sync") || call.hasPrefix("rename") else { return }
      let (image, acknowledged) = seen.withLock { seen in
        seen.imageCount += 1
        return (seen.imageCount, seen.acknowledged)
      }
      let mode: CrashMode = image % 2 == 0 ? .keepNothing : .seeded(seed &+ UInt64(image))
      do { try Self.check(Bench(disk: bench.disk.crashImage(mode)), atLeast: acknowledged, comment) } catch {
        Issue.record("image \(image), before \(call), \(mode): \(error); \(comment)")
      }
    }
    let store = try Store.open(path: "shop", options: simulatedOptions(bench.disk, projections: bench.projections))
    try Self.fill(try store.makeSession())
    try store.close()
    let watched = try Store.open(path: "shop", options: simulatedOptions(hooked, projections: bench.projections))
    let session = try watched.makeSession()
    var random = SeededRandom(seed: seed)
    for move in 1...40 {
      let amount = random.below(50)
      let (from, to) = (random.below(Self.accounts), random.below(Self.accounts))
      switch random.below(4) {
      case 0:
        try session.run(
          "UPDATE account SET balance = balance + CASE id WHEN \(from) THEN -\(amount) ELSE 0 END "
            + "+ CASE id WHEN \(to) THEN \(amount) ELSE 0 END WHERE id IN (\(from), \(to))")
        try session.run("INSERT INTO moves SELECT \(move), count(*) FROM account")
      case 1:
        try session.run("BEGIN")
        try session.run("INSERT INTO moves VALUES(\(move), 0)")
        try session.run("UPDATE account SET balance = balance - \(amount) WHERE id = \(from)")
        try session.run("SAVEPOINT s")
        try session.run("DELETE FROM account")
        try session.run("ROLLBACK TO s")
        try session.run("UPDATE account SET balance = balance + \(amount) WHERE id = \(to)")
        try session.run("UPDATE moves SET n = 1 WHERE id = \(move)")
        try session.run("COMMIT")
      case 2:
        try session.run("BEGIN")
        try session.run("DELETE FROM account WHERE id = \(from)")
        try session.run("UPDATE account SET balance = balance + 1000 WHERE id = \(to)")
        try session.run(
          "INSERT INTO account SELECT \(from), \(Self.accounts * 1_000) - coalesce(sum(balance), 0) FROM account")
        try session.run("INSERT INTO moves VALUES(\(move), 2)")
        try session.run("COMMIT")
      default:
        try session.run("INSERT INTO moves VALUES(\(move), 3) ON CONFLICT(id) DO UPDATE SET n = n + 1")
      }
      try session.settle()
      seen.withLock { $0.acknowledged = move }
    }
    try watched.close()
    #expect(seen.withLock { $0.imageCount } > 60, comment)
    try Self.check(bench, atLeast: 40, comment)
  }

  private static func fill(_ session: Session) throws {
    try session.run("CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER)")
    try session.run("CREATE TABLE moves(id INTEGER PRIMARY KEY, n INTEGER)")
    for id in 0..<accounts { try session.run("INSERT INTO account VALUES(\(id), 1000)") }
    try session.settle()
  }

  private static func check(_ image: Bench, atLeast acknowledged: Int, _ comment: Comment) throws {
    let store = try image.open()
    let session = try store.makeSession()
    let sums = try session.run("SELECT count(*), sum(balance) FROM account")
    #expect(sums == [[.integer(Int64(accounts)), .integer(Int64(accounts) * 1_000)]], comment)
    let moves = try session.run("SELECT count(*), coalesce(max(id), 0) FROM moves")
    guard case .integer(let count)? = moves.first?.first else { return }
    #expect(moves == [[.integer(count), .integer(count)]], "a move is missing; \(comment)")
    #expect(count >= acknowledged, "\(count) moves of \(acknowledged) acknowledged; \(comment)")
    try session.wait(for: .projected)
    #expect(try session.run("SELECT count(*), sum(balance) FROM projections.account") == sums, comment)
    try store.close()
  }
}
