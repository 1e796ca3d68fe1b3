// Which part of a live table a query reads: SQLite's constraints and order, turned into a range of keys.
//
// A plan is chosen while a query is prepared and read when it runs, with the values that the constraints then have:
// a prefix of the primary key that is fixed, a range of the key column behind it, and the shard key where it is fixed.
// SQLite checks every constraint again, so a range may be too wide and never too narrow.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// One way of reading a table. Equal plans are one.
struct KeyPlan: Hashable {
  enum Bound: Hashable {
    case none
    case inclusive
    case exclusive
  }

  /// Leading key columns that are fixed: arguments 0 ..< equalCount.
  var equalCount = 0
  /// Whether the key column behind them is given by a list of values, the next argument; then it has no bounds.
  var hasList = false
  /// Bounds of the key column behind them: the next argument each.
  var lower = Bound.none
  var upper = Bound.none
  /// Whether the upper bound stands in the statement as a literal.
  var upperIsLiteral = false
  /// For each shard-key column the argument that fixes it; empty: any shard.
  var shardArguments: [Int] = []
  /// Columns that are no key and are fixed, where nothing of the key is: the next argument each. A scan reads the whole
  /// table or goes by a lookup, in key order within the rows asked for either way.
  var lookupColumns: [Int] = []
  /// Whether every key column is fixed: one row at most.
  var isPoint = false
  var isDescending = false

  /// Whether it reads all rows of the table.
  var isFullScan: Bool { equalCount == 0 && !hasList && lower == .none && upper == .none }
  var listArgument: Int { equalCount }
  var lowerArgument: Int { equalCount }
  var upperArgument: Int { equalCount + (lower == .none ? 0 : 1) }
  var lookupArgument: Int { upperArgument + (upper == .none ? 0 : 1) }
}

/// Finds the plan for a query: one use.
struct KeyPlanner {
  /// Key columns in order; a table without a primary key has -1, the rowid.
  private let keyColumns: [Int]
  private let placingColumns: [Int]
  private let table: SQLTable
  /// Usable equality constraints, and bounds, by column.
  private var equal: [Int: Int] = [:]
  /// IN constraints whose values come all at once. Taken one value after the other, SQLite compares each with the
  /// column alone; beside TEXT and untyped columns it is the type of what stands in the IN that decides how.
  private var lists: [Int: Int] = [:]
  private var lower: [Int: (index: Int, bound: KeyPlan.Bound)] = [:]
  private var upper: [Int: (index: Int, bound: KeyPlan.Bound)] = [:]
  /// Usable equality constraints on other columns, with values that a join or an outer query gives.
  private var other: [Int: Int] = [:]
  /// Whether a constraint on some other column could have used an index.
  private(set) var isIndexable = false

  /// Whether indexes of the table's mirror could serve a comparison with a literal.
  private let hasIndexes: Bool

  init(_ table: SQLTable, hasIndexes: Bool) {
    self.table = table
    self.hasIndexes = hasIndexes
    keyColumns = table.isKeyless ? [-1] : table.definition.primaryKey
    placingColumns = table.placingColumns
  }

  /// Looks at the constraints, takes those that help, and returns the plan.
  mutating func choose(_ access: inout AccessPlan) -> KeyPlan {
    for index in 0..<access.constraintCount { note(index, access) }
    var plan = KeyPlan()
    var argument = 0
    func take(_ index: Int, _ access: inout AccessPlan) {
      access.take(index, argument: argument)
      argument += 1
    }
    var columnArguments: [Int: Int] = [:]
    for column in keyColumns {
      guard let index = equal[column] else { break }
      columnArguments[column] = argument
      take(index, &access)
      plan.equalCount += 1
    }
    plan.isPoint = plan.equalCount == keyColumns.count
    if !plan.isPoint, let index = lists[keyColumns[plan.equalCount]] {
      plan.hasList = true
      plan.isPoint = plan.equalCount + 1 == keyColumns.count
      access.takeList(index, argument: argument)
      argument += 1
    } else if !plan.isPoint {
      let next = keyColumns[plan.equalCount]
      if let (index, bound) = lower[next] {
        plan.lower = bound
        take(index, &access)
      }
      if let (index, bound) = upper[next] {
        plan.upper = bound
        plan.upperIsLiteral = access.value(of: index) != nil
        take(index, &access)
      }
      if plan.equalCount == 0 {
        plan.lookupColumns = other.keys.sorted()
        for column in plan.lookupColumns { if let index = other[column] { take(index, &access) } }
      }
    }
    if !placingColumns.isEmpty, placingColumns.allSatisfy({ equal[$0] != nil }) {
      for column in placingColumns {
        if columnArguments[column] == nil, let index = equal[column] {
          columnArguments[column] = argument
          take(index, &access)
        }
        plan.shardArguments.append(columnArguments[column] ?? 0)
      }
    }
    consumeOrder(&plan, &access)
    estimate(plan, access)
    return plan
  }

