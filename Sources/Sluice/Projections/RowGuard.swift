// How rows of projections.db are kept from other programs.
import SluiceSQL

/// The triggers that keep others from changing rows.
enum RowGuard {
  static let message = "projections.db is written by Sluice only: change the rows in the store"
  private static let changes = ["INSERT", "UPDATE", "DELETE"]

  /// Names of the triggers of a table, `key` of which is its own for good.
  static func names(_ key: String) -> [String] { changes.map { "sluice_guard_\(key)_\(folded($0))" } }

  /// The statements that guard a table.
  static func creation(_ table: String, key: String) -> String {
    zip(names(key), changes).map { name, change in
      "CREATE TRIGGER main.\(quoted(name)) BEFORE \(change) ON \(quoted(table)) "
        + "BEGIN SELECT RAISE(ABORT, '\(message)'); END; "
    }.joined()
  }

  /// The key of a mirror, whose name may change.
  static func key(_ table: SQLTable) -> String { String(table.id) }
}
