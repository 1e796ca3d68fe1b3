// An SQL table of the store in the SQLite of another program. Reading is a live table's; this adds the host's
// transactions, and the defaults of columns that an INSERT leaves out.
//
// SQLite gives a virtual table NULL for a column that an INSERT does not name, and NULL for an explicit NULL. Which of
// the two it is stands in the text of the running INSERT, so where a column that has a default gets NULL, that is
// looked for among the connection's statements: the columns it does not name get their defaults, an explicit NULL
// stays NULL. It is found for every INSERT and REPLACE that the host itself prepared, also with WITH, SELECT and
// DEFAULT VALUES; a trigger cannot write these tables, which are DIRECTONLY. Two INSERTs into the same table that are
// under way at once with different column lists cannot be told apart: that is an error, never a wrong row. RETURNING
// shows what the statement gave, NULL for a column that it left out: SQLite does not ask the table.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

final class HostedTable: LiveTable {
  private let store: HostedStore
  let hostName: String
  /// Version of the catalog in which the table was last seen to be as it is here.
  var confirmedVersion: UInt64
  private let defaultColumns: [Int]
  private let hasDefaults: Bool
  /// The plan used last for rows in which all columns count.
  private var allColumns: InsertPlan?
  /// The INSERT that was looked at last.
  private var lastText: [UInt8] = []
  private var lastColumns: [String]?
  /// Plans for INSERTs with a column list.
  private var listedPlans: [PlanKey: InsertPlan] = [:]
  private var lastPlan: (action: OrAction, plan: InsertPlan)?

  private struct PlanKey: Hashable {
    let columns: [String]
    let action: OrAction
  }

  init(_ table: SQLTable, in store: HostedStore, hostName: String) {
    self.store = store
    self.hostName = hostName
    confirmedVersion = store.catalog.version
    defaultColumns = table.definition.columns.indices.filter { table.definition.columns[$0].defaultValue != nil }
    hasDefaults = !defaultColumns.isEmpty
    super.init(table, scope: store.scope)
  }

  override func follow(_ current: SQLTable) {
    guard current !== self.current else { return }
    super.follow(current)
    allColumns = nil
    listedPlans = [:]
    lastPlan = nil
  }

  override func makeCursor() throws(SQLiteError) -> VirtualCursor {
    do throws(StoreError) { try store.admit(self) } catch { throw SQLiteError(error) }
    return try super.makeCursor()
  }

  override func update(_ change: RowChange, onConflict action: ConflictAction) throws(SQLiteError) -> Int64 {
    do { return try store.change(change, in: self, action) } catch { throw SQLiteError(changing: error) }
  }

  // MARK: Transactions

  override func begin() throws(SQLiteError) {
    do { try store.begin(self) } catch { throw SQLiteError(error) }
  }

  override func sync() throws(SQLiteError) { try store.sync() }
  override func commit() { store.end() }

  override func rollback() {
    // Its staged file that cannot be removed is removed by the next opening.
    do { try store.rollback() } catch {}
  }

  override func savepoint(_ number: Int) throws(SQLiteError) {
    do { try store.savepoint(number, self) } catch { throw SQLiteError(error) }
  }

  override func release(_ number: Int) throws(SQLiteError) { store.release(number) }

  override func rollback(to number: Int) throws(SQLiteError) {
    do { try store.rollback(to: number) } catch { throw SQLiteError(error) }
  }

  override func drop() throws(SQLiteError) { try store.drop(self) }

  override func rename(to name: String) throws(SQLiteError) {
    throw SQLiteError(
      message: "cannot rename to \(name): the table belongs to \(store.path); sluice_execute('ALTER TABLE …') renames "
        + "it there")
  }

  // MARK: Defaults

  /// The plan for a row that the host inserts.
  @inline(__always)
  func insertPlan(
    for values: Arguments, _ action: OrAction, _ session: Session
  ) throws(StoreError) -> InsertPlan {
    if hasDefaults, lacksDefault(values) { return try planOfRunningInsert(action, session) }
    if let allColumns, allColumns.orAction == action { return allColumns }
    let plan = try session.insertPlan(self, action)
    allColumns = plan
    return plan
  }

  /// Whether a column that has a default got NULL.
  private func lacksDefault(_ values: Arguments) -> Bool {
    for column in defaultColumns where values.type(column) == .null { return true }
    return false
  }

  /// The plan for the INSERT that the host is running.
  private func planOfRunningInsert(_ action: OrAction, _ session: Session) throws(StoreError) -> InsertPlan {
    var count = 0
    var isKnown = true
    store.host.forEachRunningWrite { text in
      count += 1
      isKnown = isKnown && text.elementsEqual(lastText)
    }
    if count != 1 || !isKnown {
      try readRunningInserts()
      lastPlan = nil
    }
    if let lastPlan, lastPlan.action == action { return lastPlan.plan }
    let plan = try makePlan(action, session)
    lastPlan = (action, plan)
    return plan
  }

  private func makePlan(_ action: OrAction, _ session: Session) throws(StoreError) -> InsertPlan {
    guard let columns = lastColumns else { return try session.insertPlan(self, action) }
    let key = PlanKey(columns: columns, action: action)
    if let plan = listedPlans[key] { return plan }
    do {
      let plan = try InsertPlan(orAction: action, columns: columns, prefix: [], table: current)
      listedPlans[key] = plan
      return plan
    } catch { throw StoreError(error) }
  }

  private func readRunningInserts() throws(StoreError) {
    var found: [(text: [UInt8], columns: [String]?)] = []
    store.host.forEachRunningWrite { text in
      guard let insert = parseHostInsert(text), folded(insert.table) == folded(hostName),
        insert.schema.map({ folded($0) == "temp" }) ?? true
      else { return }
      found.append((Array(text), insert.isDefaultValues ? [] : insert.columns))
    }
    if let first = found.first, found.contains(where: { $0.columns != first.columns }) {
      throw StoreError(
        .unsupported,
        "two INSERTs into \(hostName) are under way with different columns: which of them leaves out a column that has "
          + "a default cannot be told; end the first one", sqliteCode: 1)
    }
    lastText = found.first?.text ?? []
    lastColumns = found.first?.columns ?? nil
  }
}
