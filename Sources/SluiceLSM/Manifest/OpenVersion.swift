// A version with its tables open, laid out for point reads: the filters of all runs are asked side by side, so that
// their cache misses overlap. Immutable (`@unchecked Sendable`). Unsafe by nature: named in the tidy test.
import SluiceSystem

/// What a thread needs for point reads, kept between them.
public struct LookupScratch: ~Copyable {
  fileprivate(set) var cursor = BlockCursor()
  fileprivate var candidates: UnsafeMutablePointer<Int>
  fileprivate var room = 16

  public init() { candidates = .allocate(capacity: room) }

  deinit { candidates.deallocate() }

  fileprivate mutating func makeRoom(for count: Int) {
    if count <= room { return }
    candidates.deallocate()
    room = count
    candidates = .allocate(capacity: room)
  }
}

final class OpenVersion: @unchecked Sendable {
  /// A table, with what decides whether it is asked at hand.
  private struct Place {
    var table: Unmanaged<Table>
    var filter: Unmanaged<Filter>
    var largest: SearchKey
  }

  let version: Version
  /// In the order in which a reader asks: newest run first.
  let runs: [[Table]]
  private let counters: ReadCounters
  /// The tables of all runs, one run behind the other.
  private let places: UnsafeMutablePointer<Place>
  /// For each run the end of its places.
  private let ends: UnsafeMutablePointer<Int>
  private let runCount: Int
  /// Faults of all mappings when none of these tables had one; no such count when one had.
  private let faults: UInt64

  init(_ version: Version, tables: [UInt64: Table], counters: ReadCounters) {
    self.version = version
    self.counters = counters
    runs = version.levels.flatMap { level in
      level.reversed().map { run in run.tables.compactMap { tables[$0.number] } }
    }
    runCount = runs.count
    let faults = FileMapping.faultCount
    self.faults = runs.contains { $0.contains(where: \.hasFaulted) } ? .max : faults
    places = .allocate(capacity: max(runs.reduce(0) { $0 + $1.count }, 1))
    ends = .allocate(capacity: max(runs.count, 1))
    var count = 0
    for (number, run) in runs.enumerated() {
      for table in run {
        // `runs` keeps the tables, and they their filters.
        places[count] = Place(
          table: .passUnretained(table), filter: .passUnretained(table.filter), largest: table.largest)
        count += 1
      }
      ends[number] = count
    }
  }

  deinit {
    places.deallocate()
    ends.deallocate()
  }

  /// The newest version of `key` at or below `trailer` in the tables, or nil. A cache miss a run for the filters, which
  /// overlap, then usually one block.
  @inline(__always)
  func find(
    _ key: SearchKey, trailer: UInt64, _ scratch: inout LookupScratch
  ) throws(EngineError) -> FoundEntry? {
    runCount == 0 ? nil : try findInRuns(key, trailer: trailer, &scratch)
  }

  private func findInRuns(
    _ key: SearchKey, trailer: UInt64, _ scratch: inout LookupScratch
  ) throws(EngineError) -> FoundEntry? {
    let hash = SluiceSystem.hash(key.bytes)
    scratch.makeRoom(for: runCount)
    let candidates = scratch.candidates
    var count = 0
    var start = 0
    for run in 0..<runCount {
      let place = firstPlace(start, ends[run], atOrBehind: key)
      if place < ends[run] {
        if !places[place].filter._withUnsafeGuaranteedRef({ $0.isLoaded }) {
          try places[place].table.takeUnretainedValue().loadFilter()
        }
        prefetch(places[place].filter._withUnsafeGuaranteedRef { $0.line(hash) })
        candidates[count] = place
        count &+= 1
      }
      start = ends[run]
    }
    counters.lookups.add(1)
    counters.filterChecks.add(UInt64(count))
    var rejections: UInt64 = 0
    defer { counters.filterRejections.add(rejections) }
    for index in 0..<count {
      let place = places + candidates[index]
      guard place.pointee.filter._withUnsafeGuaranteedRef({ $0.mayContain(hash) }) else {
        rejections &+= 1
        continue
      }
      let table = place.pointee.table.takeUnretainedValue()
      if let found = try table.find(key, trailer: trailer, cursor: &scratch.cursor) { return found }
      counters.filterErrors.add(1)
    }
    return nil
  }

  /// Throws when a page of some table could not be read: what was read of it counts for nothing. About 1 ns.
  @inline(__always)
  func checkMappings() throws(EngineError) {
    if FileMapping.faultCount != faults { try findFault() }
  }

  @inline(never)
  private func findFault() throws(EngineError) {
    for run in runs { for table in run { try table.checkMapping() } }
  }

  /// The first of the places from `start` to `end` whose largest key is at or behind `key`.
  @inline(__always)
  private func firstPlace(_ start: Int, _ end: Int, atOrBehind key: SearchKey) -> Int {
    var low = start
    var high = end
    while low < high {
      let middle = (low &+ high) / 2
      if precedes(places[middle].largest, key) { low = middle &+ 1 } else { high = middle }
    }
    return low
  }
}

/// Whether key `a` stands before key `b`.
@inline(__always)
func precedes(_ a: SearchKey, _ b: SearchKey) -> Bool {
  if a.table != b.table { return a.table < b.table }
  if a.order != b.order { return a.order < b.order }
  return compareKeyTails(a.bytes.baseAddress, a.bytes.count, b.bytes.baseAddress, b.bytes.count) < 0
}

/// Index of the first table whose largest key is at or behind `key`; the count when there is none.
func firstTable(_ tables: [Table], atOrBehind key: SearchKey) -> Int {
  var low = 0
  var high = tables.count
  while low < high {
    let middle = (low + high) / 2
    if precedes(tables[middle].largest, key) { low = middle + 1 } else { high = middle }
  }
  return low
}
