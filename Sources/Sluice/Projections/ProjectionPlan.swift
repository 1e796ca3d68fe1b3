// How a projection is kept: what is stored of it, and the SQL that brings a change of its table into that. SQLite
// evaluates everything; this file and its two neighbours only write the texts.
//
// A projection of the name p is a view p over a table of its own, the copy, called sluice_p_1, sluice_p_2 …: when it is
// rebuilt, the next copy is filled beside the one that serves, and then the view changes over. The view has the columns
// of the SELECT; the copy has besides what is needed to take rows away again.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Where the rows are over which a projection's SELECT is evaluated.
enum ProjectionSource: Hashable {
  /// The new images of rows, in memory.
  case delta
  /// The images that stand in the mirror and are about to be replaced or removed.
  case replaced
  /// A part of the mirror, by its key.
  case range(hasLower: Bool, hasUpper: Bool)
  /// One row of the mirror, by its key.
  case key
}

/// One projection, for one definition of its table.
struct ProjectionPlan {
  let definition: CreateProjection
  let table: SQLTable
  let base: ProjectionBase
  let stored: Stored

  /// What is stored of a row, or of a group of rows.
  enum Stored {
    case rows(RowProjection)
    case groups(GroupedProjection)
  }

  /// Takes a definition apart. Throws what is wrong with it, and why it cannot be kept row by row.
  init(_ definition: CreateProjection, _ catalog: Catalog) throws(SQLError) {
    let query = try parseProjectionQuery(definition.select) { name in
      catalog.table(name)?.definition.columns.map(\.name)
    }
    guard let table = catalog.table(query.table) else { throw SQLError(.invalid, "no such table: \(query.table)") }
    if let name = nondeterminism(in: definition.select) {
      throw SQLError(.invalid, "non-deterministic: \(name) differs from one evaluation to the next")
    }
    self.definition = definition
    self.table = table
    base = try ProjectionBase(table, query)
    if query.isGrouped {
      if definition.primaryKey != nil {
        throw SQLError(.invalid, "a projection with GROUP BY has its groups as primary key: leave PRIMARY KEY out")
      }
      stored = .groups(try GroupedProjection(query, base))
    } else {
      stored = .rows(try RowProjection(query, base, primaryKey: definition.primaryKey))
    }
  }

  /// Columns of the view.
  var columnNames: [String] {
    switch stored {
    case .rows(let rows): rows.columns.map(\.name)
    case .groups(let groups): groups.query.columns.map(\.name)
    }
  }

  /// Whether it stores the same of each row as another plan, and in the same way.
  func stores(as other: ProjectionPlan) -> Bool { texts == other.texts }

  private var texts: [String] {
    switch stored {
    case .rows(let rows):
      rows.creation("") + [rows.view("", ""), rows.insertion("", .delta, isBounded: false, excluding: nil)]
    case .groups(let groups):
      groups.creation("") + [groups.view("", "")]
        + groups.insertion("", 0, .delta, isBounded: false, excluding: nil)
    }
  }

  /// What the values of expressions must not depend on, and what only SQLite knows: asked of a scratch database that
  /// holds the table. An index may hold what is fixed by the row, and nothing else.
  func probe(_ scratch: Connection) throws(SQLiteError) {
    let target = quoted(table.name)
    for expression in base.expressions where base.rowidNames.isDisjoint(with: ExpressionText(expression).names) {
      try scratch.execute("CREATE INDEX sluice_probe ON \(target)(((\(expression)) IS NULL)); DROP INDEX sluice_probe")
    }
    if let filter = base.filter, base.rowidNames.isDisjoint(with: ExpressionText(filter).names) {
      let column = quoted(table.definition.columns[0].name)
      try scratch.execute(
        "CREATE INDEX sluice_probe ON \(target)(\(column)) WHERE \(filter); DROP INDEX sluice_probe")
    }
  }
}

