// A store as the SQLite of another program sees it, through one of that program's connections: the host drives the
// transactions. Its BEGIN, COMMIT and savepoints come as calls to each table that takes part; all of them mean the one
// transaction of the store, which this object keeps:
//
//   begin         the first one opens the session's transaction: from here on it reads one snapshot and its own rows
//   savepoint n   a mark in what is written
//   rollback to n what is written behind the mark is forgotten
//   sync          the first one commits: durable and applied when it returns. When another session was faster it is
//                 SQLITE_BUSY_SNAPSHOT, upon which SQLite rolls everything back. A bare SQLITE_BUSY leaves the
//                 transaction open: somebody else writes, and COMMIT can be tried again
//   rollback      nothing of it is written
//
// SQLite tells nothing of a transaction that only reads. So the first table that is opened in one is made to take part
// (`Connection.join`), which is its begin: from its first read on a transaction has one snapshot, and a row that it
// changes must be what it was there. With BEGIN IMMEDIATE the right to write is taken before the snapshot
// (`WriterLock`), so nobody can be faster. A statement alone takes it when it first reads or writes a row.
//
// A sync of the store that succeeds is not taken back when the host's own file, or another store, then fails to commit.
//
// A store that another process holds, or that this one may not write, is shown as far as it is at the beginning of each
// statement or transaction, and not written.
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
  /// Why it cannot be written, when that is not for another process.
  private let refusal: StoreError?
  private let check: () throws(StoreError) -> Void
  /// Shared with all other connections of the process to the store.
  private let writers: WriterLock
  private(set) lazy var scope = LiveScope(self)
  private var marks = Savepoints<Mark>()
  /// What the transaction has of the right to write.
  private var held: WriterLock.Mode?
  /// Whether the transaction is one statement without BEGIN.
  private var isAlone = false
  /// Whether it has begun to change rows.
  private var isWriting = false
  /// Set while a table is made to take part: whether the host began with BEGIN IMMEDIATE or EXCLUSIVE.
  private var joinsImmediate: Bool?
  /// Its writes when there were none.
  private var emptyMark: OpenWrites.Mark?
  /// All shards at the present, or before it.
  private var newest: [Snapshot] = []
  /// The table objects that take part in the transaction.
  private var begun: Set<ObjectIdentifier> = []
  /// The table that has begun last, when the transaction was open already: SQLite tells it the innermost savepoint, by
  /// the number alone. The store knows of that one, or it is older than the transaction's first change: it is not that
  /// of this moment.
  private var joining: ObjectIdentifier?
  /// What the reader shows, for a store of another process.
  private var shown: StoreView?

  /// Where a transaction can go back to; nil: nothing was written.
  private struct Mark {
    let writes: OpenWrites.Mark?
    let counters: [(counter: KeyCounter, key: Int64)]
  }

  /// A store that this process writes. `check` throws when it may not be used (any more).
  package init(
    path: String, host: Connection, session: Session, writers: WriterLock,
    check: @escaping () throws(StoreError) -> Void
  ) {
    self.path = path
    self.host = host
    self.session = session
    self.writers = writers
    reader = nil
    refusal = nil
    self.check = check
  }

  /// A store that another process holds, or that cannot be written for `refusal`.
  package init(
    path: String, host: Connection, reader: StoreReader, refusal: StoreError?,
    check: @escaping () throws(StoreError) -> Void
  ) {
    self.refusal = refusal
    self.path = path
    self.host = host
    self.reader = reader
    writers = WriterLock()
    session = nil
    self.check = check
    shown = reader.view
  }

  deinit {
    letGo()
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
    } else if scope.isIdle, !marks.isOpen, let reader {
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

  /// A table is opened to be read. Throws unless it is still what it was when the host connected to it. Outside a
  /// transaction it is held against the present.
  func admit(_ table: HostedTable) throws(StoreError) {
    try check()
    if !marks.isOpen {
      try refresh()
      if host.isInTransaction { try enter(table) }
    }
    if marks.isOpen { try open(.exclusive) }
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
    try hold(.exclusive)
    defer { letGo() }
    _ = try session.execute(sql)
    try session.settle()
    if let rejection = session.takeRejections().first { throw rejection }
  }

  // MARK: Positions

  /// The last position that a statement sees.
  package var position: UInt64 {
    get throws(StoreError) {
      try check()
      if let snapshot = session?.writes?.snapshots.first { return snapshot.position }
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

  /// The host has begun a transaction and reads for the first time in it.
  private func enter(_ table: HostedTable) throws(StoreError) {
    if joinsImmediate != nil { return }
    joinsImmediate = host.isImmediate
    defer { joinsImmediate = nil }
    do { try host.join(table: table.hostName) } catch {
      guard error.primaryCode == 23 else { throw StoreError(error) }
      throw StoreError(
        .invalid,
        "not authorized: a transaction that reads \(table.hostName) begins with DELETE FROM temp.\(table.hostName) "
          + "WHERE 0, which the connection does not allow", sqliteCode: 23)
    }
    // Created in this transaction it takes part already, without a begin.
    if !marks.isOpen { try begin(table) }
  }

  func begin(_ table: HostedTable) throws(StoreError) {
    try check()
    if marks.isOpen {
      begun.insert(ObjectIdentifier(table))
      joining = ObjectIdentifier(table)
      return
    }
    // A table that is only dropped begins too: without the right to write, it is the change that is refused.
    if let session { try begin(session) } else { try refresh() }
    marks.begin(mark())
    begun.insert(ObjectIdentifier(table))
    scope.renew()
  }

  private func begin(_ session: Session) throws(StoreError) {
    isAlone = !host.isInTransaction
    if joinsImmediate ?? host.isImmediate { try hold(.exclusive) }
    do {
      session.refreshCatalog()
      try session.begin()
      if !isAlone { try open(.exclusive) }
    } catch {
      letGo()
      try session.abandonTransaction()
      throw error
    }
  }

  /// Takes the snapshot that the transaction reads, and first, for a statement alone, the right to write in this mode.
  private func open(_ mode: WriterLock.Mode) throws(StoreError) {
    guard let session, session.writes == nil else { return }
    if isAlone, held == nil { try hold(mode) }
    let writes = try session.openTransaction()
    emptyMark = writes.mark()
    if held == nil { writes.present = { [unowned self] in present(session) } }
    scope.renew()
  }

  /// All shards as they are now; nil: nothing was committed since the transaction's snapshot.
  private func present(_ session: Session) -> [Snapshot]? {
    let visible = session.store.pipeline.positions.visible
    guard let own = session.writes?.snapshots.first?.position, visible > own else { return nil }
    if newest.first.map({ $0.position < visible }) ?? true { newest = session.store.pipeline.view() }
    return newest
  }

  /// Takes the right to write; waits for it as long as the host waits for locks.
  private func hold(_ mode: WriterLock.Mode) throws(StoreError) {
    if !writers.take(mode) {
      let milliseconds = host.busyTimeoutMilliseconds
      guard milliseconds > 0, writers.take(mode, timeoutMilliseconds: milliseconds) else {
        throw StoreError(
          .overloaded,
          "database is locked: another connection of this process writes \(path)"
            + (milliseconds > 0 ? ", and did so for all of the busy timeout of \(milliseconds) ms" : ""), sqliteCode: 5)
      }
    }
    held = mode
  }

  /// Gives back the right to write. Not in a forked process, where nobody else can have it.
  private func letGo() {
    guard let mode = held else { return }
    held = nil
    do { try check() } catch { return }
    writers.give(mode)
  }

  private func mark() -> Mark {
    Mark(writes: session?.writes?.mark(), counters: session?.takeCounters() ?? [])
  }

  func savepoint(_ number: Int, _ table: HostedTable) throws(StoreError) {
    guard session != nil, marks.isOpen else { return }
    if joining == ObjectIdentifier(table) {
      joining = nil
      return
    }
    marks.note(number, mark())
  }

  func release(_ number: Int) { marks.release(number) }

  func rollback(to number: Int) throws(StoreError) {
    guard let session, let mark = marks.state(of: number) else { return }
    if let writes = session.writes, let place = mark.writes ?? emptyMark { writes.rollback(to: place) }
    session.restore(mark.counters)
    scope.renew()
  }

  func sync() throws(SQLiteError) {
    guard let session, marks.isOpen else { return }
    let isEmpty = session.writes?.isEmpty ?? true
    // Not had in time, the transaction goes on.
    if held == nil, !isEmpty {
      do { try hold(.shared) } catch { throw SQLiteError(error) }
    }
    do throws(StoreError) {
      try check()
      // A query that is being read goes on as it began, unless rows of its transaction are among those it shows.
      if !isEmpty { scope.renew() }
      try session.commit()
    } catch { throw isAlone ? SQLiteError(ofStatement: error) : SQLiteError(ofTransaction: error) }
    end()
  }

  func rollback() throws(StoreError) {
    guard marks.isOpen else { return }
    let hasWritten = session?.writes?.isEmpty == false
    end()
    guard let session else { return }
    try check()
    // Who has only read took no numbers, and gives none back.
    guard hasWritten || session.transaction?.failure != nil else { return try session.commit() }
    try session.abandonTransaction()
    scope.renew()
  }

  /// After COMMIT.
  func end() {
    marks.end()
    begun = []
    joining = nil
    isAlone = false
    isWriting = false
    emptyMark = nil
    newest = []
    letGo()
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
    if let refusal { return StoreError(.unavailable, "\(path) is read only: \(refusal.message)", sqliteCode: 8) }
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
    // After the store's own failure SQLite may go on with the transaction; the store does not.
    try session.checkTransaction()
    if !isWriting { try beginWriting(change, table, action, session) }
    do throws(StoreError) { return try write(change, in: table, action, session) } catch { throw session.losing(error) }
  }

  private func write(
    _ change: RowChange, in table: HostedTable, _ action: ConflictAction, _ session: Session
  ) throws(StoreError) -> Int64 {
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

  /// The transaction's first change.
  private func beginWriting(
    _ change: RowChange, _ table: HostedTable, _ action: ConflictAction, _ session: Session
  ) throws(StoreError) {
    // What the transaction does besides is not known yet.
    try session.store.pipeline.room.admit(makesRoom: true)
    // Created in this transaction it takes part without a begin.
    if !marks.isOpen { try begin(table) }
    var mode = WriterLock.Mode.exclusive
    if case .insert = change, action == .abort { mode = .shared }
    try open(mode)
    isWriting = true
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

  /// SQLite's own interrupt is seen by the host's statement.
  func checkInterrupt() throws(StoreError) {}

  func apply(
    _ change: RowChange, to table: LiveTable, _ action: ConflictAction
  ) throws(StoreError) -> Int64 {
    guard let table = table as? HostedTable else { preconditionFailure("a table of another kind") }
    return try self.change(change, in: table, action)
  }
}

extension SQLiteError {
  /// Why a row cannot be changed.
  init(changing error: StoreError) {
    if error.kind == .conflict { self.init(ofTransaction: error) } else { self.init(error) }
  }

  /// Why a COMMIT failed. Whoever overtook it, all that can be done is to begin anew.
  fileprivate init(ofTransaction error: StoreError) {
    guard error.sqliteCode == 5 else {
      self.init(error)
      return
    }
    self.init(code: 5 | 2 << 8, message: error.message)
  }

  /// Why a statement alone failed. It rests on nothing that others can have changed, but its key may be taken.
  fileprivate init(ofStatement error: StoreError) {
    guard error.message.hasPrefix("UNIQUE "), error.message.hasSuffix(Session.overtaken) else {
      self.init(ofTransaction: error)
      return
    }
    let message = String(error.message.dropLast(Session.overtaken.count))
    self.init(StoreError(error.kind, message, sqliteCode: 19))
  }
}
