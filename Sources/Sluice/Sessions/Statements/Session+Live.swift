// Changes of single rows that SQLite asks for: UPDATE and DELETE through the live tables, and rows of an INSERT in a
// transaction that reads. Unsafe by nature: named in the tidy test.
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session: LiveSource {
  var router: Router { store.router }

  func makeView() throws(StoreError) -> LiveView {
    if let writes { return LiveView(writes) }
    return LiveView(snapshots: store.pipeline.view())
  }

  func checkInterrupt() throws(StoreError) { try interrupter.check() }

  func apply(
    _ change: RowChange, to table: LiveTable, _ action: ConflictAction
  ) throws(StoreError) -> Int64 {
    guard let writes else { throw StoreError(.internal, "a row changes outside a transaction") }
    if table.table.isKeyless, table.table.rowidName == nil, !change.isInsert {
      throw StoreError(
        .unsupported,
        "rows of \(table.table.name) cannot be changed: it has no primary key, and its columns take all names of the "
          + "rowid", sqliteCode: 1)
    }
    switch change {
    case .delete(let rowid):
      try delete(rowid, from: table, writes)
      return rowid
    case .insert(let rowid, let values):
      return try insert(values, rowid: rowid, by: try insertPlan(table, OrAction(action)), into: table)
    case .update(let rowid, let newRowid, let values):
      return try update(values, rowid: rowid, newRowid: newRowid, in: table, OrAction(action), writes)
    }
  }

  // MARK: DELETE

  private func delete(_ rowid: Int64, from table: LiveTable, _ writes: OpenWrites) throws(StoreError) {
    let old = try keyBytes(rowid, of: table)
    try old.withBytes { (key) throws(StoreError) in
      let slot = try slot(of: key, in: table, writes)
      let state = try writes.state(of: key, shard: slot.map { router.shard(slot: $0) })
      // Another row of the same statement may have taken it away.
      guard state.isAlive else { return }
      if let returned {
        _ = try writes.row(of: key, shard: slot.map { router.shard(slot: $0) }) { returned.add($0, rowid: rowid) }
      }
      try writes.delete(key: key, slot: slot ?? 0, line: currentLine, over: state)
      try noteRemoval(of: rowid, from: table.table)
    }
  }

  // MARK: INSERT

  /// `values` has one for each column of the table; those of columns that the plan does not name are not looked at.
  /// Returns the row's number, or in other tables that of the session's last row that has one.
  func insert(
    _ values: Arguments, rowid: Int64?, by plan: InsertPlan, into table: LiveTable
  ) throws(StoreError) -> Int64 {
    let shape = plan.shape
    row.begin(shape)
    for position in 0..<shape.valueCount {
      let column = shape.targets[position]
      if column < 0 { continue }
      try row.put(values.cell(column), at: column, shape.affinities[position], evaluator)
    }
    if let rowid {
      try checkRowid(of: table)
      if plan.rowidColumn < 0 {
        row.put(integer: rowid, at: RowBuilder.rowidPlace)
      } else if row.cell(column: plan.rowidColumn).isNull {
        row.set(column: plan.rowidColumn, .integer(rowid))
      }
    }
    _ = try add(plan, isFirst: true, line: currentLine)
    return lastRowid.value
  }

  private func put(_ values: Arguments, _ table: LiveTable) throws(StoreError) {
    let columns = table.table.definition.columns
    for index in 0..<columns.count {
      try row.put(values.cell(index), at: index, columns[index].affinity, evaluator)
    }
  }

  /// Throws why nobody can choose the rowid of a row.
  private func checkRowid(of table: LiveTable) throws(StoreError) {
    if let objection = table.table.rowidObjection { throw StoreError(.unsupported, objection, sqliteCode: 1) }
    if table.table.hasRowid { return }
    throw StoreError(
      .unsupported, "the rowid of \(table.table.name) cannot be set: its rows are told apart by the primary key",
      sqliteCode: 1)
  }

  func insertPlan(_ table: LiveTable, _ action: OrAction) throws(StoreError) -> InsertPlan {
    if let plan = table.insertPlans[action] { return plan }
    let plan: InsertPlan
    do { plan = try InsertPlan(orAction: action, columns: nil, prefix: [], table: table.current) } catch {
      throw StoreError(error)
    }
    table.insertPlans[action] = plan
    return plan
  }

  /// Adds the encoded row, whose key stands in `key`, to the transaction's own. False when it is left out.
  @inline(never)
  func addOpen(
    _ plan: InsertPlan, _ writes: OpenWrites, _ value: UnsafeRawBufferPointer, slot: UInt16?, line: Int
  ) throws(StoreError) -> Bool {
    if plan.isStream {
      let position = try writes.appendStream(tableID: plan.tableID, row: value, slot: slot, line: line)
      noteProvisional(position)
      returned?.add(value, rowid: Int64(position))
      return true
    }
    guard let slot else { preconditionFailure("a keyed row without a slot") }
    let state = try writes.state(of: key.bytes, shard: router.shard(slot: slot))
    if state.isAlive {
      switch plan.orAction {
      case .ignore: return false
      case .replace: break
      case .abort, .fail, .rollback:
        throw StoreError(.conflict, plan.table.duplicateMessage, sqliteCode: 19)
      }
    }
    try writes.put(key: key.bytes, row: value, slot: slot, line: line, over: state)
    if plan.hasNumberKey { setLastRowid(rowid(plan)) }
    returned?.add(value, rowid: plan.hasNumberKey ? lastRowid.value : 0)
    return true
  }

  // MARK: UPDATE

  private func update(
    _ values: Arguments, rowid: Int64, newRowid: Int64, in table: LiveTable, _ action: OrAction, _ writes: OpenWrites
  ) throws(StoreError) -> Int64 {
    let plan = try insertPlan(table, action)
    let old = try keyBytes(rowid, of: table)
    row.begin(plan.shape)
    try put(values, table)
    if plan.rowidColumn < 0 { number = newRowid }
    if newRowid != rowid {
      try checkRowid(of: table)
      setRowid(plan, newRowid)
    }
    if plan.rowidColumn >= 0, row.cell(column: plan.rowidColumn).storageClass != .integer {
      throw StoreError(.invalid, "datatype mismatch", sqliteCode: 20)
    }
    for column in plan.notNull where row.cell(column: column).isNull {
      if try !replaceNull(plan, column) { return rowid }
    }
    let value = row.finish(plan.shape)
    if plan.needsCheck, try !passesChecks(plan, value) { return rowid }
    var result = rowid
    try old.withBytes { (oldKey) throws(StoreError) in
      result = try replace(oldKey, rowid: rowid, by: value, plan, table, writes)
    }
    return result
  }

  /// Puts `value` in place of the row under `oldKey`, perhaps under another key.
  private func replace(
    _ oldKey: UnsafeRawBufferPointer, rowid: Int64, by value: UnsafeRawBufferPointer, _ plan: InsertPlan,
    _ table: LiveTable, _ writes: OpenWrites
  ) throws(StoreError) -> Int64 {
    let oldSlot = try slot(of: oldKey, in: table, writes)
    let oldState = try writes.state(of: oldKey, shard: oldSlot.map { router.shard(slot: $0) })
    // OR REPLACE of a row before it may have taken it away.
    guard oldState.isAlive else { return rowid }
    var newSlot = buildKey(plan)
    if plan.isStream, plan.placing.isEmpty { newSlot = oldSlot }
    var rowid = rowid
    if plan.isStream || compareBytes(key.bytes, oldKey) == 0 {
      if let oldSlot, newSlot != oldSlot {
        try writes.delete(key: oldKey, slot: oldSlot, line: currentLine, over: oldState)
        try writes.put(
          key: oldKey, row: value, slot: newSlot, line: currentLine, over: .own(isAlive: false))
      } else {
        try writes.put(key: oldKey, row: value, slot: newSlot, line: currentLine, over: oldState)
      }
    } else {
      guard let newSlot else { preconditionFailure("a keyed row without a slot") }
      let state = try writes.state(of: key.bytes, shard: router.shard(slot: newSlot))
      if state.isAlive, plan.orAction == .ignore { return rowid }
      if state.isAlive, plan.orAction != .replace {
        throw StoreError(.conflict, plan.table.duplicateMessage, sqliteCode: 19)
      }
      try writes.delete(key: oldKey, slot: oldSlot ?? 0, line: currentLine, over: oldState)
      try writes.put(key: key.bytes, row: value, slot: newSlot, line: currentLine, over: state)
      if plan.hasNumberKey {
        try noteNewKey(of: plan, old: rowid)
        rowid = self.rowid(plan)
      }
    }
    returned?.add(value, rowid: rowid)
    return rowid
  }

  // MARK: Keys

  /// An engine key in memory of its own.
  struct KeyBytes: ~Copyable {
    fileprivate var bytes = ByteBuffer(capacity: 32)

    func withBytes(_ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
      try body(bytes.bytes)
    }
  }

  /// The key of the row that SQLite knows by `rowid`.
  private func keyBytes(_ rowid: Int64, of table: LiveTable) throws(StoreError) -> KeyBytes {
    var key = KeyBytes()
    if table.table.hasRowid {
      key.bytes.append(bigEndian: table.table.id)
      table.table.append(rowid: rowid, to: &key.bytes)
      return key
    }
    guard let known = table.scope.handles.key(rowid) else {
      throw StoreError(.invalid, "table \(table.table.name) has no row with the rowid \(rowid)", sqliteCode: 1)
    }
    key.bytes.append(known)
    return key
  }

  /// The slot of a stored row; nil for a row that is keyed by a position it does not have yet.
  private func slot(
    of key: UnsafeRawBufferPointer, in table: LiveTable, _ writes: OpenWrites
  ) throws(StoreError) -> UInt16? {
    if let own = writes.own(key), own.isPositionSlotted { return nil }
    if let slot = table.slot(ofKey: key, scratch: &slotScratch) { return slot }
    if let own = writes.own(key) { return own.slot }
    // Placed by columns that only the row holds.
    let placing = table.table.placingColumns
    let values = try writes.row(of: key, shard: nil) { RowReader($0).values() } ?? nil
    guard let values else { return nil }
    slotScratch.removeAll()
    for column in placing { KeyFormat.append(column < values.count ? values[column] : .null, to: &slotScratch) }
    return router.slot(shardKey: slotScratch.bytes)
  }

  /// The slot of the row being built.
  func rowSlot(_ plan: InsertPlan) -> UInt16 {
    plan.placesByKey
      ? router.slot(shardKey: UnsafeRawBufferPointer(rebasing: key.bytes[4...])) : placingSlot(plan)
  }
}

extension RowChange {
  fileprivate var isInsert: Bool {
    if case .insert = self { return true }
    return false
  }
}

extension OrAction {
  init(_ action: ConflictAction) {
    switch action {
    case .abort: self = .abort
    case .ignore: self = .ignore
    case .replace: self = .replace
    case .fail: self = .fail
    case .rollback: self = .rollback
    }
  }
}
