// The typed layer over SQLite's virtual tables (https://sqlite.org/vtab.html), read side; `WritableTable` is the write
// side. A table is a subclass of `VirtualTable`, a scan of it a subclass of `VirtualCursor`. Classes and not protocols:
// SQLite calls through C function pointers, which cannot be generic, and one overridden method per row is what a C
// implementation pays too.
//
// A row goes to SQLite in two steps: `next` decodes it once into the cursor's cells, then SQLite takes the columns it
// wants from the cells without entering the subclass. So there is no allocation, no existential, no reference count and
// no dispatch per column.
//
// Text and blobs: SQLite may keep a column's value longer than the row (max(), GROUP BY, a join's outer side). Cells
// are therefore copied, unless the cursor promises that their bytes stay until the statement is reset.
//
// Unsafe by nature: named in the tidy test.
import CSQLite

/// A table whose rows come from the program. Registered under its name, it is there without CREATE; made by a
/// registered module, it comes and goes with CREATE VIRTUAL TABLE and DROP TABLE.
open class VirtualTable {
  /// `CREATE TABLE x(…)` as SQLite wants it declared.
  public final let declaration: String
  /// Columns of the declaration, HIDDEN ones included.
  public final let columnCount: Int

  /// One column definition an element, such as `user_id INTEGER`; `HIDDEN` behind the type hides it from `*`.
  public init(columns: [String]) {
    declaration = "CREATE TABLE x(" + columns.joined(separator: ", ") + ")"
    columnCount = columns.count
  }

  /// A whole `CREATE TABLE x(…)`, whatever the name. SQLite keeps no constraint of it but WITHOUT ROWID, which must be
  /// its end; a PRIMARY KEY is a column like any other, unless there is no rowid. `columnCount` counts HIDDEN ones too.
  public init(declaration: String, columnCount: Int) {
    self.declaration = declaration
    self.columnCount = columnCount
  }

  /// Chooses how a query reads the table; called while it is prepared, perhaps several times. Whatever is not
  /// chosen here, SQLite does itself. A `SQLiteError` with code SQLITE_CONSTRAINT says: not with these constraints.
  open func plan(_ plan: inout AccessPlan) throws(SQLiteError) {}

  /// A cursor for one scan after the other.
  open func makeCursor() throws(SQLiteError) -> VirtualCursor {
    throw SQLiteError(code: SQLITE_INTERNAL, message: "\(Self.self) has no cursor")
  }

  /// DROP TABLE: what CREATE made goes. An error leaves the table in place; SQLite passes its code on, not its message.
  /// A ROLLBACK of the CREATE does not come here: it only lets go of the table.
  open func drop() throws(SQLiteError) {}

  /// ALTER TABLE … RENAME TO, within its transaction.
  open func rename(to name: String) throws(SQLiteError) {
    throw SQLiteError(message: "cannot rename to \(name): a table of this module keeps its name")
  }
}

/// A scan over a virtual table.
open class VirtualCursor {
  /// The current row: `next` and `start` fill the first `columnCount` cells, those in `Scan.neededColumns` at least.
  public final let cells: UnsafeMutablePointer<Cell>
  public final let columnCount: Int
  final let copiesBytes: Bool
  final let omitsUnchanged: Bool

  /// `bytesOutliveStatement`: what cells point to stays unchanged until the statement is reset.
  /// `omitsUnchanged`: an UPDATE is not given the columns that it leaves as they are, which the table then knows by
  /// `Arguments.isUnchanged`; saves carrying large values to and fro.
  public init(columnCount: Int, bytesOutliveStatement: Bool = false, omitsUnchanged: Bool = false) {
    self.columnCount = columnCount
    copiesBytes = !bytesOutliveStatement
    self.omitsUnchanged = omitsUnchanged
    cells = .allocate(capacity: max(columnCount, 1))
    cells.initialize(repeating: .null, count: max(columnCount, 1))
  }

  deinit { cells.deallocate() }

  /// Begins a scan (again) at its first row. Returns whether there is one.
  open func start(_ scan: Scan) throws(SQLiteError) -> Bool { false }

  /// Goes on to the next row. Returns whether there is one.
  open func next() throws(SQLiteError) -> Bool { false }

  /// The current row's rowid; nil: its number in the scan, from 1.
  open var rowid: Int64? { nil }
}

/// What a scan is asked for.
public struct Scan {
  /// The number that `AccessPlan.number` was given.
  public let plan: Int32
  /// Bit i: column i is read; bit 63: some column from 63 on is. Other cells may be left as they are.
  public let neededColumns: UInt64
  /// The values of the constraints that the plan took, in the order of their argument numbers.
  public let arguments: Arguments

  /// Whether column `index` is read.
  @inlinable
  public func needs(_ index: Int) -> Bool { neededColumns & (1 << UInt64(min(index, 63))) != 0 }
}
