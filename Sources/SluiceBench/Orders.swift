// The table of `mirror` and `open-loop`, in a store and in a file of SQLite's own: the same rows, from a fixed seed.
// Unsafe by nature (texts bound where they are): named in the tidy test.
import Sluice
import SluiceSQLite
import SluiceSystem

/// Rows of the table, one after the other: 200,000 users, 10 quantities, about 60 bytes each.
struct Orders {
  static let columns = "id INTEGER PRIMARY KEY, user_id INTEGER, sku TEXT, qty INTEGER, amount REAL, note TEXT"
  private static let skus = (0..<4_096).map { Array("SKU-\(100_000 + $0 * 211)".utf8) }
  private static let notes = (0..<1_000).map { Array("gift wrap leave at door \($0)".utf8) }
  private var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(state: seed) }

  /// The next row's values besides its id.
  mutating func next() -> (user: Int64, sku: [UInt8], quantity: Int64, amount: Double, note: [UInt8]) {
    let bits = random.next()
    return (
      Int64(random.next() % 200_000), Self.skus[Int(bits & 4_095)], Int64(bits >> 12 & 0xffff) % 10,
      Double(bits >> 28 & 0xffff) / 100, Self.notes[Int(bits >> 44 & 0xffff) % 1_000]
    )
  }

  /// One of `count` ids, from 1.
  mutating func nextID(_ count: Int) -> Int64 { Int64(random.next() % UInt64(count)) + 1 }
}

extension PreparedInsert {
  /// Inserts the next row under that id.
  func add(_ id: Int64, _ orders: inout Orders) throws {
    let order = orders.next()
    bind(0, id)
    bind(1, order.user)
    order.sku.withUnsafeBytes { bind(2, text: $0) }
    bind(3, order.quantity)
    bind(4, order.amount)
    order.note.withUnsafeBytes { bind(5, text: $0) }
    try run()
  }
}

/// The table in a store, whose projector works when it is told to.
struct OrdersStore {
  private let store: Store
  private let session: Session

  init(_ folder: String) throws {
    store = try Store.open(path: folder + "/bench.sluice")
    session = try store.makeSession()
    _ = try session.execute("CREATE TABLE orders(\(Orders.columns))")
  }

  /// From a backlog of `count` rows to the mirror and the projections.
  consuming func project(_ projections: [String], _ count: Int) throws -> MirrorCommand.Cost {
    try create(projections)
    store.suspendProjector(true)
    try insert(count)
    return try measure(count, projections)
  }

  /// From `count` rows that are mirrored to the projection that serves.
  consuming func build(_ projection: String, _ count: Int) throws -> MirrorCommand.Cost {
    try insert(count)
    try session.wait(for: .projected)
    try store.flush()
    store.suspendProjector(true)
    _ = try session.execute(projection)
    return try measure(count, [projection])
  }

  /// From a backlog of `updates` new images of some of `count` rows to the mirror and the projections.
  consuming func update(_ projections: [String], _ count: Int, _ updates: Int) throws -> MirrorCommand.Cost {
    try insert(count)
    try create(projections)
    store.suspendProjector(true)
    let put = try session.prepareInsert(into: "orders", orAction: .replace)
    var orders = Orders(seed: 11)
    for _ in 0..<updates { try put.add(orders.nextID(count), &orders) }
    return try measure(count, projections)
  }

  private func create(_ projections: [String]) throws {
    for projection in projections { _ = try session.execute(projection) }
    try wait(projections)
  }

  private func wait(_ projections: [String]) throws {
    try session.wait(for: .projected)
    for projection in projections { _ = try session.execute("WAIT FOR \(projection.split(separator: " ")[2])") }
  }

  private func insert(_ count: Int) throws {
    let insert = try session.prepareInsert(into: "orders")
    var orders = Orders(seed: 7)
    for id in 0..<count { try insert.add(Int64(id + 1), &orders) }
  }

