// Arrivals are served each once and in order, and their latencies count from the arrival; the built program runs every
// mode. Sleeps give lower bounds only: no test fails because the machine is slow.
import Glibc
import SluiceTesting
import Testing

@testable import SluiceBench

/// Writes down what it is asked; an acknowledgement takes at least so long.
private final class NotedSession: ArrivalSession {
  let microseconds: UInt32
  var inserted: [Int] = []
  /// Statements inserted at each acknowledgement.
  var acknowledged: [Int] = []
  var isSettled = false

  init(microseconds: UInt32) { self.microseconds = microseconds }

  func insert(_ number: Int) { inserted.append(number) }

  func acknowledge() {
    acknowledged.append(inserted.count)
    usleep(microseconds)
  }

  func settle() { isSettled = true }
}

@Suite struct OpenLoopTests {
  @Test func whatHasArrivedIsGathered() throws {
    let session = NotedSession(microseconds: 20_000)
    let schedule = ArrivalSchedule(rate: 1000, seconds: 0.1)
    let record = try serve(schedule, by: session, limit: 30, begin: nowNanoseconds(), turns: false)
    #expect(session.inserted == Array(0..<100))
    #expect(record.servedCount == 100)
    #expect(record.latencies.count == 100)
    #expect(record.steps.reduce(0, +) == 100)
    #expect(session.acknowledged.last == 100)
    let groups = zip(session.acknowledged, [0] + session.acknowledged).map { $0 - $1 }
    // While one is acknowledged, 20 arrive at least.
    #expect(groups.count <= 6, "\(groups)")
    #expect(groups.allSatisfy { $0 <= 30 })
    #expect(session.isSettled)
  }

  /// One acknowledgement takes 5 ms, a statement arrives each ms: the hundredth waits for all before it. A loop that
  /// took the time from when it got round to a statement would say 5 ms.
  @Test func latenciesCountFromTheArrival() throws {
    let session = NotedSession(microseconds: 5_000)
    let schedule = ArrivalSchedule(rate: 1000, seconds: 0.1)
    let record = try serve(schedule, by: session, limit: 1, begin: nowNanoseconds(), turns: false)
    // It ends at four times the time. What was not served by then counts as late as it is.
    #expect(record.servedCount < 100)
    #expect(record.servedCount == session.inserted.count)
    #expect(record.latencies.count == 100)
    #expect(record.latencies.microseconds(quantile: 0.5) > 150_000)
    #expect(record.latencies.longestNanoseconds > 290_000_000)
  }

  @Test func sharesOfSeveralSessionsAreMerged() throws {
    let schedule = ArrivalSchedule(rate: 2000, seconds: 0.02)
    var all = ArrivalRecord()
    var numbers: [Int] = []
    for first in 0..<3 {
      let session = NotedSession(microseconds: 0)
      all.merge(
        try serve(schedule, by: session, first: first, stride: 3, limit: 1, begin: nowNanoseconds(), turns: true))
      numbers += session.inserted
      #expect(session.acknowledged == Array(1...session.inserted.count))
    }
    #expect(numbers.sorted() == Array(0..<40))
    #expect(all.servedCount == 40)
  }

  @Test func aClosedLoopEndsByTime() throws {
    let session = NotedSession(microseconds: 1_000)
    let record = try serve(
      ArrivalSchedule(rate: nil, seconds: 0.05), by: session, limit: 7, begin: nowNanoseconds(), turns: false)
    #expect(record.servedCount > 0)
    #expect(record.servedCount % 7 == 0)
    #expect(record.servedCount <= 7 * 50)
    #expect(record.rate > 0)
  }

  @Test func recordsHaveSteps() {
    let schedule = ArrivalSchedule(rate: 10, seconds: 1)
    var record = ArrivalRecord()
    record.add(arrivals: 0..<2, of: schedule, acknowledged: 150_000_000)
    record.add(arrivals: 2..<3, of: schedule, acknowledged: 450_000_000)
    #expect(record.steps == [0, 2, 0, 0, 1])
    #expect(record.rate == 3e9 / 450_000_000)
    #expect(record.latencies.longestNanoseconds == 250_000_000)
    var other = ArrivalRecord()
    other.add(arrivals: 0..<1, of: schedule, acknowledged: 50_000_000)
    record.merge(other)
    #expect(record.steps == [1, 2, 0, 0, 1])
    #expect(record.servedCount == 4)
    record.addUnserved(3..<9, of: schedule, at: 500_000_000)
    #expect(record.latencies.count == 6, "those that have not arrived by then are not late")
  }

  @Test func everyMode() throws {
    let folder = TemporaryFolder()
    let result: ProcessResult = try runProcess(
      builtProduct("sluice-bench"),
      ["open-loop", "--directory", folder.path]
        + "--runs 1 --seconds 0.2 --shares 5,20 --sessions 3 --json".split(separator: " ").map(String.init))
    #expect(result.status == 0, "\(result.errorText)")
    let measured = try result.text.split(separator: "\n").map { try Measurement(line: String($0)) }
    #expect(
      measured.map(\.name) == [
        "one at a time, closed loop", "one at a time, p99.9 at 5 %", "one at a time, p99.9 at 20 %",
        "what has arrived, closed loop", "what has arrived, p99.9 at 5 %", "what has arrived, p99.9 at 20 %",
        "3 sessions, closed loop", "3 sessions, p99.9 at 5 %", "3 sessions, p99.9 at 20 %",
      ])
    #expect(measured[0].peer == "sqlite" && measured[3].peer == "sqlite" && measured[6].peer == nil)
    for measurement in measured {
      #expect(measurement.series?.ours.isEmpty == false)
      let counters = measurement.counters.map(\.name)
      let percentiles = ["p50 µs", "p90 µs", "p99 µs", "p99.9 µs", "max µs", "served/s"]
      #expect(counters == ["CPU µs/row"] + (measurement.unit == .microseconds ? percentiles : []))
    }
  }

  @Test(arguments: [
    ("--shares 101", "up to 100"), ("--rates 0", "above 0"), ("--cases both", "unknown case"), ("--seconds 0", "0.1"),
    ("--sessions 0", "1 to 256"),
  ])
  func otherOptionsAreRefused(arguments: String, word: String) throws {
    let result: ProcessResult = try runProcess(
      builtProduct("sluice-bench"), ["open-loop"] + arguments.split(separator: " ").map(String.init))
    #expect(result.status == 64)
    #expect(result.errorText.contains(word), "\(result.errorText)")
  }
}
