// Statements that are parsed and planned once and run many times, with other values for their parameters.
// Unsafe by nature (values borrowed for the length of a call): named in the tidy test.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  /// Prepares a statement with parameters (`?`, `?5`, `:name`, `@name`, `$name`). Throws what is wrong with its text.
  /// Any number of prepared statements may stand beside each other; they belong to the session's thread.
  public func prepare(_ text: String) throws(StoreError) -> PreparedStatement { try PreparedStatement(text, self) }

  /// Prepares the insertion of rows into an SQL table: no text, one call a value. `columns` as in `INSERT INTO t(…)`;
  /// nil: all, in their order. Throws `no such table` and `no such column` (invalid).
  public func prepareInsert(
    into table: String, columns: [String]? = nil, orAction: OrAction = .abort
  ) throws(StoreError) -> PreparedInsert {
    refreshCatalog()
    return try PreparedInsert(table, columns: columns, orAction: orAction, self)
  }
}

/// A statement to be run with values. SELECT keeps its plan between runs; others are read again, by number or by name
/// of their parameters.
public final class PreparedStatement {
  /// The session that it runs on.
  public let session: Session
  /// The statement's text.
  public let text: String
  private let kind: SluiceSQL.Statement
  private let parameterList: ParameterList
  private var query: PreparedQuery?
  /// What the names in it mean: the catalog, the views of the connection and the projections.db for which it was
  /// prepared.
  private var versions: (catalog: UInt64, views: Int, file: Int) = (0, 0, 0)
  /// Whether what it reads was told by a projections.db that has all of that catalog.
  private var isSettled = false

  init(_ text: String, _ session: Session) throws(StoreError) {
    self.text = text
    self.session = session
    var parsed = text
    parameterList = parsed.withUTF8 { ParameterList(UnsafeRawBufferPointer($0)) }
    do { kind = try parseStatement(text) } catch { throw StoreError(error) }
    session.refreshCatalog()
    if case .select = kind {
      var copy = text
      let isPast = copy.withUTF8 { text in
        Result { () throws(StoreError) in try session.isPast(UnsafeRawBufferPointer(text)) }
      }
      if try isPast.get() {
        throw StoreError(.unsupported, "a query AS OF cannot be prepared", isParse: true, sqliteCode: 1)
      }
      _ = try prepared()
    }
  }

  /// Runs it with `values` for its parameters by number, the first for `?1`: as many as it has, also of those with
  /// names. Those at the end may be missing that `Session.parameters` has by their name. Rows are computed as they are
  /// taken, until the session's next statement. `line` is where it stands in a script, for errors, which are those of
  /// `Session.execute`. Cost: about 2 µs for a row by its key.
  @discardableResult
  public func run(_ values: [Value] = [], line: Int = 1) throws(StoreError) -> Outcome {
    guard case .select = kind else {
      return try session.execute(text, values: values, line: line)
    }
    try session.check(values, for: parameterList)
    session.endRows()
    session.refreshCatalog()
    session.interrupter.begin()
    session.currentLine = line
    do throws(StoreError) {
      try session.beginReading()
      let statement = try settledStatement()
      do {
        statement.reset()
        try session.bindParameters(of: statement)
        try statement.bind(values)
      } catch { throw StoreError(error) }
      let rows = Rows(statement)
      session.hand(out: rows)
      return .rows(rows)
    } catch {
      defer { session.interrupter.end() }
      throw session.interrupter.explain(error)
    }
  }

  /// The query, once all that it reads in projections.db holds what the session wrote.
  private func settledStatement() throws(StoreError) -> SluiceSQLite.Statement {
    let live = try session.live()
    if let query, isSettled, versions == (session.catalog.version, live.viewVersion, live.fileNumber) {
      if query.reads.isEmpty { return query.statement }
      if try !session.changesFile() {
        if session.readsOwn { try session.waitRead(query.reads) }
        return query.statement
      }
    }
    isSettled = false
    let made = try session.settledQuery { () throws(StoreError) in try prepared() }
    isSettled = session.readsOwn
    return made.statement
  }

  private func prepared() throws(StoreError) -> PreparedQuery {
    let live = try session.live()
    let made = try session.prepareReading(text, persistent: true)
    query = made
    versions = (session.catalog.version, live.viewVersion, live.fileNumber)
    return made
  }
}

/// Rows for one SQL table, value by value: the row path without text.
public final class PreparedInsert {
  private let session: Session
  private let tableName: String
  private let columns: [String]?
  private let orAction: OrAction
  private var plan: InsertPlan { didSet { take(plan) } }
  /// The plan without a count of references: a row takes one each time otherwise.
  private var unretained: Unmanaged<InsertPlan>
  /// Of the plan's shape.
  private var places: UnsafePointer<ValuePlace>
  /// Values of a row: those of the columns named, or of all.
  public private(set) var valueCount: Int
  private var row = RowBuilder()
  /// The position that the next value is expected for; -1: no row has begun.
  private var next = -1
  private var failure: StoreError?
  /// Of the catalog that the plan was held against.
  private var version: UInt64

  fileprivate init(
    _ table: String, columns: [String]?, orAction: OrAction, _ session: Session
  ) throws(StoreError) {
    self.session = session
    tableName = table
    self.columns = columns
    self.orAction = orAction
    version = session.catalog.version
    plan = try Self.makePlan(table, columns, orAction, session)
    unretained = .passUnretained(plan)
    places = plan.shape.places
    valueCount = plan.shape.valueCount
  }

  private func take(_ plan: InsertPlan) {
    unretained = .passUnretained(plan)
    places = plan.shape.places
    valueCount = plan.shape.valueCount
  }

