// The slow branches of the row path: keys that are given out, defaults that are computed, NULLs that are refused or
// replaced, CHECK constraints.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  /// A column left out whose default is an expression: SQLite evaluates it for this row.
  @inline(never)
  func setDefault(_ plan: InsertPlan, _ column: Int) throws(StoreError) {
    do {
      row.set(column: column, try evaluator.defaultValue(plan.table.definition.columns[column]))
    } catch { throw StoreError(error) }
  }

  /// Whether the row being built brings no number, and is to be given one; anything else but an integer is refused.
  @inline(__always)
  func needsRowid(_ plan: InsertPlan) throws(StoreError) -> Bool {
    let cell = plan.rowidColumn >= 0 ? row.cell(column: plan.rowidColumn) : row.rowid
    if cell.storageClass == .integer {
      if plan.rowidColumn < 0 { number = cell.integer }
      return false
    }
    guard cell.isNull else { throw StoreError(.invalid, "datatype mismatch", sqliteCode: 20) }
    return true
  }

  /// The number of the row being built, for a plan whose table has numbers for keys.
  @inline(__always)
  func rowid(_ plan: InsertPlan) -> Int64 {
    plan.rowidColumn >= 0 ? row.cell(column: plan.rowidColumn).integer : number
  }

  func setRowid(_ plan: InsertPlan, _ rowid: Int64) {
    if plan.rowidColumn >= 0 { row.set(column: plan.rowidColumn, .integer(rowid)) } else { number = rowid }
  }

  /// Appends the primary key of the row being built, or its number.
  @inline(__always)
  func appendKey(_ plan: InsertPlan) {
    if plan.primaryKey.isEmpty { KeyFormat.append(integer: number, to: &key) }
    row.appendKey(columns: plan.primaryKey, to: &key)
  }

  /// Gives the row being built the next number.
  @inline(never)
  func giveRowid(_ plan: InsertPlan) throws(StoreError) {
    if !counts.raised.isEmpty, counts.raised.contains(where: { $0.table === plan.table }) {
      throw StoreError(SQLError(.evaluated, "the next number depends on rows that are on their way"))
    }
    // AUTOINCREMENT counts from 1; without it the number behind the highest is next, whatever its sign.
    let least: Int64 = plan.table.definition.autoIncrement ? 1 : .min
    let next = try plan.table.highestKey.next(least: least) { () throws(StoreError) in
      // What this session has on its way is counted already.
      try highestKey(of: plan.table)
    }
    let number = if let next { next } else { try numberBelowHighest(plan) }
    counts.given += 1
    setRowid(plan, number)
  }

  /// The highest number there is is taken: as in SQLite any other one will do, unless numbers must rise.
  private func numberBelowHighest(_ plan: InsertPlan) throws(StoreError) -> Int64 {
    if plan.table.definition.autoIncrement {
      throw StoreError(.invalid, "database or disk is full", sqliteCode: 13)
    }
    return Int64(store.options.clock.random() & UInt64(Int64.max >> 1)) + 1
  }

  /// Forgets keys given out for what was not written, as SQLite does, unless another session may have been given higher
  /// ones since.
  func takeBack(_ counter: KeyCounter, to key: Int64) {
    if store.pipeline.progress.withLock({ $0.sessions.count }) == 1 { counter.restore(key, from: counter.current) }
  }

  /// Forgets the number given to a row that is left out, as SQLite does where numbers may be given again.
  @inline(never)
  func takeBackLast(_ plan: InsertPlan) {
    counts.given -= 1
    guard !plan.table.definition.autoIncrement, plan.highestKey.current == rowid(plan) else { return }
    takeBack(plan.highestKey, to: rowid(plan) - 1)
  }

  /// NULL in a column that must not have it: OR REPLACE takes the default where there is one, OR IGNORE leaves the row
  /// out (false), else it is an error, in SQLite's words.
  @inline(never)
  func replaceNull(_ plan: InsertPlan, _ column: Int) throws(StoreError) -> Bool {
    let definition = plan.table.definition.columns[column]
    if plan.orAction == .ignore { return false }
    if plan.orAction == .replace, definition.defaultValue != nil {
      try setDefault(plan, column)
      if !row.cell(column: column).isNull { return true }
    }
    throw StoreError(
      .conflict, "NOT NULL constraint failed: \(plan.table.name).\(definition.name)", sqliteCode: 19)
  }

  /// Lets SQLite check the row. False when OR IGNORE leaves it out. `isNew`: its key may be taken.
  @inline(never)
  func passesChecks(
    _ plan: InsertPlan, _ value: UnsafeRawBufferPointer, isNew: Bool = false
  ) throws(StoreError) -> Bool {
    guard let values = RowReader(value).values() else {
      throw StoreError(.internal, "a row that was just encoded cannot be read")
    }
    do { try evaluator.check(values, of: plan.table) } catch {
      if plan.orAction == .ignore, error.kind == .constraint { return false }
      // SQLite looks for the number before it computes entries of indexes, and behind CHECKs.
      guard isNew, plan.hasNumberKey, plan.table.definition.allChecks.isEmpty else { throw StoreError(error) }
      return try judgeDuplicate(plan, StoreError(error))
    }
    return true
  }

  /// A row of which an index cannot compute its entry: whether it is to go on, should its number be taken; else throws
  /// `failure`, or what is to be said of a duplicate. Where nobody looks for numbers yet, SQLite evaluates the
  /// statement.
  private func judgeDuplicate(_ plan: InsertPlan, _ failure: StoreError) throws(StoreError) -> Bool {
    guard let writes else {
      var failure = failure
      failure.isEvaluated = true
      throw failure
    }
    guard let slot = buildKey(plan), try writes.state(of: key.bytes, shard: router.shard(slot: slot)).isAlive
    else { throw failure }
    if handlesConflict { return true }
    switch plan.orAction {
    case .ignore: return false
    case .replace: throw failure
    case .abort, .fail, .rollback: throw StoreError(.conflict, plan.table.duplicateMessage, sqliteCode: 19)
    }
  }
}
