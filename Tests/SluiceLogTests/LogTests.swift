// The log as its users see it: what is appended comes back, in order, once, from the place asked for.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLog

@Test func anEmptyLogIsOpenedAndStaysEmpty() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  #expect(log.lastPosition == 0)
  #expect(try words(log) == [])
  log.close()
  #expect(try reopenedWords(disk) == [])
  #expect(try disk.list("log") == [])
}

@Test func appendedRecordsComeBackAfterReopening() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.append([makeBatch("a", count: 3), makeBatch("b")], [])
  #expect(log.lastPosition == 0)
  try log.sync()
  #expect(log.lastPosition == 4)
  try log.append([makeBatch("c", count: 2)], [Resolution(batchFirstPosition: 1, rejected: [(0, 1), (2, 1)])])
  try log.sync()
  let expected = ["a@1-3", "b@4-4", "c@5-6", "!1:0,2"]
  #expect(try words(log) == expected)
  log.close()
  #expect(try reopenedWords(disk) == expected)
  let again = try openLog(disk)
  try again.commit("d")
  again.close()
  #expect(try reopenedWords(disk) == expected + ["d@7-7"])
}

@Test func aReaderBeginsAndEndsWhereItIsTold() throws {
  let log = try openLog(SimulatedFileSystem())
  try log.append([makeBatch("a", count: 3), makeBatch("b", count: 2)], [])
  try log.append([], [Resolution(batchFirstPosition: 4, rejected: [(1, 1)])])
  try log.append([makeBatch("c")], [Resolution(batchFirstPosition: 1, rejected: [(0, 2)])])
  try log.sync()
  #expect(try words(log) == ["a@1-3", "b@4-5", "!4:1", "c@6-6", "!1:0"])
  #expect(try words(log, after: 0, upTo: 3) == ["a@1-3"])
  #expect(try words(log, after: 0, upTo: 5) == ["a@1-3", "b@4-5", "!4:1"])
  #expect(try words(log, after: 2) == ["a@1-3", "b@4-5", "!4:1", "c@6-6", "!1:0"])
  #expect(try words(log, after: 3) == ["b@4-5", "!4:1", "c@6-6"])
  #expect(try words(log, after: 5) == ["c@6-6"])
  #expect(try words(log, after: 6) == [])
  for (after, last) in [(0, 7), (5, 4)] as [(UInt64, UInt64)] {
    let error = #expect(throws: LogError.self) { try log.reader(after: after, upTo: last) }
    #expect(error?.kind == .invalid)
  }
}

/// Marks let a reader begin in the middle of a segment: it must hand out the same as one that skips from its beginning.
@Test func readersFromMarksSeeWhatReadersFromTheBeginningSee() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  for round in 0..<12 {
    try log.append(
      [makeBatch("r\(round)", count: 3, valueSize: 90_000), makeBatch("s\(round)", count: 2, valueSize: 90_000)],
      [Resolution(batchFirstPosition: UInt64(round * 5 + 1), rejected: [(1, 1)])])
    try log.sync()
  }
  log.close()
  let fresh = try openLog(disk)
  for after in 0...60 as ClosedRange<UInt64> {
    #expect(try words(log, after: after) == words(fresh, after: after), "after \(after)")
  }
  let recording = try log.reader(after: 55, upTo: 60)
  #expect(recording.startOffset > 4_000_000, "it begins at a mark")
}

@Test func aReaderSeesNothingThatIsNotDurable() throws {
  let log = try openLog(SimulatedFileSystem())
  try log.commit("a")
  try log.append([makeBatch("b")], [])
  #expect(try words(log) == ["a@1-1"])
  let reader = try log.reader(after: 0, upTo: 1)
  try log.sync()
  var count = 0
  while try reader.next() != nil { count += 1 }
  #expect(count == 1)
  #expect(try words(log) == ["a@1-1", "b@2-2"])
}

@Test func largeBatchesAreWrittenFromTheirOwnMemory() throws {
  let disk = RecordingFileSystem(SimulatedFileSystem())
  let log = try openLog(disk)
  try log.append(
    [makeBatch("a"), makeBatch("b", valueSize: 700_000), makeBatch("c"), makeBatch("d")], [])
  try log.sync()
  let writes = disk.lines.filter { $0.hasPrefix("write \(firstSegment) ") }
  #expect(writes.count == 3, "\(writes)")
  #expect(try words(log) == ["a@1-1", "b@2-2", "c@3-3", "d@4-4"])
}

