// Who serves arrivals: a store through its Swift API, and SQLite through its C API, each in one process with the bench.
// Unsafe by nature (texts bound where they are): named in the tidy test.
import Sluice
import SluiceSQLite

/// One connection that takes statements. Used by one thread at a time.
protocol ArrivalSession: AnyObject {
  /// Executes the INSERT of row `number`, from 0.
  func insert(_ number: Int) throws

  /// Returns when all that was executed is durable.
  func acknowledge() throws

  /// Returns when others see all that was executed.
  func settle() throws
}

/// A store or a file in a folder, empty at first.
protocol ArrivalSide: AnyObject {
  func makeSession() throws -> any ArrivalSession

  /// Ends it; returns the rows that it holds.
  func close() throws -> Int
}

/// A store with its options as they come.
final class SluiceArrivals: ArrivalSide, Sendable {
  private let store: Store

  init(_ folder: String) throws {
    store = try Store.open(path: folder + "/bench.sluice")
    _ = try store.makeSession().execute("CREATE TABLE orders(\(Orders.columns))")
  }

  func makeSession() throws -> any ArrivalSession { try SluiceArrivalSession(store.makeSession()) }

  func close() throws -> Int {
    let session = try store.makeSession()
    guard case .rows(let rows) = try session.execute("SELECT count(*) FROM orders"), try rows.next(),
      case .integer(let count) = rows.value(0)
    else { throw BenchError(description: "the store does not count its rows") }
    try store.close(drain: false)
    return Int(count)
  }
}

private final class SluiceArrivalSession: ArrivalSession {
  private let session: Session
  private let insert: PreparedInsert
  private var orders = Orders(seed: 7)

  init(_ session: Session) throws {
    self.session = session
    insert = try session.prepareInsert(into: "orders")
  }

  func insert(_ number: Int) throws { try insert.add(Int64(number + 1), &orders) }

  func acknowledge() throws { try session.wait(for: .durable) }

  func settle() throws { try session.settle() }
}

/// A file of SQLite's own: write-ahead log, synchronous=FULL. Statements that are acknowledged together are one
/// transaction, a single one is autocommitted.
final class SQLiteArrivals: ArrivalSide {
  private let connection: Connection
  private let isGathered: Bool

  init(_ folder: String, isGathered: Bool) throws {
    self.isGathered = isGathered
    connection = try Connection(path: folder + "/bench.db", mode: .readWriteCreate)
    try connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE orders(\(Orders.columns))")
  }

  func makeSession() throws -> any ArrivalSession { try SQLiteArrivalSession(connection, isGathered: isGathered) }

  func close() throws -> Int {
    guard case .integer(let count) = try connection.prepare("SELECT count(*) FROM orders").rows().first?.first else {
      throw BenchError(description: "SQLite does not count its rows")
    }
    connection.close()
    return Int(count)
  }
}

private final class SQLiteArrivalSession: ArrivalSession {
  private let insert: Statement
  private let begin: Statement?
  private let commit: Statement?
  private var isOpen = false
  private var orders = Orders(seed: 7)

  init(_ connection: Connection, isGathered: Bool) throws {
    insert = try connection.prepare("INSERT INTO orders VALUES(?,?,?,?,?,?)", persistent: true)
    begin = isGathered ? try connection.prepare("BEGIN", persistent: true) : nil
    commit = isGathered ? try connection.prepare("COMMIT", persistent: true) : nil
  }

  func insert(_ number: Int) throws {
    if let begin, !isOpen { try run(begin) }
    isOpen = true
    try insert.bind(1, Int64(number + 1))
    let order = orders.next()
    try insert.bind(2, order.user)
    try order.sku.withUnsafeBytes { try insert.bind(3, text: $0, borrowed: true) }
    try insert.bind(4, order.quantity)
    try insert.bind(5, order.amount)
    try order.note.withUnsafeBytes { try insert.bind(6, text: $0, borrowed: true) }
    try run(insert)
  }

  func acknowledge() throws {
    isOpen = false
    if let commit { try run(commit) }
  }

  func settle() throws {}

  private func run(_ statement: Statement) throws {
    _ = try statement.step()
    statement.reset()
  }
}
