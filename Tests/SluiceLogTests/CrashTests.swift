// Crash everywhere: a workload is stopped at each of its file calls; what the next process finds must hold everything
// acknowledged, in order, nothing half, and must go on.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLog

/// What a workload did before it was stopped: words as `words` gives them, transaction by transaction.
private struct Progress {
  /// Transactions that were acknowledged as durable.
  var durable: [[String]] = []
  /// Transactions that were begun after those, in order: each may be there if those before it are.
  var pending: [[String]] = []

  var lastPosition: Int {
    (durable + pending).flatMap { $0 }.reduce(0) { last, word in
      word.hasPrefix("!") ? last : Int(word.split(separator: "-")[1].filter(\.isNumber))!
    }
  }

  mutating func acknowledge() {
    durable += pending
    pending = []
  }
}

/// One seeded workload of small and large groups, resolutions, staged transactions kept and thrown away, reopenings.
private func run(_ disk: any FileSystem, seed: UInt64, rounds: Int) -> Progress {
  var random = SeededRandom(seed: seed)
  var progress = Progress()
  let clock = CountingClock()
  do {
    var log = try openLog(disk, clock)
    for round in 0..<rounds {
      switch random.below(8) {
      case 0:
        log.close()
        log = try openLog(disk, clock)
      case 1...2: try runStaged(log, round, &random, &progress)
      default: try runGroup(log, round, &random, &progress)
      }
    }
    log.close()
  } catch {
    if case .io = error.kind, error.cause?.detail == "crashed" { return progress }
    Issue.record("\(error)")
  }
  return progress
}

private func runGroup(
  _ log: Log, _ round: Int, _ random: inout SeededRandom, _ progress: inout Progress
) throws(LogError) {
  var batches: [Batch] = []
  for index in 0...random.below(4) {
    let count = 1 + random.below(3)
    let first = progress.lastPosition + 1
    let name = "r\(round)b\(index)"
    batches.append(makeBatch(name, count: count, valueSize: [0, 0, 700, 5000, 140_000][random.below(5)]))
    progress.pending.append(["\(name)@\(first)-\(first + count - 1)"])
  }
  var resolutions: [Resolution] = []
  if random.chance(1, of: 3), !progress.durable.isEmpty {
    resolutions.append(Resolution(batchFirstPosition: 1, rejected: [(UInt32(round), 1)]))
    progress.pending.append(["!1:\(round)"])
  }
  try log.append(batches, resolutions)
  try log.sync()
  progress.acknowledge()
}

private func runStaged(
  _ log: Log, _ round: Int, _ random: inout SeededRandom, _ progress: inout Progress
) throws(LogError) {
  let staged = try log.stage()
  var transaction: [String] = []
  var first = progress.lastPosition + 1
  let last = random.below(3)
  for index in 0...last {
    let count = 1 + random.below(3)
    try staged.append(makeBatch("s\(round)b\(index)", count: count, valueSize: random.below(2000)))
    transaction.append("s\(round)b\(index)@\(first)-\(first + count - 1)\(index < last ? "+" : "")")
    first += count
  }
  if random.chance(1, of: 4) { return try staged.discard() }
  try staged.finish()
  if random.chance(1, of: 6) { return }
  progress.pending.append(transaction)
  _ = try log.adopt(staged)
  progress.acknowledge()
}

/// Opens what a crash left and compares it with what was acknowledged.
private func check(_ image: SimulatedFileSystem, _ progress: Progress, _ what: String) {
  do {
    let found = try reopenedWords(image)
    let durable = progress.durable.flatMap { $0 }
    #expect(found.starts(with: durable), "\(what): \(found) lacks \(durable)")
    var allowed = [durable]
    for transaction in progress.pending { allowed.append(allowed[allowed.count - 1] + transaction) }
    #expect(allowed.contains(found), "\(what): \(found) is none of \(allowed)")
    let log = try openLog(image)
    try log.commit("after")
    log.close()
    let position = log.lastPosition
    let next = try reopenedWords(image.crashImage(.keepNothing))
    #expect(next == found + ["after@\(position)-\(position)"], "\(what)")
  } catch { Issue.record("\(what): \(error)") }
}