/// The order of durability, as a text to be reviewed.
@Test func callsInTheOrderThatDurabilityNeeds() throws {
  let disk = RecordingFileSystem(SimulatedFileSystem())
  let log = try openLog(disk)
  try log.append([makeBatch("a")], [])
  try log.sync()
  disk.note("durable")
  try log.append([makeBatch("b")], [])
  try log.sync()
  disk.note("durable")
  let staged = try log.stage()
  try staged.append(makeBatch("c"))
  try staged.finish()
  disk.note("commit")
  _ = try log.adopt(staged)
  disk.note("durable")
  let record = makeBatch("a").size
  #expect(
    disk.lines == [
      "create directory log",
      "sync directory .",
      "create \(firstSegment).new",
      "write \(firstSegment).new 0+512",
      "sync \(firstSegment).new",
      "rename \(firstSegment).new -> \(firstSegment)",
      "sync directory log",
      "write \(firstSegment) 512+262144",
      "write \(firstSegment) 262656+3584",
      "write \(firstSegment) 512+\(record)",
      "sync \(firstSegment)",
      "durable",
      "write \(firstSegment) \(512 + record)+\(record)",
      "sync \(firstSegment)",
      "durable",
      "create log/staged-0000000000000002.stage",
      "write log/staged-0000000000000002.stage 0+512",
      "write log/staged-0000000000000002.stage 512+\(record)",
      "sync log/staged-0000000000000002.stage",
      "sync directory log",
      "commit",
      "write \(firstSegment) \(512 + 2 * record)+104",
      "truncate \(firstSegment) \(616 + 2 * record)",
      "sync \(firstSegment)",
      "rename log/staged-0000000000000002.stage -> log/00000000000000000003.adopted.log",
      "sync directory log",
      "durable",
    ])
}

@Test func smallCommitsFillZerosThatAreThere() throws {
  let disk = RecordingFileSystem(SimulatedFileSystem())
  let log = try openLog(disk)
  for _ in 0..<40 {
    try log.append([makeBatch("a", valueSize: 40_000)], [])
    try log.sync()
  }
  let extensions = disk.lines.filter { $0.hasSuffix("+262144") }.count
  // 1.6 MB of records: extensions of 256 KiB, 512 KiB, 1 MiB, written 256 KiB at a time.
  #expect(extensions == 7)
  #expect(try words(log).count == 40)
}

@Test func aLogGoesOnInTheNextSegment() throws {
  let disk = SimulatedFileSystem()
  let clock = CountingClock()
  let log = try openLog(disk, clock)
  var expected: [String] = []
  for index in 1...9 {
    try log.append([makeBatch("b\(index)", valueSize: 15 << 20), makeBatch("s\(index)")], [])
    try log.sync()
    expected += ["b\(index)@\(index * 2 - 1)-\(index * 2 - 1)", "s\(index)@\(index * 2)-\(index * 2)"]
  }
  #expect(
    try disk.list("log") == ["00000000000000000001.log", "00000000000000000011.log"])
  #expect(log.segmentCount == 2)
  #expect(try words(log) == expected)
  #expect(try words(log, after: 12) == Array(expected[12...]))
  log.close()
  #expect(try reopenedWords(disk) == expected)
  #expect(
    disk.content(firstSegment)?.count == 512 + 5 * (makeBatch("", valueSize: 15 << 20).size + makeBatch("s1").size))
}

@Test func anotherStoresLogIsRefused() throws {
  let disk = SimulatedFileSystem()
  try openLog(disk).commit("a")
  let error = #expect(throws: LogError.self) {
    try Log.open(fileSystem: disk, directory: "log", storeID: 5, clock: CountingClock())
  }
  #expect(error?.kind == .corrupt)
  #expect(error?.message.contains("it belongs to store 153, not to 5") == true)
}

@Test func archivedPositionsAreGoneNotDamaged() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.append([makeBatch("a", valueSize: 40 << 20), makeBatch("b", valueSize: 40 << 20)], [])
  try log.commit("c")
  log.close()
  try disk.remove(firstSegment)
  let again = try openLog(disk)
  #expect(again.firstPosition == 3)
  #expect(try words(again, after: 2) == ["c@3-3"])
  let error = #expect(throws: LogError.self) { try again.reader(after: 0, upTo: 3) }
  #expect(error?.kind == .invalid)
}

