// A measurement as the line of JSON that Measurement.swift shows, and back.

extension Measurement {
  var json: String {
    var fields = [("bench", quoted(bench)), ("name", quoted(name)), ("unit", quoted(unit.rawValue))]
    if !parameters.isEmpty {
      fields.append(("parameters", object(parameters.map { ($0.name, jsonNumber($0.value)) })))
    }
    fields += [("ours", quoted(ours)), ("value", jsonNumber(value)), ("values", list(values))]
    if let peer {
      fields += [
        ("peer", quoted(peer)), ("peer_value", jsonNumber(median(peerValues))), ("peer_values", list(peerValues)),
      ]
    }
    if let least = ratios.first, let most = ratios.last {
      fields += [
        ("ratio", jsonNumber(median(ratios))), ("ratio_min", jsonNumber(least)), ("ratio_max", jsonNumber(most)),
      ]
    }
    if let goal { fields.append(("goal", goal.json(isMet: isGoalMet))) }
    if !counters.isEmpty { fields.append(("counters", object(counters.map { ($0.name, $0.json) }))) }
    if let series {
      fields.append(
        (
          "series",
          object([
            ("step_ms", jsonNumber(series.stepMilliseconds)), ("ours", list(series.ours)), ("peer", list(series.peer)),
          ])
        ))
    }
    fields.append(("load", list([loads.lowerBound, loads.upperBound])))
    return object(fields)
  }

  /// A measurement from its line. Throws what is missing or of another kind.
  init(line: String) throws {
    let value = try JSONValue(line)
    func text(_ name: String) throws -> String {
      guard let text = value[name]?.text else { throw BenchError(description: "no text \(name) in \(line)") }
      return text
    }
    guard let unit = MeasuredUnit(rawValue: try text("unit")) else {
      throw BenchError(description: "unknown unit \(try text("unit"))")
    }
    guard let values = value["values"]?.numbers, !values.isEmpty else {
      throw BenchError(description: "no values in \(line)")
    }
    self.init(bench: try text("bench"), name: try text("name"), unit: unit, values: values)
    parameters = (value["parameters"]?.members ?? []).compactMap { member in
      member.value.number.map { (member.name, $0) }
    }
    ours = try text("ours")
    peer = value["peer"]?.text
    peerValues = value["peer_values"]?.numbers ?? []
    guard (peer == nil) == peerValues.isEmpty else { throw BenchError(description: "peer without values in \(line)") }
    goal = try value["goal"].map { try Goal($0) }
    counters = try (value["counters"]?.members ?? []).map { member in
      let (name, counter) = (member.name, member.value)
      guard let ours = counter["ours"]?.number else { throw BenchError(description: "no value of \(name) in \(line)") }
      return MeasuredCounter(
        name: name, ours: ours, peer: counter["peer"]?.number, limit: counter["at_most"]?.number)
    }
    if let found = value["series"], let step = found["step_ms"]?.number {
      series = MeasuredSeries(
        stepMilliseconds: step, ours: found["ours"]?.numbers ?? [], peer: found["peer"]?.numbers ?? [])
    }
    if let load = value["load"]?.numbers, load.count == 2, load[0] <= load[1] { loads = load[0]...load[1] }
  }
}

extension MeasuredCounter {
  fileprivate var json: String {
    var fields = [("ours", jsonNumber(ours))]
    if let peer { fields.append(("peer", jsonNumber(peer))) }
    if let limit { fields.append(("at_most", jsonNumber(limit))) }
    return object(fields)
  }
}

extension Goal {
  fileprivate init(_ value: JSONValue) throws {
    guard let number = value["value"]?.number else { throw BenchError(description: "a goal without a value") }
    switch value["kind"]?.text {
    case "ratio": self = .ratio(number)
    case "at_least": self = .atLeast(number)
    case "at_most": self = .atMost(number)
    default: throw BenchError(description: "a goal of unknown kind")
    }
  }

  fileprivate func json(isMet: Bool?) -> String {
    let (kind, number) =
      switch self {
      case .ratio(let number): ("ratio", number)
      case .atLeast(let number): ("at_least", number)
      case .atMost(let number): ("at_most", number)
      }
    let met = isMet.map { [("met", $0 ? "true" : "false")] } ?? []
    return object([("kind", quoted(kind)), ("value", jsonNumber(number))] + met)
  }
}

private func object(_ fields: [(String, String)]) -> String {
  "{" + fields.map { "\(quoted($0.0)):\($0.1)" }.joined(separator: ",") + "}"
}

private func list(_ values: [Double]) -> String { "[" + values.map(jsonNumber).joined(separator: ",") + "]" }

/// `value` with at least six digits that count, and all of its whole part; 0 when it is no number.
private func jsonNumber(_ value: Double) -> String {
  guard value.isFinite, abs(value) < 1e15 else { return "0" }
  if value == value.rounded() { return fixed(value, 0) }
  var digits = 6
  var size = abs(value)
  while size >= 1, digits > 1 {
    size /= 10
    digits -= 1
  }
  while size < 0.1, digits < 12 {
    size *= 10
    digits += 1
  }
  var text = fixed(value, digits)
  while text.hasSuffix("0") { text.removeLast() }
  if text.hasSuffix(".") { text.removeLast() }
  return text
}
