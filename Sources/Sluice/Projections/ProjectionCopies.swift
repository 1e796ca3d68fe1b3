// The projections of a store, as projections.db has them:
//
//   sluice_copies(serial, projection, definition, state, serves, built, position, error)    one row a copy
//   sluice_rejected(projection, "table", key, position, reason, attempts, time, copy, key_bytes)
//                                      rows that a projection could not take; the rest flows, REDRIVE tries them again
//
// Written in the same transactions as the rows of the copies, so that how far a copy is built is always true.
//
// An error while rows are brought in ends the transaction of all; it is then done again with that copy handled with
// care: row by row, in a savepoint each. So the usual way pays nothing for it. An error anywhere else is the copy's
// end: it is marked as failed and stays as it is.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Belongs to the projector's thread.
final class ProjectionCopies {
  let connection: Connection
  let clock: any Clock
  private(set) var all: [ProjectionCopy] = []
  /// How far the mirrors are in the open transaction.
  var position: UInt64 = 0
  private let quarantine: Quarantine
  /// Serials of copies that are handled with care from the next transaction on.
  private var careful: Set<Int64> = []
  /// Serials of copies with a sum that has passed 64 bits.
  private var wide: Set<Int64> = []
  /// The copy that the last error came from.
  private var culprit: ProjectionCopy?
  /// Why copies could not be made anew that may read one that is not there yet, by serial.
  var postponed: [Int64: String] = [:]

  init(_ connection: Connection, _ quarantine: Quarantine, clock: any Clock) throws(SQLiteError) {
    self.connection = connection
    self.quarantine = quarantine
    self.clock = clock
    try connection.register(function: "sluice_key", argumentCount: -1, deterministic: true) { [weak self] arguments in
      guard arguments.count > 0, let table = self?.table(UInt32(clamping: arguments.int64(0))) else { return .null }
      return .blob(engineKey((1..<arguments.count).map { arguments.value($0) }, of: table))
    }
  }

  private func table(_ id: UInt32) -> SQLTable? { all.first { $0.tableID == id }?.plan?.table }

  /// Creates the tables. Inside a transaction.
  func prepare() throws(SQLiteError) {
    try connection.execute(
      """
      CREATE TABLE sluice_copies(
        serial INTEGER PRIMARY KEY, projection TEXT NOT NULL, definition TEXT NOT NULL, state TEXT NOT NULL,
        serves INTEGER NOT NULL, built BLOB, position INTEGER NOT NULL, error TEXT);
      CREATE TABLE sluice_rejected(
        projection TEXT NOT NULL, "table" TEXT NOT NULL, key TEXT NOT NULL, position INTEGER NOT NULL,
        reason TEXT NOT NULL, attempts INTEGER NOT NULL, time TEXT NOT NULL, copy INTEGER NOT NULL,
        key_bytes BLOB NOT NULL, PRIMARY KEY (copy, key_bytes)) WITHOUT ROWID;
      """)
    for table in Self.ownTables { try connection.execute(RowGuard.creation(table, key: table)) }
  }

  /// Names of the tables that speak of copies.
  static let ownTables = ["sluice_copies", "sluice_rejected"]

  /// Reads what the file holds.
  func load(_ catalog: Catalog) throws(SQLiteError) {
    let earlier = Dictionary(all.map { ($0.serial, $0) }) { $1 }
    all = []
    postponed = [:]
    let rows = try connection.prepare(
      "SELECT serial, definition, state, serves, built, position, error, "
        + "EXISTS (SELECT 1 FROM sluice_rejected WHERE copy = serial) FROM sluice_copies ORDER BY serial"
    ).rows()
    for row in rows {
      guard case .integer(let serial) = row[0], case .text(let text) = row[1], case .text(let word) = row[2],
        let state = ProjectionCopy.State(rawValue: String(decoding: word, as: UTF8.self)),
        case .integer(let position) = row[5]
      else { continue }
      let copy = try makeCopy(
        serial, String(decoding: text, as: UTF8.self), state, UInt64(bitPattern: position), catalog)
      copy.serves = row[3] == .integer(1)
      if case .blob(let key) = row[4], let table = copy.plan?.table {
        copy.builtKey = try keyValues(key, of: table)
      }
      if case .text(let error) = row[6] { copy.error = String(decoding: error, as: UTF8.self) }
      copy.hasRejected = row[7] == .integer(1)
      copy.isCareful = careful.contains(serial)
      copy.isWide = wide.contains(serial)
      // A transaction was rolled back: what is known beside the file stays so.
      if let before = earlier[serial], print(before.definition) == print(copy.definition) {
        copy.takeOver(from: before)
      }
      all.append(copy)
    }
  }

