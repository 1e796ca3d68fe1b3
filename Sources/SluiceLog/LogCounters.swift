// What a log did since it was opened: figures for `SHOW QUEUE` and for the bench.

/// Counted by the writing thread for each group, shown when the group is.
public struct LogCounters: Sendable, Equatable {
  /// Groups that became durable together: a commit of several sessions' batches, or an adopted large transaction.
  public internal(set) var groups = 0
  /// Files synced; an adopted transaction's own file is one of them.
  public internal(set) var syncs = 0
  /// Bytes of records written, with those of adopted transactions.
  public internal(set) var bytes: UInt64 = 0
}
