// What a child process measured, read back from its lines.

/// The numbers of one line, as far as a comparison shows them.
struct MeasuredWorkload {
  let workload: String
  let operations: Double
  let rate: Double
  let seconds: Double
  let processorSeconds: Double
  /// Microseconds.
  let p999: Double
  let writeAmplification: Double
  let writtenMegabytes: Double
  let peakMegabytes: Double

  init(line: String) throws {
    let object = try JSONValue(line)
    func number(_ name: String) throws -> Double {
      guard let value = object[name]?.number else {
        throw BenchError(description: "a line whose \(name) is no number: \(line)")
      }
      return value
    }
    guard let name = object["workload"]?.text else { throw BenchError(description: "a line without workload: \(line)") }
    workload = name
    operations = try number("ops")
    rate = try number("ops_per_s")
    seconds = try number("wall_s")
    processorSeconds = try number("user_s") + number("sys_s")
    p999 = try number("p999_us")
    writeAmplification = try number("write_amp")
    writtenMegabytes = try number("written_mb")
    peakMegabytes = try number("peak_rss_mb")
  }

  private init(all parts: [MeasuredWorkload]) {
    func sum(_ value: (MeasuredWorkload) -> Double) -> Double { parts.reduce(0) { $0 + value($1) } }
    workload = "all"
    operations = 0
    rate = 0
    seconds = sum(\.seconds)
    processorSeconds = sum(\.processorSeconds)
    p999 = 0
    writtenMegabytes = sum(\.writtenMegabytes)
    let user = sum { $0.writeAmplification > 0 ? $0.writtenMegabytes / $0.writeAmplification : 0 }
    writeAmplification = user > 0 ? writtenMegabytes / user : 0
    peakMegabytes = parts.map(\.peakMegabytes).max() ?? 0
  }

  /// All workloads of a process as one: its whole time, all it wrote (what it compacts while it settles, too) for what
  /// the user wrote, its largest size.
  static func whole(_ parts: [MeasuredWorkload]) -> MeasuredWorkload { MeasuredWorkload(all: parts) }

  /// What is compared, in `unit`.
  var value: Double {
    switch unit {
    case .seconds: seconds
    case .microseconds: p999
    default: rate
    }
  }

  var unit: MeasuredUnit {
    switch workload {
    case "settle", "all": .seconds
    case "openloop": .microseconds
    default: .operationsPerSecond
    }
  }
}
