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
  @Option(help: "Counted runs of each; the median is shown.") var runs = 5
  @Option(help: "An existing folder for the store and the file, on the disk to be measured.") var directory = "."
  @Flag(help: "One JSON object per measurement instead of a table.") var json = false

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
    let folder = "\(directory)/sluice-bench-\(getpid())"
    guard mkdir(folder, 0o755) == 0 else { throw BenchError(description: "cannot create \(folder)") }
    defer { remove(folder) }
    if !json {
      print("\(rows) rows, load \(loadAverage()); \(runs) alternating runs, medians\n")
      print(pad("workload", 44) + pad("sluice", 12) + pad("sqlite", 12) + pad("ratio [min-max]", 22) + "goal")
    }
    var random = SplitMix64(state: 7)
    let orders = (0..<4_096).map { _ in Order(&random) }
    try measureInserts(folder, orders)
    let store = try Store.open(path: folder + "/read.sluice")
    let session = try store.makeSession()
    let peer = try Connection(path: folder + "/read.db", mode: .readWriteCreate)
    try load(session, orders)
    try load(peer, orders)
    try store.flush()
    try measureReads(session, peer)
    try store.close()
    try OneInFlight.report(folder, statements: 10_000, json: json)
  }

  // MARK: Inserts

  private func measureInserts(_ folder: String, _ orders: [Order]) throws {
    var ours: [Double] = []
    var peers: [Double] = []
    for _ in 0..<runs {
      let store = try Store.open(path: folder + "/insert.sluice")
      let session = try store.makeSession()
      ours.append(try seconds { try load(session, orders) })
      try store.close(drain: false)
      remove(folder + "/insert.sluice")
      let peer = try Connection(path: folder + "/insert.db", mode: .readWriteCreate)
      peers.append(try seconds { try load(peer, orders) })
      peer.close()
      for suffix in ["", "-wal", "-shm"] { unlink(folder + "/insert.db" + suffix) }
    }
    report("prepared insert, until durable", ours, peers, perRow: Double(rows), goal: "4")
  }

  private func load(_ session: Session, _ orders: [Order]) throws {
    _ = try session.execute("CREATE TABLE orders(\(Self.columns))")
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
    try compare("SELECT by key, prepared", per: Double(lookups), goal: "at least 250k/s") {
      try lookUp(session)
    } peer: {
      try lookUp(peer)
    }
    for (sql, goal) in [
      ("SELECT count(*) FROM orders", "below 50 ms"), ("SELECT sum(amount) FROM orders", "0.5"),
      ("SELECT max(user_id), count(note) FROM orders", "-"),
      ("SELECT qty, count(*), sum(amount) FROM orders GROUP BY qty", "-"),
      ("SELECT count(*) FROM orders WHERE id BETWEEN 1000 AND 200000", "-"),
    ] {
      try compare(sql, per: 0, goal: goal) {
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
    _ name: String, per count: Double, goal: String, ours: () throws -> Void, peer: () throws -> Void
  ) throws {
    try ours()
    try peer()
    var our: [Double] = []
    var their: [Double] = []
    for _ in 0..<runs {
      our.append(try seconds(ours))
      their.append(try seconds(peer))
    }
    report(name, our, their, perRow: count, goal: goal)
  }

  private func seconds(_ body: () throws -> Void) throws -> Double {
    let clock = SystemClock()
    let begin = clock.monotonicNanoseconds()
    try body()
    return Double(clock.monotonicNanoseconds() - begin) / 1e9
  }

  private func report(_ name: String, _ ours: [Double], _ peers: [Double], perRow count: Double, goal: String) {
    let ratios = zip(ours, peers).map { $1 / $0 }.sorted()
    let our = median(ours)
    let peer = median(peers)
    if json {
      print(
        """
        {"workload":\(quoted(name)),"rows":\(rows),"runs":\(runs),"sluice_s":\(our),"sqlite_s":\(peer),\
        "ratio":\(median(ratios)),"ratio_min":\(ratios[0]),"ratio_max":\(ratios[runs - 1]),"load":\(loadAverage())}
        """)
      return
    }
    func figure(_ seconds: Double) -> String {
      count > 0 ? short(count / seconds) + "/s" : fixed(seconds * 1e3, 1) + " ms"
    }
    let spread = "\(fixed(median(ratios), 2)) [\(fixed(ratios[0], 2))-\(fixed(ratios[runs - 1], 2))]"
    print(pad(name, 44) + pad(figure(our), 12) + pad(figure(peer), 12) + pad(spread, 22) + goal)
  }
}
