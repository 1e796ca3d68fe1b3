// Sorted runs of memtable entries: the memory side of the engine.
//
// An entry is 48 bytes and points into batch memory, where the value stands behind its key: it copies neither. A run is
// a slice of a storage that only the applier writes, and only behind the slices that readers were given; so a run never
// changes, and a rising batch extends its predecessor without moving it. `@unchecked Sendable` rests on that.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// One version of one key in a memtable: 48 bytes.
struct MemoryEntry {
  var order: UInt128
  /// Where the key begins; the value follows it.
  var key: UnsafeRawPointer
  var trailer: UInt64
  var table: UInt32
  var keySize: UInt32
  var valueSize: UInt32

  @inline(__always)
  var keyBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: key, count: Int(keySize)) }
  @inline(__always)
  var valueBytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: key + Int(keySize), count: Int(valueSize))
  }
}

typealias MemoryEntries = UnsafePointer<MemoryEntry>

/// Memory for `capacity` entries. Entries need no clean-up, so only the memory is given back.
final class RunStorage: @unchecked Sendable {
  let base: UnsafeMutablePointer<MemoryEntry>
  let capacity: Int
  /// Entries whose memory the system was asked for.
  private var preparedCount = 0
  /// Entries that are prepared at once: 384 KiB.
  private static let preparedStep = 8 << 10

  init(capacity: Int) {
    self.capacity = capacity
    base = .allocate(capacity: max(capacity, 1))
  }

  /// Asks for the memory of entries up to `count`, which will be written soon. Whoever writes the storage.
  func prepare(upTo count: Int) {
    while preparedCount < min(count, capacity) {
      let size = min(Self.preparedStep, capacity - preparedCount)
      prefault(
        UnsafeMutableRawBufferPointer(start: base + preparedCount, count: size * MemoryLayout<MemoryEntry>.stride))
      preparedCount += size
    }
  }

  deinit { base.deallocate() }
}

/// Whether two entries are versions of one key.
@inline(__always)
func isSameKey(_ a: MemoryEntry, _ b: MemoryEntry) -> Bool {
  a.order == b.order && a.table == b.table && a.keySize == b.keySize
    && (a.keySize <= UInt32(rankSize) || compareKeyTails(a.key, Int(a.keySize), b.key, Int(b.keySize)) == 0)
}

/// Whether `a` stands before `b`: key ascending, then position descending.
@inline(__always)
func precedes(_ a: MemoryEntries, _ b: MemoryEntries) -> Bool {
  if a.pointee.table != b.pointee.table { return a.pointee.table < b.pointee.table }
  let first = a.pointee.order
  let second = b.pointee.order
  if first != second { return first < second }
  return tailPrecedes(a.pointee, b.pointee)
}

@inline(never)
private func tailPrecedes(_ a: MemoryEntry, _ b: MemoryEntry) -> Bool {
  let order = compareKeyTails(a.key, Int(a.keySize), b.key, Int(b.keySize))
  return order != 0 ? order < 0 : a.trailer > b.trailer
}

@inline(__always)
private func orderPrecedes(_ a: MemoryEntry, _ b: MemoryEntry) -> Bool {
  if a.table != b.table { return a.table < b.table }
  return a.order != b.order ? a.order < b.order : tailPrecedes(a, b)
}

/// An immutable sorted slice of a storage; never empty.
struct Run: @unchecked Sendable {
  let storage: RunStorage
  let base: MemoryEntries
  let count: Int

  var end: MemoryEntries { base + count }
  var last: MemoryEntries { base + (count - 1) }
  /// Runs of the same size class are merged, so a memtable has about log2(entries) of them.
  var sizeClass: Int { Int.bitWidth - count.leadingZeroBitCount }

  /// A look at each entry, about 2 ns.
  var tombstoneCount: Int {
    var count = 0
    var entry = base
    while entry < end {
      if isTombstone(entry.pointee.trailer) { count &+= 1 }
      entry += 1
    }
    return count
  }

  /// The first entry at or behind (key, trailer); `end` when there is none. About 20 comparisons at a million entries.
  func lowerBound(_ key: SearchKey, trailer: UInt64) -> MemoryEntries {
    var low = base
    var rest = count
    while rest > 0 {
      let half = rest / 2
      let middle = low + half
      if stands(middle, before: key, trailer) {
        low = middle + 1
        rest -= half + 1
      } else {
        rest = half
      }
    }
    return low
  }

  @inline(__always)
  private func stands(_ entry: MemoryEntries, before key: SearchKey, _ trailer: UInt64) -> Bool {
    if entry.pointee.table != key.table { return entry.pointee.table < key.table }
    if entry.pointee.order != key.order { return entry.pointee.order < key.order }
    let tail = compareKeyTails(entry.pointee.key, Int(entry.pointee.keySize), key.bytes.baseAddress, key.bytes.count)
    return tail != 0 ? tail < 0 : entry.pointee.trailer > trailer
  }

  /// The newest version of `key` at or below `trailer`, or nil.
  func find(_ key: SearchKey, trailer: UInt64) -> MemoryEntries? {
    let entry = lowerBound(key, trailer: trailer)
    guard entry < end, entry.pointee.order == key.order, entry.pointee.table == key.table,
      compareKeyTails(entry.pointee.key, Int(entry.pointee.keySize), key.bytes.baseAddress, key.bytes.count) == 0
    else { return nil }
    return entry
  }

  /// Merges two neighbours into a new run; disjoint ones are only copied.
  static func merge(_ a: Run, _ b: Run) -> Run {
    merge(a, b, into: RunStorage(capacity: a.count + b.count))
  }

