// What one line of any command of this program says: ours beside one peer, turn by turn, with goal and counters.
// As JSON (`--json`, `--save`) it is one object on one line; what a measurement has not is left out:
//
//     {"bench":"ingest","name":"one INSERT a line, until durable","unit":"rows/s","parameters":{"rows":1000000},
//      "ours":"sluice","value":1.2e6,"values":[1.1e6,1.2e6,1.3e6],
//      "peer":"sqlite3","peer_value":98000,"peer_values":[97000,98000,99000],
//      "ratio":12.2,"ratio_min":11.3,"ratio_max":13.1,
//      "goal":{"kind":"ratio","value":12,"met":true},
//      "counters":{"CPU µs/row":{"ours":0.55,"peer":5.6,"at_most":0.7}},
//      "series":{"step_ms":100,"ours":[1200,1300],"peer":[90,100]},
//      "load":[0.4,1.3]}
//
// bench, name: the command and the case; a name and its parameters stay the same from run to run. unit: of all values:
// rows/s and ops/s are better when larger; s, ms, µs and ns when smaller. values: one for each turn, in order.
// value: their median. ratio: the median of the turns' ratios, each turned so that above 1 ours is better. goal.kind:
// ratio, or at_least or at_most for the value itself. counters: medians over the turns of what was counted beside the
// time, the unit in the name. series: events in each step of one turn. load: the least and the largest load average.

/// The unit of a measurement's values.
enum MeasuredUnit: String {
  case rowsPerSecond = "rows/s"
  case operationsPerSecond = "ops/s"
  case seconds = "s"
  case milliseconds = "ms"
  case microseconds = "µs"
  case nanoseconds = "ns"

  /// Whether a larger value is the better one.
  var isRate: Bool { self == .rowsPerSecond || self == .operationsPerSecond }

  /// `value` for a reader.
  func text(_ value: Double) -> String {
    switch self {
    case .rowsPerSecond, .operationsPerSecond: short(value) + "/s"
    case .seconds: fixed(value, 3) + " s"
    case .milliseconds: fixed(value, value < 10 ? 2 : 1) + " ms"
    case .microseconds where value >= 10_000: fixed(value / 1e3, 1) + " ms"
    case .microseconds: fixed(value, value < 100 ? 1 : 0) + " µs"
    case .nanoseconds: fixed(value, 1) + " ns"
    }
  }
}

/// What a measurement has to reach.
enum Goal: Equatable {
  /// So many times as good as the peer.
  case ratio(Double)
  /// A value of ours, whatever the peer's.
  case atLeast(Double)
  case atMost(Double)
}

/// What was counted beside the time.
struct MeasuredCounter: Equatable {
  /// With its unit.
  let name: String
  let ours: Double
  var peer: Double?
  /// What ours may be at most.
  var limit: Double?
}

/// Events in each step of one turn.
struct MeasuredSeries: Equatable {
  let stepMilliseconds: Double
  let ours: [Double]
  var peer: [Double] = []
}

/// One case, measured.
struct Measurement {
  /// The command.
  let bench: String
  let name: String
  let unit: MeasuredUnit
  /// Numbers that belong to the case: rows, rate.
  var parameters: [(name: String, value: Double)] = []
  var ours = "sluice"
  /// One for each turn.
  let values: [Double]
  var peer: String?
  /// One for each turn, in the same order; empty without a peer.
  var peerValues: [Double] = []
  var goal: Goal?
  var counters: [MeasuredCounter] = []
  var series: MeasuredSeries?
  var loads: ClosedRange<Double> = 0...0

  var value: Double { median(values) }
  var peerValue: Double? { peer == nil ? nil : median(peerValues) }

  /// How many times ours is as good as the peer in each turn, rising.
  var ratios: [Double] {
    zip(values, peerValues).map { unit.isRate ? $0 / $1 : $1 / $0 }.filter(\.isFinite).sorted()
  }

  /// Whether the goal is reached; nil without a goal, or when nothing tells.
  var isGoalMet: Bool? {
    switch goal {
    case nil: nil
    case .ratio(let wanted): ratios.isEmpty ? nil : median(ratios) >= wanted
    case .atLeast(let wanted): value >= wanted
    case .atMost(let wanted): value <= wanted
    }
  }
}

// MARK: For readers

extension Measurement {
  static let heading =
    pad("measured", 46) + padLeft("ours", 11) + "  " + pad("peer", 23) + pad("ratio [min-max]", 20) + "goal"

  /// The line of the table, and one below it for the counters.
  var text: String {
    let theirs = peer.map { "\(unit.text(median(peerValues))) \($0)" } ?? "-"
    let first =
      pad(name, 46) + padLeft(unit.text(value), 11) + "  " + pad(theirs, 23) + pad(ratioText, 20) + goalText
    return first + "\n    " + countersText(withParameters: true)
  }

  /// `12.2 [11.3-13.1]`, or a dash.
  var ratioText: String {
    guard let least = ratios.first, let most = ratios.last else { return "-" }
    let digits = most < 10 ? 2 : most < 100 ? 1 : 0
    return "\(fixed(median(ratios), digits)) [\(fixed(least, digits))-\(fixed(most, digits))]"
  }

  /// `12 met`, `below 15.0 ms missed`, or a dash.
  var goalText: String {
    let words: String
    switch goal {
    case nil: return "-"
    case .ratio(let wanted): words = plain(wanted)
    case .atLeast(let wanted): words = "at least \(unit.text(wanted))"
    case .atMost(let wanted): words = "at most \(unit.text(wanted))"
    }
    return words + (isGoalMet.map { $0 ? " met" : " missed" } ?? "")
  }

  /// The parameters, when wanted, the counters of ours and the peer's, what they may be, and the load.
  func countersText(withParameters: Bool) -> String {
    let parts = counters.map { counter in
      let peer = counter.peer.map { " / " + plain($0) } ?? ""
      let limit = counter.limit.map { " (at most \(plain($0)))" } ?? ""
      return "\(counter.name) \(plain(counter.ours))\(peer)\(limit)"
    }
    let given = !withParameters ? [] : parameters.map { "\($0.name) \(plain($0.value))" }
    let load = "load \(fixed(loads.lowerBound, 1))-\(fixed(loads.upperBound, 1))"
    return (given + parts + [load]).joined(separator: ", ")
  }
}

/// A number as short as it may be: three digits, or all of a whole number below 100,000.
func plain(_ value: Double) -> String {
  let size = abs(value)
  if size >= 100_000 { return short(value) }
  if size >= 100 || value == value.rounded() { return fixed(value, 0) }
  return fixed(value, size < 1 ? 3 : size < 10 ? 2 : 1)
}