extension ProjectionPlan {
  /// Prepares what the projector is going to run, in a scratch database that holds the table. Throws what SQLite finds
  /// wrong with it.
  func rehearse(_ scratch: Connection) throws(SQLiteError) {
    try scratch.register(table: ProjectionBase.deltaName(table), RowDelta(table))
    try scratch.register(table: ProjectionBase.keysName(table), KeyDelta(table))
    let copy = ProjectionCopy(
      serial: 1, definition: definition, plan: self, state: .current, serves: false, position: 0, connection: scratch)
    try copy.create()
    try scratch.execute("DROP TABLE IF EXISTS main.\(quoted(definition.name)); \(copy.view)")
    // What is not there yet shows only when it is read.
    _ = try scratch.prepare("SELECT * FROM main.\(quoted(definition.name))")
    try copy.replaced()
    try copy.added(RowDelta(table))
    try copy.settle()
  }
}

/// A projection's side towards its table: how its rows are named and read.
struct ProjectionBase {
  let table: SQLTable
  /// Quoted, for FROM.
  let alias: String
  /// WHERE, without qualifiers.
  let filter: String?
  /// Quoted names of the columns that tell rows apart, or of the rowid.
  let keyNames: [String]
  /// Every expression that is evaluated over a row.
  let expressions: [String]

  init(_ table: SQLTable, _ query: ProjectionQuery) throws(SQLError) {
    self.table = table
    alias = quoted(query.alias)
    filter = query.filter.map { ExpressionText($0).unqualified(query.alias) }
    guard let keyNames = table.keyNames else {
      throw SQLError(
        .unsupported, "columns named rowid, oid and _rowid_ leave the rows of \(table.name) without a name")
    }
    self.keyNames = keyNames
    var expressions: [String] = query.groups
    for aggregate in query.aggregates {
      expressions += [aggregate.argument, aggregate.filter].compactMap { $0 }
    }
    if !query.isGrouped {
      for column in query.columns { expressions.append(column.expression.rendered { _ in "NULL" }) }
    }
    self.expressions = expressions.map { ExpressionText($0).unqualified(query.alias) }
  }

  /// Names of the rowid that no column has taken, as a user may write them.
  var rowidNames: Set<String> {
    let names = ["rowid", "oid", "_rowid_", "ROWID", "OID", "_ROWID_"]
    return Set(names.filter { table.definition.columnIndex($0) == nil })
  }

  /// Whether rows are named by one integer.
  var hasIntegerKey: Bool { table.hasRowid }

  /// The name of the virtual table over the new images, and of that over the keys whose images are replaced.
  static func deltaName(_ table: SQLTable) -> String { "sluice_delta_\(table.id)" }
  static func keysName(_ table: SQLTable) -> String { "sluice_keys_\(table.id)" }

  /// FROM and WHERE over a source. `isBounded`: only rows up to the key that the first parameters give. `excluding`: a
  /// copy whose rejected rows are left out.
  func from(_ source: ProjectionSource, isBounded: Bool, excluding copy: Int64?, also condition: String? = nil)
    -> String
  {
    let mirror = "main.\(quoted(table.name))"
    var conditions = [filter.map { "(\($0))" }, condition].compactMap { $0 }
    if let copy, source != .delta {
      let values = keyNames.map { ", \(alias).\($0)" }.joined()
      let isRejected =
        "sluice_key(\(table.id)\(values)) IN (SELECT key_bytes FROM main.sluice_rejected WHERE copy = \(copy))"
      // SQLite looks at conditions in the order that it likes, and a rejected row may fail in any of them.
      let others = conditions.isEmpty ? "true" : conditions.joined(separator: " AND ")
      conditions = ["CASE WHEN \(isRejected) THEN false ELSE \(others) END"]
    }
    let key = "(" + keyNames.map { "\(alias).\($0)" }.joined(separator: ", ") + ")"
    let upper = "(" + keyNames.indices.map { "?\($0 + 1)" }.joined(separator: ", ") + ")"
    let text: String
    switch source {
    case .delta: text = "\(Self.deltaName(table)) AS \(alias)"
    case .replaced:
      let join = keyNames.indices.map { "T.\(keyNames[$0]) = K.k\($0)" }.joined(separator: " AND ")
      let rowid = table.isKeyless ? ", T.\(keyNames[0]) AS \(keyNames[0])" : ""
      text = "(SELECT T.*\(rowid) FROM \(Self.keysName(table)) AS K CROSS JOIN \(mirror) AS T ON \(join)) AS \(alias)"
    case .range(let hasLower, let hasUpper):
      text = "\(mirror) AS \(alias)"
      let lower = "(" + keyNames.indices.map { "?\($0 + 1 + keyNames.count)" }.joined(separator: ", ") + ")"
      if hasLower { conditions.append("\(key) > \(lower)") }
      if hasUpper { conditions.append("\(key) <= \(upper)") }
    case .key:
      text = "\(mirror) AS \(alias)"
      conditions.append("\(key) = \(upper)")
    }
    if isBounded { conditions.append("\(key) <= \(upper)") }
    return " FROM \(text) WHERE " + (conditions.isEmpty ? "true" : conditions.joined(separator: " AND "))
  }

