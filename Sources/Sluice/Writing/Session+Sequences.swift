// Numbers of INTEGER PRIMARY KEY columns once rows are gone: as in SQLite the next number is the one behind the highest
// that is left, unless the column is AUTOINCREMENT. Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceSQL
import SluiceSystem

extension Session {
  /// Takes note of a row that is taken away from under its number.
  func noteRemoval(from table: SQLTable) {
    guard table.definition.isRowidAlias, !table.definition.autoIncrement, !lowered.contains(where: { $0 === table })
    else { return }
    lowered.append(table)
  }

  /// Takes note of the row being built, which was put in place of one under another key.
  func noteNewKey(of plan: InsertPlan) {
    guard plan.rowidColumn >= 0 else { return }
    noteRemoval(from: plan.table)
    plan.table.highestKey.raise(to: row.cell(column: plan.rowidColumn).integer)
  }

  /// Called when a statement has removed rows: finds the highest numbers that are left. One point read a table. With
  /// other sessions about, numbers are not used again: one of them may have been given a higher one.
  func lowerCounters() throws(StoreError) {
    guard !lowered.isEmpty else { return }
    let tables = lowered
    lowered = []
    guard store.pipeline.progress.withLock({ $0.sessions.count }) == 1 else { return }
    let view = try makeView()
    for table in tables {
      let reached = table.highestKey.current
      table.highestKey.lower(to: try highestKey(of: table, in: view), from: reached)
    }
  }

  private func highestKey(of table: SQLTable, in view: LiveView) throws(StoreError) -> Int64? {
    let prefix = keyPrefix(ofTable: table.id)
    let rows = MergeIterator(
      view.snapshots, lower: prefix, upper: successor(ofPrefix: prefix), isForward: false, overlay: view.overlay)
    do { guard try rows.next() else { return nil } } catch { throw StoreError(error) }
    var decoder = KeyDecoder(rows.current.key, offset: 4)
    guard case .integer(let number)? = decoder.next() else { return nil }
    return number
  }
}
