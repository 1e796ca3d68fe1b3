// What the live tables of a connection share: whose rows they show, as of when, and the keys that SQLite was told of.
import SluiceSQLite
import SluiceSystem

/// Whose rows the live tables of a connection show: a session that reads and writes, or a reader.
protocol LiveSource: AnyObject {
  var router: Router { get }
  /// The rows as of now. Called when a statement opens its first table.
  func makeView() throws(StoreError) -> LiveView
  /// Throws when what is running is to end.
  func checkInterrupt() throws(StoreError)
  /// Puts a change into the open transaction. Returns the row's rowid.
  func apply(_ change: RowChange, to table: LiveTable, _ action: ConflictAction) throws(StoreError) -> Int64
}

/// What the live tables of one connection share: the view of the running statements, and which keys they were told
/// about by number.
final class LiveScope {
  unowned let source: any LiveSource
  private var view: LiveView?
  private var viewCount = 0
  private var openCursors = 0
  /// Indexes that the running statements have made for themselves.
  private var lookups = Lookups()
  /// Keys of rows that SQLite knows by number: tables whose key is no integer.
  private(set) var handles = RowHandles()
  /// Whether a query that was prepared since could have used an index that live tables do not have.
  var isIndexable = false

  init(_ source: any LiveSource) { self.source = source }

  func cursorOpened() {
    if openCursors == 0 { forget() }
    openCursors += 1
  }

  func cursorClosed() {
    openCursors -= 1
    if openCursors == 0 { lookups.removeAll() }
  }

  /// The lookup of `table` by those columns for a scan of `view`; nil: the scan is to read the table itself.
  func lookup(_ table: LiveTable, by columns: [Int], in view: LiveView) throws(SQLiteError) -> Lookup? {
    try lookups.get(table, columns, in: view)
  }

  /// Lookups that were made so far.
  var lookupCount: Int { lookups.madeCount }
  /// Rows that walks of cursors have gone to so far.
  var walkedCount = 0

  /// Whether no table is open: the next one opened is a new statement's.
  var isIdle: Bool { openCursors == 0 }

  /// Runs `body`, in which all reads see the rows as of now, whatever it writes and however late they begin.
  func holding<R>(_ body: () throws(StoreError) -> R) throws(StoreError) -> R {
    cursorOpened()
    defer { cursorClosed() }
    _ = try currentView()
    return try body()
  }

  /// Runs `body` within `holding`: its reads see the rows as they are by now.
  func apart<R>(_ body: () throws(SQLiteError) -> R) throws(SQLiteError) -> R {
    let held = view
    view = nil
    defer { view = held }
    return try body()
  }

  /// The rows of the running statements: of one moment, as long as a table is open.
  func currentView() throws(StoreError) -> LiveView {
    if let view { return view }
    var made = try source.makeView()
    viewCount += 1
    made.number = viewCount
    view = made
    return made
  }

  /// Rows have changed: who begins to read now sees them.
  func renew() { view = nil }

  private func forget() {
    view = nil
    handles.removeAll()
  }

  // MARK: Plans

  /// Plans of all tables by number: a prepared statement names its own.
  private var plans: [(plan: KeyPlan, table: SQLTable)] = []

  /// A number for a plan that has none yet.
  func number(_ plan: KeyPlan, of table: LiveTable) -> Int32 {
    plans.append((plan, table.table))
    return Int32(plans.count - 1)
  }

  @inline(__always)
  func plan(_ number: Int32) -> KeyPlan { plans[Int(number)].plan }

  /// The plan with that number and its table, or nil when there is none.
  func planOfTable(_ number: Int32) -> (plan: KeyPlan, table: SQLTable)? {
    plans.indices.contains(Int(number)) ? plans[Int(number)] : nil
  }

  /// The number under which SQLite knows the row of `key` at `position`.
  func handle(of key: UnsafeRawBufferPointer, position: UInt64) -> Int64 { handles.note(key, position: position) }
}

/// Keys by the position of the version that was read: positions are never used twice, so they name rows of all tables.
struct RowHandles: ~Copyable {
  /// Bytes that the keys may take; about 4 million rows.
  private static let limitBytes = 256 << 20
  private var places: [UInt64: (offset: Int, size: Int)] = [:]
  private var keys = ByteBuffer(capacity: 64)

  mutating func removeAll() {
    if places.isEmpty { return }
    places = [:]
    keys = ByteBuffer(capacity: 64)
  }

  /// Whether the next row of a scan is too much.
  var isFull: Bool { keys.count + places.count * 32 > Self.limitBytes }

  static let tooMany = SQLiteError(
    code: 18, message: "the statement touches too many rows: their keys take more than 256 MiB")

  mutating func note(_ key: UnsafeRawBufferPointer, position: UInt64) -> Int64 {
    if places[position] == nil {
      places[position] = (keys.count, key.count)
      keys.append(key)
    }
    return Int64(bitPattern: position)
  }

  /// The key that `note` gave this number for, or nil.
  func key(_ handle: Int64) -> [UInt8]? {
    guard let (offset, size) = places[UInt64(bitPattern: handle)] else { return nil }
    return Array(UnsafeRawBufferPointer(rebasing: keys.bytes[offset..<(offset + size)]))
  }
}
