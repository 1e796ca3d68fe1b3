// Torn tails are cut, damage is named, and the two are told apart.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLog

/// A log whose last record is `c` (and `extra`), as a disk; and where `c` begins.
private func tornLog() throws -> (disk: SimulatedFileSystem, start: Int, end: Int) {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a")
  try log.commit("b")
  try log.commit("c")
  log.close()
  let size = makeBatch("a").size
  return (disk, 512 + 2 * size, 512 + 3 * size)
}

/// What reopening makes of `content`: the words, and again after one more commit and one more opening.
private func checkCut(_ content: [UInt8], _ what: String) throws {
  let disk = SimulatedFileSystem()
  try disk.createDirectory("log")
  try disk.syncDirectory("")
  try disk.setContent(firstSegment, content)
  let log = try openLog(disk)
  #expect(try words(log) == ["a@1-1", "b@2-2"], "\(what)")
  try log.commit("d")
  log.close()
  #expect(try reopenedWords(disk.crashImage(.keepNothing)) == ["a@1-1", "b@2-2", "d@3-3"], "\(what)")
}

@Test func aTailTornAtAnyByteIsCut() throws {
  let (disk, start, end) = try tornLog()
  let whole = disk.content(firstSegment)!
  for size in start..<end { try checkCut(Array(whole[..<size]), "file of \(size) bytes") }
  for size in start..<(end - 6) {
    try checkCut(
      whole[..<size] + Array(repeating: 0, count: whole.count - size), "zeros from \(size)")
  }
}

@Test func aFlippedBitInTheLastRecordCutsIt() throws {
  let (disk, start, _) = try tornLog()
  let whole = disk.content(firstSegment)!
  let record = makeBatch("c")
  for place in start..<(start + record.memory.count) {
    var content = whole
    content[place] ^= 0x10
    try checkCut(content, "flip at \(place)")
  }
}

@Test func aFlippedBitBeforeTheLastRecordIsDamage() throws {
  let (disk, start, _) = try tornLog()
  let whole = disk.content(firstSegment)!
  let size = makeBatch("a").size
  for (record, begin) in [("a", 512), ("b", 512 + size)] {
    for place in begin..<(begin + makeBatch(record).memory.count) {
      var content = whole
      content[place] ^= 0x10
      try disk.setContent(firstSegment, content)
      let error = #expect(throws: LogError.self) { try openLog(disk) }
      #expect(error?.kind == .corrupt)
      #expect(error?.message.hasPrefix("\(firstSegment) is damaged at offset \(begin):") == true, "\(place)")
      #expect(disk.content(firstSegment) == content, "a damaged file is left as it is")
    }
  }
  _ = start
}

/// A resolution has no position of its own: only the offset that later records carry shows that it was durable.
@Test func aLostResolutionIsDamageToo() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a")
  try log.append([], [Resolution(batchFirstPosition: 1, rejected: [(0, 1)])])
  try log.sync()
  try log.commit("b")
  log.close()
  let place = 512 + makeBatch("a").size
  var content = disk.content(firstSegment)!
  content.replaceSubrange(place..<(place + 80), with: Array(repeating: 0, count: 80))
  try disk.setContent(firstSegment, content)
  let error = #expect(throws: LogError.self) { try openLog(disk) }
  #expect(error?.message.hasPrefix("\(firstSegment) is damaged at offset \(place):") == true)
}

/// Sectors persist in any order: of one unsynced group a later record may be there and an earlier one not.
@Test func aHoleInTheLastGroupIsATornTail() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a")
  try log.append([makeBatch("b", valueSize: 3000), makeBatch("c", valueSize: 3000), makeBatch("d")], [])
  log.close()
  var content = disk.content(firstSegment)!
  content.replaceSubrange(1024..<1536, with: Array(repeating: 0, count: 512))
  try disk.setContent(firstSegment, content)
  #expect(try reopenedWords(disk) == ["a@1-1"])
  #expect(disk.content(firstSegment)!.count == 512 + makeBatch("a").size)
}

@Test func aDamagedSealedSegmentIsFoundByTheReader() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.append([makeBatch("a"), makeBatch("b", valueSize: 50 << 20), makeBatch("c", valueSize: 50 << 20)], [])
  try log.commit("d")
  log.close()
  let whole = disk.content(firstSegment)!
  let second = 512 + makeBatch("a").size
  for place in [20, second + 4, second + 70, second + 9_000_000, whole.count - 20] {
    var content = whole
    content[place] ^= 1
    try disk.setContent(firstSegment, content)
    let damaged = try openLog(disk)
    #expect(damaged.lastPosition == 4)
    let error = #expect(throws: LogError.self) { try words(damaged) }
    #expect(error?.kind == .corrupt, "\(place)")
    #expect(error?.message.hasPrefix("\(firstSegment) is damaged at offset ") == true, "\(place)")
    damaged.close()
  }
  for content in [Array(whole.dropLast(8)), whole + Array(repeating: 0, count: 64)] {
    try disk.setContent(firstSegment, content)
    let error = #expect(throws: LogError.self) { try reopenedWords(disk) }
    #expect(error?.kind == .corrupt)
  }
}

