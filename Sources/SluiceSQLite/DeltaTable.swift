// A batch in memory as a table: `INSERT INTO orders SELECT * FROM delta` and projections by GROUP BY. The hot virtual
// table: per row one overridden `decode`, per column one load from the cells and one result call, no copy of text.
// Unsafe by nature: named in the tidy test.

/// Rows that lie encoded in memory. The owner subclasses it, marks the subclass `final`, and overrides `decode`.
///
/// Before each run of a statement the owner sets `rowCount` and whatever `decode` reads; until the statement is reset
/// neither these nor the rows' memory may change. A subclass keeps what `decode` reads in `let` pointers or in
/// `@exclusivity(unchecked) final var`, so that a row costs no exclusivity check.
///
/// A `decode` that throws ends the statement, but inside BEGIN…COMMIT the rows before it stay: SQLite keeps no
/// statement journal for an INSERT … SELECT without constraints. So after an error the owner rolls the transaction
/// back.
open class DeltaTable: VirtualTable {
  /// Rows of the current batch.
  @exclusivity(unchecked) public final var rowCount = 0

  /// Decodes row `index` (0..<rowCount) into `cells`, one for each column of the declaration: those that `needed` has
  /// (as `Scan.neededColumns`) at least. Text and blobs are pointed at, not copied. Throws when the row is damaged.
  open func decode(
    _ index: Int, into cells: UnsafeMutablePointer<Cell>, needed: UInt64
  ) throws(SQLiteError) {
    fatalError("\(Self.self) does not override decode")
  }

  /// The rowid of row `index`, where rows have one besides their place.
  open func rowid(_ index: Int) -> Int64? { nil }

  public final override func makeCursor() throws(SQLiteError) -> VirtualCursor { DeltaCursor(self) }
}

private final class DeltaCursor: VirtualCursor {
  private let table: Unmanaged<DeltaTable>
  @exclusivity(unchecked) private var index = 0
  @exclusivity(unchecked) private var rowCount = 0
  @exclusivity(unchecked) private var needed: UInt64 = 0

  /// The table outlives its cursors: SQLite closes them before it disconnects it.
  init(_ table: DeltaTable) {
    self.table = .passUnretained(table)
    super.init(columnCount: table.columnCount, bytesOutliveStatement: true)
  }

  override func start(_ scan: Scan) throws(SQLiteError) -> Bool {
    index = -1
    needed = scan.neededColumns
    rowCount = table._withUnsafeGuaranteedRef { $0.rowCount }
    return try next()
  }

  override var rowid: Int64? { table._withUnsafeGuaranteedRef { $0.rowid(index) } }

  override func next() throws(SQLiteError) -> Bool {
    index &+= 1
    guard index < rowCount else { return false }
    let (index, cells, needed) = (index, cells, needed)
    try table.lend { (table) throws(SQLiteError) -> Void in
      try table.decode(index, into: cells, needed: needed)
    }
    return true
  }
}
