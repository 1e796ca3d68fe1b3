// A small ordered table in memory, as an author of a writable table would write it, with its calls noted.
import CSQLite
import SluiceSQLite
import SluiceSystem

/// What outlives a connected table, as a store would.
final class OrderedRows {
  struct Row: Equatable {
    var key: Int64
    var values: [Value]
  }

  var rows: [Row] = []
  var savepoints = Savepoints<[Row]>()
  /// What SQLite called, in its order.
  var calls: [String] = []
  /// The call that fails, and how.
  var failing: String?
  var failure = SQLiteError(code: SQLITE_ERROR, message: "refused: é")

  var keys: [Int64] { rows.map(\.key) }

  func note(_ call: String) throws(SQLiteError) {
    calls.append(call)
    if call == failing { throw failure }
  }

  /// The calls since the last time.
  func takeCalls() -> [String] {
    defer { calls = [] }
    return calls
  }
}

/// `(k INTEGER PRIMARY KEY, a UNIQUE, b)` with k as the rowid, as SQLite's own table of that shape behaves.
final class OrderedTable: WritableTable {
  typealias Row = OrderedRows.Row

  private let name: String
  private let store: OrderedRows

  init(_ name: String = "t", _ store: OrderedRows = OrderedRows()) {
    self.name = name
    self.store = store
    super.init(columns: ["k INTEGER", "a", "b"])
  }

  fileprivate(set) var rows: [Row] {
    get { store.rows }
    set { store.rows = newValue }
  }

  override func makeCursor() throws(SQLiteError) -> VirtualCursor { OrderedCursor(self) }

  private func place(_ key: Int64) -> Int { rows.firstIndex { $0.key >= key } ?? rows.count }
  private func holds(_ key: Int64, at place: Int) -> Bool { place < rows.count && rows[place].key == key }

  override func update(_ change: RowChange, onConflict: ConflictAction) throws(SQLiteError) -> Int64 {
    switch change {
    case .insert(let rowid, let values):
      try store.note("insert")
      return try put(values, rowid, replacing: nil, onConflict)
    case .update(let rowid, let newRowid, let values):
      try store.note("update")
      return try put(values, newRowid == rowid ? nil : newRowid, replacing: rowid, onConflict)
    case .delete(let rowid):
      try store.note("delete")
      let place = place(rowid)
      if holds(rowid, at: place) { rows.remove(at: place) }
      return 0
    }
  }

  /// Looks at all constraints before it changes anything.
  private func put(
    _ values: Arguments, _ rowid: Int64?, replacing old: Int64?, _ action: ConflictAction
  ) throws(SQLiteError) -> Int64 {
    let key: Int64
    switch values.cell(0).type {
    case .integer: key = rowid ?? values.cell(0).integer
    case .null where old == nil: key = rowid ?? (rows.last?.key ?? 0) + 1
    default: throw SQLiteError(code: SQLITE_MISMATCH, message: "datatype mismatch")
    }
    let row = Row(key: key, values: [.integer(key), values.value(1), values.value(2)])
    var inTheWay: [Int64] = []
    if key != old, holds(key, at: place(key)) {
      guard action == .replace else { throw conflict("k", SQLITE_CONSTRAINT | 6 << 8) }
      inTheWay.append(key)
    }
    if row.values[1] != .null, let other = rows.first(where: { $0.key != old && $0.values[1] == row.values[1] }) {
      guard action == .replace else { throw conflict("a", SQLITE_CONSTRAINT | 8 << 8) }
      inTheWay.append(other.key)
    }
    rows.removeAll { inTheWay.contains($0.key) || $0.key == old }
    rows.insert(row, at: place(key))
    return key
  }

  private func conflict(_ column: String, _ code: Int32) -> SQLiteError {
    SQLiteError(code: code, message: "UNIQUE constraint failed: \(name).\(column)")
  }

  override func begin() throws(SQLiteError) {
    try store.note("begin")
    store.savepoints.begin(rows)
  }

  override func sync() throws(SQLiteError) { try store.note("sync") }

  override func commit() {
    store.calls.append("commit")
    store.savepoints.end()
  }

  override func rollback() {
    store.calls.append("rollback")
    if let state = store.savepoints.end() { rows = state }
  }

  override func savepoint(_ number: Int) throws(SQLiteError) {
    try store.note("savepoint \(number)")
    store.savepoints.note(number, rows)
  }

  override func release(_ number: Int) throws(SQLiteError) {
    try store.note("release \(number)")
    store.savepoints.release(number)
  }

  override func rollback(to number: Int) throws(SQLiteError) {
    try store.note("rollback to \(number)")
    if let state = store.savepoints.state(of: number) { rows = state }
  }

  override func drop() throws(SQLiteError) { try store.note("drop") }
}

/// Reads the rows as they were when the scan began, so that they may change under it.
private final class OrderedCursor: VirtualCursor {
  private let table: OrderedTable
  private var rows: [OrderedTable.Row] = []
  private var index = 0
  private var bytes: [UnsafeMutableRawBufferPointer] = []

  init(_ table: OrderedTable) {
    self.table = table
    super.init(columnCount: 3)
  }

  deinit { for memory in bytes { memory.deallocate() } }

  override func start(_ scan: Scan) throws(SQLiteError) -> Bool {
    (rows, index) = (table.rows, -1)
    return try next()
  }

  override func next() throws(SQLiteError) -> Bool {
    index += 1
    guard index < rows.count else { return false }
    for memory in bytes { memory.deallocate() }
    bytes = []
    for (column, value) in rows[index].values.enumerated() { cells[column] = cell(value) }
    return true
  }

  override var rowid: Int64? { rows[index].key }

  private func cell(_ value: Value) -> Cell {
    switch value {
    case .null: .null
    case .integer(let number): .integer(number)
    case .real(let number): .real(number)
    case .text(let content): .text(copy(content))
    case .blob(let content): .blob(copy(content))
    }
  }

  private func copy(_ content: [UInt8]) -> UnsafeRawBufferPointer {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 1)
    memory.copyBytes(from: content)
    bytes.append(memory)
    return UnsafeRawBufferPointer(memory)
  }
}