@Test func randomBytesAsASegmentNeverCrash() throws {
  var random = SeededRandom(seed: testSeed())
  let repeatIt = repeatCommand(random.seed, "SluiceLogTests")
  let (disk, _, end) = try tornLog()
  let whole = disk.content(firstSegment)!
  for round in 0..<600 {
    var content: [UInt8]
    if round % 3 == 0 {
      content = Array(whole[..<min(512 * random.below(3), end)]) + random.bytes(random.below(3000))
    } else {
      content = Array(whole[..<(end + 200)])
      for _ in 0...random.below(6) { content[random.below(content.count)] = UInt8(random.below(256)) }
    }
    let trial = SimulatedFileSystem()
    try trial.createDirectory("log")
    try trial.setContent(firstSegment, content)
    #expect(describeSegment(fileSystem: trial, path: firstSegment).last?.hasPrefix("verdict ") == true)
    do {
      let found = try reopenedWords(trial)
      #expect(found.count <= 3 && found.allSatisfy { ["a@1-1", "b@2-2", "c@3-3"].contains($0) }, "\(repeatIt)")
    } catch { #expect(error.kind == .corrupt || error.kind == .unsupported, "\(error) \(repeatIt)") }
  }
}

@Test func aFileOfGarbageIsNoSegment() throws {
  let disk = SimulatedFileSystem()
  try disk.createDirectory("log")
  for content in [[], [1, 2, 3], Array(repeating: 0, count: 512), Array(repeating: 0x55, count: 5000)] as [[UInt8]] {
    try disk.setContent(firstSegment, content)
    let error = #expect(throws: LogError.self) { try openLog(disk) }
    #expect(error?.kind == .corrupt)
    let lines = describeSegment(fileSystem: disk, path: firstSegment)
    #expect(lines.count == 3 && lines[1].hasPrefix("damage file=\(firstSegment) offset=0 "), "\(lines)")
  }
}

@Test func aSegmentIsDescribedLineByLine() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.append([makeBatch("a", count: 3)], [])
  try log.sync()
  try log.append([makeBatch("b")], [Resolution(batchFirstPosition: 1, rejected: [(2, 1)])])
  try log.sync()
  let staged = try log.stage()
  try staged.append(makeBatch("c", count: 2))
  try staged.finish()
  _ = try log.adopt(staged)
  let zero = "0000000000000000"
  let store = zero.dropLast(2) + "99"
  let time = "time=1970-01-01T00:00:00.000001Z"
  let whole = [
    "segment file=\(firstSegment) kind=normal serial=\(zero.dropLast())1 first_position=1 store=\(store) bytes=856",
    "commands offset=512 bytes=88 positions=1..3 line=1 session=7 \(time) durable_offset=512",
    "commands offset=600 bytes=72 positions=4..4 line=1 session=7 \(time) durable_offset=600",
    "resolution offset=672 bytes=80 batch_position=1 rejected=1 durable_offset=600",
    "adoption offset=752 bytes=104 positions=5..6 serial=\(zero.dropLast())2 adopted_bytes=592 durable_offset=752",
  ]
  #expect(
    describeSegment(fileSystem: disk, path: firstSegment) == whole + [
      "verdict state=sound damages=0 segments=1 records=4 commands=4 log_bytes=856"
    ])
  var content = disk.content(firstSegment)! + Array(repeating: 0, count: 100)
  content[610] ^= 1
  content[740] ^= 1
  try disk.setContent(firstSegment, content)
  let place = "damage file=\(firstSegment) offset="
  #expect(
    describeSegment(fileSystem: disk, path: firstSegment) == [
      whole[0].replacing("bytes=856", with: "bytes=956"),
      whole[1],
      "\(place)600 positions=4..4 what=\"the record's header does not verify\"",
      "\(place)672 positions=4..4 what=\"the record's body does not verify\"",
      whole[4],
      "\(place)856 what=\"zeros where records should go on to 956\"",
      "verdict state=damaged damages=3 segments=1 records=2 commands=3 log_bytes=956",
    ])
  #expect(
    describeSegment(fileSystem: disk, path: "log/00000000000000000005.adopted.log", commands: true) == [
      "segment file=log/00000000000000000005.adopted.log kind=staged serial=\(zero.dropLast())2 first_position=0 "
        + "store=\(store) bytes=592",
      "commands offset=512 bytes=80 positions=5..6 line=1 session=7 \(time) durable_offset=0",
      "  command position=5 kind=insert slot=0 line=1 key=00 value_bytes=1 starts_statement=yes",
      "  command position=6 kind=insert slot=0 line=1 key=01 value_bytes=1 starts_statement=yes",
      "verdict state=sound damages=0 segments=1 records=1 commands=2 log_bytes=592",
    ])
}
