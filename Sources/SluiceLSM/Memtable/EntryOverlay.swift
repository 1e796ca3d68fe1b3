// Entries that a writer has not handed over yet, laid over what engines hold: so that it reads its own writes. They are
// kept in sorted runs, each more than twice as long as the next newer one, so an entry is moved about log2(entries)
// times, however often somebody reads in between; a walk merges the runs with the engines' own and copies nothing.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Runs of entries. Keys and values stay where they are, for as long as the overlay is used. A copy stays as it is
/// while the one that it was made of gets more; only that one may get more. One thread.
public struct EntryOverlay {
  /// Positions of entries count from here: above any that a log gives out.
  public static let firstPosition: UInt64 = 1 << 55

  /// The oldest first.
  private(set) var runs: [Run] = []
  /// Entries that are in no run yet.
  private var added = RunStorage(capacity: 16)
  private var addedCount = 0
  /// Copies of keys and values, in an overlay that is one itself.
  private var bytes: OwnBytes?

  private final class OwnBytes {
    var blocks: [UnsafeMutableRawBufferPointer] = []
    deinit { for block in blocks { block.deallocate() } }
  }

  public init() {}

  public mutating func removeAll() {
    runs.removeAll(keepingCapacity: true)
    addedCount = 0
  }

  /// How often entries were put in order or moved so far.
  package private(set) var movedCount = 0

  /// Adds an entry, which counts instead of an earlier one of the same key; to be read after `order`. The value stands
  /// behind its key in memory. `place` rises from one entry to the next.
  public mutating func add(
    key: UnsafeRawBufferPointer, kind: EntryKind, value: UnsafeRawBufferPointer, place: UInt64
  ) {
    let base = key.baseAddress.unsafelyUnwrapped
    invariant(value.count == 0 || value.baseAddress == base + key.count, "a value apart from its key")
    append(
      MemoryEntry(
        order: keyOrder(key), key: base, trailer: packTrailer(Self.firstPosition + place, kind) | overlayBits,
        table: tableId(key), keySize: UInt32(truncatingIfNeeded: key.count),
        valueSize: UInt32(truncatingIfNeeded: value.count)))
  }

  private mutating func append(_ entry: MemoryEntry) {
    if addedCount == added.capacity {
      let larger = RunStorage(capacity: added.capacity * 4)
      larger.base.initialize(from: added.base, count: addedCount)
      added = larger
    }
    (added.base + addedCount).initialize(to: entry)
    addedCount += 1
  }

  /// Puts what was added since in order.
  public mutating func order() {
    if addedCount == 0 { return }
    movedCount += addedCount
    var count = addedCount
    if !isSorted(added.base, count: count) {
      let scratch = RunStorage(capacity: count)
      withExtendedLifetime(scratch) { sortEntries(added.base, count: count, scratch: scratch.base) }
      count = VersionFolding(horizon: 0).fold(added.base, count: count)
    }
    addedCount = 0
    let newest = Run(storage: added, base: MemoryEntries(added.base), count: count)
    if !extend(by: newest) {
      added = RunStorage(capacity: 16)
      runs.append(newest)
    }
    while runs.count > 1, runs[runs.count - 2].count <= 2 * runs[runs.count - 1].count {
      let newer = runs.removeLast()
      let older = runs.removeLast()
      movedCount += older.count + newer.count
      let storage = RunStorage(capacity: older.count + newer.count)
      runs.append(Run.merge(older, newer, into: storage, folding: VersionFolding(horizon: 0)))
    }
  }

  /// Puts entries whose keys stand behind all of the newest run into that. False when they do not.
  private mutating func extend(by newest: Run) -> Bool {
    guard let last = runs.last, precedes(last.last, newest.base) else { return false }
    var storage = last.storage
    let count = last.count + newest.count
    if count > storage.capacity {
      movedCount += last.count
      storage = RunStorage(capacity: count * 2)
      storage.base.initialize(from: last.base, count: last.count)
    }
    (storage.base + last.count).initialize(from: newest.base, count: newest.count)
    runs[runs.count - 1] = Run(storage: storage, base: MemoryEntries(storage.base), count: count)
    return true
  }

  /// The entries with `lower` <= key < `upper` in memory of their own.
  public func copy(lower: UnsafeRawBufferPointer, upper: UnsafeRawBufferPointer) -> EntryOverlay {
    var copy = EntryOverlay()
    let bytes = OwnBytes()
    for run in runs {
      var entry = run.lowerBound(SearchKey(lower), trailer: .max)
      while entry < run.end, compareBytes(entry.pointee.keyBytes, upper) < 0 {
        copy.append(Self.own(entry.pointee, in: bytes))
        entry += 1
      }
    }
    copy.bytes = bytes
    copy.order()
    return copy
  }

  private static func own(_ entry: MemoryEntry, in bytes: OwnBytes) -> MemoryEntry {
    let size = Int(entry.keySize) + Int(entry.valueSize)
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
    block.copyMemory(from: UnsafeRawBufferPointer(start: entry.key, count: size))
    bytes.blocks.append(block)
    var owned = entry
    owned.key = UnsafeRawPointer(block.baseAddress.unsafelyUnwrapped)
    return owned
  }
}
