// Leaving: what a store that is closed waits for, and what it tells of that.
//
// All that was handed over is applied, flushed and projected. Projections that are filled are waited for, since their
// rows can be counted; what is made anew as a whole is waited for as long as anybody is patient, since nobody knows how
// long a query takes. Whoever does not want to wait ends it at any time; the next opening goes on.
import SluiceLSM
import SluiceSQL
import SluiceSystem

/// What a closing store waits for.
public struct ClosingWait: Sendable, Equatable {
  /// What is not done yet, such as `projection p`. It stays the same while `state` goes on.
  public let subject: String
  /// How far it is, such as `has 1.1 of 1.3 M rows`.
  public let state: String

  /// Both, without a full stop.
  public var sentence: String { "\(subject) \(state)" }
}

/// One drain of a store. Belongs to the thread that closes it.
final class Leaving {
  /// Time after which it is told what is waited for, and between two such reports.
  private static let silentNanoseconds: UInt64 = 1_000_000_000
  private static let reportMicroseconds: Int64 = 200_000

  private let pipeline: Pipeline
  private let isHastened: () -> Bool
  private let report: (ClosingWait) -> Void
  private let start: UInt64
  private let projectedBefore: UInt64
  /// The last position that is waited for.
  private var target: UInt64 = .max
  /// What was told last.
  private var told: ClosingWait?
  /// Rows of projections that are filled: all that there are to fill them from, and how many of these they had when
  /// they had counted `counted` by themselves. By folded name.
  private var fills: [String: (total: Int, had: Int, counted: Int)] = [:]

  init(_ pipeline: Pipeline, isHastened: @escaping () -> Bool, report: @escaping (ClosingWait) -> Void) {
    self.pipeline = pipeline
    self.isHastened = isHastened
    self.report = report
    start = pipeline.options.clock.monotonicNanoseconds()
    projectedBefore = pipeline.progress.withLock { $0.projected }
  }

  /// Waits until all that was handed over is projected, and flushed. Returns what is told about projections that take
  /// longer: the next opening makes them. Throws `overloaded` when others, a full disk or haste leave something to the
  /// next opening.
  func drain() throws(StoreError) -> StoreError? {
    target = try wait(unless: { pipeline.applyObstacle }) {
      $0.applied == $0.durable && $0.resolved == $0.submitted ? $0.durable : nil
    }
    try pipeline.requestFreeze()
    let obstacle = pipeline.projectorObstacle()
    let target = target
    try wait(unless: { pipeline.room.flushObstacle ?? obstacle() }) {
      $0.projected >= target && $0.flushed >= target ? () : nil
    }
    let wishes = pipeline.progress.withLock { late($0) }.keys.map { pipeline.projectorRequests.want($0, at: target) }
    defer { for wish in wishes { pipeline.projectorRequests.forget(wish) } }
    if !wishes.isEmpty { pipeline.wakeProjector() }
    try wait(unless: obstacle) { $0.projections.values.allSatisfy { $0.filling == nil } ? () : nil }
    let patience = Int64(ProjectorStatus.patienceNanoseconds / 1_000)
    if try wait(timeoutMicroseconds: patience, unless: obstacle, { late($0).isEmpty ? true : nil }) == true {
      return nil
    }
    let names = pipeline.progress.withLock { late($0) }.values.map(\.name).sorted()
    if names.isEmpty { return nil }
    return StoreError(
      .overloaded,
      "projection \(names.joined(separator: ", ")) is behind: its query takes longer than "
        + "\(ProjectorStatus.patienceNanoseconds / 1_000_000_000) seconds and was ended; "
        + "WAIT FOR \(names[0]) waits for it, and the next opening begins it again", sqliteCode: 5)
  }

  /// Projections whose query is to be run for what is waited for, by folded name.
  private func late(_ progress: Progress) -> [String: ProjectionProgress] {
    progress.projections.filter { $0.value.isAwaited || $0.value.isRefreshedAndBehind(target) }
  }

  // MARK: Waiting

  private func wait<R>(
    unless obstacle: () -> StoreError?, _ condition: (Progress) -> R?
  ) throws(StoreError) -> R {
    guard pipeline.options.threaded else { return try pipeline.wait(unless: { haste ?? obstacle() }, condition) }
    while true {
      let result = try pipeline.wait(
        timeoutMicroseconds: Self.reportMicroseconds, unless: { haste ?? obstacle() }, condition)
      if let result { return result }
      tell()
    }
  }

