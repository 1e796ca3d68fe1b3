// INSERT up to its rows: what is accepted, and what is refused in which words.

extension Parser {
  /// INSERT as a statement of its own: its header, or one of the two statements `.dump` writes about sqlite_sequence.
  mutating func insert() throws(SQLError) -> Statement {
    let header = try insertHeader()
    advance()
    guard sameName(header.table, "sqlite_sequence") else {
      if header.form == .defaultValues { try finish() }
      return .insert(header)
    }
    guard header.columns == nil, header.form == .values, header.orAction == .abort else {
      return .refused("INSERT INTO sqlite_sequence is supported as VALUES('table',number) only")
    }
    return try sequence()
  }

  /// `('table',number)`.
  private mutating func sequence() throws(SQLError) -> Statement {
    try expect(.leftParen)
    guard at(.string) else { throw unexpected() }
    let table = try name()
    try expect(.comma)
    let isNegative = take(.minus)
    guard at(.integer), let number = Int64(lexer.text(token)) else { throw unexpected() }
    advance()
    try expect(.rightParen)
    try finish()
    return .setSequence(table: table, value: isNegative ? -number : number)
  }

  /// INSERT [OR x] INTO [main.]name [(columns)] through VALUES or DEFAULT VALUES.
  mutating func insertHeader() throws(SQLError) -> InsertHeader {
    var action = OrAction.abort
    if take("REPLACE") {
      action = .replace
    } else {
      try expect("INSERT")
      if take("OR") { action = try orAction() }
    }
    try expect("INTO")
    let tableOffset = token.start
    let table = try qualifiedName()
    if at("AS") { throw unsupported("INSERT INTO … AS is not supported") }
    var columns: [String]?
    var columnOffsets: [Int] = []
    if at(.leftParen) {
      let list = try insertColumns()
      (columns, columnOffsets) = (list.names, list.offsets)
    }
    let form = try insertForm()
    return InsertHeader(
      orAction: action, table: table, tableOffset: tableOffset, columns: columns, columnOffsets: columnOffsets,
      form: form, valuesOffset: token.end)
  }

  private mutating func orAction() throws(SQLError) -> OrAction {
    if take("ABORT") { return .abort }
    if take("IGNORE") { return .ignore }
    if take("REPLACE") { return .replace }
    if at("FAIL") || at("ROLLBACK") {
      throw unsupported("INSERT OR \(lexer.text(token).uppercased()) is not supported: a statement is all or nothing")
    }
    throw unexpected()
  }

  private mutating func insertColumns() throws(SQLError) -> (names: [String], offsets: [Int]) {
    let columns = try placedNameList()
    guard columns.names.count <= CreateTable.maximumColumns else {
      throw invalid("too many columns: \(columns.names.count), the limit is \(CreateTable.maximumColumns)")
    }
    return columns
  }

  /// Leaves the VALUES word as the next token.
  private mutating func insertForm() throws(SQLError) -> InsertHeader.Form {
    if at("VALUES") { return .values }
    if at("SELECT") || at("WITH") || at(.leftParen) {
      throw unsupported("INSERT … SELECT is not supported: insert the rows with VALUES")
    }
    if take("DEFAULT") {
      guard at("VALUES") else { throw unexpected() }
      return .defaultValues
    }
    throw unexpected()
  }
}
