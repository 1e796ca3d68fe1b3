// One client's conversation: statements in, in order; outcomes out, in order. The row path is in
// Session+Ingest.swift, all other statements in Session+Execute.swift.
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Executes statements one after another. Used by one thread at a time; a store gives out as many as wanted.
///
/// INSERTs are pipelined: they are encoded, handed to the queue, and acknowledged by `settle()`. What was rejected
/// when it was applied (a duplicate key) comes back through `takeRejections()` with the line of its statement.
public final class Session {
  let store: StoreCore
  let id: UInt64
  var builder = BatchBuilder(capacity: Generations.batchBytes + (64 << 10))
  /// Where the builder stands when it is empty.
  let emptyMark: BatchBuilder.Mark
  var row = RowBuilder()
  /// The number of the row being built, in a table without a primary key.
  var number: Int64 = 0
  /// Whether the statement says itself what becomes of a row whose key is taken: ON CONFLICT.
  var handlesConflict = false
  var key = ByteBuffer()
  /// A shard key while its slot is worked out.
  var slotScratch = ByteBuffer()
  let evaluator: Evaluator
  let lastRowid = LastRowid()
  var counts = RowCounts()
  /// The catalog as this session sees it: the shared one, and its own changes inside a transaction.
  var catalog: Catalog
  var plan: InsertPlan?
  var transaction: Transaction?
  /// What the appender gave for the last item handed over.
  var ticket: UInt64 = 0
  /// The one up to which somebody was told how it stands.
  private var toldTicket: UInt64 = 0
  /// The connection to projections.db.
  private(set) var reader: FileReader?
  /// What PRAGMA has set.
  var settings = PragmaSettings()
  /// Ends what this session is running, from any thread.
  public let interrupter = SessionInterrupter()
  /// What the statement being prepared on `reader` reads, by folded name.
  var fileReads: Set<String> = []
  /// The connection over live tables, once a statement needed it.
  var liveConnection: LiveConnection?
  /// What the open transaction has written, once it reads or SQLite evaluates for it; or one changing statement.
  var writes: OpenWrites?
  /// One that a statement has left, to be used again.
  var spareWrites: OpenWrites?
  /// The INSERT with ON CONFLICT that ran last.
  var lastUpsert: Upsert?
  /// Where the rows of a statement with RETURNING are collected.
  var returned: ReturnedRows?
  /// Tables with INTEGER PRIMARY KEY from which the statement has removed rows.
  var lowered: [SQLTable] = []
  /// Whether an interrupt ends what waits for a level.
  private var waitsInterruptibly = false
  /// Line of the statement that is being run.
  var currentLine = 1
  /// Rows of the last result, while their statement may still run.
  weak var openRows: Rows?
  /// Rows that the last INSERT, UPDATE or DELETE changed; see `changes()`. Of rows on their way it is known which have
  /// an effect once they are applied (`settle`).
  public internal(set) var changeCount: Int64 = 0
  /// Rows that the statement which SQLite evaluates has inserted so far.
  var insertedCount: Int64 = 0
  /// The sum of `changeCount` over all statements of the session; see `total_changes()`.
  public internal(set) var totalChangeCount: Int64 = 0
  /// Values for the parameters of statements, by name with its first character (`:n`, `@n`, `$n`, `?1`). Others are
  /// NULL, as in SQLite.
  public var parameters: [String: Value] = [:]
  /// Values for the parameters of the statement that is being run, by number; nil: it is given none.
  var positional: [Value]?
  /// The parameters of a statement that is given values, or taken apart.
  var parameterList = ParameterList()
  /// Whether a query that has no help from a key may be answered from its table's mirror, when that is as far.
  package var readsMirrors = true

  /// Whether a SELECT from a projection waits until that holds what this session wrote (`SET read`).
  public var readsOwn = true
  /// The level that `settle()` waits for.
  public var acknowledgement: AcknowledgementLevel
  /// Whether each statement is confirmed before the next, and a rejected one undoes its whole transaction (`-bail`).
  public var stopAtFirstError = false

