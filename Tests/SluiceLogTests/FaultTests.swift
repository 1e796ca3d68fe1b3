// Failing disks: what fails once poisons the log, and reopening finds what was acknowledged and nothing half.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLog

private func expectPoisoned(_ log: Log) {
  let attempts: [() throws -> Void] = [
    { try log.append([makeBatch("x")], []) }, { try log.sync() },
    {
      let staged = try log.stage()
      try staged.append(makeBatch("x"))
      try staged.finish()
      _ = try log.adopt(staged)
    },
  ]
  for attempt in attempts {
    let error = #expect(throws: LogError.self) { try attempt() }
    #expect(error?.kind == .poisoned)
    #expect(error?.message.contains("until it is opened again") == true)
  }
}

@Test func aFailedSyncIsNeverRepeated() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a")
  try disk.inject("fail sync log/*.log at 1")
  try log.append([makeBatch("b")], [])
  let error = #expect(throws: LogError.self) { try log.sync() }
  #expect(error?.kind == .io)
  #expect(error?.cause?.call == "fdatasync")
  disk.clearFaults()
  expectPoisoned(log)
  #expect(try words(log) == ["a@1-1"], "readers go on")
  log.close()
  // What the failed sync left in the page cache would look durable to the next process and be lost to a power cut.
  let again = try openLog(disk)
  #expect(try words(again) == ["a@1-1"])
  try again.commit("c")
  again.close()
  #expect(try reopenedWords(disk.crashImage(.keepNothing)) == ["a@1-1", "c@2-2"])
}

@Test(arguments: [
  "fail write log/*.log at 1", "short write log/*.log at 1", "fail create log/*.new at 1", "fail write log/*.new at 1",
  "fail sync log/*.new at 1", "fail rename log/*.new at 1", "fail syncDirectory log at 1",
])
func aFailedFirstCommitLeavesNothing(fault: String) throws {
  let disk = SimulatedFileSystem()
  try disk.inject(fault)
  let log = try openLog(disk)
  let error = #expect(throws: LogError.self) { try log.commit("a") }
  #expect(error?.kind == .io, "\(fault)")
  expectPoisoned(log)
  log.close()
  disk.clearFaults()
  let again = try openLog(disk)
  #expect(try words(again) == [], "\(fault)")
  try again.commit("b")
  again.close()
  #expect(try reopenedWords(disk.crashImage(.keepNothing)) == ["b@1-1"], "\(fault)")
}

@Test func aFullDiskIsSaidAndSurvived() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a")
  try disk.inject("full after 100000")
  var committed = ["a@1-1"]
  var failure: LogError?
  while failure == nil {
    do {
      try log.append([makeBatch("b", valueSize: 50_000)], [])
      try log.sync()
      committed.append("b@\(committed.count + 1)-\(committed.count + 1)")
    } catch { failure = error }
  }
  #expect(failure?.kind == .full)
  #expect(failure?.description.contains("the disk is full") == true)
  expectPoisoned(log)
  log.close()
  disk.clearFaults()
  #expect(try reopenedWords(disk) == committed)
}

@Test func aFailedStagedWriteLeavesTheLogAlone() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try disk.inject("fail write log/*.stage at 2")
  let staged = try log.stage()
  #expect(throws: LogError.self) { try staged.append(makeBatch("x")) }
  let error = #expect(throws: LogError.self) { try staged.finish() }
  #expect(error?.kind == .poisoned)
  #expect(throws: LogError.self) { try log.adopt(staged) }
  try staged.discard()
  try log.commit("a")
  #expect(try words(log) == ["a@1-1"])
  #expect(try disk.list("log") == ["00000000000000000001.log"])
}

@Test func aFailedRenameAfterTheCommitPointIsCompletedByReopening() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a")
  let staged = try log.stage()
  try staged.append(makeBatch("b", count: 2))
  try staged.finish()
  try disk.inject("fail rename log/*.stage at 1")
  #expect(throws: LogError.self) { try log.adopt(staged) }
  expectPoisoned(log)
  #expect(try words(log) == ["a@1-1"])
  log.close()
  disk.clearFaults()
  #expect(try reopenedWords(disk) == ["a@1-1", "b@2-3"])
}

/// A killed process leaves records in the page cache that verify and are not durable: opening makes them so before it
/// counts them.
@Test func whatAKilledProcessWroteIsDurableOnceItIsCounted() throws {
  let disk = SimulatedFileSystem()
  try openLog(disk).append([makeBatch("a")], [])
  #expect(try reopenedWords(disk.crashImage(.keepNothing)) == [])
  #expect(try reopenedWords(disk) == ["a@1-1"])
  #expect(try reopenedWords(disk.crashImage(.keepNothing)) == ["a@1-1"])
}
