// Applying again what the log holds behind the flushed positions, by whoever opens a store: outcomes that are recorded
// hold, others are computed, and must be the same wherever both are known.
import SluiceLSM
import SluiceLog

/// A part of the log, on its way into engines of which some hold more of it than others.
struct ReplayedLog {
  typealias NoEffectList = [(index: UInt32, reason: UInt8)]
  /// What was recorded, by the first position of the batch.
  typealias Resolutions = [UInt64: NoEffectList]

  let resolver: Resolver
  /// The highest flushed position of any shard.
  let flushed: UInt64
  let recorded: Resolutions

  /// All resolutions in a part of the log: each stands somewhere behind its batch.
  static func resolutions(_ reader: LogReader) throws(LogError) -> Resolutions {
    var recorded: Resolutions = [:]
    while let record = try reader.next() {
      if case .resolution(let resolution) = record {
        recorded[resolution.batchFirstPosition] = resolution.rejected
      }
    }
    return recorded
  }

  /// Applies the next batch; returns the commands without effect, and whether they are recorded already. `foldingFrom`
  /// as in `Resolver.resolve`.
  func apply(
    _ batch: Batch, foldingFrom: UInt64? = nil
  ) throws(StoreError) -> (noEffect: NoEffectList, isRecorded: Bool) {
    let known = recorded[batch.firstPosition]
    if batch.lastPosition <= flushed {
      // Some shard has it in tables already, so asking whether a key exists would find the row itself.
      try resolver.replay(batch, noEffect: known ?? [])
      return (known ?? [], true)
    }
    let outcome = try resolver.resolve(batch, foldingFrom: foldingFrom)
    guard let known else { return (outcome.noEffect, outcome.noEffect.isEmpty) }
    guard known.elementsEqual(outcome.noEffect, by: { $0 == $1 }) else {
      throw StoreError(
        .corrupt,
        "positions \(batch.firstPosition) to \(batch.lastPosition): applying them again gives another outcome "
          + "(\(outcome.noEffect.count) commands without effect) than the log records (\(known.count))")
    }
    return (known, true)
  }
}
