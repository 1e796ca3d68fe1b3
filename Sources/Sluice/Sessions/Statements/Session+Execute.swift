// One complete statement of any kind. INSERTs go the row path, SELECTs to SQLite, definitions through the log.
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  /// Executes one complete statement, with or without its semicolon. `line` is the line on which it begins.
  ///
  /// Throws what is wrong with the statement itself; what is found only when its rows are applied comes by
  /// `takeRejections()`. Rows are computed as they are taken; the next statement ends them.
  public func execute(_ text: UnsafeRawBufferPointer, line: Int = 1) throws(StoreError) -> Outcome {
    var isChange = false
    do throws(StoreError) {
      guard isText(text) else { throw badText(text) }
      refreshCatalog()
      /// Nil: an INSERT that needs none.
      let statement: SluiceSQL.Statement?
      do { statement = beginsAsBefore(text) ? nil : try parseStatement(text) } catch { throw StoreError(error) }
      if let positional {
        parameterList = ParameterList(text)
        try check(positional, for: parameterList)
      }
      endRows()
      interrupter.begin()
      currentLine = line
      if settings.isQueryOnly, statement?.isReading != true, !isOwnView(statement) { try checkWritable() }
      try checkTransaction(before: statement)
      isChange = statement?.isChange ?? true
      let outcome =
        if let statement { try run(statement, text, line: line) } else { try insert(text, line: line) }
      if case .rows(let rows) = outcome { hand(out: rows) } else { interrupter.end() }
      return outcome
    } catch {
      defer { interrupter.end() }
      let error = interrupter.explain(error)
      throw (isChange ? losing(error) : error).at(line: line)
    }
  }

  /// The same for a statement in a string.
  public func execute(_ text: String, line: Int = 1) throws(StoreError) -> Outcome {
    var text = text
    let result: Result<Outcome, StoreError> = text.withUTF8 { bytes in
      do throws(StoreError) { return .success(try execute(UnsafeRawBufferPointer(bytes), line: line)) } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// Whether the text is an INSERT whose plan is there from the one before: nothing in front of its rows needs a look.
  private func beginsAsBefore(_ text: UnsafeRawBufferPointer) -> Bool {
    guard let plan, let base = text.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
    return plan.matches(base, base + text.count)
  }

  private func badText(_ text: UnsafeRawBufferPointer) -> StoreError {
    let hasNUL = text.contains(0)
    // The longest good prefix shows where the trouble is.
    var good = 0
    var bad = text.count
    while good < bad {
      let middle = (good + bad + 1) / 2
      if isText(UnsafeRawBufferPointer(rebasing: text[..<middle])) { good = middle } else { bad = middle - 1 }
    }
    while good < text.count, text[good] != 0, text[good] < 0x80 { good += 1 }
    return StoreError(
      .invalid,
      hasNUL && good < text.count && text[good] == 0
        ? "a NUL byte stands in the statement" : "the statement is not valid UTF-8", offset: good, isParse: true,
      sqliteCode: 1)
  }

  private func run(
    _ statement: SluiceSQL.Statement, _ text: UnsafeRawBufferPointer, line: Int
  ) throws(StoreError) -> Outcome {
    switch statement {
    case .insert(let header):
      return try insert(text, defaults: header.form == .defaultValues ? header : nil, line: line)
    case .change(let change):
      if folded(change.table) == "sqlite_sequence" { return try changeSequences(text) }
      return try self.change(change, text)
    case .select: return try query(text)
    case .begin: try begin()
    case .savepoint(let name): try savepoint(name)
    case .release(let name): try release(name)
    case .rollbackTo(let name): try rollback(to: name)
    case .commit: try commit()
    case .rollback: try rollback()
    case .createTable(let definition): try createTable(definition, line: line)
    case .dropTable(let drop): try self.drop(.table, drop, line: line)
    case .alterTable(let alteration): try alter(alteration, line: line)
    case .createIndex(let index): try createIndex(index, line: line)
    case .createView(let view): try createView(view, line: line)
    case .dropIndex(let drop): try self.drop(.index, drop, line: line)
    case .dropView(let drop): try self.drop(.view, drop, line: line)
    case .createProjection(let definition): try createProjection(definition, line: line)
    case .alterProjection(let definition): try alterProjection(definition, line: line)
    case .dropProjection(let drop): try self.drop(.projection, drop, line: line)
    case .rebuildProjection(let name): try rebuildProjection(name, line: line)
    case .pauseProjection(let name): try setPaused(true, name, line: line)
    case .resumeProjection(let name): try setPaused(false, name, line: line)
    case .redrive(let name): return try redrive(name)
    case .waitFor(let wait): try self.wait(for: wait)
    case .setSequence(let table, let value): try setSequence(table, value, line: line)
    // In a transaction that does not read, as a dump is: it sets each number that it needs right behind this, and all
    // its rows are there.
    case .clearSequences:
      if transaction == nil || writes != nil { return try changeSequences(text) }
    case .pragma(let pragma): return try execute(pragma, text)
    case .show(let target): return try show(target)
    case .set(let name, let value): try set(name, value)
    case .explain(let queryPlan, let offset, let inner):
      return try explain(queryPlan: queryPlan, inner, UnsafeRawBufferPointer(rebasing: text[offset...]), text)
    // Space and statistics of projections.db are the projector's concern; the shards have none of either.
    case .vacuum: break
    case .analyze(let name): try checkMaintained(name, isReindex: false)
    case .reindex(let name): try checkMaintained(name, isReindex: true)
    case .alterStore(let name, let value): try alterStore(name, value, line: line)
    case .refused(let sentence): throw StoreError(.unsupported, sentence, isParse: true, sqliteCode: 1)
    }
    return .done
  }

  /// What ANALYZE or REINDEX names must be there, though nothing is done about it.
  private func checkMaintained(_ name: String?, isReindex: Bool) throws(StoreError) {
    guard let name else { return }
    let key = folded(name)
    if catalog.tables[key] != nil || catalog.exists(.index, key) || key == "main" { return }
    if isReindex, ["binary", "nocase", "rtrim"].contains(key) { return }
    throw StoreError(
      .invalid, isReindex ? "unable to identify the object to be reindexed" : "no such table: \(name)", isParse: true,
      sqliteCode: 1)
  }

  // MARK: INSERT

  /// INSERT of rows, or of a row of `defaults`: by the row path, or by SQLite where that meets what only it evaluates.
  private func insert(
    _ text: UnsafeRawBufferPointer, defaults: InsertHeader? = nil, line: Int
  ) throws(StoreError) -> Outcome {
    try checkTransaction()
    // Here and not later: a row that was taken is written.
    try store.pipeline.room.admit()
    do throws(StoreError) {
      if let defaults { try insertDefaults(defaults, line: line) } else { try insertRows(text, line: line) }
    } catch {
      // The row path has undone its rows.
      let isDuplicate = writes != nil && error.kind == .conflict
      // Several rows are a query to SQLite, which finds other words for it, and takes a window function.
      let isMisuse = error.message.hasPrefix("misuse of ")
      guard error.isEvaluated || isDuplicate || isMisuse else { throw error }
      let change: ChangeStatement
      do { change = try parseInsertChange(text) } catch { throw StoreError(error) }
      // In a transaction that reads, a row's key is looked for before ON CONFLICT is seen behind it.
      if isDuplicate, change.conflict == nil { throw error }
      if isMisuse, !change.hasSeveralRows { throw error }
      return try self.change(change, text)
    }
    try statementEnded()
    return .done
  }

  private func insertRows(_ text: UnsafeRawBufferPointer, line: Int) throws(StoreError) {
    guard let base = text.baseAddress?.assumingMemoryBound(to: UInt8.self),
      try insert(base, base + text.count, line: line, isWhole: true) != nil
    else { throw StoreError(SQLError.unfinished(text)) }
  }

  private func insertDefaults(_ header: InsertHeader, line: Int) throws(StoreError) {
    let plan: InsertPlan
    do {
      plan = try InsertPlan(orAction: header.orAction, columns: [], prefix: [], table: try table(of: header))
    } catch { throw StoreError(error) }
    row.begin(plan.shape)
    let mark = statementMark()
    let highestKey = plan.highestKey.current
    do {
      changeCount = try add(plan, isFirst: true, line: line) ? 1 : 0
    } catch {
      undo(plan, mark, highestKey)
      noteFailure(error)
      throw error
    }
    totalChangeCount += changeCount
  }

  // MARK: Transactions

  func begin() throws(StoreError) {
    guard transaction == nil else {
      throw StoreError(.invalid, "cannot start a transaction within a transaction", sqliteCode: 1)
    }
    try sendBatch()
    if !counts.raised.isEmpty { try waitApplied() }
    transaction = Transaction()
    transaction?.highestKeys = catalog.tables.values.filter(\.hasNumberKey).map {
      ($0.highestKey, $0.highestKey.current)
    }
  }

  func commit() throws(StoreError) {
    guard let open = transaction else {
      throw StoreError(.invalid, "cannot commit - no transaction is active", sqliteCode: 1)
    }
    if let failure = open.failure { throw endLost(failure) }
    do throws(StoreError) { try send(open) } catch {
      // Nothing of it was handed over.
      guard transaction != nil else { throw error }
      let isLost = transaction?.failure != nil
      do { try abandonTransaction() } catch {}
      throw isLost ? error : error.undoing
    }
    transaction = nil
    if open.hasCatalogChanges { liveConnection?.forget() }
    if open.hasCatalogChanges || stopAtFirstError { try waitForOutcome() }
    plan = nil
    refreshCatalog()
  }

  /// Hands over what the transaction has written. As long as it is open when this throws, nothing was.
  private func send(_ open: Transaction) throws(StoreError) {
    if writes != nil {
      try commitWrites(open)
    } else if let staged = open.staged {
      try stage()
      do { try staged.finish() } catch { throw StoreError(error) }
      ticket = try store.pipeline.submit(staged, session: id)
      noteSubmission()
    } else if !builder.isEmpty {
      ticket = try store.pipeline.submit(seal())
      noteSubmission()
    }
  }

  /// What stands behind the reason why a transaction has no effect.
  static let overtaken = ": another session was faster, and nothing of the transaction is written"

  /// Sends what a transaction that reads has written. Others may have been faster: then nothing of it is written.
  private func commitWrites(_ open: Transaction) throws(StoreError) {
    try keepNumbers()
    if let writes, !writes.isEmpty { try store.pipeline.room.admit(writes.sizeBytes, makesRoom: writes.makesRoom) }
    transaction = nil
    plan = nil
    guard let rejection = try sendWrites() else { return }
    for (counter, key) in open.highestKeys { takeBack(counter, to: key) }
    if open.hasCatalogChanges {
      catalog = store.pipeline.catalog.withLock { $0 }
      liveConnection?.forget()
    }
    throw StoreError(.conflict, rejection.message + Self.overtaken, sqliteCode: 5)
  }

  private func rollback() throws(StoreError) {
    guard transaction != nil else {
      throw StoreError(.invalid, "cannot rollback - no transaction is active", sqliteCode: 1)
    }
    try abandonTransaction()
  }

  /// Undoes the open transaction, if there is one.
  func abandonTransaction() throws(StoreError) {
    guard let open = transaction else { return }
    transaction = nil
    // A row that has gone has no number to tell.
    lastRowid.isOpen = false
    for (counter, key) in open.highestKeys { takeBack(counter, to: key) }
    builder.rollback(to: emptyMark)
    if writes != nil { dropWrites() }
    plan = nil
    if open.hasCatalogChanges {
      catalog = store.pipeline.catalog.withLock { $0 }
      liveConnection?.forget()
    }
    refreshCatalog()
    if let staged = open.staged {
      do { try store.pipeline.discard(staged) } catch { throw StoreError(error) }
    }
  }

  // MARK: Definitions

  private func createTable(_ definition: CreateTable, line: Int) throws(StoreError) {
    try checkName(definition.name)
    if let obstacle = catalog.obstacle(to: definition.name, .table) {
      if definition.ifNotExists, catalog.table(definition.name) != nil { return }
      throw StoreError(.invalid, obstacle, isParse: true, sqliteCode: 1)
    }
    do { try evaluator.validate(definition) } catch {
      throw StoreError(.invalid, error.message, isParse: true, sqliteCode: 1)
    }
    try change(
      CatalogChange(
        operation: .create, object: .table, lenient: definition.ifNotExists,
        isNumbered: definition.primaryKey.isEmpty, tableID: try store.newTableID(), name: definition.name,
        definition: SluiceSQL.print(definition, shardKey: true)), line: line)
  }

  func checkName(_ name: String) throws(StoreError) {
    let folded = folded(name)
    if folded.hasPrefix("sqlite_") || folded.hasPrefix("sluice_") {
      throw StoreError(.invalid, "object name reserved for internal use: \(name)", isParse: true, sqliteCode: 1)
    }
  }

  private func createIndex(_ index: CreateIndex, line: Int) throws(StoreError) {
    try checkName(index.name)
    let isOfProjection = catalog.exists(.projection, folded(index.table))
    guard !index.isUnique || isOfProjection else {
      throw StoreError(
        .unsupported, "CREATE UNIQUE INDEX is not supported: only a primary key that holds the shard key is unique",
        isParse: true, sqliteCode: 1)
    }
    if catalog.exists(.index, folded(index.name)), index.ifNotExists { return }
    do { try evaluator.validate(index, in: catalog) } catch {
      throw StoreError(.invalid, error.message, isParse: true, sqliteCode: 1)
    }
    if let obstacle = catalog.obstacle(to: index.name, .index) {
      throw StoreError(.invalid, obstacle, isParse: true, sqliteCode: 1)
    }
    let change = CatalogChange(
      operation: .create, object: .index, lenient: index.ifNotExists, name: index.name, owner: index.table,
      definition: index.text)
    if isOfProjection { return try createIndex(ofProjection: index, change, line: line) }
    try tryRows(with: index)
    try self.change(change, line: line)
  }

  private func createView(_ view: CreateView, line: Int) throws(StoreError) {
    try checkName(view.name)
    if view.isTemporary {
      // A table of that name is out of sight from now on.
      plan = nil
      do { return try live().createTemporaryView(view.name, view.text) } catch {
        var failure = StoreError(converting: error)
        failure.isParse = true
        throw failure
      }
    }
    if let obstacle = catalog.obstacle(to: view.name, .view) {
      if view.ifNotExists { return }
      throw StoreError(.invalid, obstacle, isParse: true, sqliteCode: 1)
    }
    do { try evaluator.validate(view) } catch {
      throw StoreError(.invalid, error.message, isParse: true, sqliteCode: 1)
    }
    try change(
      CatalogChange(
        operation: .create, object: .view, lenient: view.ifNotExists, name: view.name, definition: view.text),
      line: line)
  }

  private func drop(_ kind: CatalogChange.ObjectKind, _ drop: Drop, line: Int) throws(StoreError) {
    if kind == .view, isTemporaryView(drop.name), let liveConnection {
      do { return try liveConnection.dropTemporaryView(drop.name) } catch { throw StoreError(error) }
    }
    if !catalog.exists(kind, folded(drop.name)) {
      if drop.ifExists { return }
      let noun = kind.noun.lowercased()
      throw StoreError(.invalid, "no such \(noun): \(drop.name)", isParse: true, sqliteCode: 1)
    }
    try change(
      CatalogChange(
        operation: .drop, object: kind, lenient: drop.ifExists, tableID: store.lastTableID, name: drop.name),
      line: line)
  }

  /// Whether the session has a view of that name for itself. It stands before all else of the name, as in SQLite.
  func isTemporaryView(_ name: String) -> Bool { liveConnection?.temporaryViews[folded(name)] != nil }

  private func setSequence(_ table: String, _ value: Int64, line: Int) throws(StoreError) {
    guard let known = catalog.table(table) else { return }
    try change(
      CatalogChange(operation: .setSequence, object: .table, tableID: known.id, sequence: value, name: known.name),
      line: line)
  }
}
