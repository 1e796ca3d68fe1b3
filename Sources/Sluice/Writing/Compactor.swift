// The compactor: flushes frozen memtables of all shards, moves the flushed position, then compacts, one piece at a
// time, the shard with most runs first. When nothing was written for a while it goes further.
import SluiceLSM
import SluiceSystem

/// Keeps the engines' tables in shape. One per store.
///
/// `@unchecked Sendable`: its fields belong to the thread that steps it.
final class Compactor: Role, @unchecked Sendable {
  let name = "compactor"
  let bell = Bell()
  /// Time without a write after which more is merged than writing asks for.
  private static let idleMicroseconds: Int64 = 100_000

  private let pipeline: Pipeline
  private var lastVisible: UInt64 = 0
  private var lastWrite: UInt64 = 0
  /// Whether everything is done that a store without writes wants.
  private var isAtRest = false

  init(pipeline: Pipeline) { self.pipeline = pipeline }

  var restMicroseconds: Int64? { isAtRest ? nil : Self.idleMicroseconds }

  func step() throws(StoreError) -> Bool {
    let progress = pipeline.progress.withLock { $0 }
    if progress.isAbandoning { return false }
    // Readers begin at what is visible now, or later.
    let folded = pipeline.positions.beginFolding()
    for engine in pipeline.engines { engine.keepVersions(from: folded) }
    if try flush() { return true }
    // Leaving does not wait for merges: the next process goes on with them.
    if progress.isStopping { return false }
    let isIdle = isIdle()
    if try compact(isIdle: isIdle) { return true }
    isAtRest = isIdle
    return false
  }

  /// Whether nothing was written for a while.
  private func isIdle() -> Bool {
    let now = pipeline.options.clock.monotonicNanoseconds()
    let visible = pipeline.positions.visible
    if visible != lastVisible || lastWrite == 0 {
      lastVisible = visible
      lastWrite = now
    }
    return now - lastWrite >= UInt64(Self.idleMicroseconds) * 1_000
  }

  /// Flushes the oldest frozen generation, as far as no shard has done so within a merge of its own.
  private func flush() throws(StoreError) -> Bool {
    let clock = pipeline.options.clock
    var flushedAny = false
    for engine in pipeline.engines {
      let start = clock.monotonicNanoseconds()
      do { if try !engine.flush() { continue } } catch { throw StoreError(error) }
      flushedAny = true
      pipeline.generations.partFlushed(nanoseconds: clock.monotonicNanoseconds() - start)
    }
    let flushed = pipeline.engines.map(\.flushedPosition).min() ?? 0
    if flushedAny || flushed > pipeline.progress.withLock({ $0.flushed }) { pipeline.flushed(upTo: flushed) }
    if flushedAny { pipeline.generations.noteRuns(levelZeroRuns().max() ?? 0) }
    return flushedAny
  }

  /// Does one compaction; the shard with most runs in level 0 is asked first, so that none is left behind.
  private func compact(isIdle: Bool) throws(StoreError) -> Bool {
    let runs = levelZeroRuns()
    for shard in runs.indices.sorted(by: { runs[$0] > runs[$1] }) {
      do { if try !pipeline.engines[shard].compact(isIdle: isIdle) { continue } } catch { throw StoreError(error) }
      pipeline.generations.noteRuns(levelZeroRuns().max() ?? 0)
      return true
    }
    return false
  }

  private func levelZeroRuns() -> [Int] { pipeline.engines.map { $0.statistics().levels.first?.runs ?? 0 } }
}
