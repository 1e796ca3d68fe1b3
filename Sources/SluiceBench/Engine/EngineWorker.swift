// One thread of a workload: its session, what it does, what it counts. The loops are those of peerbench: the time of an
// operation goes from the end of the one before to its own end, the making of keys and values included.
// Unsafe by nature (keys and values in raw memory): named in the tidy test.
import SluiceSystem
import Synchronization

/// What one thread counted.
struct EngineTally {
  var operations: UInt64 = 0
  var found: UInt64 = 0
  var scanned: UInt64 = 0
  /// Reads that did not give what was written.
  var bad: UInt64 = 0
  /// Rows written.
  var writes: UInt64 = 0
  var latencies = LatencyHistogram()

  mutating func merge(_ other: EngineTally) {
    operations += other.operations
    found += other.found
    scanned += other.scanned
    bad += other.bad
    writes += other.writes
    latencies.merge(other.latencies)
  }
}

/// What the threads of a run share.
final class EngineShared: Sendable {
  /// The number of the next key that a YCSB mix inserts; 0 until there was one.
  let nextKey = Atomic<UInt64>(0)
  /// Tells the writer beside a reader to end.
  let isStopped = Atomic<Bool>(false)
}

/// The numbers of a workload, for all its threads.
struct EngineJob: Sendable {
  let rowCount: UInt64
  let operationCount: UInt64
  let threadCount: UInt64
  let batch: UInt64
  let values: ValueGenerator
  /// When the workload began.
  var begin: UInt64 = 0
  /// How long it may last; nil when it has no limit.
  let limitNanoseconds: Double?

  @inline(__always)
  func isOver(_ now: UInt64) -> Bool {
    guard let limitNanoseconds else { return false }
    return Double(now &- begin) > limitNanoseconds
  }
}

/// The order in which a fill writes keys.
enum FillOrder {
  case rising
  /// Each key once, in the order of a seed.
  case random(seed: UInt64)
}

/// Its state belongs to the thread that runs it until that thread is joined.
final class EngineWorker: @unchecked Sendable {
  let index: UInt64
  var job: EngineJob
  let shared: EngineShared
  let session: any KeyValuePeerSession
  var tally = EngineTally()
  private(set) var failure: (any Error)?

  init(index: UInt64, job: EngineJob, shared: EngineShared, session: any KeyValuePeerSession) {
    self.index = index
    self.job = job
    self.shared = shared
    self.session = session
  }

  /// Runs `body` and the session's end; keeps the error for the thread that joins.
  func perform(_ body: (EngineWorker) throws -> Void) {
    do {
      try body(self)
      try session.finish()
    } catch {
      failure = error
      shared.isStopped.store(true, ordering: .relaxed)
    }
  }

  @inline(__always)
  func count(since last: inout UInt64) {
    let now = nowNanoseconds()
    tally.latencies.add(now &- last)
    last = now
  }

  /// Writes this thread's part of the keys in batches; with `isEndless`, all keys again and again until stopped.
  func fill(_ order: FillOrder, isEndless: Bool = false) throws {
    let count = job.rowCount
    let low = isEndless ? 0 : count * index / job.threadCount
    let high = isEndless ? count : count * (index + 1) / job.threadCount
    let rows = RowBatch(capacity: Int(job.batch), values: job.values)
    var isRandom = false
    var permutation = Permutation(count: count, seed: 0)
    if case .random(let seed) = order {
      isRandom = true
      permutation = Permutation(count: count, seed: seed)
    }
    var last = nowNanoseconds()
    var place = low
    while place < high {
      let size = min(job.batch, high - place)
      for step in 0..<size {
        rows.set(Int(step), isRandom ? permutation(place &+ step) : place &+ step)
      }
      try rows.put(Int(size), session)
      self.count(since: &last)
      tally.operations &+= size
      tally.writes &+= size
      place += size
      if job.isOver(last) || shared.isStopped.load(ordering: .relaxed) { break }
      if isEndless, place >= high { place = low }
    }
  }

  /// Reads random keys with `mark`. With `stopsOthers`, tells the writer beside it to end.
  func read(mark: UInt8, operations: UInt64, stopsOthers: Bool = false) throws {
    var random = XorshiftStream(seed: EngineRun.seed + 1000 + index)
    let rows = RowBatch(capacity: 1, values: job.values)
    var value = ByteBuffer(capacity: job.values.sizeBytes)
    var last = nowNanoseconds()
    for _ in 0..<operations {
      let id = random.below(job.rowCount)
      makeKey(rows.keys, id, mark: mark)
      if try session.get(rows.key, into: &value) {
        tally.found &+= 1
        if !isValue(of: id, value) { tally.bad &+= 1 }
      }
      count(since: &last)
      tally.operations &+= 1
      if job.isOver(last) { break }
    }
    if stopsOthers { shared.isStopped.store(true, ordering: .relaxed) }
  }

  /// Walks all rows.
  func scan() throws {
    tally.scanned = UInt64(try session.scan(from: nil, limit: .max).rows)
    tally.operations = tally.scanned
    tally.latencies.add(nowNanoseconds() &- job.begin)
  }

  @inline(__always)
  func isValue(of id: UInt64, _ value: borrowing ByteBuffer) -> Bool {
    value.count == job.values.sizeBytes && UInt64(littleEndian: value.base.load(as: UInt64.self)) == id
  }
}

/// Memory for the keys and values of one batch, filled again for each.
final class RowBatch {
  let keys: UnsafeMutableRawPointer
  let values: UnsafeMutableRawPointer
  private let generator: ValueGenerator

  init(capacity: Int, values generator: ValueGenerator) {
    self.generator = generator
    keys = .allocate(byteCount: capacity * keySizeBytes, alignment: 16)
    values = .allocate(byteCount: capacity * generator.sizeBytes, alignment: 16)
  }

  deinit {
    keys.deallocate()
    values.deallocate()
  }

  /// The first key.
  var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: keys, count: keySizeBytes) }

  /// Makes row `place` the row of key `id`.
  @inline(__always)
  func set(_ place: Int, _ id: UInt64, mark: UInt8 = storedMark) {
    makeKey(keys + place &* keySizeBytes, id, mark: mark)
    generator.fill(values + place &* generator.sizeBytes, id)
  }

  /// Writes the first `count` rows as one unit.
  @inline(__always)
  func put(_ count: Int, _ session: any KeyValuePeerSession) throws {
    try session.put(
      keys: UnsafeRawBufferPointer(start: keys, count: count * keySizeBytes),
      values: UnsafeRawBufferPointer(start: values, count: count * generator.sizeBytes), count: count)
  }
}
