// The form of a table file, NNNNNN.table: a sorted run of entries, written once front to back and never changed.
//
//   header      8   magic     "SLUICETB"
//               2   version   2 (1 was never released)
//               2   reader    lowest version that may read this file: 2
//               4   CRC32C    of the 12 bytes before
//   data        …   blocks (see Block.swift), one behind the other, each with its trailer
//   filter      …   one block (see Filter.swift)
//   index       …   one block (see TableIndex.swift)
//   properties  …   one block of fields: tag v, size v, bytes; a reader skips tags that it does not know
//                     1 smallest key   2 largest key   3 lowest position v   4 highest position v
//                     5 entries v      6 tombstones v  7 key bytes v         8 value bytes v
//   footer      8+4 offset and content size of the filter
//               8+4 … of the index
//               8+4 … of the properties
//               4   CRC32C    of the 36 bytes before
//               8   magic     "TBSLUICE"
//
// Blocks fill the file from byte 16 to the footer without a gap, which a reader checks; so every byte of the file is
// under a checksum or is a magic. All versions of a key stand in one table, so the tables of a run are disjoint.
// Limits: 4 GiB for the index and the filter; a table is closed at 32 MiB of blocks, but for one with a larger value.
// A reader that meets a version it does not know refuses with "unsupported". Any mismatch is corruption: a table is
// named by the manifest only after it was synced, so it has no torn form.
//
// Example: the table of the one entry put "tabl" = "v" at position 1 (the golden test `tableBytes` shows it whole):
//   534c554943455442 0200 0200 crc | 0100000000000000 00040101 7461626c 76 08000000 10000000 01000000 00 crc | 64 bytes
//   01000000 06000000 00 crc | 01000000 1d 04 7461626c 00 crc | 01047461626c 02047461626c 030101 … 00 crc | footer
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// What the manifest knows about a table.
struct TableInfo: Equatable, Sendable {
  var number: UInt64
  /// Size of the file in bytes.
  var size: UInt64
  var smallest: [UInt8]
  var largest: [UInt8]
  var lowestPosition: UInt64
  var highestPosition: UInt64
  var entries: UInt64
  var tombstones: UInt64

  var keyRange: String { hex(smallest) + ".." + hex(largest) }
}

enum TableFormat {
  static let headerMagic = Array("SLUICETB".utf8)
  static let footerMagic = Array("TBSLUICE".utf8)
  static let version: UInt16 = 2
  static let headerSize = 16
  static let footerSize = 48

  static func fileName(_ number: UInt64) -> String { numbered(number) + ".table" }
}

/// At least six decimal digits.
func numbered(_ number: UInt64) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
}

/// The number in a name of the form `prefix` digits `suffix`, or nil.
func fileNumber(_ name: String, prefix: String, suffix: String) -> UInt64? {
  guard name.hasPrefix(prefix), name.hasSuffix(suffix), name.utf8.count > prefix.utf8.count + suffix.utf8.count else {
    return nil
  }
  let digits = name.dropFirst(prefix.count).dropLast(suffix.count)
  guard digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), digits.utf8.count >= 6 else { return nil }
  return UInt64(digits)
}

/// Appends the opening of a file: magic, version, lowest reader version, then `more`, then the checksum of all that.
func appendFileHeader(_ magic: [UInt8], version: UInt16, more: [UInt8] = [], to output: inout ByteBuffer) {
  let start = output.count
  output.append(magic)
  output.append(littleEndian: version)
  output.append(littleEndian: version)
  output.append(more)
  output.append(littleEndian: checksum(UnsafeRawBufferPointer(rebasing: output.bytes[start...])))
}

/// Why bytes are not a header as `appendFileHeader` wrote it, or nil.
func headerDamage(
  _ bytes: UnsafeRawBufferPointer, magic: [UInt8], version: UInt16
) -> (kind: EngineError.Kind, message: String)? {
  guard bytes.prefix(8).elementsEqual(magic) else { return (.corrupt, "wrong magic") }
  let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self))
  guard checksum(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)])) == stored else {
    return (.corrupt, "header checksum does not match")
  }
  let reader = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 10, as: UInt16.self))
  let written = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
  if reader > version { return (.unsupported, "format needs a reader of version \(reader), this is \(version)") }
  if written < version { return (.unsupported, "format of version \(written), which no release wrote") }
  return nil
}

/// A block in a table: where its content begins and how long it is, without the trailer.
struct BlockPlace: Equatable {
  var offset: UInt64
  var size: UInt64

  /// The offset behind the block's trailer.
  var end: UInt64 { offset + size + UInt64(BlockFormat.trailerSize) }
}

