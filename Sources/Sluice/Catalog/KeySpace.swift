// Key spaces: raw keys and raw values on the same write path as rows, for programs that want no SQL.
//
// A command of the log, and an entry of a shard, has the key
//
//   offset size
//        0    4  table id, big-endian: 0xFF00_0000 plus the number of the space
//        4    -  the program's own key, 1 to 16,380 bytes (a command's key holds 16 KiB)
//
// and the value as given. The slot is that of the hash of the program's own key. Table ids from 0xFF00_0000 up belong
// to no SQL table: the catalog does not know them, CREATE TABLE never reaches them, mirrors pass them over. Spaces
// are 0 ..< 65,536; the ids behind them are kept free.
//
// Worked example, key "k1" of space 5:  ff 00 00 05  6b 31
import SluiceLog
import SluiceSystem

/// Numbers and limits of key spaces.
enum KeySpace {
  static let firstTableID: UInt32 = 0xff00_0000
  static let count = 65_536
  /// Bytes of the table id in front of each key.
  static let prefixSize = 4
  /// Largest key of a program, in bytes.
  static let keyLimitBytes = BatchLimits.keySizeBytes - prefixSize
  /// Largest value, in bytes.
  static let valueLimitBytes = BatchLimits.valueSizeBytes
  /// What a row takes in a batch besides key and value, at most: sizes, tag, slot, line, table id.
  static let rowOverheadBytes = 40

  /// Whether a table id is that of a key space.
  @inline(__always)
  static func contains(_ tableID: UInt32) -> Bool { tableID >= firstTableID }

  /// The table id of a space; an error when there is no such space.
  static func tableID(_ space: Int) throws(StoreError) -> UInt32 {
    guard (0..<count).contains(space) else {
      throw StoreError(.invalid, "there is no key space \(space): they are numbered 0 to \(count - 1)")
    }
    return firstTableID + UInt32(space)
  }

  /// What a duplicate key of a space is told, should an insert find one.
  static func duplicateMessage(_ tableID: UInt32) -> String {
    "UNIQUE constraint failed: key space \(tableID - firstTableID)"
  }
}