@Test func aCrashAtEachFileCallLosesNothingAcknowledged() {
  let base = testSeed()
  for workload in 0..<4 as Range<UInt64> {
    let seed = base &+ workload
    let whole = SimulatedFileSystem()
    let complete = run(whole, seed: seed, rounds: 14)
    #expect(complete.pending.isEmpty)
    check(whole.crashImage(.keepNothing), complete, repeatCommand(base, "SluiceLogTests"))
    for call in 1...whole.callCount {
      let disk = SimulatedFileSystem()
      disk.crash(at: call, seed: seed &+ UInt64(call))
      let progress = run(disk, seed: seed, rounds: 14)
      let what = "call \(call) of workload \(workload), \(repeatCommand(base, "SluiceLogTests"))"
      for mode in [.keepNothing, .keepAll, .seeded(seed &+ 1), .seeded(seed &+ 2)] as [CrashMode] {
        check(disk.crashImage(mode), progress, "\(mode) \(what)")
      }
    }
  }
}

/// Recovery itself may be cut short anywhere and runs again.
@Test func aCrashDuringRecoveryLosesNothingEither() {
  let seed = testSeed()
  let sizing = SimulatedFileSystem()
  _ = run(sizing, seed: seed, rounds: 10)
  var random = SeededRandom(seed: seed)
  for _ in 0..<25 {
    let disk = SimulatedFileSystem()
    disk.crash(at: 1 + random.below(sizing.callCount), seed: random.next())
    let progress = run(disk, seed: seed, rounds: 10)
    let crashed = disk.crashImage(.seeded(random.next()))
    let copy = crashed.crashImage(.keepAll)
    _ = try? openLog(copy)
    for call in 1...max(1, copy.callCount) {
      let second = crashed.crashImage(.keepAll)
      second.crash(at: call, seed: random.next())
      _ = try? openLog(second)
      check(second.crashImage(.seeded(random.next())), progress, repeatCommand(seed, "SluiceLogTests"))
    }
  }
}

/// A log of version 1 whose last segment holds commands, or, as after an adoption, only a resolution.
private func earlierLog(hasCommands: Bool) throws -> (disk: SimulatedFileSystem, words: [String]) {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try log.commit("a")
  let staged = try log.stage()
  try staged.append(makeBatch("b", count: 2))
  try staged.finish()
  _ = try log.adopt(staged)
  try log.append(hasCommands ? [makeBatch("c")] : [], [Resolution(batchFirstPosition: 2, rejected: [(1, 1)])])
  try log.sync()
  let words = try words(log)
  log.close()
  for name in try disk.list("log") { try setVersion(1, of: "log/" + name, disk) }
  return (disk, words)
}

/// The first write to it changes its last segment's format, or seals it: whenever that is cut short, nothing is lost.
@Test(arguments: [true, false], [CrashMode.keepNothing, .keepAll, .seeded(7)])
func anEarlierLogSurvivesACrashAtEachFileCall(_ hasCommands: Bool, _ mode: CrashMode) throws {
  var acknowledgedCount = 0
  for call in 1...200 {
    let (disk, expected) = try earlierLog(hasCommands: hasCommands)
    let clock = CountingClock()
    for _ in 0..<10 { _ = clock.random() }
    disk.crash(at: disk.callCount + call, seed: UInt64(call))
    var isAcknowledged = false
    do {
      let log = try openLog(disk, clock)
      try log.commit("d")
      isAcknowledged = true
      log.close()
    } catch { #expect(error.cause?.detail == "crashed", "\(error)") }
    let image = disk.crashImage(mode)
    let found = try reopenedWords(image)
    let more = "d@\(hasCommands ? 5 : 4)-\(hasCommands ? 5 : 4)"
    #expect(found == expected + [more] || (found == expected && !isAcknowledged), "call \(call): \(found)")
    let again = try openLog(image, clock)
    try again.commit("e")
    again.close()
    #expect(try reopenedWords(image).count == found.count + 1, "call \(call)")
    if isAcknowledged { acknowledgedCount += 1 }
    if isAcknowledged, acknowledgedCount > 2 { return }
  }
  Issue.record("the log was never written")
}
