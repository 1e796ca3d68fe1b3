// Writes that arrive at a fixed rate whether or not the store keeps up, as the clients of a server do. A latency counts
// from the moment the rows should have come, so a store that pauses pays for all that waited meanwhile (what a loop
// that only sends after the last answer leaves out: "coordinated omission").

/// Marks of keys that openloop stores, one for each time it comes in a list: its keys are never there before.
let openLoopMarks = Array("1234".utf8)

/// How long openloop lasts when no limit is given.
let openLoopSeconds = 10.0

extension EngineWorker {
  /// Batches of new keys, spread over all of the store, at `rate` rows a second over all threads. Every batch that
  /// should come within `seconds` is written, however late.
  func openLoop(rate: Double, seconds: Double, mark: UInt8) throws {
    let batchSeconds = Double(job.batch) / rate
    let batchCount = UInt64(max(1, seconds / batchSeconds))
    let domain = max(job.rowCount, batchCount * job.batch)
    let permutation = Permutation(count: domain, seed: 4)
    let rows = RowBatch(capacity: Int(job.batch), values: job.values)
    var number = index
    while number < batchCount {
      for step in 0..<job.batch { rows.set(Int(step), permutation(number &* job.batch &+ step), mark: mark) }
      let arrival = job.begin &+ UInt64(Double(number) * batchSeconds * 1e9)
      waitUntil(nanoseconds: arrival)
      try rows.put(Int(job.batch), session)
      tally.latencies.add(nowNanoseconds() &- arrival)
      tally.operations &+= job.batch
      tally.writes &+= job.batch
      number += job.threadCount
    }
  }
}
