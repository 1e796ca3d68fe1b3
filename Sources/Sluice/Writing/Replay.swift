// Replay at opening: the log behind the flushed position is resolved again, and must come out as it did the first time.
import SluiceLSM
import SluiceLog
import SluiceSystem

/// Brings the engines from their flushed positions to the end of the log.
struct Replay {
  let pipeline: Pipeline
  let resolver: Resolver
  /// Last position in projections.db; nil when that is rebuilt from the engines.
  let projectedPosition: UInt64?

  func run() throws(StoreError) {
    let last = pipeline.log.lastPosition
    let flushed = pipeline.engines.map(\.flushedPosition)
    let lowest = flushed.min() ?? 0
    let highest = flushed.max() ?? 0
    guard highest <= last else {
      throw StoreError(
        .corrupt,
        "the shards hold position \(highest) but the log ends at \(last): log files are missing, or the last is damaged"
      )
    }
    // Nobody reads before it is applied.
    pipeline.positions.raise(to: last)
    let projected = projectedPosition ?? last
    try convertingErrors {
      let recorded = try collect(after: min(lowest, projected), upTo: last)
      for (position, resolution) in recorded where position > projected {
        pipeline.projectorQueue.remember(position, resolution)
      }
      try apply(after: lowest, upTo: last, flushed: highest, projected: projected, recorded)
    }
    pipeline.catalog.update { $0 = resolver.catalog }
    pipeline.progress.update { progress in
      progress.durable = last
      progress.applied = last
      progress.flushed = max(progress.flushed, lowest)
    }
  }

  private typealias Recorded = [UInt64: [(index: UInt32, reason: UInt8)]]

  /// All resolutions in a part of the log: each stands somewhere behind its batch.
  private func collect(after position: UInt64, upTo last: UInt64) throws -> Recorded {
    var recorded: Recorded = [:]
    guard position < last else { return recorded }
    let reader = try pipeline.log.reader(after: position, upTo: last)
    while let record = try reader.next() {
      if case .resolution(let resolution) = record {
        recorded[resolution.batchFirstPosition] = resolution.rejected
      }
    }
    return recorded
  }

  private func apply(
    after position: UInt64, upTo last: UInt64, flushed: UInt64, projected: UInt64, _ recorded: Recorded
  ) throws {
    guard position < last else { return }
    let reader = try pipeline.log.reader(after: position, upTo: last)
    while let record = try reader.next() {
      guard case .commands(let batch, _) = record else { continue }
      let known = recorded[batch.firstPosition]
      if batch.lastPosition <= flushed {
        // Some shard has it in tables already, so asking whether a key exists would find the row itself.
        try resolver.replay(batch, noEffect: known ?? [])
      } else {
        try resolve(batch, known, projected: projected)
      }
      // Below it a generation cannot end: some shard has already been flushed further.
      if batch.lastPosition >= flushed { try pipeline.countGeneration(batch) }
    }
  }

  private func resolve(
    _ batch: Batch, _ known: [(index: UInt32, reason: UInt8)]?, projected: UInt64
  ) throws(StoreError) {
    let outcome = try resolver.resolve(batch)
    if let known {
      guard known.elementsEqual(outcome.noEffect, by: { $0 == $1 }) else {
        throw StoreError(
          .corrupt,
          "positions \(batch.firstPosition) to \(batch.lastPosition): applying them again gives another outcome "
            + "(\(outcome.noEffect.count) commands without effect) than the log records (\(known.count))")
      }
    } else if !outcome.noEffect.isEmpty {
      // The process ended between the batch and its resolution.
      try pipeline.record(batch, outcome.noEffect)
      if batch.firstPosition > projected {
        pipeline.projectorQueue.remember(batch.firstPosition, outcome.noEffect)
      }
    }
  }
}
