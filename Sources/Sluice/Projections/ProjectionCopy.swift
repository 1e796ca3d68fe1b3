// One filled or half-filled copy of a projection: which rows it holds, and the statements that bring changes into it.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// A row of `sluice_copies`. Belongs to the projector's thread.
final class ProjectionCopy {
  typealias State = ProjectionState

  let serial: Int64
  let definition: CreateProjection
  /// nil: the SELECT is evaluated as a whole, every `refreshMicroseconds`.
  let plan: ProjectionPlan?
  var state: State
  /// Whether the view reads it.
  var serves: Bool
  /// While it is built: the key up to which it has the mirror's rows; nil: none yet.
  var builtKey: [Value]?
  /// Rows of the mirror that it got since the file was opened.
  var filledRows = 0
  /// Up to where it was brought, where that is not as far as the mirrors.
  var position: UInt64
  /// What went wrong last.
  var error: String?
  /// Whether rows were left out that could not be brought in.
  var hasRejected = false
  /// Whether each row is brought in by itself when all together cannot be.
  var isCareful = false
  /// Whether sums of integers have passed 64 bits.
  var isWide = false
  /// Where it is made anew as a whole: not before this time, in monotonic nanoseconds.
  var refreshAt: UInt64 = 0
  /// What its query reads, by folded name; empty until it has run once.
  var reads: Set<String> = []
  /// While it has failed: up to where the rows were that its query failed with; nil: not since the file was opened.
  var failedPosition: UInt64?
  /// Whether it waits until no rows wait: while its query ran, the write-ahead log became too long.
  var isHeldBack = false

  private let connection: Connection
  private var statements: [String: SluiceSQLite.Statement] = [:]

  init(
    serial: Int64, definition: CreateProjection, plan: ProjectionPlan?, state: State, serves: Bool, position: UInt64,
    connection: Connection
  ) {
    self.serial = serial
    self.definition = definition
    self.plan = plan
    self.state = state
    self.serves = serves
    self.position = position
    self.connection = connection
    let words = ExpressionText(definition.select).names.map(folded)
    isVolatile =
      plan == nil && (nondeterminism(in: definition.select) != nil || words.contains { $0.hasPrefix("random") })
  }

  var name: String { definition.name }
  /// The name of its table.
  var tableName: String { "sluice_\(name)_\(serial)" }
  var isRefreshed: Bool { plan == nil }
  /// Whether its SELECT may give something else although nothing has changed.
  let isVolatile: Bool

  /// Whether changes to its table concern it now.
  var isFollowing: Bool {
    guard plan != nil else { return false }
    return state == .current || (state == .building && builtKey != nil)
  }

  /// The table it is made of; nil: it is made anew as a whole.
  var tableID: UInt32? { plan?.table.id }

  /// SQLite's sentence about an error, with the projection's name in place of its table's.
  func explained(_ error: SQLiteError) -> String { error.message.replacing(tableName + ".", with: name + ".") }

  /// Takes what another object knew of the same copy beside the file.
  func takeOver(from other: ProjectionCopy) {
    refreshAt = other.refreshAt
    reads = other.reads
    filledRows = other.filledRows
    isHeldBack = other.isHeldBack
    if state == .failed { failedPosition = other.failedPosition }
  }

  // MARK: Its tables

  /// Names of all its tables.
  var tables: [String] {
    if case .groups(let groups)? = plan?.stored { return groups.tables(tableName) }
    return [tableName]
  }

  func create() throws(SQLiteError) {
    switch plan?.stored {
    case .rows(let rows): for sql in rows.creation(tableName) { try connection.execute(sql) }
    case .groups(let groups): for sql in groups.creation(tableName) { try connection.execute(sql) }
    // Its columns are those of its first rows.
    case nil: break
    }
  }

  /// Whether its table is there.
  func isCreated() throws(SQLiteError) -> Bool {
    let select = try connection.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = ?")
    try select.bind(1, tableName)
    return try !select.rows().isEmpty
  }

  func drop() throws(SQLiteError) {
    statements = [:]
    for table in tables { try connection.execute("DROP TABLE IF EXISTS main.\(quoted(table))") }
    // The next copy may get its number.
    guard case .groups(let groups)? = plan?.stored else { return }
    for table in groups.temporaryTables(serial) { try connection.execute("DROP TABLE IF EXISTS \(table)") }
  }

