// The batch's bytes: golden texts of the format files, round trips, and bodies that lie.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLog

/// The record of the example in Batch.swift.
private let exampleRecord = """
  62 42 aa dd 0a 00 00 00 75 79 1f 9b 01 00 00 00 09 00 00 00 00 00 00 00 01 00 00 00 07 00 00 00
  01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00 00 02 00 00 00 00 00 00
  09 13 05 00 00 02 01 02 61 62 00 00 00 00 00 00
  """
private let exampleSerial: UInt64 = 0x1122_3344_5566_7788

@Test func batchHasTheBytesOfItsFormatFile() {
  var builder = BatchBuilder()
  builder.append(.put, slot: 5, line: 7, key: [1, 2], value: Array("ab".utf8))
  let batch = builder.seal(timeMicroseconds: 1, session: 3)
  batch.assignPositions(first: 9)
  _ = batch.stamp(seed: RecordHeader.seed(serial: exampleSerial), durableOffset: 512)
  #expect(hex(batch.buffer.bytes) == hex(bytes(exampleRecord)))
  #expect(batch.size == 80)
  #expect(batch.memory.count == 74)
}

@Test func exampleRecordIsRead() throws {
  let batch = try bytes(exampleRecord).withUnsafeBytes {
    try Batch.parse(
      UnsafeRawBufferPointer(rebasing: $0[..<74]), serial: exampleSerial, path: "log/1.log", offset: 512)
  }
  #expect(batch.firstPosition == 9 && batch.lastPosition == 9 && batch.session == 3 && batch.firstLine == 7)
  var reader = batch.commands()
  let next = reader.next()
  let command = try #require(next)
  #expect(command.kind == .put && command.slot == 5 && command.line == 7 && command.startsStatement)
  #expect(Array(command.key) == [1, 2] && Array(command.value) == Array("ab".utf8) && command.offset == 0)
  let end = reader.next()
  #expect(end == nil)
}

@Test func conditionsHaveTheBytesOfTheFormatFile() throws {
  var builder = BatchBuilder()
  builder.append(.putIf, slot: 5, line: 7, key: [1, 2], value: Array("ab".utf8) + bytes("09 00 00 00 00 00 00 00"))
  builder.append(.deleteIf, slot: 5, line: 8, key: [3], value: bytes("02 01 00 00 00 00 00 00"))
  let batch = builder.seal(timeMicroseconds: 1)
  #expect(
    hex(batch.body) == "11 15 05 00 00 02 01 02 61 62 09 00 00 00 00 00 00 00 "
      + "0e 16 05 00 02 01 03 02 01 00 00 00 00 00 00")
  var reader = batch.commands()
  let first = reader.next(), second = reader.next()
  let put = try #require(first), removal = try #require(second)
  #expect(Array(put.row) == Array("ab".utf8) && put.value.count == 10 && put.expectedPosition == 9)
  #expect(removal.row.isEmpty && removal.expectedPosition == 258)
  withExtendedLifetime(batch) {}
}

@Test func aClearHasTheBytesOfTheFormatFile() throws {
  var builder = BatchBuilder()
  builder.append(.clear, key: [0, 0, 0, 7], value: [])
  let batch = builder.seal(timeMicroseconds: 1)
  #expect(hex(batch.body) == "09 17 00 00 00 04 00 00 00 07")
  var reader = batch.commands()
  let next = reader.next()
  let command = try #require(next)
  #expect(command.kind == .clear && Array(command.key) == [0, 0, 0, 7] && command.row.isEmpty)
  #expect(command.expectedPosition == nil && !command.kind.removes)
  // The builder is free for other commands again.
  builder.append(key: [1], value: [])
  let mark = builder.mark()
  builder.append(key: [2], value: [])
  builder.rollback(to: mark)
  let count = builder.seal(timeMicroseconds: 1).commandCount
  #expect(count == 1)
}

