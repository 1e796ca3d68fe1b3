// The write-ahead log of projections.db stays small, whoever reads the file. SQLite can begin the log anew only when
// all of it is in the file and nobody reads it; one reader that stays in its transaction keeps both from happening, and
// the log grows with every commit. So the projector ends its transaction before the log would pass the cap, and waits
// when there is no room for another one.
//
// The arithmetic, in frames of 24 bytes and a page (4 KiB):
//
//   cap        16,288    64 MiB, the size of the file at most
//   cache       6,000    pages that COMMIT may have to write: all that the page cache holds (24,000 KiB)
//   reserve     6,144    what the next batch may push out of the cache before anybody asks again: a batch of a session
//                        is 256 KiB, and 6,144 rows in it are rows of 43 bytes. Rows that push out more than one page
//                        each, because of many indexes, are measured, and the reserve follows them
//   room        4,144    what is left for frames that are committed and frames that are pushed out already
//
// A transaction of a user is never split, here neither: one that changes more pages than fit makes the log as large as
// it needs, and so does filling the file anew. The log is cut back behind it.
import SluiceSQLite
import SluiceSystem

/// Counts what is in the log and on its way there. Belongs to the projector's thread.
final class WalLimit {
  /// Size of `projections.db-wal` that is not passed.
  static let capBytes = 64 << 20
  /// Size of the page cache of the projector's connection.
  static let cacheKiB = 24_000
  /// What a batch may push out of the cache.
  static let batchPages = 6_144

  private let connection: Connection
  private let path: String
  private let files = RealFileSystem()
  private let capPages: Int
  private let cachePages: Int
  /// What the next batch may push out, by what the last ones did.
  private var reserve = WalLimit.batchPages
  /// Frames of the log that are committed.
  private(set) var committedPages = 0
  /// Pages that the open transaction has pushed out when it was last asked.
  private var spilledPages = 0

  /// `path`: of the database file.
  init(_ connection: Connection, path: String) throws(SQLiteError) {
    self.connection = connection
    self.path = path
    var pageBytes = 4_096
    if case .integer(let size)? = try connection.prepare("PRAGMA page_size").rows().first?.first {
      pageBytes = Int(size)
    }
    capPages = (Self.capBytes - 32) / (pageBytes + 24)
    cachePages = Self.cacheKiB * 1_024 / pageBytes
    try noteCommitted()
  }

  /// Frames beyond which a commit is followed by copying the log into the file.
  private var roomPages: Int { max(0, capPages - cachePages - reserve) }

  // MARK: The open transaction

  /// To be called when a transaction has begun.
  func begin() throws(SQLiteError) {
    spilledPages = 0
    _ = try connection.writtenPages(reset: true)
  }

  /// Whether the open transaction may take another batch: ended behind that, the log is below the cap. To be asked once
  /// for each batch. Cost: one call of SQLite's, some tens of nanoseconds.
  func transactionMayGrow() throws(SQLiteError) -> Bool {
    let spilled = try connection.writtenPages()
    // Three halves of the largest so far; what was large once is forgotten in some tens of batches.
    reserve = max(Self.batchPages, (spilled - spilledPages) * 3 / 2, reserve - reserve / 16)
    spilledPages = spilled
    return committedPages + spilled <= roomPages
  }

  /// To be called behind COMMIT. Copies the log into the file when it has filled its room; a reader or a full disk puts
  /// that off.
  func committed(dueAt pages: Int) throws(SQLiteError) {
    try noteCommitted()
    guard committedPages > min(roomPages, pages) else { return }
    do { _ = try connection.checkpoint(.passive) } catch { if error.kind != .full { throw error } }
  }

  private func noteCommitted() throws(SQLiteError) { committedPages = try connection.walIndex()?.frames ?? 0 }

  // MARK: Between transactions

  /// Whether the log has room for a transaction, once it has been made where that was possible; false: somebody reads
  /// what is in the log, or from before it.
  func makeRoom() throws(SQLiteError) -> Bool {
    if committedPages <= roomPages { return true }
    // The first one moves what it can and disturbs nobody; the second one has the rest, and finds nobody in the log.
    let moved = try connection.checkpoint(.passive)
    guard !moved.wasBlocked, try !connection.checkpoint(.restart).wasBlocked else { return false }
    // The next transaction writes over what is there.
    committedPages = 0
    return true
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
  /// Of who writes, and of who copies the log into the file.
  private static let writing: Set<UInt64> = [120, 121]
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

  static func writers(_ locks: [HeldLock]) -> [Int32] { holders(of: writing, locks) }

  private static func holders(of bytes: Set<UInt64>, _ locks: [HeldLock]) -> [Int32] {
    let holders = locks.filter { lock in lock.kind == .bytes && bytes.contains(where: lock.range.contains) }
    return Set(holders.map(\.process)).sorted()
  }
}
