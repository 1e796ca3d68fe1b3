// What every measurement of this program needs to say its result: medians, numbers as texts, columns, lines.
// Unsafe by nature (bytes to standard error): named in the tidy test.
import Glibc

/// The middle of `values`, the upper one of an even number; 0 of none.
func median(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.sorted()[values.count / 2] }

/// A number with `digits` decimal places; 0 when it is no number.
func fixed(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite else { return fixed(0, digits) }
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let whole = Int((abs(value) * scale).rounded())
  let sign = value < 0 && whole > 0 ? "-" : ""
  guard digits > 0 else { return sign + String(whole) }
  let rest = String(whole % Int(scale) + Int(scale)).dropFirst()
  return "\(sign)\(whole / Int(scale)).\(rest)"
}

/// A column: `text` filled with spaces to `width`, at least one.
func pad(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(1, width - text.count))
}

/// A column of numbers: spaces in front.
func padLeft(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}

/// A rate or count in three digits or a few more: 812, 45.1k, 1.23M.
func short(_ value: Double) -> String {
  switch value {
  case 10_000_000...: fixed(value / 1e6, 1) + "M"
  case 1_000_000...: fixed(value / 1e6, 2) + "M"
  case 100_000...: fixed(value / 1e3, 0) + "k"
  case 1_000...: fixed(value / 1e3, 1) + "k"
  default: fixed(value, 0)
  }
}

/// `text` as a JSON string.
func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\": result += "\\\(scalar)"
    case "\u{0}"..<" ": result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}

/// Prints a line that must be read even when the next thing done is a crash.
func printNow(_ line: String) {
  print(line)
  fflush(nil)
}

/// Writes a line to standard error.
func printError(_ line: String) {
  var rest = Array((line + "\n").utf8)[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    if count <= 0 { return }
    rest = rest.dropFirst(count)
  }
}
