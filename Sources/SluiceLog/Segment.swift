// A segment: one file of the log.
// Unsafe by nature: named in the tidy test.
//
//   log/<first position, 20 digits>.log          written by the appender; the last one grows
//   log/<first position, 20 digits>.adopted.log  a large transaction, written elsewhere and adopted whole
//   log/staged-<serial, 16 hex digits>.stage     the same before its COMMIT
//   log/<first position, 20 digits>.log.new      being created: renamed when its header is durable
//   log/<first position, 20 digits>.begin        empty: segments before this position were dropped (LogRetention.swift)
//
// A file named .log therefore always has a durable header, and a bad header is always corruption. A `.log` and an
// `.adopted.log` may share a first position: the `.log` is then the older and holds no commands, but ends with the
// adoption record. After an adoption record a segment holds nothing.
//
// The first 512 bytes (one sector, written at once), little-endian:
//
//    0  8 bytes  "SLUICELG"
//    8  u16  version 2
//   10  u16  lowest version of a reader that understands the file: 2
//   12  u32  kind: 0 normal, 1 staged (and adopted: the file is renamed, not rewritten)
//   16  u64  serial: random, unique for each use; record headers are checksummed with it
//   24  u64  firstPosition: of the name; 0 in a staged file, whose positions are relative
//   32  u64  storeID
//   40  u32  checksum: CRC32C of bytes 0..<40
//   44  zeros up to 512
//
// Then records (Batch.swift). A header of 64 zeros ends them: the file is filled with zeros ahead of the records, so
// that fdatasync of a small commit changes no metadata (7 k commits/s against 4.5 k). A sealed segment is cut to its
// records.
//
// Limits: sealed at 64 MiB, plus the group that crossed it. A reader refuses what it does not know: another magic or
// checksum is corruption, a higher lowest reader version is `unsupported`.
//
// Version 1 had no commands of the kinds putIf, deleteIf and clear (Batch.swift), and is else the same. A segment of an
// earlier version is read, but not written on: the first write of this version seals it and begins the next one. If it
// holds no command, so that the next one would have its name, it is written anew with this version in its header.
//
// Example: serial 0x1122334455667788, first position 10, store 0x99:
//   53 4c 55 49 43 45 4c 47  02 00 02 00 00 00 00 00  88 77 66 55 44 33 22 11  0a 00 00 00 00 00 00 00
//   99 00 00 00 00 00 00 00  d9 c5 15 fe  00 … 00
import SluiceSystem

/// What a segment's header says.
struct SegmentHeader: Equatable {
  static let size = 512
  static let version: UInt16 = 2
  private static let magic: UInt64 = 0x474c_4543_4955_4c53  // "SLUICELG", little-endian

  enum Kind: UInt32 {
    case normal = 0
    case staged = 1
  }

  let kind: Kind
  let serial: UInt64
  let firstPosition: UInt64
  let storeID: UInt64
  /// Format version of the file.
  var version = Self.version

  /// Appends the 512 bytes.
  func encode(into buffer: inout ByteBuffer) {
    let start = buffer.count
    buffer.append(littleEndian: Self.magic)
    buffer.append(littleEndian: version)
    buffer.append(littleEndian: version)
    buffer.append(littleEndian: kind.rawValue)
    buffer.append(littleEndian: serial)
    buffer.append(littleEndian: firstPosition)
    buffer.append(littleEndian: storeID)
    buffer.append(littleEndian: checksum(UnsafeRawBufferPointer(rebasing: buffer.bytes[start...])))
    while buffer.count < start + Self.size { buffer.append(byte: 0) }
  }

  /// Reads the header of `file`. Throws `corrupt` or `unsupported`.
  static func read(_ file: any File) throws(LogError) -> SegmentHeader {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
    defer { bytes.deallocate() }
    let count: Int
    do { count = try file.read(at: 0, into: bytes) } catch { throw LogError("read a segment's header", error) }
    return try decode(UnsafeRawBufferPointer(rebasing: bytes[..<count]), path: file.path)
  }

