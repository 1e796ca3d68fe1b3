// Copies that are made anew as a whole: which one is next, and what becomes of what its query has found. The query
// itself is the refresher's (Refresher.swift).
import SluiceSQL
import SluiceSQLite
import SluiceSystem

extension ProjectionCopies {
  /// Time after which a query is tried again that the folder for temporary files had no room for.
  private static let retryNanoseconds: UInt64 = 5_000_000_000

  /// The copy whose query is to run next: one that somebody waits for, else the one that is due for the longest time.
  /// `wants` tells the position at which somebody waits for it. nil: none.
  func nextToRefresh(
    at now: UInt64, _ wants: (ProjectionCopy) -> UInt64?, isAllowed: (ProjectionCopy) -> Bool
  ) -> ProjectionCopy? {
    let isAwaited = awaitsOthers
    let ready = refreshed.filter { isAllowed($0) && (postponed[$0.serial] == nil || !isAwaited) }
      .sorted { $0.refreshAt < $1.refreshAt }
    for copy in ready {
      guard let target = wants(copy) else { continue }
      let first = firstSource(of: copy, behind: target) ?? copy
      if isAllowed(first) { return first }
    }
    return ready.first { $0.refreshAt <= now && isOld($0) }
  }

  /// Whether projections are to come that another one may read: they are filled, or their query has not run yet.
  private var awaitsOthers: Bool {
    refreshed.contains { !$0.serves && $0.failedPosition == nil } || building.contains { serving($0.name) == nil }
  }

  /// Whether a copy would be another if it were made anew.
  private func isOld(_ copy: ProjectionCopy) -> Bool {
    copy.position < position || copy.isVolatile || !copy.serves || copy.state == .failed
  }

  /// When the next copy is due, in monotonic nanoseconds; nil: none is.
  var nextRefresh: UInt64? {
    let isAwaited = awaitsOthers
    return refreshed.filter { isOld($0) && (postponed[$0.serial] == nil || !isAwaited) }.map(\.refreshAt).min()
  }

  /// A projection that a copy reads and that has not come to `target` either: it comes first.
  private func firstSource(
    of copy: ProjectionCopy, behind target: UInt64, past: Set<Int64> = []
  ) -> ProjectionCopy? {
    for name in copy.reads {
      guard let source = serving(name), source !== copy, source.isRefreshed, source.state != .paused,
        max(source.position, source.failedPosition ?? 0) < target, !past.contains(source.serial)
      else { continue }
      return firstSource(of: source, behind: target, past: past.union([copy.serial])) ?? source
    }
    return nil
  }

  /// What came of a copy's query. Inside a transaction; what goes wrong stays the copy's own. `goesOn` is asked now and
  /// then; false ends it with `interrupted`.
  func take(_ result: Refresher.Result, _ catalog: Catalog, goesOn: () -> Bool) throws(SQLiteError) {
    guard
      let copy = refreshed.first(where: {
        $0.serial == result.job.serial && print($0.definition) == result.job.definition
      })
    else { return }
    // A query that takes longer than its interval leaves the machine to others for as long as it took.
    let pause = max(UInt64(clamping: copy.definition.refreshMicroseconds ?? 0) &* 1_000, result.nanoseconds)
    let now = clock.monotonicNanoseconds()
    copy.refreshAt = now &+ pause
    if !result.reads.isEmpty { copy.reads = result.reads }
    copy.isHeldBack = false
    let failure: String?
    switch result.outcome {
    case .ended(let isHeldBack):
      copy.refreshAt = 0
      copy.isHeldBack = isHeldBack
      return
    case .failed(let error):
      if error.isAboutFile { throw error }
      failure = copy.explained(error)
      // Room is made, or not: that has nothing to do with the interval.
      if error.kind == .temporary { copy.refreshAt = now &+ min(pause, max(Self.retryNanoseconds, result.nanoseconds)) }
    case .rows(let rows):
      if let reason = failedSource(of: copy) {
        failure = reason
      } else {
        let error = try connection.inSavepoint { () throws(SQLiteError) in try take(rows, copy, catalog, goesOn) }
        failure = error.map(copy.explained)
      }
    }
    guard let failure else {
      copy.failedPosition = nil
      copy.error = nil
      // It holds no more than what it reads.
      copy.position = copy.reads.compactMap { name in
        serving(name).flatMap { $0.isRefreshed && $0 !== copy && $0.state == .current ? $0.position : nil }
      }.reduce(result.position, min)
      return try save(copy)
    }
    copy.failedPosition = result.position
    if !copy.serves, awaitsOthers {
      // It may read one of those.
      postponed[copy.serial] = failure
      return
    }
    try fail(copy, failure)
    try failPostponed()
  }

  private func take(
    _ rows: RefreshedRows, _ copy: ProjectionCopy, _ catalog: Catalog, _ goesOn: () -> Bool
  ) throws(SQLiteError) {
    let isOther = try copy.replace(by: rows, goesOn: goesOn)
    if isOther {
      for table in copy.tables { try connection.execute(RowGuard.creation(table, key: table)) }
      for index in catalog.objects.values where index.kind == .index && folded(index.owner) == folded(copy.name) {
        try createIndex(index.sql, on: copy)
      }
    }
    if copy.serves { copy.state = .current } else { try serve(copy) }
  }

  /// What failed because a projection was not there is tried again.
  func retryPostponed() {
    for copy in refreshed where postponed.removeValue(forKey: copy.serial) != nil { copy.failedPosition = nil }
  }

  /// None is left that they could wait for.
  private func failPostponed() throws(SQLiteError) {
    for copy in refreshed {
      if let failure = postponed.removeValue(forKey: copy.serial) { try fail(copy, failure) }
    }
  }

  /// Why a copy cannot be true: a projection that it reads has failed, and shows what it was.
  private func failedSource(of copy: ProjectionCopy) -> String? {
    for name in copy.reads.sorted() {
      guard let source = serving(name), source !== copy, source.state == .failed else { continue }
      return "it reads projection \(source.name), which has failed: \(source.error ?? "")"
    }
    return nil
  }
}
