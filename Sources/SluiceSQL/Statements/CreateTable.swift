// The definition of a SQL table, as the parser reads it and the printer writes it.
import SluiceSystem

/// A SQL table: what CREATE TABLE says.
public struct CreateTable: Equatable, Sendable {
  /// Most columns of a SQL table.
  public static let maximumColumns = 1024

  public internal(set) var name: String
  public internal(set) var ifNotExists = false
  public internal(set) var columns: [Column] = []
  /// Indexes of the key columns in key order; empty: no primary key.
  public internal(set) var primaryKey: [Int] = []
  public internal(set) var primaryKeyName: String?
  /// Whether the primary key is one column of the type INTEGER, which gets a number when it is omitted or NULL.
  public internal(set) var isRowidAlias = false
  public internal(set) var autoIncrement = false
  public internal(set) var withoutRowid = false
  /// Indexes of the SHARD KEY columns in their order; nil: no such clause.
  public internal(set) var shardKey: [Int]?
  /// CHECK constraints of the table; those of a column stand with it.
  public internal(set) var checks: [Check] = []
  /// FOREIGN KEY clauses, as text with their CONSTRAINT name.
  public internal(set) var foreignKeys: [String] = []
  /// UNIQUE … NOT ENFORCED: column indexes. Nothing holds rows to them.
  public internal(set) var unenforcedUniques: [[Int]] = []

  /// The index of the column of that name, or nil.
  public func columnIndex(_ name: String) -> Int? {
    columns.firstIndex { sameName($0.name, name) }
  }

  /// Whether NULL in the column is an error: NOT NULL, or a key column that gets no number by itself.
  public func rejectsNull(_ column: Int) -> Bool {
    columns[column].notNull || (primaryKey.contains(column) && !isRowidAlias)
  }

  /// All CHECK constraints in the order SQLite tests them: as written, a column's before the table's.
  public var allChecks: [Check] { columns.flatMap(\.checks) + checks }
}

public struct Column: Equatable, Sendable {
  public internal(set) var name: String
  /// The type's words as written; empty: none.
  public internal(set) var typeName = ""
  public internal(set) var affinity = Affinity.blob
  public internal(set) var notNull = false
  public internal(set) var defaultValue: DefaultValue?
  public internal(set) var collation: String?
  public internal(set) var checks: [Check] = []
  /// REFERENCES clauses, as text with their CONSTRAINT name.
  public internal(set) var references: [String] = []

  /// What rows that were written before the column was added have in it: its default, which ALTER TABLE lets be a
  /// constant only, and writes as what SQLite stores.
  public var valueOfEarlierRows: Value {
    guard let defaultValue else { return .null }
    if let value = defaultValue.value { return applyAffinity(affinity, to: value) ?? value }
    // A number at the ends of what there is.
    return Int64(defaultValue.text).map(Value.integer) ?? Double(defaultValue.text).map(Value.real) ?? .null
  }
}

/// CHECK (text), the text without its parentheses.
public struct Check: Equatable, Sendable {
  public let name: String?
  public let text: String
}

/// DEFAULT. `value` is the literal's value before the column's affinity; nil: SQLite must evaluate `text` for each row.
public struct DefaultValue: Equatable, Sendable {
  /// The expression as SQL, a parenthesised one with its parentheses.
  public let text: String
  public let value: Value?
}