  /// The same, up to a time; nil when that is over.
  private func wait<R>(
    timeoutMicroseconds: Int64, unless obstacle: () -> StoreError?, _ condition: (Progress) -> R?
  ) throws(StoreError) -> R? {
    var left = timeoutMicroseconds
    while true {
      let slice = pipeline.options.threaded ? min(left, Self.reportMicroseconds) : left
      let result = try pipeline.wait(timeoutMicroseconds: slice, unless: { haste ?? obstacle() }, condition)
      left -= slice
      if result != nil || left <= 0 { return result }
      tell()
    }
  }

  /// Whoever leaves was told not to wait.
  private var haste: StoreError? {
    guard isHastened() else { return nil }
    let what = told.map { "; \($0.sentence), and what is missing" } ?? ", and what projections lack"
    return StoreError(
      .overloaded, "interrupted: what is written is safe\(what) follows at the next opening", sqliteCode: 9)
  }

  // MARK: Telling

  private func tell() {
    guard pipeline.options.clock.monotonicNanoseconds() >= start + Self.silentNanoseconds else { return }
    let wait = self.wait(pipeline.progress.withLock { $0 })
    told = wait
    report(wait)
  }

  private func wait(_ progress: Progress) -> ClosingWait {
    if target == .max {
      let count = progress.durable - min(progress.applied, progress.durable)
      return ClosingWait(subject: "the store", state: "has \(amount(Int(count), "change")) to apply")
    }
    if progress.projected < target { return waitForFile(progress) }
    if progress.flushed < target { return ClosingWait(subject: "the store", state: "writes its tables") }
    let filled = progress.projections.filter { $0.value.filling != nil }.min { $0.key < $1.key }
    if let (name, projection) = filled, let filling = projection.filling {
      return ClosingWait(subject: "projection \(projection.name)", state: state(of: filling, name))
    }
    if let late = late(progress).values.map(\.name).min() {
      return ClosingWait(subject: "projection \(late)", state: "waits for its query")
    }
    return ClosingWait(subject: "projections.db", state: "is brought to an end")
  }

  private func waitForFile(_ progress: Progress) -> ClosingWait {
    let status = pipeline.projectorStatus.withLock { $0 }
    if let made = status.making { return ClosingWait(subject: made, state: "is made") }
    let file = "projections.db"
    if let blockedBy = status.blockedBy { return ClosingWait(subject: file, state: "waits for \(blockedBy)") }
    if status.isRebuilding {
      return ClosingWait(subject: file, state: "is made anew and has \(amount(status.rebuiltRows, "row"))")
    }
    let first = min(projectedBefore, progress.projected)
    return ClosingWait(
      subject: file,
      state: "has \(amount(Int(progress.projected - first), "change", of: Int(target - first)))")
  }

  private func state(of filling: ProjectionProgress.Filling, _ name: String) -> String {
    if fills[name] == nil { fills[name] = count(filling) }
    guard let known = fills[name] else { return "is filled" }
    let had = min(max(known.had + filling.rows - known.counted, 0), known.total)
    return "has \(amount(had, "row", of: known.total))"
  }

  /// nil: they cannot be counted, or nobody wants to know any more. Cost: 0.07 µs a row.
  private func count(_ filling: ProjectionProgress.Filling) -> (total: Int, had: Int, counted: Int)? {
    let snapshots = pipeline.viewWithPosition().snapshots
    let prefix = keyPrefix(ofTable: filling.tableID)
    do {
      let check = { [self] () throws(StoreError) in if let haste { throw haste } }
      var had = 0
      var rest = 0
      for snapshot in snapshots {
        let middle = filling.key ?? prefix
        had += try countEntries([snapshot], from: prefix, to: middle, check: check)
        rest += try countEntries([snapshot], from: middle, to: successor(ofPrefix: prefix), check: check)
      }
      return (had + rest, had, filling.rows)
    } catch { return nil }
  }
}

/// A count as people say it: `12 rows`, `1.1 of 1.3 M rows`. Units are those of the larger one.
func amount(_ count: Int, _ unit: String, of total: Int? = nil) -> String {
  let largest = max(count, total ?? 0)
  func number(_ value: Int, _ divisor: Int) -> String {
    guard divisor > 1 else { return String(value) }
    let tenths = value / (divisor / 10)
    return "\(tenths / 10).\(tenths % 10)"
  }
  let (divisor, sign) = largest >= 1_000_000 ? (1_000_000, " M") : largest >= 10_000 ? (1_000, " k") : (1, "")
  let words = [number(count, divisor)] + (total.map { ["of", number($0, divisor)] } ?? [])
  return words.joined(separator: " ") + sign + " \(unit)" + (largest == 1 ? "" : "s")
}
