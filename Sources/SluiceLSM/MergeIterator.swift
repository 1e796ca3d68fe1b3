// Walks the live entries of one engine or of all shards of a store in key order, forwards or backwards.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Walks live entries in key order: the newest visible version of each key, tombstones and deleted prefixes hidden. Used
/// by one thread. About 50 ns an entry.
public final class MergeIterator {
  private let snapshots: [Snapshot]
  private let overlay: EntryOverlay?
  private let merger: Merger
  private let position: UInt64
  private let ceiling: UInt64
  private let isForward: Bool
  /// Where the walk begins, and the key that ends it.
  private let begin: [UInt8]?
  private let end: [UInt8]?
  private let endTable: UInt32
  private let endOrder: UInt128
  private let deleted: PrefixDeletions
  private let faults = FileMapping.faultCount
  private var seen = KeyMemory()
  private var hasStarted = false
  private var hasEnded = false
  /// Backwards: whether the merger stands on an entry that was not looked at yet.
  private var hasHead = false
  /// Backwards: a copy of the version that counts, for the merger stands before it already.
  private var found = ByteBuffer(capacity: 256)
  private var foundKeySize = 0
  private var foundTrailer: UInt64 = 0

  /// The live entries of disjoint engines (the shards of a store) with `lower` <= key < `upper`, and over them those of
  /// `overlay`. All snapshots have one position; nil stands for no bound.
  public init(
    _ snapshots: [Snapshot], lower: [UInt8]?, upper: [UInt8]?, isForward: Bool = true, overlay: EntryOverlay? = nil
  ) {
    invariant(!snapshots.isEmpty, "an iterator over nothing")
    invariant(snapshots.allSatisfy { $0.position == snapshots[0].position }, "snapshots of several positions")
    self.snapshots = snapshots
    self.overlay = overlay
    self.isForward = isForward
    position = snapshots[0].position
    ceiling = ceilingTrailer(at: position)
    begin = isForward ? lower : upper
    end = isForward ? upper : lower
    let key = end?.withUnsafeBytes { SearchKey($0) }
    endTable = key?.table ?? (isForward ? .max : 0)
    endOrder = key?.order ?? (isForward ? .max : 0)
    // Ids stand for the same SQL tables in all shards; a shard that has forgotten a deletion has nothing under it.
    var deleted = PrefixDeletions()
    var runs: [Run] = []
    var tableRuns: [[Table]] = []
    if let own = overlay?.run(at: position) { runs.append(own) }
    for snapshot in snapshots {
      if !snapshot.state.deleted.isEmpty { for deletion in snapshot.state.deleted.all { deleted.insert(deletion) } }
      snapshot.state.appendMemoryRuns(to: &runs)
      tableRuns += snapshot.state.open.runs
    }
    self.deleted = deleted
    merger = Merger(runs: runs, tableRuns: tableRuns, usesCache: true, isForward: isForward)
  }

  /// The live entries whose keys begin with `prefix`.
  public convenience init(_ snapshots: [Snapshot], prefix: [UInt8], isForward: Bool = true) {
    self.init(snapshots, lower: prefix, upper: successor(ofPrefix: prefix), isForward: isForward)
  }

  /// The entry that `next` went to. Valid until the next step.
  @inline(__always)
  public var current: Entry {
    if isForward {
      let head = merger.head
      return Entry(key: head.key, position: head.trailer >> 8, kind: .put, value: head.value)
    }
    let bytes = found.bytes
    return Entry(
      key: UnsafeRawBufferPointer(rebasing: bytes[..<foundKeySize]), position: foundTrailer >> 8, kind: .put,
      value: UnsafeRawBufferPointer(rebasing: bytes[foundKeySize...]))
  }

  /// Goes to the next live entry in the iterator's direction; false at the end. After an error the iterator is at its
  /// end.
  public func next() throws(EngineError) -> Bool {
    if hasEnded { return false }
    do {
      hasEnded = try !(isForward ? advance() : retreat())
      if FileMapping.faultCount != faults { try checkMappings() }
      return !hasEnded
    } catch {
      hasEnded = true
      throw error
    }
  }

  @inline(never)
  private func checkMappings() throws(EngineError) {
    for snapshot in snapshots { try snapshot.state.open.checkMappings() }
  }

  private func advance() throws(EngineError) -> Bool {
    var more = hasStarted ? try merger.next() : try start()
    while more {
      let head = merger.head
      if isBehindEnd(head) { return false }
      if head.trailer <= ceiling, !seen.matches(head) {
        seen.remember(head)
        if isAlive(head) { return true }
      }
      more = try merger.next()
    }
    return false
  }

  /// Versions of a key come oldest first: the last one at or below the ceiling counts.
  private func retreat() throws(EngineError) -> Bool {
    if !hasStarted { hasHead = try start() }
    while hasHead {
      let first = merger.head
      if isBehindEnd(first) { return false }
      seen.remember(first)
      var isFound = false
      repeat {
        let head = merger.head
        if head.trailer <= ceiling {
          isFound = isAlive(head)
          if isFound { copy(head) }
        }
        hasHead = try merger.next()
      } while hasHead && seen.matches(merger.head)
      if isFound { return true }
    }
    return false
  }

  private func copy(_ head: MergeHead) {
    found.removeAll()
    found.append(head.key)
    found.append(head.value)
    foundKeySize = head.key.count
    foundTrailer = head.trailer
  }

  @inline(__always)
  private func isAlive(_ head: MergeHead) -> Bool {
    if isTombstone(head.trailer) { return false }
    // What lies over the snapshots is newer than any deletion that they know.
    return head.trailer & overlayBits != 0 || !deleted.hides(head.table, trailer: head.trailer, at: position)
  }

  private func start() throws(EngineError) -> Bool {
    hasStarted = true
    guard let begin else { return try merger.start(at: nil) }
    let result = begin.withUnsafeBytes { bytes in
      Result { () throws(EngineError) in try merger.start(at: SearchKey(bytes)) }
    }
    return try result.get()
  }

  /// Whether the walk has reached its other bound.
  @inline(__always)
  private func isBehindEnd(_ head: MergeHead) -> Bool {
    if isForward {
      if head.table != endTable ? head.table < endTable : head.order < endOrder { return false }
    } else {
      if head.table != endTable ? head.table > endTable : head.order > endOrder { return false }
    }
    return compareWithEnd(head)
  }

  @inline(never)
  private func compareWithEnd(_ head: MergeHead) -> Bool {
    guard let end else { return false }
    let order = end.withUnsafeBytes { compareBytes(head.key, $0) }
    return isForward ? order >= 0 : order < 0
  }
}
