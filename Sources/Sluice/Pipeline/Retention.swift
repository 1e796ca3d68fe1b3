// How much of the event log a store keeps: ALTER STORE SET retain. Dropped are whole segments that every consumer has
// passed: the shards, as far as they are flushed; projections.db, as far as it is on the disk; and the groups of
// `sluice tail`. On the compactor's thread.
import SluiceLog
import SluiceSQL
import SluiceSystem

/// Decides when to look, and what may go.
struct Retention {
  /// Time between two looks while nothing is flushed, in nanoseconds.
  private static let pauseNanoseconds: UInt64 = 30_000_000_000

  private let pipeline: Pipeline
  private let groups: GroupFiles
  private var lookedAt: UInt64 = 0
  /// The flushed position for which the projector was asked to sync its file.
  private var askedFor: UInt64 = 0
  private var lastSeen: UInt64 = 0

  init(_ pipeline: Pipeline, _ groups: GroupFiles) {
    self.pipeline = pipeline
    self.groups = groups
  }

  /// When another look is worth it although nothing happens; nil: never.
  var restMicroseconds: Int64? {
    pipeline.catalog.withLock { $0.settings.isEmpty } ? nil : Int64(Self.pauseNanoseconds / 1_000)
  }

  /// Drops what may go, if it is time to look.
  mutating func step() throws(StoreError) {
    let rule = pipeline.catalog.withLock { $0.retention }
    guard rule != .forever else { return }
    let progress = pipeline.progress.withLock { $0 }
    let now = pipeline.options.clock.monotonicNanoseconds()
    let isNew = min(progress.flushed, progress.synced) > lastSeen
    let asks = progress.synced < progress.flushed && progress.flushed > askedFor
    guard isNew || asks || lookedAt == 0 || now >= lookedAt + Self.pauseNanoseconds else { return }
    lookedAt = now
    lastSeen = min(progress.flushed, progress.synced)
    if asks {
      // It rings when it has done so.
      askedFor = progress.flushed
      pipeline.projectorRequests.sync()
      pipeline.wakeProjector()
    }
    let position = min(progress.flushed, progress.synced, groups.lowestPosition() ?? .max)
    do {
      _ = try pipeline.log.drop(
        through: position, keeping: rule, nowMicroseconds: pipeline.options.clock.wallMicroseconds())
    } catch { throw StoreError(error) }
  }
}

extension Catalog {
  /// What `retain` says.
  var retention: LogRetention {
    guard let text = settings["retain"] else { return .forever }
    do {
      switch try SluiceSQL.Retention(.text(text)) {
      case .forever: return .forever
      case .microseconds(let age): return .microseconds(age)
      case .bytes(let size): return .bytes(UInt64(clamping: size))
      }
    } catch { return .forever }
  }
}
