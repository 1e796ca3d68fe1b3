// An index of a live table that lasts as long as a statement: made by one pass when scans ask again and again for rows
// by the values of columns that are no key, as joins and correlated subqueries do. (SQLite makes such an index for its
// own tables, and none for virtual ones.)
//
// It holds the keys of rows, in a temporary database of SQLite's, whose pages go to a temporary file beyond
// `cacheKiB`; the rows themselves are read by their keys.
// Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Which columns a lookup is by.
struct LookupColumns: Hashable {
  let tableID: UInt32
  let columns: [Int]
}

/// Keys of rows by the encoded values of some columns, in key order. Belongs to one thread.
final class Lookup {
  /// Memory for its pages.
  private static let cacheKiB = 32 << 10
  /// Keys that are read at once.
  static let pageSize = 256

  /// Kept for its statements.
  private let connection: Connection
  private let first: SluiceSQLite.Statement
  private let next: SluiceSQLite.Statement
  private let last: SluiceSQLite.Statement
  private let previous: SluiceSQLite.Statement

  /// Reads all rows of `table` that `view` shows. NULL equals nothing, so a row with one among the columns is left out.
  init(_ table: LiveTable, by columns: [Int], in view: LiveView) throws(SQLiteError) {
    let connection = try Connection(path: "", mode: .readWriteCreate)
    self.connection = connection
    try connection.execute(
      "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -\(Self.cacheKiB); "
        + "CREATE TABLE pair(value BLOB, key BLOB); BEGIN")
    let insert = try connection.prepare("INSERT INTO pair VALUES(?, ?)")
    try Self.read(table, columns, view) { value, key throws(SQLiteError) in
      try insert.bind(1, blob: value, borrowed: true)
      try insert.bind(2, blob: key, borrowed: true)
      try insert.run()
    }
    try connection.execute("CREATE INDEX by_value ON pair(value, key); COMMIT")
    func search(_ condition: String, _ order: String) throws(SQLiteError) -> SluiceSQLite.Statement {
      try connection.prepare(
        "SELECT key FROM pair WHERE value = ?1 \(condition) ORDER BY key \(order) LIMIT \(Self.pageSize)",
        persistent: true)
    }
    first = try search("", "")
    next = try search("AND key > ?2", "")
    last = try search("", "DESC")
    previous = try search("AND key < ?2", "DESC")
  }

  private static func read(
    _ table: LiveTable, _ columns: [Int], _ view: LiveView,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(SQLiteError) -> Void
  ) throws(SQLiteError) {
    let prefix = keyPrefix(ofTable: table.table.id)
    let rows = MergeIterator(
      view.snapshots, lower: prefix, upper: successor(ofPrefix: prefix), overlay: view.overlay)
    let cells = UnsafeMutablePointer<SluiceSQLite.Cell>.allocate(capacity: table.columnCount)
    defer { cells.deallocate() }
    let needed = columns.reduce(UInt64(0)) { $0 | 1 << UInt64(min($1, 63)) }
    var value = ByteBuffer(capacity: 64)
    var count = 0
    do {
      while try rows.next() {
        let row = rows.current
        guard table.decoder.decode(row.value, into: cells, needed: needed) else { throw table.damaged(row.position) }
        value.removeAll()
        if columns.allSatisfy({ cells[$0].type != .null }) {
          for column in columns { KeyFormat.append(cells[column], to: &value) }
          try body(value.bytes, row.key)
        }
        count += 1
        if count & 1023 == 0 { try table.scope.source.checkInterrupt() }
      }
    } catch { throw SQLiteError(StoreError(converting: error)) }
  }

  /// Keys of rows with that value: the first ones behind `key`, backwards the last ones before it; nil: of all.
  func keys(
    of value: UnsafeRawBufferPointer, behind key: [UInt8]?, isDescending: Bool
  ) throws(SQLiteError) -> [[UInt8]] {
    let search = isDescending ? (key == nil ? last : previous) : (key == nil ? first : next)
    try search.bind(1, blob: value, borrowed: true)
    if let key { try search.bind(2, .blob(key)) }
    defer { search.reset() }
    var keys: [[UInt8]] = []
    while try search.step() { keys.append([UInt8](search.cell(0).bytes)) }
    return keys
  }
}

/// The lookups of the running statements, and who asks for one.
struct Lookups {
  private enum Place {
    /// Scans that have asked.
    case asked(Int)
    case made(Lookup)
  }
  /// Scans that read the table themselves before one is made: that costs as much as a few of them.
  private static let scanLimit = 3
  private var places: [LookupColumns: Place] = [:]
  /// The view that they are of.
  private var view = 0
  /// Those made so far, for tests.
  private(set) var madeCount = 0

  mutating func removeAll() { if !places.isEmpty { places = [:] } }

  /// The lookup of a scan, made when some have asked for it in the same view; nil: it is to read the
  /// table itself.
  mutating func get(
    _ table: LiveTable, _ columns: [Int], in view: LiveView
  ) throws(SQLiteError) -> Lookup? {
    if view.number != self.view {
      removeAll()
      self.view = view.number
    }
    let wanted = LookupColumns(tableID: table.table.id, columns: columns)
    switch places[wanted] ?? .asked(0) {
    case .made(let lookup): return lookup
    case .asked(let count) where count < Self.scanLimit:
      places[wanted] = .asked(count + 1)
      return nil
    case .asked:
      let lookup = try Lookup(table, by: columns, in: view)
      madeCount += 1
      places[wanted] = .made(lookup)
      return lookup
    }
  }
}