/// A clear names a table and nothing else, and has its batch to itself.
@Test(arguments: [
  ("09 17 00 00 00 04 00 00 00 07", 1, true), ("08 17 00 00 00 03 00 00 00", 1, false),
  ("0a 17 00 00 00 04 00 00 00 07 01", 1, false), ("09 17 05 00 00 04 00 00 00 07", 1, false),
  ("09 57 00 00 00 04 00 00 00 07", 1, false), ("09 17 00 00 00 04 00 00 00 07 06 13 00 00 00 01 05", 2, false),
  ("06 13 00 00 00 01 05 09 17 00 00 00 04 00 00 00 07", 2, false),
])
func aClearIsAloneAndNamesATable(_ text: String, _ count: UInt32, _ isSound: Bool) {
  let body = bytes(text)
  var header = RecordHeader(kind: RecordKind.commands)
  header.bodySize = UInt32(body.count)
  header.commandCount = count
  if body[1] & 0x40 != 0 { header.flags = BatchFlags.hasPositionKeys.rawValue }
  let flaw = body.withUnsafeBytes { CommandReader.flaw(in: $0, header) }
  #expect((flaw == nil) == isSound, "\(flaw ?? "")")
}

@Test func otherKindsHaveNoCondition() throws {
  for kind in [CommandKind.insert, .ignore, .put, .delete, .catalog] {
    var builder = BatchBuilder()
    builder.append(kind, key: [1], value: [1, 2, 3, 4, 5, 6, 7, 8, 9])
    let batch = builder.seal(timeMicroseconds: 1)
    var reader = batch.commands()
    let next = reader.next()
    let command = try #require(next)
    #expect(command.row.count == 9 && command.expectedPosition == nil, "\(kind)")
    withExtendedLifetime(batch) {}
  }
}

/// A condition that is cut would make a reader look in front of the value: such a body is corruption.
@Test(arguments: [(CommandKind.put, CommandKind.putIf), (.put, .deleteIf)], 0...10)
func conditionsThatAreCutAreRefused(_ kinds: (was: CommandKind, becomes: CommandKind), _ size: Int) {
  var builder = BatchBuilder()
  builder.append(kinds.was, key: [1], value: Array(repeating: 7, count: size))
  let batch = builder.seal(timeMicroseconds: 1)
  var body = Array(batch.body)
  #expect(body[1] & 0x0f == kinds.was.rawValue)
  body[1] = body[1] & 0xf0 | kinds.becomes.rawValue
  let header = RecordHeader(batch.buffer.base)
  let isSound = kinds.becomes == .putIf ? size >= 8 : size == 8
  let flaw = body.withUnsafeBytes { CommandReader.flaw(in: $0, header) }
  #expect(flaw == (isSound ? nil : "command 0 at offset 0 of the body is malformed"))
}

@Test func everyFlippedBitOfARecordIsFound() {
  var record = Array(bytes(exampleRecord)[..<74])
  for bit in 0..<(record.count * 8) {
    record[bit / 8] ^= 1 << UInt8(bit % 8)
    let error = record.withUnsafeBytes { record in
      #expect(throws: LogError.self) {
        try Batch.parse(record, serial: exampleSerial, path: "log/1.log", offset: 512)
      }
    }
    #expect(error?.kind == .corrupt, "bit \(bit)")
    #expect(error?.message.contains("log/1.log is damaged at offset 512") == true)
    record[bit / 8] ^= 1 << UInt8(bit % 8)
  }
}

@Test func recordOfAnotherSegmentDoesNotVerify() {
  let record = Array(bytes(exampleRecord)[..<74])
  _ = record.withUnsafeBytes { record in
    #expect(throws: LogError.self) {
      try Batch.parse(record, serial: exampleSerial + 1, path: "log/1.log", offset: 512)
    }
  }
}

private struct Row: Equatable {
  var kind: CommandKind
  var startsStatement: Bool
  var slot: UInt16
  var line: Int
  var key: [UInt8]
  var value: [UInt8]
}

private func rows(of batch: Batch) -> [Row] {
  var reader = batch.commands()
  var rows: [Row] = []
  while let command = reader.next() {
    #expect(command.index == rows.count)
    rows.append(
      Row(
        kind: command.kind, startsStatement: command.startsStatement, slot: command.slot, line: command.line,
        key: Array(command.key), value: Array(command.value)))
  }
  return rows
}

