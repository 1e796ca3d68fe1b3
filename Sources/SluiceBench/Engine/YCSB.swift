// The six mixes of YCSB (Cooper et al., Benchmarking cloud serving systems with YCSB, SoCC 2010), one row a write:
// A half updates, B 5 % updates, C reads only, D reads of the newest and 5 % inserts, E short scans and 5 % inserts,
// F half read-modify-writes. Keys are chosen by Zipf's law.
import SluiceSystem

/// What the operations that are not plain reads do, and how many of a hundred are reads or scans.
struct YCSBMix: Sendable {
  enum Kind: Sendable { case update, newest, scan, modify }

  let kind: Kind
  let readPercent: UInt64

  init?(_ workload: EngineWorkload) {
    switch workload {
    case .ycsba: (kind, readPercent) = (.update, 50)
    case .ycsbb: (kind, readPercent) = (.update, 95)
    case .ycsbc: (kind, readPercent) = (.update, 100)
    case .ycsbd: (kind, readPercent) = (.newest, 95)
    case .ycsbe: (kind, readPercent) = (.scan, 95)
    case .ycsbf: (kind, readPercent) = (.modify, 50)
    default: return nil
    }
  }
}

extension EngineWorker {
  func mix(_ mix: YCSBMix, _ ranks: ZipfDistribution) throws {
    var random = XorshiftStream(seed: EngineRun.seed + 77 + index)
    let rows = RowBatch(capacity: 1, values: job.values)
    var value = ByteBuffer(capacity: job.values.sizeBytes)
    var last = nowNanoseconds()
    for _ in 0..<job.operationCount / job.threadCount {
      let isRead = random.below(100) < mix.readPercent
      let next = shared.nextKey.load(ordering: .relaxed)
      let rank = ranks.rank(&random)
      let newest = rank < next ? next - 1 - rank : 0
      let id = mix.kind == .newest ? newest : mix64(rank) % job.rowCount
      switch (mix.kind, isRead) {
      case (.scan, true):
        makeKey(rows.keys, id)
        let found = try session.scan(from: rows.key, limit: Int(1 + random.below(100)))
        tally.scanned &+= UInt64(found.rows)
      case (_, true):
        // The newest key may be another thread's that is not written yet.
        try readBack(id, rows, &value, mayBeMissing: mix.kind == .newest)
      case (.newest, false), (.scan, false):
        try write(shared.nextKey.wrappingAdd(1, ordering: .relaxed).oldValue, rows)
      case (.modify, false):
        try readBack(id, rows, &value, mayBeMissing: false)
        try write(id, rows)
      case (.update, false):
        try write(id, rows)
      }
      count(since: &last)
      tally.operations &+= 1
      if job.isOver(last) { break }
    }
  }

  @inline(__always)
  private func write(_ id: UInt64, _ rows: RowBatch) throws {
    rows.set(0, id)
    try rows.put(1, session)
    tally.writes &+= 1
  }

  @inline(__always)
  private func readBack(_ id: UInt64, _ rows: RowBatch, _ value: inout ByteBuffer, mayBeMissing: Bool) throws {
    makeKey(rows.keys, id)
    if try session.get(rows.key, into: &value) {
      tally.found &+= 1
      if !isValue(of: id, value) { tally.bad &+= 1 }
    } else if !mayBeMissing {
      tally.bad &+= 1
    }
  }
}
