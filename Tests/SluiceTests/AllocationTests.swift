// The ingest path allocates nothing per row and nothing per statement: only what a batch of some thousand rows needs.
// Counted on the session's thread, in a build without optimisation, so a release build has no more of them.
import CAllocationCount
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Allocations of the calling thread while `body` runs.
private func allocations(_ body: () throws -> Void) rethrows -> Int {
  let before = callocationcount_of_thread()
  try body()
  return Int(callocationcount_of_thread() - before)
}

/// A tape of one-row INSERTs with rows `first..<first + count`, or of INSERTs of `rowsEach` rows.
private func script(_ first: Int, _ count: Int, rowsEach: Int = 1) -> [UInt8] {
  var text = ""
  for id in first..<first + count {
    text += (id - first) % rowsEach == 0 ? "INSERT INTO orders VALUES " : ", "
    text += "(\(id),\(id * 7 % 100_000),'SKU-\(id % 1000)',\(id % 9),\(id % 997).25,'it''s a note, \(id % 77)')"
    text += (id - first + 1) % rowsEach == 0 || id + 1 == first + count ? ";\n" : ""
  }
  return Array(text.utf8)
}

@Suite(.enabled("a sanitizer has its own malloc") { callocationcount_counts() }) struct AllocationTests {
  static let rows = 20_000
  /// Allocations that one batch may take: its memory, its place in queues, the clock's and the disk's figures.
  static let perBatch = 40
  /// Of a kind that does not repeat: queues and dictionaries that grow to their size.
  static let once = 60

  private static let table = """
    CREATE TABLE orders(id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, sku TEXT, qty INTEGER, amount REAL, note TEXT)
    """

  /// What `count` rows of 60 bytes and more may take.
  private static var bound: Int { perBatch * (rows * 80 / Generations.batchBytes + 1) + once }

  private func withSession(_ body: (Session) throws -> Void) throws {
    let scratch = Scratch()
    var options = StoreOptions()
    options.synchronous = false
    let store = try Store.open(path: scratch.file("store"), options: options)
    let session = try store.makeSession()
    try session.run(Self.table)
    try body(session)
    try session.settle()
    #expect(session.takeRejections().isEmpty)
    #expect(try session.run("SELECT count(*) FROM orders") == [[.integer(Int64(2 * Self.rows))]])
    try store.close()
  }

  private func ingest(_ text: [UInt8], _ session: Session) throws {
    var line = 1
    let size = text.withUnsafeBytes { session.ingest($0, line: &line) }
    // The line feed behind the last statement belongs to what follows.
    #expect(size == text.count - 1)
  }

  @Test(arguments: [1, 500]) func ingestAllocatesNothingPerRow(_ rowsEach: Int) throws {
    try withSession { session in
      try ingest(script(0, Self.rows, rowsEach: rowsEach), session)
      let text = script(Self.rows, Self.rows, rowsEach: rowsEach)
      let count = try allocations { try ingest(text, session) }
      #expect(count <= Self.bound, "\(count) allocations for \(Self.rows) rows, at most \(Self.bound)")
    }
  }

  @Test(arguments: [1, 500]) func transactionsAllocateNothingPerRow(_ rowsEach: Int) throws {
    try withSession { session in
      try session.run("BEGIN")
      try ingest(script(0, Self.rows, rowsEach: rowsEach), session)
      let text = script(Self.rows, Self.rows, rowsEach: rowsEach)
      let count = try allocations { try ingest(text, session) }
      #expect(count <= Self.bound, "\(count) allocations for \(Self.rows) rows, at most \(Self.bound)")
      try session.run("COMMIT")
    }
  }

  @Test func preparedInsertsAllocateNothingPerRow() throws {
    try withSession { session in
      let insert = try session.prepareInsert(into: "orders")
      let sku = Array("SKU-1234".utf8)
      let note = Array("a note of some length".utf8)
      func load(_ first: Int) throws {
        for id in first..<first + Self.rows {
          insert.bind(0, Int64(id))
          insert.bind(1, Int64(id * 7 % 100_000))
          sku.withUnsafeBytes { insert.bind(2, text: $0) }
          insert.bind(3, Int64(id % 9))
          insert.bind(4, Double(id % 997))
          note.withUnsafeBytes { insert.bind(5, text: $0) }
          try insert.run()
        }
      }
      try load(0)
      let count = try allocations { try load(Self.rows) }
      #expect(count <= Self.bound, "\(count) allocations for \(Self.rows) rows, at most \(Self.bound)")
    }
  }

  @Test func theCountIsOfThisThreadAndOfAllItsAllocations() throws {
    #expect(allocations { for size in 1...100 { _ = ByteBuffer(capacity: size) } } == 100)
    let count = try allocations {
      try Thread(name: "other") { for size in 1...1000 { _ = ByteBuffer(capacity: size) } }.join()
    }
    #expect(count < 100)
    var text: [String] = []
    #expect(allocations { text = (0..<50).map { "a text that is too long to be kept in place: \($0)" } } >= 50)
    #expect(text.count == 50)
  }
}
