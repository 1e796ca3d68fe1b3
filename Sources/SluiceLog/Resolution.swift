// The two small records beside batches: which commands of a batch were rejected, and which staged segment was adopted.
// Unsafe by nature: named in the tidy test.
//
// Both stand behind the header of Batch.swift. Integers are little-endian, varints unsigned LEB128.
//
// Resolution (kind 2), header.firstPosition = the first position of the batch it resolves:
//   u64     batchFirstPosition   again, so that the body says it whole
//   varint  count of rejected commands
//   count times: varint index minus the index before (the first: the index itself), u8 reason (given by the applier)
//   Indices rise strictly and are below 2^32. 100,000 rejections take about 200 KB; the limit is the body's 256 MiB.
//
// Adoption (kind 3), header.firstPosition = the first position of the adopted segment:
//   u64  serial         of the staged segment
//   u64  firstPosition
//   u64  commandCount
//   u64  size           of the file in bytes
//   u32  checksum       CRC32C of the header checksums of all its records, in order, 4 bytes each
//
// Bytes too many or too few, indices that do not rise: corruption, for the record's checksum held.
//
// Example of a resolution body: batch at 258, command 3 rejected for reason 1, command 200 for reason 2:
//   02 01 00 00 00 00 00 00  02 03 01 c5 01 02
// Example of an adoption body: serial 0x1122334455667788, positions 10 to 12, 1,024 bytes, checksum 0xaabbccdd:
//   88 77 66 55 44 33 22 11  0a 00 00 00 00 00 00 00  03 00 00 00 00 00 00 00  00 04 00 00 00 00 00 00  dd cc bb aa
import SluiceSystem

/// Which commands of a batch the applier rejected. A batch without rejections has none.
public struct Resolution: Sendable, Equatable {
  /// First position of the batch it is about.
  public let batchFirstPosition: UInt64
  /// Index in the batch, strictly rising, and the applier's reason.
  public let rejected: [(index: UInt32, reason: UInt8)]

  public init(batchFirstPosition: UInt64, rejected: [(index: UInt32, reason: UInt8)]) {
    self.batchFirstPosition = batchFirstPosition
    self.rejected = rejected
  }

  public static func == (a: Resolution, b: Resolution) -> Bool {
    a.batchFirstPosition == b.batchFirstPosition && a.rejected.elementsEqual(b.rejected, by: ==)
  }

  /// Appends the body. Indices that do not rise are a programmer error.
  public func encode(into buffer: inout ByteBuffer) {
    buffer.append(littleEndian: batchFirstPosition)
    buffer.append(varint: UInt64(rejected.count))
    var previous: UInt32?
    for (index, reason) in rejected {
      invariant(previous.map { index > $0 } ?? true, "rejected command \(index) behind \(previous ?? 0)")
      buffer.append(varint: UInt64(index - (previous ?? 0)))
      buffer.append(byte: reason)
      previous = index
    }
  }

  /// Reads a body; nil when it is malformed.
  public static func decode(_ body: UnsafeRawBufferPointer) -> Resolution? {
    var reader = ByteReader(body)
    let first = reader.readLittleEndian(UInt64.self)
    let count = reader.readVarint()
    guard !reader.failed, count <= UInt64(reader.remaining / 2) else { return nil }
    var rejected: [(index: UInt32, reason: UInt8)] = []
    rejected.reserveCapacity(Int(count))
    var previous: UInt64 = 0
    for place in 0..<count {
      let step = reader.readVarint()
      let reason = reader.readByte()
      guard !reader.failed, place == 0 || step > 0, step <= UInt64(UInt32.max) - previous else { return nil }
      previous += step
      rejected.append((UInt32(previous), reason))
    }
    return reader.remaining == 0 ? Resolution(batchFirstPosition: first, rejected: rejected) : nil
  }

  /// Bytes its record takes in the log, at most.
  var sizeBound: Int { RecordHeader.size + 8 + 10 + rejected.count * 6 + 8 }
}

/// The commit of a staged segment: it is the log's next segment.
struct Adoption: Equatable {
  static let bodySize = 36
  let serial: UInt64
  let firstPosition: UInt64
  let commandCount: UInt64
  let size: UInt64
  let checksum: UInt32

  func encode(into buffer: inout ByteBuffer) {
    buffer.append(littleEndian: serial)
    buffer.append(littleEndian: firstPosition)
    buffer.append(littleEndian: commandCount)
    buffer.append(littleEndian: size)
    buffer.append(littleEndian: checksum)
  }

  static func decode(_ body: UnsafeRawBufferPointer) -> Adoption? {
    guard body.count == bodySize else { return nil }
    var reader = ByteReader(body)
    let adoption = Adoption(
      serial: reader.readLittleEndian(UInt64.self), firstPosition: reader.readLittleEndian(UInt64.self),
      commandCount: reader.readLittleEndian(UInt64.self), size: reader.readLittleEndian(UInt64.self),
      checksum: reader.readLittleEndian(UInt32.self))
    let last = adoption.firstPosition.addingReportingOverflow(adoption.commandCount)
    return adoption.commandCount > 0 && !last.overflow ? adoption : nil
  }
}

/// Appends a whole record to `buffer` (which must stand at a border of 8 bytes): header, the body that `encode`
/// appends, padding.
func appendRecord(
  to buffer: inout ByteBuffer, _ header: RecordHeader, seed: UInt32, _ encode: (inout ByteBuffer) -> Void
) {
  var header = header
  let start = buffer.count
  _ = buffer.reserve(RecordHeader.size)
  buffer.advance(RecordHeader.size)
  encode(&buffer)
  let body = UnsafeRawBufferPointer(rebasing: buffer.bytes[(start + RecordHeader.size)...])
  header.bodySize = UInt32(body.count)
  header.bodyChecksum = checksum(body)
  buffer.appendPadding()
  _ = header.store(to: buffer.base + start, seed: seed)
}