  private mutating func note(_ index: Int, _ access: AccessPlan) {
    let constraint = access.constraint(index)
    // SQLite's rowid and an INTEGER PRIMARY KEY are one.
    let column = constraint.column < 0 && table.definition.isRowidAlias ? keyColumns[0] : constraint.column
    guard let relation = constraint.relation else { return }
    let isPlace = keyColumns.contains(column) || placingColumns.contains(column)
    // For a join SQLite makes an index of its own, but not on a virtual table.
    if !isPlace { isIndexable = isIndexable || hasIndexes || access.value(of: index) == nil }
    if !isPlace, relation == .equal { noteOther(index, column, access) }
    guard constraint.isUsable, isPlace,
      column < 0 || access.collation(of: index).uppercased() == "BINARY"
    else { return }
    switch relation {
    case .equal where !isNumeric(column) && access.isList(index):
      if lists[column] == nil { lists[column] = index }
    case .equal: if equal[column] == nil { equal[column] = index }
    case .greater: if lower[column] == nil { lower[column] = (index, .exclusive) }
    case .greaterOrEqual: if lower[column] == nil { lower[column] = (index, .inclusive) }
    case .less: if upper[column] == nil { upper[column] = (index, .exclusive) }
    case .lessOrEqual: if upper[column] == nil { upper[column] = (index, .inclusive) }
    }
  }

  private mutating func noteOther(_ index: Int, _ column: Int, _ access: AccessPlan) {
    guard column >= 0, access.constraint(index).isUsable, other[column] == nil, access.value(of: index) == nil,
      !access.isList(index), access.collation(of: index).uppercased() == "BINARY"
    else { return }
    other[column] = index
  }

  /// Whether what a column is compared with becomes a number where it can.
  private func isNumeric(_ column: Int) -> Bool {
    column < 0 || table.definition.columns[column].affinity.rawValue >= Affinity.numeric.rawValue
  }

  /// Rows come in key order, one way or the other; fixed columns may stand anywhere in the order asked for.
  private func consumeOrder(_ plan: inout KeyPlan, _ access: inout AccessPlan) {
    guard access.orderCount > 0, !plan.hasList else { return }
    let fixed = Set(keyColumns.prefix(plan.equalCount))
    var open = keyColumns.dropFirst(plan.equalCount)
    var direction: Bool?
    for index in 0..<access.orderCount {
      let order = access.order(index)
      let column = order.column < 0 && table.definition.isRowidAlias ? keyColumns[0] : order.column
      if fixed.contains(column) { continue }
      // Behind the whole key there is one row, in any order.
      if open.isEmpty { break }
      guard open.first == column, direction == nil || direction == order.isDescending else { return }
      direction = order.isDescending
      open = open.dropFirst()
    }
    access.isOrdered = true
    plan.isDescending = direction ?? false
  }

  /// Rows of a table that nobody counted, as SQLite assumes for its own.
  private static let assumedRows = 1_048_576.0

  /// Rows of one value of a column, as SQLite assumes for an index of its own that it knows nothing of.
  private static let assumedMatches = 10.0

  /// Values in an IN, as SQLite assumes for a subquery.
  private static let assumedValues = 25.0

  private func estimate(_ plan: KeyPlan, _ access: AccessPlan) {
    var rows = Self.assumedRows
    if plan.hasList {
      for _ in 0..<plan.equalCount { rows /= 100 }
      rows = plan.isPoint ? Self.assumedValues : min(rows, rows / 100 * Self.assumedValues)
    } else if plan.isPoint {
      rows = 1
      // Of a unique scan SQLite may look at the first row alone: it must be the one. Beside other columns a value can
      // be one that only a walk finds.
      access.isUnique = keyColumns.allSatisfy(isNumeric)
    } else if !plan.lookupColumns.isEmpty {
      rows = Self.assumedMatches
    } else {
      for _ in 0..<plan.equalCount { rows /= 100 }
      if plan.lower != .none { rows /= 4 }
      if plan.upper != .none { rows /= 4 }
      if !plan.shardArguments.isEmpty { rows /= 2 }
    }
    access.estimatedRows = max(Int64(rows), 1)
    access.estimatedCost = max(rows, 1) * 1.1 + 2
  }
}
