// Room on the disk. A store that writes until the disk is full can neither flush what it holds in memory nor merge
// tables to give space back. So new rows are refused while less is free than the watermark, and everything else goes
// on; when space comes back rows are taken again, without opening anew.
//
// The watermark, in bytes:
//
//   2 * budget   one generation is being flushed and one has filled: their tables take no more than their memory did
//   reserve      64 MiB: the log between two looks at the disk (16 MiB) and what sessions had accepted (a quarter of a
//                megabyte each), the write-ahead log of projections.db (16 MiB and a transaction behind them, while
//                no reader keeps it from beginning anew), manifests, a table being merged
//
// A full disk must not be a trap: what makes room is taken down to a quarter of the watermark. That is DELETE, DROP of
// anything and ALTER STORE SET; it needs a few bytes in the log, and a DELETE those of the keys. The order in which
// things stop is so: new rows, the projector at half of the watermark, then these. What was taken is flushed and merged
// as long as anything is free.
//
// On a small file system neither the budget of the memtables nor the reserve takes more than a sixteenth of it, so that
// the watermark is three sixteenths at most. A merge that would not fit is put off until there is room.
//
// Asking the system costs a microsecond or two. It is asked when 16 MiB were written (an eighth of the watermark where
// that is less) or 100 ms have passed since the last time, so what others write beside the store is seen in time.
import SluiceSystem
import Synchronization

/// Looks at the disk, and refuses rows while it is too full. Any thread.
final class DiskRoom: Sendable {
  private static let largestLookBytes: UInt64 = 16 << 20
  static let lookNanoseconds: UInt64 = 100_000_000
  /// A batch of this size is not taken on trust: it must fit above the watermark.
  private static let largeBatch = 1 << 20

  private struct State {
    var freeBytes: UInt64
    var lookedAt: UInt64
    var writtenBytes = 0
  }

  let watermarkBytes: UInt64
  private let lookBytes: Int
  private let path: String
  private let fileSystem: any FileSystem
  private let clock: any Clock
  private let state: Monitor<State>
  private let low = Atomic<Bool>(false)
  private let stuck = Atomic<Bool>(false)
  private let projectorHeld = Atomic<Bool>(false)
  /// Free bytes without which projections are not tried again: they found the disk full.
  private let neededToProject = Atomic<UInt64>(0)

  /// Looks at once.
  init(path: String, watermarkBytes: UInt64, fileSystem: any FileSystem, clock: any Clock) throws(SystemError) {
    self.path = path
    self.watermarkBytes = watermarkBytes
    lookBytes = Int(clamping: min(Self.largestLookBytes, watermarkBytes / 8))
    self.fileSystem = fileSystem
    self.clock = clock
    let free = try fileSystem.freeBytes(path)
    state = Monitor(State(freeBytes: free, lookedAt: clock.monotonicNanoseconds()))
    low.store(free < watermarkBytes, ordering: .relaxed)
  }

  /// Whether rows were refused, or would be, when the disk was last looked at. No lock.
  @inline(__always)
  var isLow: Bool { low.load(ordering: .relaxed) }

  /// Whether a flush has found no room and waits for some: memory fills up.
  var isStuck: Bool {
    get { stuck.load(ordering: .relaxed) }
    set { stuck.store(newValue, ordering: .relaxed) }
  }

  /// Whether projections wait for room.
  var isProjectorHeld: Bool {
    get { projectorHeld.load(ordering: .relaxed) }
    set { projectorHeld.store(newValue, ordering: .relaxed) }
  }

  /// Counts bytes that go to the disk, and looks when it is time.
  func note(_ size: Int) {
    let now = clock.monotonicNanoseconds()
    state.withLock { state in
      state.writtenBytes += size
      if state.writtenBytes >= lookBytes || now >= state.lookedAt + Self.lookNanoseconds { look(&state, now) }
    }
  }

