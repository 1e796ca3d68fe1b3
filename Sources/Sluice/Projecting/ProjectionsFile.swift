// projections.db: an ordinary SQLite file in WAL mode. Beside the mirrors it holds two small tables of its own,
// written in the same transactions as the rows they speak of:
//
//   sluice_checkpoint(store_id, position)     one row: which store, and the last position that the file holds
//   sluice_catalog(name, kind, …)             what was mirrored, so that changes after the checkpoint can be followed
//
// and those of the projections (ProjectionCopies.swift), and of what it does without (Quarantine.swift).
//
// The file is disposable: when it is missing, foreign or damaged it is made anew from the shards.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// The projector's connection. Belongs to the projector's thread once that runs.
final class ProjectionsFile {
  let connection: Connection
  /// Last position the file holds; nil when it has to be rebuilt.
  private(set) var checkpoint: UInt64?
  private(set) var catalog = Catalog()
  private let storeID: UInt64
  /// The projections that it holds.
  let copies: ProjectionCopies
  /// The indexes and views that it does without.
  let quarantine: Quarantine
  let indexes: MirrorIndexes

  /// What its write-ahead log may grow to.
  let wal: WalLimit

  /// Pages of a file that is made now.
  static let pageSizeBytes = 8_192
  /// The page cache of its connection.
  static let cacheBytes = 8 << 20
  /// The cache while a copy is filled. Runs of the sorter are as large as the cache, and those of 2 MiB stay in the
  /// processor's: 1 M rows in 200,000 groups take 0.83 µs each then, 0.95 with 8 MiB, and 1.4 without limit.
  static let fillingCacheBytes = 2 << 20

  /// Opens the file, or makes an empty one in its place when it is not a projection of this store up to `last` or
  /// before, or needs something of the log from before `first`, where that begins.
  static func open(
    _ place: DatabasePath, storeID: UInt64, first: UInt64, last: UInt64, clock: any Clock
  ) throws(StoreError) -> ProjectionsFile {
    do {
      let file = try ProjectionsFile(place, storeID: storeID, clock: clock)
      if let checkpoint = file.checkpoint, checkpoint <= last, checkpoint + 1 >= first { return file }
      if file.checkpoint == nil, try file.isEmpty() { return file }
      file.connection.close()
    } catch {
      guard error.kind == .corrupt else { throw StoreError(error) }
    }
    return try convertingErrors {
      let (path, files) = (place.path, place.files)
      for name in [path, path + "-wal", path + "-shm"] where try files.exists(name) { try files.remove(name) }
      return try ProjectionsFile(place, storeID: storeID, clock: clock)
    }
  }

  private init(_ place: DatabasePath, storeID: UInt64, clock: any Clock) throws(SQLiteError) {
    self.storeID = storeID
    connection = try place.connect(.readWriteCreate, busyTimeoutMilliseconds: 5_000)
    // The page size holds for a file that is made now. A smaller one costs more calls: of a load into a mirror, which
    // is 0.47 µs of SQLite a row with pages of 4 KiB, it takes a twelfth away.
    // Until the file is in WAL mode nothing of it is worth a sync: what a power cut leaves of it is empty, or found to
    // be damaged, and the file is made anew.
    try connection.execute(
      "PRAGMA synchronous = OFF; PRAGMA page_size = \(Self.pageSizeBytes); PRAGMA journal_mode = WAL")
    // Where SQLite was built to wipe what is deleted, emptying a table writes all of its pages into the log.
    try connection.execute("PRAGMA secure_delete = OFF")
    // Rows come in key order, so more cache wins nothing. Without temporary files SQLite would sort all rows of a part
    // at once, in memory without limit.
    try connection.execute(
      """
      PRAGMA synchronous = NORMAL; PRAGMA temp_store = FILE; PRAGMA journal_size_limit = \(WalLimit.capBytes);
      """)
    try connection.setCache(bytes: Self.cacheBytes)
    quarantine = Quarantine(connection)
    indexes = MirrorIndexes(connection, quarantine)
    copies = try ProjectionCopies(connection, quarantine, clock: clock)
    try connection.takeOverCheckpoints()
    // The projector tries again by itself, and gives signs of life meanwhile.
    try connection.execute("PRAGMA busy_timeout = 50")
    wal = try WalLimit(connection, place)
    try load()
  }

  private func isEmpty() throws(SQLiteError) -> Bool {
    try connection.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").rows().isEmpty
  }

  /// Reads again how far the file is: a transaction was rolled back.
  func reload() throws(SQLiteError) {
    checkpoint = nil
    catalog = Catalog()
    indexes.rolledBack()
    try connection.setCache(bytes: Self.cacheBytes)
    try load()
  }

