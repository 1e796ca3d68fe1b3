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
      count = max(count / 2, Self.fewestRows)
    } else if nanoseconds < limit / 2, frames < free / 2 {
      count = min(count * (nanoseconds < limit / 4 && frames < free / 4 ? 4 : 2), Self.mostRows)
    }
    if isBusy { busyCount = count } else { idleCount = count }
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
      for request in requests.redriven { outcomes.append(try copies.redrive(request.name)) }
      if let refreshed { try copies.take(refreshed, file.catalog) { !isLeaving.load(ordering: .relaxed) } }
      if let building {
        try copies.build(building, rowCount: background.rowCount(of: building.serial, isBusy: isBusy))
      }
      let frames = try commit()
      if building != nil {
        let nanoseconds = pipeline.options.clock.monotonicNanoseconds() - now
        background.adjust(nanoseconds: nanoseconds, frames: frames, of: file.wal.freePages, isBusy: isBusy)
      }
      for (request, outcome) in zip(requests.redriven, outcomes) { request.finish(outcome) }
      if !outcomes.isEmpty { pipeline.progress.update { _ in } }
    } catch {
      pipeline.projectorRequests.giveBack(requests)
      if let refreshed { refresher.giveBack(refreshed) }
      throw error
    }
    return true
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
