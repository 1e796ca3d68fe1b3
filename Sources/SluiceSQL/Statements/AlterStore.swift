// ALTER STORE: settings that a store keeps. There is one, how long its events are kept.

/// How long events are kept when every reader has passed them.
public enum Retention: Equatable, Sendable {
  case forever
  case microseconds(Int64)
  case bytes(Int64)

  /// What `retain` is set to: 'forever' or that word, a duration, a size. Throws invalid.
  public init(_ value: SettingValue) throws(SQLError) {
    let text = value.text
    if sameName(text, "forever") {
      self = .forever
      return
    }
    let duration = Quantity(text, .duration)
    let size = Quantity(text, .size)
    if let microseconds = duration.value {
      self = .microseconds(microseconds)
    } else if let bytes = size.value {
      self = .bytes(bytes)
    } else if duration == .malformed, size == .malformed {
      throw SQLError(.invalid, "retain is '30 days', '10 GB' or 'forever', not '\(text)'")
    } else {
      let complaint =
        duration == .malformed ? size.complaint(about: text, .size) : duration.complaint(about: text, .duration)
      throw SQLError(.invalid, "retain: " + (complaint ?? text))
    }
  }
}

extension Parser {
  /// ALTER STORE behind its STORE: `SET name = value`, with `=` or TO as SET has it.
  mutating func alterStore() throws(SQLError) -> Statement {
    try expect("SET")
    let start = token.start
    let name = folded(try self.name())
    guard name == "retain" else {
      throw SQLError(.invalid, "no such setting of a store: \(name)", offset: start)
    }
    if !take("TO") { try expect(.equal) }
    let valueStart = token.start
    let value = try settingValue()
    do { _ = try Retention(value) } catch { throw SQLError(error.kind, error.message, offset: valueStart) }
    try finish()
    return .alterStore(name: name, value: value)
  }
}
