// Which part of the log a query of `sluice_events` has to read. A part may be too large, for SQLite checks every row,
// and never too small.
import SluiceSQLite

/// Positions and times, both ends included.
struct EventRange: Equatable {
  var first: Int64 = 1
  var last: Int64 = .max
  private var earliest: Int64 = .min
  private var latest: Int64 = .max

  /// The times asked for; nil: all.
  var times: ClosedRange<Int64>? {
    earliest == .min && latest == .max || earliest > latest ? nil : earliest...latest
  }

  var isEmpty: Bool { first > last || earliest > latest }

  private mutating func clear() { (first, last) = (1, 0) }

  mutating func narrowPosition(_ relation: AccessPlan.Relation, _ value: Value) {
    let below: Int64
    let above: Int64
    switch value {
    case .integer(let number): (below, above) = (number, number)
    case .real(let number):
      below = Int64(exactly: number.rounded(.down)) ?? (number > 0 ? .max : .min)
      above = Int64(exactly: number.rounded(.up)) ?? (number > 0 ? .max : .min)
    case .null: return clear()
    // Compared after a conversion, or by storage class: SQLite does it.
    case .text, .blob: return
    }
    // Whole bounds may be left out themselves.
    let isWhole = below == above
    switch relation {
    case .equal: (first, last) = (max(first, below), min(last, above))
    case .greaterOrEqual: first = max(first, below)
    case .lessOrEqual: last = min(last, above)
    case .greater: first = max(first, isWhole && below < .max ? below + 1 : below)
    case .less: last = min(last, isWhole && above > .min ? above - 1 : above)
    }
  }

  mutating func narrowTime(_ relation: AccessPlan.Relation, _ value: Value) {
    if case .null = value { return clear() }
    guard case .text(let bytes) = value, let time = EventTime.parse(String(decoding: bytes, as: UTF8.self)) else {
      return
    }
    // Times beyond the years are shown as those at the border.
    let isLowest = time <= EventTime.lowest, isHighest = time >= EventTime.highest
    if relation == .equal || relation == .greater || relation == .greaterOrEqual, !isLowest {
      earliest = max(earliest, time)
    }
    if relation == .equal || relation == .less || relation == .lessOrEqual, !isHighest { latest = min(latest, time) }
  }
}