  private static func makePlan(
    _ table: String, _ columns: [String]?, _ orAction: OrAction, _ session: Session
  ) throws(StoreError) -> InsertPlan {
    guard let known = session.catalog.table(table) else {
      throw StoreError(.invalid, "no such table: \(table)", isParse: true, sqliteCode: 1)
    }
    do { return try InsertPlan(orAction: orAction, columns: columns, prefix: [], table: known) } catch {
      throw StoreError(error)
    }
  }

  /// Gives the row its value number `index`, from 0. A value that is not given is NULL. Cost: about 5 ns.
  @inline(__always)
  public func bind(_ index: Int, _ value: Int64) {
    guard let place = place(index) else { return }
    switch place.affinity {
    case .real, .text: put(.integer(value), place)
    case .blob, .numeric, .integer: row.put(integer: value, at: place.column)
    }
  }

  /// A real; NaN becomes NULL, as in SQLite. Cost: about 5 ns.
  @inline(__always)
  public func bind(_ index: Int, _ value: Double) {
    guard let place = place(index) else { return }
    switch place.affinity {
    case .real: row.put(real: storedReal(value), at: place.column)
    case .blob: row.put(real: value, at: place.column)
    case .text, .numeric, .integer: put(.real(value), place)
    }
  }

  /// NULL, also where the column has a default.
  public func bindNull(_ index: Int) { put(.null, index) }

  /// A text; its bytes are copied.
  public func bind(_ index: Int, _ text: String) {
    var text = text
    text.withUTF8 { put(.text(UnsafeRawBufferPointer($0)), index) }
  }

  /// A text of UTF-8 bytes without NUL; they are copied.
  public func bind(_ index: Int, text: UnsafeRawBufferPointer) {
    guard let place = place(index) else { return }
    // As in a column of text or none, where a text stays what it is.
    if place.affinity.rawValue < Affinity.numeric.rawValue, isText(text) {
      row.put(text, isText: true, at: place.column)
    } else {
      put(.text(text), place)
    }
  }
  /// A blob; its bytes are copied.
  public func bind(_ index: Int, blob: UnsafeRawBufferPointer) { put(.blob(blob), index) }

  /// A value of any storage class; its bytes are copied.
  public func bind(_ index: Int, _ value: Value) {
    switch value {
    case .null: bindNull(index)
    case .integer(let number): bind(index, number)
    case .real(let number): bind(index, number)
    case .text(let bytes): bytes.withUnsafeBytes { bind(index, text: $0) }
    case .blob(let bytes): bytes.withUnsafeBytes { bind(index, blob: $0) }
    }
  }

  @inline(__always)
  private func put(_ cell: SluiceSQLite.Cell, _ index: Int) {
    if let place = place(index) { put(cell, place) }
  }

  /// A value to which an affinity may have to be applied.
  @inline(never)
  private func put(_ cell: SluiceSQLite.Cell, _ place: ValuePlace) {
    do throws(StoreError) { try row.put(cell, at: place.column, place.affinity, session.evaluator) } catch {
      failure = failure ?? error
    }
  }

  /// Where value number `index` goes, which is given now; nil when a row has no such value.
  @inline(__always)
  private func place(_ index: Int) -> ValuePlace? {
    if next < 0 { begin() }
    guard index >= 0, index < valueCount else {
      fail("there is no value \(index): a row has \(valueCount)")
      return nil
    }
    // Bodies stand in the order in which values come: any other order is put right when the row ends.
    if index != next { row.disorder() }
    next = index &+ 1
    return places[index]
  }

  @inline(never)
  private func fail(_ message: String) { failure = failure ?? StoreError(.invalid, message, sqliteCode: 25) }

  private func begin() {
    next = 0
    do throws(StoreError) { try renew() } catch { failure = error }
    unretained._withUnsafeGuaranteedRef { plan in
      row.begin(plan.shape)
      if plan.shape.isIdentity { row.clear() }
    }
  }

  /// Ends the row: it is checked and handed on as a statement of its own, as by `Session.execute`; a duplicate key
  /// comes by `takeRejections`. Throws what is wrong with the row, which is then left out. About 0.1 µs.
  public func run() throws(StoreError) {
    if next < 0 { begin() }
    defer { next = -1 }
    if failure != nil { try takeFailure() }
    if session.builder.isEmpty { session.refreshCatalog() }
    try renew()
    do throws(StoreError) { try session.add(&row, unretained) } catch { throw session.losing(error) }
  }

  @inline(never)
  private func takeFailure() throws(StoreError) {
    guard let failure else { return }
    self.failure = nil
    throw failure
  }

  /// Binds all values of a row and runs it.
  public func run(_ values: [Value]) throws(StoreError) {
    guard values.count == plan.shape.valueCount else { throw wrongCount(values.count) }
    for (index, value) in values.enumerated() { bind(index, value) }
    try run()
  }

  /// The error about a row of that many values.
  func wrongCount(_ count: Int) -> StoreError {
    StoreError(.invalid, plan.shape.wrongCount(count), sqliteCode: 1)
  }

  /// Has the plan be one for the table as it is now.
  @inline(__always)
  private func renew() throws(StoreError) {
    if session.catalog.version != version { try makeAnew() }
  }

  @inline(never)
  private func makeAnew() throws(StoreError) {
    version = session.catalog.version
    if session.catalog.tablesByID[plan.tableID] === plan.table { return }
    let shape = plan.shape
    plan = try Self.makePlan(tableName, columns, orAction, session)
    guard next <= 0 || plan.shape.columnCount == shape.columnCount && plan.shape.targets == shape.targets else {
      throw StoreError(
        .conflict, "table \(tableName) has other columns now: the row that was bound does not fit it", sqliteCode: 17)
    }
  }
}
