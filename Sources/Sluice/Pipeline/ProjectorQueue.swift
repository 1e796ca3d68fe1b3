// Applied batches on their way to the projector. Bounded in bytes: what does not fit is left out, and the projector
// reads it back from the log. So a slow projector costs neither memory nor a standstill of the writers. Batches that
// hold nothing for it, only raw keys, go through as their positions alone.
import SluiceLog
import SluiceSystem

/// A batch as the projector gets it.
struct ProjectorItem: Sendable {
  private(set) var firstPosition: UInt64
  private(set) var lastPosition: UInt64
  /// Nil when nothing in it is projected.
  let batch: Batch?
  /// Commands without effect, by rising index.
  let noEffect: [(index: UInt32, reason: UInt8)]
  /// Whether a transaction may end behind this batch.
  private(set) var transactionEnd: Bool

  init(
    _ batch: Batch, isProjected: Bool = true, noEffect: [(index: UInt32, reason: UInt8)], transactionEnd: Bool
  ) {
    firstPosition = batch.firstPosition
    lastPosition = batch.lastPosition
    self.batch = isProjected ? batch : nil
    self.noEffect = isProjected ? noEffect : []
    self.transactionEnd = transactionEnd
  }

  /// Bytes that it keeps in memory.
  var sizeBytes: Int { batch?.size ?? 0 }

  /// Leaves out what is in front of `position`, of positions alone.
  mutating func cut(before position: UInt64) {
    invariant(batch == nil, "a batch at \(firstPosition) is projected as a whole")
    firstPosition = max(firstPosition, position)
  }

  /// Takes in the item behind this one when both are positions alone.
  mutating func absorb(_ next: ProjectorItem) -> Bool {
    guard batch == nil, next.batch == nil, next.firstPosition == lastPosition + 1 else { return false }
    lastPosition = next.lastPosition
    transactionEnd = next.transactionEnd
    return true
  }
}

final class ProjectorQueue: Sendable {
  private struct State {
    var items: [ProjectorItem] = []
    var sizeBytes = 0
    /// Outcomes of batches that were left out, by first position.
    var outcomes: [UInt64: [(index: UInt32, reason: UInt8)]] = [:]
  }

  private let state = Monitor(State())
  private let limitBytes: Int

  init(limitBytes: Int) { self.limitBytes = limitBytes }

  /// Puts an item in when there is room; else only its outcome is kept.
  func offer(_ item: ProjectorItem) {
    state.withLock { state in
      if let last = state.items.indices.last, state.items[last].absorb(item) { return }
      if item.batch == nil || state.sizeBytes < limitBytes {
        state.items.append(item)
        state.sizeBytes += item.sizeBytes
      } else if !item.noEffect.isEmpty {
        state.outcomes[item.firstPosition] = item.noEffect
      }
    }
  }

  /// Keeps an outcome that recovery found in the log.
  func remember(_ firstPosition: UInt64, _ noEffect: [(index: UInt32, reason: UInt8)]) {
    state.withLock { $0.outcomes[firstPosition] = noEffect }
  }

  /// Takes the outcome of a batch that was read back from the log.
  func takeOutcome(_ firstPosition: UInt64) -> [(index: UInt32, reason: UInt8)] {
    state.withLock { $0.outcomes.removeValue(forKey: firstPosition) ?? [] }
  }

  /// First position that waits in memory, or nil.
  var firstPosition: UInt64? { state.withLock { $0.items.first?.firstPosition } }

  /// When the first batch that waits in memory was written, in microseconds; nil when none does.
  var firstTime: Int64? { state.withLock { $0.items.lazy.compactMap { $0.batch?.timeMicroseconds }.first } }

  /// Takes items from the front, up to about `limitBytes` and at least one, when the first one begins at `position`.
  func take(from position: UInt64, limitBytes: Int) -> [ProjectorItem] {
    state.withLock { state in
      guard state.items.first?.firstPosition == position else { return [] }
      var count = 0
      var size = 0
      var next = position
      while count < state.items.count, size < limitBytes, state.items[count].firstPosition == next {
        size += state.items[count].sizeBytes
        next = state.items[count].lastPosition + 1
        count += 1
      }
      let taken = Array(state.items[..<count])
      state.items.removeFirst(count)
      state.sizeBytes -= size
      return taken
    }
  }

  /// Whether commands in front of `position` that wait here have no effect.
  func hasOutcome(before position: UInt64) -> Bool {
    state.withLock { state in
      state.outcomes.contains { $0.key < position && !$0.value.isEmpty }
        || state.items.contains { $0.firstPosition < position && !$0.noEffect.isEmpty }
    }
  }

  /// Forgets what is in front of `position`: it is projected.
  func drop(before position: UInt64) {
    state.withLock { state in
      // A batch is there as a whole, or comes from the log.
      let count = state.items.prefix {
        $0.lastPosition < position || ($0.batch != nil && $0.firstPosition < position)
      }.count
      state.sizeBytes -= state.items[..<count].reduce(0) { $0 + $1.sizeBytes }
      state.items.removeFirst(count)
      state.outcomes = state.outcomes.filter { $0.key >= position }
      if let first = state.items.first, first.firstPosition < position { state.items[0].cut(before: position) }
    }
  }

  /// Batches and bytes that wait in memory.
  var backlog: (batchCount: Int, sizeBytes: Int) { state.withLock { ($0.items.count, $0.sizeBytes) } }
}
