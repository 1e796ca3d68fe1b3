// What a statement says, one value per statement. The rows of an INSERT are not here: InsertParser reads them.

/// A parsed statement. Text ranges are in bytes of the text handed to `parseStatement`.
public indirect enum Statement: Equatable, Sendable {
  case createTable(CreateTable)
  case dropTable(Drop)
  case alterTable(AlterTable)
  case begin(BeginMode)
  case commit
  case rollback
  /// `SAVEPOINT name`, `RELEASE [SAVEPOINT] name`, `ROLLBACK TO [SAVEPOINT] name`.
  case savepoint(String)
  case release(String)
  case rollbackTo(String)
  /// The rows follow at `valuesOffset`.
  case insert(InsertHeader)
  /// A change that SQLite evaluates.
  case change(ChangeStatement)
  /// SELECT, VALUES or WITH … SELECT: SQLite reads the text itself.
  case select
  case pragma(Pragma)
  case show(ShowTarget)
  case set(name: String, value: SettingValue)
  /// `statement` is the text from byte `innerOffset` on.
  case explain(queryPlan: Bool, innerOffset: Int, statement: Statement)
  case createIndex(CreateIndex)
  case createView(CreateView)
  case dropIndex(Drop)
  case dropView(Drop)
  case createProjection(CreateProjection)
  /// The new definition of a projection, whole.
  case alterProjection(CreateProjection)
  case dropProjection(Drop)
  case rebuildProjection(String)
  case pauseProjection(String)
  case resumeProjection(String)
  /// Dead letters are tried again: those of one projection, or all.
  case redrive(projection: String?)
  case waitFor(WaitFor)
  /// `ALTER STORE SET name = value`; `Retention` reads the value of `retain`.
  case alterStore(name: String, value: SettingValue)
  /// ANALYZE, with the table or index it names.
  case analyze(name: String?)
  case vacuum
  case reindex(name: String?)
  /// `DELETE FROM sqlite_sequence;`, as `.dump` writes it.
  case clearSequences
  /// `INSERT INTO sqlite_sequence VALUES('t',n);`, as `.dump` writes it.
  case setSequence(table: String, value: Int64)
  /// A kind of statement that Sluice refuses; the sentence says why.
  case refused(String)
}

/// DROP TABLE, INDEX, VIEW or PROJECTION.
public struct Drop: Equatable, Sendable {
  public let name: String
  public let ifExists: Bool
}

public enum BeginMode: Equatable, Sendable {
  case deferred
  case immediate
  case exclusive
}

/// `PRAGMA [schema.]name`, `= argument` or `(argument)`; the argument without its quotes.
public struct Pragma: Equatable, Sendable {
  public let schema: String?
  public let name: String
  public let argument: String?
}

/// What SHOW asks for; `setting` is any other word, lower case.
public enum ShowTarget: Equatable, Sendable {
  case shards
  case queue
  case projections
  case tables
  case setting(String)
}

/// The right side of `SET name = …`.
public enum SettingValue: Equatable, Sendable {
  case word(String)
  case text(String)
  case integer(Int64)
  case real(Double)

  /// What stands there, a text without its quotes.
  public var text: String {
    switch self {
    case .word(let text), .text(let text): text
    case .integer(let number): String(number)
    case .real(let number): String(number)
    }
  }
}

/// CREATE [UNIQUE] INDEX. `text` is the whole statement for stock SQLite, without schema and semicolon.
public struct CreateIndex: Equatable, Sendable {
  public let name: String
  public let table: String
  public let ifNotExists: Bool
  public let isUnique: Bool
  public let text: String
}

/// CREATE [TEMP] VIEW. `text` is the whole statement for stock SQLite, without schema and semicolon.
public struct CreateView: Equatable, Sendable {
  public let name: String
  public let ifNotExists: Bool
  public let isTemporary: Bool
  public let text: String
}

/// What a statement does with a row that contradicts a constraint (https://sqlite.org/lang_conflict.html).
public enum OrAction: Equatable, Sendable {
  /// Undoes the statement.
  case abort
  /// Leaves the row out.
  case ignore
  /// Takes the rows away that stand in its place.
  case replace
  /// Ends the statement; its rows so far stay.
  case fail
  /// Undoes the transaction.
  case rollback
}

/// The part of an INSERT in front of its rows.
public struct InsertHeader: Equatable, Sendable {
  public enum Form: Equatable, Sendable {
    case values
    case defaultValues
  }

  public let orAction: OrAction
  /// The table's name as written, without quotes and schema.
  public let table: String
  /// Where that name, or its schema, begins, in bytes from the start of the text.
  public let tableOffset: Int
  /// The column list as written; nil: all columns in their order.
  public let columns: [String]?
  /// Where each name of the column list stands.
  public let columnOffsets: [Int]
  public let form: Form
  /// Size in bytes from the start of the text through the VALUES keyword.
  public let valuesOffset: Int
}
