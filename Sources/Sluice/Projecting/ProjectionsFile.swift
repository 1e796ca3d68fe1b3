// projections.db: an ordinary SQLite file in WAL mode. Beside the mirrors it holds two small tables of its own,
// written in the same transactions as the rows they speak of:
//
//   sluice_checkpoint(store_id, position,     one row: which store, and the last position that the file holds;
//                     schema, others, sum)    `PRAGMA schema_version`, and how many objects of others there are
//                                             (FileSchema.swift); CRC32C of the four, 8 bytes each, big-endian
//   sluice_catalog(name, kind, …)             what was mirrored, so that changes after the checkpoint can be followed
//
// and those of the projections (ProjectionCopies.swift), and of what it does without (Quarantine.swift).
//
// Its pages have checksums (CSQLite/pages.c), which the connections of Sluice look at and others leave alone. While the
// projector has the file open, nobody else copies pages into it from its write-ahead log. A page that another program
// writes into the file when the store is closed, or has been killed, has none: the file is then made anew, which is
// safe, and rare.
//
// While a store is open the file is in WAL mode, so that readers and the projector are in nobody's way; at its tidy end
// it goes back to a rollback journal, which can be read without the right to write beside it.
//
// The file is disposable: when it is missing, foreign, damaged or changed by others it is made anew from the shards.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// The projector's connection. Belongs to the projector's thread once that runs.
final class ProjectionsFile {
  let path: String
  let connection: Connection
  /// Last position the file holds; nil when it has to be filled.
  private(set) var checkpoint: UInt64?
  /// Why what it holds cannot be gone on with; nil: it can, or it is empty.
  private(set) var flaw: String?
  private(set) var catalog = Catalog()
  private let storeID: UInt64
  private let place: DatabasePath
  private let identity: UInt64?
  /// The projections that it holds.
  let copies: ProjectionCopies
  /// The indexes and views that it does without.
  let quarantine: Quarantine
  let indexes: MirrorIndexes
  /// `PRAGMA schema_version` behind the last transaction.
  private var schemaVersion: Int64 = 0
  /// Objects of others in its schema.
  private var others = 0
  /// SQLite's count of commits behind the last transaction.
  private var changes: UInt32?
  /// What became of some of them, for people.
  private var notices: [String] = []
  private let readSchemaVersion: SluiceSQLite.Statement
  private let beginning: SluiceSQLite.Statement
  private let committing: SluiceSQLite.Statement
  private var writeCheckpoint: SluiceSQLite.Statement?

  /// What its write-ahead log may grow to.
  let wal: WalLimit

  /// Pages of a file that is made now.
  static let pageSizeBytes = 8_192
  /// How long SQLite waits for the lock of another process. The projector tries again by itself, and gives signs of
  /// life meanwhile.
  private static let busyMilliseconds: Int32 = 50

  /// Opens the file, or makes an empty one, unless its place is only read.
  init(_ place: DatabasePath, storeID: UInt64, clock: any Clock) throws(SQLiteError) {
    path = place.path
    self.place = place
    self.storeID = storeID
    connection = try place.connect(.readWriteCreate, busyTimeoutMilliseconds: Self.busyMilliseconds * 5)
    if !place.isReadOnly { try Self.prepareToWrite(connection) }
    identity = place.identity
    try connection.setCache(bytes: FileCache.usualBytes)
    // Nobody else's triggers act on what is written here, and the file's own refuse writers without this.
    try connection.disableTriggers()
    readSchemaVersion = try connection.prepare("PRAGMA main.schema_version", persistent: true)
    beginning = try connection.prepare("BEGIN IMMEDIATE", persistent: true)
    committing = try connection.prepare("COMMIT", persistent: true)
    quarantine = Quarantine(connection)
    indexes = MirrorIndexes(connection, quarantine)
    copies = try ProjectionCopies(connection, quarantine, clock: clock)
    if !place.isReadOnly { try connection.takeOverCheckpoints() }
    try connection.execute("PRAGMA busy_timeout = \(Self.busyMilliseconds)")
    wal = try WalLimit(connection, place)
    try load()
    if !place.isReadOnly { try connection.keepCheckpoints() }
  }