  /// A connection to one projections.db.
  struct FileReader {
    let connection: Connection
    /// `Progress.fileNumber`.
    let fileNumber: Int
    /// Whether its schema is the one that the projector left.
    fileprivate let isSame: SluiceSQLite.Statement
  }

  /// An open BEGIN … COMMIT.
  struct Transaction {
    /// Where its batches go once they are too much for memory.
    var staged: StagedSegment?
    var hasCatalogChanges = false
    /// Highest keys when it began, by table.
    var highestKeys: [(counter: KeyCounter, key: Int64)] = []
    /// Why it is lost: nothing of it is left, and nothing is taken until it ends.
    var failure: StoreError?
    /// SAVEPOINTs, the oldest first.
    var savepoints: [Savepoint] = []
    /// Whether SAVEPOINT began it: RELEASE of the first one is COMMIT.
    var isSavepoint = false
  }

  /// A place in the transaction to go back to.
  struct Savepoint {
    let name: String
    let mark: OpenWrites.Mark
    let catalog: Catalog
    let hasCatalogChanges: Bool
    /// Highest keys at this place, by table.
    let highestKeys: [(counter: KeyCounter, key: Int64)]
  }

  init(store: StoreCore) throws(StoreError) {
    self.store = store
    acknowledgement = store.options.acknowledgement
    catalog = store.pipeline.catalog.withLock { $0 }
    emptyMark = builder.mark()
    evaluator = try Evaluator(lastRowid: lastRowid)
    id = store.pipeline.openSession()
    settings.isQueryOnly = store.options.isReadOnly
    try evaluator.interrupted(by: interrupter)
  }

  deinit {
    // An open transaction ends with its session, undone. The staged file has no adoption record: the next opening would
    // remove it too.
    do { if let staged = transaction?.staged { try store.pipeline.discard(staged) } } catch {}
    store.pipeline.closeSession(id)
  }

  /// Whether BEGIN was given and neither COMMIT nor ROLLBACK yet.
  public var inTransaction: Bool { transaction != nil }

  // MARK: Sending

  /// Hands what was encoded so far to the appender. Nothing inside a transaction: that waits for COMMIT.
  func sendBatch() throws(StoreError) {
    // Nobody is told that all is well once something could not be written.
    try store.pipeline.checkFailure()
    guard transaction == nil, !builder.isEmpty else { return }
    ticket = try store.pipeline.submit(seal())
    noteSubmission()
  }

  /// Sends what is pending and waits until it is durable.
  private func waitDurable() throws(StoreError) {
    if transaction == nil, !builder.isEmpty {
      ticket = try store.pipeline.write(seal())
      noteSubmission()
    } else {
      try store.pipeline.waitDurable(ticket)
    }
  }

  func seal() -> Batch {
    builder.seal(
      timeMicroseconds: store.options.clock.wallMicroseconds(),
      flags: stopAtFirstError && inTransaction ? .allOrNothing : [], session: id)
  }

  /// Called at the end of each statement: sends or stages when enough has come together.
  func statementEnded() throws(StoreError) {
    if writes != nil { return }
    if transaction == nil {
      if stopAtFirstError {
        try waitForOutcome()
      } else if builder.size >= store.pipeline.generations.handOverBytes {
        try sendBatch()
      }
    } else if builder.size >= store.options.stageBytes, !stopAtFirstError {
      try stage()
    }
  }

  /// Moves the transaction's encoded rows to its staged segment.
  func stage() throws(StoreError) {
    guard !builder.isEmpty else { return }
    do {
      let staged = try transaction?.staged ?? store.pipeline.log.stage()
      transaction?.staged = staged
      let batch = seal()
      store.pipeline.room.note(batch.size)
      try staged.append(batch)
      store.pipeline.foresee(staged)
    } catch { throw losing(StoreError(converting: error)) }
  }

  // MARK: Waiting

