// Statements that read: SELECT, SHOW, EXPLAIN; and SET.
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  /// SELECT, VALUES, WITH: SQLite answers from the shards, which hold all that this session wrote.
  func query(_ text: UnsafeRawBufferPointer) throws(StoreError) -> Outcome {
    if let past = try queryPast(text) { return past }
    if let count = try countOfTable(text) {
      return .rows(Rows(columns: [count.name], values: [[.integer(count.rows)]]))
    }
    if asksForSequences(text) {
      try fillSequences()
      return .rows(Rows(try prepareReading(String(decoding: text, as: UTF8.self)).statement))
    }
    if mentionsSchema(text) { return try queryProjections(text) }
    let sql = String(decoding: text, as: UTF8.self)
    let statement = try prepareQuery(sql)
    return .rows(
      Rows(statement) { [unowned self] error throws(StoreError) in
        guard try reportDamage(error, by: statement) else { return nil }
        return try prepareQuery(sql)
      })
  }

  /// Has the projector look at a file that a statement cannot read, and waits until it has; false: the statement reads
  /// none, or the error is no matter of it.
  private func reportDamage(_ error: SQLiteError, by statement: SluiceSQLite.Statement) throws(StoreError) -> Bool {
    guard error.isAboutFile, transaction == nil, readsFile(statement) else { return false }
    let pipeline = store.pipeline
    let number = pipeline.progress.withLock { $0.fileNumber }
    let look = pipeline.projectorRequests.examine(error, fileNumber: number)
    pipeline.wakeProjector()
    try pipeline.wait(unless: pipeline.projectorObstacle()) { $0.examined >= look ? () : nil }
    return true
  }

  /// Prepares a query on the connection that answers it, once that holds what the session wrote.
  func prepareQuery(_ sql: String) throws(StoreError) -> SluiceSQLite.Statement {
    try beginReading()
    let query = try settledQuery { () throws(StoreError) in try prepareReading(sql) }
    if query.isIndexable, let mirrored = try prepareOnMirrors(sql) { return mirrored }
    return query.statement
  }

  /// What the session wrote is applied; in a transaction its rows are there to be read.
  func beginReading() throws(StoreError) {
    if transaction == nil { try waitApplied() } else { try openTransaction() }
  }

  /// A query that `prepare` makes, once all that it reads in projections.db holds what this session wrote. Throws the
  /// reason of a projection that cannot be brought there.
  func settledQuery(_ prepare: () throws(StoreError) -> PreparedQuery) throws(StoreError) -> PreparedQuery {
    var query = try prepare()
    // Not from a file that others have replaced or changed.
    if !query.reads.isEmpty, try changesFile() { query = try prepare() }
    var settled: Set<String> = []
    // With the newest schema, tables that are gone are not found any more, and a view may read something else.
    while readsOwn, !query.reads.isSubset(of: settled) {
      try waitRead(query.reads)
      settled.formUnion(query.reads)
      do {
        if query.statement.connection === reader?.connection {
          try query.statement.connection.refreshSchema()
        } else {
          try liveConnection?.refreshProjections()
        }
      } catch { throw StoreError(error) }
      query = try prepare()
    }
    return query
  }

  /// Prepares a query as it can be now; waits only for what is not there at all. `persistent` for one that is kept.
  func prepareReading(_ sql: String, persistent: Bool = false) throws(StoreError) -> PreparedQuery {
    let live = try live()
    return try onceThere(live, orElse: { () throws(StoreError) in try self.prepareOnFile(sql, persistent) }) {
      () throws(StoreError) in try readOnly { () throws(SQLiteError) in try live.prepare(sql, persistent: persistent) }
    }
  }

  /// What `prepare` makes on the live connection, if need be when projections.db is as far as this session, and a
  /// projection that it names is filled. `other` makes it where that connection cannot.
  func onceThere(
    _ live: LiveConnection, orElse other: (() throws(StoreError) -> PreparedQuery)? = nil,
    _ prepare: () throws(StoreError) -> PreparedQuery
  ) throws(StoreError) -> PreparedQuery {
    var waited: Set<String> = []
    while true {
      do throws(StoreError) { return try prepare() } catch {
        guard transaction == nil, error.message.hasPrefix("no such") else { throw error }
        let name = missingProjection(error)
        if name == nil, isMirrored || !waited.isEmpty { throw error }
        try waitMirrored()
        if let name {
          guard waited.insert(name).inserted else {
            guard let other else { throw error }
            return try other()
          }
          try waitServing(name)
        }
        // The file may be another one than when this began, or there is one by now.
        let number = store.pipeline.progress.withLock { $0.fileNumber }
        do throws(SQLiteError) {
          try live.attach(store.projections, number: number)
          try live.refreshProjections()
        } catch { throw StoreError(error) }
      }
    }
  }

  /// Prepares a query on projections.db itself: a view over live tables cannot read a projection, one there can.
  private func prepareOnFile(_ sql: String, _ persistent: Bool = false) throws(StoreError) -> PreparedQuery {
    let connection = try queryConnection()
    return try readOnly { () throws(SQLiteError) in
      try connection.refreshSchema()
      fileReads = []
      connection.watchesReads = true
      defer { connection.watchesReads = false }
      let statement = try connection.prepare(sql, persistent: persistent)
      return PreparedQuery(statement: statement, reads: fileReads, isIndexable: false)
    }
  }

  /// The projection of which an error says that there is none, although the catalog has it.
  private func missingProjection(_ error: StoreError) -> String? {
    let words = "no such table: "
    guard error.message.hasPrefix(words) else { return nil }
    let name = folded(String(error.message.dropFirst(words.count).split(separator: ".").last ?? ""))
    return catalog.exists(.projection, name) ? name : nil
  }

  /// A query, with its parameters bound.
  private func readOnly(_ prepare: () throws(SQLiteError) -> PreparedQuery) throws(StoreError) -> PreparedQuery {
    do {
      let query = try prepare()
      guard query.statement.isReadOnly else {
        throw StoreError(.unsupported, "projections.db is written by Sluice only", isParse: true, sqliteCode: 8)
      }
      try bindParameters(of: query.statement)
      return query
    } catch {
      var failure = StoreError(converting: error)
      failure.isParse = true
      throw failure
    }
  }

  /// The same query on the mirrors, which have indexes, when they are as far as this session; else nil. The answer is
  /// the same.
  private func prepareOnMirrors(_ sql: String) throws(StoreError) -> SluiceSQLite.Statement? {
    guard readsMirrors, transaction == nil, liveConnection?.temporaryViews.isEmpty == true, isMirrored else {
      return nil
    }
    do {
      let connection = try queryConnection()
      // It may have been looked at, and found not to be trusted.
      guard isMirrored else { return nil }
      try connection.refreshSchema()
      let statement = try connection.prepare(sql)
      guard statement.isReadOnly else { return nil }
      try bindParameters(of: statement)
      return statement
    } catch {
      // What only the live tables have, such as the name `projections`; or the file is out of reach just now.
      return nil
    }
  }

  /// Whether projections.db holds all that this session wrote, and all that was durable when it began.
  var isMirrored: Bool {
    let id = id
    return store.pipeline.progress.withLock { progress in
      progress.sessions[id].map { progress.projected >= $0.lastPosition } ?? false
    }
  }

  /// Whether a query asks for SQLite's own catalog: that of projections.db says what the tables are.
  private func mentionsSchema(_ text: UnsafeRawBufferPointer) -> Bool {
    let words = ["sqlite_master", "sqlite_schema", "pragma_", "sqlite_stat", "sqlite_sequence"]
    return words.contains { mentions(text, $0) }
  }

  /// A query on projections.db itself, once it holds what this session wrote.
  func queryProjections(_ text: UnsafeRawBufferPointer) throws(StoreError) -> Outcome {
    if transaction != nil, transaction?.staged != nil || !builder.isEmpty || writes?.isEmpty == false {
      throw StoreError(
        .unsupported,
        "inside a transaction that has written, projections.db is behind: its catalog is readable after COMMIT",
        isParse: true, sqliteCode: 1)
    }
    try waitProjected()
    let sql = String(decoding: text, as: UTF8.self)
    return .rows(Rows(try settledQuery { () throws(StoreError) in try prepareOnFile(sql) }.statement))
  }

  private func run(_ sql: String) throws(StoreError) -> Outcome { .rows(Rows(try prepareOnFile(sql).statement)) }

  /// A query on the system tables, which says what is wrong with projections.db and must not need it.
  private func system(_ sql: String) throws(StoreError) -> Outcome {
    let live = try live()
    return .rows(Rows(try readOnly { () throws(SQLiteError) in try live.prepare(sql) }.statement))
  }

  // MARK: SHOW and SET

  func show(_ target: ShowTarget) throws(StoreError) -> Outcome {
    switch target {
    case .shards: return try system("SELECT * FROM sluice_shards")
    case .queue: return try system("SELECT * FROM sluice_queue")
    case .projections: return try system(SystemTables.projectionsQuery)
    case .tables:
      return .rows(Rows(columns: ["name"], values: tableNames().map { [.text(Array($0.utf8))] }))
    case .setting("ack"):
      return .rows(Rows(columns: ["ack"], values: [[.text(Array(acknowledgement.rawValue.utf8))]]))
    case .setting("retain"):
      let retain = catalog.settings["retain"] ?? "forever"
      return .rows(Rows(columns: ["retain"], values: [[.text(Array(retain.utf8))]]))
    case .setting("read"):
      return .rows(Rows(columns: ["read"], values: [[.text(Array((readsOwn ? "own" : "any").utf8))]]))
    case .setting(let name):
      throw StoreError(
        .invalid, "no such setting: \(name); SHOW knows SHARDS, QUEUE, PROJECTIONS, TABLES, ack, read and retain",
        isParse: true,
        sqliteCode: 1)
    }
  }

  func set(_ name: String, _ value: SettingValue) throws(StoreError) {
    let word: String
    switch value {
    case .word(let text), .text(let text): word = folded(text)
    case .integer, .real: word = ""
    }
    if folded(name) == "read" {
      guard word == "own" || word == "any" else {
        throw StoreError(
          .invalid, "read is own (a SELECT from a projection waits for what this session wrote) or any", isParse: true,
          sqliteCode: 1)
      }
      readsOwn = word == "own"
      return
    }
    guard folded(name) == "ack" else {
      throw StoreError(.invalid, "no such setting: \(name); SET knows ack and read", isParse: true, sqliteCode: 1)
    }
    guard let level = AcknowledgementLevel(rawValue: word) else {
      throw StoreError(
        .invalid, "ack is one of \(AcknowledgementLevel.allCases.map(\.rawValue).joined(separator: ", "))",
        isParse: true, sqliteCode: 1)
    }
    try acknowledge()
    acknowledgement = level
  }

  // MARK: EXPLAIN

  func explain(
    queryPlan: Bool, _ statement: SluiceSQL.Statement, _ inner: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer
  ) throws(StoreError) -> Outcome {
    switch statement {
    case .select:
      if try isPast(inner) {
        throw StoreError(
          .unsupported, "EXPLAIN is not for a query AS OF, which runs over a replay of the log", isParse: true,
          sqliteCode: 1)
      }
      if queryPlan { return .rows(Rows(try prepareQuery(String(decoding: text, as: UTF8.self)))) }
      return try explainQuery(String(decoding: inner, as: UTF8.self))
    case .change(let change): return try explainChange(change, text)
    case .insert(let header):
      do throws(StoreError) { return try explainInsert(header, inner) } catch {
        guard error.isEvaluated else { throw error }
        let change: ChangeStatement
        do { change = try parseInsertChange(inner) } catch { throw StoreError(error) }
        return try explainChange(change, inner)
      }
    default:
      throw StoreError(
        .unsupported, "EXPLAIN is for SELECT, INSERT, UPDATE and DELETE", isParse: true, sqliteCode: 1)
    }
  }

  /// Where each row of an INSERT would go: it is encoded into a batch of its own, which is read and forgotten.
  private func explainInsert(_ header: InsertHeader, _ text: UnsafeRawBufferPointer) throws(StoreError) -> Outcome {
    guard header.form == .values, let base = text.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
      throw StoreError(.unsupported, "EXPLAIN INSERT … DEFAULT VALUES is not supported", isParse: true)
    }
    let counter = catalog.table(header.table)?.highestKey
    let before = counter?.current
    let batch = encodeAside(base, base + text.count)
    if let counter, let before { counter.restore(before, from: counter.current) }
    defer { plan = nil }
    guard let batch = try batch.get(), let plan else { throw StoreError(SQLError.unfinished(text)) }
    return .rows(
      Rows(
        columns: ["row", "table", "placed_by", "slot", "shard"],
        values: placements(batch, plan)))
  }

  /// Encodes an INSERT as if it were to be written, into a builder that stands in for the session's; nil when the
  /// statement is not complete or leaves all of its rows out.
  private func encodeAside(
    _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
  ) -> Result<Batch?, StoreError> {
    var aside = BatchBuilder(capacity: 4096)
    swap(&aside, &builder)
    let result: Result<Batch?, StoreError>
    do throws(StoreError) {
      let isComplete = try insert(start, end, line: 1, isWhole: true) != nil
      result = .success(
        isComplete && !builder.isEmpty
          ? builder.seal(timeMicroseconds: store.options.clock.wallMicroseconds(), session: id) : nil)
    } catch {
      result = .failure(error)
    }
    swap(&aside, &builder)
    return result
  }

  private func placements(_ batch: Batch, _ plan: InsertPlan) -> [[Value]] {
    let names = plan.placing.map { plan.table.definition.columns[$0].name }.joined(separator: ", ")
    var rows: [[Value]] = []
    var commands = batch.commands()
    while let command = commands.next() {
      let isPlaced = !plan.placing.isEmpty
      let slot: Value = isPlaced ? .integer(Int64(command.slot)) : .null
      let shard: Value = isPlaced ? .integer(Int64(store.router.shard(slot: command.slot))) : .null
      rows.append([
        .integer(Int64(rows.count + 1)), .text(Array(plan.table.name.utf8)),
        .text(Array((isPlaced ? names : "position (256 in a row to a slot)").utf8)), slot, shard,
      ])
    }
    return rows
  }
}
