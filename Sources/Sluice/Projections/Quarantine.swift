// What of projections.db could not be made or kept, beside the mirrors and projections themselves: indexes and views.
//
//   sluice_quarantine(name, kind, reason)    one row each; kind is that of the catalog
//
// Written in the same transactions as what it speaks of. An entry goes with its object: when that is dropped, when it
// could be made after all, and when the file is made anew.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Belongs to the projector's thread.
final class Quarantine {
  private let connection: Connection
  /// By folded name.
  private(set) var entries: [String: QuarantinedObject] = [:]

  init(_ connection: Connection) { self.connection = connection }

  /// Creates the table.
  func prepare() throws(SQLiteError) {
    try connection.execute(
      """
      CREATE TABLE sluice_quarantine(
        name TEXT PRIMARY KEY COLLATE NOCASE, kind INTEGER NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID
      """)
  }

  /// Reads what the file holds.
  func load() throws(SQLiteError) {
    entries = [:]
    for row in try connection.prepare("SELECT name, kind, reason FROM sluice_quarantine").rows() {
      guard case .text(let name) = row[0], case .integer(let number) = row[1], case .text(let reason) = row[2],
        let kind = CatalogChange.ObjectKind(rawValue: UInt8(clamping: number))
      else { continue }
      let object = QuarantinedObject(
        name: String(decoding: name, as: UTF8.self), kind: kind, reason: String(decoding: reason, as: UTF8.self))
      entries[folded(object.name)] = object
    }
  }

  func note(_ name: String, _ kind: CatalogChange.ObjectKind, _ reason: String) throws(SQLiteError) {
    let insert = try connection.prepare("INSERT OR REPLACE INTO sluice_quarantine VALUES(?, ?, ?)")
    try insert.bind([
      .text(Array(name.utf8)), .integer(Int64(kind.rawValue)), .text(Array(reason.utf8)),
    ])
    try insert.run()
    entries[folded(name)] = QuarantinedObject(name: name, kind: kind, reason: reason)
  }

  func forget(_ name: String) throws(SQLiteError) {
    guard entries.removeValue(forKey: folded(name)) != nil else { return }
    let delete = try connection.prepare("DELETE FROM sluice_quarantine WHERE name = ?")
    try delete.bind(1, name)
    try delete.run()
  }

  /// Makes an object: in place of one that was in quarantine, or it goes there with the reason.
  func make(
    _ name: String, _ kind: CatalogChange.ObjectKind, _ body: () throws(SQLiteError) -> Void
  ) throws(SQLiteError) {
    if let error = try connection.inSavepoint(body) {
      try note(name, kind, error.message)
    } else {
      try forget(name)
    }
  }
}

extension Connection {
  /// The error with which `body` ended and was undone; nil: none. Errors that are not about rows are thrown.
  func inSavepoint(_ body: () throws(SQLiteError) -> Void) throws(SQLiteError) -> SQLiteError? {
    try execute("SAVEPOINT sluice_care")
    do throws(SQLiteError) {
      try body()
      try execute("RELEASE sluice_care")
      return nil
    } catch {
      guard error.isAboutRows else { throw error }
      try execute("ROLLBACK TO sluice_care; RELEASE sluice_care")
      return error
    }
  }
}

extension SQLiteError {
  /// Whether it is about the rows or the definition at hand, and not about the file or the connection.
  var isAboutRows: Bool {
    switch kind {
    case .invalid, .constraint, .limit, .other: true
    default: false
    }
  }
}