  /// Flushes, lets the projector go, and measures until it is done; then looks at what it made.
  private func measure(_ count: Int, _ projections: [String]) throws -> MirrorCommand.Cost {
    try session.wait(for: .applied)
    try store.flush()
    let cost = try MirrorCommand.Cost.of {
      store.suspendProjector(false)
      try wait(projections)
    }
    let sums = projections.filter { $0.contains("GROUP BY") }.map {
      "(SELECT sum(n) FROM \($0.split(separator: " ")[2]))"
    }
    for sum in ["(SELECT count(*) FROM orders)"] + sums {
      guard case .rows(let rows) = try session.execute("SELECT \(sum)"), try rows.next(),
        rows.value(0) == .integer(Int64(count))
      else {
        throw BenchError(description: "\(sum) is not \(count)")
      }
    }
    try store.close()
    return cost
  }
}

/// The table in a file of SQLite's own: write-ahead log, synchronous=NORMAL, 10,000 rows a transaction.
struct OrdersFile {
  private static let rowsPerTransaction = 10_000
  private let connection: Connection

  init(_ folder: String) throws {
    connection = try Connection(path: folder + "/bench.db", mode: .readWriteCreate)
    try connection.execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE orders(\(Orders.columns))")
  }

  /// The bare loop.
  func fill(_ count: Int) throws -> MirrorCommand.Cost {
    let insert = try connection.prepare("INSERT INTO orders VALUES(?,?,?,?,?,?)", persistent: true)
    var orders = Orders(seed: 7)
    return try .of { try run(insert, count, &orders) { _, id in Int64(id + 1) } }
  }

  private func run(
    _ statement: Statement, _ count: Int, _ orders: inout Orders, id: (inout Orders, Int) -> Int64
  ) throws {
    for index in 0..<count {
      if index % Self.rowsPerTransaction == 0 { try connection.execute("BEGIN") }
      try statement.bind(1, id(&orders, index))
      let order = orders.next()
      try statement.bind(2, order.user)
      try order.sku.withUnsafeBytes { try statement.bind(3, text: $0, borrowed: true) }
      try statement.bind(4, order.quantity)
      try statement.bind(5, order.amount)
      try order.note.withUnsafeBytes { try statement.bind(6, text: $0, borrowed: true) }
      _ = try statement.step()
      statement.reset()
      if index % Self.rowsPerTransaction == Self.rowsPerTransaction - 1 || index == count - 1 {
        try connection.execute("COMMIT")
      }
    }
  }

  /// CREATE TABLE AS over `count` rows.
  func create(_ select: String, _ count: Int) throws -> MirrorCommand.Cost {
    _ = try fill(count)
    return try .of { try connection.execute("CREATE TABLE made AS \(select)") }
  }

  /// Changes of rows, with triggers that keep two tables of sums.
  func update(_ count: Int, _ updates: Int) throws -> MirrorCommand.Cost {
    _ = try fill(count)
    for (table, key) in [("by_qty", "qty"), ("by_user", "user_id")] {
      try connection.execute(
        """
        CREATE TABLE \(table)(\(key) INTEGER PRIMARY KEY, n INTEGER, total REAL);
        INSERT INTO \(table) SELECT \(key), count(*), sum(amount) FROM orders GROUP BY \(key);
        CREATE TRIGGER \(table)_change AFTER UPDATE ON orders BEGIN
          UPDATE \(table) SET n = n - 1, total = total - old.amount WHERE \(key) = old.\(key);
          INSERT INTO \(table) VALUES(new.\(key), 1, new.amount)
            ON CONFLICT(\(key)) DO UPDATE SET n = n + 1, total = total + new.amount;
        END
        """)
    }
    let update = try connection.prepare(
      "UPDATE orders SET user_id = ?2, sku = ?3, qty = ?4, amount = ?5, note = ?6 WHERE id = ?1", persistent: true)
    var orders = Orders(seed: 11)
    return try .of { try run(update, updates, &orders) { orders, _ in orders.nextID(count) } }
  }
}