  static func decode(_ bytes: UnsafeRawBufferPointer, path: String) throws(LogError) -> SegmentHeader {
    guard bytes.count == size else { throw .corrupt(path, 0, "\(bytes.count) bytes are no segment") }
    var reader = ByteReader(bytes)
    guard reader.readLittleEndian(UInt64.self) == magic else { throw .corrupt(path, 0, "not a log segment") }
    let version = reader.readLittleEndian(UInt16.self)
    let lowestReader = reader.readLittleEndian(UInt16.self)
    let kindCode = reader.readLittleEndian(UInt32.self)
    let serial = reader.readLittleEndian(UInt64.self)
    let firstPosition = reader.readLittleEndian(UInt64.self)
    let storeID = reader.readLittleEndian(UInt64.self)
    let sum = checksum(UnsafeRawBufferPointer(rebasing: bytes[..<reader.offset]))
    guard reader.readLittleEndian(UInt32.self) == sum else {
      throw .corrupt(path, 0, "the segment's header does not verify")
    }
    if lowestReader > Self.version {
      throw LogError(
        kind: .unsupported,
        message:
          "\(path) has log format \(version) and needs a reader of \(lowestReader); this one reads \(Self.version)")
    }
    guard let kind = Kind(rawValue: kindCode) else { throw .corrupt(path, 0, "segment of unknown kind \(kindCode)") }
    return SegmentHeader(
      kind: kind, serial: serial, firstPosition: firstPosition, storeID: storeID, version: version)
  }
}

/// Names of the log's files.
enum SegmentName: Equatable {
  case normal(first: UInt64)
  case adopted(first: UInt64)
  case staged(serial: UInt64)
  case new(first: UInt64)
  case begin(first: UInt64)

  /// nil for a name that is none of the log's.
  init?(_ name: String) {
    func number(_ prefix: Substring, radix: Int) -> UInt64? {
      prefix.utf8.allSatisfy { $0 != UInt8(ascii: "+") } ? UInt64(prefix, radix: radix) : nil
    }
    if name.hasPrefix("staged-") && name.hasSuffix(".stage") {
      guard let serial = number(name.dropFirst(7).dropLast(6), radix: 16) else { return nil }
      self = .staged(serial: serial)
    } else if name.utf8.count > 20, let first = number(name.prefix(20), radix: 10) {
      switch name.dropFirst(20) {
      case ".log": self = .normal(first: first)
      case ".adopted.log": self = .adopted(first: first)
      case ".log.new": self = .new(first: first)
      case ".begin": self = .begin(first: first)
      default: return nil
      }
    } else {
      return nil
    }
  }

  var text: String {
    switch self {
    case .normal(let first): Self.digits(first) + ".log"
    case .adopted(let first): Self.digits(first) + ".adopted.log"
    case .new(let first): Self.digits(first) + ".log.new"
    case .begin(let first): Self.digits(first) + ".begin"
    case .staged(let serial): "staged-" + Self.pad(String(serial, radix: 16), to: 16) + ".stage"
    }
  }

  private static func digits(_ first: UInt64) -> String { pad(String(first), to: 20) }

  private static func pad(_ text: String, to width: Int) -> String {
    String(repeating: "0", count: max(0, width - text.utf8.count)) + text
  }
}

/// A segment the log knows of.
struct Segment: Sendable {
  let path: String
  let firstPosition: UInt64
  let adopted: Bool
  /// Bytes that are durable records, when it still grows; nil: the whole file is.
  var limit: UInt64?
  /// Places to begin reading at, rising, about one per MiB; those of a segment that was written by an earlier process
  /// are not known.
  var marks: [SegmentMark] = []

  /// Order in the log.
  static func precedes(_ a: Segment, _ b: Segment) -> Bool {
    a.firstPosition != b.firstPosition ? a.firstPosition < b.firstPosition : !a.adopted && b.adopted
  }
}

/// The record at `offset` begins with `position`.
struct SegmentMark: Sendable {
  let position: UInt64
  let offset: UInt64
}

/// Sizes of the log's files, in bytes.
enum SegmentSizes {
  /// A segment is sealed when it has grown past this.
  static let sealed: UInt64 = 64 << 20
  /// Zeros are added when fewer than this remain.
  static let lowZeros: UInt64 = 64 << 10
  /// Groups up to this size are written over zeros. Larger ones would pay more for being written twice than for the
  /// metadata.
  static let smallGroup: UInt64 = 64 << 10
  /// Zeros added the first time, and after a large group; doubles up to `largestExtension`. The commit that adds them
  /// waits for them: 4 MiB take 4 ms, 512 KiB 0.7 ms, and what they cost in all differs by little.
  static let firstExtension: UInt64 = 256 << 10
  static let largestExtension: UInt64 = 512 << 10
  /// Distance of marks.
  static let markDistance: UInt64 = 1 << 20
  /// Write-back of a segment that is not synced group by group begins each time this many bytes were written.
  static let unsyncedWriteback: UInt64 = 1 << 20
  /// Write-back of a staged segment begins each time this many bytes were written.
  static let writeback: UInt64 = 8 << 20
}
