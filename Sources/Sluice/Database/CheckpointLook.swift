// How far projections.db is, read without a trace: before a store's log is brought to order, and by who only looks.
import SluiceSQLite
import SluiceSystem

enum CheckpointLook {
  /// The position up to which the file at `place` holds what store `storeID` committed; nil when it does not tell, is
  /// damaged or another store's. Nobody may write it meanwhile.
  static func position(_ place: DatabasePath, storeID: UInt64) -> UInt64? {
    do {
      guard try place.files.exists(place.path) else { return nil }
      // Without a write-ahead log SQLite would make an empty one.
      let hasLog = try place.files.fileSize(place.path + "-wal") ?? 0 > 0
      // What another program brought into the file from there has no checksums of pages; the row has its own.
      let connection = try place.connect(hasLog ? .unlocked : .immutable, checksPages: false)
      defer { connection.close() }
      let rows = try connection.prepare("SELECT * FROM sluice_checkpoint").rows()
      guard rows.count == 1, isWhole(rows[0]), case .integer(let id) = rows[0][0],
        case .integer(let position) = rows[0][1], UInt64(bitPattern: id) == storeID
      else { return nil }
      return UInt64(bitPattern: position)
    } catch { return nil }
  }

  /// Whether the last column is the checksum of those before it, big-endian, where there are more than two.
  private static func isWhole(_ row: [Value]) -> Bool {
    if row.count <= 2 { return row.count == 2 }
    var bytes = ByteBuffer(capacity: 64)
    for case .integer(let field) in row.dropLast() { bytes.append(littleEndian: field.byteSwapped) }
    return row.last == .integer(Int64(checksum(bytes.bytes)))
  }
}