  /// The statement that makes the view over it.
  var view: String {
    switch plan?.stored {
    case .rows(let rows): rows.view(name, tableName)
    case .groups(let groups): groups.view(name, tableName)
    case nil: "CREATE VIEW main.\(quoted(name)) AS SELECT * FROM \(quoted(tableName))"
    }
  }

  /// The name in its table of a column of the SELECT that is stored as it is.
  func storedName(_ column: String) -> String? {
    switch plan?.stored {
    case .rows(let rows): rows.storedName(column)
    case .groups(let groups): groups.storedName(column)
    case nil: column
    }
  }

  // MARK: Changes

  /// Runs a statement whose parameters, if it has some, are the bound or a key.
  private func run(_ sql: String, _ key: [Value]? = nil) throws(SQLiteError) {
    let statement = try prepared(sql)
    if statement.parameterCount > 0 { try statement.bind(key ?? builtKey ?? []) }
    try statement.run()
  }

  private func prepared(_ sql: String) throws(SQLiteError) -> SluiceSQLite.Statement {
    if let statement = statements[sql] { return statement }
    // Texts differ by source and bounds only.
    if statements.count > 64 { statements = [:] }
    let statement = try connection.prepare(sql, persistent: true)
    statements[sql] = statement
    return statement
  }

  /// Whether only rows up to `builtKey` concern it.
  private var isBounded: Bool { state == .building }
  private var excluded: Int64? { hasRejected ? serial : nil }

  private var groups: GroupedProjection? {
    guard case .groups(let groups)? = plan?.stored else { return nil }
    return isWide ? groups.widened : groups
  }

  /// Takes away what is about to be replaced or removed in the mirror.
  func replaced() throws(SQLiteError) {
    switch plan?.stored {
    case .rows(let rows): try run(rows.removal(tableName))
    case .groups:
      for sql in groups?.removal(tableName, serial, isBounded: isBounded, excluding: excluded) ?? [] {
        try run(sql)
      }
    case nil: break
    }
  }

  /// Adds the rows of the delta, or those in `range`.
  func added(_ delta: RowDelta, _ range: Range<Int>? = nil) throws(SQLiteError) {
    for sql in insertion(.delta, isBounded: isBounded) {
      let statement = try prepared(sql)
      if statement.parameterCount > 0 { try statement.bind(builtKey ?? []) }
      try delta.feed(statement, range)
    }
  }

  /// Brings to order what was taken away, once the mirror has changed.
  func settle() throws(SQLiteError) {
    guard let groups else { return }
    for sql in groups.settlement(tableName, serial, isBounded: isBounded, excluding: excluded) {
      try run(sql)
    }
  }

  private func insertion(_ source: ProjectionSource, isBounded: Bool) -> [String] {
    switch plan?.stored {
    case .rows(let rows): [rows.insertion(tableName, source, isBounded: isBounded, excluding: nil)]
    case .groups: groups?.insertion(tableName, serial, source, isBounded: isBounded, excluding: nil) ?? []
    case nil: []
    }
  }

  func clear() throws(SQLiteError) {
    switch plan?.stored {
    case .rows: try connection.execute("DELETE FROM main.\(quoted(tableName))")
    case .groups(let groups): for sql in groups.clearing(tableName) { try connection.execute(sql) }
    case nil: break
    }
  }

  // MARK: From the mirror

  /// Adds one row of the mirror.
  func add(rowOf key: [Value]) throws(SQLiteError) {
    for sql in insertion(.key, isBounded: false) { try run(sql, key) }
  }

  /// The key of the row `count` rows behind the last one that it has; nil: there are fewer.
  func key(after count: Int) throws(SQLiteError) -> [Value]? {
    guard let base = plan?.base else { return nil }
    let names = base.keyNames.joined(separator: ", ")
    let marks = base.keyNames.indices.map { "?\($0 + 1)" }.joined(separator: ", ")
    let statement = try prepared(
      "SELECT \(names) FROM main.\(quoted(base.table.name))" + (builtKey == nil ? "" : " WHERE (\(names)) > (\(marks))")
        + " ORDER BY \(names) LIMIT 1 OFFSET ?\(base.keyNames.count + 1)")
    try statement.bind(base.keyNames.count + 1, count - 1)
    for (index, value) in (builtKey ?? []).enumerated() { try statement.bind(index + 1, value) }
    return try statement.rows().first
  }

