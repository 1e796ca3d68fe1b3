// The compactor: flushes frozen memtables of all shards, moves the flushed position, then compacts, one piece at a
// time.
import SluiceLSM
import SluiceSystem

/// Keeps the engines' tables in shape. One per store.
final class Compactor: Role {
  let name = "compactor"
  let bell = Bell()
  private let pipeline: Pipeline

  init(pipeline: Pipeline) { self.pipeline = pipeline }

  func step() throws(StoreError) -> Bool {
    let progress = pipeline.progress.withLock { $0 }
    if progress.isAbandoning { return false }
    // Readers begin at what is visible now, or later.
    let folded = pipeline.positions.beginFolding()
    for engine in pipeline.engines { engine.keepVersions(from: folded) }
    if try flush() {
      noteRuns()
      return true
    }
    // Leaving does not wait for merges: the next process goes on with them.
    if progress.isStopping { return false }
    for engine in pipeline.engines {
      do { if try !engine.compact() { continue } } catch { throw StoreError(error) }
      noteRuns()
      return true
    }
    return false
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
    return flushedAny
  }

  private func noteRuns() {
    let runs = pipeline.engines.map { $0.statistics().levels.first?.runs ?? 0 }.max() ?? 0
    pipeline.generations.noteRuns(runs)
  }
}
