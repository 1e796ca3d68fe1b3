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
    if try flush() { return true }
    // Leaving does not wait for merges: the next process goes on with them.
    if progress.isStopping { return false }
    for engine in pipeline.engines {
      do { if try engine.compact() { return true } } catch { throw StoreError(error) }
    }
    return false
  }

  /// Flushes the oldest frozen generation. A batch may count as flushed only when its resolution is durable.
  private func flush() throws(StoreError) -> Bool {
    guard pipeline.mayFlush() else { return false }
    try pipeline.syncLog()
    var flushedAny = false
    for engine in pipeline.engines {
      do { if try engine.flush() { flushedAny = true } } catch { throw StoreError(error) }
    }
    guard flushedAny else { return false }
    let flushed = pipeline.engines.map(\.flushedPosition).min() ?? 0
    pipeline.generationFlushed(upTo: flushed)
    return true
  }
}
