// What the projector does beside following the log: when it is its turn, and how much of it at a time.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// Paces the filling of copies. Belongs to the projector's thread.
struct ProjectorBackground {
  /// Rows of the mirror that are added to a copy at a time, while rows wait and else. The first parts of a copy are
  /// small: nobody knows yet how large its rows are.
  private var busyCount = Self.firstRows
  private var idleCount = Self.firstRows
  private var serial: Int64 = 0
  private var hadTurn = false

  private static let firstRows = 8_192
  private static let fewestRows = 2_048
  /// So many groups are merged at once; more would win little and hold the write-ahead log longer.
  private static let mostRows = 524_288
  /// How long a part may take while rows wait, and else, in nanoseconds. Rows that come meanwhile wait as long. A large
  /// part merges each group it has but once: 1 M rows in 200,000 groups take 1.3 µs each in parts of 131,072 rows and
  /// 0.8 in parts of 524,288.
  private static let busyNanoseconds: UInt64 = 15_000_000
  private static let idleNanoseconds: UInt64 = 800_000_000

  /// Rows for the next part of a copy.
  mutating func rowCount(of copy: Int64, isBusy: Bool) -> Int {
    if copy != serial {
      serial = copy
      busyCount = Self.firstRows
      idleCount = Self.firstRows
    }
    return isBusy ? busyCount : idleCount
  }

  /// Whether it is its turn: always when nothing waits, else every other time.
  mutating func takesTurn(isBusy: Bool) -> Bool {
    hadTurn = isBusy && !hadTurn
    return hadTurn || !isBusy
  }

  /// The last part took so long, and so many frames of the write-ahead log, in which `free` were left.
  mutating func adjust(nanoseconds: UInt64, frames: Int, of free: Int, isBusy: Bool) {
    let limit = isBusy ? Self.busyNanoseconds : Self.idleNanoseconds
    var count = isBusy ? busyCount : idleCount
    if nanoseconds > limit || frames > free - free / 4 {
      count = max(count / 2, min(count, Self.fewestRows))
    } else if nanoseconds < limit / 2, frames < free / 2 {
      count = min(count * (nanoseconds < limit / 4 && frames < free / 4 ? 4 : 2), Self.mostRows)
    }
    if isBusy { busyCount = count } else { idleCount = count }
  }

  /// How long a part may take before it is ended and undone, in nanoseconds; nil: it cannot be smaller.
  func limitNanoseconds(isBusy: Bool) -> UInt64? { (isBusy ? busyCount : idleCount) > 1 ? 2_000_000_000 : nil }

  /// The last part was ended: its rows take far longer than usual.
  mutating func wasEnded() {
    busyCount = max(busyCount / 8, 1)
    idleCount = max(idleCount / 8, 1)
  }
}

extension Projector {
  /// Fills a part of a copy that is built, takes what the refresher has found, and has it begin with the next copy that
  /// is due; false when there is nothing of that kind. `isBusy`: rows wait, so it is their turn at least every other
  /// time.
  func doBackgroundWork(isBusy: Bool) throws -> Bool {
    guard background.takesTurn(isBusy: isBusy) else { return false }
    let copies = file.copies
    copies.position = boundary
    let requests = pipeline.projectorRequests.take()
    let now = pipeline.options.clock.monotonicNanoseconds()
    let refreshed = refresher.takeResult()
    let catalog = pipeline.catalog.withLock { $0 }
    let building =
      refreshed == nil ? copies.building.first(where: { Self.isWanted($0, isBusy: isBusy, in: catalog) }) : nil
    if requests.syncs {
      try file.wal.sync()
      noteSynced()
    }
    let hasBegun = refreshed == nil && beginRefresh(requests, at: now, isBusy: isBusy)
    let asked = copies.unfilled.first { requests.wants($0.name) }.flatMap { file.catalog.objects[folded($0.name)] }
    guard refreshed != nil || !requests.redriven.isEmpty || building != nil || asked != nil else {
      return requests.syncs || hasBegun
    }
    do {
      try open()
      var outcomes: [(taken: Int, tried: Int)] = []
      for request in requests.redriven {
        outcomes.append(try copies.redrive(request.name) { !isLeaving.load(ordering: .relaxed) })
      }
      if let refreshed { try take(refreshed) }
      if let asked { try copies.begin(asked.sql, file.catalog) }
      if let building { try fill(building, from: now, isBusy: isBusy) }
      let frames = try commit()
      if building != nil {
        let nanoseconds = pipeline.options.clock.monotonicNanoseconds() - now
        background.adjust(nanoseconds: nanoseconds, frames: frames, of: file.wal.freePages, isBusy: isBusy)
      }
      for (request, outcome) in zip(requests.redriven, outcomes) { request.finish(outcome) }
      if !outcomes.isEmpty { pipeline.progress.update { _ in } }
    } catch  where error.kind == .interrupted && building != nil && !isLeaving.load(ordering: .relaxed) {
      pipeline.projectorRequests.giveBack(requests)
      background.wasEnded()
      try retreat()
    } catch {
      pipeline.projectorRequests.giveBack(requests)
      if let refreshed { refresher.giveBack(refreshed) }
      throw error
    }
    return true
  }

