// The batch: the unit of queue, log, memtable and projector. The same bytes stand in memory and on disk.
// Unsafe by nature: named in the tidy test.
//
// A record of the log is a 64-byte header and a body, both little-endian, padded with zeros to 8 bytes:
//
//    0  u32  headerChecksum  CRC32C of bytes 4..<64, seeded with the CRC32C of the 8 bytes of the segment's serial:
//                            what an earlier use of the disk left never verifies
//    4  u32  bodySize        at most 256 MiB; the padding is not counted
//    8  u32  bodyChecksum    CRC32C of the body
//   12  u8   kind            1 commands, 2 resolution, 3 adoption (Resolution.swift)
//   13  u8   flags           bit 0 allOrNothing: one rejected statement rejects the transaction;
//                            bit 1 hasPositionKeys: positions must be patched into the body
//   14  u16  zero
//   16  u64  firstPosition   of the first command; in a staged segment counted from 0
//   24  u32  commandCount    0 for kinds 2 and 3
//   28  u32  firstLine       line of the script the batch begins on
//   32  i64  timeMicroseconds  wall clock at sealing
//   40  u64  sourceOffset    where a broker had it; 0 = none
//   48  u64  session         0 = none
//   56  u64  durableOffset   the segment was known durable up to here when the record was written; 0 in a staged
//                            segment. A record that verifies behind a broken one, and says that the broken one was
//                            durable, tells damage from a torn tail (LogRecovery.swift)
//
// A command in the body of kind 1:
//
//   size     varint  bytes after this field
//   tag      u8      bits 0-3 kind; bit 4 startsStatement; bit 5 positionKey: the key's last 8 bytes are the command's
//                    position, big-endian; bit 6 positionSlot: slot = (position >> 8) & 4095; bit 7 zero
//   slot     u16     0...4095
//   line     varint  only with startsStatement: zigzag of the line minus the line of the statement before (firstLine
//                    for the first); a script that is read inside another may step back
//   keySize  varint  at most 16 KiB
//   key, value       the value is what remains: at most 64 MiB
//
// Kinds: 1 insert, 2 ignore, 3 put, 4 delete, 5 putIf, 6 deleteIf, 7 clear, 8 catalog. A clear takes away all that an
// SQL table holds: its key is the 4 bytes that the table's keys begin with, it has no value, its slot is 0, and it is
// the only command of its batch, so that what follows finds the table empty. The value of 5 and 6 ends with a
// condition of 8 bytes, the expected position, little-endian: the command takes effect if the key's newest version has
// that position, or, for 0, if there is no such key. In front of it stands the row; a deleteIf has none, its value is
// these 8 bytes alone.
//
// Varints are unsigned LEB128. A command without startsStatement belongs to the statement before it, or, as the first
// of its batch, to the last statement of the batch before.
//
// A reader takes nothing from a record that does not verify. A body that verifies and is malformed all the same (a size
// past the end, an unknown kind, a condition that is cut, a clear beside other commands, a set bit 7) is corruption: it
// was written so. Kinds 5 to 7 came with format version 2 (Segment.swift); a reader of version 1 refuses the segment.
//
// Example (serial 0x1122334455667788): put of key 01 02 with value "ab", slot 5, line 7, as position 9, sealed at
// 1 microsecond, session 3; record at offset 512 of a segment:
//
//   62 42 aa dd 0a 00 00 00  75 79 1f 9b 01 00 00 00
//   09 00 00 00 00 00 00 00  01 00 00 00 07 00 00 00
//   01 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
//   03 00 00 00 00 00 00 00  00 02 00 00 00 00 00 00
//   09 13 05 00 00 02 01 02  61 62 00 00 00 00 00 00
//
// Example: the body of a putIf of that row if it still has position 9, and on the next line of a deleteIf of key 03 if
// it has position 258:
//   11 15 05 00 00 02 01 02  61 62 09 00 00 00 00 00  00 00
//   0e 16 05 00 02 01 03 02  01 00 00 00 00 00 00
//
// Example: the body of a clear of the SQL table 7:
//   09 17 00 00 00 04 00 00  00 07
import SluiceSystem

/// Bounds of what a batch holds, in bytes; checked where a batch is built and where it is read.
public enum BatchLimits {
  public static let keySizeBytes = 16 << 10
  public static let valueSizeBytes = 64 << 20
  public static let bodySizeBytes = 256 << 20
  /// What a condition takes at the end of a value.
  public static let conditionSizeBytes = 8
  /// The key of a clear.
  public static let clearKeySizeBytes = 4
}

/// Number of slots that shard keys hash to.
public let slotCount = 4096

/// The slot of a row that has neither a shard key nor a primary key: runs of 256 positions share one.
@inlinable public func slot(ofPosition position: UInt64) -> UInt16 { UInt16((position >> 8) & 4095) }

/// What applying a command does.
public enum CommandKind: UInt8, Sendable {
  /// Adds a row whose key must not exist.
  case insert = 1
  /// Adds a row, or nothing when the key exists.
  case ignore = 2
  /// Adds or replaces a row.
  case put = 3
  /// Removes a key.
  case delete = 4
  /// Adds or replaces a row if the key's newest version has the expected position.
  case putIf = 5
  /// Removes a key on the same condition.
  case deleteIf = 6
  /// Removes all keys of an SQL table.
  case clear = 7
  /// A change of the catalog.
  case catalog = 8

  /// Whether the value ends with an expected position.
  @inlinable public var isConditional: Bool { self == .putIf || self == .deleteIf }
  /// Whether it takes its key away.
  @inlinable public var removes: Bool { self == .delete || self == .deleteIf }
}