@Test func randomBatchesComeBackFromTheirBytes() throws {
  var random = SeededRandom(seed: testSeed())
  let repeatIt = repeatCommand(random.seed, "SluiceLogTests")
  var builder = BatchBuilder(capacity: 4096)
  for _ in 0..<60 {
    var expected: [Row] = []
    var line = random.below(1000)
    for _ in 0...random.below(200) {
      let starts = expected.isEmpty || random.chance(2, of: 3)
      if starts { line = max(0, line + random.below(300) - 20) }
      var row = Row(
        kind: [.insert, .ignore, .put, .delete, .putIf, .deleteIf, .catalog][random.below(7)], startsStatement: starts,
        slot: UInt16(random.below(4096)), line: line, key: random.bytes(random.below(300)), value: [])
      let valueSize = random.below(random.chance(1, of: 20) ? 40_000 : 60)
      row.value = random.bytes(
        row.kind == .deleteIf ? 8 : row.kind == .putIf ? valueSize + 8 : valueSize)
      let mark = builder.mark()
      builder.append(
        row.kind, startsStatement: row.startsStatement, slot: row.slot, line: row.line, key: row.key, value: row.value)
      if random.chance(1, of: 5) && !expected.isEmpty {
        builder.rollback(to: mark)
        line = expected.last!.line
      } else {
        expected.append(row)
      }
    }
    let count = builder.commandCount
    #expect(count == expected.count)
    let batch = builder.seal(timeMicroseconds: 5, flags: .allOrNothing, session: 4)
    let isEmpty = builder.isEmpty
    #expect(isEmpty)
    #expect(rows(of: batch) == expected, "\(repeatIt)")
    batch.assignPositions(first: 1000)
    _ = batch.stamp(seed: RecordHeader.seed(serial: 77), durableOffset: 0)
    let parsed = try Batch.parse(batch.memory, serial: 77, path: "x", offset: 0)
    #expect(rows(of: parsed) == expected, "\(repeatIt)")
    #expect(parsed.flags == .allOrNothing && parsed.lastPosition == 999 + UInt64(expected.count))
  }
}

@Test func positionsAreFilledInAndFilledInAgain() throws {
  var builder = BatchBuilder()
  builder.append(slot: 9, key: Array(repeating: 1, count: 12), value: [])
  let value = Array("row".utf8)
  for _ in 0..<3 {
    value.withUnsafeBytes {
      builder.appendPositionKeyed(tableID: 5, kind: .insert, slot: nil, startsStatement: true, line: 1, value: $0)
      builder.appendPositionKeyed(tableID: 6, kind: .insert, slot: 77, startsStatement: false, line: 1, value: $0)
    }
  }
  let batch = builder.seal(timeMicroseconds: 0)
  #expect(batch.flags == .hasPositionKeys)
  for first: UInt64 in [0, 0x0102_03ff] {
    batch.assignPositions(first: first)
    _ = batch.stamp(seed: RecordHeader.seed(serial: 1), durableOffset: 0)
    let rows = rows(of: try Batch.parse(batch.memory, serial: 1, path: "x", offset: 0))
    #expect(rows[0].key == Array(repeating: 1, count: 12) && rows[0].slot == 9)
    for index in 1...6 {
      let position = first + UInt64(index)
      let table: UInt8 = index % 2 == 1 ? 5 : 6
      #expect(rows[index].key == [0, 0, 0, table] + withUnsafeBytes(of: position.bigEndian) { Array($0) })
      #expect(rows[index].slot == (index % 2 == 1 ? UInt16((position >> 8) & 4095) : 77))
      #expect(rows[index].value == value)
    }
  }
}

@Test func rollbackForgetsWhatTheStatementLeft() {
  var builder = BatchBuilder()
  let empty = builder.mark()
  [UInt8]().withUnsafeBytes {
    builder.appendPositionKeyed(tableID: 1, kind: .insert, slot: nil, startsStatement: true, line: 90, value: $0)
  }
  builder.rollback(to: empty)
  let isEmpty = builder.isEmpty
  #expect(isEmpty)
  builder.append(line: 3, key: [1], value: [2])
  let batch = builder.seal(timeMicroseconds: 0)
  #expect(batch.firstLine == 3 && batch.flags == [] && batch.commandCount == 1)
}

