// Group commit: how many syncs, in what order, and who is told when it fails.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLog

/// What an appender reported, as words.
private final class Reports: Sendable {
  let words = Monitor<[String]>([])
  func add(_ items: [AppendedItem], _ error: LogError? = nil) {
    words.update { words in
      for item in items {
        let positions = item.positions.map { "@\($0.lowerBound)-\($0.upperBound)" } ?? ""
        let name =
          switch item.content {
          case .batch(let batch): label(of: batch)
          case .resolution: "!"
          case .staged: "staged"
          }
        words.append("\(item.ticket):\(name)\(positions)\(error == nil ? "" : " failed")")
      }
    }
  }
  var all: [String] { words.withLock { $0 } }
}

private func makeAppender(_ log: Log, _ reports: Reports) -> Appender {
  Appender(log: log, onDurable: { reports.add($0) }, onFailure: { reports.add($0, $1) })
}

@Test func aGroupIsSyncedOnce() throws {
  let disk = RecordingFileSystem(SimulatedFileSystem())
  let log = try openLog(disk)
  let reports = Reports()
  let appender = makeAppender(log, reports)
  #expect(!appender.step())
  try log.commit("z")
  _ = disk.take()
  for index in 1...50 { #expect(try appender.submit(makeBatch("b\(index)")) == UInt64(index)) }
  try appender.submit(resolution: Resolution(batchFirstPosition: 1, rejected: [(0, 1)]))
  #expect(appender.queuedCount == 51 && appender.queuedBytes > 50 * 64)
  #expect(reports.all.isEmpty)
  #expect(appender.step())
  let calls = disk.take()
  #expect(calls.filter { $0.hasPrefix("sync ") }.count == 1, "\(calls)")
  #expect(calls.filter { $0.hasPrefix("write ") }.count == 1, "\(calls)")
  #expect(reports.all == (1...50).map { "\($0):b\($0)@\($0 + 1)-\($0 + 1)" } + ["51:!"])
  #expect(appender.queuedCount == 0 && appender.queuedBytes == 0)
  #expect(!appender.step())
}

@Test func aStagedSegmentIsAdoptedInItsTurn() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  let reports = Reports()
  let appender = makeAppender(log, reports)
  let staged = try log.stage()
  try staged.append(makeBatch("s", count: 4))
  #expect(throws: LogError.self) { try appender.submit(staged: staged) }
  try staged.finish()
  try appender.submit(makeBatch("a"))
  try appender.submit(staged: staged)
  try appender.submit(makeBatch("b"))
  #expect(appender.step())
  #expect(reports.all == ["1:a@1-1", "2:staged@2-5", "3:b@6-6"])
  #expect(try words(log) == ["a@1-1", "s@2-5", "b@6-6"])
}

@Test func afterAFailureEverybodyIsTold() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  let reports = Reports()
  let appender = makeAppender(log, reports)
  try appender.submit(makeBatch("a"))
  #expect(appender.step())
  try disk.inject("fail sync log/*.log")
  try appender.submit(makeBatch("b"))
  try appender.submit(makeBatch("c"))
  #expect(appender.step())
  #expect(reports.all == ["1:a@1-1", "2:b failed", "3:c failed"])
  #expect(appender.failure?.kind == .poisoned)
  let error = #expect(throws: LogError.self) { try appender.submit(makeBatch("d")) }
  #expect(error?.kind == .poisoned)
  #expect(!appender.step())
}

@Test func whatIsSubmittedAfterStopIsRefused() throws {
  let log = try openLog(SimulatedFileSystem())
  let reports = Reports()
  let appender = makeAppender(log, reports)
  try appender.submit(makeBatch("a"))
  appender.stop()
  #expect(throws: LogError.self) { try appender.submit(makeBatch("b")) }
  appender.run()
  #expect(reports.all == ["1:a@1-1"])
}

@Test func concurrentSessionsKeepTheirOrder() throws {
  let log = try openLog(SimulatedFileSystem())
  let reports = Reports()
  let appender = makeAppender(log, reports)
  let thread = try Thread(name: "appender") { appender.run() }
  let sessions = try (0..<4).map { session in
    try Thread(name: "session \(session)") {
      for index in 0..<200 {
        do { try appender.submit(makeBatch("\(session):\(index)")) } catch { Issue.record("\(error)") }
      }
    }
  }
  let reader = try Thread(name: "reader") {
    do {
      for _ in 0..<20 {
        let found = try words(log)
        #expect(found.count == found.last.map { Int($0.split(separator: "-")[1])! } ?? 0)
      }
    } catch { Issue.record("\(error)") }
  }
  for session in sessions { session.join() }
  reader.join()
  appender.stop()
  thread.join()
  let found = try words(log)
  #expect(found.count == 800)
  for session in 0..<4 {
    let mine = found.filter { $0.hasPrefix("\(session):") }.map { $0.split(separator: "@")[0] }
    #expect(mine == (0..<200).map { "\(session):\($0)" })
  }
  let reported = reports.all.map { String($0.split(separator: ":", maxSplits: 1)[1]) }
  #expect(reported == found, "reported once each, in order of position")
}

/// A file system whose syncs wait until they are let through.
private final class Gate: Sendable {
  let isOpen = Monitor(false)
}

