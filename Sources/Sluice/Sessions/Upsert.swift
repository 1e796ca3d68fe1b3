// INSERT … ON CONFLICT: SQLite's own upsert, run on one row at a time. A temporary table with the definition of the
// SQL table holds the stored row of the new row's key, if there is one; the statement's clauses run on it as they
// stand, and what the row has become goes into the transaction. (SQLite has no upsert on virtual tables.)
// Unsafe by nature: named in the tidy test.
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// An INSERT with ON CONFLICT, prepared. Its temporary table goes with the connection, or the next one for its table.
final class Upsert {
  private let table: SQLTable
  /// The rowid's name where no column is the key: its value stands before those of the columns.
  private let rowidName: String?
  private let clause: String
  private let alias: String
  /// The first parameter of the new row's values, above what the clauses use.
  private let firstParameter: Int
  private let connection: Connection
  private let scope: LiveScope
  private let name: String
  private let load: SluiceSQLite.Statement
  private let insert: SluiceSQLite.Statement
  private let select: SluiceSQLite.Statement
  private let clear: SluiceSQLite.Statement

  /// `clause` is all from ON CONFLICT on, without RETURNING; `alias` the name by which it speaks of the table.
  fileprivate init(
    _ table: SQLTable, clause: String, alias: String, live: LiveConnection, firstParameter: Int
  ) throws(StoreError) {
    self.table = table
    self.clause = clause
    self.alias = alias
    self.firstParameter = firstParameter
    connection = live.connection
    scope = live.scope
    rowidName = table.isNumbered ? table.rowidName : nil
    let name = "sluice_upsert_\(table.id)"
    self.name = name
    do {
      try live.declare(namedBy: clause)
      // The one of an earlier statement may belong to an older definition.
      try connection.execute("DROP TABLE IF EXISTS temp.\(name)")
      try connection.execute(SluiceSQL.print(table.definition, shardKey: false, temporaryName: name))
      let columns = [rowidName].compactMap(\.self) + table.definition.columns.map(\.name)
      let names = columns.map(quoted).joined(separator: ", ")
      func parameters(from first: Int) -> String {
        columns.indices.map { "?\(first + $0)" }.joined(separator: ", ")
      }
      load = try connection.prepare("INSERT INTO temp.\(name)(\(names)) VALUES(\(parameters(from: 1)))")
      insert = try connection.prepare(
        "INSERT INTO temp.\(name) AS \(quoted(alias))(\(names)) "
          + "VALUES(\(parameters(from: firstParameter))) \(clause)")
      select = try connection.prepare("SELECT \(names) FROM temp.\(name)")
      clear = try connection.prepare("DELETE FROM temp.\(name)")
    } catch {
      var failure = Self.aboutTable(error, table, name)
      failure.isParse = true
      throw failure
    }
  }

  /// An error about the temporary table is one about the table that it stands for.
  private static func aboutTable(_ error: SQLiteError, _ table: SQLTable, _ name: String) -> StoreError {
    var failure = StoreError(error)
    let parts = failure.message.split(separator: name, omittingEmptySubsequences: false)
    failure.message = parts.joined(separator: table.name)
    failure.offset = nil
    return failure
  }

  /// Whether a statement with that clause is this one.
  fileprivate func serves(_ table: SQLTable, clause: String, alias: String) -> Bool {
    table === self.table && clause == self.clause && alias == self.alias
  }

  /// Gives the parameters of the clauses the values of the running statement.
  fileprivate func bindParameters(_ session: Session) throws(StoreError) {
    do {
      for index in 1..<firstParameter { try insert.bindNull(index) }
      try session.bindParameters(of: insert)
    } catch { throw Self.aboutTable(error, table, name) }
  }

