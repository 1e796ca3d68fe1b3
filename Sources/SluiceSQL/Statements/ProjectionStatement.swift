// The statements about projections: CREATE, ALTER, DROP, REBUILD, PAUSE, RESUME, REDRIVE, WAIT FOR. A projection's
// SELECT is kept as text here; ProjectionQuery takes it apart. Their words are names everywhere else.

/// `CREATE PROJECTION [IF NOT EXISTS] name [PAUSED] [PRIMARY KEY (columns)] AS select [REFRESH EVERY 'duration']`.
/// ALTER PROJECTION says the same without IF NOT EXISTS and PAUSED.
public struct CreateProjection: Equatable, Sendable {
  /// The name as written, without quotes and schema.
  public let name: String
  public let ifNotExists: Bool
  public let isPaused: Bool
  /// Columns of the result that are its key, in key order; nil: no such clause.
  public let primaryKey: [String]?
  /// The query as it is kept: from its first word to its last, comments taken out, without semicolon and REFRESH.
  public let select: String
  /// Above zero; nil: no such clause.
  public let refreshMicroseconds: Int64?

  public init(
    name: String, ifNotExists: Bool = false, isPaused: Bool = false, primaryKey: [String]? = nil, select: String,
    refreshMicroseconds: Int64? = nil
  ) {
    self.name = name
    self.ifNotExists = ifNotExists
    self.isPaused = isPaused
    self.primaryKey = primaryKey
    self.select = select
    self.refreshMicroseconds = refreshMicroseconds
  }
}

/// `WAIT FOR projection [AT position | AT LAST] [TIMEOUT 'duration']`.
public struct WaitFor: Equatable, Sendable {
  public enum Target: Equatable, Sendable {
    /// What the session itself has written.
    case own
    case position(UInt64)
    /// The last position there is.
    case last
  }

  public let projection: String
  public let target: Target
  /// Above zero; nil: as long as it takes.
  public let timeoutMicroseconds: Int64?
}

/// CREATE PROJECTION in canonical form, without a semicolon: parsing it gives the same.
public func print(_ projection: CreateProjection) -> String {
  var text = "CREATE PROJECTION "
  if projection.ifNotExists { text += "IF NOT EXISTS " }
  text += quotedName(projection.name)
  if projection.isPaused { text += " PAUSED" }
  return text + definition(projection)
}

/// ALTER PROJECTION in canonical form, without a semicolon: parsing it gives the same.
public func printAlteration(_ projection: CreateProjection) -> String {
  "ALTER PROJECTION " + quotedName(projection.name) + definition(projection)
}

/// What stands behind the name in both.
private func definition(_ projection: CreateProjection) -> String {
  var text = ""
  if let key = projection.primaryKey { text += " PRIMARY KEY (\(key.map(quotedName).joined(separator: ", ")))" }
  text += " AS " + projection.select
  if let refresh = projection.refreshMicroseconds { text += " REFRESH EVERY '\(printDuration(refresh))'" }
  return text
}

extension Parser {
  /// CREATE PROJECTION behind its PROJECTION.
  mutating func createProjection() throws(SQLError) -> Statement {
    let ifNotExists = try self.ifNotExists()
    let name = try objectName()
    let isPaused = take("PAUSED")
    return .createProjection(try projection(name, ifNotExists: ifNotExists, isPaused: isPaused))
  }

  /// ALTER PROJECTION behind its PROJECTION.
  mutating func alterProjection() throws(SQLError) -> Statement {
    .alterProjection(try projection(try qualifiedName()))
  }

  /// `[PRIMARY KEY (…)] AS select [REFRESH EVERY '…']`, to the end of the statement.
  private mutating func projection(
    _ name: String, ifNotExists: Bool = false, isPaused: Bool = false
  ) throws(SQLError) -> CreateProjection {
    var key: [String]?
    if take("PRIMARY") {
      try expect("KEY")
      key = try keyColumns()
    }
    try expect("AS")
    let (select, refresh) = try projectedQuery()
    return CreateProjection(
      name: name, ifNotExists: ifNotExists, isPaused: isPaused, primaryKey: key, select: select,
      refreshMicroseconds: refresh)
  }

  private mutating func keyColumns() throws(SQLError) -> [String] {
    let (names, offsets) = try placedNameList()
    for (index, name) in names.enumerated() where names[..<index].contains(where: { sameName($0, name) }) {
      throw SQLError(.invalid, "duplicate column in the primary key: \(name)", offset: offsets[index])
    }
    return names
  }

  /// The query and its REFRESH EVERY, which only the last three tokens of the statement can be.
  private mutating func projectedQuery() throws(SQLError) -> (select: String, refreshMicroseconds: Int64?) {
    guard at("SELECT") || at("VALUES") || at("WITH") else { throw unexpected() }
    if at("WITH") {
      var ahead = self
      _ = try ahead.skipWith()
      guard ahead.at("SELECT") || ahead.at("VALUES") else { throw ahead.unexpected() }
    }
    let start = token
    var tail = StatementTail(self)
    var depth = 0
    while !at(.end), !at(.semicolon) {
      switch token.kind {
      case .illegal: throw unexpected()
      case .variable: throw invalid("parameters are not allowed in projections")
      case .leftParen: depth += 1
      case .rightParen: depth -= 1
      default: break
      }
      if depth < 0 { throw unexpected() }
      tail.note(self)
      advance()
    }
    if depth > 0 { throw unexpected() }
    var end = tail.end
    var refresh: Int64?
    // `refresh every` alone may be a column or a table with its alias.
    if tail.first.at("REFRESH"), tail.second.at("EVERY"), tail.third.isLiteral {
      refresh = try tail.third.duration()
      end = tail.endBefore
    }
    guard end > start.end else { throw refresh == nil ? unexpected() : tail.first.unexpected() }
    try finish()
    return (try keptText(start.start..<end), refresh)
  }

  private var isLiteral: Bool { at(.string) || at(.integer) || at(.real) }
}

// MARK: Running projections

extension Parser {
  /// REBUILD, PAUSE and RESUME: `verb PROJECTION name`.
  mutating func projectionCommand() throws(SQLError) -> Statement {
    let verb = self
    advance()
    try expect("PROJECTION")
    let name = try qualifiedName()
    try finish()
    if verb.at("REBUILD") { return .rebuildProjection(name) }
    return verb.at("PAUSE") ? .pauseProjection(name) : .resumeProjection(name)
  }

  /// `REDRIVE [PROJECTION name]`.
  mutating func redrive() throws(SQLError) -> Statement {
    advance()
    let name = take("PROJECTION") ? try qualifiedName() : nil
    try finish()
    return .redrive(projection: name)
  }

  mutating func waitFor() throws(SQLError) -> Statement {
    advance()
    try expect("FOR")
    let projection = try qualifiedName()
    var target = WaitFor.Target.own
    if take("AT") { target = take("LAST") ? .last : .position(try position()) }
    let timeout = take("TIMEOUT") ? try duration() : nil
    try finish()
    return .waitFor(WaitFor(projection: projection, target: target, timeoutMicroseconds: timeout))
  }

  /// A position in decimal digits.
  mutating func position() throws(SQLError) -> UInt64 {
    guard at(.integer) else { throw unexpected() }
    let text = lexer.text(token)
    guard let position = UInt64(text) else {
      throw text.allSatisfy(\.isWholeNumber) ? invalid("position \(text) is too large") : unexpected()
    }
    advance()
    return position
  }
}
