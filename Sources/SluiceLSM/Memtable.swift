// The active memtable: the applier collects the entries of a batch behind the published runs, sorts them when the
// batch ends and merges runs of similar size, as a binary counter carries. An entry is moved about log2(entries /
// batch size) times, about 3 ns each; a rising batch extends the run before it in place and is not moved at all.
//
// Used by the applier's thread only. What it hands out (`runs`) never changes (see Run.swift).
// Unsafe by nature: named in the tidy test.
import SluiceSystem

final class ActiveMemtable {
  private static let firstCapacity = 1 << 10
  private static let largestCapacity = 1 << 15

  private var storage = RunStorage(capacity: firstCapacity)
  /// Where the unpublished entries begin and end in `storage`.
  private var start = 0
  private var end = 0
  private var scratch = RunStorage(capacity: 0)
  private(set) var runs: [Run] = []
  private(set) var owners = OwnerBag()
  private(set) var index: KeyIndex?
  /// For each unpublished entry, what the index had for its key before. Only while there is an index.
  private var before: [UInt64] = []
  private(set) var entryCount = 0
  private(set) var byteCount = 0

  /// Count of unpublished entries.
  @inline(__always) var pendingCount: Int { end &- start }

  var isEmpty: Bool { entryCount == 0 && pendingCount == 0 }

  @inline(__always)
  func append(_ entry: MemoryEntry) {
    if end == storage.capacity { grow() }
    (storage.base + end).initialize(to: entry)
    end &+= 1
    if index != nil { noteInIndex(entry) }
  }

  @inline(never)
  private func grow() {
    let pending = pendingCount
    var capacity = min(storage.capacity * 2, Self.largestCapacity)
    while capacity < pending * 2 { capacity *= 2 }
    let larger = RunStorage(capacity: capacity)
    larger.base.initialize(from: storage.base + start, count: pending)
    storage = larger
    start = 0
    end = pending
  }

  private func noteInIndex(_ entry: MemoryEntry) {
    guard let index else { return }
    before.append(index.set(entry.keyBytes, hash: hash(entry.keyBytes), trailer: entry.trailer))
  }

  /// Takes back all but the first `count` unpublished entries.
  func rollback(to count: Int) {
    invariant(count >= 0 && count <= pendingCount, "rollback to \(count) of \(pendingCount) entries")
    if let index {
      while before.count > count {
        let entry = storage.base[start + before.count - 1]
        index.restore(entry.keyBytes, hash: hash(entry.keyBytes), trailer: before.removeLast())
      }
    }
    end = start + count
  }

  /// Trailer of the newest version of `key`, published or not; 0 when there is none. Builds the index at the first use.
  func trailer(of key: UnsafeRawBufferPointer, hash: UInt64) -> UInt64 {
    if index == nil {
      if isEmpty { return 0 }
      buildIndex()
    }
    return index?.trailer(of: key, hash: hash) ?? 0
  }

  private func buildIndex() {
    let index = KeyIndex(expecting: max(entryCount + pendingCount, 4096))
    // Oldest run first; in a run the newest version of a key comes first and must be the one that stays.
    for run in runs {
      var entry = run.end
      while entry > run.base {
        entry -= 1
        let key = entry.pointee.keyBytes
        _ = index.set(key, hash: SluiceSystem.hash(key), trailer: entry.pointee.trailer)
      }
    }
    self.index = index
    for place in start..<end { noteInIndex(storage.base[place]) }
  }

  /// Makes the unpublished entries a run; `owner` keeps their memory.
  func publish(owner: AnyObject) {
    let count = pendingCount
    guard count > 0 else { return }
    owners.add(owner)
    let base = storage.base + start
    if !isSorted(MemoryEntries(base), count: count) {
      if scratch.capacity < count { scratch = RunStorage(capacity: max(count, 4096)) }
      sortEntries(base, count: count, scratch: scratch.base)
    }
    for place in 0..<count { byteCount &+= Int(base[place].keySize) &+ Int(base[place].valueSize) }
    entryCount += count
    addRun(Run(storage: storage, base: MemoryEntries(base), count: count))
    start = end
    before.removeAll(keepingCapacity: true)
  }

  private func addRun(_ run: Run) {
    if let last = runs.last, last.end == run.base, last.storage === run.storage, precedes(last.last, run.base) {
      runs[runs.count - 1] = Run(storage: last.storage, base: last.base, count: last.count + run.count)
    } else {
      runs.append(run)
    }
    while runs.count > 1, runs[runs.count - 1].sizeClass >= runs[runs.count - 2].sizeClass {
      let newest = runs.removeLast()
      runs[runs.count - 1] = Run.merge(runs[runs.count - 1], newest)
    }
  }

  /// The published entries as a frozen memtable; this one is empty afterwards.
  func freeze(at position: UInt64) -> FrozenMemtable {
    invariant(pendingCount == 0, "freeze with \(pendingCount) unpublished entries")
    let frozen = FrozenMemtable(
      runs: runs, owners: owners, index: index, position: position, entryCount: entryCount, byteCount: byteCount)
    storage = RunStorage(capacity: Self.firstCapacity)
    scratch = RunStorage(capacity: 0)
    start = 0
    end = 0
    runs = []
    owners = OwnerBag()
    index = nil
    entryCount = 0
    byteCount = 0
    return frozen
  }
}