  /// Inserts the row that the session is building, or does to the row in its way what the clauses say.
  func run(_ plan: InsertPlan, _ session: Session) throws(StoreError) {
    guard let writes = session.writes else { throw StoreError(.internal, "an upsert outside a transaction") }
    session.handlesConflict = true
    defer { session.handlesConflict = false }
    guard let value = try session.complete(plan) else { return }
    // Where only a rowid tells rows apart, one that is given out knows no conflict.
    if plan.table.isKeyless, !plan.bringsRowid { return try session.addCompleted(plan, value) }
    guard let new = RowReader(value).values(), let slot = session.buildKey(plan) else {
      throw StoreError(.internal, "a row that was just encoded cannot be read")
    }
    let key = [UInt8](session.key.bytes)
    let shard = session.router.shard(slot: slot)
    let found: (state: OpenWrites.State, row: [Value]?) = try withBytes(key) { (key) throws(StoreError) in
      (try writes.state(of: key, shard: shard), try writes.row(of: key, shard: shard) { RowReader($0).values() } ?? nil)
    }
    let rowid = rowidName.map { _ in Value.integer(session.number) }.map { [$0] } ?? []
    guard let row = try evaluate(rowid + new, over: found.row.map { rowid + padded($0) }) else { return }
    if !rowid.isEmpty, case .integer(let number)? = row.first { session.number = number }
    session.row.begin(plan.shape)
    for (column, value) in row.dropFirst(rowid.count).enumerated() { session.row.put(value, at: column) }
    try withBytes(key) { (key) throws(StoreError) in
      try session.put(plan, oldKey: key, oldSlot: slot, oldState: found.state)
    }
  }

  private func withBytes<R>(
    _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    let result = bytes.withUnsafeBytes { bytes in Result { () throws(StoreError) in try body(bytes) } }
    return try result.get()
  }

  /// A stored row with all columns of today.
  private func padded(_ row: [Value]) -> [Value] {
    row + table.definition.columns.dropFirst(row.count).map { $0.valueOfEarlierRows }
  }

  /// What becomes of `new` over the stored row; nil when nothing is to be written.
  private func evaluate(_ new: [Value], over stored: [Value]?) throws(StoreError) -> [Value]? {
    do {
      try clear.run()
      if let stored {
        try load.bind(stored)
        try load.run()
      }
      let before = connection.totalChanges
      for (index, value) in new.enumerated() { try insert.bind(firstParameter + index, value) }
      // Its clauses may ask for rows that the statement has changed already.
      try scope.apart { () throws(SQLiteError) in try insert.run() }
      guard connection.totalChanges > before else { return nil }
      return try select.rows().first
    } catch { throw Self.aboutTable(error, table, name) }
  }
}

extension Session {
  /// The statement with `clause`, as the one before it or prepared, with its parameters bound.
  func preparedUpsert(
    _ table: SQLTable, clause: String, alias: String, live: LiveConnection
  ) throws(StoreError) -> Upsert {
    let upsert: Upsert
    if let last = lastUpsert, last.serves(table, clause: clause, alias: alias) {
      upsert = last
    } else {
      // The other one's temporary table may have the same name.
      lastUpsert = nil
      upsert = try Upsert(
        table, clause: clause, alias: alias, live: live, firstParameter: parameterList.names.count + 1)
      lastUpsert = upsert
    }
    try upsert.bindParameters(self)
    return upsert
  }

  /// Adds a completed row that nothing is in the way of.
  func addCompleted(_ plan: InsertPlan, _ value: UnsafeRawBufferPointer) throws(StoreError) {
    guard let writes else { throw StoreError(.internal, "a row outside a transaction") }
    let slot = buildKey(plan)
    _ = try addOpen(plan, writes, value, slot: slot, line: currentLine)
    insertedCount += 1
  }

  /// Puts the row being built in place of the one under `oldKey`, if that is alive, perhaps under another key.
  func put(
    _ plan: InsertPlan, oldKey: UnsafeRawBufferPointer, oldSlot: UInt16, oldState: OpenWrites.State
  ) throws(StoreError) {
    guard let writes else { throw StoreError(.internal, "a row outside a transaction") }
    let value = row.finish(plan.shape)
    // The temporary table has the constraints, and no indexes.
    if !plan.table.evaluatedIndexes.isEmpty { _ = try passesChecks(plan, value) }
    guard let slot = buildKey(plan) else { throw StoreError(.internal, "a keyed row without a slot") }
    var state = oldState
    if compareBytes(key.bytes, oldKey) != 0 {
      state = try writes.state(of: key.bytes, shard: router.shard(slot: slot))
      if state.isAlive { throw StoreError(.conflict, plan.table.duplicateMessage, sqliteCode: 19) }
      if oldState.isAlive { try writes.delete(key: oldKey, slot: oldSlot, line: currentLine, over: oldState) }
      try noteNewKey(of: plan, old: storedRowid(ofKey: oldKey))
    }
    try writes.put(key: key.bytes, row: value, slot: slot, line: currentLine, over: state)
    if plan.hasNumberKey, !oldState.isAlive { setLastRowid(rowid(plan)) }
    returned?.add(value, rowid: plan.hasNumberKey ? rowid(plan) : 0)
    insertedCount += 1
  }
}
