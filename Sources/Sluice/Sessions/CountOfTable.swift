// `SELECT count(*) FROM t`, which needs no row and no order: the shards are counted one after the other, each without
// being merged with the others.
// Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceSQL
import SluiceSystem

extension Session {
  /// The answer to a query that is nothing but the count of an SQL table's rows; nil for any other query.
  func countOfTable(_ text: UnsafeRawBufferPointer) throws(StoreError) -> (name: String, rows: Int64)? {
    guard let (name, tableName) = parseCountQuery(text), !isTemporaryView(tableName),
      let table = catalog.table(tableName)
    else { return nil }
    if transaction == nil { try waitApplied() } else { try openTransaction() }
    return (name, try countRows(of: table))
  }

  /// How many rows an SQL table has for this session, as far as it is applied.
  func countRows(of table: SQLTable) throws(StoreError) -> Int64 {
    let view = try makeView()
    let prefix = keyPrefix(ofTable: table.id)
    // What lies over the shards belongs to all of them.
    if view.overlay != nil { return try count(view.snapshots, prefix, view.overlay) }
    var sum: Int64 = 0
    for snapshot in view.snapshots { sum += try count([snapshot], prefix, nil) }
    return sum
  }

  private func count(
    _ snapshots: [Snapshot], _ prefix: [UInt8], _ overlay: EntryOverlay?
  ) throws(StoreError) -> Int64 {
    Int64(
      try countEntries(
        snapshots, from: prefix, to: successor(ofPrefix: prefix), overlay: overlay, check: interrupter.check))
  }
}