  private func makeCopy(
    _ serial: Int64, _ text: String, _ state: ProjectionCopy.State, _ position: UInt64, _ catalog: Catalog
  ) throws(SQLiteError) -> ProjectionCopy {
    let definition: CreateProjection
    var plan: ProjectionPlan?
    do {
      guard case .createProjection(let parsed) = try parseStatement(text) else {
        throw SQLError(.invalid, "not a CREATE PROJECTION: \(text.prefix(80))")
      }
      definition = parsed
      if definition.refreshMicroseconds == nil { plan = try ProjectionPlan(definition, catalog) }
    } catch { throw SQLiteError(message: "the definition of a projection cannot be read: \(error)") }
    return ProjectionCopy(
      serial: serial, definition: definition, plan: plan, state: state, serves: false, position: position,
      connection: connection)
  }

  func save(_ copy: ProjectionCopy) throws(SQLiteError) {
    let statement = try connection.prepare(
      "INSERT OR REPLACE INTO sluice_copies VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
    try statement.bind([
      .integer(copy.serial), .text(Array(copy.name.utf8)), .text(Array(print(copy.definition).utf8)),
      .text(Array(copy.state.rawValue.utf8)), .integer(copy.serves ? 1 : 0),
      copy.builtKey.flatMap { key in copy.plan.map { .blob(engineKey(key, of: $0.table)) } } ?? .null,
      .integer(Int64(bitPattern: copy.position)), copy.error.map { .text(Array($0.utf8)) } ?? .null,
    ])
    try statement.run()
  }

  // MARK: Definitions

  func copies(_ name: String) -> [ProjectionCopy] { all.filter { folded($0.name) == folded(name) } }
  func serving(_ name: String) -> ProjectionCopy? { copies(name).first(where: \.serves) }

  /// A projection was created, altered, rebuilt, or goes on after a pause: its next copy begins.
  func begin(_ text: String, _ catalog: Catalog) throws(SQLiteError) {
    let highest = try connection.prepare("SELECT max(serial) FROM sluice_copies").rows()
    var serial = max(all.map(\.serial).max() ?? 0, 0) + 1
    if case .integer(let number)? = highest.first?.first { serial = max(serial, number + 1) }
    let copy = try makeCopy(serial, text, .building, position, catalog)
    for earlier in copies(copy.name) where !earlier.serves { try remove(earlier) }
    let failure = try connection.inSavepoint { () throws(SQLiteError) in try create(copy, catalog) }
    all.append(copy)
    if let failure { try fail(copy, copy.explained(failure)) } else { try save(copy) }
  }

  private func create(_ copy: ProjectionCopy, _ catalog: Catalog) throws(SQLiteError) {
    // Of one that is made anew as a whole the columns are not known yet.
    if copy.isRefreshed { return }
    try copy.create()
    for table in copy.tables { try connection.execute(RowGuard.creation(table, key: table)) }
    for index in catalog.objects.values where index.kind == .index && folded(index.owner) == folded(copy.name) {
      try createIndex(index.sql, on: copy)
    }
  }

  /// A table has columns more: what that makes another SELECT, such as `*`, is made anew.
  func tableAltered(_ catalog: Catalog) throws(SQLiteError) {
    let earlier = all
    // Statements that are prepared read the table as it was.
    try load(catalog)
    var changed: [String: String] = [:]
    for (copy, before) in zip(all, earlier) where copy.state != .paused {
      guard let plan = copy.plan, let other = before.plan, !plan.stores(as: other) else { continue }
      try fail(copy, "the columns of \(plan.table.name) have changed")
      changed[folded(copy.name)] = print(copy.definition)
    }
    for (_, text) in changed.sorted(by: { $0.key < $1.key }) { try begin(text, catalog) }
  }

  /// PAUSE: it stays as it is. One that does not serve yet waits until somebody asks for it, or for RESUME.
  func pause(_ name: String) throws(SQLiteError) {
    let isThere = serving(name) != nil
    for copy in copies(name) {
      if copy.serves || !isThere {
        if copy.state == .current, !copy.isRefreshed { copy.position = position }
        copy.state = .paused
        try save(copy)
      } else {
        try remove(copy)
      }
    }
  }

  func drop(_ name: String) throws(SQLiteError) {
    try connection.execute("DROP VIEW IF EXISTS main.\(quoted(name))")
    for copy in copies(name) { try remove(copy) }
  }

  private func remove(_ copy: ProjectionCopy) throws(SQLiteError) {
    try copy.drop()
    try connection.execute(
      "DELETE FROM sluice_copies WHERE serial = \(copy.serial); DELETE FROM sluice_rejected WHERE copy = \(copy.serial)"
    )
    all.removeAll { $0 === copy }
    wide.remove(copy.serial)
    postponed[copy.serial] = nil
  }

  /// An index over a projection is one over the table of each of its copies. Rows may contradict it: then there is
  /// none, and it is in quarantine.
  func createIndex(_ sql: String, _ index: String, of name: String) throws(SQLiteError) {
    for copy in copies(name) where try copy.isCreated() {
      let failure = try connection.inSavepoint { () throws(SQLiteError) in try createIndex(sql, on: copy) }
      if let failure { try quarantine.note(index, .index, copy.explained(failure)) }
    }
  }

  func createIndex(_ sql: String, on copy: ProjectionCopy) throws(SQLiteError) {
    let index: CreateIndex
    do {
      guard case .createIndex(let parsed) = try parseStatement(sql) else {
        throw SQLError(.invalid, "not a CREATE INDEX: \(sql.prefix(80))")
      }
      index = parsed
    } catch { throw SQLiteError(message: "an index cannot be read: \(error)") }
    let name = quoted("\(copy.tableName)_\(index.name)")
    try connection.execute(
      "CREATE \(index.isUnique ? "UNIQUE " : "")INDEX main.\(name) ON \(quoted(copy.tableName)) \(index.rest)")
  }

  func dropIndex(_ index: String, of name: String) throws(SQLiteError) {
    for copy in copies(name) {
      try connection.execute("DROP INDEX IF EXISTS main.\(quoted("\(copy.tableName)_\(index)"))")
    }
  }

  // MARK: Following a table

  /// Copies that take part in changes of a table.
  func followers(of table: SQLTable) -> [ProjectionCopy] {
    all.filter { $0.tableID == table.id && $0.isFollowing }
  }

  /// Whether some copy has groups that change with rows: many rows at once touch each group once.
  var hasGroups: Bool {
    all.contains { copy in
      guard copy.isFollowing, case .groups? = copy.plan?.stored else { return false }
      return true
    }
  }

  /// The table was emptied.
  func clear(_ table: SQLTable) throws(SQLiteError) {
    for copy in followers(of: table) {
      try attempt(copy) { () throws(SQLiteError) in try copy.clear() }
      if copy.hasRejected {
        try connection.execute("DELETE FROM sluice_rejected WHERE copy = \(copy.serial)")
        copy.hasRejected = false
      }
    }
  }

  /// Rows with these keys are about to be replaced or removed.
  func replaced(_ keys: KeyDelta, in followers: [ProjectionCopy]) throws(SQLiteError) {
    for copy in followers {
      try attempt(copy) { () throws(SQLiteError) in try copy.replaced() }
      // What comes in their place is tried anew.
      if copy.hasRejected { try forgetRejected(copy) }
    }
  }

  private func forgetRejected(_ copy: ProjectionCopy) throws(SQLiteError) {
    guard let base = copy.plan?.base else { return }
    let values = base.keyNames.indices.map { ", k\($0)" }.joined()
    try connection.execute(
      "DELETE FROM sluice_rejected WHERE copy = \(copy.serial) AND key_bytes IN "
        + "(SELECT sluice_key(\(base.table.id)\(values)) FROM \(ProjectionBase.keysName(base.table)))")
  }

  /// The mirror holds the new rows. `settles`: some replaced others.
  func added(_ delta: RowDelta, to followers: [ProjectionCopy], settles: Bool) throws(SQLiteError) {
    for copy in followers where copy.state != .failed {
      var isWhole = false
      if copy.isCareful {
        isWhole = try addCarefully(delta, copy)
      } else {
        culprit = copy
        if !delta.rows.isEmpty { try copy.added(delta) }
        culprit = nil
      }
      if settles { try attempt(copy) { () throws(SQLiteError) in try copy.settle() } }
      // Not before: what fails when it is brought to order would be met again and again.
      if isWhole {
        careful.remove(copy.serial)
        copy.isCareful = false
      }
    }
  }

  /// Row by row where all together cannot be; true when they could.
  private func addCarefully(_ delta: RowDelta, _ copy: ProjectionCopy) throws(SQLiteError) -> Bool {
    if try connection.inSavepoint({ () throws(SQLiteError) in try copy.added(delta) }) == nil { return true }
    for index in delta.rows.indices {
      let error = try connection.inSavepoint { () throws(SQLiteError) in try copy.added(delta, index..<index + 1) }
      if let error {
        let row = delta.rows[index]
        try reject([UInt8](row.key), row.position, copy.explained(error), copy)
      }
    }
    return false
  }

  /// Runs a part of a copy's work of which an error ends the copy, not the transaction.
  private func attempt(_ copy: ProjectionCopy, _ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
    guard copy.state != .failed else { return }
    if !copy.isCareful {
      culprit = copy
      try body()
      culprit = nil
    } else if let error = try connection.inSavepoint(body) {
      if copy.mayWiden(error) {
        culprit = copy
        throw error
      }
      try fail(copy, copy.explained(error))
    }
  }

  func fail(_ copy: ProjectionCopy, _ message: String) throws(SQLiteError) {
    copy.state = .failed
    copy.error = message
    // One that is made anew holds what it held.
    if !copy.isRefreshed { copy.position = position }
    try save(copy)
  }

  /// Whether an error that ended the transaction came from one copy, which is handled with care from now on, or with
  /// sums that have no limit.
  func takesCare(of error: SQLiteError) -> Bool {
    defer { culprit = nil }
    if let culprit, culprit.mayWiden(error) { return wide.insert(culprit.serial).inserted }
    guard let culprit, error.isAboutRows, !culprit.isCareful else { return false }
    careful.insert(culprit.serial)
    return true
  }

  // MARK: Rejected rows

  private func reject(_ key: [UInt8], _ position: UInt64, _ reason: String, _ copy: ProjectionCopy) throws(SQLiteError)
  {
    guard let table = copy.plan?.table else { return }
    let values = try keyValues(key, of: table)
    let shown = values.indices.map { "quote(?\($0 + 1))" }.joined(separator: " || ', ' || ")
    let text = try connection.prepare("SELECT \(shown)")
    try text.bind(values)
    let statement = try connection.prepare(
      "INSERT INTO sluice_rejected VALUES(?1, ?2, ?3, ?4, ?5, 1, strftime('%Y-%m-%d %H:%M:%f', 'now'), ?6, ?7) "
        + "ON CONFLICT(copy, key_bytes) DO UPDATE SET position = excluded.position, reason = excluded.reason, "
        + "attempts = attempts + 1, time = excluded.time")
    try statement.bind([
      .text(Array(copy.name.utf8)), .text(Array(table.name.utf8)), try text.rows().first?.first ?? .null,
      .integer(Int64(bitPattern: position)), .text(Array(reason.utf8)), .integer(copy.serial), .blob(key),
    ])
    try statement.run()
    copy.hasRejected = true
  }

  /// REDRIVE: tries the rejected rows of a projection again, with the images that the mirror has now. Inside a
  /// transaction. Returns how many of how many went in.
  func redrive(_ name: String?, goesOn: () -> Bool) throws(SQLiteError) -> (taken: Int, tried: Int) {
    var taken = 0
    var tried = 0
    for copy in all where copy.hasRejected && copy.isFollowing && (name.map { folded($0) == folded(copy.name) } ?? true)
    {
      let rows = try connection.prepare(
        "SELECT key_bytes, position FROM sluice_rejected WHERE copy = \(copy.serial) ORDER BY position"
      ).rows()
      for row in rows {
        guard case .blob(let key) = row[0], case .integer(let position) = row[1], let table = copy.plan?.table else {
          continue
        }
        tried += 1
        guard goesOn() else { throw .interrupted }
        let values = try keyValues(key, of: table)
        if let error = try connection.inSavepoint({ () throws(SQLiteError) in try copy.add(rowOf: values) }) {
          try reject(key, UInt64(bitPattern: position), copy.explained(error), copy)
        } else {
          let delete = try connection.prepare("DELETE FROM sluice_rejected WHERE copy = ?1 AND key_bytes = ?2")
          try delete.bind([.integer(copy.serial), .blob(key)])
          try delete.run()
          taken += 1
        }
      }
      copy.hasRejected =
        try connection.prepare("SELECT EXISTS (SELECT 1 FROM sluice_rejected WHERE copy = \(copy.serial))").rows()
        == [[.integer(1)]]
    }
    return (taken, tried)
  }

  // MARK: Building

  /// The copies that wait to be filled, the oldest first.
  var building: [ProjectionCopy] { all.filter { $0.state == .building && $0.plan != nil } }
  /// Those that were paused while they were filled.
  var unfilled: [ProjectionCopy] { all.filter { $0.state == .paused && !$0.serves && $0.plan != nil } }
  /// Those that are made anew from time to time.
  var refreshed: [ProjectionCopy] { all.filter { $0.isRefreshed && $0.state != .paused } }

  /// Adds up to `rowCount` rows of the mirror to a copy; the last ones let it serve. Inside a transaction, at a border
  /// of one of the log's. `goesOn` is asked between rows that are taken one by one; false ends it with `interrupted`.
  /// Cost: about 1 µs a row.
  func build(_ copy: ProjectionCopy, rowCount: Int, goesOn: () -> Bool) throws(SQLiteError) {
    let upper = try copy.key(after: rowCount)
    try connection.setCache(bytes: FileCache.fillingBytes)
    if copy.isCareful {
      if try connection.inSavepoint({ () throws(SQLiteError) in try copy.add(upTo: upper) }) != nil {
        for key in try copy.keys(upTo: upper) {
          guard goesOn() else { throw .interrupted }
          guard let error = try connection.inSavepoint({ () throws(SQLiteError) in try copy.add(rowOf: key) }),
            let table = copy.plan?.table
          else { continue }
          try reject(engineKey(key, of: table), position, copy.explained(error), copy)
        }
      }
    } else {
      culprit = copy
      try copy.add(upTo: upper)
      culprit = nil
    }
    try connection.setCache(bytes: FileCache.usualBytes)
    copy.builtKey = upper
    copy.position = position
    copy.filledRows += rowCount
    if upper == nil { try serve(copy) } else { try save(copy) }
  }

  /// Changes the view over to a copy, and drops the one that it read.
  func serve(_ copy: ProjectionCopy) throws(SQLiteError) {
    try connection.execute("DROP VIEW IF EXISTS main.\(quoted(copy.name)); \(copy.view)")
    for earlier in copies(copy.name) where earlier !== copy { try remove(earlier) }
    copy.serves = true
    copy.state = copy.definition.isPaused ? .paused : .current
    copy.builtKey = nil
    try save(copy)
    retryPostponed()
  }
}

extension ProjectionCopy {
  /// Whether an error may be that of a sum which passes 64 bits.
  fileprivate func mayWiden(_ error: SQLiteError) -> Bool {
    guard case .groups? = plan?.stored else { return false }
    return !isWide && error.message == "integer overflow"
  }
}
