// Lines over a pair of axes, with a legend beside them, so that no label stands on a line.

struct LinePlot {
  struct Line {
    let name: String
    /// Classes of the style sheet: `q0` to `q3`, and `theirs` for a peer.
    let style: String
    let points: [(x: Double, y: Double)]
  }

  let title: String
  let xTitle: String
  let yTitle: String
  var isXLogarithmic = false
  var isYLogarithmic = false
  var lines: [Line]
  var width = 420.0
  var height = 230.0
  /// Whether each point has a dot.
  var hasDots = true

  /// The drawing; nil when there is nothing to draw.
  var svg: String? {
    let shown = lines.filter { !$0.points.isEmpty }
    guard !shown.isEmpty else { return nil }
    let (left, top, bottom) = (64.0, 52.0, 42.0)
    let legend = Double(shown.map(\.name.count).max() ?? 0) * SVG.characterWidth + 44
    let titleWidth = Double(title.count) * SVG.characterWidth + 16
    var drawing = SVG(
      width: max(left + width + legend, titleWidth), height: top + height + bottom, title: title)
    let points = shown.flatMap(\.points)
    let xAxis = Scale(points.map(\.x), logarithmic: isXLogarithmic, from: left, to: left + width)
    let yAxis = Scale(points.map(\.y), logarithmic: isYLogarithmic, from: top + height, to: top)
    drawing.label(title, 4, 16, .start, "title")
    drawing.label(yTitle, 4, 33, .start, "mark")
    drawing.label(xTitle, left + width / 2, top + height + 34, .middle, "mark")
    for mark in yAxis.marks(distance: 22) {
      drawing.line(left, yAxis.place(mark), left + width, yAxis.place(mark), "grid")
      drawing.label(shortMark(mark), left - 8, yAxis.place(mark) + 4, .end, "mark")
    }
    for mark in xAxis.marks(distance: 48) {
      drawing.line(xAxis.place(mark), top + height, xAxis.place(mark), top + height + 4, "axis")
      drawing.label(shortMark(mark), xAxis.place(mark), top + height + 17, .middle, "mark")
    }
    drawing.line(left, top + height, left + width, top + height, "axis")
    for (index, line) in shown.enumerated() {
      let places = line.points.map { (x: xAxis.place($0.x), y: yAxis.place($0.y)) }
      drawing.path(places, "line \(line.style)")
      if hasDots {
        for (place, point) in zip(places, line.points) {
          drawing.dot(
            place.x, place.y, radius: 3, "dot \(line.style)",
            hint: "\(line.name): \(shortMark(point.y)) at \(shortMark(point.x))")
        }
      }
      let y = top + 10 + Double(index) * 18
      drawing.line(left + width + 12, y, left + width + 32, y, "line \(line.style)")
      drawing.label(line.name, left + width + 38, y + 4)
    }
    return drawing.text
  }
}
