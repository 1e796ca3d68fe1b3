// ALTER TABLE and changes of rows in one transaction: what the transaction wrote before, between and behind is in the
// shards, in the mirror and in what is made of the log what SQLite makes of it. Rows of a table without a primary key
// are sent once, in their first place, so it is their definition that must be there by then.
import SluiceSQL
import SluiceSQLite
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct AlterInTransactionTests {
  /// Runs a script in a store and in SQLite, then compares rows with what the shards and the mirror hold, and the
  /// events with what the shards hold.
  private func compare(_ statements: [String], _ comment: Comment? = nil) throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    let stock = try Connection(path: ":memory:", mode: .readWriteCreate)
    for sql in statements {
      do {
        try stock.execute(sql)
        try session.run(sql)
      } catch { Issue.record("\(sql): \(error); \(comment?.description ?? "")") }
    }
    try session.wait(for: .projected)
    for table in session.tableNames() {
      let select = "SELECT * FROM \(table)"
      let order = session.catalog.table(table)?.isKeyless == true ? "" : " ORDER BY 1"
      let expected = try stock.prepare(select + order).rows()
      #expect(try session.run(select + order) == expected, comment)
      #expect(try bench.file(select + order) == expected, comment)
    }
    try store.close()
    removeDatabase(bench.projections)
    let again = try bench.open()
    let fresh = try again.makeSession()
    try fresh.wait(for: .projected)
    for table in fresh.tableNames() {
      let select = "SELECT * FROM \(table) ORDER BY 1"
      #expect(try bench.file(select) == stock.prepare(select).rows(), comment)
    }
    try again.close()
  }

  @Test(arguments: ["a INTEGER", "a INTEGER PRIMARY KEY"])
  func aRowThatIsChangedBehindANewColumnHasIt(_ column: String) throws {
    try compare([
      "CREATE TABLE t(\(column))", "INSERT INTO t VALUES(100)", "BEGIN", "INSERT INTO t VALUES(1)",
      "INSERT INTO t VALUES(2)", "ALTER TABLE t ADD COLUMN b DEFAULT 5", "UPDATE t SET b = 7 WHERE a IN (1, 100)",
      "INSERT INTO t VALUES(3, 8)", "ALTER TABLE t RENAME COLUMN b TO c", "ALTER TABLE t ADD COLUMN d DEFAULT 'd'",
      "UPDATE t SET d = 'x' WHERE a >= 2", "DELETE FROM t WHERE a = 3", "ALTER TABLE t RENAME TO u",
      "CREATE INDEX ub ON u(c)", "UPDATE u SET c = 9 WHERE a = 2", "COMMIT", "INSERT INTO u VALUES(4, 4, 4)",
    ])
  }

  /// No row in the log has columns that its table does not have there yet.
  @Test func theLogHoldsNoRowBeforeItsColumns() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    for sql in ["CREATE TABLE t(a)", "CREATE TABLE u(a)"] { try session.createEarly(sql) }
    for sql in ["BEGIN", "INSERT INTO t VALUES(1)", "INSERT INTO u VALUES(1)"] { try session.run(sql) }
    try session.createEarly("CREATE TABLE v(a)")
    for sql in [
      "ALTER TABLE t ADD COLUMN b DEFAULT 5", "INSERT INTO v VALUES(1)", "UPDATE t SET b = 7",
      "ALTER TABLE v ADD COLUMN b", "UPDATE v SET b = 1", "ALTER TABLE t ADD COLUMN c", "UPDATE t SET c = 1", "COMMIT",
    ] { try session.run(sql) }
    try session.settle()
    let reader = try store.core.pipeline.log.reader(after: 0, upTo: store.lastPosition)
    var catalog = Catalog()
    var rows = 0
    while let record = try reader.next() {
      guard case .commands(let batch, _) = record else { continue }
      var commands = batch.commands()
      while let command = commands.next() {
        if command.kind == .catalog {
          var change = try #require(CatalogChange.decode(command.value))
          change.sequence = 0
          _ = try catalog.apply(change)
        } else {
          rows += 1
          let table = try #require(catalog.tablesByID[command.key.loadUnaligned(as: UInt32.self).bigEndian])
          #expect(RowReader(command.row).columnCount <= table.definition.columns.count)
        }
      }
    }
    #expect(rows == 3)
    try store.close()
  }

  @Test(arguments: 0..<40)
  func randomTransactionsAreWhatSQLiteMakesOfThem(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    var statements: [String] = []
    var names = ["t", "k"]
    var columns = [["a"], ["a"]]
    statements += ["CREATE TABLE t(a INTEGER)", "CREATE TABLE k(a INTEGER PRIMARY KEY)"]
    var next = 0
    for _ in 0..<4 {
      statements.append("BEGIN")
      var savepoint: ([String], [[String]])?
      for _ in 0..<25 {
        let place = Int.random(in: 0..<2, using: &random)
        let name = names[place]
        next += 1
        switch Int.random(in: 0..<12, using: &random) {
        case 0 where columns[place].count < 8:
          statements.append("ALTER TABLE \(name) ADD COLUMN c\(next) DEFAULT \(next)")
          columns[place].append("c\(next)")
        case 1 where columns[place].count > 1:
          statements.append("ALTER TABLE \(name) RENAME COLUMN \(columns[place][1]) TO r\(next)")
          columns[place][1] = "r\(next)"
        case 2:
          statements.append("ALTER TABLE \(name) RENAME TO n\(next)")
          names[place] = "n\(next)"
        case 3: statements.append("DELETE FROM \(name) WHERE a % 7 = \(next % 7)")
        case 4 where savepoint == nil:
          statements.append("SAVEPOINT s")
          savepoint = (names, columns)
        case 5:
          guard let saved = savepoint else { continue }
          statements += ["ROLLBACK TO s", "RELEASE s"]
          (names, columns) = saved
          savepoint = nil
        case 6, 7, 8:
          let column = columns[place][Int.random(in: 0..<columns[place].count, using: &random)]
          if column != "a" { statements.append("UPDATE \(name) SET \(column) = \(next) WHERE a % 3 = \(next % 3)") }
        default: statements.append("INSERT INTO \(name)(a) VALUES(\(next)), (\(next + 10_000))")
        }
      }
      statements.append("COMMIT")
    }
    try compare(statements, "seed \(seed)")
  }
}
