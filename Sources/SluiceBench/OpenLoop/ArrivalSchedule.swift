// Statements that arrive at fixed moments, whether or not who takes them keeps up, as from the clients of a server. A
// latency counts from the moment of arrival to the durable acknowledgement, so a side that pauses pays for all that
// waited meanwhile; what a loop leaves out that only sends after the last answer ("coordinated omission").

/// When statements come.
struct ArrivalSchedule {
  /// Statements a second; nil: the next one is always there (closed loop), for `seconds`.
  let rate: Double?
  let seconds: Double

  /// How long arrivals may still be served after `seconds`, as a multiple of it.
  private static let patience = 3.0

  /// Statements in all; without a rate, time ends it.
  var count: Int { rate.map { max(1, Int($0 * seconds)) } ?? .max }

  /// Nanoseconds from the beginning to the arrival of statement `number`, from 0.
  @inline(__always)
  func arrival(_ number: Int) -> UInt64 { rate.map { UInt64(Double(number) / $0 * 1e9) } ?? 0 }

  /// When serving ends at the latest, in nanoseconds from the beginning.
  var end: UInt64 { UInt64(seconds * (rate == nil ? 1 : 1 + Self.patience) * 1e9) }
}

/// What became of the arrivals.
struct ArrivalRecord: Sendable {
  static let stepNanoseconds: UInt64 = 100_000_000

  private(set) var latencies = LatencyHistogram()
  /// Acknowledged statements in each step.
  private(set) var steps: [Double] = []
  private(set) var servedCount = 0
  /// When the last one was acknowledged, in nanoseconds from the beginning.
  private(set) var endNanoseconds: UInt64 = 0

  /// Statements arrived and acknowledged at those moments.
  mutating func add(arrivals: Range<Int>, of schedule: ArrivalSchedule, acknowledged now: UInt64) {
    for number in arrivals { latencies.add(now - schedule.arrival(number)) }
    servedCount += arrivals.count
    let step = Int(now / Self.stepNanoseconds)
    while steps.count <= step { steps.append(0) }
    steps[step] += Double(arrivals.count)
    endNanoseconds = max(endNanoseconds, now)
  }

  /// Statements that were not served in time: at least so late.
  mutating func addUnserved(_ arrivals: some Sequence<Int>, of schedule: ArrivalSchedule, at now: UInt64) {
    for number in arrivals where schedule.arrival(number) < now { latencies.add(now - schedule.arrival(number)) }
  }

  mutating func merge(_ other: ArrivalRecord) {
    latencies.merge(other.latencies)
    while steps.count < other.steps.count { steps.append(0) }
    for (step, count) in other.steps.enumerated() { steps[step] += count }
    servedCount += other.servedCount
    endNanoseconds = max(endNanoseconds, other.endNanoseconds)
  }

  /// Acknowledged statements a second.
  var rate: Double { endNanoseconds > 0 ? Double(servedCount) * 1e9 / Double(endNanoseconds) : 0 }
}

/// Serves the arrivals `first`, `first + stride`, … by `session`: waits for one, executes it, and what has arrived by
/// then as well, up to `limit` statements, and acknowledges all of them together. `begin` is now or a little later.
/// With `turns`, the last bit of a wait is turned over instead of slept.
func serve(
  _ schedule: ArrivalSchedule, by session: any ArrivalSession, first: Int = 0, stride: Int = 1, limit: Int,
  begin: UInt64, turns: Bool
) throws -> ArrivalRecord {
  var record = ArrivalRecord()
  var number = first
  let end = begin + schedule.end
  while number < schedule.count {
    waitUntil(nanoseconds: begin + schedule.arrival(number), turns: turns)
    let now = nowNanoseconds()
    if now >= end {
      if schedule.rate != nil {
        record.addUnserved(Swift.stride(from: number, to: schedule.count, by: stride), of: schedule, at: now - begin)
      }
      break
    }
    var last = number
    repeat {
      try session.insert(last)
      last += stride
    } while stride == 1 && last - number < limit && last < schedule.count && begin + schedule.arrival(last) <= now
    try session.acknowledge()
    record.add(
      arrivals: stride == 1 ? number..<last : number..<number + 1, of: schedule,
      acknowledged: nowNanoseconds() - begin)
    number = last
  }
  try session.settle()
  return record
}
