// ALTER TABLE; and how changes of the catalog get into the log, one or several as one statement.
// Unsafe by nature: named in the tidy test.
import SluiceLog
import SluiceSQL
import SluiceSystem

extension Session {
  /// ALTER TABLE: SQLite works out what becomes of every definition, and that goes into the log.
  func alter(_ statement: AlterTable, line: Int) throws(StoreError) {
    // The catalog that it is worked out for is the newest one; a change by another session that comes in between makes
    // the statement fail when it is applied.
    if transaction == nil { try waitApplied() }
    var isReserved = false
    defer { if isReserved { store.pipeline.release() } }
    let alteration = try Alteration(statement, catalog) { [self] () throws(StoreError) in
      if transaction == nil, !isReserved { isReserved = store.pipeline.reserve() }
      return try isEmpty(statement.table, isReserved)
    }
    try change(try alteration.changes(), line: line)
  }

  /// Whether a table has no rows and gets none before the session's next statement: nobody else is there, or nobody
  /// else sees it yet.
  private func isEmpty(_ name: String, _ isReserved: Bool) throws(StoreError) -> Bool {
    guard let table = catalog.table(name) else { return false }
    let isOwn = store.pipeline.catalog.withLock { $0.tablesByID[table.id] == nil }
    guard isReserved || isOwn else { return false }
    if transaction != nil { try openTransaction() }
    return try highestKeyBytes(of: table, in: makeView()) == nil
  }

  /// Puts a change of the catalog into the log. Inside a transaction the session sees it at once and others at COMMIT;
  /// else it is applied when this returns.
  func change(_ change: CatalogChange, line: Int) throws(StoreError) { try self.change([change], line: line) }

  /// The same for several that make one statement: all of them take effect, or none.
  func change(_ changes: [CatalogChange], line: Int) throws(StoreError) {
    try store.pipeline.room.admit(makesRoom: changes.allSatisfy(\.makesRoom))
    let records = try changes.map { change throws(StoreError) in try Self.record(of: change) }
    plan = nil
    var rejectionsBefore = 0
    if transaction == nil {
      try waitApplied()
      rejectionsBefore = rejectionCount
    }
    try makeRoom(for: records)
    if transaction != nil { try applyToOwnCatalog(changes) }
    if let writes {
      for change in changes { try writes.append(change, line: line) }
      return
    }
    for (index, record) in records.enumerated() {
      record.key.withUnsafeBytes { key in
        record.value.withUnsafeBytes { value in
          builder.append(
            kind: .catalog, startsStatement: index == 0, slot: 0, line: line, key: key, value: value)
        }
      }
    }
    try statementEnded()
    if transaction == nil {
      try sendBatch()
      try waitForOutcome()
      if let rejection = takeRejection(after: rejectionsBefore) { throw rejection }
    }
  }

  /// A change as it stands in the log. Throws where its name or its definition is too long for that.
  private static func record(of change: CatalogChange) throws(StoreError) -> (key: [UInt8], value: [UInt8]) {
    let key = change.key
    if key.count > BatchLimits.keySizeBytes {
      let overhead = key.count - change.name.utf8.count
      throw StoreError(
        .invalid, "name too long: \(change.name.utf8.count) bytes, at most \(BatchLimits.keySizeBytes - overhead)",
        isParse: true, sqliteCode: 18)
    }
    // Not encoded before it is known to be of a size that can be.
    let size = change.definition.utf8.count + change.name.utf8.count + change.owner.utf8.count + 64
    if size > BatchLimits.valueSizeBytes {
      throw StoreError(
        .invalid,
        "definition too long: \(change.definition.utf8.count) bytes, at most \(BatchLimits.valueSizeBytes >> 20) MiB",
        isParse: true, sqliteCode: 18)
    }
    return (key, change.encoded())
  }

  /// Has the batch be one that takes all of these records, which make one statement.
  private func makeRoom(for records: [(key: [UInt8], value: [UInt8])]) throws(StoreError) {
    let size = records.reduce(0) { $0 + $1.key.count + $1.value.count + 64 }
    if let writes { return try writes.checkRoom(0, min(size, BatchLimits.valueSizeBytes)) }
    if builder.size + size <= BatchLimits.bodySizeBytes { return }
    // A batch of a transaction can be staged in the middle of it.
    if transaction != nil, !builder.isEmpty, !stopAtFirstError { try stage() }
    guard builder.size + size <= BatchLimits.bodySizeBytes else {
      throw StoreError(
        .invalid, "statement too big: what it changes encodes to more than \(BatchLimits.bodySizeBytes >> 20) MiB",
        isParse: true, sqliteCode: 18)
    }
  }

  private func applyToOwnCatalog(_ changes: [CatalogChange]) throws(StoreError) {
    var changed = catalog
    for change in changes {
      let effect: Catalog.Effect
      do { effect = try changed.apply(change) } catch { throw StoreError(error) }
      if case .refused(let message) = effect { throw StoreError(.invalid, message, isParse: true, sqliteCode: 1) }
    }
    catalog = changed
    transaction?.hasCatalogChanges = true
  }
}

extension Session {
  /// ALTER STORE SET name = value.
  func alterStore(_ name: String, _ value: SettingValue, line: Int) throws(StoreError) {
    try change(
      CatalogChange(operation: .alter, object: .setting, name: name, definition: value.text), line: line)
  }
}
