// Moments as text in UTC, and the calendar behind them: the one place that turns microseconds since 1970 into dates.

/// A date of the Gregorian calendar.
public struct CalendarDate: Equatable, Sendable {
  public let year: Int64
  /// 1 to 12.
  public let month: Int64
  /// 1 to 31.
  public let day: Int64

  public init(year: Int64, month: Int64, day: Int64) {
    self.year = year
    self.month = month
    self.day = day
  }

  /// The date so many days behind 1970-01-01.
  /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
  public init(daysSince1970 days: Int64) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
  }

  /// Days since 1970-01-01; of a day that its month does not have, those of a day of the next. Source: as above,
  /// days_from_civil.
  public var daysSince1970: Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}

/// A moment as SQLite writes it, in UTC: `2026-03-01 12:00:00.250`. Microseconds since 1970-01-01, of the years 0 to
/// 9999; `fractionDigits`: 1 to 6 digits of the second, the rest is left out.
public func utcText(microseconds: Int64, separator: String = " ", fractionDigits: Int = 3) -> String {
  let perDay: Int64 = 86_400_000_000
  let days = microseconds >= 0 ? microseconds / perDay : -((perDay - 1 - microseconds) / perDay)
  let rest = microseconds - days * perDay
  func digits(_ number: Int64, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
  }
  let date = CalendarDate(daysSince1970: days)
  let seconds = rest / 1_000_000
  let time = [seconds / 3_600, seconds / 60 % 60, seconds % 60].map { digits($0, 2) }
  return digits(date.year, 4) + "-" + digits(date.month, 2) + "-" + digits(date.day, 2) + separator
    + time.joined(separator: ":") + "." + digits(rest % 1_000_000, 6).prefix(fractionDigits)
}
