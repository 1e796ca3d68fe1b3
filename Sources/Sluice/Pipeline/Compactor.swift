// The compactor: flushes frozen memtables of all shards, moves the flushed position, then compacts, one piece at a
// time, the shard with most runs first. When nothing was written for a while it goes further.
//
// Flushing goes first, for writers wait for memory. But where shards are many and generations small, a shard's part is
// a small file, and nothing would bound their number: a shard that is crowded with them is merged before it is flushed.
import SluiceLSM
import SluiceSQL
import SluiceSystem
import Synchronization

/// Keeps the engines' tables in shape. One per store.
///
/// `@unchecked Sendable`: its fields belong to the thread that steps it.
final class Compactor: Role, @unchecked Sendable {
  let name = "compactor"
  let bell = Bell()
  /// Time without a write after which more is merged than writing asks for.
  private static let idleMicroseconds: Int64 = 100_000
  /// The same while the projector is behind: merging takes nothing from it but when it stands still.
  private static let idleBehindMicroseconds: Int64 = 1_000_000
  /// Tombstones in memory that are put into tables when nothing is written, so that they are merged away: until then
  /// each walk goes over them.
  private static let manyTombstones = 4096
  /// Time between two looks at files that go when no reader has them any more.
  private static let obsoleteMicroseconds: Int64 = 1_000_000

  private let pipeline: Pipeline
  /// What was visible and projected when this was looked at last, and when one of them was seen to move.
  private var lastVisible: UInt64 = 0
  private var lastProjected: UInt64 = 0
  private var lastWork: UInt64 = 0
  /// The position at which tombstones in memory were counted.
  private var countedAt: UInt64 = 0
  /// Whether everything is done that a store without writes wants.
  private var isAtRest = false {
    didSet { pipeline.compactorRests.store(isAtRest, ordering: .relaxed) }
  }
  /// Whether the last step found the process without descriptors.
  private var lacksDescriptors = false
  /// Free bytes without which merging is not tried again: it found the disk full.
  private var neededToMerge: UInt64 = 0
  private var retention: Retention
  /// The shard that is being merged.
  private var merging: Int?

  init(pipeline: Pipeline, groups: GroupFiles) {
    self.pipeline = pipeline
    retention = Retention(pipeline, groups)
  }

  var restMicroseconds: Int64? {
    if !isAtRest || pipeline.room.isStuck || lacksDescriptors { return Self.idleMicroseconds }
    if pipeline.engines.contains(where: \.hasObsoleteTables) { return Self.obsoleteMicroseconds }
    return retention.restMicroseconds
  }

  func step() throws(StoreError) -> Bool {
    let progress = pipeline.progress.withLock { $0 }
    if progress.isAbandoning { return false }
    // Readers begin at what is visible now, or later.
    let folded = pipeline.positions.beginFolding()
    for engine in pipeline.engines { engine.keepVersions(from: folded) }
    lacksDescriptors = false
    if try flushTolerantly() { return true }
    // All that follows opens files too.
    if lacksDescriptors { return false }
    // Leaving does not wait for merges: the next process goes on with them.
    if progress.isStopping { return false }
    try retention.step()
    let isIdle = isIdle()
    if neededToMerge > 0, pipeline.room.look() < neededToMerge { return false }
    neededToMerge = 0
    if try compactTolerantly(isIdle: isIdle) { return true }
    if isIdle { try freezeTombstones() }
    isAtRest = isIdle
    // What became visible just now found nobody to wake.
    if isAtRest, pipeline.progress.withLock({ $0.visible }) != lastVisible { isAtRest = false }
    return false
  }

  /// Ends the generation when it has many tombstones. Once for what is visible: more is looked at when there is more.
  private func freezeTombstones() throws(StoreError) {
    if countedAt == lastVisible { return }
    countedAt = lastVisible
    guard pipeline.engines.reduce(0, { $0 + $1.memtableTombstones }) >= Self.manyTombstones else { return }
    try pipeline.requestFreeze()
  }

