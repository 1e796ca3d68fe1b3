// xBestIndex in Swift's words: which constraints and which order of a query a virtual table serves itself.
// Unsafe by nature: named in the tidy test.
import CSQLite

/// SQLite's question how to read a virtual table, and the table's answer.
public struct AccessPlan {
  /// One term of the WHERE clause, `column operator value`.
  public struct Constraint: Sendable, Equatable {
    /// Index of the column; -1 for the rowid.
    public let column: Int
    /// One of SQLITE_INDEX_CONSTRAINT_….
    public let `operator`: Int32
    /// Whether its value is known in this place of a join. If not, it cannot be taken.
    public let isUsable: Bool
  }

  /// One term of the ORDER BY clause.
  public struct Order: Sendable, Equatable {
    public let column: Int
    public let isDescending: Bool
  }

  private let info: UnsafeMutablePointer<sqlite3_index_info>

  init(_ info: UnsafeMutablePointer<sqlite3_index_info>) { self.info = info }

  public var constraintCount: Int { Int(info.pointee.nConstraint) }

  public func constraint(_ index: Int) -> Constraint {
    precondition(index >= 0 && index < constraintCount)
    let term = info.pointee.aConstraint[index]
    return Constraint(column: Int(term.iColumn), operator: Int32(term.op), isUsable: term.usable != 0)
  }

  public var orderCount: Int { Int(info.pointee.nOrderBy) }

  public func order(_ index: Int) -> Order {
    precondition(index >= 0 && index < orderCount)
    let term = info.pointee.aOrderBy[index]
    return Order(column: Int(term.iColumn), isDescending: term.desc != 0)
  }

  /// Bit i: column i is read; bit 63: some column from 63 on is.
  public var neededColumns: UInt64 { info.pointee.colUsed }

  /// Takes a usable constraint: its value becomes argument number `argument` (from 0, without gaps) of the scan.
  /// `exact`: the table returns no row that fails it, and SQLite need not check.
  public mutating func take(_ index: Int, argument: Int, exact: Bool = false) {
    precondition(index >= 0 && index < constraintCount)
    info.pointee.aConstraintUsage[index].argvIndex = Int32(argument + 1)
    info.pointee.aConstraintUsage[index].omit = exact ? 1 : 0
  }

  /// A number for the scan to know the plan by.
  public var number: Int32 {
    get { info.pointee.idxNum }
    nonmutating set { info.pointee.idxNum = newValue }
  }

  /// Whether rows come in the order asked for.
  public var isOrdered: Bool {
    get { info.pointee.orderByConsumed != 0 }
    nonmutating set { info.pointee.orderByConsumed = newValue ? 1 : 0 }
  }

  /// Cost in the planner's unit: about one disk access, or one row looked at.
  public var estimatedCost: Double {
    get { info.pointee.estimatedCost }
    nonmutating set { info.pointee.estimatedCost = newValue }
  }

  public var estimatedRows: Int64 {
    get { info.pointee.estimatedRows }
    nonmutating set { info.pointee.estimatedRows = newValue }
  }

  /// Whether at most one row comes.
  public var isUnique: Bool {
    get { info.pointee.idxFlags & SQLITE_INDEX_SCAN_UNIQUE != 0 }
    nonmutating set { info.pointee.idxFlags = newValue ? SQLITE_INDEX_SCAN_UNIQUE : 0 }
  }
}
