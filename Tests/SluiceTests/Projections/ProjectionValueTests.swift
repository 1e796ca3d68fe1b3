// Projections over odd values: integers up to 64 bits, infinities, -0.0, text that looks like a number, letters that a
// collation takes for the same; by statements that the first model does not have: upserts, savepoints, DELETE without
// WHERE, rows that change in the transaction that brought them, columns that are added, several sessions.
//
// One seed drives everything: SLUICE_SEED=n swift test --filter ProjectionValueTests
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ProjectionValueTests {
  static let seeds = Set((101...110).map { testSeed(otherwise: $0) }).sorted()

  @Test(arguments: seeds) func sameAsTheSelect(_ seed: UInt64) throws {
    var run = ProjectionValueRun(seed: seed)
    try run.go(Bench())
  }

  /// The same once with threads and a real disk, where changes meet a copy that is being filled.
  @Test(arguments: seeds.prefix(3)) func sameWithThreads(_ seed: UInt64) throws {
    let scratch = Scratch()
    var run = ProjectionValueRun(seed: seed)
    try run.go {
      var options = StoreOptions()
      options.memtableBudgetBytes = 64 << 10
      options.projectorQueueBytes = 8 << 10
      options.stageBytes = 2 << 10
      return try Store.open(path: scratch.file("shop"), options: options)
    }
  }
}

