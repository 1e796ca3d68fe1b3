// Merges runs of memory and of tables, of one shard or of many, into one sequence: all versions of all keys, newest
// version of a key first; backwards the same sequence from its end.
//
// A binary heap of the runs' heads. The least source goes on until the next least comes before it, so a stretch from
// one source costs one comparison an entry. A head carries the packed numbers of its key: most comparisons touch no key.
// Buffers of the head are valid until the next step.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// The current entry of one run.
struct MergeHead {
  var order: UInt128
  var key: UnsafeRawBufferPointer
  var trailer: UInt64
  var value: UnsafeRawBufferPointer
  var table: UInt32

  @inline(__always)
  func precedes(_ other: MergeHead) -> Bool {
    if table != other.table { return table < other.table }
    if order != other.order { return order < other.order }
    return tailPrecedes(other)
  }

  @inline(never)
  private func tailPrecedes(_ other: MergeHead) -> Bool {
    let tail = compareKeyTails(key.baseAddress, key.count, other.key.baseAddress, other.key.count)
    return tail != 0 ? tail < 0 : trailer > other.trailer
  }
}

/// Used by one thread.
final class Merger {
  private let runs: [Run]
  private let cursors: [RunCursor]
  private let isForward: Bool
  private let heads: UnsafeMutablePointer<MergeHead>
  private let positions: UnsafeMutablePointer<MemoryEntries>
  /// Where the walk over each memory run ends: its end, backwards its first entry.
  private let limits: UnsafeMutablePointer<MemoryEntries>
  /// Sources in heap order: the one with the least head first.
  private let heap: UnsafeMutablePointer<Int>
  private var count = 0

  init(runs: [Run], tableRuns: [[Table]], usesCache: Bool, isForward: Bool = true) {
    self.runs = runs
    self.isForward = isForward
    cursors = tableRuns.map { RunCursor($0, usesCache: usesCache, isForward: isForward) }
    let total = max(runs.count + tableRuns.count, 1)
    heads = .allocate(capacity: total)
    positions = .allocate(capacity: max(runs.count, 1))
    limits = .allocate(capacity: max(runs.count, 1))
    heap = .allocate(capacity: total)
    for (source, run) in runs.enumerated() { limits[source] = isForward ? run.last : run.base }
  }

  deinit {
    heads.deallocate()
    positions.deallocate()
    limits.deallocate()
    heap.deallocate()
  }

  /// The current entry; only after `start` or `next` returned true.
  @inline(__always)
  var head: MergeHead { heads[heap[0]] }

  /// Goes to the first entry at or behind (key, trailer), or to the very first. Backwards: to the last one before
  /// (key, trailer), or to the very last. False when there is none.
  func start(at key: SearchKey?, trailer: UInt64 = .max) throws(EngineError) -> Bool {
    count = 0
    for (source, run) in runs.enumerated() {
      let place = key.map { run.lowerBound($0, trailer: trailer) } ?? (isForward ? run.base : run.end)
      if isForward ? place == run.end : place == run.base { continue }
      positions[source] = isForward ? place : place - 1
      setMemoryHead(source)
      push(source)
    }
    for (index, cursor) in cursors.enumerated() {
      let found: Bool
      if let key { found = try cursor.seek(key, trailer: trailer) } else { found = try cursor.start() }
      if found {
        setTableHead(runs.count + index, cursor)
        push(runs.count + index)
      }
    }
    return count > 0
  }

  /// Goes to the next entry in the merger's direction; false at the end.
  @inline(__always)
  func next() throws(EngineError) -> Bool {
    guard count > 0 else { return false }
    let source = heap[0]
    let more: Bool
    if source < runs.count {
      more = positions[source] != limits[source]
      if more {
        positions[source] += isForward ? 1 : -1
        setMemoryHead(source)
      }
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
      value: entry.pointee.valueBytes, table: entry.pointee.table)
  }

  @inline(__always)
  private func setTableHead(_ source: Int, _ cursor: RunCursor) {
    let key = cursor.key
    heads[source] = MergeHead(
      order: cursor.order, key: key, trailer: cursor.trailer, value: cursor.value, table: tableId(key))
  }

  /// Whether source `a` comes before source `b`.
  @inline(__always)
  private func comesBefore(_ a: Int, _ b: Int) -> Bool {
    isForward ? heads[a].precedes(heads[b]) : heads[b].precedes(heads[a])
  }

  private func push(_ source: Int) {
    var place = count
    heap[place] = source
    count += 1
    while place > 0 {
      let parent = (place - 1) / 2
      if !comesBefore(heap[place], heap[parent]) { break }
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
      if child &+ 1 < count, comesBefore(heap[child &+ 1], heap[child]) { child &+= 1 }
      if !comesBefore(heap[child], moving) { break }
      heap[place] = heap[child]
      place = child
    }
    heap[place] = moving
  }
}

/// Remembers a key to tell its further versions. Keys up to 20 bytes are not copied.
struct KeyMemory: ~Copyable {
  private var order: UInt128 = 0
  private var table: UInt32 = 0
  private var size = -1
  private var bytes = ByteBuffer(capacity: 64)

  /// Whether `head` has the remembered key.
  @inline(__always)
  func matches(_ head: MergeHead) -> Bool {
    guard order == head.order, size == head.key.count, table == head.table else { return false }
    return size <= rankSize || compareBytes(bytes.bytes, head.key) == 0
  }

  @inline(__always)
  mutating func remember(_ head: MergeHead) {
    order = head.order
    table = head.table
    size = head.key.count
    if size > rankSize {
      bytes.removeAll()
      bytes.append(head.key)
    }
  }
}
