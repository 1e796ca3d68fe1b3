// `sluice-bench query`: SQL through the library, in one process: rows inserted by prepared statements and read back, on
// the shards' live tables and on SQLite's own file in turn.
import ArgumentParser
import Glibc
import Sluice
import SluiceSQLite
import SluiceSystem

struct Query: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Reads and writes SQL tables of a store and of a SQLite file in one process, statement by statement.")

  @Option(help: "Rows of the table.") var rows = 1_000_000
  @Option(help: "Lookups by key in a run.") var lookups = 200_000
  @Option(help: "Statements of each kind that are written one at a time, each durable.") var statements = 10_000
  @OptionGroup var measuring: MeasuringOptions

  private static let columns = "id INTEGER PRIMARY KEY, user_id INTEGER, sku TEXT, qty INTEGER, amount REAL, note TEXT"
  private static let note = Array("note text for the order".utf8)

  /// One row's values besides its id.
  private struct Order {
    let user: Int64
    let sku: [UInt8]
    let quantity: Int64
    let amount: Double

    init(_ random: inout SplitMix64) {
      user = Int64(random.next() % 100_000)
      sku = Array("SKU-\(random.next() % 1_000)".utf8)
      quantity = Int64(random.next() % 9)
      amount = Double(random.next() % 10_000) / 100
    }
  }

  func run() throws {
    try measuring.inFolder { folder in
      measuring.printHeading("\(rows) rows")
      var random = SplitMix64(state: 7)
      let orders = (0..<4_096).map { _ in Order(&random) }
      for isTransaction in [true, false] { try measureInserts(folder, orders, isTransaction: isTransaction) }
      let store = try Store.open(path: folder + "/read.sluice")
      let session = try store.makeSession()
      let peer = try Connection(path: folder + "/read.db", mode: .readWriteCreate)
      try load(session, orders)
      try load(peer, orders)
      try store.flush()
      try measureReads(session, peer)
      try store.close()
      for result in try OneInFlight.measure(folder, statements: statements) { try measuring.show(result) }
    }
  }

  // MARK: Inserts

  /// SQLite's are one transaction always.
  private func measureInserts(_ folder: String, _ orders: [Order], isTransaction: Bool) throws {
    let turns = try Turns(measuring.runs) {
      let store = try Store.open(path: folder + "/insert.sluice")
      let session = try store.makeSession()
      let seconds = try seconds { try load(session, orders, isTransaction: isTransaction) }
      try store.close(drain: false)
      remove(folder + "/insert.sluice")
      return seconds
    } peer: {
      let peer = try Connection(path: folder + "/insert.db", mode: .readWriteCreate)
      let seconds = try seconds { try load(peer, orders) }
      peer.close()
      for suffix in ["", "-wal", "-shm"] { unlink(folder + "/insert.db" + suffix) }
      return seconds
    }
    try report(
      isTransaction
        ? "prepared insert, one transaction, durable" : "prepared insert, autocommitted, durable at the end",
      turns, per: .rowsPerSecond, count: rows, goal: isTransaction ? .ratio(4) : nil)
  }

  private func load(_ session: Session, _ orders: [Order], isTransaction: Bool = false) throws {
    _ = try session.execute("CREATE TABLE orders(\(Self.columns))")
    if isTransaction { _ = try session.execute("BEGIN") }
    let insert = try session.prepareInsert(into: "orders")
    for id in 0..<rows {
      let order = orders[id & 4_095]
      insert.bind(0, Int64(id))
      insert.bind(1, order.user)
      order.sku.withUnsafeBytes { insert.bind(2, text: $0) }
      insert.bind(3, order.quantity)
      insert.bind(4, order.amount)
      Self.note.withUnsafeBytes { insert.bind(5, text: $0) }
      try insert.run()
    }
    if isTransaction { _ = try session.execute("COMMIT") }
    try session.wait(for: .durable)
  }

  private func load(_ peer: Connection, _ orders: [Order]) throws {
    try peer.execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE orders(\(Self.columns)); BEGIN")
    let insert = try peer.prepare("INSERT INTO orders VALUES(?,?,?,?,?,?)", persistent: true)
    for id in 0..<rows {
      let order = orders[id & 4_095]
      try insert.bind(1, Int64(id))
      try insert.bind(2, order.user)
      try order.sku.withUnsafeBytes { try insert.bind(3, text: $0, borrowed: true) }
      try insert.bind(4, order.quantity)
      try insert.bind(5, order.amount)
      try Self.note.withUnsafeBytes { try insert.bind(6, text: $0, borrowed: true) }
      _ = try insert.step()
      insert.reset()
    }
    try peer.execute("COMMIT")
  }

  // MARK: Reads

  private func measureReads(_ session: Session, _ peer: Connection) throws {
    try compare("SELECT by key, prepared", per: .operationsPerSecond, count: lookups, goal: .atLeast(250_000)) {
      try lookUp(session)
    } peer: {
      try lookUp(peer)
    }
    let queries: [(String, Goal?)] = [
      ("SELECT count(*) FROM orders", .atMost(50)), ("SELECT sum(amount) FROM orders", .ratio(0.5)),
      ("SELECT max(user_id), count(note) FROM orders", nil),
      ("SELECT qty, count(*), sum(amount) FROM orders GROUP BY qty", nil),
      ("SELECT count(*) FROM orders WHERE id BETWEEN 1000 AND 200000", nil),
    ]
    for (sql, goal) in queries {
      try compare(sql, per: .milliseconds, count: 1, goal: goal) {
        try all(session, sql)
      } peer: {
        _ = try peer.prepare(sql).rows()
      }
    }
  }

  private func all(_ session: Session, _ sql: String) throws {
    guard case .rows(let rows) = try session.execute(sql) else { throw BenchError(description: "no rows: \(sql)") }
    while try rows.next() {}
  }

  private func lookUp(_ session: Session) throws {
    let select = try session.prepare("SELECT amount FROM orders WHERE id = ?")
    var random = SplitMix64(state: 11)
    for _ in 0..<lookups {
      let id = Int64(random.next() % UInt64(rows))
      guard case .rows(let rows) = try select.run([.integer(id)]), try rows.next() else {
        throw BenchError(description: "row \(id) is missing")
      }
    }
  }

  private func lookUp(_ peer: Connection) throws {
    let select = try peer.prepare("SELECT amount FROM orders WHERE id = ?", persistent: true)
    var random = SplitMix64(state: 11)
    for _ in 0..<lookups {
      try select.bind(1, Int64(random.next() % UInt64(rows)))
      guard try select.step() else { throw BenchError(description: "a row is missing") }
      select.reset()
    }
  }

  // MARK: Report

  private func compare(
    _ name: String, per unit: MeasuredUnit, count: Int, goal: Goal?, ours: () throws -> Void,
    peer: @escaping () throws -> Void
  ) throws {
    try ours()
    try peer()
    let turns = try Turns(measuring.runs, ours: { try seconds(ours) }, peer: { try seconds(peer) })
    try report(name, turns, per: unit, count: count, goal: goal)
  }

  private func seconds(_ body: () throws -> Void) throws -> Double {
    let begin = nowNanoseconds()
    try body()
    return Double(nowNanoseconds() - begin) / 1e9
  }

  /// Shows seconds as a rate of `count`, or as they are in milliseconds.
  private func report(
    _ name: String, _ turns: Turns<Double>, per unit: MeasuredUnit, count: Int, goal: Goal?
  ) throws {
    func value(_ seconds: Double) -> Double { unit.isRate ? Double(count) / seconds : seconds * 1e3 }
    try measuring.show(
      Measurement(
        bench: "query", name: name, unit: unit, parameters: [("rows", Double(rows))], values: turns.ours.map(value),
        peer: "sqlite", peerValues: turns.peer.map(value), goal: goal, loads: turns.loads))
  }
}
