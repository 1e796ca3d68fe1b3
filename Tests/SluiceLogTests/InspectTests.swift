// A log's directory as an inspection sees it: what is missing between segments, what does not belong to it.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLog

/// Positions 1, then 2 and 3 adopted, then 4, then 5 and 6 adopted, then 7.
private func longLog() throws -> SimulatedFileSystem {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  for label in ["a", "b"] {
    try log.commit(label)
    let staged = try log.stage()
    try staged.append(makeBatch(label, count: 2))
    try staged.finish()
    _ = try log.adopt(staged)
  }
  try log.commit("c")
  log.close()
  return disk
}

private func path(_ first: Int, _ suffix: String = ".log") -> String {
  "log/" + String(repeating: "0", count: 19) + "\(first)" + suffix
}

/// Damage and last position, by each depth alike where the depth reaches.
private func damage(_ disk: SimulatedFileSystem, _ depth: LogDepth = .records, store: UInt64? = nil) -> [String] {
  let report = InspectionReport(isBrief: true)
  let found = inspectLog("log", storeID: store, fileSystem: disk, depth: depth, report: report)
  return report.lines + ["\(found.firstPosition)..\(found.lastPosition.map { "\($0)" } ?? "?")"]
}

@Test func aWholeLogIsSound() throws {
  let disk = try longLog()
  for depth in [LogDepth.ends, .records, .commands] { #expect(damage(disk, depth, store: storeID) == ["1..7"]) }
  #expect(damage(SimulatedFileSystem()) == ["0..0"])
  let wrong = damage(disk, .ends, store: 7)
  #expect(wrong.count == 6 && wrong[0].hasSuffix("what=\"it belongs to store 0000000000000099\""))
}

@Test func missingSegmentsAreNamedByTheirPositions() throws {
  let disk = try longLog()
  try disk.remove(path(4))
  #expect(
    damage(disk) == [
      "damage file=\(path(5, ".adopted.log")) offset=0 what=\"no adoption record leads to it\"",
      "damage file=log positions=4..4 what=\"no segment holds these positions\"", "1..7",
    ])
  let other = try longLog()
  try other.remove(path(2, ".adopted.log"))
  #expect(damage(other) == ["damage file=log positions=2..3 what=\"the segment that was adopted is missing\"", "1..7"])
  for suffix in [path(7), path(5, ".adopted.log")] { try other.remove(suffix) }
  #expect(
    damage(other, .ends) == ["damage file=log positions=5..6 what=\"the segment that was adopted is missing\"", "1..4"])
}

@Test func segmentsInEachOthersPlaceAreDamage() throws {
  let disk = try longLog()
  let (first, second) = (disk.content(path(1))!, disk.content(path(4))!)
  try disk.setContent(path(1), second)
  try disk.setContent(path(4), first)
  let lines = damage(disk)
  #expect(lines.contains("damage file=\(path(1)) offset=0 what=\"the header disagrees with the file's name\""))
  #expect(lines.contains("damage file=\(path(4)) offset=0 what=\"the header disagrees with the file's name\""))
  try disk.setContent(path(1), first)
  try disk.setContent(path(4), second)
  let adopted = disk.content(path(2, ".adopted.log"))!
  try disk.setContent(path(5, ".adopted.log"), adopted)
  #expect(
    damage(disk) == [
      "damage file=\(path(5, ".adopted.log")) offset=0 what=\"it is not the segment that was adopted\"", "1..7",
    ])
}

/// Every checksum holds, and yet it is not what was adopted: one record was written anew.
@Test func aRewrittenRecordOfAnAdoptedSegmentIsDamage() throws {
  let disk = try longLog()
  var content = disk.content(path(2, ".adopted.log"))!
  content.withUnsafeMutableBytes { bytes in
    let record = bytes.baseAddress! + SegmentHeader.size
    var header = RecordHeader(record)
    header.firstLine += 1
    // The serial stands behind magic, versions and kind.
    let serial = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    _ = header.store(to: record, seed: RecordHeader.seed(serial: serial))
  }
  try disk.setContent(path(2, ".adopted.log"), content)
  let lines = describeSegment(fileSystem: disk, path: path(2, ".adopted.log"))
  #expect(lines.last?.hasPrefix("verdict state=sound") == true)
  let what = "its records are not those that were adopted"
  #expect(damage(disk) == ["damage file=\(path(2, ".adopted.log")) offset=0 what=\"\(what)\"", "1..7"])
}

