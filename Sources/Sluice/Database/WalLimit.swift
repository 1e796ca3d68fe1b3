// The write-ahead log of projections.db stays small, whoever reads the file. SQLite can begin the log anew only when
// all of it is in the file and nobody reads it; one reader that stays in its transaction keeps both from happening, and
// the log grows with every commit. So the projector ends its transaction before the log would pass the cap, and waits
// when there is no room for another one.
//
// The arithmetic, for the file's size, in frames of 24 bytes and a page (8 KiB):
//
//   cap        8,167    64 MiB, the size of the file at most
//   room       2,041    committed frames behind which the log is copied into the file before the next transaction
//   use        6,125    three quarters of the cap: committed frames, and those that a transaction is expected to add;
//                       half of the cap where rows are scattered, of which less is known
//
// How many frames a transaction adds is known when it is committed. Rows at the end of their tables fill pages one
// after the other, rows anywhere among others may take a page each, in the mirror, in each index and each projection.
// So the two kinds are counted apart, the frames of a row of each kind are measured, and a transaction holds at most
// four times as many rows of a kind as the largest one before: the first ones are small.
//
// So the cap rests on what was measured: rows that suddenly take several times as many frames may pass it once.
//
// While a query of the refresher reads the file, which may take minutes, the cap is sixteen times as high: mirrors go
// on beside it. A query for which that is not enough is ended, and begins again when less is written.
//
// A transaction of a user is never split, here neither: one that changes more pages than fit makes the log as large as
// it needs, and so does filling the file anew. The log is cut back behind it.
import SluiceSQLite
import SluiceSystem

/// Counts what is in the log and on its way there. Belongs to the projector's thread.
final class WalLimit {
  /// Size of `projections.db-wal` that is not passed.
  static let capBytes = ProjectorStatus.walCapBytes
  /// Rows after which a transaction is committed although more is waiting: a group of a projection that many of them
  /// touch is written once.
  static let transactionRows = 300_000
  /// Rows that are written in one transaction, by what they do to pages.
  struct Rows {
    /// New ones, each behind the one before.
    var appended = 0
    var scattered = 0
    var count: Int { appended + scattered }

    static func + (a: Rows, b: Rows) -> Rows {
      Rows(appended: a.appended + b.appended, scattered: a.scattered + b.scattered)
    }
  }

  private let connection: Connection
  private let path: String
  private let files: RealFileSystem
  /// The log's file, opened for its write-back alone. SQLite keeps its locks on other files.
  private var logFile: (any File)?
  /// Pages of `capBytes`.
  private let usualPages: Int
  /// Whether a query of the refresher reads the file: the log cannot begin anew before its end, which may be minutes
  /// away. It may become so many times as long meanwhile, before the query is ended.
  var isReadBeside = false
  private static let timesBeside = 16
  private var capPages: Int { isReadBeside ? Self.timesBeside * usualPages : usualPages }
  /// Frames of the log that are committed.
  private(set) var committedPages = 0
  /// Pages of the database, those in the log included.
  private var filePages = 0
  /// How often the log was synced and copied into the file, as far as that went.
  private(set) var checkpointCount = 0
  /// What a transaction may hold, and frames for a row of each kind, by the last ones.
  private var limit = Rows(appended: 16_384, scattered: 1_024)
  private var framesPerRow = (appended: 0.1, scattered: 6.0)
  /// Whether the rows of the last transaction were scattered: few bytes of the log then fill it, so they are taken in
  /// small steps.
  private(set) var isScattered = false

  /// `place`: of the database file.
  init(_ connection: Connection, _ place: DatabasePath) throws(SQLiteError) {
    self.connection = connection
    path = place.path
    files = place.files
    var pageBytes = 4_096
    if case .integer(let size)? = try connection.prepare("PRAGMA page_size").rows().first?.first {
      pageBytes = Int(size)
    }
    usualPages = (Self.capBytes - 32) / (pageBytes + 24)
    // Until something is measured: each index, and each copy with groups, may take a page for each row.
    let others = try connection.prepare(
      "SELECT count(*) FROM sqlite_schema WHERE type = 'index' "
        + "OR (name LIKE 'sluice!_%!_%' ESCAPE '!' AND sql LIKE '%WITHOUT ROWID')"
    ).rows()
    if case .integer(let count)? = others.first?.first { framesPerRow.appended += Double(count) }
    try noteCommitted()
  }

  deinit { logFile?.close() }

  /// Has the disk begin with what is in the log, while more is written: the sync that stands in front of a checkpoint
  /// waits for all of it. A hint.
  func startWriteback() {
    do {
      if logFile == nil { logFile = try files.open(path + "-wal", .read) }
      if let logFile { logFile.startWriteback(at: 0, size: try logFile.size()) }
    } catch {}
  }

  /// Committed frames beyond which the log is copied into the file.
  private var roomPages: Int { capPages / 4 }

  // MARK: The transaction

  /// Whether a transaction may hold more than these rows.
  func admitsMore(than rows: Rows) -> Bool {
    // A file with so few pages can be changed as a whole, some of them more than once.
    if committedPages + 2 * filePages <= capPages * 3 / 4, rows.appended < limit.appended { return true }
    if rows.appended >= limit.appended || rows.scattered >= limit.scattered { return false }
    // A page that the cache has no room for, and that changes again, takes another frame, and deletions reach the
    // neighbours of pages that have become empty: not so in a small transaction, by which the larger one is judged.
    let scattered = Double(rows.scattered) * framesPerRow.scattered * 2.5
    let expected = Double(rows.appended) * framesPerRow.appended + scattered
    return committedPages + Int(expected) <= (rows.scattered > rows.count / 10 ? capPages / 2 : capPages * 3 / 4)
  }

