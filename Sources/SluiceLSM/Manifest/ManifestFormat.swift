// The form of a manifest, MANIFEST-NNNNNN: which tables make up an engine, as a sequence of edits.
//
//   header      8   magic     "SLUICEMF"
//               2   version   1
//               2   reader    lowest version that may read this file: 1
//               4   shard
//               8   number    the one in the file's name
//               4   CRC32C    of the 24 bytes before
//   record      4   size      of the edit in bytes
//               4   check     CRC32C of the record's offset (8 bytes) and the size: a flipped size is not a torn tail
//               4   CRC32C    of the edit
//               …   edit      fields: tag v, size v, bytes; the last field is the end mark
//
//   edit fields 1 remove table: number v
//               2 add table: level v, run v, number v, file size v, smallest key (size v, bytes), largest key, lowest
//                 position v, highest position v, entries v, tombstones v
//               3 flushed position v
//               4 deleted prefix: SQL-table id v, position v
//               5 next number v
//               15 end mark: one byte 0a, so that the last byte of an edit is not zero
//   Unknown tags from 16 up are skipped, those below are refused.
//
// The first record is the whole version so far, which makes the manifest complete: of several complete ones the newest
// counts. A new manifest is written and synced, its name is synced, the old one is removed and that is synced, and only
// then comes the next edit. An edit is in force when it is synced. One record is written and synced before the next,
// so only the last can be torn, and what is torn is absent (the file ends early) or zero (a lost sector). A last record
// of that kind is cut off. Everything else that does not verify is corruption.
//
// Limits: an edit of 64 MiB (at some 100 bytes a table, half a million tables).
//
// Example: header of manifest 1 of shard 0, then the edit "flushed position 5" (the golden test shows the bytes):
//   534c554943454d46 0100 0100 00000000 0100000000000000 crc | 06000000 check crc 03 01 05 0f 01 0a
// Unsafe by nature: named in the tidy test.
import SluiceSystem

enum ManifestFormat {
  static let magic = Array("SLUICEMF".utf8)
  static let version: UInt16 = 1
  static let headerSize = 28
  static let recordHeadSize = 12
  static let largestEdit = 64 << 20
  static let prefix = "MANIFEST-"
  static let endMark: UInt8 = 0x0a

  static func fileName(_ number: UInt64) -> String { prefix + numbered(number) }
}

func appendManifestHeader(number: UInt64, shard: Int, to output: inout ByteBuffer) {
  var more = ByteBuffer(capacity: 16)
  more.append(littleEndian: UInt32(truncatingIfNeeded: shard))
  more.append(littleEndian: number)
  appendFileHeader(ManifestFormat.magic, version: ManifestFormat.version, more: [UInt8](more.bytes), to: &output)
}

/// Appends a record that will stand at `offset` of its file.
func appendRecord(_ edit: VersionEdit, at offset: UInt64, to output: inout ByteBuffer) {
  var body = ByteBuffer(capacity: 256)
  appendEdit(edit, to: &body)
  output.append(littleEndian: UInt32(body.count))
  output.append(littleEndian: recordCheck(offset: offset, size: UInt32(body.count)))
  output.append(littleEndian: checksum(body.bytes))
  output.append(body.bytes)
}

private func recordCheck(offset: UInt64, size: UInt32) -> UInt32 {
  var bytes = ByteBuffer(capacity: 16)
  bytes.append(littleEndian: offset)
  bytes.append(littleEndian: size)
  return checksum(bytes.bytes)
}

private func appendEdit(_ edit: VersionEdit, to output: inout ByteBuffer) {
  for number in edit.removed { appendField(1, number, to: &output) }
  for addition in edit.added {
    let table = addition.table
    var field = ByteBuffer(capacity: 128)
    for number in [UInt64(addition.level), addition.run, table.number, table.size] { field.append(varint: number) }
    for key in [table.smallest, table.largest] {
      field.append(varint: UInt64(key.count))
      field.append(key)
    }
    for number in [table.lowestPosition, table.highestPosition, table.entries, table.tombstones] {
      field.append(varint: number)
    }
    appendField(2, [UInt8](field.bytes), to: &output)
  }
  if let position = edit.flushedPosition { appendField(3, position, to: &output) }
  for deletion in edit.deleted {
    var field = ByteBuffer(capacity: 16)
    field.append(varint: UInt64(deletion.prefix))
    field.append(varint: deletion.position)
    appendField(4, [UInt8](field.bytes), to: &output)
  }
  if let number = edit.nextNumber { appendField(5, number, to: &output) }
  appendField(15, [ManifestFormat.endMark], to: &output)
}

