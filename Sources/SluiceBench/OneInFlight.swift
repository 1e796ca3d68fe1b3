// One statement in flight at a time: an autocommitted INSERT, then a wait until it is durable, then the next; against
// SQLite's own API with one transaction for each row (WAL, synchronous = FULL). The two take turns, a slice of
// statements each, so that both meet the same disk.
import Sluice
import SluiceSQLite
import SluiceSystem

/// What one statement in flight at a time costs, in a store and in a SQLite file.
struct OneInFlight {
  /// Latencies of each kind of statement, over all slices.
  struct Result {
    /// `session.execute` of the text of an INSERT, then `wait(for: .durable)`.
    var text = LatencyHistogram()
    /// The same with a prepared INSERT.
    var prepared = LatencyHistogram()
    /// SQLite: a prepared INSERT, stepped, outside a transaction.
    var peer = LatencyHistogram()
    /// For each slice SQLite's time over that of `text`, rising.
    var ratios: [Double] = []
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
  private var result = Result()

  /// Runs `statements` of each kind on a store and a file in `folder`, which must exist. The caller removes it.
  static func measure(_ folder: String, statements: Int) throws -> Result {
    let store = try Store.open(path: folder + "/one.sluice")
    var measurement = try OneInFlight(store, folder)
    let slices = max(statements / sliceSize, 1)
    // One slice to warm up: SQLite's first thousand pages make its log grow, ours creates the first segment.
    for slice in 0...slices { try measurement.runSlice(isCounted: slice > 0) }
    measurement.peer.close()
    try store.close(drain: false)
    measurement.result.ratios.sort()
    return measurement.result
  }

  /// Measures, and prints a line for each kind.
  static func report(_ folder: String, statements: Int, json: Bool) throws {
    let result = try measure(folder, statements: statements)
    let kinds = [
      ("execute", result.text), ("prepared", result.prepared), ("sqlite, prepared", result.peer),
    ]
    let ratio = median(result.ratios)
    if !json {
      print(
        "\none statement in flight, \(result.text.count) each, in turn; sqlite / execute \(fixed(ratio, 2)), goal 1.1")
      print(pad("statement", 24) + padLeft("p50 us", 10) + padLeft("p99 us", 10) + padLeft("max us", 10))
    }
    for (name, times) in kinds {
      let (middle, high) = (times.microseconds(quantile: 0.5), times.microseconds(quantile: 0.99))
      let longest = Double(times.longestNanoseconds) / 1e3
      if json {
        print(
          """
          {"workload":"one in flight","statement":\(quoted(name)),"count":\(times.count),"p50_us":\(middle),\
          "p99_us":\(high),"max_us":\(longest),"ratio":\(ratio)}
          """)
      } else {
        print(
          pad(name, 24) + padLeft(fixed(middle, 1), 10) + padLeft(fixed(high, 1), 10) + padLeft(fixed(longest, 0), 10))
      }
    }
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
    var slice = (text: LatencyHistogram(), prepared: LatencyHistogram(), peer: LatencyHistogram())
    let text = try times(&slice.text) { measurement in try measurement.execute() }
    _ = try times(&slice.prepared) { measurement in try measurement.runPrepared() }
    let peer = try times(&slice.peer) { measurement in try measurement.runPeer() }
    guard isCounted else { return }
    result.text.merge(slice.text)
    result.prepared.merge(slice.prepared)
    result.peer.merge(slice.peer)
    result.ratios.append(peer / text)
  }

  /// Nanoseconds of a slice; each statement's go to `histogram`.
  private mutating func times(
    _ histogram: inout LatencyHistogram, _ statement: (inout OneInFlight) throws -> Void
  ) throws -> Double {
    let begin = clock.monotonicNanoseconds()
    var last = begin
    for _ in 0..<Self.sliceSize {
      id += 1
      try statement(&self)
      let now = clock.monotonicNanoseconds()
      histogram.add(now - last)
      last = now
    }
    return Double(last - begin)
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