  /// Sends what is pending and waits until it has reached the acknowledgement level.
  public func acknowledge() throws(StoreError) { try wait(for: acknowledgement) }

  /// Sends what is pending and waits until it has reached a level: on the disk, readable, in projections.db. Nothing of
  /// an open transaction.
  public func wait(for level: AcknowledgementLevel) throws(StoreError) {
    do throws(StoreError) {
      switch level {
      case .queued: try sendBatch()
      case .durable: try waitDurable()
      case .applied: try waitForOutcome()
      case .projected:
        try waitForOutcome()
        do throws(StoreError) { try waitMirrored(isInterruptible: waitsInterruptibly) } catch {
          throw error.leaving(.stored)
        }
      }
      if level != .queued { toldTicket = ticket }
    } catch {
      // What was handed over since something was told may be stored, though the last rows are not.
      let isOpen = ticket != toldTicket
      if error.sqliteCode != StopSignal.sqliteCode { toldTicket = ticket }
      throw isOpen ? error.leaving(.unknown) : error
    }
  }

  /// Whether the outcome of something that was handed over is not known yet.
  private var isOnItsWay: Bool {
    let id = id
    return store.pipeline.progress.withLock { progress in
      progress.sessions[id].map { $0.resolved < $0.submitted } ?? false
    }
  }

  /// Whether the outcome of something that the session was given is not known yet. Nothing of an open transaction.
  var isPending: Bool { transaction == nil && (!builder.isEmpty || isOnItsWay) }

  /// Sends what is pending and waits until its outcome is known. When that does not come, what was handed over is in
  /// doubt: it may be in the log, where the next opening finds it.
  func waitForOutcome() throws(StoreError) {
    if transaction == nil, !builder.isEmpty { try sendBatch() }
    try waitSent()
    foldCounts()
    refreshCatalog()
  }

  /// The same for what was sent, without a look at what it changed.
  func waitSent() throws(StoreError) {
    let id = id
    let pipeline = store.pipeline
    do throws(StoreError) {
      try pipeline.wait(unless: obstacle { pipeline.applyObstacle }) {
        $0.sessions[id].map { $0.resolved == $0.submitted } == true ? () : nil
      }
    } catch { throw isOnItsWay ? error.leaving(.unknown) : error }
  }

  /// As `wait`, but ends when what the interrupter obeys says so: nothing is undone by that.
  func waitInterruptibly(for level: AcknowledgementLevel) throws(StoreError) {
    waitsInterruptibly = true
    defer { waitsInterruptibly = false }
    do throws(StoreError) { try wait(for: level) } catch { throw interrupter.explain(error) }
  }

  /// What ends waiting: `obstacle`, or an interrupt where that is listened to.
  private func obstacle(_ obstacle: @escaping () -> StoreError?) -> () -> StoreError? {
    guard waitsInterruptibly else { return obstacle }
    let interrupter = interrupter
    return { interrupter.isSignalled ? SessionInterrupter.error : obstacle() }
  }

  /// Sends what is pending and waits until it has reached the acknowledgement level and its outcome is known.
  public func settle() throws(StoreError) {
    try acknowledge()
    try waitForOutcome()
  }

  /// As `waitForOutcome`, unless writing has ended.
  func waitApplied() throws(StoreError) {
    try sendBatch()
    try waitForOutcome()
  }

  /// Waits until projections.db holds everything this session wrote, and everything that was durable when it began.
  func waitProjected() throws(StoreError) {
    try waitApplied()
    try waitMirrored()
  }

  /// Takes the errors of statements that were accepted earlier and rejected when applied, in their order.
  public func takeRejections() -> [StoreError] {
    let id = id
    let rejections = store.pipeline.progress.withLock { progress -> [Rejection] in
      defer { progress.sessions[id]?.rejections = [] }
      return progress.sessions[id]?.rejections ?? []
    }
    return rejections.map { StoreError($0) }
  }

  /// Rejections that nobody has taken yet.
  var rejectionCount: Int { store.pipeline.progress.withLock { $0.sessions[id]?.rejections.count ?? 0 } }