/// Reads an edit; nil when a field is damaged or unknown.
func readEdit(_ bytes: UnsafeRawBufferPointer) -> VersionEdit? {
  var edit = VersionEdit()
  var reader = ByteReader(bytes)
  while !reader.failed {
    let tag = reader.readVarint()
    var field = ByteReader(reader.readSized())
    switch tag {
    case 1: edit.removed.append(field.readVarint())
    case 2:
      guard let addition = readAddition(&field) else { return nil }
      edit.added.append(addition)
    case 3: edit.flushedPosition = field.readVarint()
    case 4:
      guard let prefix = UInt32(exactly: field.readVarint()) else { return nil }
      edit.deleted.append(DeletedPrefix(prefix: prefix, position: field.readVarint()))
    case 5: edit.nextNumber = field.readVarint()
    case 15: return reader.failed || reader.remaining > 0 || field.readByte() != ManifestFormat.endMark ? nil : edit
    case 16...: field.offset = field.bytes.count
    default: return nil
    }
    if field.failed || field.remaining > 0 { return nil }
  }
  return nil
}

private func readAddition(_ field: inout ByteReader) -> VersionEdit.Addition? {
  guard let level = Int(exactly: field.readVarint()) else { return nil }
  let run = field.readVarint()
  let table = TableInfo(
    number: field.readVarint(), size: field.readVarint(), smallest: [UInt8](field.readSized()),
    largest: [UInt8](field.readSized()), lowestPosition: field.readVarint(), highestPosition: field.readVarint(),
    entries: field.readVarint(), tombstones: field.readVarint())
  // Numbers are counted on from; none comes near this bound in a store's life.
  guard !field.failed, run < 1 << 62, table.number < 1 << 62 else { return nil }
  return VersionEdit.Addition(level: level, run: run, table: table)
}

/// What stands at one offset of a manifest.
enum ManifestRecord {
  case edit(VersionEdit, end: Int)
  case end
  /// A record that was not written to its end.
  case torn
  case damaged(String)
}

/// Reads the record at `offset` of the whole manifest `bytes`.
func readRecord(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> ManifestRecord {
  let rest = bytes.count - offset
  if rest == 0 { return .end }
  func bad(_ message: String, _ size: Int) -> ManifestRecord {
    hasLostSector(bytes, from: offset, size: size) ? .torn : .damaged(message)
  }
  if rest < ManifestFormat.recordHeadSize { return .torn }
  var reader = ByteReader(bytes, offset: offset)
  let size = reader.readLittleEndian(UInt32.self)
  guard reader.readLittleEndian(UInt32.self) == recordCheck(offset: UInt64(offset), size: size) else {
    return bad("record size does not match its check", rest)
  }
  let sum = reader.readLittleEndian(UInt32.self)
  guard size <= ManifestFormat.largestEdit else { return .damaged("edit of \(size) bytes") }
  if Int(size) > reader.remaining { return .torn }
  let body = reader.read(Int(size))
  let isLast = reader.remaining == 0
  guard checksum(body) == sum else {
    let message = "edit checksum \(checksum(body)), stored \(sum)"
    return isLast ? bad(message, ManifestFormat.recordHeadSize + Int(size)) : .damaged(message)
  }
  guard let edit = readEdit(body) else { return .damaged("edit does not parse") }
  return .edit(edit, end: reader.offset)
}

/// Whether some 512-byte sector has nothing but zeros of the `size` bytes from `offset`: it was never written.
private func hasLostSector(_ bytes: UnsafeRawBufferPointer, from offset: Int, size: Int) -> Bool {
  let end = min(offset + size, bytes.count)
  var start = offset
  while start < end {
    let next = min((start / 512 + 1) * 512, end)
    if bytes[start..<next].allSatisfy({ $0 == 0 }) { return true }
    start = next
  }
  return false
}
