// A row for each measurement on one logarithmic scale: a bar from the least turn to the largest, a dot at the median, a
// tick at the goal. Labels stand left and right of the scale, so that none meets another.

struct RangePlot {
  struct Row {
    let label: String
    /// Values of the turns.
    let values: [Double]
    /// Behind the scale.
    let text: String
    /// `met`, `missed` or `open`.
    let style: String
    var goal: Double?
    /// A value to compare with: a ring.
    var other: Double?
  }

  let title: String
  let axisTitle: String
  let rows: [Row]
  /// A value with a line of its own.
  var even: Double?

  /// The drawing; nil when there is nothing to draw.
  var svg: String? {
    let rows = rows.filter { $0.values.contains { $0 > 0 } }
    guard !rows.isEmpty else { return nil }
    func width(_ text: (Row) -> String) -> Double {
      Double(rows.map { text($0).count }.max() ?? 0) * SVG.characterWidth
    }
    let (left, plotWidth, right) = (width(\.label) + 16, 420.0, width(\.text) + 24)
    let (rowHeight, top, bottom) = (24.0, 10.0, 40.0)
    let height = top + rowHeight * Double(rows.count) + bottom
    let all = rows.flatMap { $0.values + [$0.goal, $0.other].compactMap { $0 } } + [even].compactMap { $0 }
    let scale = Scale(all, logarithmic: true, from: left, to: left + plotWidth)
    var drawing = SVG(width: left + plotWidth + right, height: height, title: title)
    let floor = height - bottom
    for mark in scale.marks(distance: 40) {
      drawing.line(scale.place(mark), top, scale.place(mark), floor, "grid")
      drawing.label(shortMark(mark), scale.place(mark), floor + 16, .middle, "mark")
    }
    if let even { drawing.line(scale.place(even), top, scale.place(even), floor, "even") }
    drawing.label(axisTitle, left + plotWidth / 2, floor + 34, .middle, "mark")
    for (index, row) in rows.enumerated() {
      draw(row, top + rowHeight * (Double(index) + 0.5), scale, &drawing)
    }
    return drawing.text
  }

  private func draw(_ row: Row, _ middle: Double, _ scale: Scale, _ drawing: inout SVG) {
    drawing.label(row.label, scale.from - 10, middle + 4, .end)
    drawing.label(row.text, scale.to + 12, middle + 4)
    if let least = row.values.min(), let most = row.values.max() {
      drawing.line(scale.place(least), middle, scale.place(most), middle, "spread \(row.style)")
    }
    if let goal = row.goal {
      drawing.line(scale.place(goal), middle - 9, scale.place(goal), middle + 9, "goal")
    }
    if let other = row.other { drawing.dot(scale.place(other), middle, radius: 4, "ring") }
    drawing.dot(
      scale.place(median(row.values)), middle, radius: 5, row.style, hint: "\(row.label): \(row.text)")
  }
}

/// How many times ours is as good as each peer; 1 is where both are equal, better is to the right.
func ratioPlot(_ measurements: [Measurement], title: String) -> String? {
  RangePlot(
    title: title, axisTitle: "times as good as the peer",
    rows: zip(measurements, labels(measurements)).map { measured, label in
      var row = RangePlot.Row(
        label: "\(label) – \(measured.peer ?? "")", values: measured.ratios, text: measured.ratioText,
        style: measured.goalStyle)
      if case .ratio(let wanted) = measured.goal { row.goal = wanted }
      return row
    }, even: 1
  ).svg
}

/// Values that have a goal of their own, with the peer's as a ring. All in one unit.
func valuePlot(_ measurements: [Measurement], _ unit: MeasuredUnit, title: String) -> String? {
  RangePlot(
    title: title, axisTitle: "\(unit.rawValue); ring: the peer",
    rows: zip(measurements, labels(measurements)).compactMap { measured, label in
      let wanted: Double
      switch measured.goal {
      case .atLeast(let value), .atMost(let value): wanted = value
      default: return nil
      }
      guard measured.unit == unit else { return nil }
      return RangePlot.Row(
        label: label, values: measured.values, text: unit.text(measured.value), style: measured.goalStyle,
        goal: wanted, other: measured.peerValue)
    }
  ).svg
}

/// The names, with the parameters where two measurements beside the same peer have the same one.
private func labels(_ measurements: [Measurement]) -> [String] {
  let keys = measurements.map { [$0.name, $0.ours, $0.peer ?? ""] }
  return zip(measurements, keys).map { measured, key in
    let isAlone = keys.count { $0 == key } == 1
    let given = isAlone ? [] : measured.parameters.map { "\($0.name) \(plain($0.value))" }
    return ([measured.name] + given).joined(separator: ", ")
  }
}

extension Measurement {
  /// A class of the style sheet.
  fileprivate var goalStyle: String { isGoalMet.map { $0 ? "met" : "missed" } ?? "open" }
}

/// A number at an axis: 0.5, 20, 1k, 2.5M.
func shortMark(_ value: Double) -> String {
  func trimmed(_ value: Double) -> String {
    var text = fixed(value, value < 1 ? 3 : value < 10 ? 2 : 1)
    while text.contains("."), text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }
  if value >= 1e6 { return trimmed(value / 1e6) + "M" }
  return value >= 1e3 ? trimmed(value / 1e3) + "k" : trimmed(value)
}