  private static func prepareToWrite(_ connection: Connection) throws(SQLiteError) {
    try connection.reservePageSums()
    // The page size holds for a file that is made now. A smaller one costs more calls: of a load into a mirror, which
    // is 0.47 µs of SQLite a row with pages of 4 KiB, it takes a twelfth away.
    // Until the file is in WAL mode nothing of it is worth a sync: what a power cut leaves of it is empty, or found to
    // be damaged, and the file is made anew.
    try connection.execute(
      "PRAGMA synchronous = OFF; PRAGMA page_size = \(pageSizeBytes); PRAGMA journal_mode = WAL")
    // Where SQLite was built to wipe what is deleted, emptying a table writes all of its pages into the log.
    try connection.execute("PRAGMA secure_delete = OFF")
    // Rows come in key order, so more cache wins nothing. Without temporary files SQLite would sort all rows of a part
    // at once, in memory without limit.
    try connection.execute(
      """
      PRAGMA synchronous = NORMAL; PRAGMA temp_store = FILE; PRAGMA journal_size_limit = \(WalLimit.capBytes);
      """)
  }

  private func isEmpty() throws(SQLiteError) -> Bool {
    try connection.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").rows().isEmpty
  }

  /// Reads again how far the file is: a transaction was rolled back.
  func reload() throws(SQLiteError) {
    checkpoint = nil
    catalog = Catalog()
    indexes.rolledBack()
    try connection.setCache(bytes: FileCache.usualBytes)
    try load()
  }

  private func load() throws(SQLiteError) {
    flaw = try isEmpty() ? nil : "it is not a file of this version of Sluice"
    guard connection.hasPageSums else { return }
    let known = try connection.prepare(
      "SELECT count(*) FROM pragma_table_info('sluice_checkpoint', 'main') WHERE name IN ('schema', 'others', 'sum')"
    ).rows()
    guard known == [[.integer(3)]] else { return }
    let row = try connection.prepare("SELECT store_id, position, schema, others, sum FROM sluice_checkpoint").rows()
    guard row.count == 1, case .integer(let id) = row[0][0], case .integer(let position) = row[0][1],
      case .integer(let version) = row[0][2], case .integer(let count) = row[0][3],
      row[0][4] == .integer(checkpointSum(id, position, version, count))
    else {
      flaw = "its checkpoint is damaged"
      return
    }
    guard UInt64(bitPattern: id) == storeID else {
      flaw = "it belongs to another store"
      return
    }
    flaw = "its catalog is damaged"
    for row in try connection.prepare("SELECT change FROM sluice_catalog ORDER BY rank").rows() {
      guard case .blob(let bytes)? = row.first, let change = bytes.withUnsafeBytes({ CatalogChange.decode($0) })
      else { return }
      do { _ = try catalog.apply(change) } catch { return }
    }
    try quarantine.load()
    try copies.load(catalog)
    schemaVersion = version
    others = Int(clamping: count)
    checkpoint = UInt64(bitPattern: position)
    if changes == nil { changes = try connection.walIndex()?.changes }
    flaw = nil
  }

  private func checkpointSum(_ fields: Int64...) -> Int64 {
    var bytes = ByteBuffer()
    for field in fields { withUnsafeBytes(of: field.bigEndian) { bytes.append($0) } }
    return Int64(checksum(bytes.bytes))
  }

  // MARK: Transactions

  /// Names of its own tables.
  static let ownTables = ["sluice_checkpoint", "sluice_catalog", "sluice_quarantine"]

  /// Throws when the file is not the one any more that has its name. Cost: one `stat`.
  func checkPlace() throws(SQLiteError) {
    guard connection.hasMoved() else { return }
    // Where the store's directory was renamed, it is opened again under its new name, and all is well.
    throw identity != nil && place.identity == identity ? .renamed : .moved
  }

  /// Begins a transaction that writes. What others changed of the schema is looked at: what is in the way is taken
  /// away, and `corrupt` is thrown where rows cannot be trusted any more.
  func begin() throws(SQLiteError) {
    try checkPlace()
    try beginning.run()
    guard checkpoint != nil else { return }
    if try currentSchemaVersion() == schemaVersion {
      // Triggers can be turned off. In a file where others have tables of their own, writing to those is their matter.
      if let trustedChanges, try connection.walIndex()?.changes != trustedChanges {
        throw SQLiteError(damage: "rows were changed by another program")
      }
      return
    }
    var schema = try FileSchema(connection, catalog, copies, quarantine)
    others = try schema.reconcile()
    notices += schema.notices
  }

  /// Ends a transaction.
  func commit() throws(SQLiteError) {
    try committing.run()
    changes = try connection.walIndex()?.changes
  }

  /// SQLite's count of commits when all of them were the projector's; nil: others have something to commit too.
  var trustedChanges: UInt32? { others == 0 ? changes : nil }