  /// Adds the next part of the mirror's rows to a copy.
  private func fill(_ copy: ProjectionCopy, from start: UInt64, isBusy: Bool) throws(SQLiteError) {
    let count = background.rowCount(of: copy.serial, isBusy: isBusy)
    let end = background.limitNanoseconds(isBusy: isBusy).map { start + $0 }
    try work(Work(end: end) { Self.isWanted(copy, isBusy: true, in: $0) }) { () throws(SQLiteError) in
      // A row may take long, and a part is to be left between two of them.
      try file.connection.watchProgress(every: 100) { [unowned self] in goesOn() }
      defer { watch(openFile) }
      try file.copies.build(copy, rowCount: count, goesOn: goesOn)
    }
  }

  /// Takes the rows of a query, unless its projection is dropped further on in the log.
  private func take(_ refreshed: Refresher.Result) throws(SQLiteError) {
    let name = folded(refreshed.job.name)
    guard let known = pipeline.catalog.withLock({ $0.objects[name]?.sql }) else { return }
    try work(Work { $0.objects[name]?.sql == known }) { () throws(SQLiteError) in
      try file.copies.take(refreshed, file.catalog, goesOn: goesOn)
    }
  }

  /// Brings a change of the catalog into the file. An index that is dropped or altered further on in the log is not
  /// made. Of a transaction that is not committed the applied catalog knows nothing.
  func apply(_ change: CatalogChange) throws(SQLiteError) {
    guard change.object == .index, change.operation != .drop, !isAhead else { return try file.apply(change) }
    let isWanted = { (catalog: Catalog) in
      catalog.objects[folded(change.name)].map { $0.kind == .index && $0.sql == change.definition } == true
    }
    guard isWanted(pipeline.catalog.withLock { $0 }) else { return try file.apply(change, makesIndex: false) }
    let status = pipeline.projectorStatus
    status.withLock { $0.making = "index \(change.name)" }
    defer { status.withLock { $0.making = nil } }
    try work(Work(isWanted: isWanted)) { () throws(SQLiteError) in try file.apply(change) }
  }

  // MARK: Ending what runs

  /// What is made that takes long.
  struct Work {
    /// When it is ended so that others have their turn, in monotonic nanoseconds.
    var end: UInt64?
    /// Whether the applied catalog, which may be ahead, has what it is for.
    let isWanted: (Catalog) -> Bool
    /// Of the applied catalog that was asked last.
    fileprivate(set) var version: UInt64?
  }

  private func work(_ work: Work, _ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
    self.work = work
    defer { self.work = nil }
    try body()
  }

  /// Asked while SQLite works: whether nobody leaves, and what is made is wanted and takes no longer than others may
  /// wait for it. False ends it with `interrupted`.
  func goesOn() -> Bool {
    if isLeaving.load(ordering: .relaxed) { return false }
    guard let work else { return true }
    if let end = work.end, pipeline.options.clock.monotonicNanoseconds() > end { return false }
    let changed = pipeline.catalog.withLock { $0.version == work.version ? nil : $0 }
    guard let changed else { return true }
    self.work?.version = changed.version
    return work.isWanted(changed)
  }

  /// Has the refresher evaluate the query of a copy that is due, or that somebody waits for; false when there is none,
  /// or another query runs.
  private func beginRefresh(_ requests: ProjectorRequests.Taken, at now: UInt64, isBusy: Bool) -> Bool {
    guard refresher.isIdle else { return false }
    let position = boundary
    let catalog = pipeline.catalog.withLock { $0 }
    let next = file.copies.nextToRefresh(
      at: now,
      { requests.wanted($0.name, behind: max($0.position, $0.failedPosition ?? 0), upTo: position) },
      isAllowed: { Self.isWanted($0, isBusy: isBusy, in: catalog) && !($0.isHeldBack && isBusy) })
    guard let next else { return false }
    refresher.begin(
      Refresher.Job(
        serial: next.serial, name: next.name, definition: SluiceSQL.print(next.definition),
        select: next.definition.select, position: position))
    return true
  }

  /// Whether the applied catalog, which may be ahead, has a copy's projection still: what is dropped or altered further
  /// on in the log is not worked for.
  private static func isWanted(_ copy: ProjectionCopy, isBusy: Bool, in catalog: Catalog) -> Bool {
    guard let object = catalog.objects[folded(copy.name)], object.kind == .projection else { return false }
    return !isBusy || object.sql == SluiceSQL.print(copy.definition)
  }
}
