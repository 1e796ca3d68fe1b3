// Applied batches on their way to the projector. Bounded in bytes: what does not fit is left out, and the projector
// reads it back from the log. So a slow projector costs neither memory nor a standstill of the writers.
import SluiceLog
import SluiceSystem

/// A batch as the projector gets it.
struct ProjectorItem: Sendable {
  let batch: Batch
  /// Commands without effect, by rising index.
  let noEffect: [(index: UInt32, reason: UInt8)]
  /// Whether a transaction may end behind this batch.
  let transactionEnd: Bool
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
      if state.sizeBytes < limitBytes {
        state.items.append(item)
        state.sizeBytes += item.batch.size
      } else if !item.noEffect.isEmpty {
        state.outcomes[item.batch.firstPosition] = item.noEffect
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
  var firstPosition: UInt64? { state.withLock { $0.items.first?.batch.firstPosition } }

  /// Takes items from the front, up to about `limitBytes` and at least one, when the first one begins at `position`.
  func take(from position: UInt64, limitBytes: Int) -> [ProjectorItem] {
    state.withLock { state in
      guard state.items.first?.batch.firstPosition == position else { return [] }
      var count = 0
      var size = 0
      var next = position
      while count < state.items.count, size < limitBytes, state.items[count].batch.firstPosition == next {
        size += state.items[count].batch.size
        next = state.items[count].batch.lastPosition + 1
        count += 1
      }
      let taken = Array(state.items[..<count])
      state.items.removeFirst(count)
      state.sizeBytes -= size
      return taken
    }
  }

  /// Batches and bytes that wait in memory.
  var backlog: (batchCount: Int, sizeBytes: Int) { state.withLock { ($0.items.count, $0.sizeBytes) } }
}
