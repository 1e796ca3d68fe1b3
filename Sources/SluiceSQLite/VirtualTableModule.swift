// SQLite's callbacks for the virtual tables of this module. SQLite owns the memory of sx_table and sx_cursor (C structs
// that begin with its own part); each holds one reference to the Swift object, taken in xConnect and xOpen, given
// back in xDisconnect and xClose. No Swift error crosses C: it becomes the table's zErrMsg and a result code.
// Unsafe by nature: named in the tidy test.
import CSQLite
import SluiceSystem

extension Connection {
  /// Makes `table` readable as `name`, in place of what was registered under that name before; no statement on the
  /// old one may be running. SQLite lets go of the old table when it prepares the next statement.
  public func register(table name: String, _ table: VirtualTable) throws(SQLiteError) {
    let db = try opened()
    let reference = Unmanaged.passRetained(table).toOpaque()
    let code = sx_create_module(db, name, virtualTableModule, reference) { reference in
      // SQLite calls this when the registration ends, and also when it fails.
      if let reference { Unmanaged<VirtualTable>.fromOpaque(reference).release() }
    }
    if code != SQLITE_OK { throw .last(db, sql: nil) }
  }

  /// Ends the registration of a table; none under that name is no error.
  public func unregister(table name: String) throws(SQLiteError) {
    let db = try opened()
    if sx_create_module(db, name, nil, nil, nil) != SQLITE_OK { throw .last(db, sql: nil) }
  }
}

/// Read by SQLite alone and never written after it was made. xCreate is nil: the table is eponymous, it exists by
/// being registered and cannot be created. Writing will come with xUpdate.
nonisolated(unsafe) private let virtualTableModule: UnsafePointer<sqlite3_module> = {
  let module = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
  module.initialize(to: sqlite3_module())
  module.pointee.xConnect = connect
  module.pointee.xBestIndex = bestIndex
  module.pointee.xDisconnect = disconnect
  module.pointee.xOpen = openCursor
  module.pointee.xClose = closeCursor
  module.pointee.xFilter = filter
  module.pointee.xNext = next
  module.pointee.xEof = { frame($0).pointee.atEnd == 0 ? 0 : 1 }
  module.pointee.xColumn = column
  module.pointee.xRowid = rowid
  return UnsafePointer(module)
}()

private typealias TablePointer = UnsafeMutablePointer<sqlite3_vtab>
private typealias CursorPointer = UnsafeMutablePointer<sqlite3_vtab_cursor>

@inline(__always)
private func frame(_ cursor: CursorPointer?) -> UnsafeMutablePointer<sx_cursor> {
  UnsafeMutableRawPointer(cursor.unsafelyUnwrapped).assumingMemoryBound(to: sx_cursor.self)
}

@inline(__always)
private func object(_ table: TablePointer?) -> Unmanaged<VirtualTable> {
  let frame = UnsafeMutableRawPointer(table.unsafelyUnwrapped).assumingMemoryBound(to: sx_table.self)
  return .fromOpaque(frame.pointee.object.unsafelyUnwrapped)
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

@inline(never)
private func report(_ error: SQLiteError, to table: TablePointer?) -> Int32 {
  if let table, !error.message.isEmpty {
    sx_free(table.pointee.zErrMsg)
    table.pointee.zErrMsg = sqliteString(error.message)
  }
  return resultCode(error)
}

private func connect(
  _ db: OpaquePointer?, _ reference: UnsafeMutableRawPointer?, _ count: Int32,
  _ arguments: UnsafePointer<UnsafePointer<CChar>?>?, _ result: UnsafeMutablePointer<TablePointer?>?,
  _ message: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32 {
  let table = Unmanaged<VirtualTable>.fromOpaque(reference.unsafelyUnwrapped)
  let code = table._withUnsafeGuaranteedRef { sx_declare_vtab(db, $0.declaration) }
  if code != SQLITE_OK {
    message?.pointee = sqliteString(String(cString: sx_errmsg(db)))
    return code
  }
  guard let memory = sx_malloc(UInt64(MemoryLayout<sx_table>.size)) else { return SQLITE_NOMEM }
  let frame = memory.bindMemory(to: sx_table.self, capacity: 1)
  frame.initialize(to: sx_table())
  frame.pointee.object = table.retain().toOpaque()
  result?.pointee = memory.assumingMemoryBound(to: sqlite3_vtab.self)
  return SQLITE_OK
}

private func disconnect(_ table: TablePointer?) -> Int32 {
  object(table).release()
  sx_free(table)
  return SQLITE_OK
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
  do throws(SQLiteError) {
    let cursor = try object(table).takeUnretainedValue().makeCursor()
    guard let memory = sx_malloc(UInt64(MemoryLayout<sx_cursor>.size)) else { return SQLITE_NOMEM }
    let frame = memory.bindMemory(to: sx_cursor.self, capacity: 1)
    frame.initialize(to: sx_cursor())
    frame.pointee.cells = UnsafeRawPointer(cursor.cells)
    frame.pointee.columnCount = Int32(clamping: cursor.columnCount)
    frame.pointee.copies = cursor.copiesBytes ? 1 : 0
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
  let cells = frame.pointee.cells.unsafelyUnwrapped.assumingMemoryBound(to: Cell.self)
  cells[Int(index)].give(to: context, copies: Int32(frame.pointee.copies))
  return SQLITE_OK
}

private func rowid(_ cursor: CursorPointer?, _ result: UnsafeMutablePointer<sqlite3_int64>?) -> Int32 {
  let frame = frame(cursor)
  result?.pointee = object(frame)._withUnsafeGuaranteedRef { $0.rowid } ?? frame.pointee.row
  return SQLITE_OK
}
