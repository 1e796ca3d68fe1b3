// Projections cut at every file call: they are created, altered, rebuilt, paused and dropped while rows come, change
// and go. What the log's disk may then hold is opened beside projections.db as it is at that moment, or as it was some
// transactions ago (a power cut may take back the last ones), or without it. Afterwards each projection has the rows of
// its SELECT: none is missing, and none was counted twice.
import Foundation
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ProjectionCrashTests {
  /// What becomes of projections.db at the cut.
  private enum Fate: Int, CaseIterable { case kept, older, oldest, missing }

  /// Of so many cuts one is looked at, another one with each seed: 0.1 s each.
  private static let stride = 3

  private struct Seen {
    var images = 0
    var compared = 0
    /// Copies of projections.db that were taken on the way, the oldest first.
    var olderCount = 0
    var acknowledged = 0
  }

  private static let selects = [
    "SELECT g, count(*) AS c, sum(n) AS total, min(n) AS low FROM t GROUP BY g",
    "SELECT g, n % 3 AS m, count(DISTINCT s) AS d, avg(n) AS a FROM t GROUP BY g, n % 3",
    "SELECT id, s, n + 1 AS more FROM t WHERE n > 1",
    "SELECT count(*) AS c, sum(n) AS total, max(s) AS top FROM t",
    "SELECT a, count(*) AS c, sum(b) AS total FROM u GROUP BY a",
    "SELECT b, a FROM u WHERE b IS NOT NULL",
  ]

  @Test func everyProjectionHasWhatItsSelectHas() throws {
    let seed = testSeed()
    let comment: Comment = "\(repeatCommand(seed, "ProjectionCrashTests"))"
    let bench = Bench()
    let seen = Monitor(Seen())
    let hooked = HookedFileSystem(bench.disk) { call in
      guard call.hasPrefix("write") || call.hasPrefix("sync") || call.hasPrefix("rename") else { return }
      let now = seen.withLock { seen in
        seen.images += 1
        return seen
      }
      let number = now.images / Self.stride
      guard UInt64(now.images % Self.stride) == seed % UInt64(Self.stride), let fate = Fate(rawValue: number % 4) else {
        return
      }
      let mode: CrashMode = number % 3 == 0 ? .keepNothing : .seeded(seed &+ UInt64(number))
      let story: Comment = "cut \(now.images), before \(call), \(mode), \(fate); \(comment)"
      do {
        let compared = try Self.check(bench, mode, fate, now.olderCount, now.acknowledged, story)
        seen.withLock { $0.compared += compared }
      } catch { Issue.record("\(error); \(story)") }
    }
    let store = try Store.open(path: "shop", options: simulatedOptions(hooked, projections: bench.projections))
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, g TEXT, n INTEGER, s TEXT)")
    try session.run("CREATE TABLE u(a, b INTEGER)")
    var workload = Workload(random: SeededRandom(seed: seed))
    for step in 1...36 {
      for statement in workload.statements(step) { try session.run(statement) }
      try session.settle()
      let isCopied = step % 5 == 3
      if step % 2 == 0 || isCopied { try session.wait(for: .projected) }
      if isCopied {
        let number = seen.withLock { $0.olderCount }
        copyDatabase(bench.projections, to: bench.scratch.file("older-\(number).db"))
      }
      seen.withLock { seen in
        seen.acknowledged = step
        if isCopied { seen.olderCount += 1 }
      }
    }
    try store.close()
    let end = seen.withLock { $0 }
    #expect(end.images > 100 && end.compared > 200, "\(end); \(comment)")
    try Self.check(bench, .keepAll, .kept, end.olderCount, 36, comment)
  }

  /// Opens what the cut leaves; returns how many projections were compared.
  @discardableResult
  private static func check(
    _ bench: Bench, _ mode: CrashMode, _ fate: Fate, _ olderCount: Int, _ acknowledged: Int, _ comment: Comment
  ) throws -> Int {
    let image = Bench(disk: bench.disk.crashImage(mode))
    switch fate {
    case .kept: copyDatabase(bench.projections, to: image.projections)
    case .older where olderCount > 0:
      copyDatabase(bench.scratch.file("older-\(olderCount - 1).db"), to: image.projections)
    case .oldest where olderCount > 0: copyDatabase(bench.scratch.file("older-0.db"), to: image.projections)
    default: break
    }
    let store = try image.open()
    let session = try store.makeSession()
    guard session.catalog.table("t") != nil else {
      #expect(acknowledged == 0, comment)
      try store.close()
      return 0
    }
    if acknowledged > 0 {
      let steps = try session.run("SELECT coalesce(max(n), 0) FROM t WHERE id = 0")
      #expect(steps[0][0].isAtLeast(acknowledged), "step \(acknowledged), \(steps); \(comment)")
    }
    var compared = try session.compareProjections(comment)
    // And it goes on.
    try session.run("UPDATE t SET n = n + 1, g = CASE WHEN id % 3 THEN g ELSE NULL END WHERE id > 0")
    try session.run("DELETE FROM t WHERE id % 7 = 3")
    for object in session.catalog.objects.values
    where object.kind == .projection && projectionDefinition(object.sql)?.isPaused == true {
      try session.run("RESUME PROJECTION \(object.name)")
    }
    compared += try session.compareProjections("going on; \(comment.description)")
    let position = session.lastPosition
    try store.close()
    #expect(
      try image.file("SELECT position FROM sluice_checkpoint") == [[.integer(Int64(position))]], comment)
    #expect(try image.file("SELECT count(*) FROM sluice_copies WHERE state <> 'current'") == [[.integer(0)]], comment)
    return compared
  }

  /// Random statements; the names of the projections as they have become.
  private struct Workload {
    var random: SeededRandom
    var names: [String] = []
    var paused: Set<String> = []
    var lastName = 0
    var lastID = 0

    init(random: SeededRandom) { self.random = random }

    /// A step ends by noting its number in the row 0.
    mutating func statements(_ step: Int) -> [String] {
      var result: [String] = []
      let isTransaction = random.below(3) == 0
      if isTransaction { result.append("BEGIN") }
      for _ in 0..<(1 + random.below(3)) { result.append(change()) }
      if step % 2 == 1 || step < 6 { result.append(contentsOf: definition()) }
      if random.below(2) == 0 { result.append(change()) }
      result.append("INSERT OR REPLACE INTO t VALUES(0, 'steps', \(step), '')")
      if isTransaction { result.append("COMMIT") }
      return result
    }

    private mutating func definition() -> [String] {
      let select = ProjectionCrashTests.selects[random.below(ProjectionCrashTests.selects.count)]
      guard names.count > 2, random.below(4) > 0 else {
        lastName += 1
        names.append("p\(lastName)")
        return ["CREATE PROJECTION p\(lastName) AS \(select)"]
      }
      let name = names[random.below(names.count)]
      switch random.below(6) {
      case 0: return ["REBUILD PROJECTION \(name)"]
      case 1: return ["ALTER PROJECTION \(name) AS \(select)"]
      case 2 where names.count > 4:
        names.removeAll { $0 == name }
        paused.remove(name)
        return ["DROP PROJECTION \(name)"]
      case 3, 4:
        if paused.remove(name) != nil { return ["RESUME PROJECTION \(name)"] }
        paused.insert(name)
        return ["PAUSE PROJECTION \(name)"]
      default: return ["REBUILD PROJECTION \(name)", change(), "ALTER PROJECTION \(name) AS \(select)"]
      }
    }

    private mutating func change() -> String {
      func row(_ id: Int) -> String {
        let group = ["NULL", "'a'", "'b'", "'c'"][random.below(4)]
        let text = String(repeating: "x", count: random.below(40))
        return "(\(id), \(group), \(random.below(9)), '\(text)')"
      }
      switch random.below(9) {
      case 0: return "UPDATE t SET n = n + \(1 + random.below(3)) WHERE id > 0 AND id % 3 = \(random.below(3))"
      case 1: return "DELETE FROM t WHERE id > 0 AND n % 4 = \(random.below(4))"
      case 2: return "UPDATE u SET b = b + 1, a = CASE WHEN b % 2 THEN NULL ELSE a END"
      case 3: return random.below(4) == 0 ? "DELETE FROM u" : "DELETE FROM u WHERE b % 3 = 0"
      case 4, 5: return "INSERT INTO u VALUES(\(random.below(3)), \(random.below(20))), (NULL, 1), ('k', NULL)"
      case 6: return "INSERT OR REPLACE INTO t VALUES \(row(1 + random.below(30))), \(row(1 + random.below(30)))"
      default:
        // Enough to be staged now and then, and to fill a memtable.
        let rows = (0..<(1 + random.below(30))).map { _ -> String in
          lastID += 1
          return row(100 + lastID)
        }
        return "INSERT INTO t VALUES \(rows.joined(separator: ", "))"
      }
    }
  }

  // MARK: Building goes on

  /// A copy that was half filled goes on where it was: its number stays, and nothing is added twice.
  @Test(arguments: [false, true]) func buildingGoesOn(changesMeanwhile: Bool) throws {
    let bench = Bench()
    let store = try bench.open { $0.memtableBudgetBytes = 8 << 20 }
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, g INTEGER, n INTEGER)")
    for chunk in 0..<40 {
      let rows = (0..<1_000).map { "(\(chunk * 1_000 + $0 + 1), \($0 % 7), \($0))" }
      try session.run("INSERT INTO t VALUES \(rows.joined(separator: ", "))")
    }
    let select = "SELECT g, count(*) AS c, sum(n) AS total, count(DISTINCT n) AS d FROM t GROUP BY g"
    try session.wait(for: .projected)
    try session.run("CREATE PROJECTION p AS \(select)")
    let query = "SELECT serial, built, state FROM sluice_copies WHERE built IS NOT NULL"
    let file = try Connection(path: bench.projections, mode: .readOnly)
    func built() -> [Value]? {
      do { return try file.prepare(query).rows().first } catch {
        Issue.record("\(error)")
        return nil
      }
    }
    try store.core.pipeline.drive(allowsStandstill: true) { _ in built() != nil }
    let before = try #require(built(), "it is not built in parts")
    #expect(before[2] == text("building"))
    let image = Bench(disk: bench.disk.crashImage(.keepAll))
    copyDatabase(bench.projections, to: image.projections)
    try store.close(drain: false)

    let again = try image.open { $0.memtableBudgetBytes = 8 << 20 }
    let other = try again.makeSession()
    #expect(try image.file("SELECT serial, built, state FROM sluice_copies") == [before])
    if changesMeanwhile {
      // On both sides of the border.
      try other.run("UPDATE t SET n = n + 5, g = g % 3 WHERE id % 1000 = 7")
      try other.run("DELETE FROM t WHERE id IN (3, 39000)")
      try other.run("INSERT INTO t VALUES(-5, 1, 1), (100000, 1, 1)")
    }
    try other.expect("p", equals: select)
    #expect(try image.file("SELECT serial, state FROM sluice_copies") == [[before[0], text("current")]])
    try again.close()
  }
}

extension Value {
  fileprivate func isAtLeast(_ number: Int) -> Bool {
    if case .integer(let value) = self { return value >= Int64(number) }
    return false
  }
}