/// Properties of a whole batch.
public struct BatchFlags: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// A rejection of one statement rejects the whole transaction.
  public static let allOrNothing = BatchFlags(rawValue: 1)
  /// Some commands carry their position in key or slot. Set by the builder.
  public static let hasPositionKeys = BatchFlags(rawValue: 2)
}

/// Commands in a row, encoded, in memory of their own.
///
/// Changed only by the thread that numbers and writes it (`assignPositions`, and the log's header stamp), before it is
/// handed on; constant after that, which is why it may be shared between threads.
public final class Batch: @unchecked Sendable {
  /// Header, body and padding.
  let buffer: ByteBuffer
  private var header: RecordHeader

  /// Takes over `buffer`, which holds room for the header, the body, and the padding.
  init(_ buffer: consuming ByteBuffer, _ header: RecordHeader) {
    self.buffer = buffer
    self.header = header
  }

  /// Header and body, as they stand in the log. The header's checksum and positions are those of the last write.
  public var memory: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: buffer.base, count: RecordHeader.size + Int(header.bodySize))
  }
  /// The encoded commands. Valid while the batch lives.
  public var body: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: buffer.base + RecordHeader.size, count: Int(header.bodySize))
  }
  /// Size in the log, in bytes: header, body and padding.
  public var size: Int { buffer.count }
  /// Memory held, in bytes.
  public var memorySize: Int { buffer.capacity }
  /// At least 1.
  public var commandCount: Int { Int(header.commandCount) }
  /// Position of the first command; 0 before `assignPositions`.
  public var firstPosition: UInt64 { header.firstPosition }
  /// Position of the last command; meaningless before `assignPositions`.
  public var lastPosition: UInt64 { header.firstPosition &+ UInt64(header.commandCount) &- 1 }
  /// Line of the script that the first command stands on.
  public var firstLine: Int { Int(header.firstLine) }
  public var flags: BatchFlags { BatchFlags(rawValue: header.flags) }
  /// Wall clock at sealing, microseconds since 1970-01-01 UTC.
  public var timeMicroseconds: Int64 { header.timeMicroseconds }
  /// The session that wrote it; 0 = none.
  public var session: UInt64 { header.session }
  /// Where the broker it came from had it; 0 = none.
  public var sourceOffset: UInt64 { header.sourceOffset }

  /// Numbers the commands from `first` on. Walks the body only when commands carry their position (about 3 ns each).
  /// May be repeated while one thread owns the batch: a staged batch is numbered once relative and once for good.
  public func assignPositions(first: UInt64) {
    header.firstPosition = first
    guard flags.contains(.hasPositionKeys) else { return }
    let base = buffer.base + RecordHeader.size
    var reader = commands()
    while let command = reader.next() {
      let position = first &+ UInt64(command.index)
      if command.tag & CommandTag.positionKey != 0 {
        let place = command.key.baseAddress.unsafelyUnwrapped - UnsafeRawPointer(base) + command.key.count - 8
        base.storeBytes(of: position.bigEndian, toByteOffset: place, as: UInt64.self)
      }
      if command.tag & CommandTag.positionSlot != 0 {
        base.storeBytes(of: slot(ofPosition: position).littleEndian, toByteOffset: command.slotOffset, as: UInt16.self)
      }
    }
    header.bodyChecksum = checksum(body)
  }

  /// The commands front to back; no allocation. The batch must outlive what the reader hands out.
  public func commands() -> CommandReader { CommandReader(self) }

  /// Writes the header into the memory for a place in a segment; returns its checksum.
  func stamp(seed: UInt32, durableOffset: UInt64) -> UInt32 {
    header.durableOffset = durableOffset
    return header.store(to: buffer.base, seed: seed)
  }

  /// A batch from a record's bytes (header and body) that came from `offset` of `path`, a segment with `serial`; copies
  /// them. Throws `corrupt` when anything in it does not verify. Cost: checksum and one walk over the body.
  public static func parse(
    _ record: UnsafeRawBufferPointer, serial: UInt64, path: String, offset: UInt64
  ) throws(LogError) -> Batch {
    guard record.count >= RecordHeader.size, let base = record.baseAddress,
      RecordHeader.verifies(base, seed: RecordHeader.seed(serial: serial))
    else { throw .corrupt(path, offset, "the record's header does not verify") }
    let header = RecordHeader(base)
    let body = UnsafeRawBufferPointer(rebasing: record[RecordHeader.size...])
    guard body.count == Int(header.bodySize), checksum(body) == header.bodyChecksum else {
      throw .corrupt(path, offset, "the record's body does not verify")
    }
    if let reason = header.flaw { throw .corrupt(path, offset, reason) }
    return try parse(header, body, path: path, offset: offset)
  }

  /// A batch from a header and a body whose checksums hold.
  static func parse(
    _ header: RecordHeader, _ body: UnsafeRawBufferPointer, path: String, offset: UInt64
  ) throws(LogError) -> Batch {
    guard header.kind == RecordKind.commands else { throw .corrupt(path, offset, "the record holds no commands") }
    if let reason = CommandReader.flaw(in: body, header) { throw .corrupt(path, offset, reason) }
    var buffer = ByteBuffer(capacity: header.recordSize)
    prefault(UnsafeMutableRawBufferPointer(start: buffer.base, count: header.recordSize))
    buffer.advance(RecordHeader.size)
    buffer.append(body)
    buffer.appendPadding()
    _ = header.store(to: buffer.base, seed: 0)
    return Batch(buffer, header)
  }
}

extension ByteBuffer {
  /// Appends zeros up to the next border of 8 bytes.
  mutating func appendPadding() {
    while count % 8 != 0 { append(byte: 0) }
  }
}