  /// The same into a storage with room for both, which nobody reads, without the versions that `folding` leaves out.
  static func merge(_ a: Run, _ b: Run, into storage: RunStorage, folding: VersionFolding? = nil) -> Run {
    var count = a.count + b.count
    if precedes(a.last, b.base) {
      storage.base.initialize(from: a.base, count: a.count)
      (storage.base + a.count).initialize(from: b.base, count: b.count)
    } else if precedes(b.last, a.base) {
      storage.base.initialize(from: b.base, count: b.count)
      (storage.base + b.count).initialize(from: a.base, count: a.count)
    } else {
      mergeEntries(a.base, a.count, b.base, b.count, into: storage.base)
      if let folding { count = folding.fold(storage.base, count: count) }
    }
    return Run(storage: storage, base: MemoryEntries(storage.base), count: count)
  }

  /// Runs with the entries of all of `runs` (oldest first), each behind the other: as they are when they follow one
  /// another, as those of rising keys do, else one.
  static func inSequence(_ runs: [Run]) -> [Run] {
    for index in runs.indices.dropFirst() where !precedes(runs[index - 1].last, runs[index].base) {
      return merge(all: runs).map { [$0] } ?? []
    }
    return runs
  }

  /// One run of all of `runs`, smallest first; nil when there are none.
  static func merge(all runs: [Run]) -> Run? {
    var rest = runs
    while rest.count > 1 {
      let newest = rest.removeLast()
      rest[rest.count - 1] = merge(rest[rest.count - 1], newest)
    }
    return rest.first
  }
}

/// Leaves out versions of keys that no reader can ask for, so that keys written again and again do not fill a memtable
/// with what every walk would have to step over.
struct VersionFolding {
  /// No reader will ask for a position below it, nor for one between it and the end of the last batch: so of two
  /// versions of a key on the same side of it the older one is never seen.
  let horizon: UInt64

  /// Moves the entries that stay together; returns how many they are. About 1 ns an entry.
  func fold(_ entries: UnsafeMutablePointer<MemoryEntry>, count: Int) -> Int {
    var kept = 1
    var index = 1
    while index < count {
      let newer = entries + (kept &- 1)
      let entry = entries + index
      if !hides(newer, entry) {
        if kept != index { entries[kept] = entry.pointee }
        kept &+= 1
      }
      index &+= 1
    }
    return min(kept, count)
  }

  @inline(__always)
  private func hides(_ newer: UnsafeMutablePointer<MemoryEntry>, _ entry: UnsafeMutablePointer<MemoryEntry>) -> Bool {
    newer.pointee.order == entry.pointee.order && hidesEqual(newer.pointee, entry.pointee)
  }

  @inline(never)
  private func hidesEqual(_ newer: MemoryEntry, _ entry: MemoryEntry) -> Bool {
    newer.table == entry.table
      && compareKeyTails(newer.key, Int(newer.keySize), entry.key, Int(entry.keySize)) == 0
      && (newer.trailer >> 8 > horizon) == (entry.trailer >> 8 > horizon)
  }
}

/// Merges two sorted slices into `target`. About 3 ns an entry: the choice of the source is arithmetic, not a branch.
@inline(__always)
private func mergeEntries(
  _ a: MemoryEntries, _ aCount: Int, _ b: MemoryEntries, _ bCount: Int,
  into target: UnsafeMutablePointer<MemoryEntry>
) {
  var a = a
  var b = b
  var target = target
  let aEnd = a + aCount
  let bEnd = b + bCount
  while a < aEnd, b < bEnd {
    let takeSecond = precedes(b, a)
    let source = takeSecond ? b : a
    target.initialize(to: source.pointee)
    let step = takeSecond ? 1 : 0
    b += step
    a += 1 &- step
    target += 1
  }
  if a < aEnd {
    target.initialize(from: a, count: aEnd - a)
  } else if b < bEnd {
    target.initialize(from: b, count: bEnd - b)
  }
}

/// Whether `count` entries are in order.
func isSorted(_ entries: MemoryEntries, count: Int) -> Bool {
  var index = 1
  while index < count {
    if !precedes(entries + (index &- 1), entries + index) { return false }
    index &+= 1
  }
  return true
}

/// Sorts `count` entries by merging, from insertion-sorted groups of eight. `scratch` has room for `count` entries.
/// About 40 ns an entry for 2,500 random ones.
func sortEntries(
  _ entries: UnsafeMutablePointer<MemoryEntry>, count: Int, scratch: UnsafeMutablePointer<MemoryEntry>
) {
  var start = 0
  while start < count {
    insertionSort(entries + start, count: min(8, count - start))
    start += 8
  }
  var source = entries
  var target = scratch
  var width = 8
  while width < count {
    var start = 0
    while start < count {
      let first = min(width, count - start)
      let second = min(width, count - start - first)
      mergeEntries(source + start, first, source + start + first, second, into: target + start)
      start += first + second
    }
    swap(&source, &target)
    width *= 2
  }
  if source != entries { entries.update(from: source, count: count) }
}

private func insertionSort(_ entries: UnsafeMutablePointer<MemoryEntry>, count: Int) {
  var index = 1
  while index < count {
    let moving = entries[index]
    var place = index
    while place > 0 {
      let before = entries[place &- 1]
      if !orderPrecedes(moving, before) { break }
      entries[place] = before
      place &-= 1
    }
    entries[place] = moving
    index &+= 1
  }
}
