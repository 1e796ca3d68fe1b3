// SQLite's callbacks for the virtual tables of this module, write side. A creatable module has them for every table it
// makes, so each looks first whether the table is writable.
// Unsafe by nature: named in the tidy test.
import CSQLite

func addWriting(to module: inout sqlite3_module) {
  module.xUpdate = update
  module.xBegin = { table in
    frame(table).pointee.refused = 0
    return call(table) { (table) throws(SQLiteError) in try table.begin() }
  }
  module.xSync = { table in call(table) { (table) throws(SQLiteError) in try table.sync() } }
  module.xCommit = { table in call(table) { (table) throws(SQLiteError) in table.commit() } }
  module.xRollback = { table in call(table) { (table) throws(SQLiteError) in table.rollback() } }
  module.xSavepoint = savepoint
  module.xRelease = { table, number in
    if isRefused(table, number) { return SQLITE_OK }
    return call(table) { (table) throws(SQLiteError) in try table.release(Int(number)) }
  }
  module.xRollbackTo = { table, number in
    if isRefused(table, number) { return SQLITE_OK }
    return call(table) { (table) throws(SQLiteError) in try table.rollback(to: Int(number)) }
  }
}

/// A savepoint that the table refused is not open for it. SQLite names it nevertheless when it ends the statement whose
/// own it was; the table, which has not noted it, would go back to its state at BEGIN.
private func savepoint(_ table: TablePointer?, _ number: Int32) -> Int32 {
  let code = call(table) { (table) throws(SQLiteError) in try table.savepoint(Int(number)) }
  frame(table).pointee.refused = code == SQLITE_OK ? 0 : number + 1
  return code
}

private func isRefused(_ table: TablePointer?, _ number: Int32) -> Bool {
  let frame = frame(table)
  if frame.pointee.refused != 0, number + 1 >= frame.pointee.refused { return true }
  frame.pointee.refused = 0
  return false
}

/// The object, if it is a `WritableTable`.
@inline(__always)
private func writable(_ table: TablePointer?) -> Unmanaged<WritableTable>? {
  let frame = frame(table)
  guard frame.pointee.isWritable != 0 else { return nil }
  return .fromOpaque(frame.pointee.object.unsafelyUnwrapped)
}

/// The callbacks of transactions and savepoints.
private func call(_ table: TablePointer?, _ body: (WritableTable) throws(SQLiteError) -> Void) -> Int32 {
  forgetMessage(table)
  guard let object = writable(table) else { return SQLITE_OK }
  do throws(SQLiteError) {
    try object.lend(body)
    return SQLITE_OK
  } catch {
    return report(error, to: table)
  }
}

/// xUpdate: arguments are the old rowid or key (NULL for INSERT), the new one, then the columns; the old one alone for
/// DELETE. Cost: two or three calls of SQLite's and one overridden method; nothing is allocated or counted.
private func update(
  _ table: TablePointer?, _ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?,
  _ rowid: UnsafeMutablePointer<sqlite3_int64>?
) -> Int32 {
  let frame = frame(table)
  guard let object = writable(table), let values else {
    return report(SQLiteError(code: SQLITE_READONLY, message: "the table may not be modified"), to: table)
  }
  let action = ConflictAction(rawValue: sx_vtab_on_conflict(frame.pointee.db)) ?? .abort
  do throws(SQLiteError) {
    if frame.pointee.hasRowid != 0 {
      let change = try rowChange(count, values)
      let given = try object.lend { (table) throws(SQLiteError) -> Int64 in
        try table.update(change, onConflict: action)
      }
      // SQLite reads it after an INSERT alone.
      rowid?.pointee = given
    } else {
      let change = keyedChange(count, values)
      try object.lend { (table) throws(SQLiteError) -> Void in
        try table.updateKeyed(change, onConflict: action)
      }
    }
    return SQLITE_OK
  } catch {
    // SQLite leaves the row out: nobody reads a message, and none is copied.
    if action == .ignore, error.primaryCode == SQLITE_CONSTRAINT { return error.code }
    return report(error, to: table)
  }
}

@inline(__always)
private func rowChange(
  _ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>
) throws(SQLiteError) -> RowChange {
  if count == 1 { return .delete(rowid: sx_value_int64(values[0])) }
  let columns = Arguments(count - 2, values + 2)
  if sx_value_type(values[0]) != SQLITE_NULL {
    return .update(rowid: sx_value_int64(values[0]), newRowid: try newRowid(values[1]), values: columns)
  }
  let isGiven = sx_value_type(values[1]) != SQLITE_NULL
  return .insert(rowid: isGiven ? sx_value_int64(values[1]) : nil, values: columns)
}

/// SQLite sees to it that the rowid of an INSERT is an integer, but hands on whatever UPDATE … SET rowid gives. Its own
/// tables take a number in text and a whole real.
@inline(__always)
private func newRowid(_ value: OpaquePointer?) throws(SQLiteError) -> Int64 {
  if sx_value_type(value) == SQLITE_INTEGER { return sx_value_int64(value) }
  switch sx_value_numeric_type(value) {
  case SQLITE_INTEGER: return sx_value_int64(value)
  case SQLITE_FLOAT:
    if let whole = Int64(exactly: sx_value_double(value)) { return whole }
  default: break
  }
  throw SQLiteError(code: SQLITE_MISMATCH, message: "datatype mismatch")
}

@inline(__always)
private func keyedChange(_ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>) -> KeyedChange {
  if count == 1 { return .delete(key: Cell(values[0])) }
  let columns = Arguments(count - 2, values + 2)
  if sx_value_type(values[0]) != SQLITE_NULL { return .update(key: Cell(values[0]), values: columns) }
  return .insert(values: columns)
}
