// The active memtable: the applier collects the entries of a batch behind the published runs, sorts them when the
// batch ends and merges runs of similar size, as a binary counter carries. An entry is moved about log2(entries /
// batch size) times, about 3 ns each; a rising batch extends the run before it in place and is not moved at all.
//
// Why this and not another structure (`sluice-bench memtable`, nanoseconds an entry, random keys, 64 Ki / 256 Ki / 1 Mi
// entries): runs 90 / 114 / 133 to insert, a B+tree 151 / 199 / 430, a skip list 208 / 453 / 1,542; rising keys cost
// runs 5, and a full walk 8. A hash index over shorter runs answers a point read in 26-66 instead of 213-840, for 30 ns
// and 32 bytes more an entry: not worth it, as most reads end in tables. Runs are never changed, so readers wait for
// nobody; the trees would need versions of their nodes for that.
//
// Used by the applier's thread only. What it hands out (`runs`) never changes (see Run.swift).
// Unsafe by nature: named in the tidy test.
import SluiceSystem

final class ActiveMemtable {
  /// Little, for there may be many engines: it doubles when it is full.
  private static let firstCapacity = 1 << 9
  private static let largestCapacity = 1 << 15

  private var storage: RunStorage
  /// The storage's own memory: the hot path touches no reference count.
  private var base: UnsafeMutablePointer<MemoryEntry>
  private var capacity: Int
  /// Where the unpublished entries begin and end in `storage`.
  private var start = 0
  private var end = 0
  private let sortMemory: SortMemory
  private let pool = StoragePool()
  private(set) var runs: [Run] = []
  private(set) var owners = OwnerBag()
  private(set) var index: KeyIndex?
  /// For each unpublished entry, what the index had for its key before. Only while there is an index.
  private var before: [UInt64] = []
  private(set) var entryCount = 0
  private(set) var byteCount = 0

  init(sortMemory: SortMemory) {
    self.sortMemory = sortMemory
    storage = RunStorage(capacity: Self.firstCapacity)
    base = storage.base
    capacity = storage.capacity
  }

  private func use(_ new: RunStorage) {
    storage = new
    base = new.base
    capacity = new.capacity
  }

  /// Count of unpublished entries.
  @inline(__always) var pendingCount: Int { end &- start }

  /// Bytes of memory held beside the owners' own: entries and the index. About 20 ns.
  var memoryBytes: Int {
    var capacity = storage.capacity + pool.capacity
    for run in runs where run.storage !== storage { capacity += run.storage.capacity }
    return capacity * MemoryLayout<MemoryEntry>.stride + (index?.byteCount ?? 0)
  }

  var isEmpty: Bool { entryCount == 0 && pendingCount == 0 }

  @inline(__always)
  func append(_ entry: MemoryEntry) {
    if end == capacity { grow() }
    (base + end).initialize(to: entry)
    end &+= 1
    if index != nil { noteInIndex(entry) }
  }

  @inline(never)
  private func grow() {
    let pending = pendingCount
    var room = min(capacity * 2, Self.largestCapacity)
    while room < pending * 2 { room *= 2 }
    let larger = RunStorage(capacity: room)
    larger.prepare(upTo: pending * 2)
    larger.base.initialize(from: base + start, count: pending)
    use(larger)
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
        let entry = base[start + before.count - 1]
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
    let index = KeyIndex(expecting: entryCount + pendingCount)
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
    for place in start..<end { noteInIndex(base[place]) }
  }

  /// Makes the unpublished entries a run, without what `folding` leaves out; `owner` keeps their memory.
  func publish(owner: AnyObject, folding: VersionFolding? = nil) {
    var count = pendingCount
    guard count > 0 else { return }
    owners.add(owner)
    let base = storage.base + start
    if !isSorted(MemoryEntries(base), count: count) {
      let scratch = sortMemory.take(capacity: count)
      sortEntries(base, count: count, scratch: scratch.base)
      sortMemory.give(scratch)
      if let folding { count = folding.fold(base, count: count) }
    }
    for place in 0..<count { byteCount &+= Int(base[place].keySize) &+ Int(base[place].valueSize) }
    entryCount += count
    addRun(Run(storage: storage, base: MemoryEntries(base), count: count), folding)
    start += count
    end = start
    // The next batch is like this one.
    storage.prepare(upTo: end + count)
    before.removeAll(keepingCapacity: true)
  }

  private func addRun(_ run: Run, _ folding: VersionFolding?) {
    if let last = runs.last, last.end == run.base, last.storage === run.storage, precedes(last.last, run.base) {
      runs[runs.count - 1] = Run(storage: last.storage, base: last.base, count: last.count + run.count)
    } else {
      runs.append(run)
    }
    while runs.count > 1 {
      let newest = runs[runs.count - 1]
      let older = runs[runs.count - 2]
      if newest.sizeClass < older.sizeClass { break }
      // Rising data: full storages follow one another, each twice as large as the one before, and none is moved.
      if older.count >= Self.firstCapacity / 2, precedes(older.last, newest.base) { break }
      runs.removeLast(2)
      let count = older.count + newest.count
      let merged = Run.merge(older, newest, into: pool.take(capacity: count), folding: folding)
      entryCount -= count - merged.count
      runs.append(merged)
      pool.give(older.storage)
      pool.give(newest.storage)
    }
  }

  /// The published entries as a frozen memtable; this one is empty afterwards.
  func freeze(at position: UInt64) -> FrozenMemtable {
    invariant(pendingCount == 0, "freeze with \(pendingCount) unpublished entries")
    let frozen = FrozenMemtable(
      runs: runs, owners: owners, index: index, position: position, entryCount: entryCount, byteCount: byteCount)
    use(RunStorage(capacity: Self.firstCapacity))
    pool.removeAll()
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

/// Storages that merging left behind, to be used again: fresh memory costs more than merging into it.
final class StoragePool {
  private static let largestCapacity = 1 << 16
  private var storages: [RunStorage] = []

  /// A storage that nobody else has.
  func take(capacity: Int) -> RunStorage {
    for index in storages.indices.reversed() {
      let room = storages[index].capacity
      if room >= capacity, room <= capacity * 4, isKnownUniquelyReferenced(&storages[index]) {
        return storages.remove(at: index)
      }
    }
    return RunStorage(capacity: capacity)
  }

  /// Takes in a storage that the memtable no longer needs; readers may still have it.
  func give(_ storage: RunStorage) {
    guard storage.capacity <= Self.largestCapacity, !storages.contains(where: { $0 === storage }) else { return }
    storages.append(storage)
    if storages.count > 4 { storages.removeFirst() }
  }

  func removeAll() { storages.removeAll() }

  /// Entries that all of them have room for.
  var capacity: Int { storages.reduce(0) { $0 + $1.capacity } }
}

/// Memory that batches are sorted in, one at a time. All engines of a store share it: of 256 shards each would else
/// hold more to sort in than it has rows.
final class SortMemory: Sendable {
  private static let leastCapacity = 1 << 12
  private static let largestCapacity = 1 << 16
  private let kept = Monitor<RunStorage?>(nil)

  func take(capacity: Int) -> RunStorage {
    let storage = kept.withLock { kept in
      defer { kept = nil }
      return kept
    }
    if let storage, storage.capacity >= capacity { return storage }
    return RunStorage(capacity: max(capacity, Self.leastCapacity))
  }

  /// Keeps memory for the next batch, unless it is uncommonly much.
  func give(_ storage: RunStorage) {
    if storage.capacity <= Self.largestCapacity { kept.withLock { $0 = storage } }
  }
}
