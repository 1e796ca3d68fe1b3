// Projections, as a session sees them: their definitions go through the log like any other, so that a projections.db
// made anew has them all; waiting for one; trying rejected rows again.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension Session {
  func createProjection(_ definition: CreateProjection, line: Int) throws(StoreError) {
    try checkName(definition.name)
    if let obstacle = catalog.obstacle(to: definition.name, .projection) {
      if definition.ifNotExists, catalog.exists(.projection, folded(definition.name)) { return }
      throw StoreError(.invalid, obstacle, isParse: true, sqliteCode: 1)
    }
    let owner = try check(definition)
    try change(
      CatalogChange(
        operation: .create, object: .projection, lenient: definition.ifNotExists, name: definition.name, owner: owner,
        definition: print(definition)), line: line)
  }

  /// ALTER PROJECTION: the copy that serves stays until the next one is filled.
  func alterProjection(_ definition: CreateProjection, line: Int) throws(StoreError) {
    let known = try projection(definition.name)
    let altered = definition.named(known.name, isPaused: projectionDefinition(known.sql)?.isPaused == true)
    let owner = try check(altered)
    try checkIndexes(of: known, by: altered)
    try replace(known, by: print(altered), owner: owner, line: line)
  }

  /// The indexes of a projection must fit its new columns.
  private func checkIndexes(of known: ReadObject, by altered: CreateProjection) throws(StoreError) {
    do {
      let scratch = try Connection(path: ":memory:", mode: .readWriteCreate)
      try evaluator.declare(catalog, namedBy: quoted(known.name) + " " + altered.select, in: scratch)
      try scratch.execute(
        "DROP TABLE \(quoted(known.name)); CREATE TABLE \(quoted(known.name)) AS \(altered.select)")
      for index in catalog.objects.values where index.kind == .index && folded(index.owner) == folded(known.name) {
        do throws(SQLiteError) { try scratch.execute(index.sql) } catch {
          throw SQLiteError(message: "index \(index.name): \(error.message): DROP INDEX \(index.name) first")
        }
      }
    } catch { throw StoreError(.invalid, "\(StoreError(converting: error).message)", isParse: true, sqliteCode: 1) }
  }

  /// REBUILD: an alter to what it is.
  func rebuildProjection(_ name: String, line: Int) throws(StoreError) {
    let known = try projection(name)
    try replace(known, by: known.sql, owner: known.owner, line: line)
  }

  /// PAUSE and RESUME.
  func setPaused(_ isPaused: Bool, _ name: String, line: Int) throws(StoreError) {
    let known = try projection(name)
    guard let definition = projectionDefinition(known.sql), definition.isPaused != isPaused else { return }
    try replace(known, by: print(definition.named(known.name, isPaused: isPaused)), owner: known.owner, line: line)
  }

  /// The indexes of a projection follow its entry: one that stood before would pass for that of an earlier projection.
  private func replace(_ known: ReadObject, by text: String, owner: String, line: Int) throws(StoreError) {
    let indexes = catalog.objects.values.filter { $0.kind == .index && folded($0.owner) == folded(known.name) }
    let altered = CatalogChange(
      operation: .alter, object: .projection, name: known.name, owner: owner, definition: text)
    try change(
      [altered]
        + indexes.sorted { $0.name < $1.name }.map {
          CatalogChange(operation: .alter, object: .index, name: $0.name, owner: $0.owner, definition: $0.sql)
        }, line: line)
  }

  private func projection(_ name: String) throws(StoreError) -> ReadObject {
    if let object = catalog.objects[folded(name)], object.kind == .projection { return object }
    if catalog.table(name) != nil {
      throw StoreError(
        .invalid, "\(name) is a table: its mirror is always kept, and is made anew when projections.db is removed",
        isParse: true, sqliteCode: 1)
    }
    throw StoreError(.invalid, "no such projection: \(name)", isParse: true, sqliteCode: 1)
  }

  /// Refuses what cannot be kept; returns the table that is followed row by row, or "".
  private func check(_ definition: CreateProjection) throws(StoreError) -> String {
    do {
      let scratch = try Connection(path: ":memory:", mode: .readWriteCreate)
      try evaluator.declare(catalog, namedBy: definition.select, in: scratch)
      // SQLite's own words about names that do not exist come first.
      let select = try scratch.prepare(definition.select)
      guard select.isReadOnly, select.columnCount > 0 else {
        throw SQLError(.invalid, "a projection is defined by a SELECT")
      }
      if select.parameterCount > 0 { throw SQLError(.invalid, "parameters are not allowed in a projection") }
      if definition.refreshMicroseconds != nil {
        if definition.primaryKey != nil {
          throw SQLError(.unsupported, "PRIMARY KEY is not for a projection with REFRESH EVERY")
        }
        return ""
      }
      let plan = try ProjectionPlan(definition, catalog)
      try plan.probe(scratch)
      try plan.rehearse(scratch)
      return plan.table.name
    } catch let error as SQLError {
      let offer = "; REFRESH EVERY '5s' at the end of the statement makes it anew as a whole from time to time"
      let message = error.message + (error.kind == .unsupported ? offer : "")
      throw StoreError(
        error.kind == .unsupported ? .unsupported : .invalid, message, isParse: true, sqliteCode: 1)
    } catch let error as SQLiteError {
      var message = error.message
      if message.contains("prohibited in index expressions") || message.contains("prohibited in partial index") {
        message =
          "a projection cannot follow this SELECT row by row: "
          + message.replacing("index expressions", with: "it").replacing("partial index WHERE clauses", with: "it")
      }
      throw StoreError(.invalid, message, isParse: true, sqliteCode: 1)
    } catch { throw StoreError(converting: error) }
  }

  /// An index over a projection is one over the table of its copies, which holds what is computed when it is read in
  /// another form.
  private func checkStored(_ index: CreateIndex) throws(StoreError) {
    guard let definition = try projectionDefinition(projection(index.table).sql), definition.refreshMicroseconds == nil
    else { return }
    let plan: ProjectionPlan
    do { plan = try ProjectionPlan(definition, catalog) } catch { throw StoreError(error) }
    for name in ExpressionText(index.rest).names {
      guard let column = plan.columnNames.first(where: { folded($0) == folded(name) }) else { continue }
      let isStored: Bool
      switch plan.stored {
      case .rows(let rows): isStored = rows.storedName(column) == column
      case .groups(let groups): isStored = groups.storedName(column) == column
      }
      guard isStored else {
        throw StoreError(
          .unsupported, "column \(column) of \(index.table) is computed when it is read: it cannot be indexed",
          isParse: true, sqliteCode: 1)
      }
    }
    if case .groups = plan.stored, index.isUnique {
      throw StoreError(
        .unsupported, "CREATE UNIQUE INDEX is not for a projection with GROUP BY: its groups are unique",
        isParse: true, sqliteCode: 1)
    }
  }

  /// CREATE INDEX on a projection: its rows may contradict a unique one, which only the projector finds.
  func createIndex(ofProjection index: CreateIndex, _ change: CatalogChange, line: Int) throws(StoreError) {
    try checkStored(index)
    if index.isUnique, transaction != nil {
      throw StoreError(
        .unsupported, "CREATE UNIQUE INDEX on a projection is not supported inside a transaction", isParse: true,
        sqliteCode: 1)
    }
    try self.change(change, line: line)
    guard index.isUnique else { return }
    try waitProjected()
    let name = folded(index.name)
    guard let refused = store.pipeline.progress.withLock({ $0.quarantined[name] }) else { return }
    try self.change(
      CatalogChange(operation: .drop, object: .index, lenient: true, tableID: store.lastTableID, name: index.name),
      line: line)
    throw StoreError(.conflict, refused.reason, sqliteCode: 19)
  }

  // MARK: Waiting

  /// The position of the last command that this session wrote, or that was durable when it began.
  var lastPosition: UInt64 {
    let id = id
    return store.pipeline.progress.withLock { $0.sessions[id]?.lastPosition ?? 0 }
  }

  func wait(for wait: WaitFor) throws(StoreError) {
    guard transaction == nil else {
      throw StoreError(.invalid, "WAIT FOR cannot be used within a transaction", sqliteCode: 1)
    }
    try waitApplied()
    let target: UInt64
    switch wait.target {
    case .own: target = lastPosition
    case .position(let position): target = position
    case .last: target = store.pipeline.progress.withLock { $0.durable }
    }
    if catalog.table(wait.projection) == nil { _ = try projection(wait.projection) }
    try self.wait(for: wait.projection, at: target, timeoutMicroseconds: wait.timeoutMicroseconds)
  }

  /// Waits until a projection, or a mirror, is there and has come to `target`.
  func wait(
    for name: String, at target: UInt64, timeoutMicroseconds: Int64? = nil
  ) throws(StoreError) {
    let key = folded(name)
    let isMirror = catalog.table(name) != nil
    let own = lastPosition
    let reached = try wish(for: name, at: target) { () throws(StoreError) in
      try wait(timeoutMicroseconds: timeoutMicroseconds ?? Self.forever) { progress -> Result<Void, StoreError>? in
        if isMirror { return progress.projected >= target ? .success(()) : nil }
        // Before, it is perhaps not what this session made of it.
        guard progress.projected >= own, let projection = progress.projections[key] else { return nil }
        if let error = projection.obstacle(target) { return .failure(error) }
        // What is altered or rebuilt is there when its next copy serves.
        return projection.holds(target, progress) && !projection.isBuilding ? .success(()) : nil
      }
    }
    guard let reached else { throw behind(name, target) }
    try reached.get()
  }

  private static let forever = Int64.max / 2_000

  private func behind(_ name: String, _ target: UInt64) -> StoreError {
    let position = store.pipeline.progress.withLock { $0.projections[folded(name)]?.position ?? $0.projected }
    return StoreError(
      .overloaded, "\(name) is at position \(position) and not at \(target) after the time that was given",
      sqliteCode: 5)
  }

  /// Waits until there is a projection of that name at all.
  func waitServing(_ name: String) throws(StoreError) { try wait(for: name, at: readsOwn ? lastPosition : 0) }

  /// Waits until what a query reads in projections.db, by folded name, holds what this session wrote. A paused
  /// projection stays as it is; the reason of one that has failed is thrown.
  func waitRead(_ names: Set<String>) throws(StoreError) {
    try waitMirrored()
    let target = lastPosition
    for name in names where catalog.exists(.projection, name) {
      let state = { (progress: Progress) -> Result<Void, StoreError>? in
        guard let projection = progress.projections[name], projection.serves, !projection.isPaused else {
          return .success(())
        }
        if let error = projection.obstacle(target) { return .failure(error) }
        return projection.holds(target, progress) ? .success(()) : nil
      }
      if let known = store.pipeline.progress.withLock({ state($0) }) {
        try known.get()
        continue
      }
      let reached = try wish(for: name, at: target) { () throws(StoreError) in
        try wait(timeoutMicroseconds: Self.forever, state)
      }
      guard let reached else { throw behind(name, target) }
      try reached.get()
    }
  }

  /// Has the projector bring a projection to `target` while `body` waits for that.
  private func wish<R>(
    for name: String, at target: UInt64, _ body: () throws(StoreError) -> R
  ) throws(StoreError) -> R {
    let pipeline = store.pipeline
    let wish = pipeline.projectorRequests.want(name, at: target)
    defer { pipeline.projectorRequests.forget(wish) }
    pipeline.wakeProjector()
    return try body()
  }

  /// Waits until projections.db holds all that this session has handed over, and all that was durable when it began.
  func waitMirrored(isInterruptible: Bool = true) throws(StoreError) {
    let id = id
    let isThere = { (progress: Progress) -> Bool? in
      guard let session = progress.sessions[id], session.resolved == session.submitted else { return nil }
      return progress.projected >= session.lastPosition ? true : nil
    }
    if store.pipeline.progress.withLock({ isThere($0) }) == nil {
      _ = try wait(isInterruptible: isInterruptible, isThere)
    }
  }

  /// Waits for what the projector does, until this session is interrupted or something is in the projector's way; nil:
  /// the time that was given is over.
  private func wait<R>(
    timeoutMicroseconds: Int64? = nil, isInterruptible: Bool = true, _ condition: (Progress) -> R?
  ) throws(StoreError) -> R? {
    let interrupter = interrupter
    let pipeline = store.pipeline
    let obstacle = pipeline.projectorObstacle()
    let stops = { () -> StoreError? in
      if isInterruptible { do throws(StoreError) { try interrupter.check() } catch { return error } }
      return obstacle()
    }
    if timeoutMicroseconds == nil, !pipeline.options.threaded { return try pipeline.wait(unless: stops, condition) }
    return try pipeline.wait(
      timeoutMicroseconds: timeoutMicroseconds ?? Self.forever, unless: stops, condition)
  }

  // MARK: Rejected rows

  /// REDRIVE: tries rejected rows again; tells how many were taken.
  func redrive(_ name: String?) throws(StoreError) -> Outcome {
    if let name { _ = try projection(name) }
    try waitProjected()
    let pipeline = store.pipeline
    let request = pipeline.projectorRequests.redrive(name)
    pipeline.wakeProjector()
    guard let outcome = try wait({ _ in request.outcome }) else { return .done }
    return .rows(
      Rows(
        columns: ["taken", "rejected"],
        values: [[.integer(Int64(outcome.taken)), .integer(Int64(outcome.tried - outcome.taken))]]))
  }
}
