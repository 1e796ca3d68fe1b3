// SQLite's callbacks for the virtual tables of this module. SQLite owns the memory of sx_table and sx_cursor (C structs
// that begin with its own part); each holds one reference to the Swift object, taken in xCreate or xConnect and xOpen,
// given back in xDestroy or xDisconnect and xClose. No Swift error crosses C: it becomes the table's zErrMsg and a
// result code.
// Unsafe by nature: named in the tidy test.
import CSQLite
import SluiceSystem

extension Connection {
  /// Makes `table` readable (a `WritableTable`: writable) as `name`, in place of what was registered under that name
  /// before; no statement on the old one may be running. SQLite lets go of the old table when it prepares the next
  /// statement. `directOnly`: not from views and triggers of a schema, which may be somebody else's.
  public func register(table name: String, _ table: VirtualTable, directOnly: Bool = false) throws(SQLiteError) {
    let module = table is WritableTable ? writableModule : readableModule
    try register(name, module, Registration(directOnly: directOnly) { (_) throws(SQLiteError) in table })
  }

  /// Makes `CREATE VIRTUAL TABLE … USING name(…)` give the table that `make` returns for its arguments. `make` is
  /// called by CREATE, and once more whenever a connection finds such a table in the schema and uses it. An error it
  /// throws is the statement's. `directOnly` as for `register(table:)`. Ended by `unregister(table:)`.
  public func register(
    module name: String, directOnly: Bool = false,
    _ make: @escaping (ModuleArguments) throws(SQLiteError) -> VirtualTable
  ) throws(SQLiteError) {
    try register(name, creatableModule, Registration(directOnly: directOnly, make))
  }

  private func register(
    _ name: String, _ module: UnsafePointer<sqlite3_module>, _ registration: Registration
  ) throws(SQLiteError) {
    let db = try opened()
    let reference = Unmanaged.passRetained(registration).toOpaque()
    let code = sx_create_module(db, name, module, reference) { reference in
      // SQLite calls this when the registration ends, and also when it fails.
      if let reference { Unmanaged<Registration>.fromOpaque(reference).release() }
    }
    if code != SQLITE_OK { throw .last(db, sql: nil) }
  }

  /// Ends the registration of a table or a module; none under that name is no error.
  public func unregister(table name: String) throws(SQLiteError) {
    let db = try opened()
    if sx_create_module(db, name, nil, nil, nil) != SQLITE_OK { throw .last(db, sql: nil) }
  }
}

/// What SQLite holds of a registration.
private final class Registration {
  let directOnly: Bool
  let make: (ModuleArguments) throws(SQLiteError) -> VirtualTable

  init(directOnly: Bool, _ make: @escaping (ModuleArguments) throws(SQLiteError) -> VirtualTable) {
    self.directOnly = directOnly
    self.make = make
  }
}

/// Three modules, read by SQLite alone and never written after they were made. Without xCreate a table is eponymous: it
/// exists by being registered and cannot be created. Without xUpdate SQLite refuses to write when it prepares the
/// statement; what a creatable module makes is known later, so there `update` refuses.
nonisolated(unsafe) private let readableModule = makeModule(isWritable: false, isCreatable: false)
nonisolated(unsafe) private let writableModule = makeModule(isWritable: true, isCreatable: false)
nonisolated(unsafe) private let creatableModule = makeModule(isWritable: true, isCreatable: true)

private func makeModule(isWritable: Bool, isCreatable: Bool) -> UnsafePointer<sqlite3_module> {
  let module = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
  module.initialize(to: sqlite3_module())
  module.pointee.iVersion = 2  // up to xRollbackTo
  if isCreatable {
    module.pointee.xCreate = { makeTable($0, $1, $2, $3, $4, $5, isCreating: true) }
    module.pointee.xDestroy = destroy
    module.pointee.xRename = rename
  }
  module.pointee.xConnect = { makeTable($0, $1, $2, $3, $4, $5, isCreating: false) }
  module.pointee.xBestIndex = bestIndex
  module.pointee.xDisconnect = disconnect
  module.pointee.xOpen = openCursor
  module.pointee.xClose = closeCursor
  module.pointee.xFilter = filter
  module.pointee.xNext = next
  module.pointee.xEof = { frame($0).pointee.atEnd == 0 ? 0 : 1 }
  module.pointee.xColumn = column
  module.pointee.xRowid = rowid
  if isWritable { addWriting(to: &module.pointee) }
  return UnsafePointer(module)
}

typealias TablePointer = UnsafeMutablePointer<sqlite3_vtab>
private typealias CursorPointer = UnsafeMutablePointer<sqlite3_vtab_cursor>

@inline(__always)
private func frame(_ cursor: CursorPointer?) -> UnsafeMutablePointer<sx_cursor> {
  UnsafeMutableRawPointer(cursor.unsafelyUnwrapped).assumingMemoryBound(to: sx_cursor.self)
}