  /// Whether nothing was written for a while, and what was written is worked off.
  private func isIdle() -> Bool {
    let now = pipeline.options.clock.monotonicNanoseconds()
    let progress = pipeline.progress.withLock { $0 }
    // A transaction that is being applied is not visible before its end, and may take long.
    let isApplying = progress.submitted != progress.resolved
    if isApplying || progress.visible != lastVisible || progress.projected != lastProjected || lastWork == 0 {
      lastVisible = progress.visible
      lastProjected = progress.projected
      lastWork = now
    }
    let isBehind = progress.isProjecting && progress.projected < progress.visible
    let rest = isBehind ? Self.idleBehindMicroseconds : Self.idleMicroseconds
    return now - lastWork >= UInt64(rest) * 1_000
  }

  /// A disk without room is no failure of the store, nor is a process without descriptors: what cannot be flushed stays
  /// in memory and in the log, and is tried again.
  private func flushTolerantly() throws(StoreError) -> Bool {
    do throws(EngineError) {
      let flushedAny = try flush()
      pipeline.setStuck(false)
      return flushedAny
    } catch {
      if isWithoutDescriptors(error) { return false }
      guard isWithoutRoom(error) else { throw StoreError(error) }
      pipeline.setStuck(true)
      return false
    }
  }

  /// A merge that finds no room is tried again when there is more by a quarter.
  private func compactTolerantly(isIdle: Bool) throws(StoreError) -> Bool {
    do throws(EngineError) { return try compact(isIdle: isIdle) } catch {
      if isWithoutDescriptors(error) { return false }
      guard isWithoutRoom(error) else { throw StoreError(error) }
      let free = pipeline.room.look()
      neededToMerge = free + free / 4 + 1
      return false
    }
  }

  private func isWithoutRoom(_ error: EngineError) -> Bool {
    error.kind == .io && error.cause?.reason == .diskFull
  }

  /// Whether the process has no descriptor left. It looks again soon: who gives one back does not say so.
  private func isWithoutDescriptors(_ error: EngineError) -> Bool {
    guard error.kind == .io, error.cause?.reason == .noDescriptor else { return false }
    lacksDescriptors = true
    return true
  }

  /// Flushes the oldest frozen generation; during a merge not the part of the shard that is merged, if it is crowded.
  private func flush() throws(EngineError) -> Bool {
    let clock = pipeline.options.clock
    var flushedAny = false
    for engine in pipeline.engines {
      if engine.isCrowded, engine.waitsForFlush {
        if engine.shard == merging { continue }
        while engine.isCrowded, try engine.compact() {}
      }
      let start = clock.monotonicNanoseconds()
      if try !engine.flush() { continue }
      flushedAny = true
      pipeline.generations.partFlushed(nanoseconds: clock.monotonicNanoseconds() - start)
      pipeline.room.note(pipeline.options.memtableBudgetBytes / pipeline.engines.count)
    }
    let flushed = pipeline.engines.map(\.flushedPosition).min() ?? 0
    if flushedAny || flushed > pipeline.progress.withLock({ $0.flushed }) { pipeline.flushed(upTo: flushed) }
    if flushedAny { pipeline.generations.noteRuns(levelZeroRuns().max() ?? 0) }
    return flushedAny
  }

  /// Does one compaction; the shard with most runs in level 0 is asked first, so that none is left behind.
  private func compact(isIdle: Bool) throws(EngineError) -> Bool {
    let runs = levelZeroRuns()
    for shard in runs.indices.sorted(by: { runs[$0] > runs[$1] }) {
      // A merge of seconds must not keep memory waiting.
      let flushes = { () throws(EngineError) in
        _ = try self.flush()
        try self.checkRoomToMerge(shard)
      }
      merging = shard
      defer { merging = nil }
      if try !pipeline.engines[shard].compact(isIdle: isIdle, meanwhile: flushes) { continue }
      pipeline.generations.noteRuns(levelZeroRuns().max() ?? 0)
      return true
    }
    return false
  }

  /// A merge takes no room that flushes need: it ends, and what it has written goes, before the disk is full.
  private func checkRoomToMerge(_ shard: Int) throws(EngineError) {
    if pipeline.room.look() >= pipeline.room.watermarkBytes / 2 { return }
    throw EngineError(pipeline.room.full, doing: "merging tables", shard: shard)
  }

  private func levelZeroRuns() -> [Int] { pipeline.engines.map(\.levelZeroRunCount) }
}
