// CREATE INDEX on an SQL table. It acts on the mirror, where it must not fail: an index that computes its entries, by
// an expression or a WHERE, is tried with all rows that are there before it is recorded. Rows that are written later
// are tried one by one (InsertPlan.needsCheck). What another session has encoded and not sent meanwhile slips through
// both; then the projector does without the index and says so (MirrorIndexes.swift).
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  /// Throws SQLite's error about the first row for which the index has none of its entries. Cost: nothing for columns
  /// as they are, else about 3 µs a row.
  func tryRows(with index: CreateIndex) throws(StoreError) {
    guard index.isEvaluated, let table = catalog.table(index.table) else { return }
    do {
      let trial = try Evaluator.IndexTrial(index, of: table)
      if transaction == nil { try waitApplied() }
      // The rows of a transaction that has read nothing are not looked at by their keys yet.
      if transaction != nil, writes == nil { try tryUnread(trial, of: table) }
      // A table that the transaction has made holds no others.
      guard writes != nil || store.pipeline.catalog.withLock({ $0.tablesByID[table.id] != nil }) else { return }
      let rows = try live().prepare("SELECT * FROM main.\(quoted(table.name))").statement
      defer { rows.reset() }
      while try rows.step() { try trial.add((0..<rows.columnCount).map { rows.value($0) }) }
    } catch { throw StoreError(converting: error) }
  }

  private func tryUnread(_ trial: Evaluator.IndexTrial, of table: SQLTable) throws {
    if let staged = transaction?.staged {
      try staged.forEachBatch { (batch) throws(StoreError) in try tryCommands(batch.commands(), trial, of: table) }
    }
    if !builder.isEmpty { try tryCommands(CommandReader(body: builder.body), trial, of: table) }
  }

  private func tryCommands(
    _ commands: CommandReader, _ trial: Evaluator.IndexTrial, of table: SQLTable
  ) throws(StoreError) {
    try interrupter.check()
    var commands = commands
    while let command = commands.next() {
      guard command.kind != .catalog, !command.kind.removes, command.key.count >= KeySpace.prefixSize,
        command.key.loadUnaligned(as: UInt32.self).bigEndian == table.id
      else { continue }
      guard let row = RowReader(command.row).values() else {
        throw StoreError(.internal, "a row that was just encoded cannot be read")
      }
      let earlier = table.definition.columns.dropFirst(row.count).map(\.valueOfEarlierRows)
      do { try trial.add(row + earlier) } catch { throw StoreError(error) }
    }
  }
}
