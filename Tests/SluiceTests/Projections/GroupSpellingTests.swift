// Groups whose keys are equal and not the same: 'BOB' and 'Bob' to NOCASE, 1 and 1.0 in a column without a type. A
// group shows a spelling that one of its rows has: that of the first one it got, as long as there is one.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct GroupSpellingTests {
  @Test func aGroupFollowsTheSpellingOfItsRows() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    for sql in [
      "CREATE TABLE u(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE)", "CREATE TABLE m(id INTEGER PRIMARY KEY, x)",
      "CREATE PROJECTION p AS SELECT name, count(*) AS n, sum(id) AS m FROM u GROUP BY name",
      "CREATE PROJECTION q AS SELECT x, count(*) AS n, sum(x) AS s FROM m GROUP BY x",
    ] { try session.run(sql) }
    for sql in [
      "INSERT INTO u VALUES(1, 'BOB')", "UPDATE u SET name = 'Bob' WHERE id = 1", "INSERT INTO u VALUES(2, 'bob')",
      "DELETE FROM u WHERE id = 1", "INSERT INTO u VALUES(3, 'bob'), (4, 'BOB'), (5, 'Ann'), (6, 'ANN')",
      "DELETE FROM u WHERE id = 2", "UPDATE u SET name = 'ann' WHERE id < 6", "DELETE FROM u",
      "INSERT INTO u VALUES(7, 'AnN')",
      "INSERT INTO m VALUES(1, 1), (2, 1.0), (3, 2.0), (4, '1')", "DELETE FROM m WHERE id = 1",
      "UPDATE m SET x = x + 0 WHERE id > 2", "UPDATE m SET x = 2 WHERE id = 3", "INSERT INTO m VALUES(9, 2.0)",
      "DELETE FROM m WHERE id = 3",
    ] {
      try session.run(sql)
      try session.expect("p", equals: "SELECT name, count(*), sum(id) FROM u GROUP BY name", "\(sql)")
      try session.expect("q", equals: "SELECT x, count(*), sum(x) FROM m GROUP BY x", "\(sql)")
    }
    for name in ["p", "q"] { try session.run("REBUILD PROJECTION \(name)") }
    try session.compareProjections()
    try store.close()
  }

  static let selects = [
    "SELECT s, count(*) AS n FROM t GROUP BY s", "SELECT x, count(*) AS n, sum(n) AS m FROM t GROUP BY x",
    "SELECT s, x, count(*) AS c, min(n), max(x), total(n) FROM t GROUP BY s, x",
    "SELECT x + 0 AS y, count(DISTINCT n) AS c FROM t GROUP BY x + 0",
    "SELECT s COLLATE RTRIM AS u, n, count(*) AS c FROM t WHERE x IS NOT NULL GROUP BY s COLLATE RTRIM, n",
    "SELECT s, count(*) AS c FROM t GROUP BY lower(s), s",
  ]

  /// After each transaction of a random history: but for the spelling the groups are those of the SELECT, and each is
  /// spelled as one of its rows.
  @Test(arguments: 1...12)
  func aSpellingIsThatOfARow(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let bench = Bench()
    var store = try bench.open()
    var session = try store.makeSession()
    let definitions = [
      "CREATE TABLE t(id INTEGER PRIMARY KEY, s TEXT COLLATE NOCASE, x, n INTEGER)",
      "CREATE TABLE t(s TEXT COLLATE NOCASE, x, n INTEGER)",
      "CREATE TABLE t(id INTEGER, k TEXT, s TEXT COLLATE NOCASE, x, n INTEGER, PRIMARY KEY (k, id))",
    ]
    let place = random.below(3)
    try session.run(definitions[place])
    for (index, select) in Self.selects.enumerated() where index % 2 == 0 {
      try session.run("CREATE PROJECTION p\(index) AS \(select)")
    }
    let words = ["NULL", "'a'", "'A'", "'b'", "'B'", "'a '", "'A  '"]
    let values = ["NULL", "1", "1.0", "2", "2.0", "'1'", "0", "0.5", "9007199254740993", "9007199254740992.0"]
    for step in 0..<40 {
      if step == 10 {
        for (index, select) in Self.selects.enumerated() where index % 2 == 1 {
          try session.run("CREATE PROJECTION p\(index) AS \(select)")
        }
      }
      for _ in 0...random.below(4) {
        let row = "\(words[random.below(7)]), \(values[random.below(10)]), \(random.below(3))"
        let keys = ["\(random.below(40)), ", "", "\(random.below(12)), 'k\(random.below(3))', "]
        switch random.below(5) {
        case 0: try session.run("DELETE FROM t WHERE n = \(random.below(3)) AND x >= \(random.below(3))")
        case 1: try session.run("UPDATE t SET s = \(words[random.below(7)]) WHERE n = \(random.below(3)) AND x < 2")
        case 2: try session.run("UPDATE t SET x = \(values[random.below(10)]) WHERE s = \(words[random.below(7)])")
        default: try session.run("INSERT OR REPLACE INTO t VALUES(\(keys[place])\(row))")
        }
      }
      if random.below(12) == 0 {
        try store.close()
        store = try bench.open()
        session = try store.makeSession()
      }
      try compare(session, "seed \(seed), step \(step)")
    }
    try store.close()
  }

  private func compare(_ session: Session, _ comment: Comment) throws {
    for (index, select) in Self.selects.enumerated() where session.catalog.objects["p\(index)"] != nil {
      try session.run("WAIT FOR p\(index)")
      let found = try session.run("SELECT * FROM p\(index)")
      #expect(folded(found) == folded(try session.run(select)), "\(select); \(comment)")
      let names = [["s"], ["x"], ["s", "x"], ["x + 0"], ["s", "n"], ["s"]][index]
      let rows = try session.run("SELECT \(names.joined(separator: ", ")) FROM t")
      let spellings = Set(rows.map { $0.map(literal).joined(separator: ", ") })
      for group in found {
        let spelling = group[..<names.count].map(literal).joined(separator: ", ")
        #expect(spellings.contains(spelling), "\(select) shows \(spelling); \(comment)")
      }
    }
  }

  private func folded(_ rows: [[Value]]) -> [String] {
    rows.map { row in
      row.map { value in
        switch value {
        case .real(let number) where number == number.rounded(): "\(Int(number))"
        case .text(let bytes): "'" + String(decoding: bytes, as: UTF8.self).uppercased().filter { $0 != " " } + "'"
        default: literal(value)
        }
      }.joined(separator: " ")
    }.sorted()
  }
}
