// The write-ahead log of a connection's main database: checkpoints, and figures of what is in it and what is on its way
// there. Unsafe by nature: named in the tidy test.
import CSQLite

extension Connection {
  /// How far a checkpoint goes (https://sqlite.org/c3ref/wal_checkpoint_v2.html).
  public enum CheckpointMode: Sendable {
    /// Moves what it can without waiting for anybody.
    case passive
    /// Waits for writers, moves everything, syncs the database file.
    case full
    /// As `full`, then waits for readers, so that the next writer begins the log anew.
    case restart
    /// As `restart`, then cuts the log file to nothing.
    case truncate
  }

  /// What a checkpoint did. Counts are in frames (pages), -1 when the database has no write-ahead log.
  public struct CheckpointResult: Sendable, Equatable {
    /// Frames in the log.
    public let logFrames: Int
    /// Frames of them that are in the database file.
    public let movedFrames: Int
    /// Whether another connection kept it from going all the way.
    public let wasBlocked: Bool
    /// Whether the whole log is in the database file.
    public var isComplete: Bool { !wasBlocked && logFrames == movedFrames }
  }

  /// Copies the write-ahead log of the main database into its file. A lock that outlasts the busy timeout is no error
  /// but `wasBlocked`.
  public func checkpoint(_ mode: CheckpointMode) throws(SQLiteError) -> CheckpointResult {
    let db = try opened()
    let number =
      switch mode {
      case .passive: SQLITE_CHECKPOINT_PASSIVE
      case .full: SQLITE_CHECKPOINT_FULL
      case .restart: SQLITE_CHECKPOINT_RESTART
      case .truncate: SQLITE_CHECKPOINT_TRUNCATE
      }
    var frames: Int32 = -1, moved: Int32 = -1
    var code = sx_wal_checkpoint(db, "main", number, &frames, &moved)
    if code == SQLITE_OK && frames < 0 {
      // A connection that has not read its file yet does not know of the log and does nothing.
      try execute("PRAGMA main.schema_version")
      code = sx_wal_checkpoint(db, "main", number, &frames, &moved)
    }
    if code != SQLITE_OK && code & 0xff != SQLITE_BUSY { throw .last(db, sql: nil) }
    if mode != .passive, code == SQLITE_OK { walFrames.pointee = 0 }
    return CheckpointResult(logFrames: Int(frames), movedFrames: Int(moved), wasBlocked: code != SQLITE_OK)
  }

  /// From now on commits are counted in `walPages` and SQLite no longer checkpoints by itself: the owner does.
  public func takeOverCheckpoints() throws(SQLiteError) {
    let hook: @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?, UnsafePointer<CChar>?, Int32) -> Int32 = {
      (argument, _, _, pages) in
      argument?.assumingMemoryBound(to: Int32.self).pointee = pages
      return SQLITE_OK
    }
    sx_wal_hook(try opened(), hook, UnsafeMutableRawPointer(walFrames))
  }

  /// From now on closing leaves the write-ahead log as it is. Otherwise the last connection to close copies it into
  /// the file and removes it, under a lock that makes who opens the file just then find it locked.
  public func keepLogOnClose() throws(SQLiteError) {
    let db = try opened()
    if sx_no_checkpoint_on_close(db) != SQLITE_OK { throw .last(db, sql: nil) }
  }

  /// Pages in the write-ahead log after this connection's last commit. Counted once `takeOverCheckpoints` was called.
  public var walPages: Int { Int(walFrames.pointee) }

  /// How the log stands, as all processes see it (https://sqlite.org/walformat.html, 2.3.1).
  public struct WalIndex: Sendable, Equatable {
    /// Frames (pages) in the log.
    public let frames: Int
    /// How many of them are in the database file.
    public let movedFrames: Int
    /// The frame up to which the readers of each of the five read marks see the log; mark 0 is of those who read the
    /// file alone. Nil: the mark is not in use.
    public let marks: [Int?]
    /// Counts the commits of all connections, as long as somebody has the database open.
    public let changes: UInt32

    public init(frames: Int, movedFrames: Int, marks: [Int?], changes: UInt32 = 0) {
      self.changes = changes
      self.frames = frames
      self.movedFrames = movedFrames
      self.marks = marks
    }
  }

  /// The log's state; nil when the connection has not read a database in WAL mode yet, or may only read, for the index
  /// would be made where there is none.
  public func walIndex() throws(SQLiteError) -> WalIndex? {
    var index = sx_wal_index()
    let db = try opened()
    guard sx_db_readonly(db, "main") != 1, sx_read_wal_index(db, &index) == SQLITE_OK else { return nil }
    let marks = [index.marks.0, index.marks.1, index.marks.2, index.marks.3, index.marks.4]
    return WalIndex(
      frames: Int(index.frames), movedFrames: Int(index.moved),
      marks: marks.map { $0 == UInt32.max ? nil : Int($0) }, changes: index.changes)
  }
}