  private func load() throws(SQLiteError) {
    let known = try connection.prepare(
      "SELECT count(*) FROM sqlite_schema WHERE name IN ('sluice_checkpoint', 'sluice_catalog')"
    ).rows()
    guard known == [[.integer(2)]] else { return }
    let row = try connection.prepare("SELECT store_id, position FROM sluice_checkpoint").rows().first
    guard case .integer(let id)? = row?.first, UInt64(bitPattern: id) == storeID,
      case .integer(let position)? = row?.last
    else { return }
    for row in try connection.prepare("SELECT change FROM sluice_catalog ORDER BY rank").rows() {
      guard case .blob(let bytes)? = row.first, let change = bytes.withUnsafeBytes({ CatalogChange.decode($0) })
      else { return }
      do { _ = try catalog.apply(change) } catch { return }
    }
    // A file of a store that had no projections yet has no tables for them.
    try quarantine.prepare()
    try quarantine.load()
    try copies.prepare()
    try copies.load(catalog)
    try correctViews()
    checkpoint = UInt64(bitPattern: position)
  }

  /// Creates the file's own tables. Inside the transaction that fills the file.
  func prepare() throws(SQLiteError) {
    try connection.execute(
      """
      CREATE TABLE sluice_checkpoint(store_id INTEGER NOT NULL, position INTEGER NOT NULL);
      CREATE TABLE sluice_catalog(name TEXT PRIMARY KEY, rank INTEGER NOT NULL, change BLOB NOT NULL) WITHOUT ROWID;
      INSERT INTO sluice_checkpoint VALUES(\(Int64(bitPattern: storeID)), 0);
      """)
    try quarantine.prepare()
    try copies.prepare()
  }

  /// Follows a change of the catalog: creates or drops the mirror, index or view.
  func apply(_ change: CatalogChange) throws(SQLiteError) {
    var change = change
    let before = catalog
    // Whether it fits the catalog was settled when it was applied.
    if change.operation == .alter { change.sequence = 0 }
    let effect: Catalog.Effect
    do { effect = try catalog.apply(change) } catch {
      throw SQLiteError(message: "the definition of \(change.name) cannot be read: \(error.message)")
    }
    guard case .changed = effect, change.object != .setting else { return }
    switch change.operation {
    case .create:
      if change.object == .projection {
        try copies.begin(change.definition, catalog)
      } else if change.object == .index, before.exists(.projection, folded(change.owner)) {
        try copies.createIndex(change.definition, change.name, of: change.owner)
      } else if change.object == .table {
        try connection.execute(mirrorSQL(change))
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

  /// ALTER, REBUILD, RESUME: the next copy begins. PAUSE: what is there stays as it is; where nothing is there yet, it
  /// is filled before, unless it is made by a query as a whole: that may take any time.
  private func alterProjection(_ change: CatalogChange, _ before: Catalog) throws(SQLiteError) {
    let wasPaused = before.objects[folded(change.name)].flatMap { projectionDefinition($0.sql) }?.isPaused == true
    let pauses = projectionDefinition(change.definition)?.isPaused == true && !wasPaused
    if pauses, copies.serving(change.name) != nil || copies.copies(change.name).allSatisfy(\.isRefreshed) {
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

  /// Makes views anew that say `main.`: other connections cannot read a file that has one.
  private func correctViews() throws(SQLiteError) {
    let select = try connection.prepare("SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?1")
    var outdated: [ReadObject] = []
    for view in catalog.objects.values where view.kind == .view && withoutMainSchema(view.sql) != view.sql {
      try select.bind(1, view.name)
      guard case .text(let bytes)? = try select.rows().first?.first else { continue }
      let text = String(decoding: bytes, as: UTF8.self)
      if withoutMainSchema(text) != text { outdated.append(view) }
    }
    guard !outdated.isEmpty else { return }
    try connection.execute("BEGIN IMMEDIATE")
    for view in outdated { try make(view.name, .view, view.sql) }
    try connection.execute("COMMIT")
  }

  /// Brings the mirror's definition to the new one. SQLite rewrites indexes and references by itself. Views stand aside
  /// meanwhile: those whose text changes follow as changes of their own, and SQLite refuses to rename anything while it
  /// does not understand every view.
  private func alterTable(_ change: CatalogChange, _ before: Catalog) throws(SQLiteError) {
    guard let old = before.tablesByID[change.tableID], let new = catalog.tablesByID[change.tableID] else { return }
    let statements = new.definition.alterations(from: old.definition)
    if !statements.isEmpty {
      let views = catalog.objects.values.filter { $0.kind == .view }
      for view in views { try connection.execute("DROP VIEW IF EXISTS \(quoted(view.name))") }
      for statement in statements { try connection.execute(SluiceSQL.print(statement)) }
      for view in views { try make(view.name, .view, view.sql) }
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
    _ = try connection.checkpoint(.truncate)
  }

  func setCheckpoint(_ position: UInt64) throws(SQLiteError) {
    try connection.execute("UPDATE sluice_checkpoint SET position = \(Int64(bitPattern: position))")
    checkpoint = position
  }
}

/// A name as an SQL identifier.
func quoted(_ name: String) -> String {
  "\"" + String(name.flatMap { $0 == "\"" ? ["\"", "\""] : [$0] }) + "\""
}

/// The definition of a projection as the catalog keeps it, or nil when it is something else.
func projectionDefinition(_ text: String) -> CreateProjection? {
  do {
    if case .createProjection(let definition) = try parseStatement(text) { return definition }
  } catch {}
  return nil
}
