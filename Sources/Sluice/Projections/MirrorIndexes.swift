// Indexes of mirrors that fail. A row for which an index has no entry is refused when it is written, but one that was
// encoded before the index was made comes through, and a file or a host may have other ideas of a function. The index
// gives way, never the rows:
//
// An error while a mirror is written ends the transaction of all; it is then done again with that mirror handled with
// care: its indexes that compute their entries are dropped before its rows go in and made again at the end, each in a
// savepoint. One that cannot be made is in quarantine. So the usual way pays nothing for it.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Belongs to the projector's thread.
final class MirrorIndexes {
  private let connection: Connection
  private let quarantine: Quarantine
  /// Tables whose mirrors are handled with care, until a transaction is committed.
  private var careful: Set<UInt32> = []
  /// Indexes that stand aside in the open transaction.
  private var aside: [UInt32: [(name: String, sql: String)]] = [:]
  /// What became of indexes of others in the open transaction, for people.
  private var notices: [String] = []
  /// The table whose mirror the last error came from.
  private var culprit: UInt32?

  init(_ connection: Connection, _ quarantine: Quarantine) {
    self.connection = connection
    self.quarantine = quarantine
  }

  /// Runs what writes rows into the mirror of `table`. Inside a transaction.
  func write(_ table: SQLTable, _ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
    if !careful.isEmpty, careful.contains(table.id), aside[table.id] == nil {
      let indexes = try evaluated(of: table)
      for index in indexes { try connection.execute("DROP INDEX main.\(quoted(index.name))") }
      aside[table.id] = indexes
    }
    culprit = table.id
    try body()
    culprit = nil
  }

  /// Makes the indexes again that stand aside: before the definition of something changes, and at the end of the
  /// transaction. Those of others that fail are gone.
  func restore(_ catalog: Catalog) throws(SQLiteError) {
    for index in aside.values.joined() {
      let create = { () throws(SQLiteError) in try self.connection.execute(index.sql) }
      if catalog.exists(.index, folded(index.name)) {
        try quarantine.make(index.name, .index, create)
      } else if let error = try connection.inSavepoint(create) {
        notices.append("index \(index.name) was removed from projections.db: \(error.message)")
      }
    }
    aside = [:]
  }

  /// Returns what is to be told of the transaction that has ended.
  func committed() -> [String] {
    careful = []
    defer { notices = [] }
    return notices
  }

  func rolledBack() {
    aside = [:]
    notices = []
  }

  /// The mirror's indexes that compute their entries, whoever made them.
  private func evaluated(of table: SQLTable) throws(SQLiteError) -> [(name: String, sql: String)] {
    let select = try connection.prepare(
      "SELECT name, sql FROM main.sqlite_schema "
        + "WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ? COLLATE NOCASE")
    try select.bind(1, table.name)
    return try select.rows().compactMap { row in
      guard case .text(let name) = row[0], case .text(let text) = row[1] else { return nil }
      let sql = String(decoding: text, as: UTF8.self)
      return indexDefinition(sql)?.isEvaluated == false ? nil : (String(decoding: name, as: UTF8.self), sql)
    }
  }

  /// Whether an error that ended the transaction may come from an index of a mirror, which is handled with care from
  /// now on.
  func takesCare(of error: SQLiteError) -> Bool {
    defer { culprit = nil }
    guard let culprit, error.isAboutRows else { return false }
    return careful.insert(culprit).inserted
  }
}
