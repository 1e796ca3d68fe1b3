// What projections.db holds, read without a trace. A reader of a database in WAL mode makes or changes the files
// beside it; taking the file to be immutable does not, but then what stands in the write-ahead log is not seen. So the
// file is read when that log is empty, which a process leaves behind that leaves tidily, and else only described.
//
// The file is disposable: what is missing or unusable is no damage, opening makes it anew. But a file that opening
// would go on with must be whole, and say what the store says, for sqlite3 reads it.
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// One look at projections.db.
struct ProjectionsLook {
  private var sizes = ""
  private var state = ""
  private var what = ""
  /// The last position that the file holds.
  private var checkpoint: UInt64?
  private let place: DatabasePath
  private let isCheck: Bool
  private var path: String { place.path }

  /// Reads the checkpoint; with `isCheck` every page is looked at, and SQLite checks the whole file.
  static func take(
    _ place: DatabasePath, storeID: UInt64?, isCheck: Bool, report: InspectionReport
  ) -> ProjectionsLook {
    var look = ProjectionsLook(place: place, isCheck: isCheck)
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
    do throws(SQLiteError) { try look.read(storeID: storeID, report: report) } catch {
      look.settle("unusable", "\(error.message): opening makes it anew")
      // What is no database at all is nobody's damage; a part of one is.
      let isDamaged = look.checkpoint != nil || (error.kind == .corrupt && error.primaryCode != Self.noDatabase)
      if isCheck, isDamaged { report.damage(error.message + Self.remedy, file: place.path) }
    }
    return look
  }

  /// SQLITE_NOTADB.
  private static let noDatabase: Int32 = 26
  private static let remedy = " (remove the file: opening makes it anew)"

  private init(place: DatabasePath, isCheck: Bool) {
    self.place = place
    self.isCheck = isCheck
  }

  private mutating func read(storeID: UInt64?, report: InspectionReport) throws(SQLiteError) {
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
    guard connection.hasPageSums else {
      checkpoint = nil
      return settle("unusable", "it is of an earlier version: opening makes it anew")
    }
    // Through the pages of the free list too, which no statement reads.
    try checkPages(report)
    for row in try connection.prepare("PRAGMA integrity_check(1000)").rows() {
      guard case .text(let bytes)? = row.first else { continue }
      let answer = String(decoding: bytes, as: UTF8.self)
      if answer == "ok" { continue }
      if try Self.isFalseAlarm(answer, connection) { continue }
      return report.damage(answer + Self.remedy, file: path)
    }
  }

  /// SQLite 3.40 finds NULLs in tables WITHOUT ROWID of which a NOT NULL column stands before the key, where there are
  /// none.
  private static func isFalseAlarm(_ answer: String, _ connection: Connection) throws(SQLiteError) -> Bool {
    let words = "NULL value in "
    guard answer.hasPrefix(words) else { return false }
    let place = answer.dropFirst(words.count)
    let tables = try connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").rows().map(\.[0].words)
    // A name may have a dot itself.
    guard let table = tables.filter({ place.hasPrefix($0 + ".") }).max(by: { $0.count < $1.count }) else {
      return false
    }
    let column = quoted(String(place.dropFirst(table.count + 1)))
    // SQLite answers IS NULL without a look where there can be none.
    return try connection.prepare("SELECT 1 FROM \(quoted(table)) WHERE typeof(\(column)) = 'null' LIMIT 1").rows()
      .isEmpty
  }

  /// Reads every page, which fails for one that does not fit its checksum.
  private func checkPages(_ report: InspectionReport) throws(SQLiteError) {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: ProjectionsFile.pageSizeBytes, alignment: 8)
    defer { bytes.deallocate() }
    do {
      let file = try place.files.open(path, .read)
      defer { file.close() }
      let count = try file.size() / UInt64(bytes.count)
      for page in 0..<count {
        let offset = page * UInt64(bytes.count)
        guard try file.read(at: offset, into: bytes) == bytes.count else { break }
        if !isSound(UnsafeRawBufferPointer(bytes), page + 1) {
          return report.damage("a page does not fit its checksum" + Self.remedy, file: path, offset: offset)
        }
      }
    } catch { throw SQLiteError(refused: error.description) }
  }

  /// As CSQLite/pages.c writes it.
  private func isSound(_ page: UnsafeRawBufferPointer, _ number: UInt64) -> Bool {
    let size = page.count - 8
    let sum = withUnsafeBytes(of: number) {
      checksum(UnsafeRawBufferPointer(rebasing: page[..<size]), seed: checksum($0))
    }
    let found = (
      page.loadUnaligned(fromByteOffset: size, as: UInt32.self),
      page.loadUnaligned(fromByteOffset: size + 4, as: UInt32.self)
    )
    return found == (sum, ~sum) || page.allSatisfy { $0 == 0 }
  }

  /// Compares the file with the store at its end, if the file holds that position. `view` opens the store for reading.
  func compare(last: UInt64?, report: InspectionReport, _ view: () throws -> StoreView) {
    guard isCheck, report.isSound, let checkpoint, checkpoint == last else { return }
    do {
      let view = try view()
      guard view.position == checkpoint else { return }
      let connection = try place.connect(.immutable)
      defer { connection.close() }
      try MirrorCheck(connection: connection, path: path, view: view, report: report).run()
    } catch let error as SQLiteError {
      report.damage(error.message + Self.remedy, file: path)
    } catch { report.unread("\(StoreError(converting: error).message)", file: path) }
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
