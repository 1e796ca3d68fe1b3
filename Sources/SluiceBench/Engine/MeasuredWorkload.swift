// What a child process measured, read back from its lines, and two sets of that beside one another.

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
    func text(_ name: String) throws -> Substring {
      guard let range = line.ranges(of: "\"\(name)\":").first else {
        throw BenchError(description: "a line without \(name): \(line)")
      }
      return line[range.upperBound...].prefix { $0 != "," && $0 != "}" }
    }
    func number(_ name: String) throws -> Double {
      guard let value = Double(try text(name)) else {
        throw BenchError(description: "a line whose \(name) is no number: \(line)")
      }
      return value
    }
    workload = try text("workload").filter { $0 != "\"" }
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

  /// What is compared: larger is better.
  var score: Double {
    switch workload {
    case "settle", "all": 1 / seconds
    case "openloop": 1 / p999
    default: rate
    }
  }
}

/// The medians of both sides, and the ratios of each turn.
struct ComparedWorkload {
  /// Medians of one side.
  struct Side {
    let rate: Double
    let seconds: Double
    let cpuPerRow: Double
    let p999: Double
    let writeAmplification: Double
    let peak: Double

    init(_ measured: [MeasuredWorkload]) {
      rate = median(measured.map(\.rate))
      seconds = median(measured.map(\.seconds))
      cpuPerRow = median(measured.map { $0.operations > 0 ? $0.processorSeconds * 1e6 / $0.operations : 0 })
      p999 = median(measured.map(\.p999))
      writeAmplification = median(measured.map(\.writeAmplification))
      peak = median(measured.map(\.peakMegabytes))
    }
  }

  let sides: [Side]
  /// Rising.
  let ratios: [Double]

  init(_ first: [MeasuredWorkload], _ second: [MeasuredWorkload]) {
    sides = [Side(first), Side(second)]
    ratios = zip(first, second).map { $0.score / $1.score }.sorted()
  }

  var ratio: Double { median(ratios) }

  func line(_ name: String) -> String {
    func both(_ show: (Side) -> String) -> String { "\(show(sides[0])) / \(show(sides[1]))" }
    func rate(_ side: Side) -> String { side.rate > 0 ? short(side.rate) : fixed(side.seconds, 2) + " s" }
    func some(_ value: Double, _ digits: Int) -> String { value > 0 ? fixed(value, digits) : "-" }
    let spread = "\(fixed(ratio, 2)) [\(fixed(ratios[0], 2))-\(fixed(ratios[ratios.count - 1], 2))]"
    return pad(name, 18) + padLeft(rate(sides[0]), 10) + padLeft(rate(sides[1]), 11) + "  " + pad(spread, 21)
      + pad(both { some($0.cpuPerRow, 2) }, 16) + pad(both { $0.p999 > 0 ? short($0.p999) : "-" }, 17)
      + pad(both { some($0.writeAmplification, 2) }, 14) + both { fixed($0.peak, 0) }
  }
}
