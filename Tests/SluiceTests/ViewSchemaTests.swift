// Views that say `main.`: they are made as in sqlite3, and every later process, and everybody who attaches
// projections.db, reads them and what stands beside them.
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct ViewSchemaTests {
  private let statements = [
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", "CREATE TABLE u(a, c)", "INSERT INTO t VALUES(1, 'x'), (2, 'y')",
    "INSERT INTO u VALUES(1, 'z')", "CREATE VIEW plain AS SELECT * FROM t", "CREATE VIEW x AS SELECT * FROM main.t",
    "CREATE VIEW y AS SELECT main.t.b, c FROM \"main\".t JOIN main.u ON main.t.a = u.a "
      + "WHERE t.a IN (SELECT a FROM main.u)",
    "CREATE VIEW z AS WITH w AS (SELECT * FROM main.x) SELECT max(a) FROM w",
    "CREATE VIEW main.v AS SELECT * FROM main.z",
  ]

  @Test func aViewOfMainIsReadEverywhere() throws {
    let bench = Bench()
    let stock = try Connection(path: ":memory:", mode: .readWriteCreate)
    for change in ["", "ALTER TABLE t RENAME COLUMN b TO bb", "ALTER TABLE t RENAME TO tt", "DROP VIEW y"] {
      let store = try bench.open()
      let session = try store.makeSession()
      for sql in change.isEmpty ? statements : [change] {
        try session.run(sql)
        try stock.execute(sql)
      }
      try session.wait(for: .projected)
      let attached = try Connection(path: ":memory:", mode: .readWriteCreate)
      try attached.execute("ATTACH '\(bench.projections)' AS other")
      for name in session.tableNames() {
        let select = "SELECT * FROM \(name) ORDER BY 1"
        let expected = try stock.prepare(select).rows()
        #expect(try session.run(select) == expected, "\(name)")
        #expect(try bench.file(select) == expected, "\(name)")
        #expect(try attached.prepare("SELECT * FROM other.\(name) ORDER BY 1").rows() == expected, "\(name)")
      }
      #expect(store.progress.quarantined.isEmpty)
      #expect(session.createStatement("x")?.contains("FROM main.") == true)
      try store.close()
      if change.isEmpty { removeDatabase(bench.projections) }
    }
  }

  /// WITH may name a table as one of `main` is named: the live tables answer that view, and the file does without it.
  @Test func aViewThatTheFileCannotHoldIsLive() throws {
    let bench = Bench()
    for round in 0..<2 {
      let store = try bench.open()
      let session = try store.makeSession()
      if round == 0 {
        for sql in statements[..<5] { try session.run(sql) }
        try session.run("CREATE VIEW x AS WITH t AS (SELECT b FROM main.t) SELECT * FROM t")
      }
      try session.wait(for: .projected)
      #expect(try session.run("SELECT * FROM x ORDER BY 1") == [[text("x")], [text("y")]])
      #expect(try session.run("SELECT * FROM plain") == [[.integer(1), text("x")], [.integer(2), text("y")]])
      #expect(store.progress.quarantined.keys.sorted() == ["x"])
      if round == 1 {
        try session.run("DROP VIEW x")
        try session.wait(for: .projected)
        #expect(store.progress.quarantined.isEmpty)
      }
      try store.close()
    }
  }

  /// A file that an earlier version left with such a view.
  @Test func aFileWithSuchAViewIsCorrected() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    for sql in statements { try session.run(sql) }
    try session.wait(for: .projected)
    try store.close()
    let stock = try Connection(path: bench.projections, mode: .readWriteCreate)
    try stock.execute("DROP VIEW x; CREATE VIEW \"x\" AS SELECT * FROM main.t")
    stock.close()
    let again = try bench.open()
    #expect(try again.makeSession().run("SELECT * FROM x") == [[.integer(1), text("x")], [.integer(2), text("y")]])
    try again.close()
  }
}
