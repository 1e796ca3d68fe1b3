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
    let building = refreshed == nil ? copies.building.first(where: { isWanted($0, isBusy: isBusy) }) : nil
    if requests.syncs {
      try file.wal.sync()
      noteSynced()
    }
    let hasBegun = refreshed == nil && beginRefresh(requests, at: now, isBusy: isBusy)
    guard refreshed != nil || !requests.redriven.isEmpty || building != nil else { return requests.syncs || hasBegun }
    do {
      try open()
      var outcomes: [(taken: Int, tried: Int)] = []
      for request in requests.redriven {
        outcomes.append(try copies.redrive(request.name) { !isLeaving.load(ordering: .relaxed) })
      }
      if let refreshed { try copies.take(refreshed, file.catalog) { !isLeaving.load(ordering: .relaxed) } }
      if let building {
        let count = background.rowCount(of: building.serial, isBusy: isBusy)
        let end = background.limitNanoseconds(isBusy: isBusy).map { now + $0 }
        filling = Filling(copy: building, end: end, version: pipeline.catalog.withLock { $0.version })
        defer {
          filling = nil
          watch(openFile)
        }
        // A row may take long, and a part is to be left between two of them.
        try file.connection.watchProgress(every: 100) { [unowned self] in goesOn() }
        try copies.build(building, rowCount: count, goesOn: goesOn)
      }
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

  /// A part of a copy that is being filled.
  struct Filling {
    let copy: ProjectionCopy
    /// When it is ended, in monotonic nanoseconds.
    let end: UInt64?
    /// Of the applied catalog that has the copy's projection still.
    var version: UInt64
  }

  /// Asked while SQLite works: whether nobody leaves, and a part of a copy that is filled is wanted and takes no longer
  /// than others may wait for it.
  func goesOn() -> Bool {
    if isLeaving.load(ordering: .relaxed) { return false }
    guard let filling else { return true }
    if let end = filling.end, pipeline.options.clock.monotonicNanoseconds() > end { return false }
    let version = pipeline.catalog.withLock { $0.version }
    if version == filling.version { return true }
    self.filling?.version = version
    return isWanted(filling.copy, isBusy: true)
  }

  /// Has the refresher evaluate the query of a copy that is due, or that somebody waits for; false when there is none,
  /// or another query runs.
  private func beginRefresh(_ requests: ProjectorRequests.Taken, at now: UInt64, isBusy: Bool) -> Bool {
    guard refresher.isIdle else { return false }
    let position = boundary
    let next = file.copies.nextToRefresh(
      at: now,
      { requests.wanted($0.name, behind: max($0.position, $0.failedPosition ?? 0), upTo: position) },
      isAllowed: { isWanted($0, isBusy: isBusy) && !($0.isHeldBack && isBusy) })
    guard let next else { return false }
    refresher.begin(
      Refresher.Job(
        serial: next.serial, name: next.name, definition: SluiceSQL.print(next.definition),
        select: next.definition.select, position: position))
    return true
  }

  /// Whether the applied catalog, which may be ahead, has a copy's projection still: what is dropped or altered further
  /// on in the log is not worked for.
  private func isWanted(_ copy: ProjectionCopy, isBusy: Bool) -> Bool {
    let object = pipeline.catalog.withLock { $0.objects[folded(copy.name)] }
    guard let object, object.kind == .projection else { return false }
    return !isBusy || object.sql == SluiceSQL.print(copy.definition)
  }
}
