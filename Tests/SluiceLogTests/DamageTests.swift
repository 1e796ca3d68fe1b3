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
    _ = try describeSegment(fileSystem: trial, path: firstSegment)
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
    #expect(try describeSegment(fileSystem: disk, path: firstSegment).count == 1)
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
  let whole = [
    "0 segment kind=normal serial=1 first=1 store=99 bytes=856",
    "512 commands positions=1+3 line=1 flags=0 session=7 body=24 durable=512 ok",
    "600 commands positions=4+1 line=1 flags=0 session=7 body=8 durable=600 ok",
    "672 resolution batch=1 rejected=1 body=11 durable=600 ok",
    "752 adoption serial=2 positions=5+2 bytes=592 body=36 durable=752 ok",
  ]
  #expect(try describeSegment(fileSystem: disk, path: firstSegment) == whole)
  var content = disk.content(firstSegment)! + Array(repeating: 0, count: 100)
  content[610] ^= 1
  content[740] ^= 1
  try disk.setContent(firstSegment, content)
  #expect(
    try describeSegment(fileSystem: disk, path: firstSegment) == [
      "0 segment kind=normal serial=1 first=1 store=99 bytes=956",
      whole[1],
      "600 bad header does not verify",
      "672 bad kind=2 first=1 body=11 durable=600 body does not verify",
      whole[4],
      "856 zeros up to 956",
    ])
  #expect(
    try describeSegment(fileSystem: disk, path: "log/00000000000000000005.adopted.log") == [
      "0 segment kind=staged serial=2 first=0 store=99 bytes=592",
      "512 commands positions=0+2 line=1 flags=0 session=7 body=16 durable=0 ok",
    ])
}
