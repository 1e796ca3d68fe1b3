// What the compared memtables hold, and the sorting and merging that several of them share. A key is 20 bytes: a table
// id and the 16 bytes of the engine workloads' keys. It stands whole in the entry, so no structure pays for a miss in
// batch memory to compare, and what differs between them is their shape alone.
// Unsafe by nature: named in the tidy test.

/// One entry: 32 bytes.
struct MemtableEntry {
  /// The first 16 bytes of the key as a big-endian number.
  var order: UInt128
  /// The bytes behind them.
  var tail: UInt32
  var valueSize: UInt32
  /// Where key and value stand in batch memory.
  var record: UnsafeRawPointer
}

typealias MemtableEntries = UnsafePointer<MemtableEntry>

/// A structure that is compared. A batch is in the order of its arrival; keys are all different.
protocol MemtableStructure: AnyObject {
  static var title: String { get }
  /// Whether `find` works before `seal`; else only the sort is measured.
  static var hasPointReads: Bool { get }
  init()
  /// Takes in a batch, whose memory stays.
  func insert(_ batch: UnsafeBufferPointer<MemtableEntry>)
  /// Ends writing: what must be done before a walk.
  func seal()
  /// The record of a key, or nil.
  func find(_ order: UInt128, _ tail: UInt32) -> UnsafeRawPointer?
  /// Visits all entries in the order of their keys.
  func walk(_ visit: (_ order: UInt128, _ tail: UInt32, _ record: UnsafeRawPointer) -> Void)
  /// Bytes of memory that it holds.
  var byteCount: Int { get }
}

/// Whether key (a, aTail) stands before key (b, bTail). Arithmetic, no branches: in a merge it is a coin.
@inline(__always)
func keyPrecedes(_ a: UInt128, _ aTail: UInt32, _ b: UInt128, _ bTail: UInt32) -> Bool {
  let less: UInt8 = a < b ? 1 : 0
  let equal: UInt8 = a == b ? 1 : 0
  let tailLess: UInt8 = aTail < bTail ? 1 : 0
  return less | (equal & tailLess) != 0
}

@inline(__always)
func precedes(_ a: MemtableEntries, _ b: MemtableEntries) -> Bool {
  keyPrecedes(a.pointee.order, a.pointee.tail, b.pointee.order, b.pointee.tail)
}

/// Whether `count` entries are in order.
func isSorted(_ entries: MemtableEntries, count: Int) -> Bool {
  var index = 1
  while index < count {
    if !precedes(entries + (index &- 1), entries + index) { return false }
    index &+= 1
  }
  return true
}

/// Merges two sorted slices into `target`, about 3 ns an entry.
@inline(__always)
func mergeEntries(
  _ a: MemtableEntries, _ aCount: Int, _ b: MemtableEntries, _ bCount: Int,
  into target: UnsafeMutablePointer<MemtableEntry>
) {
  var a = a
  var b = b
  var target = target
  let aEnd = a + aCount
  let bEnd = b + bCount
  while a < aEnd, b < bEnd {
    let step = precedes(b, a) ? 1 : 0
    let source = step == 1 ? b : a
    target.initialize(to: source.pointee)
    b += step
    a += 1 &- step
    target += 1
  }
  if a < aEnd { target.initialize(from: a, count: aEnd - a) }
  if b < bEnd { target.initialize(from: b, count: bEnd - b) }
}

/// Sorts `count` entries by merging, from insertion-sorted groups of eight; a look suffices when they are in order.
/// `scratch` has room for as many.
func sortEntries(
  _ base: UnsafeMutablePointer<MemtableEntry>, count: Int, scratch: UnsafeMutablePointer<MemtableEntry>
) {
  if isSorted(base, count: count) { return }
  let group = 8
  for start in stride(from: 0, to: count, by: group) { sortGroup(base + start, count: min(group, count - start)) }
  var source = base
  var target = scratch
  var width = group
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
  if source != base { base.update(from: source, count: count) }
}

@inline(__always)
private func sortGroup(_ base: UnsafeMutablePointer<MemtableEntry>, count: Int) {
  var next = 1
  while next < count {
    let entry = base[next]
    var place = next
    while place > 0, keyPrecedes(entry.order, entry.tail, base[place &- 1].order, base[place &- 1].tail) {
      base[place] = base[place &- 1]
      place &-= 1
    }
    base[place] = entry
    next &+= 1
  }
}
