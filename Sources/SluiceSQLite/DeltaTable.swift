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

  /// The numbers of all rows in the order that the plan of this number promised; empty: as they lie. Asked at the start
  /// of each scan.
  open func order(_ plan: Int32) throws(SQLiteError) -> [UInt32] { [] }

  /// Two rows of such an order that are decoded soon, `near` before `far`: what leads to the one and the memory of the
  /// other may be brought into the cache. Rows that do not lie one behind the other cost two or three misses each
  /// otherwise, as much as all that is done with them.
  open func approach(near: Int, far: Int) {}

  /// The rowid of row `index`, where rows have one besides their place.
  open func rowid(_ index: Int) -> Int64? { nil }

  public final override func makeCursor() throws(SQLiteError) -> VirtualCursor { DeltaCursor(self) }
}

private final class DeltaCursor: VirtualCursor {
  /// Rows from the one that is decoded to the near one, and from there to the far one.
  private static let distance = 8

  private let table: Unmanaged<DeltaTable>
  /// Rows seen of this scan, and the one that it is at.
  @exclusivity(unchecked) private var place = 0
  @exclusivity(unchecked) private var index = 0
  @exclusivity(unchecked) private var order: [UInt32] = []
  @exclusivity(unchecked) private var rowCount = 0
  @exclusivity(unchecked) private var needed: UInt64 = 0

  /// The table outlives its cursors: SQLite closes them before it disconnects it.
  init(_ table: DeltaTable) {
    self.table = .passUnretained(table)
    super.init(columnCount: table.columnCount, bytesOutliveStatement: true)
  }

  override func start(_ scan: Scan) throws(SQLiteError) -> Bool {
    place = -1
    needed = scan.neededColumns
    rowCount = table._withUnsafeGuaranteedRef { $0.rowCount }
    order = try table.lend { (table) throws(SQLiteError) -> [UInt32] in try table.order(scan.plan) }
    return try next()
  }

  override var rowid: Int64? { table._withUnsafeGuaranteedRef { $0.rowid(index) } }

  override func next() throws(SQLiteError) -> Bool {
    place &+= 1
    guard place < rowCount else { return false }
    index = place
    if !order.isEmpty {
      let near = Int(order[min(place &+ Self.distance, rowCount &- 1)])
      let far = Int(order[min(place &+ 2 &* Self.distance, rowCount &- 1)])
      table._withUnsafeGuaranteedRef { $0.approach(near: near, far: far) }
      index = Int(order[place])
    }
    let (index, cells, needed) = (index, cells, needed)
    try table.lend { (table) throws(SQLiteError) -> Void in
      try table.decode(index, into: cells, needed: needed)
    }
    return true
  }
}