@Test func aMissingSegmentInTheMiddleIsFoundByTheReader() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  for label in ["a", "b", "c"] {
    try log.append([makeBatch(label, valueSize: 60 << 20), makeBatch(label, valueSize: 9 << 20)], [])
  }
  try log.sync()
  log.close()
  try disk.remove("log/00000000000000000003.log")
  let error = #expect(throws: LogError.self) { try reopenedWords(disk) }
  #expect(error?.kind == .corrupt)
  #expect(error?.message.contains("00000000000000000005.log") == true)
}

@Test func closedLogsTakeNoWrites() throws {
  let log = try openLog(SimulatedFileSystem())
  try log.commit("a")
  log.close()
  let error = #expect(throws: LogError.self) { try log.append([makeBatch("b")], []) }
  #expect(error?.kind == .poisoned)
}

@Test func theLogWorksOnTheMachinesOwnFiles() throws {
  let disk = RealFileSystem()
  let directory = (environmentVariable("TMPDIR") ?? "/tmp") + "/sluice-log-\(SystemClock().random())"
  try disk.createDirectory(directory)
  defer { for path in [directory + "/log"] { removeAll(disk, path) } }
  let path = directory + "/log"
  let log = try Log.open(fileSystem: disk, directory: path, storeID: 1, clock: SystemClock())
  try log.commit("a", "b")
  let staged = try log.stage()
  try staged.append(makeBatch("c", count: 4))
  try staged.finish()
  #expect(try log.adopt(staged) == 3...6)
  try log.commit("d")
  log.close()
  let again = try Log.open(fileSystem: disk, directory: path, storeID: 1, clock: SystemClock())
  #expect(try words(again) == ["a@1-1", "b@2-2", "c@3-6", "d@7-7"])
  again.close()
}

private func removeAll(_ disk: RealFileSystem, _ path: String) {
  for name in (try? disk.list(path)) ?? [] { try? disk.remove(path + "/" + name) }
}

private func version(of path: String, _ disk: SimulatedFileSystem) throws -> UInt16 {
  let content = try #require(disk.content(path))
  return try content[..<512].withUnsafeBytes { try SegmentHeader.decode($0, path: path).version }
}

/// What this version writes never gets into a file that an earlier program takes for its own.
@Test func aSegmentOfAnEarlierVersionIsSealedByTheFirstWrite() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a", "b")
  log.close()
  try setVersion(1, of: firstSegment, disk)
  let before = disk.content(firstSegment)
  let reading = try openLog(disk)
  #expect(try words(reading) == ["a@1-1", "b@2-2"])
  reading.close()
  #expect(disk.content(firstSegment) == before, "reading changes nothing")
  let again = try openLog(disk)
  try again.append([makeBatch("c")], [Resolution(batchFirstPosition: 2, rejected: [(0, 1)])])
  try again.sync()
  again.close()
  #expect(try version(of: firstSegment, disk) == 1)
  #expect(try version(of: "log/00000000000000000003.log", disk) == 2)
  #expect(try reopenedWords(disk) == ["a@1-1", "b@2-2", "c@3-3", "!2:0"])
}

/// It cannot be sealed, for the next one would have its name.
@Test func anEarlierSegmentWithoutCommandsIsWrittenAnew() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a")
  let staged = try log.stage()
  try staged.append(makeBatch("b", count: 2))
  try staged.finish()
  _ = try log.adopt(staged)
  try log.append([], [Resolution(batchFirstPosition: 2, rejected: [(1, 1)])])
  try log.sync()
  log.close()
  let last = "log/00000000000000000004.log"
  for path in [firstSegment, "log/00000000000000000002.adopted.log", last] { try setVersion(1, of: path, disk) }
  let expected = ["a@1-1", "b@2-3", "!2:1"]
  #expect(try reopenedWords(disk) == expected)
  #expect(try version(of: last, disk) == 1)
  let again = try openLog(disk)
  try again.commit("c")
  #expect(try words(again) == expected + ["c@4-4"])
  again.close()
  #expect(try version(of: last, disk) == 2)
  #expect(try reopenedWords(disk) == expected + ["c@4-4"])
  #expect(try disk.list("log").count == 3)
}
