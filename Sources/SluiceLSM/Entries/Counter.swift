// A number that many threads count up and anybody reads. Not ordered with anything else.
import Synchronization

/// Counts up from 0. `add` takes about 5 ns.
final class Counter: Sendable {
  private let number = Atomic<UInt64>(0)

  @inline(__always)
  func add(_ count: UInt64) { number.wrappingAdd(count, ordering: .relaxed) }

  var value: UInt64 { number.load(ordering: .relaxed) }
}

/// What reading an engine has cost since it was opened.
final class ReadCounters: Sendable {
  /// Point reads that went to tables.
  let lookups = Counter()
  /// Filters asked, and how many of them said no.
  let filterChecks = Counter()
  let filterRejections = Counter()
  /// Filters that said yes for a table without the key.
  let filterErrors = Counter()
  /// Blocks found in the cache, and blocks read from files (those of scans too).
  let cacheHits = Counter()
  let blockReads = Counter()
}
