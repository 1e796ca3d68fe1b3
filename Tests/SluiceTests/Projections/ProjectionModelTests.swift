// Projections against the SELECT that they are: random changes, and after each few of them every projection must have
// the rows that the SELECT gives over the live table, at the same position. Reals are quarters, so that sums of them
// are exact whatever the order.
//
// One seed drives everything: SLUICE_SEED=n swift test --filter ProjectionModelTests
import Foundation
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ProjectionModelTests {
  static let seeds = Set((1...12).map { testSeed(otherwise: $0) }).sorted()

  @Test(arguments: seeds)
  func sameAsTheSelect(_ seed: UInt64) throws {
    let bench = Bench()
    var run = ProjectionRun(seed: seed)
    try run.go(bench)
  }
}

/// One random history over a table with a number as key, one with a composite key, and one without.
struct ProjectionRun {
  private var random: SeededRandom
  private let comment: Comment
  private var created: [(name: String, select: String)] = []
  private var nextName = 0

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    comment = "seed \(seed): SLUICE_SEED=\(seed) swift test --filter ProjectionModelTests"
  }

  static let tables = [
    "CREATE TABLE t(id INTEGER PRIMARY KEY, g, n INTEGER, x, r REAL, s TEXT COLLATE NOCASE)",
    """
    CREATE TABLE u(a TEXT, id INTEGER, g TEXT NOT NULL, n INTEGER, x, r REAL, s TEXT, PRIMARY KEY (a, id),
      SHARD KEY (a))
    """,
    "CREATE TABLE v(g, n INTEGER, x, r REAL, s TEXT)",
  ]

  /// `$` is the table.
  static let selects = [
    "SELECT g, count(*) AS n, sum(x) AS total FROM $ GROUP BY g",
    "SELECT g, n, count(x), sum(n), total(r), avg(n), avg(x) FROM $ GROUP BY g, n",
    "SELECT count(*), count(x), sum(n), sum(r), min(n), max(n), total(x), avg(r), count(DISTINCT n) FROM $",
    "SELECT n, min(x), max(x), min(r), max(s) FROM $ WHERE n > 0 GROUP BY n",
    "SELECT g AS k, count(DISTINCT x) AS d, count(DISTINCT n) FROM $ q GROUP BY 1",
    "SELECT n % 3 AS bucket, count(*) AS c, sum(n) * 2 + count(*) AS mixed FROM $ GROUP BY bucket HAVING count(*) > 2",
    "SELECT g, sum(n) FILTER (WHERE x IS NOT NULL) AS f, count(*) FILTER (WHERE n > 1) FROM $ GROUP BY g",
    "SELECT max(r) FROM $ WHERE g IS NOT NULL",
    "SELECT typeof(x) AS kind, count(*), min(x), max(x), avg(n) FROM $ GROUP BY typeof(x) HAVING sum(n) IS NOT NULL",
    "SELECT g, n + 1 AS more, upper(s) AS name FROM $ WHERE n > 1 OR n IS NULL",
    "SELECT x, s FROM $",
    "SELECT * FROM $ WHERE r >= 0",
    "SELECT n, sum(r) AS \"the sum\", count(s) FROM $ WHERE s <> 'b' GROUP BY n",
  ]

  mutating func go(_ bench: Bench) throws {
    var store = try bench.open()
    var session = try store.makeSession()
    for table in Self.tables { try session.run(table) }
    for step in 0..<60 {
      try change(session)
      if step == 3 || random.below(5) == 0 { try define(session) }
      if random.below(4) == 0 { try compare(session) }
      if random.below(15) == 0 {
        try store.close()
        store = try bench.open()
        session = try store.makeSession()
      }
    }
    while created.count < 6 { try define(session) }
    try compare(session)
    try store.close()
  }

  // MARK: Definitions

  private mutating func define(_ session: Session) throws {
    if created.count > 8 || (created.count > 2 && random.below(3) == 0) {
      let index = random.below(created.count)
      switch random.below(3) {
      case 0: try session.run("REBUILD PROJECTION \(created[index].name)")
      case 1:
        let select = pick()
        try session.run("ALTER PROJECTION \(created[index].name) AS \(select)")
        created[index].select = select
      default: try session.run("DROP PROJECTION \(created.remove(at: index).name)")
      }
      return
    }
    nextName += 1
    let select = pick()
    created.append(("p\(nextName)", select))
    try session.run("CREATE PROJECTION p\(nextName) AS \(select)")
  }

  private mutating func pick() -> String {
    let select = Self.selects[random.below(Self.selects.count)]
    return select.replacing("$", with: ["t", "u", "v"][random.below(3)])
  }

  // MARK: Changes

  mutating func change(_ session: Session) throws {
    let isOpen = random.below(3) == 0
    if isOpen { try session.run("BEGIN") }
    for _ in 0..<(1 + random.below(6)) { try session.run(statement()) }
    if isOpen { try session.run(random.below(8) == 0 ? "ROLLBACK" : "COMMIT") }
    _ = session.takeRejections()
  }

  private mutating func statement() -> String {
    let table = ["t", "u", "v"][random.below(3)]
    switch random.below(10) {
    case 0: return "DELETE FROM \(table) WHERE n = \(random.below(4))"
    case 1: return "UPDATE \(table) SET x = \(value()), n = \(number()) WHERE n % 3 = \(random.below(3))"
    case 2: return "UPDATE \(table) SET g = \(table == "u" ? "'\(random.below(4))'" : value()) WHERE r > 1"
    case 3: return random.below(6) == 0 ? "DELETE FROM \(table)" : "DELETE FROM \(table) WHERE x IS NULL"
    default:
      let rows = (0..<(1 + random.below(12))).map { _ in row(table) }
      let verb = ["INSERT OR IGNORE", "INSERT OR REPLACE", "INSERT"][random.below(table == "v" ? 1 : 2)]
      return "\(verb) INTO \(table) VALUES \(rows.joined(separator: ", "))"
    }
  }

  private mutating func row(_ table: String) -> String {
    let rest = "\(number()), \(value()), \(quarter()), \(word())"
    switch table {
    case "t": return "(\(random.below(60)), \(value()), \(rest))"
    case "u": return "('k\(random.below(6))', \(random.below(10)), '\(random.below(4))', \(rest))"
    default: return "(\(value()), \(rest))"
    }
  }

  private mutating func number() -> String {
    random.below(6) == 0 ? "NULL" : String(random.below(8) - 2)
  }

  private mutating func quarter() -> String {
    random.below(6) == 0 ? "NULL" : String(Double(4 * random.below(60) + 1 + random.below(3)) / 4 - 30)
  }

  private mutating func word() -> String { ["NULL", "'a'", "'b'", "'B'", "'long text'"][random.below(5)] }

  private mutating func value() -> String {
    switch random.below(7) {
    case 0: return "NULL"
    case 1: return quarter()
    case 2: return "'\(["a", "b", "12", ""][random.below(4)])'"
    case 3: return "X'0\(random.below(3))'"
    default: return number()
    }
  }

  // MARK: Comparing

  private func compare(_ session: Session) throws {
    try session.wait(for: .projected)
    for (name, select) in created {
      try session.run("WAIT FOR \(name)")
      let actual = try session.run("SELECT * FROM \(name)")
      let expected = try session.run(select)
      #expect(shown(actual) == shown(expected), "\(name): \(select)\n\(comment)")
    }
  }

  /// Rows in one form and order. Of values that are equal to a collation, or as numbers, it is open which one stands
  /// for the group.
  private func shown(_ rows: [[Value]]) -> [String] {
    rows.map { row in
      row.map { value in
        switch value {
        case .real(let number) where number == number.rounded() && abs(number) < 1e15: "real \(Int(number))"
        case .text(let bytes): "'" + String(decoding: bytes, as: UTF8.self).lowercased() + "'"
        default: literal(value)
        }
      }.joined(separator: " ")
    }.sorted()
  }
}
