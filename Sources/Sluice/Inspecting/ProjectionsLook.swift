// What projections.db holds, read without a trace. A reader of a database in WAL mode makes or changes the files
// beside it; taking the file to be immutable does not, but then what stands in the write-ahead log is not seen. So the
// file is read when that log is empty, which a process leaves behind that leaves tidily, and else only described.
//
// The file is disposable: what is missing or unusable is no damage, opening makes it anew. But a file that opening
// would go on with must be whole, for sqlite3 reads it.
import SluiceSQLite
import SluiceSystem

/// One look at projections.db.
struct ProjectionsLook {
  private var sizes = ""
  private var state = ""
  private var what = ""
  /// The last position that the file holds.
  private var checkpoint: UInt64?

  /// Reads the checkpoint; with `isCheck` SQLite checks the whole file.
  static func take(
    _ place: DatabasePath, storeID: UInt64?, isCheck: Bool, report: InspectionReport
  ) -> ProjectionsLook {
    var look = ProjectionsLook()
    let (path, files) = (place.path, place.files)
    do {
      guard try files.exists(path) else {
        look.settle("missing", "opening makes it")
        return look
      }
      let log = try files.fileSize(path + "-wal") ?? 0
      look.sizes = " bytes=\(try files.fileSize(path) ?? 0) wal_bytes=\(log)"
      if log > 0 {
        look.settle("unread", "pages are in its write-ahead log, which SQLite does not read without writing beside it")
        return look
      }
    } catch {
      report.refused(error)
      return look
    }
    do throws(SQLiteError) { try look.read(place, storeID: storeID, isCheck: isCheck, report: report) } catch {
      look.settle("unusable", "\(error.message): opening makes it anew")
    }
    return look
  }

  private mutating func read(
    _ place: DatabasePath, storeID: UInt64?, isCheck: Bool, report: InspectionReport
  ) throws(SQLiteError) {
    let connection = try place.connect(.immutable)
    defer { connection.close() }
    let row = try connection.prepare("SELECT store_id, position FROM sluice_checkpoint").rows().first
    guard case .integer(let id)? = row?.first, case .integer(let position)? = row?.last else {
      return settle("unusable", "it has no checkpoint: opening makes it anew")
    }
    if let storeID, UInt64(bitPattern: id) != storeID {
      return settle("foreign", "it belongs to another store: opening makes it anew")
    }
    checkpoint = UInt64(bitPattern: position)
    guard isCheck else { return }
    // Not quick_check: SQLite 3.40 finds NULLs by it in tables WITHOUT ROWID whose key is not their first columns.
    for row in try connection.prepare("PRAGMA integrity_check(1)").rows() {
      guard case .text(let bytes)? = row.first else { continue }
      let answer = String(decoding: bytes, as: UTF8.self)
      if answer != "ok" { report.damage(answer + " (remove the file: opening makes it anew)", file: place.path) }
    }
  }

  private mutating func settle(_ state: String, _ what: String) {
    self.state = state
    self.what = what
  }

  /// `last`: the last position of the log.
  func tell(_ report: InspectionReport, last: UInt64?) {
    var (state, what) = (state, what)
    var lag = ""
    if let checkpoint, let last, checkpoint > last {
      (state, what) = ("ahead", "it holds positions that the log does not")
    } else if let checkpoint {
      state = checkpoint == last ? "current" : "behind"
      lag = last.map { " lag=\($0 - checkpoint)" } ?? ""
    }
    let position = checkpoint.map { " checkpoint_position=\($0)" } ?? ""
    report.tell(
      "projections" + (state.isEmpty ? "" : field("state", state)) + position + lag + sizes
        + (what.isEmpty ? "" : field("what", what)))
  }
}