  /// Whether others have changed something since the last transaction. Cost: a look at the file's header.
  func isAltered() throws(SQLiteError) -> Bool {
    if try currentSchemaVersion() != schemaVersion { return true }
    guard let trustedChanges else { return false }
    return try connection.walIndex()?.changes != trustedChanges
  }

  private func currentSchemaVersion() throws(SQLiteError) -> Int64 {
    defer { readSchemaVersion.reset() }
    return try readSchemaVersion.step() ? readSchemaVersion.int64(0) : 0
  }

  /// What became of objects of others since this was asked last.
  func takeNotices() -> [String] {
    defer { notices = [] }
    return notices
  }

  /// Creates the file's own tables. Inside the transaction that fills the file.
  func prepare() throws(SQLiteError) {
    try connection.execute(
      """
      CREATE TABLE sluice_checkpoint(
        store_id INTEGER NOT NULL, position INTEGER NOT NULL, schema INTEGER NOT NULL, others INTEGER NOT NULL,
        sum INTEGER NOT NULL);
      CREATE TABLE sluice_catalog(name TEXT PRIMARY KEY, rank INTEGER NOT NULL, change BLOB NOT NULL) WITHOUT ROWID;
      INSERT INTO sluice_checkpoint VALUES(\(Int64(bitPattern: storeID)), 0, 0, 0, 0);
      """)
    try quarantine.prepare()
    for table in Self.ownTables { try connection.execute(RowGuard.creation(table, key: table)) }
    try copies.prepare()
  }

  /// Follows a change of the catalog: creates or drops the mirror, index or view. Without `makesIndex` an index is only
  /// noted, for one that another change drops or makes anew.
  func apply(_ change: CatalogChange, makesIndex: Bool = true) throws(SQLiteError) {
    var change = change
    let before = catalog
    // Whether it fits the catalog was settled when it was applied.
    if change.operation == .alter { change.sequence = 0 }
    let effect: Catalog.Effect
    do { effect = try catalog.apply(change) } catch {
      throw SQLiteError(message: "the definition of \(change.name) cannot be read: \(error.message)")
    }
    guard case .changed = effect, change.object != .setting else { return }
    if change.object == .index, change.operation != .drop, !makesIndex { return try note(change) }
    switch change.operation {
    case .create:
      try clear(change.name)
      if change.object == .projection {
        try copies.begin(change.definition, catalog)
      } else if change.object == .index, before.exists(.projection, folded(change.owner)) {
        try copies.createIndex(change.definition, change.name, of: change.owner)
      } else if change.object == .table {
        try connection.execute(mirrorSQL(change))
        if let table = catalog.table(change.name) {
          try connection.execute(RowGuard.creation(table.name, key: RowGuard.key(table)))
        }
      } else {
        try make(change.name, change.object, change.definition)
      }
      try note(change)
    case .alter:
      switch change.object {
      case .table: try alterTable(change, before)
      case .index where catalog.exists(.projection, folded(change.owner)): try note(change)
      case .index: try alterIndex(change)
      case .view:
        try make(change.name, .view, change.definition)
        try note(change)
      case .projection:
        try alterProjection(change, before)
        try note(change)
      case .setting: break
      }
    case .drop: try drop(change, before)
    case .setSequence: break
    }
  }

  private func drop(_ change: CatalogChange, _ before: Catalog) throws(SQLiteError) {
    let index = before.objects[folded(change.name)]
    if change.object == .projection {
      try copies.drop(change.name)
    } else if change.object == .index, let index, before.exists(.projection, folded(index.owner)) {
      try copies.dropIndex(index.name, of: index.owner)
    } else {
      try connection.execute("DROP \(change.object.noun) IF EXISTS \(quoted(change.name))")
    }
    try forget(change.name)
    // An index goes with what it belongs to.
    for name in before.objects.keys where catalog.objects[name] == nil { try forget(name) }
  }

  /// ALTER, REBUILD, RESUME: the next copy begins. PAUSE: what is there stays as it is, and filling ends.
  private func alterProjection(_ change: CatalogChange, _ before: Catalog) throws(SQLiteError) {
    let wasPaused = before.objects[folded(change.name)].flatMap { projectionDefinition($0.sql) }?.isPaused == true
    let pauses = !wasPaused && projectionDefinition(change.definition)?.isPaused == true
    if pauses {
      try copies.pause(change.name)
    } else {
      try copies.begin(change.definition, catalog)
    }
  }