  /// Frames that a transaction may add.
  var freePages: Int { max(capPages * 3 / 4 - committedPages, 0) }

  /// To be called behind COMMIT; returns the frames that it added. Copies the log into the file when it has filled its
  /// room; a reader or a full disk puts that off.
  @discardableResult
  func committed(_ rows: Rows, dueAt pages: Int) throws(SQLiteError) -> Int {
    let before = committedPages
    try noteCommitted()
    // The log may have begun anew.
    let added = committedPages > before ? committedPages - before : committedPages
    learn(rows, added)
    guard committedPages > min(roomPages, pages) else { return added }
    try sync()
    return added
  }

  /// Makes what is committed durable, and copies what it can; a full disk puts that off.
  func sync() throws(SQLiteError) {
    do {
      // SQLite syncs the log before it copies anything. With somebody in the way it may do neither.
      if try connection.checkpoint(.passive).isComplete { checkpointCount += 1 }
    } catch { if error.kind != .full { throw error } }
  }

  private func learn(_ rows: Rows, _ frames: Int) {
    guard rows.count > 0 else { return }
    let perRow = Double(frames) / Double(rows.count)
    isScattered = rows.scattered > rows.count / 10
    if isScattered {
      framesPerRow.scattered = max(perRow, framesPerRow.scattered / 2)
      limit.scattered = min(max(limit.scattered, rows.scattered * 4), Self.transactionRows)
    } else {
      framesPerRow.appended = max(perRow, framesPerRow.appended / 2)
      limit.appended = min(max(limit.appended, rows.appended * 4), Self.transactionRows)
    }
  }

  private func noteCommitted() throws(SQLiteError) {
    committedPages = try connection.walIndex()?.frames ?? 0
    if case .integer(let count)? = try connection.prepare("PRAGMA page_count").rows().first?.first {
      filePages = Int(count)
    }
  }

  // MARK: Between transactions

  /// Whether the log has room for a transaction, once it has been made where that was possible; false: somebody reads
  /// what is in the log, or from before it.
  func makeRoom() throws(SQLiteError) -> Bool {
    if committedPages <= roomPages { return true }
    // The first one moves what it can and disturbs nobody; the second one has the rest, and finds nobody in the log.
    let moved = try connection.checkpoint(.passive)
    if moved.isComplete { checkpointCount += 1 }
    guard !moved.wasBlocked, try !connection.checkpoint(.restart).wasBlocked else { return false }
    // The next transaction writes over what is there.
    committedPages = 0
    return true
  }

  /// Gives back what a transaction took that was rolled back, for nothing of it is needed. That is put off while
  /// somebody reads the file, or while there is no room for what was committed before.
  func giveBack() throws(SQLiteError) {
    do {
      _ = try connection.checkpoint(.passive)
      if try !connection.checkpoint(.truncate).wasBlocked { committedPages = 0 }
    } catch { if error.kind != .full, error.kind != .busy { throw error } }
  }

  /// Cuts the file back when it is larger than the cap, if nobody is in the way. For a projector that has nothing else
  /// to do.
  func cutBack() throws(SQLiteError) {
    do {
      guard let size = try files.fileSize(path + "-wal"), size > UInt64(Self.capBytes) else { return }
    } catch { throw SQLiteError(message: error.description) }
    if try !connection.checkpoint(.truncate).wasBlocked { committedPages = 0 }
  }

  // MARK: Who is in the way

  /// Who keeps the log from beginning anew; empty when that cannot be told.
  func readers() -> [Int32] {
    holders { locks throws(SQLiteError) in
      let readers = WalLocks.readers(try connection.walIndex(), locks)
      return readers.isEmpty ? WalLocks.writers(locks) : readers
    }
  }

  /// Who writes to the file; empty when that cannot be told.
  func writers() -> [Int32] { holders { locks throws(SQLiteError) in WalLocks.writers(locks) } }

  private func holders(_ choose: ([HeldLock]) throws(SQLiteError) -> [Int32]) -> [Int32] {
    do { return try choose(try files.locks(on: path + "-shm") ?? []) } catch { return [] }
  }
}

/// The locks of processes on the file `-shm` of a database in WAL mode (https://sqlite.org/walformat.html, 2.3.2; the
/// first of them lies at byte 120).
enum WalLocks {
  /// Of who writes.
  private static let writing: UInt64 = 120
  /// Of who copies the log into the file.
  private static let copying: UInt64 = 121
  private static let firstMark: UInt64 = 123

  /// Processes whose locks keep a checkpoint from ending or the log from beginning anew, in rising order. Readers that
  /// see the newest state are in nobody's way while others keep the log from being copied.
  static func readers(_ index: Connection.WalIndex?, _ locks: [HeldLock]) -> [Int32] {
    var bytes: Set<UInt64> = []
    for (number, mark) in (index?.marks ?? [0, 0, 0, 0, 0]).enumerated() {
      if let index, index.movedFrames < index.frames {
        // Mark 0, always at frame 0, is of readers of the file itself, in which nothing may change meanwhile.
        if mark.map({ $0 < index.frames }) == true { bytes.insert(firstMark + UInt64(number)) }
      } else if number > 0 {
        bytes.insert(firstMark + UInt64(number))
      }
    }
    return holders(of: bytes, locks)
  }

  /// This process always has the lock of who copies.
  static func writers(_ locks: [HeldLock]) -> [Int32] {
    let others = holders(of: [copying], locks).filter { $0 != processIdentifier() }
    return Set(holders(of: [writing], locks) + others).sorted()
  }

  private static func holders(of bytes: Set<UInt64>, _ locks: [HeldLock]) -> [Int32] {
    let holders = locks.filter { lock in lock.kind == .bytes && bytes.contains(where: lock.range.contains) }
    return Set(holders.map(\.process)).sorted()
  }
}