  /// Takes the rejection that came after the first `count`, if there is one.
  func takeRejection(after count: Int) -> StoreError? {
    let id = id
    let rejection = store.pipeline.progress.withLock { progress -> Rejection? in
      guard let session = progress.sessions[id], session.rejections.count > count else { return nil }
      return progress.sessions[id]?.rejections.remove(at: count)
    }
    return rejection.map { StoreError($0) }
  }

  /// Takes the shared catalog when it has changed. Inside a transaction the session keeps the one it has.
  func refreshCatalog() {
    guard transaction == nil else { return }
    let known = catalog.version
    guard let current = store.pipeline.catalog.withLock({ $0.version == known ? nil : $0 }) else { return }
    catalog = current
    plan = nil
  }

  // MARK: Reading

  /// The connection that reads projections.db: it knows the system tables, and writes nothing. It was looked at what
  /// others did to the file: removed or replaced it, or changed its schema. Throws why there is none to read.
  func queryConnection() throws(StoreError) -> Connection { try trustedReader().connection }

  /// The same, with its file.
  func trustedReader() throws(StoreError) -> FileReader {
    let pipeline = store.pipeline
    var failure = StoreError(.overloaded, "projections.db is changed by another program all the time", sqliteCode: 5)
    for _ in 0..<5 {
      let number = try pipeline.wait(unless: pipeline.projectorObstacle()) { $0.fileNumber != 0 ? $0.fileNumber : nil }
      var damage: SQLiteError?
      do throws(SQLiteError) {
        if reader?.fileNumber != number { reader = try openReader(number) }
        if let reader, try !isTouched(reader) { return reader }
      } catch {
        failure = StoreError(error)
        if error.kind == .interrupted { throw failure }
        if error.isAboutFile { damage = error }
      }
      let requests = pipeline.projectorRequests
      let look = damage.map { requests.examine($0, fileNumber: number) } ?? requests.examine()
      pipeline.wakeProjector()
      try pipeline.wait(unless: pipeline.projectorObstacle()) { $0.examined >= look ? () : nil }
    }
    throw failure
  }

  private func openReader(_ number: Int) throws(SQLiteError) -> FileReader {
    let connection = try store.openReader()
    try interrupter.watch(connection)
    try registerFunctions(connection)
    try connection.watchReads { [unowned self] read in
      fileReads.insert(folded(read.table))
      if let view = read.view { fileReads.insert(folded(view)) }
      return true
    }
    connection.watchesReads = false
    // Nobody tells a session that only reads what others have done to the file since.
    let position = store.options.isReadOnly ? " AND position = \(store.pipeline.log.lastPosition)" : ""
    let isSame = try connection.prepare(
      "SELECT schema_version = (SELECT schema FROM main.sluice_checkpoint WHERE 1\(position)) "
        + "FROM pragma_schema_version", persistent: true)
    return FileReader(connection: connection, fileNumber: number, isSame: isSame)
  }

  /// Whether a statement reads projections.db, as the last that was prepared.
  func readsFile(_ statement: SluiceSQLite.Statement) -> Bool {
    statement.connection === reader?.connection || liveConnection?.reads.isEmpty == false
  }

  /// Has statements read the file that can be trusted now; true when that is another one than the last.
  func changesFile() throws(StoreError) -> Bool {
    let before = reader?.fileNumber
    let number = try trustedReader().fileNumber
    guard let live = liveConnection, live.fileNumber != number else { return before != nil && before != number }
    do { try live.attach(store.projections, number: number) } catch { throw StoreError(error) }
    return true
  }

  /// Whether a file is another one than it was, or its schema is not the one that the projector left.
  private func isTouched(_ reader: FileReader) throws(SQLiteError) -> Bool {
    if reader.connection.hasMoved() { return true }
    guard try reader.isSame.rows() == [[.integer(1)]] else { return true }
    // The projector tells its count a moment behind its commit: then it is asked.
    guard let changes = store.pipeline.progress.withLock({ $0.fileChanges }) else { return false }
    return try reader.connection.walIndex()?.changes != changes
  }