/// The last 48 bytes of a table.
struct TableFooter {
  var filter: BlockPlace
  var index: BlockPlace
  var properties: BlockPlace

  func append(to output: inout ByteBuffer) {
    let start = output.count
    for place in [filter, index, properties] {
      output.append(littleEndian: place.offset)
      output.append(littleEndian: UInt32(place.size))
    }
    output.append(littleEndian: checksum(UnsafeRawBufferPointer(rebasing: output.bytes[start...])))
    output.append(TableFormat.footerMagic)
  }

  /// Reads the footer of a file of `fileSize` bytes; nil when it is damaged or does not fit the file.
  init?(_ bytes: UnsafeRawBufferPointer, fileSize: UInt64) {
    guard bytes.count == TableFormat.footerSize, bytes.suffix(8).elementsEqual(TableFormat.footerMagic) else {
      return nil
    }
    var reader = ByteReader(bytes)
    func place() -> BlockPlace {
      let offset = reader.readLittleEndian(UInt64.self)
      return BlockPlace(offset: offset, size: UInt64(reader.readLittleEndian(UInt32.self)))
    }
    filter = place()
    index = place()
    properties = place()
    guard reader.readLittleEndian(UInt32.self) == checksum(UnsafeRawBufferPointer(rebasing: bytes[..<36])) else {
      return nil
    }
    // Offsets beyond the file would overflow `end`.
    guard filter.offset >= UInt64(TableFormat.headerSize), filter.offset < fileSize, index.offset < fileSize,
      properties.offset < fileSize, filter.end == index.offset, index.end == properties.offset,
      properties.end + UInt64(TableFormat.footerSize) == fileSize
    else { return nil }
  }

  init(filter: BlockPlace, index: BlockPlace, properties: BlockPlace) {
    self.filter = filter
    self.index = index
    self.properties = properties
  }
}

/// What a table says about itself.
struct TableProperties: Equatable {
  var smallest: [UInt8] = []
  var largest: [UInt8] = []
  var lowestPosition = UInt64.max
  var highestPosition: UInt64 = 0
  var entries: UInt64 = 0
  var tombstones: UInt64 = 0
  var keyBytes: UInt64 = 0
  var valueBytes: UInt64 = 0

  init() {}

  /// Counts an entry.
  @inline(__always)
  mutating func count(_ trailer: UInt64, keySize: Int, valueSize: Int) {
    let position = trailer >> 8
    lowestPosition = min(lowestPosition, position)
    highestPosition = max(highestPosition, position)
    entries &+= 1
    if isTombstone(trailer) { tombstones &+= 1 }
    keyBytes &+= UInt64(keySize)
    valueBytes &+= UInt64(valueSize)
  }

  func append(to output: inout ByteBuffer) {
    appendField(1, smallest, to: &output)
    appendField(2, largest, to: &output)
    let numbers = [lowestPosition, highestPosition, entries, tombstones, keyBytes, valueBytes]
    for (index, number) in numbers.enumerated() { appendField(UInt64(index + 3), number, to: &output) }
  }

  /// Nil when a field is damaged or missing.
  init?(_ bytes: UnsafeRawBufferPointer) {
    var reader = ByteReader(bytes)
    var numbers: [UInt64: UInt64] = [:]
    while reader.remaining > 0 {
      let tag = reader.readVarint()
      let field = reader.readSized()
      if reader.failed { return nil }
      switch tag {
      case 1: smallest = [UInt8](field)
      case 2: largest = [UInt8](field)
      case 3...8:
        var number = ByteReader(field)
        numbers[tag] = number.readVarint()
        if number.failed || number.remaining != 0 { return nil }
      default: continue
      }
    }
    guard numbers.count == 6 else { return nil }
    lowestPosition = numbers[3] ?? 0
    highestPosition = numbers[4] ?? 0
    entries = numbers[5] ?? 0
    tombstones = numbers[6] ?? 0
    keyBytes = numbers[7] ?? 0
    valueBytes = numbers[8] ?? 0
  }
}

/// A field of bytes: tag, size, bytes.
func appendField(_ tag: UInt64, _ bytes: [UInt8], to output: inout ByteBuffer) {
  output.append(varint: tag)
  output.append(varint: UInt64(bytes.count))
  output.append(bytes)
}

/// A field that holds one varint.
func appendField(_ tag: UInt64, _ number: UInt64, to output: inout ByteBuffer) {
  output.append(varint: tag)
  output.append(varint: UInt64(varintSize(number)))
  output.append(varint: number)
}
