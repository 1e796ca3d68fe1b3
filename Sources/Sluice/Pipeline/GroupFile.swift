// The file `groups/<name>`: how far a group of `sluice tail` has come. Replaced by rename after the lines it counts
// were written out; one process at a time writes it, the one that holds `groups/<name>.lock`.
//
//   offset size
//        0    8  magic "SLUICEGR"
//        8    2  format version, 1
//       10    2  lowest reader version: a reader older than this refuses the file
//       12    4  1: the log was durable up to the position when this was written; 0: that is not known
//       16    8  store id: positions of another store mean nothing here
//       24    8  position: everything up to it was written out
//       32    8  wall clock at writing, microseconds since 1970-01-01 UTC
//       40    4  CRC32C of bytes 0 ..< 40
//
// Integers are little-endian. A name has 1 to 64 letters, digits, `_` and `-`, so that what stands beside the file
// (`.new`, `.lock`) is no group. A reader refuses another size, magic or checksum ("damaged"), a higher lowest reader
// version ("newer format": such a file may have another size) and another store. Where a file cannot be read, the log
// is kept from its beginning.
//
// Worked example, store 0x1122334455667788, position 258, time 1:
//   53 4c 55 49 43 45 47 52  01 00 01 00 01 00 00 00  88 77 66 55 44 33 22 11  02 01 00 00 00 00 00 00
//   01 00 00 00 00 00 00 00  c8 02 72 c4
//
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// The checkpoint of one group.
struct GroupFile: Equatable, Sendable {
  static let magic = Array("SLUICEGR".utf8)
  static let version: UInt16 = 1
  static let size = 44

  var storeID: UInt64
  var position: UInt64
  var timeMicroseconds: Int64
  /// Whether the log was durable up to the position.
  var isDurable = true

  func encoded() -> [UInt8] {
    var buffer = ByteBuffer(capacity: Self.size)
    buffer.append(Self.magic)
    buffer.append(littleEndian: Self.version)
    buffer.append(littleEndian: Self.version)
    buffer.append(littleEndian: UInt32(isDurable ? 1 : 0))
    buffer.append(littleEndian: storeID)
    buffer.append(littleEndian: position)
    buffer.append(littleEndian: timeMicroseconds)
    buffer.append(littleEndian: checksum(buffer.bytes))
    return Array(buffer.bytes)
  }

  static func decode(_ bytes: [UInt8], path: String) throws(StoreError) -> GroupFile {
    guard bytes.count >= 12, Array(bytes[..<8]) == magic else {
      throw StoreError(.corrupt, "\(path) is damaged: it does not begin with SLUICEGR")
    }
    switch SmallFileFlaw.find(in: bytes, size: size, version: version) {
    case .newer(let lowest):
      throw StoreError(
        .unsupported, "\(path) is of a newer format (it needs reader version \(lowest), this is \(version))")
    case .wrongSize:
      throw StoreError(.corrupt, "\(path) is damaged: it has \(bytes.count) bytes where a group has \(size)")
    case .wrongChecksum: throw StoreError(.corrupt, "\(path) is damaged: its checksum does not match")
    case nil: break
    }
    return bytes.withUnsafeBytes { bytes in
      var reader = ByteReader(bytes, offset: 12)
      let isDurable = reader.readLittleEndian(UInt32.self) & 1 == 1
      return GroupFile(
        storeID: reader.readLittleEndian(UInt64.self), position: reader.readLittleEndian(UInt64.self),
        timeMicroseconds: reader.readLittleEndian(Int64.self), isDurable: isDurable)
    }
  }
}

/// The groups of one store.
struct GroupFiles: Sendable {
  let storePath: String
  let storeID: UInt64
  let fileSystem: any FileSystem

  private var directory: String { storePath + "/groups" }

  func path(_ name: String) -> String { directory + "/" + name }

  static func isName(_ name: String) -> Bool {
    (1...64).contains(name.utf8.count)
      && name.unicodeScalars.allSatisfy { scalar in
        ("0"..."9").contains(scalar) || ("A"..."Z").contains(scalar) || ("a"..."z").contains(scalar)
          || scalar == "_" || scalar == "-"
      }
  }

  /// The names of all groups, sorted.
  func names() throws(SystemError) -> [String] {
    guard try fileSystem.exists(directory) else { return [] }
    return try fileSystem.list(directory).filter(Self.isName)
  }

  /// How far a group is; nil when there is none of that name.
  func read(_ name: String) throws(StoreError) -> GroupFile? {
    do {
      guard try fileSystem.exists(path(name)) else { return nil }
      let file = try GroupFile.decode(try fileSystem.contents(path(name)), path: path(name))
      guard file.storeID == storeID else {
        throw StoreError(.invalid, "\(path(name)) belongs to another store: drop the group, or remove the file")
      }
      return file
    } catch { throw StoreError(converting: error) }
  }

  /// The lowest position that some group has come to, 0 when one cannot be read; nil when there is no group.
  func lowestPosition() -> UInt64? {
    var lowest: UInt64?
    do {
      for name in try names() {
        let position: UInt64
        do { position = try read(name)?.position ?? .max } catch { position = 0 }
        lowest = min(lowest ?? .max, position)
      }
    } catch { return 0 }
    return lowest
  }

  /// Takes a group for this process. Throws `unavailable` when another one has it.
  func take(_ name: String) throws(StoreError) -> any FileLock {
    guard Self.isName(name) else {
      throw StoreError(.invalid, "a group's name is 1 to 64 letters, digits, _ and -, not '\(name)'")
    }
    do {
      if try !fileSystem.exists(directory) {
        try fileSystem.createDirectory(directory)
        try fileSystem.syncDirectory(storePath)
      }
      return try fileSystem.lock(path(name) + ".lock", holder: "process \(processIdentifier())")
    } catch {
      guard error.reason == .locked else { throw StoreError(error) }
      throw StoreError(
        .unavailable, "the group \(name) is in use by \(error.detail.isEmpty ? "another process" : error.detail)")
    }
  }

  /// The log must be durable up to `position`.
  func write(_ name: String, position: UInt64, timeMicroseconds: Int64) throws(StoreError) {
    let file = GroupFile(storeID: storeID, position: position, timeMicroseconds: timeMicroseconds)
    do { try fileSystem.replace(path(name), in: directory, with: file.encoded()) } catch { throw StoreError(error) }
  }

  /// Removes a group, durably. Throws `invalid` when there is none, `unavailable` when a process follows for it.
  func remove(_ name: String) throws(StoreError) {
    let lock = try take(name)
    defer { lock.release() }
    do {
      guard try fileSystem.exists(path(name)) else {
        throw StoreError(.invalid, "there is no group \(name) in \(storePath)")
      }
      try fileSystem.remove(path(name))
      try fileSystem.syncDirectory(directory)
    } catch { throw StoreError(converting: error) }
  }
}