  /// Notes what an object is now, for the next opening.
  private func note(_ change: CatalogChange) throws(SQLiteError) {
    let insert = try connection.prepare("INSERT OR REPLACE INTO sluice_catalog VALUES(?, ?, ?)")
    // Tables first, then what is made of them.
    try insert.bind([
      .text(Array(folded(change.name).utf8)), .integer(Int64(change.object.rawValue)),
      .blob(change.asCreation.encoded()),
    ])
    try insert.run()
  }

  private func forget(_ name: String) throws(SQLiteError) {
    let delete = try connection.prepare("DELETE FROM sluice_catalog WHERE name = ?")
    try delete.bind(1, folded(name))
    try delete.run()
    try quarantine.forget(name)
  }

  /// Makes an index of a mirror, or a view, in place of what it was before; or it is in quarantine.
  private func make(
    _ name: String, _ kind: CatalogChange.ObjectKind, _ definition: String
  ) throws(SQLiteError) {
    try connection.execute("DROP \(kind.noun) IF EXISTS \(quoted(name))")
    guard let text = kind == .view ? withoutMainSchema(definition) : definition else {
      return try quarantine.note(name, kind, "WITH hides a table of main: live tables answer it, this file cannot")
    }
    try quarantine.make(name, kind) { () throws(SQLiteError) in try connection.execute(text) }
  }

  /// Brings the mirror's definition to the new one. SQLite rewrites indexes and references by itself. Views stand aside
  /// meanwhile: those whose text changes follow as changes of their own, and SQLite refuses to rename anything while it
  /// does not understand every view.
  private func alterTable(_ change: CatalogChange, _ before: Catalog) throws(SQLiteError) {
    guard let old = before.tablesByID[change.tableID], let new = catalog.tablesByID[change.tableID] else { return }
    let statements = new.definition.alterations(from: old.definition)
    if !statements.isEmpty {
      if folded(new.name) != folded(old.name) { try clear(new.name) }
      let foreign = try takeForeign()
      let views = catalog.objects.values.filter { $0.kind == .view }
      for view in views { try connection.execute("DROP VIEW IF EXISTS \(quoted(view.name))") }
      for statement in statements { try connection.execute(SluiceSQL.print(statement)) }
      for view in views { try make(view.name, .view, view.sql) }
      try giveBack(foreign)
    }
    try forget(old.name)
    var noted = change
    noted.name = new.name
    try note(noted)
    try copies.tableAltered(catalog)
  }

  private func alterIndex(_ change: CatalogChange) throws(SQLiteError) {
    let select = try connection.prepare("SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?")
    try select.bind(1, change.name)
    if try select.rows() != [[.text(Array(change.definition.utf8))]] {
      try make(change.name, .index, change.definition)
    }
    try note(change)
  }

  private func mirrorSQL(_ change: CatalogChange) -> String {
    guard change.object == .table, let table = catalog.table(change.name) else { return change.definition }
    return SluiceSQL.print(table.definition, shardKey: false)
  }

  /// Brings the whole write-ahead log into the file and empties it, unless a reader still needs it; then that is left
  /// to whoever closes the file last. Nobody is locked out meanwhile, and SQLite, which removes the files beside it
  /// when the last connection closes, has only that left to do under its lock.
  func settle() throws(SQLiteError) {
    try connection.execute("PRAGMA busy_timeout = 0")
    _ = try connection.checkpoint(.passive)
    guard try !connection.checkpoint(.truncate).wasBlocked else { return }
    // All of it is in the file, and durable: what follows changes two bytes of the first page. Somebody who has the
    // file open keeps it from happening.
    do { try connection.execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE") } catch {
      guard error.kind == .busy else { throw error }
    }
  }

  /// Notes how far the file is, and what its schema is then. Inside a transaction.
  func setCheckpoint(_ position: UInt64) throws(SQLiteError) {
    let version = try currentSchemaVersion()
    let number = Int64(bitPattern: position)
    let sum = checkpointSum(Int64(bitPattern: storeID), number, version, Int64(others))
    if writeCheckpoint == nil {
      writeCheckpoint = try connection.prepare(
        "UPDATE sluice_checkpoint SET position = ?1, schema = ?2, others = ?3, sum = ?4", persistent: true)
    }
    try writeCheckpoint?.bind([.integer(number), .integer(version), .integer(Int64(others)), .integer(sum)])
    try writeCheckpoint?.run()
    schemaVersion = version
    checkpoint = position
  }

  // MARK: Objects of others

