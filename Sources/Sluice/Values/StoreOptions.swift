import SluiceLSM
import SluiceSystem

/// When a statement counts as acknowledged (`SET ack = …`).
public enum AcknowledgementLevel: String, Sendable, CaseIterable {
  /// In the memory of the queue.
  case queued
  /// In the log, on the disk, fsynced.
  case durable
  /// Checked and readable in its shard.
  case applied
  /// Visible in projections.db.
  case projected
}

/// How a store is opened.
public struct StoreOptions: Sendable {
  /// Shards of a store that is created now, 1 to 256; an existing store keeps its own number.
  public var shardCount = 4
  /// Whether a missing store is created.
  public var createIfMissing = true
  /// Whether the store is only read. Nothing of it is created, changed, removed or locked, but that SQLite may note
  /// who reads a projections.db that was not closed in `projections.db-shm`. So it may lie on a read-only file system,
  /// or belong to somebody else. What writes is refused, with SQLite's code 8. What only the log holds is applied in
  /// memory. Projections can be read where projections.db is up to date.
  public var isReadOnly = false
  /// Whether the disk has what counts as durable. False: the operating system has it, which survives the end of the
  /// process but not a power cut; such a cut may take back the last writes, the latest first, never a part of one
  /// statement. For loads that can be repeated.
  public var synchronous = true
  /// The level at which statements are acknowledged in new sessions.
  public var acknowledgement = AcknowledgementLevel.durable

  /// Memory for memtables and cached blocks over all shards, in bytes: a third each for the memtables that fill, for
  /// those that are being flushed, and for the cache; but for memtables no less than 64 KiB a shard, so that they make
  /// files of some size. What else a store holds does not grow with its rows, but for the
  /// filters and indexes of its tables (2.5 bytes a row). Pages of mapped table files are the system's own cache.
  public var memoryBytes: Int {
    get { 2 * memtableBudgetBytes + cacheBytes }
    set {
      memtableBudgetBytes = max(newValue / 3, 1)
      cacheBytes = max(newValue - 2 * memtableBudgetBytes, 0)
      leastPartBytes = 64 << 10
    }
  }

  /// The defaults, which each property tells.
  public init() {}

  /// Why the store is only read, as a part of a sentence.
  package var readOnlyReason = "it was opened for reading alone"
  /// Bytes that the memtables of all shards may hold together before they are flushed; one more such generation may
  /// wait for that. At most a sixteenth of the file system.
  package var memtableBudgetBytes = 32 << 20
  /// Bytes of `memtableBudgetBytes` that each shard has at least.
  package var leastPartBytes = 0
  /// Bytes of decompressed blocks kept in memory, over all shards.
  package var cacheBytes = 32 << 20
  /// How tables that are written from now on store their blocks.
  package var compression = Compression.none
  /// Bytes of an open transaction beyond which it is staged on disk.
  package var stageBytes = 1 << 20
  /// Whether the projector writes a large transaction before it is committed. Not worth it for who leaves without
  /// draining: the work would be thrown away.
  package var projectsAhead = true
  /// Bytes of applied batches kept in memory for the projector; what does not fit it reads back from the log.
  package var projectorQueueBytes = 48 << 20
  /// Bytes kept free on the disk besides what the memtables need; at most a sixteenth of the file system.
  package var diskReserveBytes = DiskRules.reserveBytes
  /// Files, clock and randomness; a simulator puts its own here.
  package var fileSystem: any FileSystem = RealFileSystem()
  package var clock: any Clock = SystemClock()
  /// Whether the roles run on threads of their own; otherwise whoever waits drives them, step by step.
  package var threaded = true
  /// Where projections.db lies when not in the store (a simulated store has no real directory).
  package var projectionsPath: String?
}