  /// Adds the mirror's rows behind those that it has, up to `upper`; nil: all of them.
  func add(upTo upper: [Value]?) throws(SQLiteError) {
    for sql in insertion(.range(hasLower: builtKey != nil, hasUpper: upper != nil), isBounded: false) {
      let statement = try prepared(sql)
      try bind(statement, upTo: upper)
      try statement.run()
    }
  }

  /// Binds the ends of a part of the mirror, where a statement has parameters for them: first the upper one.
  private func bind(_ statement: SluiceSQLite.Statement, upTo upper: [Value]?) throws(SQLiteError) {
    guard let width = plan?.base.keyNames.count, statement.parameterCount > 0 else { return }
    for (index, value) in (upper ?? []).enumerated() { try statement.bind(index + 1, value) }
    for (index, value) in (builtKey ?? []).enumerated() { try statement.bind(index + 1 + width, value) }
  }

  /// Keys of the mirror's rows behind those that it has, up to `upper`, or all.
  func keys(upTo upper: [Value]?) throws(SQLiteError) -> [[Value]] {
    guard let base = plan?.base else { return [] }
    let names = base.keyNames.joined(separator: ", ")
    func marks(_ first: Int) -> String { base.keyNames.indices.map { "?\($0 + first)" }.joined(separator: ", ") }
    var conditions: [String] = []
    if upper != nil { conditions.append("(\(names)) <= (\(marks(1)))") }
    if builtKey != nil { conditions.append("(\(names)) > (\(marks(1 + base.keyNames.count)))") }
    let statement = try prepared(
      "SELECT \(names) FROM main.\(quoted(base.table.name))"
        + (conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")) + " ORDER BY \(names)")
    try bind(statement, upTo: upper)
    return try statement.rows()
  }

  /// Takes rows in place of those that it has. Its table is made, or made anew, when it has other columns; true then.
  /// `goesOn` is asked now and then; false ends it with `interrupted`. Cost: about 1 µs a row.
  func replace(by rows: RefreshedRows, goesOn: () -> Bool) throws(SQLiteError) -> Bool {
    let creation = "CREATE TABLE \(quoted(tableName))\(rows.columns)"
    let known = try connection.prepare("SELECT sql FROM main.sqlite_schema WHERE name = ?")
    try known.bind(1, tableName)
    let isOther = try known.rows() != [[.text(Array(creation.utf8))]]
    if isOther {
      try drop()
      try connection.execute("CREATE TABLE main.\(quoted(tableName))\(rows.columns)")
    } else {
      try connection.execute("DELETE FROM main.\(quoted(tableName))")
    }
    let source = try rows.connection.prepare("SELECT * FROM temp.\(RefreshedRows.table)")
    let width = source.columnCount
    let marks = (1...width).map { "?\($0)" }.joined(separator: ", ")
    let target = try connection.prepare("INSERT INTO main.\(quoted(tableName)) VALUES(\(marks))")
    var count = 0
    // Its rows lie in a temporary file, and whatever is wrong with that is wrong with nothing else.
    func next() throws(SQLiteError) -> Bool {
      do throws(SQLiteError) { return try source.step() } catch { throw SQLiteError(message: error.message) }
    }
    while try next() {
      for column in 0..<width { try target.bind(column + 1, source.cell(column), borrowed: true) }
      try target.run()
      count += 1
      if count & 0xff == 0, !goesOn() { throw .interrupted }
    }
    return isOther
  }
}

extension String {
  /// The text with each `part` replaced by `other`.
  func replacing(_ part: String, with other: String) -> String {
    var result = ""
    var rest = self[...]
    while let range = rest.firstRange(of: part) {
      result += rest[..<range.lowerBound] + other
      rest = rest[range.upperBound...]
    }
    return result + rest
  }
}