/// The process ended between the commit of a large transaction and the renaming of its file; and other leftovers.
@Test func whatOpeningWouldPutInOrderIsNoDamage() throws {
  let disk = try longLog()
  try disk.remove(path(7))
  try disk.rename(path(5, ".adopted.log"), to: "log/staged-0000000000000004.stage")
  try disk.setContent("log/staged-00000000000000aa.stage", [1, 2, 3])
  try disk.setContent(path(9, ".log.new"), [])
  for depth in [LogDepth.ends, .records] { #expect(damage(disk, depth) == ["1..6"]) }
  let report = InspectionReport()
  _ = inspectLog("log", storeID: nil, fileSystem: disk, depth: .records, report: report)
  #expect(
    report.lines.filter { $0.hasPrefix("stray") } == [
      "stray name=\(path(9, ".log.new").dropFirst(4))", "stray name=staged-00000000000000aa.stage",
    ])
}

/// The end of the last segment as a power cut leaves it: records of one group, the first of them lost.
@Test func recordsBehindATornPlaceAreLost() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a")
  try log.append([makeBatch("b", valueSize: 600), makeBatch("c"), makeBatch("d")], [])
  log.close()
  var content = disk.content(firstSegment)!
  content.replaceSubrange(1024..<1100, with: Array(repeating: 0, count: 76))
  try disk.setContent(firstSegment, content)
  let lines = describeSegment(fileSystem: disk, path: firstSegment)
  let starts = [
    "segment ", "commands offset=512 bytes=72 positions=1..1 ", "torn offset=584 ", "commands offset=1256 ",
    "commands offset=1328 ", "zeros offset=1400 ", "verdict state=sound damages=0 segments=1 records=1 commands=1 ",
  ]
  #expect(lines.count == starts.count)
  for (line, start) in zip(lines, starts) { #expect(line.hasPrefix(start), "\(line)") }
  #expect(lines[3].hasSuffix(" state=lost") && lines[4].hasSuffix(" state=lost"))
  #expect(damage(disk) == ["1..1"])
  #expect(try reopenedWords(disk) == ["a@1-1"], "opening cuts there too")
}

@Test func conditionsAreShownBesideTheRow() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  var builder = BatchBuilder()
  builder.append(.putIf, slot: 5, line: 7, key: [1, 2], value: Array("ab".utf8) + bytes("09 00 00 00 00 00 00 00"))
  builder.append(.deleteIf, startsStatement: false, key: [3], value: bytes("00 00 00 00 00 00 00 00"))
  try log.append([builder.seal(timeMicroseconds: 1)], [])
  builder.append(.clear, line: 9, key: [0, 0, 0, 7], value: [])
  try log.append([builder.seal(timeMicroseconds: 1)], [])
  try log.sync()
  log.close()
  let lines = describeSegment(fileSystem: disk, path: firstSegment, commands: true).filter { $0.hasPrefix("  ") }
  #expect(
    lines == [
      "  command position=1 kind=putIf slot=5 line=7 key=0102 value_bytes=2 expected_position=9 starts_statement=yes",
      "  command position=2 kind=deleteIf slot=0 line=7 key=03 value_bytes=0 expected_position=0",
      "  command position=3 kind=clear slot=0 line=9 key=00000007 value_bytes=0 starts_statement=yes",
    ])
}

@Test func timesAreDates() throws {
  for (microseconds, text) in [
    (0, "1970-01-01T00:00:00.000000Z"), (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
    (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"), (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
    (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"), (253_402_300_800_000_000, "253402300800000000us"),
    (-1, "-1us"), (Int64.max, "9223372036854775807us"), (Int64.min, "-9223372036854775808us"),
  ] as [(Int64, String)] {
    #expect(timeText(microseconds) == text)
  }
}
