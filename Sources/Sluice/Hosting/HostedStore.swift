// A store as the SQLite of another program sees it, through one of that program's connections: the host drives the
// transactions. Its BEGIN, COMMIT and savepoints come as calls to each table that takes part; all of them mean the one
// transaction of the store, which this object keeps:
//
//   begin         the first one opens the session's transaction: from here on it reads one snapshot and its own rows
//   savepoint n   a mark in what is written
//   rollback to n what is written behind the mark is forgotten
//   sync          the first one commits: durable and applied when it returns. When another session was faster it is
//                 SQLITE_BUSY_SNAPSHOT, upon which SQLite rolls everything back (a bare SQLITE_BUSY would leave the
//                 transaction open)
//   rollback      nothing of it is written
//
// Before its first change a transaction sees, statement by statement, what is committed. A sync of the store that
// succeeds is not taken back when the host's own file, or another store, then fails to commit.
//
// A store that another process holds is shown as far as it is at the beginning of each statement, and not written.
import SluiceLSM
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// One store on one connection of a host. Belongs to the connection's thread.
package final class HostedStore {
  /// The store's directory, absolute.
  package let path: String
  /// The host's connection.
  let host: Connection
  let session: Session?
  private let reader: StoreReader?
  private let check: () throws(StoreError) -> Void
  private(set) lazy var scope = LiveScope(self)
  private var marks = Savepoints<Mark>()
  /// The table objects that take part in the transaction.
  private var begun: Set<ObjectIdentifier> = []
  /// The table that has begun last, when the transaction was open already: SQLite tells it the innermost savepoint, by
  /// the number alone. The store knows of that one, or it is older than the transaction's first change: it is not that
  /// of this moment.
  private var joining: ObjectIdentifier?
  /// What the reader shows, for a store of another process.
  private var shown: StoreView?

  /// Where a transaction can go back to.
  private struct Mark {
    let writes: OpenWrites.Mark
    let counters: [(counter: KeyCounter, key: Int64)]
  }

  /// A store that this process writes. `check` throws when it may not be used (any more).
  package init(
    path: String, host: Connection, session: Session, check: @escaping () throws(StoreError) -> Void
  ) {
    self.path = path
    self.host = host
    self.session = session
    reader = nil
    self.check = check
  }

  /// A store that another process holds.
  package init(
    path: String, host: Connection, reader: StoreReader, check: @escaping () throws(StoreError) -> Void
  ) {
    self.path = path
    self.host = host
    self.reader = reader
    session = nil
    self.check = check
    shown = reader.view
  }

  deinit {
    // In a process that may not use it (a fork) the session's locks may be held by threads that do not exist there.
    do { try check() } catch { if let session { _ = Unmanaged.passRetained(session) } }
  }

  // MARK: Catalog

  /// What a table or a view of the store is.
  package struct Object {
    package let name: String
    package let columnNames: [String]
    /// The statement that creates it.
    package let sql: String
  }

  var catalog: Catalog { session?.catalog ?? shown?.catalog ?? Catalog() }

  /// Goes on to the store's present, unless a transaction or a statement is reading.
  package func refresh() throws(StoreError) {
    try check()
    if let session {
      session.refreshCatalog()
    } else if scope.isIdle, let reader {
      try reader.refresh()
      shown = reader.view
    }
  }

  /// The SQL tables, by name.
  package var tables: [Object] {
    catalog.tables.values.map { table in
      Object(
        name: table.name, columnNames: table.definition.columns.map(\.name),
        sql: SluiceSQL.print(table.definition, shardKey: true))
    }.sorted { $0.name < $1.name }
  }

  /// The views, by name: what stands behind the name in their CREATE VIEW is their `sql`.
  package var views: [Object] {
    catalog.objects.values.compactMap { view -> Object? in
      guard view.kind == .view else { return nil }
      for head in ["CREATE VIEW ", "CREATE VIEW IF NOT EXISTS "] {
        let head = head + quotedName(view.name) + " "
        if view.sql.hasPrefix(head) {
          return Object(name: view.name, columnNames: [], sql: String(view.sql.dropFirst(head.count)))
        }
      }
      return nil
    }.sorted { $0.name < $1.name }
  }

  /// The SQL table of that name, as the host's table `hostName`. Throws `no such table`.
  package func makeTable(_ name: String, hostName: String) throws(SQLiteError) -> WritableTable {
    do throws(StoreError) { try refresh() } catch { throw SQLiteError(error) }
    guard let table = catalog.table(name) else { throw SQLiteError(message: "no such table in \(path): \(name)") }
    return HostedTable(table, in: self, hostName: hostName)
  }

  /// Throws unless `table` is still what it was when the host connected to it. Outside a transaction it is held against
  /// the present.
  func admit(_ table: HostedTable) throws(StoreError) {
    try check()
    if !marks.isOpen { try refresh() }
    try confirm(table)
  }

  private func confirm(_ table: HostedTable) throws(StoreError) {
    let current = catalog.tablesByID[table.table.id]
    guard let current, current === table.table || current.definition == table.table.definition else {
      throw StoreError(
        .conflict,
        "table \(table.table.name) was \(current == nil ? "dropped" : "altered") in the store \(path): sluice_attach() "
          + "with the same path and prefix brings its tables up to date", sqliteCode: 1)
    }
    table.follow(current)
    table.confirmedVersion = catalog.version
  }

  /// Runs a CREATE, ALTER or DROP in the store; it is applied when this returns. Not inside a transaction.
  package func define(_ sql: String) throws(StoreError) {
    try check()
    guard let session else { throw heldError }
    guard !host.isInTransaction, !marks.isOpen else {
      throw StoreError(
        .invalid, "sluice_execute cannot run within a transaction: what it does is committed at once", sqliteCode: 1)
    }
    let statement: SluiceSQL.Statement
    do { statement = try parseStatement(sql) } catch { throw StoreError(error) }
    switch statement {
    case .createTable, .dropTable, .alterTable, .createIndex, .dropIndex, .createView, .dropView: break
    case .refused(let sentence): throw StoreError(.unsupported, sentence, sqliteCode: 1)
    default:
      throw StoreError(
        .unsupported, "sluice_execute takes CREATE, ALTER and DROP; rows are for the tables themselves", sqliteCode: 1)
    }
    _ = try session.execute(sql)
    try session.settle()
    if let rejection = session.takeRejections().first { throw rejection }
  }

  // MARK: Positions

  /// The last position that a statement sees.
  package var position: UInt64 {
    get throws(StoreError) {
      try check()
      if let session { return session.store.pipeline.progress.withLock { $0.visible } }
      try refresh()
      return shown?.position ?? 0
    }
  }

  /// Waits until all that this connection has committed has reached a level.
  package func wait(for level: AcknowledgementLevel) throws(StoreError) {
    try check()
    try session?.wait(for: level)
  }

  // MARK: Transactions

  func begin(_ table: HostedTable) throws(StoreError) {
    try check()
    // A table that is only dropped begins too: without the right to write, it is the change that is refused.
    guard let session else { return }
    if marks.isOpen {
      begun.insert(ObjectIdentifier(table))
      joining = ObjectIdentifier(table)
      return
    }
    // What the transaction does is not known yet.
    try session.store.pipeline.room.admit(makesRoom: true)
    try session.begin()
    let writes: OpenWrites
    do { writes = try session.openTransaction() } catch {
      try session.abandonTransaction()
      throw error
    }
    marks.begin(mark(session, writes))
    begun.insert(ObjectIdentifier(table))
    scope.renew()
  }

  private func mark(_ session: Session, _ writes: OpenWrites) -> Mark {
    Mark(writes: writes.mark(), counters: session.takeCounters())
  }

  func savepoint(_ number: Int, _ table: HostedTable) throws(StoreError) {
    guard let session, let writes = session.writes else { return }
    if joining == ObjectIdentifier(table) {
      joining = nil
      return
    }
    marks.note(number, mark(session, writes))
  }

  func release(_ number: Int) { marks.release(number) }

  func rollback(to number: Int) throws(StoreError) {
    guard let session, let mark = marks.state(of: number) else { return }
    session.writes?.rollback(to: mark.writes)
    session.restore(mark.counters)
    scope.renew()
  }

  func sync() throws(SQLiteError) {
    guard let session, marks.isOpen else { return }
    do throws(StoreError) {
      try check()
      scope.renew()
      try session.commit()
    } catch {
      // SQLite keeps the transaction open upon a bare SQLITE_BUSY.
      throw error.sqliteCode == 5 ? SQLiteError(code: 5 | 2 << 8, message: error.message) : SQLiteError(error)
    }
    end()
  }

  func rollback() throws(StoreError) {
    guard let session, marks.isOpen else { return }
    end()
    try check()
    try session.abandonTransaction()
    scope.renew()
  }

  /// After COMMIT.
  func end() {
    marks.end()
    begun = []
  }

  /// The host drops a table: its object gets no further call. The last one that takes part cannot go with rows that
  /// are not committed.
  func drop(_ table: HostedTable) throws(SQLiteError) {
    guard begun.contains(ObjectIdentifier(table)), begun.count == 1 else {
      begun.remove(ObjectIdentifier(table))
      return
    }
    if session?.writes?.isEmpty == false {
      throw SQLiteError(code: 6, message: "table \(table.table.name) has uncommitted rows")
    }
    do { try rollback() } catch { throw SQLiteError(error) }
  }

  // MARK: Rows

  /// Why nothing can be written.
  private var heldError: StoreError {
    var holder: String?
    do { holder = try reader?.holder } catch { holder = nil }
    return StoreError(
      .unavailable,
      "\(path) is read-only here: "
        + (holder.map { "\($0) holds it" }
          ?? "another process held it when this one attached it; it can be written once all here let go of it and "
          + "attach it again"),
      sqliteCode: 8)
  }

  func change(
    _ change: RowChange, in table: HostedTable, _ action: ConflictAction
  ) throws(StoreError) -> Int64 {
    guard let session else { throw heldError }
    try check()
    if session.catalog.version != table.confirmedVersion { try confirm(table) }
    if case .delete = change {} else { try session.store.pipeline.room.admit() }
    joining = nil
    scope.renew()
    // Whatever else the statement asks for, SQLite does it: it hears of the row that is in the way.
    let action: ConflictAction = action == .replace ? .replace : .abort
    guard case .insert(let rowid, let values) = change else { return try session.apply(change, to: table, action) }
    let plan = try table.insertPlan(for: values, action == .replace ? .replace : .abort, session)
    return try session.insert(values, rowid: rowid, by: plan, into: table)
  }
}

extension HostedStore: LiveSource {
  var router: Router {
    if let session { return session.router }
    guard let shown else { preconditionFailure("a store without a source") }
    return shown.router
  }

  func makeView() throws(StoreError) -> LiveView {
    if let session { return try session.makeView() }
    guard let shown else { preconditionFailure("a store without a source") }
    return LiveView(snapshots: shown.snapshots)
  }

  func apply(
    _ change: RowChange, to table: LiveTable, _ action: ConflictAction
  ) throws(StoreError) -> Int64 {
    guard let table = table as? HostedTable else { preconditionFailure("a table of another kind") }
    return try self.change(change, in: table, action)
  }
}