@inline(__always)
func frame(_ table: TablePointer?) -> UnsafeMutablePointer<sx_table> {
  UnsafeMutableRawPointer(table.unsafelyUnwrapped).assumingMemoryBound(to: sx_table.self)
}

@inline(__always)
private func object(_ table: TablePointer?) -> Unmanaged<VirtualTable> {
  .fromOpaque(frame(table).pointee.object.unsafelyUnwrapped)
}

@inline(__always)
private func object(_ frame: UnsafeMutablePointer<sx_cursor>) -> Unmanaged<VirtualCursor> {
  .fromOpaque(frame.pointee.object.unsafelyUnwrapped)
}

extension Unmanaged {
  /// Runs `body` on the object without counting a reference: SQLite holds one meanwhile. (A typed throw does not pass
  /// through the standard library's closure, so the outcome is carried as a value.)
  @inline(__always)
  func lend<R>(_ body: (Instance) throws(SQLiteError) -> R) throws(SQLiteError) -> R {
    let outcome: Result<R, SQLiteError> = _withUnsafeGuaranteedRef { instance in
      do throws(SQLiteError) {
        return .success(try body(instance))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}

/// A C string in SQLite's memory, for it to free; nil when there is none left.
private func sqliteString(_ text: String) -> UnsafeMutablePointer<CChar>? {
  let bytes = text.utf8
  guard let memory = sx_malloc(UInt64(bytes.count + 1)) else { return nil }
  let characters = memory.assumingMemoryBound(to: CChar.self)
  for (index, byte) in bytes.enumerated() { characters[index] = CChar(bitPattern: byte) }
  characters[bytes.count] = 0
  return characters
}

/// The code for SQLite; the message goes to the table, from where SQLite takes it after most callbacks.
@inline(never)
func report(_ error: SQLiteError, to table: TablePointer?) -> Int32 {
  forgetMessage(table)
  if let table, !error.message.isEmpty { table.pointee.zErrMsg = sqliteString(error.message) }
  return resultCode(error)
}

/// Drops a message that SQLite did not take, lest it takes it for a later call's.
@inline(__always)
func forgetMessage(_ table: TablePointer?) {
  guard let table, table.pointee.zErrMsg != nil else { return }
  sx_free(table.pointee.zErrMsg)
  table.pointee.zErrMsg = nil
}

/// xCreate and xConnect.
private func makeTable(
  _ db: OpaquePointer?, _ reference: UnsafeMutableRawPointer?, _ count: Int32,
  _ arguments: UnsafePointer<UnsafePointer<CChar>?>?, _ result: UnsafeMutablePointer<TablePointer?>?,
  _ message: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, isCreating: Bool
) -> Int32 {
  let registration = Unmanaged<Registration>.fromOpaque(reference.unsafelyUnwrapped).takeUnretainedValue()
  let words = (0..<Int(count)).map { index in arguments?[index].map { String(cString: $0) } ?? "" }
  let table: VirtualTable
  do throws(SQLiteError) {
    table = try registration.make(
      ModuleArguments(
        module: words[0], schema: words[1], table: words[2], texts: Array(words[3...]), isCreating: isCreating))
  } catch {
    message?.pointee = error.message.isEmpty ? nil : sqliteString(error.message)
    return resultCode(error)
  }
  var code = sx_declare_vtab(db, table.declaration)
  if code == SQLITE_OK, table is WritableTable { code = sx_vtab_constraint_support(db) }
  if code == SQLITE_OK, registration.directOnly { code = sx_vtab_direct_only(db) }
  if code != SQLITE_OK {
    message?.pointee = sqliteString(String(cString: sx_errmsg(db)))
    return code
  }
  guard let memory = sx_malloc(UInt64(MemoryLayout<sx_table>.size)) else { return SQLITE_NOMEM }
  let frame = memory.bindMemory(to: sx_table.self, capacity: 1)
  frame.initialize(to: sx_table())
  frame.pointee.db = db
  frame.pointee.isWritable = table is WritableTable ? 1 : 0
  frame.pointee.hasRowid = table.hasRowid ? 1 : 0
  frame.pointee.object = Unmanaged.passRetained(table).toOpaque()
  result?.pointee = memory.assumingMemoryBound(to: sqlite3_vtab.self)
  return SQLITE_OK
}

private func disconnect(_ table: TablePointer?) -> Int32 {
  object(table).release()
  forgetMessage(table)
  sx_free(table)
  return SQLITE_OK
}

/// DROP TABLE. Its message would not be taken.
private func destroy(_ table: TablePointer?) -> Int32 {
  do throws(SQLiteError) {
    try object(table).lend { (table) throws(SQLiteError) -> Void in try table.drop() }
  } catch {
    return resultCode(error)
  }
  return disconnect(table)
}

private func rename(_ table: TablePointer?, _ name: UnsafePointer<CChar>?) -> Int32 {
  let name = name.map { String(cString: $0) } ?? ""
  do throws(SQLiteError) {
    try object(table).lend { (table) throws(SQLiteError) -> Void in try table.rename(to: name) }
    return SQLITE_OK
  } catch {
    return report(error, to: table)
  }
}

/// The needed columns are known only while planning: they go to the scan as 16 hexadecimal digits in idxStr.
private func bestIndex(_ table: TablePointer?, _ info: UnsafeMutablePointer<sqlite3_index_info>?) -> Int32 {
  let info = info.unsafelyUnwrapped
  info.pointee.estimatedCost = 10_000
  info.pointee.estimatedRows = 10_000
  do throws(SQLiteError) {
    var plan = AccessPlan(info)
    try object(table).lend { (table) throws(SQLiteError) -> Void in try table.plan(&plan) }
  } catch {
    return report(error, to: table)
  }
  let digits = String(info.pointee.colUsed, radix: 16)
  guard let text = sqliteString(String(repeating: "0", count: 16 - digits.utf8.count) + digits) else {
    return SQLITE_NOMEM
  }
  info.pointee.idxStr = text
  info.pointee.needToFreeIdxStr = 1
  return SQLITE_OK
}

private func openCursor(_ table: TablePointer?, _ result: UnsafeMutablePointer<CursorPointer?>?) -> Int32 {
  forgetMessage(table)
  do throws(SQLiteError) {
    let cursor = try object(table).takeUnretainedValue().makeCursor()
    guard let memory = sx_malloc(UInt64(MemoryLayout<sx_cursor>.size)) else { return SQLITE_NOMEM }
    let frame = memory.bindMemory(to: sx_cursor.self, capacity: 1)
    frame.initialize(to: sx_cursor())
    frame.pointee.cells = UnsafeRawPointer(cursor.cells)
    frame.pointee.columnCount = Int32(clamping: cursor.columnCount)
    frame.pointee.copies = cursor.copiesBytes ? 1 : 0
    frame.pointee.omitsUnchanged = cursor.omitsUnchanged ? 1 : 0
    frame.pointee.atEnd = 1
    frame.pointee.object = Unmanaged.passRetained(cursor).toOpaque()
    result?.pointee = memory.assumingMemoryBound(to: sqlite3_vtab_cursor.self)
    return SQLITE_OK
  } catch {
    return report(error, to: table)
  }
}

private func closeCursor(_ cursor: CursorPointer?) -> Int32 {
  object(frame(cursor)).release()
  sx_free(cursor)
  return SQLITE_OK
}

private func filter(
  _ cursor: CursorPointer?, _ plan: Int32, _ text: UnsafePointer<CChar>?, _ count: Int32,
  _ arguments: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  let frame = frame(cursor)
  let needed = text.flatMap { UInt64(String(cString: $0), radix: 16) } ?? .max
  let scan = Scan(plan: plan, neededColumns: needed, arguments: Arguments(count, arguments))
  frame.pointee.atEnd = 1
  frame.pointee.row = 1
  forgetMessage(frame.pointee.base.pVtab)
  do throws(SQLiteError) {
    let isRow = try object(frame).lend { (cursor) throws(SQLiteError) -> Bool in
      try cursor.start(scan)
    }
    frame.pointee.atEnd = isRow ? 0 : 1
    return SQLITE_OK
  } catch {
    return report(error, to: frame.pointee.base.pVtab)
  }
}

private func next(_ cursor: CursorPointer?) -> Int32 {
  let frame = frame(cursor)
  do throws(SQLiteError) {
    let isRow = try object(frame).lend { (cursor) throws(SQLiteError) -> Bool in
      try cursor.next()
    }
    frame.pointee.row &+= 1
    frame.pointee.atEnd = isRow ? 0 : 1
    return SQLITE_OK
  } catch {
    frame.pointee.atEnd = 1
    return report(error, to: frame.pointee.base.pVtab)
  }
}

private func column(_ cursor: CursorPointer?, _ context: OpaquePointer?, _ index: Int32) -> Int32 {
  let frame = frame(cursor)
  // A declaration with more columns than the cursor has cells: the rest is NULL.
  guard index >= 0, index < frame.pointee.columnCount else { return SQLITE_OK }
  if frame.pointee.omitsUnchanged != 0, sx_vtab_nochange(context) != 0 { return SQLITE_OK }
  let cells = frame.pointee.cells.unsafelyUnwrapped.assumingMemoryBound(to: Cell.self)
  cells[Int(index)].give(to: context, copies: Int32(frame.pointee.copies))
  return SQLITE_OK
}

private func rowid(_ cursor: CursorPointer?, _ result: UnsafeMutablePointer<sqlite3_int64>?) -> Int32 {
  let frame = frame(cursor)
  result?.pointee = object(frame)._withUnsafeGuaranteedRef { $0.rowid } ?? frame.pointee.row
  return SQLITE_OK
}
