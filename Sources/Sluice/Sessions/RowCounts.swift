// What changes(), total_changes() and last_insert_rowid() say. Rows count when they are encoded, for their outcome is
// known only when they are applied; before anybody asks, everything is applied, and what had no effect is taken off.
import SluiceLSM
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// What a session remembers of items on their way.
struct RowCounts {
  /// Items whose outcome is counted.
  var foldedItems = 0
  /// What last_insert_rowid() says behind those.
  var rowid: Int64 = 0
  /// What the session took for it when it sent each of the items since.
  var offered: [Int64] = []
  /// Rows without effect that are taken off already.
  var withoutEffect: Int64 = 0
  /// Tables with INTEGER PRIMARY KEY whose counter was raised by statements that may yet be rejected as a whole, and
  /// where it stood before.
  var raised: [(table: SQLTable, before: Int64)] = []
  /// Rows that were given their number by `giveRowid` and not left out.
  var given: Int64 = 0
  /// Whether a row has had no effect since the first of those.
  var hasLost = false

  /// More than are on their way at once: outcomes are looked at by then.
  static let offeredLimit = 1024
}

extension Session {
  /// Called with each item handed over.
  func noteSubmission() {
    counts.offered.append(lastRowid.value)
    if counts.offered.count > RowCounts.offeredLimit { fold() }
  }

  /// Takes off what had no effect of the items that are applied by now.
  func foldCounts() {
    if fold(), !counts.raised.isEmpty { settleNumbers() }
  }

  /// Whether nothing of the session is on its way any more.
  @discardableResult
  private func fold() -> Bool {
    let id = id
    let known = store.pipeline.progress.withLock { progress in
      progress.sessions[id].map { (resolved: $0.resolved, rows: $0.rows, item: $0.lastRowItem) }
    }
    guard let known else { return false }
    let count = min(known.resolved - counts.foldedItems, counts.offered.count)
    switch known.rows.lastRow {
    case .none: break
    case .known(let number): counts.rowid = number
    case .offered:
      let place = known.item - counts.foldedItems - 1
      if counts.offered.indices.contains(place) { counts.rowid = counts.offered[place] }
    }
    counts.offered.removeFirst(count)
    counts.foldedItems = known.resolved
    let lost = known.rows.withoutEffect - counts.withoutEffect
    if lost > 0 {
      counts.withoutEffect = known.rows.withoutEffect
      counts.hasLost = true
      totalChangeCount -= lost
      changeCount = max(0, changeCount - (known.rows.lastWithoutEffect ?? 0))
    }
    guard counts.offered.isEmpty, transaction == nil, builder.isEmpty else { return false }
    if lost > 0 || lastRowid.isOpen { setLastRowid(counts.rowid) }
    return true
  }

  /// Whether rows of the last INSERT, which are on their way, may be left out where their key is taken.
  var leavesRowsOut: Bool { plan?.orAction == .ignore && isPending }

  func setLastRowid(_ number: Int64) {
    lastRowid.value = number
    lastRowid.isOpen = false
  }

  /// Starts counting from here: what one statement has sent and waited for was counted by itself.
  func skipCounts() {
    let id = id
    store.pipeline.progress.withLock { progress in
      guard let session = progress.sessions[id] else { return }
      counts.withoutEffect = session.rows.withoutEffect
      counts.foldedItems = session.resolved
    }
    counts.offered = []
    if !lastRowid.isOpen { counts.rowid = lastRowid.value }
  }

  // MARK: Numbers

  /// A statement of `count` rows, of which `given` did not bring their numbers: should one of the others be a
  /// duplicate, the counter is to be where it was.
  @inline(never)
  func noteRaised(_ plan: InsertPlan, from before: Int64, given: Int64, of count: Int64) {
    guard plan.bringsRowid, given < count, transaction == nil, plan.highestKey.current > before,
      !counts.raised.contains(where: { $0.table === plan.table })
    else { return }
    counts.raised.append((plan.table, before))
  }

  /// Takes counters back to the highest number that is stored or was given before, where statements were rejected.
  private func settleNumbers() {
    let raised = counts.raised
    let hasLost = counts.hasLost
    counts.raised = []
    counts.hasLost = false
    guard hasLost, store.pipeline.progress.withLock({ $0.sessions.count }) == 1 else { return }
    for (table, before) in raised { table.highestKey.restore(before, from: table.highestKey.current) }
  }
}
