// Where projections.db lies: opening what is there, and putting a file that was made anew into its place.
//
// A file that cannot be used is made anew beside the old one, as `projections.db.new`, and takes its name when it is
// whole: until then readers see the old one, and who has that open keeps it. While `projections.db.new` is there the
// old one is not used any more, whoever opens the store next.
//
// The files of a write-ahead log belong to a file of their name, whichever that is. So those of a file that is gone are
// removed before another one gets the name.
import SluiceSQLite
import SluiceSystem

/// The directory entry of a store's projections.db and of the files beside it.
struct ProjectionsPlace: Sendable {
  let database: DatabasePath
  let storeID: UInt64
  let clock: any Clock

  /// What stands there.
  enum Found {
    /// A file that can be followed up, or an empty one.
    case file(ProjectionsFile)
    /// One that has to be made anew, and why.
    case unusable(String)
  }

  var path: String { database.path }
  private var newPath: String { path + ".new" }
  private var newDatabase: DatabasePath {
    var new = database
    new.path = newPath
    return new
  }

  /// Opens what is there, or makes an empty file where there is none. It must be a projection of this store up to
  /// `last` or before, and need nothing of the log from before `first`, where that begins. Throws what may pass: others
  /// lock the file, or the system refuses.
  func open(first: UInt64, last: UInt64) throws(SQLiteError) -> Found {
    if try exists(newPath) { return .unusable("making it anew was not brought to an end") }
    if try !exists(path) { try remove(path + "-wal", path + "-shm") }
    let file: ProjectionsFile
    do { file = try ProjectionsFile(database, storeID: storeID, clock: clock) } catch {
      guard error.kind == .corrupt else { throw error }
      return .unusable(error.message)
    }
    var flaw = file.flaw
    if let checkpoint = file.checkpoint {
      if checkpoint > last {
        flaw = "it holds positions that the log does not"
      } else if checkpoint + 1 < first {
        flaw = "the log begins behind what it holds"
      }
    }
    guard let flaw else { return .file(file) }
    file.connection.close()
    return .unusable(flaw)
  }

  /// Opens what is there for reading. It must be a projection of this store up to `last`.
  func openForReading(last: UInt64) throws(SQLiteError) -> Found {
    if try exists(newPath) { return .unusable("making it anew was not brought to an end") }
    guard try exists(path) else { return .unusable("it is missing") }
    let file = try ProjectionsFile(database, storeID: storeID, clock: clock)
    let flaw =
      switch file.checkpoint {
      case last: nil as String?
      case let position?: "it holds position \(position), where the log ends at \(last)"
      case nil: file.flaw ?? "it is empty"
      }
    guard let flaw else { return .file(file) }
    file.connection.close()
    return .unusable(flaw)
  }

  /// An empty file beside the old one; in its place where there is none.
  func openNew() throws(SQLiteError) -> ProjectionsFile {
    try remove(newPath, newPath + "-wal", newPath + "-shm")
    if try exists(path) { return try ProjectionsFile(newDatabase, storeID: storeID, clock: clock) }
    try remove(path + "-wal", path + "-shm")
    return try ProjectionsFile(database, storeID: storeID, clock: clock)
  }

  /// Puts a file that is whole into its place, and opens it there.
  func install(_ file: ProjectionsFile) throws(SQLiteError) -> ProjectionsFile {
    guard file.path != path else { return file }
    try file.settle()
    file.connection.close()
    try remove(path + "-wal", path + "-shm")
    try files { (files) throws(SystemError) in
      try files.rename(newPath, to: path)
      try files.syncDirectory(parent(path))
    }
    try remove(newPath + "-wal", newPath + "-shm")
    return try ProjectionsFile(database, storeID: storeID, clock: clock)
  }

  /// Leaves a sign that the file is not to be used any more. Without it the next opening finds out by itself, perhaps.
  func condemn() {
    do throws(SystemError) { try database.files.open(newPath, .create).close() } catch {}
  }

  /// Processes with locks on the file; empty when that cannot be told.
  func holders() -> [Int32] {
    do {
      let locks = try database.files.locks(on: path) ?? []
      return Set(locks.filter { $0.kind == .bytes && $0.process != processIdentifier() }.map(\.process)).sorted()
    } catch { return [] }
  }

  private func exists(_ path: String) throws(SQLiteError) -> Bool {
    try files { (files) throws(SystemError) in try files.exists(path) }
  }

  private func remove(_ paths: String...) throws(SQLiteError) {
    try files { (files) throws(SystemError) in
      for path in paths where try files.exists(path) { try files.remove(path) }
    }
  }

  private func files<R>(_ body: (RealFileSystem) throws(SystemError) -> R) throws(SQLiteError) -> R {
    do { return try body(database.files) } catch { throw SQLiteError(refused: error.description) }
  }
}