  /// The table's column that an expression is, and nothing else; nil: it is more.
  func column(_ expression: String) -> Column? {
    guard let name = ExpressionText(expression).bare.loneName, let index = table.definition.columnIndex(name) else {
      return nil
    }
    return table.definition.columns[index]
  }

  /// Whether an expression is never NULL, because it is a column that cannot be.
  func isNeverNull(_ expression: String) -> Bool {
    guard let column = column(expression), let index = table.definition.columnIndex(column.name) else { return false }
    return table.definition.rejectsNull(index)
      || (table.definition.isRowidAlias && table.definition.primaryKey == [index])
  }

  /// The collation by which values of an expression are told apart, or nil for BINARY
  /// (https://sqlite.org/datatype3.html#determining_which_collating_sequence_to_use). Refused is what only SQLite could
  /// tell.
  func collation(_ expression: String) throws(SQLError) -> String? {
    if let column = column(expression) { return column.collation }
    let text = ExpressionText(expression).bare
    if let name = text.lastCollation { return name }
    let collated = Set(table.definition.columns.filter { $0.collation != nil }.map { folded($0.name) })
    let unknown = text.names.first {
      folded($0) == "collate" || (text.mayInheritCollation && collated.contains(folded($0)))
    }
    if let unknown {
      throw SQLError(
        .unsupported, "how \(expression) compares depends on \(unknown) in it: write COLLATE … behind it")
    }
    return nil
  }

  /// Whether values of an expression that are equal may differ: texts by their collation, 1 and 1.0 by their type.
  func hasSpellings(_ expression: String) throws(SQLError) -> Bool {
    if let collation = try collation(expression), folded(collation) != "binary" { return true }
    if let column = column(expression) { return column.affinity == .blob }
    return !Self.callsOfOneType.contains(folded(ExpressionText(expression).bare.loneCall ?? ""))
  }

  /// Functions whose values are NULL or all of one type.
  private static let callsOfOneType: Set<String> = [
    "date", "time", "datetime", "strftime", "substr", "substring", "lower", "upper", "trim", "ltrim", "rtrim",
    "replace",
    "hex", "quote", "printf", "format", "typeof", "length", "instr", "unicode", "char", "unixepoch",
  ]

  /// Type and collation of a stored column that holds the values of an expression as they are.
  func declaration(_ expression: String) throws(SQLError) -> String {
    var text = ""
    if let column = column(expression), !column.typeName.isEmpty { text += " " + column.typeName }
    if let collation = try collation(expression) { text += " COLLATE " + quoted(collation) }
    return text
  }
}

/// Gives out names for stored columns: each once, whatever the case of its letters.
struct StoredNames {
  private var taken: Set<String> = []

  /// `name` if nobody has it yet, else a name made of it.
  mutating func take(_ name: String) -> String {
    var result = name
    var count = 1
    while !taken.insert(folded(result)).inserted {
      result = "\(name):\(count)"
      count += 1
    }
    return result
  }
}
