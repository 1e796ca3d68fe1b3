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
    try change(try Alteration(statement, catalog).changes(), line: line)
  }

  /// Puts a change of the catalog into the log. Inside a transaction the session sees it at once and others at COMMIT;
  /// else it is applied when this returns.
  func change(_ change: CatalogChange, line: Int) throws(StoreError) { try self.change([change], line: line) }

  /// The same for several that make one statement: all of them take effect, or none.
  func change(_ changes: [CatalogChange], line: Int) throws(StoreError) {
    try store.pipeline.room.admit(makesRoom: changes.allSatisfy(\.makesRoom))
    plan = nil
    var rejectionsBefore = 0
    if transaction != nil {
      try applyToOwnCatalog(changes)
    } else {
      try waitApplied()
      rejectionsBefore = rejectionCount
    }
    if let writes {
      for change in changes { try writes.append(change, line: line) }
      return
    }
    for (index, change) in changes.enumerated() {
      let key = change.key
      let value = change.encoded()
      key.withUnsafeBytes { key in
        value.withUnsafeBytes { value in
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
