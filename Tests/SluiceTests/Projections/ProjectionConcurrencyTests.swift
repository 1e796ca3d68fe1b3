// Projections with threads, as in production: readers on projections.db while a projection is made anew, and several
// sessions that change a table while projections of it come and go. Run these with
// `swift test --sanitize=thread --filter Concurren`.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ProjectionConcurrencyTests {
  private struct Outcome {
    var failures: [String] = []
    var reads = 0
    var isDone = false
  }

  /// A reader with a connection of its own, at full speed and without patience: it meets no error, and sees neither an
  /// empty projection nor one that is filled in part.
  @Test func readersWhileAProjectionIsMadeAnew() throws {
    let scratch = Scratch()
    let store = try Store.open(path: scratch.file("shop"))
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, g INTEGER, n INTEGER)")
    let count = 300_000
    for chunk in 0..<60 {
      let rows = (0..<5_000).map { "(\(chunk * 5_000 + $0 + 1), \($0 % 97), \($0))" }
      try session.run("INSERT INTO t VALUES \(rows.joined(separator: ", "))")
    }
    try session.run("CREATE PROJECTION sums AS SELECT g, count(*) AS c, sum(n) AS total FROM t GROUP BY g")
    try session.run("CREATE PROJECTION rows AS SELECT id, g FROM t")
    try session.run("WAIT FOR sums")
    try session.run("WAIT FOR rows")
    let outcome = Monitor(Outcome())
    let path = scratch.file("shop/projections.db")
    let queries = ["SELECT sum(c) FROM sums", "SELECT count(*) FROM rows"]
    let readers = try queries.map { query in
      try Thread(name: "reader") { Self.read(path, query, atLeast: count, outcome) }
    }
    for round in 0..<3 {
      try session.run("REBUILD PROJECTION sums")
      try session.run("REBUILD PROJECTION rows")
      try session.run("INSERT INTO t VALUES(\(count + 1 + round), 5, 5)")
      try session.run("WAIT FOR sums")
      try session.run("WAIT FOR rows")
    }
    outcome.update { $0.isDone = true }
    for reader in readers { reader.join() }
    let end = outcome.withLock { $0 }
    #expect(end.failures == [])
    #expect(end.reads > 10)
    #expect(try session.run("SELECT sum(c) FROM sums") == [[.integer(Int64(count + 3))]])
    #expect(try session.run("SELECT count(*), sum(id) FROM rows") == session.run("SELECT count(*), sum(id) FROM t"))
    try store.close()
  }

  private static func read(_ path: String, _ query: String, atLeast count: Int, _ outcome: Monitor<Outcome>) {
    var least = Int64(count)
    do throws(SQLiteError) {
      let connection = try Connection(path: path, mode: .readOnly)
      while !outcome.withLock({ $0.isDone }) {
        let rows = try connection.prepare(query).rows()
        guard case .integer(let found)? = rows.first?.first, found >= least else {
          outcome.update { $0.failures.append("\(query): \(rows) after \(least)") }
          return
        }
        least = found
        outcome.update { $0.reads += 1 }
      }
    } catch { outcome.update { $0.failures.append("\(query): \(error)") } }
  }

  private static let selects = [
    "SELECT g, count(*) AS c, sum(n) AS total, min(n) AS low, max(n) AS top FROM t GROUP BY g",
    "SELECT n % 5 AS m, g, count(DISTINCT s) AS d, avg(n) AS a FROM t GROUP BY n % 5, g",
    "SELECT id, who, s, n * 2 AS twice FROM t WHERE n % 2 = 0",
    "SELECT count(*) AS c, sum(n) AS total, count(DISTINCT g) AS d FROM t",
  ]

  /// Sessions on threads of their own insert, update and delete; another one creates, rebuilds, alters, pauses and
  /// drops.
  @Test func sessionsThatChangeWhatIsBuilt() throws {
    let seed = testSeed()
    let comment: Comment = "\(repeatCommand(seed, "ProjectionConcurrencyTests"))"
    let scratch = Scratch()
    var options = StoreOptions()
    options.memtableBudgetBytes = 128 << 10
    // Much goes the way over the log.
    options.projectorQueueBytes = 16 << 10
    options.stageBytes = 8 << 10
    var store = try Store.open(path: scratch.file("shop"), options: options)
    var session = try store.makeSession()
    try session.run(
      "CREATE TABLE t(who INTEGER, id INTEGER, g TEXT, n INTEGER, s TEXT, PRIMARY KEY (who, id), SHARD KEY (who))")
    let outcome = Monitor(Outcome())
    for part in 0..<2 {
      let opened = store
      let writers = try (0..<3).map { number in
        try Thread(name: "session \(number)") {
          Self.write(opened, number, SeededRandom(seed: seed &+ UInt64(10 * part + number)), outcome)
        }
      }
      var random = SeededRandom(seed: seed &+ UInt64(part + 100))
      for step in 0..<25 { try Self.define(session, step, &random) }
      for writer in writers { writer.join() }
      for name in 0..<4 { try session.run("RESUME PROJECTION p\(name)") }
      #expect(outcome.withLock { $0.failures } == [], comment)
      // Those of all sessions.
      try session.run("WAIT FOR t AT LAST")
      for name in 0..<4 { try session.run("WAIT FOR p\(name) AT LAST") }
      #expect(try session.compareProjections(comment) == 5)
      try store.close()
      store = try Store.open(path: scratch.file("shop"), options: options)
      session = try store.makeSession()
      #expect(try session.compareProjections("reopened; \(comment.description)") == 5)
    }
    try store.close()
  }

  private static func define(_ session: Session, _ step: Int, _ random: inout SeededRandom) throws {
    let name = "p\(step < 4 ? step : random.below(4))"
    let select = selects[random.below(selects.count)]
    if step < 4 {
      try session.run("CREATE PROJECTION IF NOT EXISTS \(name) AS \(select)")
      if step == 0 {
        try session.run(
          "CREATE PROJECTION IF NOT EXISTS whole AS SELECT who, count(*) AS c FROM t GROUP BY who REFRESH EVERY '20ms'")
      }
      return
    }
    switch random.below(6) {
    case 0: try session.run("REBUILD PROJECTION \(name)")
    case 1: try session.run("ALTER PROJECTION \(name) AS \(select)")
    case 2: try session.run("PAUSE PROJECTION \(name)")
    case 3:
      try session.run("DROP PROJECTION \(name)")
      try session.run("CREATE PROJECTION \(name) AS \(select)")
    default:
      try session.run("RESUME PROJECTION \(name)")
      try session.run("WAIT FOR \(name)")
      try session.run("SELECT * FROM \(name)")
    }
  }

  private static func write(_ store: Store, _ number: Int, _ random: SeededRandom, _ outcome: Monitor<Outcome>) {
    var random = random
    do {
      let session = try store.makeSession()
      for step in 0..<120 {
        let id = random.below(400)
        let group = ["NULL", "'a'", "'b'", "'A'"][random.below(4)]
        switch random.below(8) {
        case 0: try session.run("DELETE FROM t WHERE who = \(number) AND id % 9 = \(random.below(9))")
        case 1:
          let few = "who = \(number) AND id % 5 = \(random.below(5))"
          try session.run("UPDATE t SET n = n + 1, g = \(group) WHERE \(few)")
        case 2:
          try session.run("BEGIN")
          for next in 0..<40 {
            try session.run(
              "INSERT OR REPLACE INTO t VALUES(\(number), \(id + next), \(group), \(next), 's\(random.below(6))')")
          }
          if random.below(3) == 0 { try session.run("DELETE FROM t WHERE who = \(number) AND id > \(id + 20)") }
          try session.run(random.below(4) == 0 ? "ROLLBACK" : "COMMIT")
        default:
          try session.run(
            "INSERT INTO t VALUES(\(number), \(id), \(group), \(step), 'x') "
              + "ON CONFLICT(who, id) DO UPDATE SET n = n + 1, s = 'y'")
        }
      }
      try session.settle()
    } catch { outcome.update { $0.failures.append("\(error)") } }
  }
}
