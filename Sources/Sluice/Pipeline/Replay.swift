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
    invariant(highest <= last, "shards at \(highest), a log that ends at \(last)")
    // Nobody reads before it is applied.
    pipeline.positions.raise(to: last)
    let projected = projectedPosition ?? last
    try convertingErrors {
      let from = min(lowest, projected)
      let recorded = from < last ? try ReplayedLog.resolutions(pipeline.log.reader(after: from, upTo: last)) : [:]
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

  private func apply(
    after position: UInt64, upTo last: UInt64, flushed: UInt64, projected: UInt64, _ recorded: ReplayedLog.Resolutions
  ) throws {
    guard position < last else { return }
    let replayed = ReplayedLog(resolver: resolver, flushed: flushed, recorded: recorded)
    let reader = try pipeline.log.reader(after: position, upTo: last)
    while let record = try reader.next() {
      guard case .commands(let batch, _) = record else { continue }
      let outcome = try replayed.apply(batch)
      if !outcome.isRecorded {
        // The process ended between the batch and its resolution.
        try pipeline.record(batch, outcome.noEffect)
        if batch.firstPosition > projected {
          pipeline.projectorQueue.remember(batch.firstPosition, outcome.noEffect)
        }
      }
      // Below it a generation cannot end: some shard has already been flushed further.
      // Of a store that is only read none ends.
      if batch.lastPosition >= flushed, !pipeline.options.isReadOnly { try pipeline.countGeneration(batch) }
    }
  }
}
