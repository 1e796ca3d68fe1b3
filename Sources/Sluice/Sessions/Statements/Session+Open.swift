// Transactions that read, and changes that SQLite evaluates: both work on a snapshot, collect what they write in
// `OpenWrites`, and send it as one batch whose commands say which versions they rest on.
//
// A transaction of plain INSERTs alone stays a stream of unread rows (staged when it is large) until the first
// statement that needs more.
//
// A single changing statement outside a transaction is one of its own, and is evaluated again when
// another session changed one of its rows meanwhile.
import SluiceLSM
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  /// How often a statement is evaluated again because others keep changing its rows.
  private static let attemptLimit = 100

  // MARK: One change

  /// Runs a change: in the open transaction, where it is undone alone when it fails, or in one of its own. `makesRoom`:
  /// whether it only takes rows away.
  func changing<R>(
    _ action: OrAction, makesRoom: Bool, _ body: () throws(StoreError) -> R
  ) throws(StoreError) -> R {
    try store.pipeline.room.admit(makesRoom: makesRoom)
    guard transaction == nil else { return try changingInside(action, body) }
    try sendBatch()
    try waitApplied()
    for _ in 0..<Self.attemptLimit {
      let before = takeCounters()
      beginWrites()
      let result: R
      do {
        result = try body()
        try keepNumbers()
      } catch {
        lowered = []
        guard error.keepsRows(action) else {
          endWrites(before)
          throw error
        }
        if try sendWrites() == nil { throw error }
        continue
      }
      do { try store.pipeline.room.admit(writes?.sizeBytes ?? 0, makesRoom: makesRoom) } catch {
        lowered = []
        endWrites(before)
        throw error
      }
      guard let rejection = try sendWrites() else {
        lowerCounters()
        return result
      }
      guard rejection.sqliteCode == 5 || rejection.sqliteCode == 19 else { throw rejection }
    }
    throw StoreError(
      .overloaded, "other sessions changed the statement's rows \(Self.attemptLimit) times while it ran",
      sqliteCode: 5)
  }

  private func changingInside<R>(
    _ action: OrAction, _ body: () throws(StoreError) -> R
  ) throws(StoreError) -> R {
    let writes = try openTransaction()
    let mark = writes.mark()
    let before = takeCounters()
    do {
      let result = try body()
      try keepNumbers()
      lowerCounters()
      return result
    } catch {
      lowered = []
      if error.keepsRows(action) {
        // They stay in the transaction.
      } else if error.sqliteCode == 19, action == .rollback {
        try abandonTransaction()
      } else {
        writes.rollback(to: mark)
        restore(before)
      }
      liveConnection?.scope.renew()
      throw error
    }
  }

  /// The highest keys given out, to be given again when what took them is undone.
  func takeCounters() -> [(counter: KeyCounter, key: Int64)] {
    catalog.tables.values.filter(\.hasNumberKey).map { ($0.highestKey, $0.highestKey.current) }
  }

  func restore(_ counters: [(counter: KeyCounter, key: Int64)]) {
    for (counter, key) in counters { takeBack(counter, to: key) }
  }

  // MARK: Writes

  private func beginWrites() {
    let snapshots = store.pipeline.view()
    if let spare = spareWrites, spare.reset(snapshots) { writes = spare } else { writes = OpenWrites(snapshots) }
    spareWrites = nil
    liveConnection?.scope.renew()
  }

  private func endWrites(_ counters: [(counter: KeyCounter, key: Int64)]) {
    restore(counters)
    dropWrites()
  }

  /// Ends the transaction's writes. They are used again unless somebody still walks over them.
  func dropWrites() {
    liveConnection?.scope.renew()
    writes?.end()
    if isKnownUniquelyReferenced(&writes) { spareWrites = writes }
    writes = nil
  }

  /// Sends what was written as one statement and waits until it is applied. Returns why it had no effect, if so.
  func sendWrites() throws(StoreError) -> StoreError? {
    let place = lastRowid.isOpen ? lastRowid.provisional.flatMap { writes?.place(ofProvisional: $0) } : nil
    let batch = writes?.seal(timeMicroseconds: store.options.clock.wallMicroseconds(), session: id)
    dropWrites()
    guard let batch else { return nil }
    let rejectionsBefore = rejectionCount
    ticket = try store.pipeline.write(batch)
    try waitSent()
    if let place { setLastRowid(Int64(bitPattern: batch.firstPosition) + Int64(place)) }
    skipCounts()
    refreshCatalog()
    return takeRejection(after: rejectionsBefore)
  }

  // MARK: Transactions

  /// The writes of the open transaction, which from now on reads a snapshot. What it has encoded so far is looked at
  /// again over that: a row whose key is taken is rejected with its statement, as it would be at COMMIT.
  @discardableResult
  func openTransaction() throws(StoreError) -> OpenWrites {
    if let writes { return writes }
    try checkTransaction()
    // What the session sent before BEGIN belongs to what the transaction reads.
    try waitSent()
    foldCounts()
    beginWrites()
    guard let writes else { preconditionFailure("writes that were just begun") }
    do {
      // What was known of rows that are taken in now, or turned out not to be inserted, is found out from here.
      if transaction?.staged != nil || !builder.isEmpty || lastRowid.isOpen { setLastRowid(counts.rowid) }
      if let staged = transaction?.staged {
        try stage()
        try adopt(staged)
      } else if !builder.isEmpty {
        try take(seal(), into: writes)
      }
    } catch {
      dropWrites()
      // What was staged is as it was when it is only too much to be read.
      throw losing(error)
    }
    plan = nil
    return writes
  }

  /// Takes a staged transaction back into memory.
  private func adopt(_ staged: StagedSegment) throws(StoreError) {
    guard let writes else { return }
    guard staged.size <= UInt64(writes.limitBytes) else {
      throw StoreError(
        .unsupported,
        "this transaction has written \(staged.size >> 20) MiB: beyond \(writes.limitBytes >> 20) MiB its rows "
          + "are not readable before COMMIT", isParse: true, sqliteCode: 1)
    }
    do {
      try staged.forEachBatch { (batch) throws(StoreError) in try take(batch, into: writes) }
      try store.pipeline.discard(staged)
    } catch { throw StoreError(converting: error) }
    transaction?.staged = nil
  }

  /// Resolves the commands of a batch that was encoded without looking.
  private func take(_ batch: Batch, into writes: OpenWrites) throws(StoreError) {
    var commands = batch.commands()
    var mark = writes.mark()
    var isRejected = false
    // Rows of the statement, and those of them that have no effect.
    var rows: Int64 = 0
    var lost: Int64 = 0
    var lostBefore: Int64 = 0
    while let command = commands.next() {
      if command.startsStatement {
        mark = writes.mark()
        isRejected = false
        if command.kind != .catalog { (rows, lost, lostBefore) = (0, 0, lostBefore + lost) }
      }
      if command.kind != .catalog { rows += 1 }
      do {
        let isTaken = isRejected ? false : try take(command, into: writes)
        if !isTaken { lost += 1 }
      } catch {
        // Not known to be rejected: the transaction fails as a whole.
        if error.isOfStore { throw error }
        isRejected = true
        lost = rows
        writes.rollback(to: mark)
        reject(error, line: command.line)
      }
    }
    totalChangeCount -= lostBefore + lost
    changeCount = max(0, changeCount - lost)
  }

  /// False: the row is left out.
  private func take(_ command: Command, into writes: OpenWrites) throws(StoreError) -> Bool {
    if command.kind == .catalog {
      guard let change = CatalogChange.decode(command.value) else {
        throw StoreError(.internal, "a catalog change that was just encoded cannot be read")
      }
      try writes.append(change, line: command.line)
      return true
    }
    let tableID = command.key.loadUnaligned(as: UInt32.self).bigEndian
    // A row of a table that the same transaction has dropped since.
    guard let table = catalog.tablesByID[tableID] else { return true }
    if command.isPositionKeyed {
      noteProvisional(
        try writes.appendStream(
          tableID: tableID, row: command.value, slot: command.isPositionSlotted ? nil : command.slot,
          line: command.line))
      return true
    }
    let state = try writes.state(of: command.key, shard: store.router.shard(slot: command.slot))
    if state.isAlive {
      if command.kind == .ignore { return false }
      if command.kind == .insert { throw StoreError(.conflict, table.duplicateMessage, sqliteCode: 19) }
    }
    try writes.put(key: command.key, row: command.value, slot: command.slot, line: command.line, over: state)
    if table.hasNumberKey, let number = storedRowid(ofKey: command.key) { setLastRowid(number) }
    return true
  }

  /// The session's last row has a position to come for its number.
  func noteProvisional(_ position: UInt64) {
    lastRowid.isOpen = true
    lastRowid.provisional = position
  }

  /// Keeps a rejection for `takeRejections`.
  private func reject(_ error: StoreError, line: Int) {
    let id = id
    let rejection = Rejection(message: error.message, sqliteCode: error.sqliteCode ?? 1, line: line)
    store.pipeline.progress.withLock { $0.sessions[id]?.rejections.append(rejection) }
  }

  // MARK: Savepoints

  func savepoint(_ name: String) throws(StoreError) {
    if transaction == nil {
      try begin()
      transaction?.isSavepoint = true
    }
    let writes = try openTransaction()
    let savepoint = Savepoint(
      name: name, mark: writes.mark(), catalog: catalog, hasCatalogChanges: transaction?.hasCatalogChanges ?? false,
      highestKeys: takeCounters())
    transaction?.savepoints.append(savepoint)
  }

  func release(_ name: String) throws(StoreError) {
    let place = try place(of: name)
    if place == 0, transaction?.isSavepoint == true { return try commit() }
    cutSavepoints(to: place)
  }

  func rollback(to name: String) throws(StoreError) {
    let place = try place(of: name)
    guard let savepoint = transaction?.savepoints[place] else { return }
    writes?.rollback(to: savepoint.mark)
    restore(savepoint.highestKeys)
    cutSavepoints(to: place + 1)
    if transaction?.hasCatalogChanges == true {
      catalog = savepoint.catalog
      transaction?.hasCatalogChanges = savepoint.hasCatalogChanges
      plan = nil
      liveConnection?.forget()
    }
    liveConnection?.scope.renew()
  }

  private func cutSavepoints(to count: Int) {
    guard let savepoints = transaction?.savepoints else { return }
    transaction?.savepoints = Array(savepoints.prefix(count))
  }

  /// The newest savepoint of that name.
  private func place(of name: String) throws(StoreError) -> Int {
    let wanted = folded(name)
    guard let place = transaction?.savepoints.lastIndex(where: { folded($0.name) == wanted }) else {
      throw StoreError(.invalid, "no such savepoint: \(name)", isParse: true, sqliteCode: 1)
    }
    return place
  }
}

extension StoreError {
  /// Whether a statement with `action` keeps the rows in front of the one that failed: OR FAIL does, when a constraint
  /// refuses a row.
  func keepsRows(_ action: OrAction) -> Bool { action == .fail && sqliteCode == 19 }
}
