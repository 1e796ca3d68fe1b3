// Sorted runs of at most 16 Ki entries for order, and a hash index for point reads. An entry is moved five or six times
// whatever the size of the memtable; the walk merges all the runs.
// Unsafe by nature: named in the tidy test.

final class IndexedRuns: MemtableStructure {
  static let title = "runs to 16 Ki, hash index"
  static let hasPointReads = true

  /// Open addressing with linear probing, at most 70 % full. The hash is kept, so that growing touches no key.
  private struct Place {
    var hash: UInt64
    /// The entry in the batch; nil for a free place.
    var entry: MemtableEntries?
  }

  private var list = SortedRunList(limit: 1 << 14)
  private var places: UnsafeMutablePointer<Place>
  private var mask = (1 << 12) - 1
  private var used = 0

  init() {
    places = .allocate(capacity: mask + 1)
    places.initialize(repeating: Place(hash: 0, entry: nil), count: mask + 1)
  }

  deinit {
    list.deallocate()
    places.deallocate()
  }

  func seal() {}
  var byteCount: Int { list.byteCount + (mask + 1) * MemoryLayout<Place>.stride }
  func walk(_ visit: (UInt128, UInt32, UnsafeRawPointer) -> Void) { list.walk(visit) }

  func insert(_ batch: UnsafeBufferPointer<MemtableEntry>) {
    list.add(batch)
    while (used + batch.count) * 10 > (mask + 1) * 7 { grow() }
    guard var entry = batch.baseAddress else { return }
    let end = entry + batch.count
    while entry < end {
      put(Place(hash: Self.hash(entry.pointee.order, entry.pointee.tail), entry: entry))
      entry += 1
    }
    used += batch.count
  }

  func find(_ order: UInt128, _ tail: UInt32) -> UnsafeRawPointer? {
    let hash = Self.hash(order, tail)
    var index = Int(truncatingIfNeeded: hash) & mask
    while let entry = places[index].entry {
      if places[index].hash == hash, entry.pointee.order == order, entry.pointee.tail == tail {
        return entry.pointee.record
      }
      index = (index &+ 1) & mask
    }
    return nil
  }

  @inline(__always)
  private static func hash(_ order: UInt128, _ tail: UInt32) -> UInt64 {
    let low = UInt64(truncatingIfNeeded: order)
    let high = UInt64(truncatingIfNeeded: order >> 64)
    return mix64(low ^ high &* 0x9e37_79b9_7f4a_7c15 ^ UInt64(tail) << 29)
  }

  @inline(__always)
  private func put(_ new: Place) {
    var index = Int(truncatingIfNeeded: new.hash) & mask
    while places[index].entry != nil { index = (index &+ 1) & mask }
    places[index] = new
  }

  private func grow() {
    let old = places
    let count = mask + 1
    mask = count * 2 - 1
    places = .allocate(capacity: mask + 1)
    places.initialize(repeating: Place(hash: 0, entry: nil), count: mask + 1)
    for index in 0..<count where old[index].entry != nil { put(old[index]) }
    old.deallocate()
  }
}
