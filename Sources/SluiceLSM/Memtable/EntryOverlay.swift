// Entries that a writer has not handed over yet, laid over what engines hold: so that it reads its own writes. They are
// kept in order, so a walk takes them as one more run and copies nothing.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Entries in rising key order, one for each key. Keys and values stay where they are, for as long as the overlay is
/// used. One thread.
public final class EntryOverlay {
  /// New entries up to which each is put in its place; more are sorted with all others.
  private static let insertLimit = 16
  /// Positions of entries count from here: above any that a log gives out.
  private static let firstPosition: UInt64 = 1 << 55

  private var storage = RunStorage(capacity: 16)
  /// Entries; only the first `orderedCount` are in order and have a key each.
  private var count = 0
  private var orderedCount = 0
  private var sequence: UInt64 = 0
  /// Copies of keys and values, in an overlay that is one itself.
  private var blocks: [UnsafeMutableRawBufferPointer] = []

  public init() {}

  deinit { for block in blocks { block.deallocate() } }

  public func removeAll() {
    count = 0
    orderedCount = 0
  }

  /// Adds an entry, which counts instead of an earlier one of the same key. The value stands behind its key in memory.
  public func add(key: UnsafeRawBufferPointer, kind: EntryKind, value: UnsafeRawBufferPointer) {
    let base = key.baseAddress.unsafelyUnwrapped
    invariant(value.count == 0 || value.baseAddress == base + key.count, "a value apart from its key")
    sequence += 1
    append(
      MemoryEntry(
        order: keyOrder(key), key: base, trailer: packTrailer(Self.firstPosition + sequence, kind) | overlayBits,
        table: tableId(key), keySize: UInt32(truncatingIfNeeded: key.count),
        valueSize: UInt32(truncatingIfNeeded: value.count)))
  }

  /// Calls `body` with the entry of `key`, a deletion included, and returns its result; nil when there is none. Its
  /// position is above any that a log gives out, and another one for each entry.
  public func find<R>(_ key: UnsafeRawBufferPointer, _ body: (Entry) -> R) -> R? {
    guard let found = run?.find(SearchKey(key), trailer: .max)?.pointee else { return nil }
    return body(
      Entry(
        key: found.keyBytes, position: found.trailer >> 8, kind: isTombstone(found.trailer) ? .tombstone : .put,
        value: found.valueBytes))
  }

  private func append(_ entry: MemoryEntry) {
    if count == storage.capacity { grow() }
    (storage.base + count).initialize(to: entry)
    count += 1
  }

  /// Puts what was added since in order. About 50 ns for one entry, and moving those behind it; 60 ns each for many.
  private func order() {
    if count - orderedCount > Self.insertLimit {
      let scratch = RunStorage(capacity: count)
      sortEntries(storage.base, count: count, scratch: scratch.base)
      orderedCount = VersionFolding(horizon: 0).fold(storage.base, count: count)
    } else {
      for place in orderedCount..<count { insert(storage.base[place]) }
    }
    count = orderedCount
  }

  private func insert(_ entry: MemoryEntry) {
    let ordered = Run(storage: storage, base: MemoryEntries(storage.base), count: orderedCount)
    let key = SearchKey(entry.keyBytes)
    let place = UnsafePointer(storage.base).distance(to: ordered.lowerBound(key, trailer: .max))
    if ordered.find(key, trailer: .max) == nil {
      (storage.base + place + 1).update(from: storage.base + place, count: orderedCount - place)
      orderedCount += 1
    }
    storage.base[place] = entry
  }

  private func grow() {
    let larger = RunStorage(capacity: storage.capacity * 4)
    larger.base.initialize(from: storage.base, count: count)
    storage = larger
  }

  /// The entries with `lower` <= key < `upper` in memory of their own.
  public func copy(lower: UnsafeRawBufferPointer, upper: UnsafeRawBufferPointer) -> EntryOverlay {
    let copy = EntryOverlay()
    guard let run else { return copy }
    var entry = run.lowerBound(SearchKey(lower), trailer: .max)
    while entry < run.end, compareBytes(entry.pointee.keyBytes, upper) < 0 {
      copy.append(entry.pointee)
      copy.own(copy.count - 1)
      entry += 1
    }
    copy.orderedCount = copy.count
    return copy
  }

  private func own(_ place: Int) {
    let size = Int(storage.base[place].keySize) + Int(storage.base[place].valueSize)
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
    block.copyMemory(from: UnsafeRawBufferPointer(start: storage.base[place].key, count: size))
    blocks.append(block)
    storage.base[place].key = UnsafeRawPointer(block.baseAddress.unsafelyUnwrapped)
  }

  /// The entries as a run, newer than anything else; nil when there are none. Not for longer than this object stays as
  /// it is.
  var run: Run? {
    if orderedCount < count { order() }
    return count == 0 ? nil : Run(storage: storage, base: MemoryEntries(storage.base), count: count)
  }
}
