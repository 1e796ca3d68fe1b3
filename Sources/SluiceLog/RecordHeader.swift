// The 64 bytes that begin every record of the log, decoded. The picture stands in Batch.swift.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// What a record holds: the header's `kind`.
enum RecordKind {
  static let commands: UInt8 = 1
  static let resolution: UInt8 = 2
  static let adoption: UInt8 = 3
}

/// A record's header in the machine's own integers.
struct RecordHeader: Equatable {
  static let size = 64

  /// As read; computed anew by `store`.
  var checksum: UInt32 = 0
  var bodySize: UInt32 = 0
  var bodyChecksum: UInt32 = 0
  var kind: UInt8
  var flags: UInt8 = 0
  var reserved: UInt16 = 0
  var firstPosition: UInt64 = 0
  var commandCount: UInt32 = 0
  var firstLine: UInt32 = 0
  var timeMicroseconds: Int64 = 0
  var sourceOffset: UInt64 = 0
  var session: UInt64 = 0
  var durableOffset: UInt64 = 0

  init(kind: UInt8) { self.kind = kind }

  /// Reads 64 bytes without judging them.
  init(_ bytes: UnsafeRawPointer) {
    func load<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
      T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }
    checksum = load(0, UInt32.self)
    bodySize = load(4, UInt32.self)
    bodyChecksum = load(8, UInt32.self)
    kind = load(12, UInt8.self)
    flags = load(13, UInt8.self)
    reserved = load(14, UInt16.self)
    firstPosition = load(16, UInt64.self)
    commandCount = load(24, UInt32.self)
    firstLine = load(28, UInt32.self)
    timeMicroseconds = load(32, Int64.self)
    sourceOffset = load(40, UInt64.self)
    session = load(48, UInt64.self)
    durableOffset = load(56, UInt64.self)
  }

  /// Writes 64 bytes with their checksum, which it returns.
  func store(to target: UnsafeMutableRawPointer, seed: UInt32) -> UInt32 {
    func put<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
      target.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
    put(bodySize, 4)
    put(bodyChecksum, 8)
    put(kind, 12)
    put(flags, 13)
    put(reserved, 14)
    put(firstPosition, 16)
    put(commandCount, 24)
    put(firstLine, 28)
    put(timeMicroseconds, 32)
    put(sourceOffset, 40)
    put(session, 48)
    put(durableOffset, 56)
    let sum = Self.sum(target, seed)
    put(sum, 0)
    return sum
  }

  /// Reads the 64 bytes at `offset` without judging them; nil when the file ends before.
  static func read(_ file: any File, at offset: UInt64) throws(LogError) -> RecordHeader? {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
    defer { bytes.deallocate() }
    let count: Int
    do { count = try file.read(at: offset, into: bytes) } catch { throw LogError("read \(file.path)", error) }
    return count == size ? bytes.baseAddress.map { RecordHeader($0) } : nil
  }

  /// Whether nothing was written in its place yet.
  var isZero: Bool { self == RecordHeader(kind: 0) }

  /// Size in the log: header, body and padding.
  var recordSize: Int { Self.size + (Int(bodySize) + 7) & ~7 }

  /// Why a header whose checksum holds cannot have been written by this program; nil when it can.
  var flaw: String? {
    guard RecordKind.commands...RecordKind.adoption ~= kind else { return "record of unknown kind \(kind)" }
    if flags & ~3 != 0 || reserved != 0 { return "record with unknown flags \(flags), \(reserved)" }
    if Int(bodySize) > BatchLimits.bodySizeBytes { return "record of \(bodySize) bytes" }
    if (kind == RecordKind.commands) == (commandCount == 0) {
      return "record of kind \(kind) with \(commandCount) commands"
    }
    return nil
  }

  /// What header checksums in a segment with `serial` begin with.
  static func seed(serial: UInt64) -> UInt32 {
    var bytes = serial.littleEndian
    return withUnsafeBytes(of: &bytes) { SluiceSystem.checksum($0) }
  }

  /// Whether the 64 bytes carry their own checksum.
  static func verifies(_ bytes: UnsafeRawPointer, seed: UInt32) -> Bool {
    UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)) == sum(bytes, seed)
  }

  private static func sum(_ bytes: UnsafeRawPointer, _ seed: UInt32) -> UInt32 {
    SluiceSystem.checksum(UnsafeRawBufferPointer(start: bytes + 4, count: size - 4), seed: seed)
  }
}
