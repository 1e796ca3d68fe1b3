// The applier: takes durable items in log order, resolves them, tells sessions the outcome, hands batches on to the
// projector, and ends a generation when its memory is used up.
import SluiceLSM
import SluiceLog
import SluiceSystem
import Synchronization

/// What the appender hands over once it is durable.
enum DurableItem: Sendable {
  case batch(Batch)
  /// A staged transaction, now part of the log.
  case transaction(ClosedRange<UInt64>, session: UInt64)

  var firstPosition: UInt64 {
    switch self {
    case .batch(let batch): batch.firstPosition
    case .transaction(let range, _): range.lowerBound
    }
  }

  var lastPosition: UInt64 {
    switch self {
    case .batch(let batch): batch.lastPosition
    case .transaction(let range, _): range.upperBound
    }
  }

  var session: UInt64 {
    switch self {
    case .batch(let batch): batch.session
    case .transaction(_, let session): session
    }
  }

  var sizeBytes: Int {
    switch self {
    case .batch(let batch): batch.size
    case .transaction: 0
    }
  }

  /// Whether a role is woken for it although nobody waits.
  var isLarge: Bool { if case .transaction = self { true } else { sizeBytes >= Self.largeBytes } }

  static let largeBytes = 64 << 10
}

/// Resolves what the appender made durable. One per store.
///
/// `@unchecked Sendable`: the resolver belongs to the thread that calls `step`; all else stands in the queue's monitor.
final class Applier: Role, @unchecked Sendable {
  let name = "applier"
  let bell = Bell()
  /// Durable bytes that may wait to be applied before sessions wait.
  static let queueLimitBytes = 16 << 20

  private struct Queue {
    var items: [DurableItem] = []
    var sizeBytes = 0
    /// Whether the generation ends behind the items, however full it is.
    var freezes = false
  }

  private let queue = Monitor(Queue())
  private let pipeline: Pipeline
  private let resolver: Resolver

  init(pipeline: Pipeline, resolver: Resolver) {
    self.pipeline = pipeline
    self.resolver = resolver
  }

  /// Takes over durable items, in log order. Called by the appender only, and never makes it wait: the applier may
  /// be waiting for a resolution that the appender has to write. What is small is applied at once only when somebody
  /// waits for it (`isAwaited`) or nothing came in the last millisecond.
  func submit(_ items: [DurableItem], isAwaited: Bool) {
    // Nobody applies any more after a failure: what is durable waits for the next opening.
    if pipeline.hasFailed { return }
    let isLarge = queue.withLock { queue in
      queue.items += items
      queue.sizeBytes += items.reduce(0) { $0 + $1.sizeBytes }
      return queue.sizeBytes >= DurableItem.largeBytes
    }
    if isLarge || isAwaited || items.contains(where: \.isLarge) { bell.ring() } else { bell.leaveMail() }
  }

  /// Asks for the end of the generation behind everything that was handed over. Any thread.
  func requestFreeze() {
    queue.withLock { $0.freezes = true }
    bell.ring()
  }

  /// Waits while too much is queued. Called by sessions, before they hand over more.
  func waitForRoom() {
    queue.wait { [pipeline] queue -> Void? in
      // Without room on the disk it will not be applied; what was accepted is safe in the log.
      queue.sizeBytes <= Self.queueLimitBytes || pipeline.hasFailed || pipeline.room.isStuck ? () : nil
    }
  }

  /// Bytes that are durable and not applied yet.
  var queuedBytes: Int { queue.withLock { $0.sizeBytes } }

  /// Lets waiting sessions look again (after a failure).
  func wake() { queue.update { _ in } }

  func step() throws(StoreError) -> Bool {
    let (items, freezes) = queue.update { queue in
      defer { queue = Queue() }
      return (queue.items, queue.freezes)
    }
    for item in items {
      switch item {
      case .batch(let batch): finish(item, try apply(batch, transactionEnd: true))
      case .transaction(let range, _):
        guard let outcome = try applyTransaction(range) else { return false }
        finish(item, outcome)
      }
    }
    if freezes { try pipeline.freezeGeneration() }
    return !items.isEmpty || freezes
  }

  /// Reads an adopted segment back, batch by batch: a large transaction is never in memory as a whole. Nil when
  /// the store is left before its end.
  private func applyTransaction(_ range: ClosedRange<UInt64>) throws(StoreError) -> Effect? {
    try convertingErrors {
      var effect = Effect()
      let reader = try pipeline.log.reader(after: range.lowerBound - 1, upTo: range.upperBound)
      while let record = try reader.next() {
        // Who leaves without draining leaves the rest to the next opening.
        if pipeline.progress.withLock({ $0.isAbandoning }) { return nil }
        if case .commands(let batch, let transactionEnd) = record {
          let one = try apply(batch, transactionEnd: transactionEnd)
          effect.rejections += one.rejections
          effect.rows.add(one.rows)
          effect.isProjected = effect.isProjected || one.isProjected
        }
      }
      return effect
    }
  }

  /// What applying an item came to.
  private struct Effect {
    var rejections: [Rejection] = []
    var rows = RowOutcome()
    /// Whether the projector has something to do for it.
    var isProjected = false
  }

  private func apply(_ batch: Batch, transactionEnd: Bool) throws(StoreError) -> Effect {
    let outcome = try resolver.resolve(batch, foldingFrom: pipeline.positions.beginFolding())
    if !outcome.noEffect.isEmpty { try pipeline.record(batch, outcome.noEffect) }
    if outcome.catalogChanged { pipeline.catalog.update { $0 = resolver.catalog } }
    pipeline.projectorQueue.offer(
      ProjectorItem(
        batch, isProjected: outcome.isProjected, noEffect: outcome.noEffect, transactionEnd: transactionEnd))
    try pipeline.countGeneration(batch)
    return Effect(rejections: outcome.rejections, rows: outcome.rows, isProjected: outcome.isProjected)
  }

  private func finish(_ item: DurableItem, _ effect: Effect) {
    pipeline.positions.raise(to: item.lastPosition)
    let isAwaited = pipeline.progress.update { progress in
      progress.applied = item.lastPosition
      progress.resolved += 1
      // Nothing to project, and everything before is: the projector need not wake for it.
      if !effect.isProjected, progress.isProjecting, progress.projected == item.firstPosition - 1 {
        progress.projected = item.lastPosition
      }
      if var one = progress.sessions[item.session] {
        one.resolved += 1
        one.rejections += effect.rejections
        one.note(effect.rows)
        one.mark?.resolved.store(one.resolved, ordering: .releasing)
        progress.sessions[item.session] = one
      }
      return progress.waiterCount > 0
    }
    if pipeline.compactorRests.load(ordering: .relaxed) { pipeline.wakeCompactor() }
    guard effect.isProjected else { return }
    pipeline.wakeProjector(isUrgent: isAwaited || item.isLarge)
  }
}