/// One random history.
struct ProjectionValueRun {
  private var random: SeededRandom
  private let comment: Comment
  private var created: [(name: String, select: String)] = []
  private var nextName = 0
  private var addedColumns = 0

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    comment = "seed \(seed): SLUICE_SEED=\(seed) swift test --filter ProjectionValueTests"
  }

  static let tables = [
    "CREATE TABLE t(id INTEGER PRIMARY KEY, s TEXT COLLATE NOCASE, b INTEGER, r REAL, x, d DECIMAL(10, 2))",
    "CREATE TABLE u(k, j, s TEXT, b INTEGER, r REAL, x, d TEXT, PRIMARY KEY (k, j), SHARD KEY (k))",
  ]

  /// `$` is the table. Sums and averages are over `b`, whose values are whole and not below zero: the order in which
  /// they are added then matters in the last digits only.
  static let selects = [
    "SELECT s, count(*) AS c, min(r) AS low, max(r) AS top FROM $ GROUP BY s",
    "SELECT s, x, count(*) AS c, max(b) AS top, min(r) AS low FROM $ GROUP BY s, x",
    "SELECT s COLLATE NOCASE AS k, count(DISTINCT x) AS d, min(x) AS a, max(x) AS b FROM $ GROUP BY s COLLATE NOCASE",
    "SELECT upper(s) COLLATE RTRIM AS k, count(*) AS c, count(DISTINCT s) AS d FROM $ GROUP BY upper(s) COLLATE RTRIM",
    "SELECT r, count(*) AS c, total(r) AS t, sum(r) AS s FROM $ GROUP BY r",
    "SELECT d, count(x) AS c, max(x) AS top, count(DISTINCT d) AS n FROM $ GROUP BY d",
    "SELECT total(b) AS t, avg(b) AS a, count(b) AS c FROM $",
    "SELECT s, total(b) AS t, avg(b) AS a, sum(b % 1000) AS m FROM $ GROUP BY s",
    "SELECT x, sum(x) AS t, count(*) AS c FROM $ WHERE typeof(x) <> 'real' GROUP BY x",
    "SELECT b > 5 AS large, s, max(s) AS top, min(s) AS low, count(DISTINCT s) AS n FROM $ GROUP BY b > 5, s",
    "SELECT b, x, -r AS m, s || '!' AS more FROM $ WHERE b IS NOT NULL",
    "SELECT * FROM $",
    "SELECT max(s) AS top, min(s) AS low, count(DISTINCT r) AS n, total(r) AS t FROM $ WHERE r <> 1",
    "SELECT b / 2 AS half, x IS NULL AS n, count(*) AS c FROM $ GROUP BY b / 2, x IS NULL HAVING count(*) > 1",
  ]

  mutating func go(_ bench: Bench) throws { try go { try bench.open() } }

  mutating func go(_ open: () throws -> Store) throws {
    var store = try open()
    var sessions = [try store.makeSession(), try store.makeSession()]
    for table in Self.tables { try sessions[0].run(table) }
    for step in 0..<45 {
      try change(sessions[random.below(2)])
      if step < 3 || random.below(4) == 0 { try define(sessions[0]) }
      if random.below(4) == 0 { try compare(sessions[random.below(2)]) }
      if addedColumns < 4, random.below(15) == 0 {
        addedColumns += 1
        let (table, definition) = [("t", "DEFAULT 'old'"), ("u", "INTEGER DEFAULT 7"), ("t", ""), ("u", "TEXT")][
          random.below(4)]
        try sessions[0].run("ALTER TABLE \(table) ADD COLUMN more\(addedColumns) \(definition)")
      }
      if random.below(15) == 0 {
        try store.close()
        store = try open()
        sessions = [try store.makeSession(), try store.makeSession()]
      }
    }
    while created.count < 6 { try define(sessions[0]) }
    try compare(sessions[1])
    try store.close()
  }

  private mutating func define(_ session: Session) throws {
    let select = Self.selects[random.below(Self.selects.count)].replacing("$", with: ["t", "u"][random.below(2)])
    if created.count > 8 || (created.count > 2 && random.below(3) == 0) {
      let index = random.below(created.count)
      switch random.below(3) {
      case 0: try session.run("REBUILD PROJECTION \(created[index].name)")
      case 1:
        try session.run("ALTER PROJECTION \(created[index].name) AS \(select)")
        created[index].select = select
      default: try session.run("DROP PROJECTION \(created.remove(at: index).name)")
      }
      return
    }
    nextName += 1
    try session.run("CREATE PROJECTION p\(nextName) AS \(select)")
    created.append(("p\(nextName)", select))
  }

  // MARK: Changes

  private mutating func change(_ session: Session) throws {
    let isOpen = random.below(2) == 0
    if isOpen { try session.run("BEGIN") }
    for _ in 0..<(1 + random.below(6)) {
      let isPoint = isOpen && random.below(4) == 0
      if isPoint { try session.run("SAVEPOINT s") }
      try session.run(statement())
      if isPoint {
        try session.run(statement())
        try session.run(random.below(2) == 0 ? "ROLLBACK TO s" : "RELEASE s")
      }
    }
    if isOpen {
      // All rows of the transaction change before it ends.
      if random.below(3) == 0 { try session.run("UPDATE \(["t", "u"][random.below(2)]) SET b = b / 2, s = s || 'x'") }
      // The other session may have been faster.
      let error = storeError { try session.run(random.below(8) == 0 ? "ROLLBACK" : "COMMIT") }
      if let error, error.kind != .conflict { throw error }
    }
    _ = session.takeRejections()
  }

  private mutating func statement() -> String {
    let table = ["t", "u"][random.below(2)]
    switch random.below(11) {
    case 0: return "DELETE FROM \(table) WHERE b % 4 = \(random.below(4))"
    case 1: return "UPDATE \(table) SET x = \(value()), r = \(real()) WHERE \(key(table)) % 3 = \(random.below(3))"
    case 2: return "UPDATE \(table) SET s = \(word()), d = \(value()) WHERE r > 1 OR x IS NULL"
    case 3: return random.below(5) == 0 ? "DELETE FROM \(table)" : "DELETE FROM \(table) WHERE x = \(value())"
    case 4:
      // The same row twice in a statement.
      let target = table == "t" ? "id" : "k, j"
      let first = row(table)
      return "INSERT INTO \(table)(\(columns(table))) VALUES \(first), \(row(table)), \(first) "
        + "ON CONFLICT(\(target)) DO UPDATE SET x = excluded.x, b = \(whole()), s = excluded.s WHERE \(table).b > 2"
    case 5:
      return "INSERT INTO \(table)(\(columns(table))) VALUES \(row(table)) ON CONFLICT DO NOTHING"
    default:
      let rows = (0..<(1 + random.below(10))).map { _ in row(table) }
      let verb = ["INSERT OR IGNORE", "INSERT OR REPLACE"][random.below(2)]
      return "\(verb) INTO \(table)(\(columns(table))) VALUES \(rows.joined(separator: ", "))"
    }
  }

  private func key(_ table: String) -> String { table == "t" ? "id" : "j" }
  private func columns(_ table: String) -> String { table == "t" ? "id, s, b, r, x, d" : "k, j, s, b, r, x, d" }

  private mutating func row(_ table: String) -> String {
    let rest = "\(word()), \(whole()), \(real()), \(value()), \(value())"
    if table == "t" { return "(\(random.below(40)), \(rest))" }
    let first = ["1", "1.5", "'1'", "'a'", "'A'", "X'01'", "-9007199254740993", "9007199254740993"][random.below(8)]
    return "(\(first), \(random.below(6)), \(rest))"
  }

  private mutating func whole() -> String {
    let all = [
      "NULL", "0", "1", "2", "7", "1000", "9007199254740992", "9007199254740993", "4611686018427387904",
      "9223372036854775807",
    ]
    return all[random.below(all.count)]
  }

  private mutating func real() -> String {
    ["NULL", "0.0", "-0.0", "1", "2.5", "-1024.25", "1e300", "9007199254740993.0", "1e999", "-1e999", "0.25"][
      random.below(random.below(3) == 0 ? 11 : 6)]
  }

  private mutating func word() -> String {
    ["NULL", "'a'", "'A'", "'a '", "'b'", "'B'", "''", "'12'", "'ä'", "'0'"][random.below(10)]
  }

  private mutating func value() -> String {
    [
      "NULL", "0", "1", "1.0", "'1'", "'1.0'", "' 12 '", "'1e3'", "'abc'", "X''", "X'31'", "-0.0", "9007199254740993",
      "9007199254740992.0", "-5",
    ][random.below(15)]
  }

  // MARK: Comparing

  private func compare(_ session: Session) throws {
    // What the other session wrote too.
    try session.run("WAIT FOR t AT LAST")
    for (name, select) in created {
      try session.run("WAIT FOR \(name) AT LAST")
      let found = try session.run("SELECT * FROM \(name)")
      let expected = try session.run(select)
      #expect(shown(found) == shown(expected), "\(name): \(select)\n\(comment)")
    }
  }

  /// Rows in one form and order. Of values that are equal to a collation, or as numbers, it is open which one stands
  /// for the group, and of reals the last digits.
  private func shown(_ rows: [[Value]]) -> [String] {
    rows.map { row in
      row.map { value -> String in
        switch value {
        case .integer(let number): Double(exactly: number).map(rounded) ?? "\(number)"
        case .real(let number) where number.isFinite: rounded(number)
        case .text(let bytes): "'" + String(decoding: bytes, as: UTF8.self).lowercased().trimmed + "'"
        default: literal(value)
        }
      }.joined(separator: " ")
    }.sorted()
  }

  /// To 40 of its 53 bits.
  private func rounded(_ number: Double) -> String {
    let unit = number.ulp * Double(1 << 13)
    return "\((number / unit).rounded() * unit + 0)"
  }
}

extension String {
  /// Without spaces at its end.
  fileprivate var trimmed: String {
    var rest = self[...]
    while rest.last == " " { rest.removeLast() }
    return String(rest)
  }
}
