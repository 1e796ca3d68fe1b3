// Merges runs of memory and of tables into one sequence: all versions of all keys, newest version of a key first.
//
// A binary heap of the runs' heads; a head carries the order number of its key, so most comparisons touch no key.
// Buffers of the head are valid until the next step.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// The current entry of one run.
struct MergeHead {
  var order: UInt128
  var key: UnsafeRawBufferPointer
  var trailer: UInt64
  var value: UnsafeRawBufferPointer

  @inline(__always)
  func precedes(_ other: MergeHead) -> Bool {
    if order != other.order { return order < other.order }
    return tailPrecedes(other)
  }

  @inline(never)
  private func tailPrecedes(_ other: MergeHead) -> Bool {
    let tail = compareKeyTails(key.baseAddress, key.count, other.key.baseAddress, other.key.count)
    return tail != 0 ? tail < 0 : trailer > other.trailer
  }
}

/// Used by one thread. Sources are given newest first.
final class Merger {
  private let runs: [Run]
  private let cursors: [RunCursor]
  private let heads: UnsafeMutablePointer<MergeHead>
  private let positions: UnsafeMutablePointer<MemoryEntries>
  /// Sources in heap order: the one with the least head first.
  private let heap: UnsafeMutablePointer<Int>
  private var count = 0
  private var started = false

  init(runs: [Run], tableRuns: [[Table]], usesCache: Bool) {
    self.runs = runs
    cursors = tableRuns.map { RunCursor($0, usesCache: usesCache) }
    let total = max(runs.count + tableRuns.count, 1)
    heads = .allocate(capacity: total)
    positions = .allocate(capacity: max(runs.count, 1))
    heap = .allocate(capacity: total)
  }

  deinit {
    heads.deallocate()
    positions.deallocate()
    heap.deallocate()
  }

  /// The current entry; only after `start` or `next` returned true.
  @inline(__always)
  var head: MergeHead { heads[heap[0]] }

  /// Goes to the first entry at or behind (key, trailer), or to the very first; false when there is none.
  func start(at key: UnsafeRawBufferPointer?, trailer: UInt64 = .max) throws(EngineError) -> Bool {
    count = 0
    for (source, run) in runs.enumerated() {
      positions[source] = key.map { run.lowerBound($0, order: keyOrder($0), trailer: trailer) } ?? run.base
      if positions[source] < run.end {
        setMemoryHead(source)
        push(source)
      }
    }
    for (index, cursor) in cursors.enumerated() {
      let found: Bool
      if let key { found = try cursor.seek(key, trailer: trailer) } else { found = try cursor.first() }
      if found {
        setTableHead(runs.count + index, cursor)
        push(runs.count + index)
      }
    }
    return count > 0
  }

  /// Goes to the next entry; false at the end.
  func next() throws(EngineError) -> Bool {
    guard count > 0 else { return false }
    let source = heap[0]
    let more: Bool
    if source < runs.count {
      positions[source] += 1
      more = positions[source] < runs[source].end
      if more { setMemoryHead(source) }
    } else {
      let cursor = cursors[source &- runs.count]
      more = try cursor.next()
      if more { setTableHead(source, cursor) }
    }
    if !more {
      count -= 1
      if count == 0 { return false }
      heap[0] = heap[count]
    }
    if count > 1 { siftDown() }
    return true
  }

  @inline(__always)
  private func setMemoryHead(_ source: Int) {
    let entry = positions[source]
    heads[source] = MergeHead(
      order: entry.pointee.order, key: entry.pointee.keyBytes, trailer: entry.pointee.trailer,
      value: entry.pointee.valueBytes)
  }

  @inline(__always)
  private func setTableHead(_ source: Int, _ cursor: RunCursor) {
    let key = cursor.key
    heads[source] = MergeHead(order: keyOrder(key), key: key, trailer: cursor.trailer, value: cursor.value)
  }

  private func push(_ source: Int) {
    var place = count
    heap[place] = source
    count += 1
    while place > 0 {
      let parent = (place - 1) / 2
      if !heads[heap[place]].precedes(heads[heap[parent]]) { break }
      (heap[place], heap[parent]) = (heap[parent], heap[place])
      place = parent
    }
  }

  @inline(__always)
  private func siftDown() {
    let moving = heap[0]
    var place = 0
    while true {
      var child = 2 &* place &+ 1
      if child >= count { break }
      if child &+ 1 < count, heads[heap[child &+ 1]].precedes(heads[heap[child]]) { child &+= 1 }
      if !heads[heap[child]].precedes(heads[moving]) { break }
      heap[place] = heap[child]
      place = child
    }
    heap[place] = moving
  }
}

/// Remembers a key to tell its further versions. Keys up to 16 bytes are not copied.
struct KeyMemory: ~Copyable {
  private var order: UInt128 = 0
  private var size = -1
  private var bytes = ByteBuffer(capacity: 64)

  /// Whether `head` has the remembered key.
  @inline(__always)
  func matches(_ head: MergeHead) -> Bool {
    guard order == head.order, size == head.key.count else { return false }
    return size <= 16 || compareBytes(bytes.bytes, head.key) == 0
  }

  @inline(__always)
  mutating func remember(_ head: MergeHead) {
    order = head.order
    size = head.key.count
    if size > 16 {
      bytes.removeAll()
      bytes.append(head.key)
    }
  }
}
