// xBestIndex in Swift's words: which constraints and which order of a query a virtual table serves itself.
// Unsafe by nature: named in the tidy test.
import CSQLite

/// SQLite's question how to read a virtual table, and the table's answer.
public struct AccessPlan {
  /// One term of the WHERE clause, `column operator value`.
  public struct Constraint: Sendable, Equatable {
    /// Index of the column; -1 for the rowid, -2 for LIMIT and OFFSET, which concern none.
    public let column: Int
    /// One of SQLITE_INDEX_CONSTRAINT_….
    public let `operator`: Int32
    /// The relation that it states; nil for all others, such as LIKE or IS NULL.
    public var relation: Relation? { Relation(rawValue: self.operator) }
    /// Whether its value is known in this place of a join. If not, it cannot be taken.
    public let isUsable: Bool

    /// Whether it is the statement's LIMIT: so many rows are enough, those of the OFFSET included unless that is taken
    /// as exact. SQLite offers both only when every other term is a constraint here; to be taken only with all of
    /// those taken as exact and, where there is an ORDER BY, with `isOrdered`, for rows may be left out for no other
    /// reason.
    public var isLimit: Bool { self.operator == SQLITE_INDEX_CONSTRAINT_LIMIT }
    /// Whether it is the statement's OFFSET. Taken as exact, the table itself skips so many rows; else SQLite does.
    public var isOffset: Bool { self.operator == SQLITE_INDEX_CONSTRAINT_OFFSET }
  }

  /// `column relation value`. Raw values are SQLite's.
  public enum Relation: Int32, Sendable {
    case equal = 2
    case greater = 4
    case lessOrEqual = 8
    case less = 16
    case greaterOrEqual = 32
  }

  /// How much of ORDER BY is needed when `isOrdered` is set (https://sqlite.org/c3ref/vtab_distinct.html). Raw values
  /// are SQLite's.
  public enum Distinctness: Int32, Sendable {
    /// Rows in that order.
    case ordered = 0
    /// Rows with equal values of the ORDER BY columns one behind the other, in any order: GROUP BY.
    case grouped = 1
    /// As `grouped`, and of rows with equal values all but one may be left out: DISTINCT.
    case distinct = 2
    /// As `ordered`, and of rows with equal values all but one may be left out: DISTINCT with ORDER BY.
    case distinctOrdered = 3
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
    let comparison = Int32(term.op)
    let isBound = comparison == SQLITE_INDEX_CONSTRAINT_LIMIT || comparison == SQLITE_INDEX_CONSTRAINT_OFFSET
    return Constraint(column: isBound ? -2 : Int(term.iColumn), operator: comparison, isUsable: term.usable != 0)
  }

  /// The right-hand value of a constraint, if it is known while planning: a literal, or a parameter bound before.
  /// For estimates; valid while `plan` runs. A statement is planned once and may run with another value.
  public func value(of index: Int) -> Cell? {
    precondition(index >= 0 && index < constraintCount)
    var value: OpaquePointer?
    guard sx_vtab_rhs_value(info, Int32(index), &value) == SQLITE_OK, let value else { return nil }
    return Cell(value)
  }

  /// Name of the collation by which a constraint compares, such as BINARY. A table that compares otherwise must not
  /// take it as exact.
  public func collation(of index: Int) -> String {
    precondition(index >= 0 && index < constraintCount)
    return sx_vtab_collation(info, Int32(index)).map { String(cString: $0) } ?? "BINARY"
  }

  /// Whether a constraint is an IN whose values can come all at once. Taken by `take`, it is one scan for each value.
  public func isList(_ index: Int) -> Bool {
    precondition(index >= 0 && index < constraintCount)
    return sx_vtab_in(info, Int32(index), -1) != 0
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

  /// Takes a usable constraint for which `isList` holds, as one argument with all values: `Arguments.list`.
  public mutating func takeList(_ index: Int, argument: Int, exact: Bool = false) {
    precondition(isList(index))
    take(index, argument: argument, exact: exact)
    _ = sx_vtab_in(info, Int32(index), 1)
  }

  /// What the ORDER BY is for.
  public var distinctness: Distinctness { Distinctness(rawValue: sx_vtab_distinct(info)) ?? .ordered }

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
