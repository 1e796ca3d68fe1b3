// Durations and sizes as people write them: a whole number and a unit, with or without a space between.

/// The microseconds of a duration such as '250ms', '5s', '2 min', '1h' or '30 days'; nil: the text is none, is not
/// above zero, or is more than 64 bits of microseconds.
public func parseDuration(_ text: String) -> Int64? { Quantity(text, .duration).value }

/// The bytes of a size such as '512 MB', '10 GB' or '1GiB': kB, MB, GB and TB by thousands, KiB, MiB, GiB and TiB by
/// 1,024; nil: the text is none, is not above zero, or is more than 64 bits.
public func parseSize(_ text: String) -> Int64? { Quantity(text, .size).value }

/// What `text` says as a duration or as a size.
enum Quantity: Equatable {
  case value(Int64)
  /// Zero, or with a minus.
  case notPositive
  case tooLarge
  /// Not a number and a unit of the kind.
  case malformed

  enum Kind {
    case duration
    case size
  }

  var value: Int64? { if case .value(let value) = self { value } else { nil } }

  init(_ text: String, _ kind: Kind) {
    var rest = text[...]
    rest.trim(while: isBlank)
    let isNegative = rest.first == "-"
    if isNegative { rest = rest.dropFirst() }
    let digits = rest.prefix { ("0"..."9").contains($0) }
    var unit = rest[digits.endIndex...]
    unit.trim(while: isBlank)
    guard !digits.isEmpty, let scale = kind.scale(of: folded(String(unit))) else {
      self = .malformed
      return
    }
    guard let number = Int64(digits) else {
      self = .tooLarge
      return
    }
    let (value, overflow) = number.multipliedReportingOverflow(by: scale)
    self = isNegative || number == 0 ? .notPositive : overflow ? .tooLarge : .value(value)
  }

  /// What is wrong with the quoted text, or nil.
  func complaint(about text: String, _ kind: Kind) -> String? {
    switch self {
    case .value: nil
    case .notPositive: "'\(text)' is not above zero"
    case .tooLarge: "'\(text)' is too large"
    case .malformed: "'\(text)' is not a \(kind.noun): write it as \(kind.example)"
    }
  }
}

extension Quantity.Kind {
  var noun: String { self == .duration ? "duration" : "size" }

  var example: String {
    self == .duration ? "'250ms', '5s', '2 min', '1h' or '30 days'" : "'512 MB', '10 GB' or '1GiB'"
  }

  /// Microseconds or bytes of one unit, its name folded.
  fileprivate func scale(of unit: String) -> Int64? {
    self == .duration ? microseconds(of: unit) : bytes(of: unit)
  }

  private func microseconds(of unit: String) -> Int64? {
    switch unit {
    case "us": 1
    case "ms": 1000
    case "s", "sec", "second", "seconds": 1_000_000
    case "m", "min", "minute", "minutes": 60_000_000
    case "h", "hour", "hours": 3_600_000_000
    case "d", "day", "days": 86_400_000_000
    default: nil
    }
  }

  private func bytes(of unit: String) -> Int64? {
    switch unit {
    case "b", "byte", "bytes": 1
    case "kb": 1000
    case "mb": 1_000_000
    case "gb": 1_000_000_000
    case "tb": 1_000_000_000_000
    case "kib": 1 << 10
    case "mib": 1 << 20
    case "gib": 1 << 30
    case "tib": 1 << 40
    default: nil
    }
  }
}

private func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }

extension Substring {
  fileprivate mutating func trim(while isBlank: (Character) -> Bool) {
    self = drop(while: isBlank)
    while let last, isBlank(last) { removeLast() }
  }
}

/// A duration in the largest unit that divides it: `parseDuration` reads it back as the same.
public func printDuration(_ microseconds: Int64) -> String {
  let units: [(Int64, String)] = [
    (86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1000, "ms"),
  ]
  for (scale, unit) in units where microseconds % scale == 0 { return "\(microseconds / scale)\(unit)" }
  return "\(microseconds)us"
}

extension Parser {
  /// A duration in single quotes, in microseconds.
  mutating func duration() throws(SQLError) -> Int64 {
    guard at(.string) else { throw unexpected() }
    let start = self
    let text = try name()
    let quantity = Quantity(text, .duration)
    guard let value = quantity.value else {
      throw start.invalid(quantity.complaint(about: text, .duration) ?? "'\(text)' is not a duration")
    }
    return value
  }
}
