// Drawings as inline SVG: the few shapes that plots are made of. Colours are classes, for the page's style sheet to set
// for light and dark grounds.

/// A drawing; coordinates in pixels from the upper left.
struct SVG {
  /// Width of a character of the labels' type (12 pixels, monospaced) in pixels, at most.
  static let characterWidth = 7.3

  private let width: Double
  private let height: Double
  private let title: String
  private var body = ""

  /// `title` is read out by what does not show pictures.
  init(width: Double, height: Double, title: String) {
    self.width = width
    self.height = height
    self.title = title
  }

  var text: String {
    """
    <svg viewBox="0 0 \(pixels(width)) \(pixels(height))" width="\(pixels(width))" height="\(pixels(height))" \
    role="img" aria-label="\(escaped(title))">
    \(body)</svg>

    """
  }

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) {
    body += """
      <line x1="\(pixels(x1))" y1="\(pixels(y1))" x2="\(pixels(x2))" y2="\(pixels(y2))" class="\(style)"/>

      """
  }

  mutating func path(_ points: [(x: Double, y: Double)], _ style: String) {
    let places = points.map { "\(pixels($0.x)),\(pixels($0.y))" }.joined(separator: " ")
    body += "<polyline points=\"\(places)\" class=\"\(style)\"/>\n"
  }

  mutating func dot(_ x: Double, _ y: Double, radius: Double, _ style: String, hint: String = "") {
    let inner = hint.isEmpty ? "/>" : "><title>\(escaped(hint))</title></circle>"
    body += "<circle cx=\"\(pixels(x))\" cy=\"\(pixels(y))\" r=\"\(pixels(radius))\" class=\"\(style)\"\(inner)\n"
  }

  enum Anchor: String {
    case start, middle, end
  }

  mutating func label(_ text: String, _ x: Double, _ y: Double, _ anchor: Anchor = .start, _ style: String = "label") {
    body += """
      <text x="\(pixels(x))" y="\(pixels(y))" text-anchor="\(anchor.rawValue)" class="\(style)">\(escaped(text))</text>

      """
  }
}

private func pixels(_ value: Double) -> String {
  let text = fixed(value, 1)
  return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}

/// `text` for HTML and SVG, also within quotes.
func escaped(_ text: String) -> String {
  var result = ""
  for character in text.unicodeScalars {
    switch character {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    default: result.unicodeScalars.append(character)
    }
  }
  return result
}
