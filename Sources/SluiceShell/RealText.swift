// Reals for the modes that keep more digits than SQLite's text has (json, quote).
//
// sqlite3 3.40 prints them by its own `%!.20g`: 20 digits worked out in the machine's long double, at least one digit
// after the point, trailing zeros cut. The same steps are taken here, in the same order, because the last digits
// come from their rounding.

#if arch(x86_64)
  private typealias Long = Float80
#else
  private typealias Long = Double
#endif

/// The digits of a finite real as sqlite3's `%!.20g` prints them.
func longText(_ real: Double) -> [UInt8] {
  var number = DecimalScale(magnitude: Long(real.magnitude))
  var text: [UInt8] = real < 0 ? [UInt8(ascii: "-")] : []
  var precision = 19
  let isScientific = number.exponent < -4 || number.exponent > precision
  if !isScientific { precision -= number.exponent }
  var place = isScientific ? 0 : number.exponent
  if place < 0 {
    text.append(UInt8(ascii: "0"))
  } else {
    while place >= 0 {
      text.append(number.nextDigit())
      place -= 1
    }
  }
  text.append(UInt8(ascii: "."))
  place += 1
  while place < 0 {
    text.append(UInt8(ascii: "0"))
    precision -= 1
    place += 1
  }
  while precision > 0 {
    text.append(number.nextDigit())
    precision -= 1
  }
  while text.last == UInt8(ascii: "0") { text.removeLast() }
  if text.last == UInt8(ascii: ".") { text.append(UInt8(ascii: "0")) }
  if isScientific { text += exponentText(number.exponent) }
  return text
}

private func exponentText(_ exponent: Int) -> [UInt8] {
  let digits = String(exponent.magnitude)
  return Array(((exponent < 0 ? "e-" : "e+") + (digits.utf8.count < 2 ? "0" : "") + digits).utf8)
}

/// A magnitude as a number between 1 and 10 and a power of ten, handing out its digits from the front.
private struct DecimalScale {
  var exponent = 0
  private var rest: Long
  private var digitsLeft = 26

  init(magnitude: Long) {
    rest = magnitude
    // Half a unit of the twentieth digit, made from a double as sqlite3 makes it.
    let rounder = 5.0e-10 * 1.0e-10
    if rest > 0 { normalize() }
    rest += Long(rounder)
    if rest >= 10 {
      rest *= Long(0.1 as Double)
      exponent += 1
    }
  }

  // The constants are doubles, as they are in sqlite3: 1e100 is not exact, and that shows in the last digits.
  private mutating func normalize() {
    var scale: Long = 1
    for (factor, digits) in [(1e100, 100), (1e10, 10), (10.0, 1)] {
      while rest >= Long(factor) * scale, exponent <= 350 {
        scale *= Long(factor)
        exponent += digits
      }
    }
    rest /= scale
    while rest < Long(1e-8 as Double) {
      rest *= Long(1e8)
      exponent -= 8
    }
    while rest < 1 {
      rest *= 10
      exponent -= 1
    }
  }

  mutating func nextDigit() -> UInt8 {
    guard digitsLeft > 0 else { return UInt8(ascii: "0") }
    digitsLeft -= 1
    let digit = Int(rest)
    rest = (rest - Long(digit)) * 10
    return UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: digit)
  }
}
