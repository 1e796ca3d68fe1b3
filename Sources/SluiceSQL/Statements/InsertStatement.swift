// INSERT up to its rows, and which forms of it the row path reads.

extension Parser {
  /// INSERT as a statement of its own: plain rows by their header, other forms taken apart, or one of the two
  /// statements `.dump` writes about sqlite_sequence.
  mutating func insert() throws(SQLError) -> Statement {
    let start = self
    let target = try insertTarget()
    guard at("VALUES") || at("DEFAULT") else {
      self = start
      return .change(try insertChange(with: 0..<0))
    }
    if target.alias != nil || target.orAction == .fail || target.orAction == .rollback {
      self = start
      return .change(try insertChange(with: 0..<0))
    }
    let header = try insertHeader(target)
    advance()
    guard sameName(header.table, "sqlite_sequence") else {
      guard header.form == .defaultValues, !at(.end), !at(.semicolon) else {
        if header.form == .defaultValues { try finish() }
        return .insert(header)
      }
      self = start
      return .change(try insertChange(with: 0..<0))
    }
    if header.columns == nil, header.form == .values, header.orAction == .abort, let sequence = try sequence() {
      return sequence
    }
    self = start
    return .change(try insertChange(with: 0..<0))
  }

  /// `('table',number)` and the end of the statement, as a dump writes it; nil: something else.
  private mutating func sequence() throws(SQLError) -> Statement? {
    guard take(.leftParen), at(.string) else { return nil }
    let table = try name()
    guard take(.comma) else { return nil }
    let isNegative = take(.minus)
    guard at(.integer), let number = Int64(lexer.text(token)) else { return nil }
    advance()
    guard take(.rightParen), at(.end) || at(.semicolon) else { return nil }
    try finish()
    return .setSequence(table: table, value: isNegative ? -number : number)
  }

  /// What stands in front of the rows, whatever form they have.
  struct InsertTarget {
    var orAction = OrAction.abort
    var table = ""
    var tableOffset = 0
    var alias: String?
    var columns: [String]?
    var columnOffsets: [Int] = []
  }

  /// INSERT [OR x] INTO [main.]name [AS alias] [(columns)].
  mutating func insertTarget() throws(SQLError) -> InsertTarget {
    var target = InsertTarget()
    if take("REPLACE") {
      target.orAction = .replace
    } else {
      try expect("INSERT")
      if take("OR") { target.orAction = try orAction() }
    }
    try expect("INTO")
    target.tableOffset = token.start
    target.table = try qualifiedName()
    if take("AS") { target.alias = try name() }
    if at(.leftParen) {
      let list = try insertColumns()
      (target.columns, target.columnOffsets) = (list.names, list.offsets)
    }
    return target
  }

  /// INSERT through VALUES or DEFAULT VALUES; anything that the row path does not read is thrown as `evaluated`.
  mutating func insertHeader() throws(SQLError) -> InsertHeader {
    let target = try insertTarget()
    guard at("VALUES") || at("DEFAULT"), target.alias == nil, target.orAction != .fail, target.orAction != .rollback
    else {
      if at("SELECT") || at("WITH") || at("VALUES") || at("DEFAULT") {
        throw SQLError(.evaluated, "SQLite evaluates this INSERT", offset: token.start)
      }
      throw unexpected()
    }
    return try insertHeader(target)
  }

  /// Leaves the VALUES word as the next token.
  private mutating func insertHeader(_ target: InsertTarget) throws(SQLError) -> InsertHeader {
    var form = InsertHeader.Form.values
    if take("DEFAULT") {
      guard at("VALUES") else { throw unexpected() }
      form = .defaultValues
    }
    return InsertHeader(
      orAction: target.orAction, table: target.table, tableOffset: target.tableOffset, columns: target.columns,
      columnOffsets: target.columnOffsets, form: form, valuesOffset: token.end)
  }

  mutating func orAction() throws(SQLError) -> OrAction {
    if take("ABORT") { return .abort }
    if take("IGNORE") { return .ignore }
    if take("REPLACE") { return .replace }
    if take("FAIL") { return .fail }
    if take("ROLLBACK") { return .rollback }
    throw unexpected()
  }

  private mutating func insertColumns() throws(SQLError) -> (names: [String], offsets: [Int]) {
    let columns = try placedNameList()
    guard columns.names.count <= CreateTable.maximumColumns else {
      throw invalid("too many columns: \(columns.names.count), the limit is \(CreateTable.maximumColumns)")
    }
    return columns
  }
}
