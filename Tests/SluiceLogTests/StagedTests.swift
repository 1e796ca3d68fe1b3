// Large transactions: adopted whole, discarded whole, in turn with everything else.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLog

/// A finished staged segment of the given batches.
private func stage(_ log: Log, _ batches: Batch...) throws -> StagedSegment {
  let staged = try log.stage()
  for batch in batches { try staged.append(batch) }
  try staged.finish()
  return staged
}

@Test func anAdoptedSegmentIsPartOfTheLog() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  let b = makeBatch("b", count: 3)
  #expect(try log.adopt(stage(log, makeBatch("a", count: 2), b)) == 1...5)
  #expect(b.firstPosition == 2, "relative until the caller numbers it")
  try log.append([], [Resolution(batchFirstPosition: 3, rejected: [(1, 1)])])
  try log.commit("c")
  #expect(try log.adopt(stage(log, makeBatch("d"))) == 7...7)
  #expect(try log.adopt(stage(log, makeBatch("e"))) == 8...8)
  let expected = ["a@1-2+", "b@3-5", "!3:1", "c@6-6", "d@7-7", "e@8-8"]
  #expect(try words(log) == expected)
  #expect(try words(log, after: 2) == Array(expected[1...]))
  #expect(try words(log, after: 5, upTo: 6) == ["c@6-6"])
  #expect(try words(log, after: 4, upTo: 5) == ["b@3-5", "!3:1"])
  log.close()
  #expect(try reopenedWords(disk) == expected)
  #expect(
    try disk.list("log") == [
      "00000000000000000001.adopted.log", "00000000000000000001.log", "00000000000000000006.log",
      "00000000000000000007.adopted.log", "00000000000000000008.adopted.log", "00000000000000000008.log",
    ])
}

@Test func positionsInAnAdoptedSegmentAreAbsoluteWhenRead() throws {
  let log = try openLog(SimulatedFileSystem())
  try log.commit("a", "b", "c")
  var builder = BatchBuilder()
  [UInt8]().withUnsafeBytes {
    for _ in 0..<2 {
      builder.appendPositionKeyed(tableID: 1, kind: .insert, slot: nil, startsStatement: true, line: 1, value: $0)
    }
  }
  _ = try log.adopt(stage(log, makeBatch("x"), builder.seal(timeMicroseconds: 0)))
  let reader = try log.reader(after: 4, upTo: 6)
  guard case .commands(let batch, true)? = try reader.next() else {
    Issue.record("no batch")
    return
  }
  var keys: [[UInt8]] = []
  var commands = batch.commands()
  while let command = commands.next() { keys.append(Array(command.key)) }
  #expect(keys == [[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 6]])
}

@Test func whatIsNotFinishedOrEmptyIsRefusedWithoutHarm() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  let open = try log.stage()
  try open.append(makeBatch("x"))
  let empty = try stage(log)
  for staged in [open, empty] {
    let error = #expect(throws: LogError.self) { try log.adopt(staged) }
    #expect(error?.kind == .invalid)
    try staged.discard()
  }
  #expect(throws: LogError.self) { try open.append(makeBatch("y")) }
  try log.commit("a")
  #expect(try words(log) == ["a@1-1"])
  #expect(try disk.list("log") == ["00000000000000000001.log"])
}

@Test func stagedFilesOfTransactionsThatNeverCommittedAreRemoved() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a")
  _ = try stage(log, makeBatch("x"))
  let open = try log.stage()
  try open.append(makeBatch("y"))
  #expect(try disk.list("log").count == 3)
  #expect(try reopenedWords(disk.crashImage(.keepAll)) == ["a@1-1"])
  let image = disk.crashImage(.keepAll)
  try openLog(image).close()
  #expect(try image.list("log") == ["00000000000000000001.log"])
}

@Test func damageToAnAdoptedSegmentIsFound() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  _ = try log.adopt(stage(log, makeBatch("a"), makeBatch("b")))
  log.close()
  let path = "log/00000000000000000001.adopted.log"
  let whole = disk.content(path)!
  // The first record's header and body, cut off at the border of records, and one record in the other's place.
  var changes = [8, 16, 40, 520, 580].map { place in
    var content = whole
    content[place] ^= 1
    return content
  }
  changes.append(Array(whole[..<(512 + 72)]))
  let (header, first, second) = (Array(whole[..<512]), Array(whole[512..<584]), Array(whole[584...]))
  changes.append(header + second + first)
  changes.append(header + first + second + second)
  for (index, content) in changes.enumerated() {
    try disk.setContent(path, content)
    let error = #expect(throws: LogError.self, "\(index)") { try reopenedWords(disk) }
    #expect(error?.kind == .corrupt || error?.kind == .unsupported)
    #expect(error?.message.contains(path) == true, "\(String(describing: error))")
  }
  try disk.remove(path)
  let error = #expect(throws: LogError.self) { try openLog(disk) }
  #expect(error?.message == "\(path) is damaged at offset 0: the segment adopted at position 1 is missing")
}

@Test func aCommittedFileThatDoesNotVerifyIsNotRenamed() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  let staged = try stage(log, makeBatch("a"), makeBatch("b"))
  try disk.inject("fail rename log/*.stage at 1")
  #expect(throws: LogError.self) { try log.adopt(staged) }
  disk.clearFaults()
  var content = disk.content(staged.path)!
  content[650] ^= 1
  try disk.setContent(staged.path, content)
  let error = #expect(throws: LogError.self) { try openLog(disk) }
  #expect(error?.message.hasPrefix("\(staged.path) is damaged at offset 584:") == true)
  #expect(disk.content(staged.path) == content)
}

/// Each sync of a file of the log, and each byte of a record, is counted once; a group counts when it is shown.
@Test func theLogCountsWhatItWrites() throws {
  let recorder = RecordingFileSystem(SimulatedFileSystem())
  let log = try openLog(recorder)
  func fileSyncs() -> Int { recorder.lines.count { $0.hasPrefix("sync log/") } }
  #expect(log.written == LogCounters())
  let (small, large) = (makeBatch("a"), makeBatch("b", valueSize: 200_000))
  try log.append([small, large], [])
  #expect(log.written == LogCounters())
  try log.sync()
  #expect(log.written.groups == 1)
  #expect(log.written.bytes == UInt64(small.size + large.size))
  #expect(log.written.syncs == fileSyncs())
  let staged = try stage(log, makeBatch("c"), makeBatch("d"))
  let before = log.written.bytes
  try log.append([makeBatch("e")], [])
  _ = try log.adopt(staged)
  #expect(log.written.groups == 2)
  #expect(log.written.syncs == fileSyncs())
  #expect(log.written.bytes > before + staged.size)
  try log.sync()
  #expect(log.written.groups == 2, "nothing was left to sync")
  log.close()
}
