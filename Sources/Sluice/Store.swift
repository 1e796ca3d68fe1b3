// The public API: a store and its sessions.
import SluiceLSM
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// A write-scaling store in a directory.
///
/// One process at a time opens a store. Its read models lie in `projections.db`, an ordinary SQLite file that any
/// number of processes may read meanwhile.
public final class Store: Sendable {
  let core: StoreCore
  let clients = Monitor(OpenClients())

  /// Opens the store at `path`, a directory; creates it when it is missing and `options` allow.
  ///
  /// What the log holds and the shards do not is applied before this returns; projections catch up in the background.
  /// Throws `invalid` (not a store), `unsupported` (a newer format), `unavailable` (held by another process,
  /// unreadable) or `corrupt`. Cost: reading the log behind the last flush, about 0.2 µs a row.
  public static func open(path: String, options: StoreOptions = StoreOptions()) throws(StoreError) -> Store {
    Store(try StoreOpening.open(path: path, options: options))
  }

  /// Refuses a path, as it was given, that is no store's: `:memory:`, and URIs of SQLite. For who makes another one of
  /// it before the store is opened.
  package static func checkName(_ path: String) throws(StoreError) { try StoreOpening.checkName(path) }

  private init(_ core: StoreCore) { self.core = core }

  /// A new session. Any number of them may work at the same time, each on one thread.
  public func makeSession() throws(StoreError) -> Session { try Session(store: core) }

  /// A new session for the raw keys and values of one key space, 0 ..< 65,536; no SQL table shows them. Any number of
  /// them may work at the same time, each on one thread. Throws `invalid` when there is no such space.
  public func makeKeyValueSession(space: Int = 0) throws(StoreError) -> KeyValueSession {
    try KeyValueSession(store: core, space: space)
  }

  /// Brings everything that was handed over before into table files, and waits for that. Nothing needs it to be
  /// durable: the log is. Merges of tables go on afterwards. Throws what has ended writing, and `overloaded` when the
  /// disk has no room for the tables. Cost: about 0.3 µs a row that was in memory.
  public func flush() throws(StoreError) { try core.pipeline.flush() }

  /// What people should know that is no statement's error, a sentence each: that projections.db was made anew, and why;
  /// that the log lacks its beginning. Each is told once.
  public func takeNotices() -> [String] { core.pipeline.takeNotices() }

  /// Figures of each shard's engine at this moment, by shard.
  package var engineStatistics: [EngineStatistics] { core.pipeline.engines.map { $0.statistics() } }

  /// Holds the projector back, or lets it go on: for measuring what it does on a backlog. It must be let go before
  /// anything waits for projections, as `close` does.
  package func suspendProjector(_ isSuspended: Bool) {
    core.projector.isSuspended = isSuspended
    core.pipeline.wakeProjector()
  }

  /// A sentence when the path that the store was opened with does not lead to it any more, because its directory was
  /// renamed or removed; nil while it does. The store is read and written where its directory is.
  public var relocation: String? { core.relocation }

  /// Ends the store; sessions must not be used afterwards. With `drain` (the default) the queue is applied and
  /// projected first; without it, what is durable is left for the next opening. Projections that are being filled are
  /// waited for, however long that takes: `report` is told what is waited for, on this thread, from one second on and
  /// then a few times a second, and `hastenClose` ends it. Throws the first failure of the pipeline, if any. Calling it
  /// again does nothing.
  public func close(drain: Bool = true, report: @escaping (ClosingWait) -> Void = { _ in }) throws(StoreError) {
    try core.close(drain: drain, report: report)
  }

  /// Has a `close` that is waiting leave within a second, as without `drain`; it throws `overloaded` then. Nothing
  /// happens when none is. From any thread.
  public func hastenClose() { core.hastenClose() }
}
