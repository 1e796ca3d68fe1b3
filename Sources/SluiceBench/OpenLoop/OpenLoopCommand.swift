// `sluice-bench open-loop`: how late the durable acknowledgement of an INSERT comes, at rates up to near the largest
// that the store sustains, which is measured first. Latencies count from the moment of arrival (ArrivalSchedule.swift).
import ArgumentParser
import Glibc
import SluiceSystem
import Synchronization

struct OpenLoopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "open-loop",
    abstract: "Latency of durable INSERTs that arrive at fixed rates, through the Swift API, beside SQLite's C API.",
    discussion: """
      one: each statement is acknowledged before the next is executed. gathered: what has arrived is executed and \
      acknowledged together (by SQLite in one transaction). sessions: several sessions, each with one statement at a \
      time. First the closed loop, in which the next statement is always there; then shares of that rate. SQLite is \
      measured at the rates that it can follow: up to nine tenths of its own closed loop.
      """)

  /// How statements are served.
  enum Mode: String, CaseIterable {
    case one, gathered, sessions
  }

  @Option(
    help: "What to measure, separated by commas, of: \(Mode.allCases.map(\.rawValue).joined(separator: ", ")).",
    transform: { try choices($0, of: Mode.allCases.map(\.rawValue), what: "case") })
  var cases: [String] = Mode.allCases.map(\.rawValue)
  @Option(help: "Seconds of a turn.") var seconds = 4.0
  @Option(
    help: "Rates as parts of the closed loop's in percent, separated by commas.",
    transform: { try OpenLoopCommand.numbers($0, upTo: 100) })
  var shares = [10.0, 25, 50, 75, 90]
  @Option(
    help: "Rates in statements a second, separated by commas, instead of --shares.",
    transform: { try OpenLoopCommand.numbers($0, upTo: 1e9) })
  var rates: [Double] = []
  @Option(help: "Statements that 'gathered' executes at most before it acknowledges.") var gather = 1_000
  @Option(help: "Sessions of 'sessions'.") var sessions = 16
  @OptionGroup var measuring: MeasuringOptions

  private static func numbers(_ text: String, upTo most: Double) throws -> [Double] {
    try text.split(separator: ",").map {
      guard let number = Double($0), number > 0, number <= most else {
        throw ValidationError("'\($0)' is no number above 0 and up to \(plain(most))")
      }
      return number
    }
  }

  func validate() throws {
    guard seconds >= 0.1, seconds <= 3_600 else { throw ValidationError("--seconds is 0.1 to 3,600") }
    guard gather > 0, (1...256).contains(sessions) else {
      throw ValidationError("--gather is at least 1, --sessions 1 to 256")
    }
  }

  func run() throws {
    measuring.printHeading("\(plain(seconds)) s a turn; until durable; rates a second")
    for mode in Mode.allCases where cases.contains(mode.rawValue) { try measure(mode) }
  }

  // MARK: One mode

  /// What one turn gave.
  private struct Sample {
    let record: ArrivalRecord
    let processorSeconds: Double
  }

  private func measure(_ mode: Mode) throws {
    let closed = try turns(mode, rate: nil, withPeer: true)
    try measuring.show(
      measurement(
        "\(name(mode)), closed loop", closed, .operationsPerSecond, [], \.record.rate))
    let most = median(closed.ours.map(\.record.rate))
    let peerMost = median(closed.peer.map(\.record.rate))
    let wanted = rates.isEmpty ? shares.map { ($0, most * $0 / 100) } : rates.map { ($0 / most * 100, $0) }
    for (share, rate) in wanted {
      let canFollow = rate <= peerMost * 0.9
      if mode != .sessions, !canFollow {
        measuring.skip("\(name(mode)), sqlite at \(plain(rate))/s", "its closed loop is \(plain(peerMost))/s")
      }
      let turns = try turns(mode, rate: rate, withPeer: canFollow)
      let label = rates.isEmpty ? "at \(plain(share)) %" : "at \(plain(rate))/s"
      let parameters = [("rate", rate), ("% of closed loop", share)]
      try measuring.show(
        measurement("\(name(mode)), p99.9 \(label)", turns, .microseconds, parameters, { percentile($0, 0.999) }))
    }
  }

  private func turns(_ mode: Mode, rate: Double?, withPeer: Bool) throws -> Turns<Sample> {
    let schedule = ArrivalSchedule(rate: rate, seconds: seconds)
    let peer: (() throws -> Sample)? =
      withPeer && mode != .sessions
      ? {
        try measuring.inFolder {
          try sample(SQLiteArrivals($0, isGathered: mode == .gathered), mode, schedule)
        }
      } : nil
    return try Turns(measuring.runs, ours: { try measuring.inFolder { try ours($0, mode, schedule) } }, peer: peer)
  }

  private func ours(_ folder: String, _ mode: Mode, _ schedule: ArrivalSchedule) throws -> Sample {
    let side = try SluiceArrivals(folder)
    guard mode == .sessions else { return try sample(side, mode, schedule) }
    return try sample(side) {
      let count = sessions
      let record = Mutex(ArrivalRecord())
      let failure = Mutex<(any Error)?>(nil)
      let begin = nowNanoseconds() + 20_000_000
      try withThreads(count) { index in
        do {
          let part = try serve(
            schedule, by: try side.makeSession(), first: index, stride: count, limit: 1, begin: begin, turns: false)
          record.withLock { $0.merge(part) }
        } catch { failure.withLock { $0 = error } }
      }
      if let failure = failure.withLock({ $0 }) { throw failure }
      return record.withLock { $0 }
    }
  }

  private func sample(_ side: any ArrivalSide, _ mode: Mode, _ schedule: ArrivalSchedule) throws -> Sample {
    let session = try side.makeSession()
    return try sample(side) {
      try serve(
        schedule, by: session, limit: mode == .one ? 1 : gather, begin: nowNanoseconds(), turns: true)
    }
  }

  /// Measures `body`, and looks whether all that it acknowledged is there.
  private func sample(_ side: any ArrivalSide, _ body: () throws -> ArrivalRecord) throws -> Sample {
    let before = ProcessUsage.now().processorSeconds
    let record = try body()
    let after = ProcessUsage.now().processorSeconds
    let count = try side.close()
    guard count == record.servedCount else {
      throw BenchError(description: "\(record.servedCount) rows were acknowledged, \(count) are there")
    }
    return Sample(record: record, processorSeconds: after - before)
  }

  // MARK: What it came to

  private func name(_ mode: Mode) -> String {
    switch mode {
    case .one: "one at a time"
    case .gathered: "what has arrived"
    case .sessions: "\(sessions) sessions"
    }
  }

  private func percentile(_ sample: Sample, _ quantile: Double) -> Double {
    sample.record.latencies.microseconds(quantile: quantile)
  }

  private func measurement(
    _ name: String, _ turns: Turns<Sample>, _ unit: MeasuredUnit,
    _ parameters: [(name: String, value: Double)], _ value: (Sample) -> Double
  ) -> Measurement {
    var counters = [
      turns.counter("CPU µs/row") { $0.processorSeconds * 1e6 / Double(max(1, $0.record.servedCount)) }
    ]
    if unit == .microseconds {
      counters += [
        turns.counter("p50 µs") { percentile($0, 0.5) }, turns.counter("p90 µs") { percentile($0, 0.9) },
        turns.counter("p99 µs") { percentile($0, 0.99) }, turns.counter("p99.9 µs") { percentile($0, 0.999) },
        turns.counter("max µs") { Double($0.record.latencies.longestNanoseconds) / 1e3 },
        turns.counter("served/s", \.record.rate),
      ]
    }
    return Measurement(
      bench: "open-loop", name: name, unit: unit, parameters: parameters, values: turns.ours.map(value),
      peer: turns.peer.isEmpty ? nil : "sqlite", peerValues: turns.peer.map(value), counters: counters,
      series: MeasuredSeries(
        stepMilliseconds: Double(ArrivalRecord.stepNanoseconds) / 1e6, ours: turns.ours[0].record.steps,
        peer: turns.peer.first?.record.steps ?? []), loads: turns.loads)
  }
}

/// Runs `body` on so many threads and waits for all.
private func withThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
  var threads: [SluiceSystem.Thread] = []
  defer { for thread in threads { thread.join() } }
  for index in 0..<count {
    threads.append(try SluiceSystem.Thread(name: "session-\(index)") { body(index) })
  }
}