@Test func linesCountFromTheBatchsFirst() {
  var builder = BatchBuilder()
  builder.begin(firstLine: 10)
  builder.append(line: 12, key: [1], value: [])
  builder.append(startsStatement: false, line: 12, key: [2], value: [])
  builder.append(line: 4, key: [3], value: [])
  let batch = builder.seal(timeMicroseconds: 0)
  #expect(batch.firstLine == 10)
  #expect(rows(of: batch).map(\.line) == [12, 12, 4])
}

@Test func limitsAreKnownBeforeAppending() {
  let builder = BatchBuilder()
  let answers = [
    builder.fits(keySize: 16 << 10, valueSize: 64 << 20), builder.fits(keySize: (16 << 10) + 1, valueSize: 0),
    builder.fits(keySize: 0, valueSize: (64 << 20) + 1),
  ]
  #expect(answers == [true, false, false])
}

@Test func aFullBatchTakesNoMore() {
  var builder = BatchBuilder(capacity: 256 << 20)
  let value = UnsafeMutableRawBufferPointer.allocate(byteCount: 63 << 20, alignment: 16)
  defer { value.deallocate() }
  for _ in 0..<4 {
    builder.append(
      kind: .put, startsStatement: true, slot: 0, line: 1, key: UnsafeRawBufferPointer(start: nil, count: 0),
      value: UnsafeRawBufferPointer(value))
  }
  let answers = [builder.fits(keySize: 0, valueSize: 3 << 20), builder.fits(keySize: 0, valueSize: 4 << 20)]
  #expect(answers == [true, false])
}

@Test func smallBatchesHoldNoMoreMemoryThanTheyNeed() {
  var builder = BatchBuilder(capacity: 1 << 20)
  builder.append(key: [1], value: [2])
  let small = builder.seal(timeMicroseconds: 0)
  #expect(small.memorySize <= 128)
  builder.append(key: [1], value: Array(repeating: 3, count: 600_000))
  let large = builder.seal(timeMicroseconds: 0)
  #expect(large.memorySize == 1 << 20)
  builder.append(key: [4], value: [5])
  let next = builder.seal(timeMicroseconds: 0)
  #expect(rows(of: small)[0].value == [2] && rows(of: large)[0].value.count == 600_000)
  #expect(rows(of: next)[0].value == [5])
}

/// A body whose checksum holds may lie all the same: each byte is changed to each of some values, the checksums made
/// right, and what is accepted must be readable within bounds.
@Test func bodiesThatLieAreRefusedOrReadable() {
  let good = makeBatch("value", count: 3)
  let header = RecordHeader(good.buffer.base)
  let original = Array(good.body)
  var refused = 0
  for place in original.indices {
    for byte in [0, 1, 0x0f, 0x10, 0x20, 0x40, 0x7f, 0x80, 0xff] as [UInt8] {
      var body = original
      body[place] = byte
      let tight = UnsafeMutableRawBufferPointer.allocate(byteCount: body.count, alignment: 1)
      defer { tight.deallocate() }
      tight.copyBytes(from: body)
      do {
        let batch = try Batch.parse(header, UnsafeRawBufferPointer(tight), path: "x", offset: 0)
        let size = rows(of: batch).reduce(0) { $0 + $1.key.count + $1.value.count }
        #expect(size < body.count)
        batch.assignPositions(first: 1 << 40)
      } catch {
        #expect(error.kind == .corrupt)
        refused += 1
      }
    }
  }
  #expect(refused > original.count)
}

@Test func randomBodiesNeverCrash() {
  var random = SeededRandom(seed: testSeed())
  for _ in 0..<20_000 {
    let body = random.bytes(random.below(60))
    var header = RecordHeader(kind: RecordKind.commands)
    header.bodySize = UInt32(body.count)
    header.commandCount = UInt32(1 + random.below(3))
    header.flags = UInt8(random.below(4))
    body.withUnsafeBytes { body in
      if CommandReader.flaw(in: body, header) == nil, let batch = try? Batch.parse(header, body, path: "", offset: 0) {
        #expect(rows(of: batch).count == Int(header.commandCount))
      }
      _ = Resolution.decode(body)
      _ = Adoption.decode(body)
    }
  }
}
