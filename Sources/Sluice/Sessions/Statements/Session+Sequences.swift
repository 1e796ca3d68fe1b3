// Numbers of rows once some are gone: as in SQLite the next number is the one behind the highest that is left, unless
// the column is AUTOINCREMENT; and sqlite_sequence, which tells the numbers of those.
// Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  /// Takes note of a row that is taken away from under its number; nil: of all rows.
  func noteRemoval(of number: Int64?, from table: SQLTable) throws(StoreError) {
    guard table.hasNumberKey else { return }
    // With the row goes what its number can be found by.
    if table.definition.autoIncrement { try loadNumber(of: table) }
    // The number that counts is another one's.
    if let number, number < table.highestKey.current { return }
    if !lowered.contains(where: { $0 === table }) { lowered.append(table) }
  }

  /// Takes note of the row being built, which was put in place of one under another key.
  func noteNewKey(of plan: InsertPlan, old: Int64?) throws(StoreError) {
    guard plan.hasNumberKey else { return }
    try noteRemoval(of: old, from: plan.table)
    plan.table.highestKey.raise(to: rowid(plan))
  }

  /// Called before a statement that has removed rows is sent: numbers of AUTOINCREMENT columns are never given again,
  /// also not by another process, so where the row with the highest is gone the catalog keeps it.
  func keepNumbers() throws(StoreError) {
    guard let writes, !lowered.isEmpty else { return }
    for table in lowered where table.definition.autoIncrement && !table.highestKey.isKept {
      let number = table.highestKey.current
      if try highestKey(of: table, in: makeView()) ?? .min >= number { continue }
      try writes.append(
        CatalogChange(
          operation: .setSequence, object: .table, tableID: table.id, sequence: number, name: table.name),
        line: currentLine)
    }
  }

  /// Has the catalog keep the highest number of an AUTOINCREMENT column whose rows will all go.
  func keepNumber(of table: SQLTable) throws(StoreError) {
    try loadNumber(of: table)
    guard !table.highestKey.isKept else { return }
    try change(
      CatalogChange(
        operation: .setSequence, object: .table, tableID: table.id, sequence: table.highestKey.current,
        name: table.name), line: currentLine)
  }

  /// Called when a statement has removed rows: numbers above the highest that is left are given again, which is looked
  /// for when one is to be given. With other sessions about they are not: one of them may have been given a higher one.
  func lowerCounters() {
    defer { lowered = [] }
    if lowered.isEmpty || store.pipeline.progress.withLock({ $0.sessions.count }) != 1 { return }
    for table in lowered where !table.definition.autoIncrement {
      table.highestKey.forget(from: table.highestKey.current)
    }
  }

  private func loadNumber(of table: SQLTable) throws(StoreError) {
    try table.highestKey.load { () throws(StoreError) in try highestKey(of: table) }
  }

  /// The highest number of a row that this session reads, of its own rows those included that are not on their way.
  func highestKey(of table: SQLTable) throws(StoreError) -> Int64? {
    if writes != nil { return try highestKey(of: table, in: makeView()) }
    return try store.highestStoredKey(table)
  }

  func highestKey(of table: SQLTable, in view: LiveView) throws(StoreError) -> Int64? {
    try highestKeyBytes(of: table, in: view).flatMap { $0.withUnsafeBytes { storedRowid(ofKey: $0) } }
  }

  /// The highest engine key of a table; nil when it has no rows.
  func highestKeyBytes(of table: SQLTable, in view: LiveView) throws(StoreError) -> [UInt8]? {
    let prefix = keyPrefix(ofTable: table.id)
    let rows = MergeIterator(
      view.snapshots, lower: prefix, upper: successor(ofPrefix: prefix), isForward: false, overlay: view.overlay)
    do { guard try rows.next() else { return nil } } catch { throw StoreError(error) }
    return [UInt8](rows.current.key)
  }

  // MARK: sqlite_sequence

  /// Tables with AUTOINCREMENT, in the order of their creation.
  private var numberedTables: [SQLTable] {
    catalog.tables.values.filter(\.definition.autoIncrement).sorted { $0.id < $1.id }
  }

  /// Whether a query asks for sqlite_sequence, and there is one.
  func asksForSequences(_ text: UnsafeRawBufferPointer) -> Bool {
    mentions(text, "sqlite_sequence") && !numberedTables.isEmpty
  }

  /// Has sqlite_sequence of the live connection, which SQLite keeps there as in any database, say what the counters do.
  @discardableResult
  func fillSequences() throws(StoreError) -> LiveConnection {
    try beginReading()
    let live = try live()
    let connection = live.connection
    do {
      // The first table with AUTOINCREMENT makes it, and it stays.
      try connection.execute(
        "CREATE TABLE main.sluice_numbered(id INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE main.sluice_numbered; "
          + "DELETE FROM main.sqlite_sequence")
      let insert = try connection.prepare("INSERT INTO main.sqlite_sequence VALUES(?, ?)")
      for table in numberedTables {
        try loadNumber(of: table)
        guard let number = table.highestKey.known else { continue }
        try insert.bind([.text(Array(table.name.utf8)), .integer(number)])
        try insert.run()
      }
    } catch { throw StoreError(converting: error) }
    return live
  }

  /// Runs a change of sqlite_sequence: SQLite makes it in the table of the live connection, and what that says of
  /// tables afterwards goes into the log.
  func changeSequences(_ text: UnsafeRawBufferPointer) throws(StoreError) -> Outcome {
    try checkTransaction()
    guard !numberedTables.isEmpty else {
      throw StoreError(.invalid, "no such table: sqlite_sequence", isParse: true, sqliteCode: 1)
    }
    let live = try fillSequences()
    let before = try sequences(live)
    let statement = try prepareReadingOrWriting(String(decoding: text, as: UTF8.self), live)
    let rows: [[Value]]
    do { rows = try statement.rows() } catch { throw StoreError(error) }
    let count = live.connection.changes
    let after = try sequences(live)
    try setSequences(from: before, to: after)
    changeCount = count
    totalChangeCount += count
    if statement.columnCount == 0 { return .done }
    return .rows(Rows(columns: statement.columnNames, values: rows, realText: evaluator.realText))
  }

  private func prepareReadingOrWriting(
    _ sql: String, _ live: LiveConnection
  ) throws(StoreError) -> SluiceSQLite.Statement {
    do {
      let statement = try live.prepare(sql).statement
      try bindParameters(of: statement)
      return statement
    } catch {
      var failure = StoreError(error)
      failure.isParse = true
      throw failure
    }
  }

  private func sequences(_ live: LiveConnection) throws(StoreError) -> [String: Int64] {
    do {
      let query = try live.connection.prepare(
        "SELECT name, CAST(seq AS INTEGER) FROM main.sqlite_sequence ORDER BY rowid DESC")
      var result: [String: Int64] = [:]
      // Of several rows SQLite takes the first.
      for row in try query.rows() {
        if case .text(let name) = row[0], case .integer(let number) = row[1] {
          result[String(decoding: name, as: UTF8.self)] = number
        }
      }
      return result
    } catch { throw StoreError(error) }
  }

  private func setSequences(from before: [String: Int64], to after: [String: Int64]) throws(StoreError) {
    let changed = numberedTables.filter { before[$0.name] != after[$0.name] }
    if changed.isEmpty { return }
    let view = try makeView()
    var numbers: [(table: SQLTable, number: Int64?)] = []
    for table in changed {
      // No number of a row that is there is given again.
      let stored = try highestKey(of: table, in: view)
      numbers.append((table, [after[table.name], stored].compactMap(\.self).max()))
    }
    try change(
      numbers.map { table, number in
        CatalogChange(
          operation: .setSequence, object: .table, lenient: true, tableID: table.id, sequence: number ?? .min,
          name: table.name)
      }, line: currentLine)
    for (table, number) in numbers { table.highestKey.restore(number ?? .min, from: table.highestKey.current) }
  }
}