  /// The connection over live tables, in the state of the session's catalog.
  func live() throws(StoreError) -> LiveConnection {
    do {
      if liveConnection == nil {
        let made = try LiveConnection(source: self)
        try interrupter.watch(made.connection)
        try registerFunctions(made.connection)
        try SystemTables.register(on: made.connection, store: store)
        liveConnection = made
      }
      guard let liveConnection else { preconditionFailure("a connection that was just made") }
      try attach(liveConnection)
      try liveConnection.follow(catalog)
      let isChanged = transaction?.hasCatalogChanges == true
      let shared = isChanged ? store.pipeline.catalog.withLock { Array($0.tables.keys) } : []
      liveConnection.hidden = Set(shared.filter { catalog.tables[$0] == nil })
      return liveConnection
    } catch { throw StoreError(error) }
  }

  /// Those on which SQLite evaluates for this session, as far as there are any yet.
  var connections: [Connection] {
    evaluator.connections + [reader?.connection, liveConnection?.connection].compactMap(\.self)
  }

  /// Has projections.db attached, if there is one that can be read. What is wrong with it keeps nobody from the tables.
  private func attach(_ live: LiveConnection) throws(SQLiteError) {
    let pipeline = store.pipeline
    let number = pipeline.progress.withLock { $0.fileNumber }
    do throws(SQLiteError) { try live.attach(store.projections, number: number) } catch {
      guard error.isAboutFile || error.kind == .busy else { throw error }
      _ = pipeline.projectorRequests.examine()
      pipeline.wakeProjector()
    }
  }

  /// What SQLite's own functions would say about a connection that knows nothing of this session's rows.
  func registerFunctions(_ connection: Connection) throws(SQLiteError) {
    try apply(to: connection)
    let lastRowid = lastRowid
    try connection.register(function: "last_insert_rowid", argumentCount: 0, deterministic: false) {
      (_) throws(SQLiteError) in .integer(try lastRowid.known())
    }
    try connection.register(function: "changes", argumentCount: 0, deterministic: false) { [unowned self] _ in
      .integer(changeCount)
    }
    try connection.register(function: "total_changes", argumentCount: 0, deterministic: false) { [unowned self] _ in
      .integer(totalChangeCount)
    }
    try connection.register(function: "sluice_position", argumentCount: 0, deterministic: false) { [unowned self] _ in
      .integer(Int64(bitPattern: lastPosition))
    }
  }

  /// Takes note of a result that is handed out.
  func hand(out rows: Rows) {
    rows.keep(self)
    openRows = rows
  }

  /// Ends the statement of the last result: its rows are computed as they are taken, and now nobody takes them.
  func endRows() {
    openRows?.end()
    openRows = nil
  }

  /// Names of all SQL tables, views and projections, sorted.
  public func tableNames() -> [String] {
    refreshCatalog()
    let views = catalog.objects.values.filter { $0.kind == .view || $0.kind == .projection }.map(\.name)
    return (catalog.tables.values.map(\.name) + views).sorted()
  }

  /// Column names of an SQL table, in order; nil when there is none of that name.
  public func columnNames(_ table: String) -> [String]? {
    refreshCatalog()
    return catalog.table(table)?.definition.columns.map(\.name)
  }

  /// The statement that creates a table, view, index or projection as Sluice keeps it, without a semicolon; nil when
  /// there is none.
  public func createStatement(_ name: String) -> String? {
    refreshCatalog()
    if let table = catalog.table(name) { return SluiceSQL.print(table.definition, shardKey: true) }
    return catalog.objects[folded(name)]?.sql
  }
}

extension StoreError {
  fileprivate init(_ rejection: Rejection) {
    self.init(.conflict, rejection.message, line: rejection.line, sqliteCode: rejection.sqliteCode)
  }
}