@Test func concurrentSubmittersWaitWhileTheQueueIsFull() throws {
  let log = try openLog(SimulatedFileSystem())
  let gate = Gate()
  let reports = Reports()
  let appender = Appender(
    log: log,
    onDurable: { items in
      gate.isOpen.wait { $0 ? () : nil }
      reports.add(items)
    })
  let thread = try Thread(name: "appender") { appender.run() }
  let size = 8 << 20
  let submitted = Monitor(0)
  let session = try Thread(name: "session") {
    for index in 0..<12 {
      do { try appender.submit(makeBatch("\(index)", valueSize: size)) } catch { Issue.record("\(error)") }
      submitted.update { $0 += 1 }
    }
  }
  // The first group is held; of what comes after it five batches pass the limit of four.
  let all = submitted.wait(timeoutMicroseconds: 300_000) { $0 == 12 ? true : nil }
  #expect(all == nil)
  #expect(appender.queuedBytes <= Appender.queueLimitBytes + size + 1000)
  gate.isOpen.update { $0 = true }
  session.join()
  appender.stop()
  thread.join()
  #expect(reports.all.count == 12)
}

@Test func concurrentSubmittersAreWokenByAFailure() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try disk.inject("fail sync log/*.log")
  let failed = Monitor(0)
  let appender = Appender(log: log, onDurable: { _ in }, onFailure: { items, _ in failed.update { $0 += items.count } })
  let thread = try Thread(name: "appender") { appender.run() }
  let refused = Monitor(0)
  let sessions = try (0..<3).map { _ in
    try Thread(name: "session") {
      for _ in 0..<10 {
        do { try appender.submit(makeBatch("x", valueSize: 6 << 20)) } catch { refused.update { $0 += 1 } }
      }
    }
  }
  for session in sessions { session.join() }
  appender.stop()
  thread.join()
  #expect(failed.withLock { $0 } + refused.withLock { $0 } == 30)
  #expect(failed.withLock { $0 } > 0 && refused.withLock { $0 } > 0)
}

/// Threads that wait for their own batches write them, with no thread in `run` or with one, among others that do not
/// wait: everything is reported once, in order, and nobody is left waiting.
@Test(arguments: [false, true]) func concurrentWritersLeadOneAnother(_ hasThread: Bool) throws {
  let log = try openLog(SimulatedFileSystem())
  let reports = Reports()
  let appender = makeAppender(log, reports)
  let thread = try hasThread ? Thread(name: "appender") { appender.run() } : nil
  let sessions = try (0..<4).map { session in
    try Thread(name: "session \(session)") {
      do {
        for index in 0..<150 {
          let batch = makeBatch("\(session):\(index)")
          if index % 3 == session % 3 {
            try appender.submit(batch)
          } else {
            try appender.write(batch)
            #expect(batch.firstPosition > 0)
          }
        }
        try appender.write(makeBatch("\(session):150"))
      } catch { Issue.record("\(error)") }
    }
  }
  for session in sessions { session.join() }
  // What nobody waited for is behind what somebody did.
  try appender.waitDurable(604)
  #expect(appender.queuedCount == 0 && appender.isDurable(604) && !appender.isDurable(605))
  appender.stop()
  thread?.join()
  let found = try words(log)
  for session in 0..<4 {
    let mine = found.filter { $0.hasPrefix("\(session):") }.map { $0.split(separator: "@")[0] }
    #expect(mine == (0...150).map { "\(session):\($0)" })
  }
  #expect(reports.all.map { String($0.split(separator: ":", maxSplits: 1)[1]) } == found)
}

/// A batch that nobody waits for, handed over while a leader writes, is written when that one has left.
@Test func aLeaderLeavesNothingBehind() throws {
  let log = try openLog(SimulatedFileSystem())
  let reports = Reports()
  let gate = Gate()
  let isWriting = Monitor(0)
  let appender = Appender(
    log: log,
    onDurable: { items in
      isWriting.update { $0 += 1 }
      gate.isOpen.wait { $0 ? () : nil }
      reports.add(items)
    })
  let thread = try Thread(name: "appender") { appender.run() }
  let leader = try Thread(name: "leader") {
    do { try appender.write(makeBatch("a")) } catch { Issue.record("\(error)") }
  }
  isWriting.wait { $0 > 0 ? () : nil }
  try appender.submit(makeBatch("b"))
  gate.isOpen.update { $0 = true }
  leader.join()
  reports.words.wait { $0.count == 2 ? () : nil }
  #expect(reports.all == ["1:a@1-1", "2:b@2-2"])
  appender.stop()
  thread.join()
}

@Test func concurrentWritersAllLearnOfAFailure() throws {
  let disk = SimulatedFileSystem()
  let log = try openLog(disk)
  try disk.inject("fail sync log/*.log at 5")
  let told = Monitor(0)
  let appender = Appender(log: log, onDurable: { _ in }, onFailure: { items, _ in told.update { $0 += 1 } })
  let thread = try Thread(name: "appender") { appender.run() }
  let refused = Monitor(0)
  let sessions = try (0..<4).map { _ in
    try Thread(name: "session") {
      for _ in 0..<50 {
        do throws(LogError) { try appender.write(makeBatch("x")) } catch {
          // Who is refused finds that those concerned were told.
          refused.update { $0 += told.withLock { $0 } == 1 && error.kind == .poisoned ? 1 : 1_000 }
          return
        }
      }
    }
  }
  for session in sessions { session.join() }
  #expect(refused.withLock { $0 } == 4)
  appender.stop()
  thread.join()
}