  /// The store wants a name: what somebody else gave it to goes.
  private func clear(_ name: String) throws(SQLiteError) {
    guard others > 0 else { return }
    let select = try connection.prepare("SELECT type, name FROM main.sqlite_schema WHERE name = ?1 COLLATE NOCASE")
    try select.bind(1, name)
    for row in try select.rows() {
      let (type, found) = (row[0].words, row[1].words)
      try connection.execute("DROP \(type) main.\(quoted(found))")
      notices.append("\(type) \(found) was removed from projections.db: the store has that name now")
    }
  }

  /// Takes views and triggers of others away while a table is changed: SQLite refuses to rename anything that one of
  /// them would not understand.
  private func takeForeign() throws(SQLiteError) -> [(what: String, sql: String)] {
    guard others > 0 else { return [] }
    var taken: [(what: String, sql: String)] = []
    let rows = try connection.prepare(
      "SELECT type, name, sql FROM main.sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY type DESC"
    ).rows()
    for row in rows {
      let words = row.map(\.words)
      guard !words[1].hasPrefix("sluice_guard_"), catalog.objects[folded(words[1])] == nil else { continue }
      try connection.execute("DROP \(words[0]) main.\(quoted(words[1]))")
      taken.append(("\(words[0]) \(words[1])", words[2]))
    }
    return taken
  }

  private func giveBack(_ taken: [(what: String, sql: String)]) throws(SQLiteError) {
    for (what, sql) in taken {
      if let reason = try attempt({ () throws(SQLiteError) in try connection.execute(sql) }) {
        notices.append("\(what) was removed from projections.db: \(reason)")
      }
    }
  }

  /// Brings indexes, views and tables that others made in an old file along, where SQLite takes them.
  func carryOthers(from old: DatabasePath) throws(SQLiteError) {
    guard let checkpoint else { return }
    do throws(SQLiteError) {
      // What others wrote into a file has no checksums.
      let source = try old.connect(.readOnly, busyTimeoutMilliseconds: Self.busyMilliseconds, checksPages: false)
      defer { source.close() }
      // Its catalog says what was its own; without that nobody can tell.
      let own = Set(try source.prepare("SELECT name FROM sluice_catalog").rows().map { folded($0[0].words) })
      let rows = try source.prepare(
        """
        SELECT type, name, tbl_name, sql FROM sqlite_schema
        WHERE sql <> '' AND substr(name, 1, 7) NOT IN ('sluice_', 'sqlite_')
        ORDER BY type = 'table' DESC, type = 'index' DESC, rowid
        """
      ).rows().map { $0.map(\.words) }
      try begin()
      let isTaken = try connection.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = ?1 COLLATE NOCASE")
      for row in rows where !own.contains(folded(row[1])) {
        try isTaken.bind(1, row[1])
        if try isTaken.rows().isEmpty { try carry(row, source) }
      }
      try setCheckpoint(checkpoint)
      try commit()
    } catch {
      notices.append("what others made in projections.db was not carried over: \(error.message)")
      do { try connection.execute("ROLLBACK") } catch {}
    }
  }

  private func carry(_ object: [String], _ source: Connection) throws(SQLiteError) {
    let isUnique = object[0] == "index" && folded(object[3]).hasPrefix("create unique")
    let reason =
      isUnique && catalog.table(object[2]) != nil
      ? "a unique index would remove rows of \(object[2])"
      : try attempt { () throws(SQLiteError) in
        try connection.execute(object[3])
        if object[0] == "table" { try copyRows(of: quoted(object[1]), source) }
      }
    if let reason {
      notices.append("\(object[0]) \(object[1]) was not carried over to the new projections.db: \(reason)")
    } else {
      others += 1
    }
  }

  private func copyRows(of table: String, _ source: Connection) throws(SQLiteError) {
    let select = try source.prepare("SELECT * FROM main.\(table)")
    let marks = (1...max(select.columnCount, 1)).map { "?\($0)" }.joined(separator: ", ")
    let insert = try connection.prepare("INSERT INTO main.\(table) VALUES(\(marks))")
    while try select.step() {
      try insert.bind(select.row)
      try insert.run()
    }
  }

  /// Why `body` came to nothing; nil: it did not.
  private func attempt(_ body: () throws(SQLiteError) -> Void) throws(SQLiteError) -> String? {
    try connection.execute("SAVEPOINT sluice_attempt")
    do throws(SQLiteError) {
      try body()
      try connection.execute("RELEASE sluice_attempt")
      return nil
    } catch {
      guard error.kind == .invalid || error.kind == .constraint || error.kind == .other else { throw error }
      try connection.execute("ROLLBACK TO sluice_attempt; RELEASE sluice_attempt")
      return error.message
    }
  }
}
