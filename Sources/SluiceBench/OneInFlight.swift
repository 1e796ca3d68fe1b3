// One statement in flight at a time: an autocommitted INSERT, then a wait until it is durable, then the next; against
// SQLite's own API with one transaction for each row (WAL, synchronous = FULL). The two take turns, a slice of
// statements each, so that both meet the same disk.
import Sluice
import SluiceSQLite
import SluiceSystem

/// What one statement in flight at a time costs, in a store and in a SQLite file.
struct OneInFlight {
  /// One kind of statement: the latency of each, and the mean of each slice in microseconds.
  private struct Kind {
    var times = LatencyHistogram()
    var means: [Double] = []

    mutating func add(_ slice: [UInt64]) {
      for time in slice { times.add(time) }
      means.append(Double(slice.reduce(0, +)) / Double(slice.count) / 1e3)
    }
  }

  /// Statements of each kind in a slice.
  private static let sliceSize = 250
  private static let columns = "id INTEGER PRIMARY KEY, user_id INTEGER, sku TEXT, qty INTEGER, amount REAL, note TEXT"

  private let session: Session
  private let insert: PreparedInsert
  private let peer: Connection
  private let peerInsert: SluiceSQLite.Statement
  private let clock = SystemClock()
  private var random = SplitMix64(state: 5)
  private var id: Int64 = 0
  /// `session.execute` of the text of an INSERT, then `wait(for: .durable)`.
  private var text = Kind()
  /// The same with a prepared INSERT.
  private var prepared = Kind()
  /// SQLite: a prepared INSERT, stepped, outside a transaction.
  private var stepped = Kind()
  private var loads: [Double] = []

  /// Runs `statements` of each kind on a store and a file in `folder`, which must exist. The caller removes it.
  static func measure(_ folder: String, statements: Int) throws -> [Measurement] {
    let store = try Store.open(path: folder + "/one.sluice")
    var measurement = try OneInFlight(store, folder)
    let slices = max(statements / sliceSize, 1)
    // One slice to warm up: SQLite's first thousand pages make its log grow, ours creates the first segment.
    for slice in 0...slices { try measurement.runSlice(isCounted: slice > 0) }
    measurement.peer.close()
    try store.close(drain: false)
    return [
      measurement.result("one statement in flight, by its text", measurement.text, goal: .ratio(1.1)),
      measurement.result("one statement in flight, prepared", measurement.prepared, goal: nil),
    ]
  }

  private func result(_ name: String, _ kind: Kind, goal: Goal?) -> Measurement {
    func counter(_ name: String, _ quantile: Double) -> MeasuredCounter {
      MeasuredCounter(
        name: name, ours: kind.times.microseconds(quantile: quantile),
        peer: stepped.times.microseconds(quantile: quantile))
    }
    return Measurement(
      bench: "query", name: name, unit: .microseconds,
      parameters: [("statements", Double(kind.means.count * Self.sliceSize))], values: kind.means, peer: "sqlite",
      peerValues: stepped.means, goal: goal, counters: [counter("p50 µs", 0.5), counter("p99 µs", 0.99)],
      loads: (loads.min() ?? 0)...(loads.max() ?? 0))
  }

  private init(_ store: Store, _ folder: String) throws {
    session = try store.makeSession()
    _ = try session.execute("CREATE TABLE orders(\(Self.columns))")
    try session.wait(for: .applied)
    insert = try session.prepareInsert(into: "orders")
    peer = try Connection(path: folder + "/one.db", mode: .readWriteCreate)
    try peer.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE orders(\(Self.columns))")
    peerInsert = try peer.prepare("INSERT INTO orders VALUES(?,?,?,?,?,?)", persistent: true)
  }

  private mutating func runSlice(isCounted: Bool) throws {
    let text = try slice { measurement in try measurement.execute() }
    let prepared = try slice { measurement in try measurement.runPrepared() }
    let stepped = try slice { measurement in try measurement.runPeer() }
    guard isCounted else { return }
    loads.append(loadAverage())
    self.text.add(text)
    self.prepared.add(prepared)
    self.stepped.add(stepped)
  }

  /// The nanoseconds of each statement of a slice.
  private mutating func slice(_ statement: (inout OneInFlight) throws -> Void) throws -> [UInt64] {
    var times: [UInt64] = []
    var last = clock.monotonicNanoseconds()
    for _ in 0..<Self.sliceSize {
      id += 1
      try statement(&self)
      let now = clock.monotonicNanoseconds()
      times.append(now - last)
      last = now
    }
    return times
  }

  private mutating func execute() throws {
    let user = random.next() % 200_000
    _ = try session.execute("INSERT INTO orders VALUES(\(id), \(user), 'SKU-4012', 2, 17.39, 'door at pickup')")
    try session.wait(for: .durable)
  }

  private mutating func runPrepared() throws {
    insert.bind(0, id)
    insert.bind(1, Int64(random.next() % 200_000))
    insert.bind(2, "SKU-4012")
    insert.bind(3, Int64(2))
    insert.bind(4, 17.39)
    insert.bind(5, "door at pickup")
    try insert.run()
    try session.wait(for: .durable)
  }

  private mutating func runPeer() throws {
    try peerInsert.bind(1, id)
    try peerInsert.bind(2, Int64(random.next() % 200_000))
    try peerInsert.bind(3, "SKU-4012")
    try peerInsert.bind(4, Int64(2))
    try peerInsert.bind(5, 17.39)
    try peerInsert.bind(6, "door at pickup")
    _ = try peerInsert.step()
    peerInsert.reset()
  }
}
