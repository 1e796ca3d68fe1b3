// INSERT, UPDATE and DELETE that SQLite evaluates. It finds the rows and computes the new images on a snapshot; they go
// into the open transaction, or into one of the statement's own. RETURNING is a query over the rows that were changed.
// Unsafe by nature: named in the tidy test.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  func change(_ change: ChangeStatement, _ text: UnsafeRawBufferPointer) throws(StoreError) -> Outcome {
    parameterList = ParameterList(text)
    let table = try changedTable(change)
    if isCleared(by: change) {
      try deleteAll(of: table)
      return .done
    }
    let makesRoom = change.verb == .delete
    var count: Int64 = 0
    do throws(StoreError) {
      let outcome = try changing(change.orAction, makesRoom: makesRoom) { () throws(StoreError) -> Outcome in
        let live = try live()
        let returning = try prepareReturning(change, table, live, text)
        defer {
          returned?.removeAll()
          returned = nil
        }
        switch change.verb {
        case .insert: try insertRows(change, table, live, text, &count)
        case .update, .delete: try evaluate(change, live, text, &count)
        }
        guard let returning else { return .done }
        do {
          return .rows(
            Rows(columns: returning.columnNames, values: try returning.rows(), realText: evaluator.realText))
        } catch { throw StoreError(converting: error) }
      }
      changeCount = count
      totalChangeCount += count
      return outcome
    } catch {
      if error.keepsRows(change.orAction) {
        changeCount = count
        totalChangeCount += count
      } else {
        noteFailure(error)
      }
      throw error
    }
  }

  /// The SQL table that a statement changes.
  private func changedTable(_ change: ChangeStatement) throws(StoreError) -> SQLTable {
    if !isTemporaryView(change.table), let table = catalog.table(change.table) {
      for (name, offset) in zip(change.columns ?? [], change.columnOffsets) {
        guard let objection = table.objection(toColumn: name) else { continue }
        throw StoreError(.invalid, objection, offset: offset, isParse: true, sqliteCode: 1)
      }
      return table
    }
    throw StoreError(
      .invalid, reasonNotToModify(change.table) ?? "no such table: \(change.table)", offset: change.tableOffset,
      isParse: true, sqliteCode: 1)
  }

  /// SQLite's sentence about a view, which a projection is too; nil: `name` is neither.
  func reasonNotToModify(_ name: String) -> String? {
    if isTemporaryView(name) { return "cannot modify \(name) because it is a view" }
    switch catalog.objects[folded(name)]?.kind {
    case .view: return "cannot modify \(name) because it is a view"
    case .projection: return "cannot modify \(name) because it is a projection"
    default: return nil
    }
  }

  private func string(_ text: UnsafeRawBufferPointer, _ range: Range<Int>) -> String {
    parameterList.part(range, of: text)
  }

  /// Prepares a part of the statement, which begins at `offset` of its text; parameters are bound.
  private func prepare(
    _ sql: String, on live: LiveConnection, offset: Int
  ) throws(StoreError) -> SluiceSQLite.Statement {
    try settledQuery { () throws(StoreError) in
      try onceThere(live) { () throws(StoreError) in
        do {
          let query = try live.prepare(sql)
          try bindParameters(of: query.statement)
          return query
        } catch {
          var failure = StoreError(converting: error)
          failure.isParse = true
          // Numbers that were put in move what stands behind them.
          failure.offset = parameterList.movesText ? nil : failure.offset.map { $0 + offset }
          throw failure
        }
      }
    }.statement
  }

  // MARK: UPDATE and DELETE

  private func evaluate(
    _ change: ChangeStatement, _ live: LiveConnection, _ text: UnsafeRawBufferPointer, _ count: inout Int64
  ) throws(StoreError) {
    let start = change.with.isEmpty ? change.verbOffset : change.with.lowerBound
    let statement = try prepare(string(text, start..<change.bodyEnd), on: live, offset: start)
    defer { count = live.connection.changes }
    do { try statement.run() } catch { throw StoreError(error) }
  }

  // MARK: INSERT

  private func insertRows(
    _ change: ChangeStatement, _ table: SQLTable, _ live: LiveConnection, _ text: UnsafeRawBufferPointer,
    _ count: inout Int64
  ) throws(StoreError) {
    let plan = try insertPlan(change, table, live)
    let upsert = try change.conflict.map { conflict throws(StoreError) in
      try preparedUpsert(
        table, clause: string(text, conflict), alias: change.alias ?? change.table, live: live)
    }
    insertedCount = 0
    defer { count = insertedCount }
    if change.source.isEmpty {
      row.begin(plan.shape)
      return try insertRow(plan, upsert)
    }
    let prefix = change.with.isEmpty ? "" : string(text, change.with) + " "
    let source = try prepare(
      prefix + string(text, change.source), on: live, offset: change.source.lowerBound - prefix.utf8.count)
    guard source.columnCount == plan.shape.valueCount else {
      throw StoreError(
        .invalid, plan.shape.wrongCount(source.columnCount), offset: change.tableOffset, isParse: true,
        sqliteCode: 1)
    }
    defer { source.reset() }
    // The source must not see rows that the statement itself has inserted.
    try live.scope.holding { () throws(StoreError) in try insertRows(of: source, plan, upsert) }
  }

  /// How the rows of a statement are encoded: as those of the one before it, where it names the same columns.
  private func insertPlan(
    _ change: ChangeStatement, _ table: SQLTable, _ live: LiveConnection
  ) throws(StoreError) -> InsertPlan {
    let columns = change.source.isEmpty ? [] : change.columns
    if let (known, plan) = live.insertPlan, known == columns, plan.table === table, plan.orAction == change.orAction {
      return plan
    }
    do {
      let plan = try InsertPlan(orAction: change.orAction, columns: columns, prefix: [], table: table)
      live.insertPlan = (columns, plan)
      return plan
    } catch { throw StoreError(error) }
  }

  private func insertRows(
    of source: SluiceSQLite.Statement, _ plan: InsertPlan, _ upsert: Upsert?
  ) throws(StoreError) {
    do {
      while try source.step() {
        row.begin(plan.shape)
        for position in 0..<plan.shape.valueCount {
          try row.put(
            source.cell(position), at: plan.shape.targets[position], plan.shape.affinities[position], evaluator)
        }
        try insertRow(plan, upsert)
      }
    } catch { throw StoreError(converting: error) }
  }

  private func insertRow(_ plan: InsertPlan, _ upsert: Upsert?) throws(StoreError) {
    if let upsert { return try upsert.run(plan, self) }
    if try add(plan, isFirst: true, line: currentLine) { insertedCount += 1 }
  }

  // MARK: DELETE without WHERE

  /// Whether a statement takes all rows of a table away, and nobody asks which: one record does.
  func isCleared(by change: ChangeStatement) -> Bool {
    change.verb == .delete && change.isWholeTable && change.returning == nil && transaction == nil
  }

  /// Deletes all rows of a table by one record, and waits until that is applied. They are counted first, at about 0.1
  /// µs a row: what other sessions add between the two goes too, uncounted.
  private func deleteAll(of table: SQLTable) throws(StoreError) {
    try store.pipeline.room.admit(makesRoom: true)
    try waitApplied()
    changeCount = try countRows(of: table)
    // An empty table needs no record.
    if changeCount == 0 { return }
    if table.definition.autoIncrement { try keepNumber(of: table) }
    appendClear(of: table)
    let rejectionsBefore = rejectionCount
    ticket = try store.pipeline.write(seal())
    try waitSent()
    skipCounts()
    refreshCatalog()
    liveConnection?.scope.renew()
    if let rejection = takeRejection(after: rejectionsBefore) {
      changeCount = 0
      throw rejection
    }
    totalChangeCount += changeCount
    try noteRemoval(of: nil, from: table)
    lowerCounters()
  }

  /// The record, in a batch that must be empty.
  func appendClear(of table: SQLTable) {
    withUnsafeBytes(of: table.id.bigEndian) { key in
      builder.append(
        kind: .clear, startsStatement: true, slot: 0, line: currentLine, key: key,
        value: UnsafeRawBufferPointer(start: nil, count: 0))
    }
  }

  // MARK: RETURNING

  private func prepareReturning(
    _ change: ChangeStatement, _ table: SQLTable, _ live: LiveConnection, _ text: UnsafeRawBufferPointer
  ) throws(StoreError) -> SluiceSQLite.Statement? {
    guard let range = change.returning else { return nil }
    let list = string(text, range)
    do { try evaluator.checkReturning(list, isInsert: change.verb == .insert, of: table) } catch {
      var failure = StoreError(error)
      failure.isParse = true
      failure.offset = failure.offset.map { $0 + range.lowerBound }
      throw failure
    }
    do {
      returned = try live.returnedRows(of: table)
      let head = "SELECT "
      let returning = try prepare(
        head + list + " FROM sluice_returning AS " + quoted(table.name), on: live,
        offset: range.lowerBound - head.utf8.count)
      returning.nameRowids(in: list) { _ in table }
      return returning
    } catch { throw StoreError(converting: error) }
  }
}