  /// Throws `overloaded` while rows are refused, and for `size` bytes that would leave too little. A nanosecond when
  /// there is room. `makesRoom`: whether the statement only takes away, asked when there is little.
  @inline(__always)
  func admit(_ size: Int = 0, makesRoom: @autoclosure () -> Bool = false) throws(StoreError) {
    if isLow || size >= Self.largeBatch { try admitSlowly(size, makesRoom: makesRoom()) }
  }

  private func admitSlowly(_ size: Int, makesRoom: Bool) throws(StoreError) {
    let now = clock.monotonicNanoseconds()
    let least = makesRoom ? DiskRules.floor(watermark: watermarkBytes) : watermarkBytes
    let (isRefused, free) = state.withLock { state in
      if now >= state.lookedAt + Self.lookNanoseconds || size >= Self.largeBatch { look(&state, now) }
      let fits = state.freeBytes >= least + UInt64(size >= Self.largeBatch ? size : 0)
      return (self.isLow && !makesRoom || !fits, state.freeBytes)
    }
    if isRefused { throw refusal(free, kept: least) }
  }

  /// What whoever waits for a flush is told while there is no room for it; else nil.
  var flushObstacle: StoreError? { isStuck ? refusal(state.withLock { $0.freeBytes }) : nil }

  /// The same for who waits for projections.
  var projectorObstacle: StoreError? { isProjectorHeld ? refusal(state.withLock { $0.freeBytes }) : nil }

  private func refusal(_ free: UInt64, kept: UInt64? = nil) -> StoreError {
    StoreError(
      .overloaded,
      "the disk is full: \(free) bytes are free at \(path), and \(kept ?? watermarkBytes) are kept to flush and merge: "
        + "make room, then write again", sqliteCode: 13)
  }

  /// The error of who stops before the disk is full.
  var full: SystemError { .full(path) }

  /// Free bytes, looked at now.
  func look() -> UInt64 {
    let now = clock.monotonicNanoseconds()
    return state.withLock { state in
      look(&state, now)
      return state.freeBytes
    }
  }

  private func look(_ state: inout State, _ now: UInt64) {
    state.lookedAt = now
    state.writtenBytes = 0
    // A system that cannot tell will refuse the write itself.
    do { state.freeBytes = try fileSystem.freeBytes(path) } catch { return }
    // Once refused, rows are taken again with a little more room: not now one and then none.
    let needed = isLow ? watermarkBytes + watermarkBytes / 8 : watermarkBytes
    low.store(state.freeBytes < needed, ordering: .relaxed)
  }

  /// Whether projections.db has to wait: it grows by what the log holds already, and must not take the room that flush
  /// and merge need. Half of the watermark is left to it, and more where that was too little the last time.
  var holdsProjector: Bool {
    let needed = neededToProject.load(ordering: .relaxed)
    if !isLow, needed == 0 { return false }
    note(0)
    return state.withLock { $0.freeBytes < max(watermarkBytes / 2, needed) }
  }

  /// Whether projections.db, which is being made anew, must give back what it took: it leaves its share to what makes
  /// room, and `size` bytes that are in its write-ahead log go into the file, too.
  func stopsProjector(owing size: Int) -> Bool {
    look() < DiskRules.floor(watermark: watermarkBytes) + UInt64(size)
  }

  /// Whether it is this disk that SQLite has found full, and not that of temporary files.
  var isProjectorFull: Bool { look() < watermarkBytes / 2 }

  /// A transaction of projections.db did not fit here, and has given back what it took: without a quarter more room it
  /// is not tried again.
  func projectorDidNotFit() {
    let free = look()
    neededToProject.store(free + free / 4 + 1, ordering: .relaxed)
  }

  /// A transaction of projections.db did fit.
  func projectorDidFit() {
    if neededToProject.load(ordering: .relaxed) > 0 { neededToProject.store(0, ordering: .relaxed) }
  }
}
