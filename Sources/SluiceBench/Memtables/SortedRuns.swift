// Sorted runs: each batch is sorted on its own and becomes a run; runs of similar size are merged as a binary counter
// carries, up to a size. Readers could be given the runs as they are, for a run never changes. A batch that goes on
// where the last run ends extends it in place.
// Unsafe by nature: named in the tidy test.

/// A sorted slice with room behind it.
struct SortedRun {
  let base: UnsafeMutablePointer<MemtableEntry>
  var count: Int
  let capacity: Int

  init(capacity: Int) {
    base = .allocate(capacity: capacity)
    count = 0
    self.capacity = capacity
  }

  var end: UnsafeMutablePointer<MemtableEntry> { base + count }
  var last: MemtableEntries { MemtableEntries(base + (count - 1)) }
  var sizeClass: Int { Int.bitWidth - count.leadingZeroBitCount }

  /// The record of a key, or nil. The ends first: of runs that follow one another all but one are passed over.
  @inline(__always)
  func find(_ order: UInt128, _ tail: UInt32) -> UnsafeRawPointer? {
    if keyPrecedes(order, tail, base.pointee.order, base.pointee.tail) { return nil }
    if keyPrecedes(last.pointee.order, last.pointee.tail, order, tail) { return nil }
    var low = base
    var rest = count
    while rest > 1 {
      let half = rest / 2
      let middle = low + half
      low += keyPrecedes(order, tail, middle.pointee.order, middle.pointee.tail) ? 0 : half
      rest -= half
    }
    return low.pointee.order == order && low.pointee.tail == tail ? low.pointee.record : nil
  }
}

/// The runs of a memtable.
struct SortedRunList {
  /// A run of this size is merged no more.
  let limit: Int
  private(set) var runs: [SortedRun] = []
  private var scratch = SortedRun(capacity: 1024)

  init(limit: Int) { self.limit = limit }

  func deallocate() {
    for run in runs { run.base.deallocate() }
    scratch.base.deallocate()
  }

  var byteCount: Int {
    runs.reduce(scratch.capacity) { $0 + $1.capacity } * MemoryLayout<MemtableEntry>.stride
  }

  mutating func add(_ batch: UnsafeBufferPointer<MemtableEntry>) {
    guard let start = batch.baseAddress, batch.count > 0 else { return }
    let before = runs.last
    let goesOn = before.map { precedes($0.last, start) } ?? true && isSorted(start, count: batch.count)
    if goesOn, let before, before.count + batch.count <= before.capacity {
      before.end.initialize(from: start, count: batch.count)
      runs[runs.count - 1].count += batch.count
      return
    }
    // Where keys rise, room to be extended.
    let room = goesOn ? max(batch.count * 2, min((before?.count ?? 0) * 2, 1 << 15)) : batch.count
    var run = SortedRun(capacity: room)
    run.base.initialize(from: start, count: batch.count)
    run.count = batch.count
    if scratch.capacity < batch.count {
      scratch.base.deallocate()
      scratch = SortedRun(capacity: batch.count)
    }
    sortEntries(run.base, count: run.count, scratch: scratch.base)
    runs.append(run)
    carry()
  }

  private mutating func carry() {
    while runs.count > 1 {
      let newest = runs[runs.count - 1]
      let older = runs[runs.count - 2]
      if newest.sizeClass < older.sizeClass || older.count >= limit { return }
      // Rising data: runs that follow one another stay, and a reader finds the right one by its ends.
      if older.count >= 1 << 14, precedes(older.last, newest.base) { return }
      var merged = SortedRun(capacity: older.count + newest.count)
      mergeEntries(older.base, older.count, newest.base, newest.count, into: merged.base)
      merged.count = older.count + newest.count
      older.base.deallocate()
      newest.base.deallocate()
      runs.removeLast(2)
      runs.append(merged)
    }
  }

  /// All entries in order, by a tree of losers: log2(runs) comparisons an entry (Knuth, volume 3, 5.4.1).
  func walk(_ visit: (UInt128, UInt32, UnsafeRawPointer) -> Void) {
    var width = 1
    while width < runs.count { width *= 2 }
    let sentinel = SortedRun(capacity: 1)
    let cursors = UnsafeMutablePointer<MemtableEntries>.allocate(capacity: width)
    let losers = UnsafeMutablePointer<Int>.allocate(capacity: width)
    defer {
      sentinel.base.deallocate()
      cursors.deallocate()
      losers.deallocate()
    }
    // Behind every key: a run that is used up loses against all others.
    sentinel.base.initialize(
      to: MemtableEntry(order: .max, tail: .max, valueSize: 0, record: UnsafeRawPointer(sentinel.base)))
    cursors.initialize(repeating: MemtableEntries(sentinel.base), count: width)
    for (index, run) in runs.enumerated() { cursors[index] = MemtableEntries(run.base) }
    var winner = Self.play(1, width, cursors, losers)
    for _ in 0..<runs.reduce(0, { $0 + $1.count }) {
      let entry = cursors[winner]
      visit(entry.pointee.order, entry.pointee.tail, entry.pointee.record)
      cursors[winner] = entry + 1 == MemtableEntries(runs[winner].end) ? MemtableEntries(sentinel.base) : entry + 1
      var node = (winner + width) / 2
      while node > 0 {
        let loser = losers[node]
        if precedes(cursors[loser], cursors[winner]) {
          losers[node] = winner
          winner = loser
        }
        node /= 2
      }
    }
  }

  /// Plays the matches below `node`, notes their losers, returns the winner.
  private static func play(
    _ node: Int, _ width: Int, _ cursors: UnsafeMutablePointer<MemtableEntries>, _ losers: UnsafeMutablePointer<Int>
  ) -> Int {
    if node >= width { return node - width }
    let left = play(node * 2, width, cursors, losers)
    let right = play(node * 2 + 1, width, cursors, losers)
    let rightWins = precedes(cursors[right], cursors[left])
    losers[node] = rightWins ? left : right
    return rightWins ? right : left
  }
}

/// Runs merged without a limit: about log2(batches) runs, of which a point read looks into each.
final class CountedRuns: MemtableStructure {
  static let title = "runs, binary counter"
  static let hasPointReads = true
  private var list = SortedRunList(limit: .max)

  deinit { list.deallocate() }

  func insert(_ batch: UnsafeBufferPointer<MemtableEntry>) { list.add(batch) }
  func seal() {}
  var byteCount: Int { list.byteCount }
  func walk(_ visit: (UInt128, UInt32, UnsafeRawPointer) -> Void) { list.walk(visit) }

  func find(_ order: UInt128, _ tail: UInt32) -> UnsafeRawPointer? {
    list.runs.withUnsafeBufferPointer { runs in
      // The last of the list are the newest.
      var place = runs.count &- 1
      while place >= 0 {
        if let record = runs[place].find(order, tail) { return record }
        place &-= 1
      }
      return nil
    }
  }
}
