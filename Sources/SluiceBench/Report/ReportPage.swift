// The page of `sluice-bench report`: for each command its plots and a table of all that was measured. One file without
// scripts; what was not measured is not there.

struct ReportPage {
  private let measurements: [Measurement]

  init(_ measurements: [Measurement]) { self.measurements = measurements }

  /// The commands in the order of the page, with what their plots show.
  private static let benches = [
    (name: "ingest", title: "Loading", about: "Whole programs from start to exit, the same text into an empty store."),
    (
      name: "growth", title: "Growth",
      about: "The rate of a load with ten times the rows, beside that of the small one."
    ),
    (name: "recover", title: "Opening", about: "From the start of the program to the first line of its answer."),
    (
      name: "open-loop", title: "Latency at fixed rates",
      about: "From the moment a statement arrives to its durable acknowledgement, whether or not the store keeps up."
    ),
    (name: "query", title: "SQL in one process", about: "Statement by statement through the APIs."),
    (name: "mirror", title: "The projector", about: "A backlog into projections.db, beside SQLite by itself."),
    (name: "engine", title: "The engine", about: "Keys and values, beside another store."),
    (name: "memtable", title: "Shapes of a memtable", about: "Nanoseconds for an entry that is inserted."),
  ]

  var html: String {
    let known = Self.benches.map { section($0.name, $0.title, $0.about) }
    let names = Set(Self.benches.map(\.name))
    let others = Set(measurements.map(\.bench)).subtracting(names).sorted().map { section($0, $0, "") }
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>Sluice: what was measured</title>
      <style>
      \(pageStyle)</style>
      </head>
      <body>
      <h1>Sluice: what was measured</h1>
      <p>\(summary)</p>
      <p>A ratio says how many times ours is as good as the peer: a dot for the median of the turns, a bar from the
      least to the largest, an upright line for the goal. <span class="key met">●</span> goal met
      <span class="key missed">●</span> missed <span class="key open">●</span> no goal.</p>
      \((known + others).joined())</body>
      </html>

      """
  }

  private var summary: String {
    let met = measurements.filter { $0.isGoalMet == true }.count
    let missed = measurements.filter { $0.isGoalMet == false }.count
    let low = measurements.map(\.loads.lowerBound).min() ?? 0
    let high = measurements.map(\.loads.upperBound).max() ?? 0
    return "\(measurements.count) measurements: \(met) goals met, \(missed) missed. Load average "
      + "\(fixed(low, 1)) to \(fixed(high, 1))."
  }

  private func section(_ bench: String, _ title: String, _ about: String) -> String {
    let own = measurements.filter { $0.bench == bench }
    if own.isEmpty { return "" }
    let units = own.reduce(into: [MeasuredUnit]()) { if !$0.contains($1.unit) { $0.append($1.unit) } }
    let plots =
      [ratioPlot(own, title: "\(title): ratios")] + units.map { valuePlot(own, $0, title: "\(title): values") }
      + latencyPlots(own) + [growthPlot(own)] + throughputPlots(own)
    let drawings = plots.compactMap { $0 }.map { "<div class=\"plot\">\n\($0)</div>\n" }.joined()
    return """
      <section>
      <h2>\(escaped(title))</h2>
      <p>\(escaped(about))</p>
      \(drawings.isEmpty ? "" : "<div class=\"plots\">\n\(drawings)</div>\n")\(table(own))</section>

      """
  }

  // MARK: Plots

  /// Percentiles over rates, a plot for each way of serving.
  private func latencyPlots(_ own: [Measurement]) -> [String?] {
    let latencies = own.filter { $0.unit == .microseconds && rate(of: $0) != nil }
    return modes(latencies).map { mode in
      let points = latencies.filter { self.mode($0) == mode }.sorted { (rate(of: $0) ?? 0) < (rate(of: $1) ?? 0) }
      var lines: [LinePlot.Line] = []
      for isPeer in [false, true] {
        for (index, percentile) in ["p50", "p99", "p99.9", "max"].enumerated() {
          lines.append(
            LinePlot.Line(
              name: "\(isPeer ? points.compactMap(\.peer).first ?? "" : points[0].ours) \(percentile)",
              style: "q\(index)\(isPeer ? " theirs" : "")",
              points: points.compactMap { measurement in
                guard let counter = measurement.counters.first(where: { $0.name == "\(percentile) µs" }),
                  let x = rate(of: measurement), let y = isPeer ? counter.peer : counter.ours
                else { return nil }
                return (x, y)
              }))
        }
      }
      return LinePlot(
        title: "Latency, \(mode)", xTitle: "statements a second", yTitle: "µs until durable", isXLogarithmic: true,
        isYLogarithmic: true, lines: lines
      ).svg
    }
  }

  private func rate(of measurement: Measurement) -> Double? {
    measurement.parameters.first { $0.name == "rate" }?.value
  }

  /// The name without the percentile and the rate.
  private func mode(_ measurement: Measurement) -> String {
    String(measurement.name.prefix { $0 != "," })
  }

  private func modes(_ own: [Measurement]) -> [String] {
    own.map(mode).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }

  /// Rates over rows, a line for each way of loading.
  private func growthPlot(_ own: [Measurement]) -> String? {
    let grown = own.filter { $0.bench == "growth" && $0.parameters.count > 1 && $0.peer != nil }
    return LinePlot(
      title: "Rate of a load", xTitle: "rows", yTitle: "rows a second", isXLogarithmic: true,
      lines: grown.enumerated().map { index, measurement in
        let (many, few) = (measurement.parameters[0].value, measurement.parameters[1].value)
        return LinePlot.Line(
          name: measurement.name, style: "q\(index % 4)",
          points: [(few, median(measurement.peerValues)), (many, measurement.value)])
      }
    ).svg
  }

  /// Events a second over the time of one turn. The last step of each side, which is not a whole one, is left out.
  private func throughputPlots(_ own: [Measurement]) -> [String?] {
    own.map { measurement in
      guard let series = measurement.series else { return nil }
      func points(_ counts: [Double]) -> [(x: Double, y: Double)] {
        counts.dropLast().enumerated().map { index, count in
          ((Double(index) + 0.5) * series.stepMilliseconds / 1e3, count * 1e3 / series.stepMilliseconds)
        }
      }
      let given = rate(of: measurement).map { ", \(plain($0))/s" } ?? ""
      return LinePlot(
        title: "\(measurement.name.replacing(", p99.9", with: ""))\(given)", xTitle: "seconds",
        yTitle: "acknowledged a second",
        lines: [
          LinePlot.Line(name: measurement.ours, style: "q0", points: points(series.ours)),
          LinePlot.Line(name: measurement.peer ?? "", style: "q2 theirs", points: points(series.peer)),
        ], width: 300, height: 120, hasDots: false
      ).svg
    }
  }

  // MARK: The table

  private func table(_ own: [Measurement]) -> String {
    let rows = own.map { measurement in
      let goal = measurement.isGoalMet.map { $0 ? " class=\"met\"" : " class=\"missed\"" } ?? ""
      return """
        <tr><td>\(escaped(measurement.name))</td><td>\(escaped(parameters(measurement)))</td>\
        <td class="number">\(escaped(spread(measurement.values, measurement.unit)))</td>\
        <td>\(escaped(measurement.peer ?? "–"))</td>\
        <td class="number">\(escaped(spread(measurement.peerValues, measurement.unit)))</td>\
        <td class="number">\(escaped(measurement.ratioText))</td><td\(goal)>\(escaped(measurement.goalText))</td>\
        <td class="counters">\(escaped(measurement.countersText(withParameters: false)))</td></tr>
        """
    }
    let heads = ["measured", "with", "ours [min-max]", "peer", "peer's [min-max]", "ratio [min-max]", "goal"]
    return """
      <div class="table">
      <table>
      <tr>\(heads.map { "<th>\($0)</th>" }.joined())<th>counters: ours / peer's</th></tr>
      \(rows.joined(separator: "\n"))
      </table>
      </div>

      """
  }

  private func parameters(_ measurement: Measurement) -> String {
    measurement.parameters.map { "\($0.name) \(plain($0.value))" }.joined(separator: ", ")
  }

  private func spread(_ values: [Double], _ unit: MeasuredUnit) -> String {
    guard let least = values.min(), let most = values.max() else { return "–" }
    if values.count == 1 { return unit.text(least) }
    return "\(unit.text(median(values))) [\(unit.text(least))-\(unit.text(most))]"
  }
}
