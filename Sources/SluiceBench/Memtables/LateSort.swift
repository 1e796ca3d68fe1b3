// Append only, one sort at the end: the least that writing can cost, and nothing to read until then.
// Unsafe by nature: named in the tidy test.

final class LateSort: MemtableStructure {
  static let title = "append, one sort"
  static let hasPointReads = false
  private var entries = SortedRun(capacity: 1 << 12)
  /// What the sort has held beside the entries.
  private var scratchBytes = 0

  deinit { entries.base.deallocate() }

  var byteCount: Int { entries.capacity * MemoryLayout<MemtableEntry>.stride + scratchBytes }

  func insert(_ batch: UnsafeBufferPointer<MemtableEntry>) {
    guard let start = batch.baseAddress else { return }
    if entries.count + batch.count > entries.capacity { grow(batch.count) }
    entries.end.initialize(from: start, count: batch.count)
    entries.count += batch.count
  }

  private func grow(_ size: Int) {
    var larger = SortedRun(capacity: max(entries.capacity * 2, entries.count + size))
    larger.base.initialize(from: entries.base, count: entries.count)
    larger.count = entries.count
    entries.base.deallocate()
    entries = larger
  }

  func seal() {
    if isSorted(entries.base, count: entries.count) { return }
    let scratch = SortedRun(capacity: entries.count)
    sortEntries(entries.base, count: entries.count, scratch: scratch.base)
    scratch.base.deallocate()
    scratchBytes = scratch.capacity * MemoryLayout<MemtableEntry>.stride
  }

  func find(_ order: UInt128, _ tail: UInt32) -> UnsafeRawPointer? { entries.find(order, tail) }

  func walk(_ visit: (UInt128, UInt32, UnsafeRawPointer) -> Void) {
    var entry = entries.base
    while entry < entries.end {
      visit(entry.pointee.order, entry.pointee.tail, entry.pointee.record)
      entry += 1
    }
  }
}
