// Times of events as text: `2026-11-24 10:00:00.000001`, UTC, always with six digits of the second, so that they
// compare as texts as the times do, also with what SQLite's own date functions return. Years 0001 to 9999.

/// Times as SQLite's date functions write them.
enum EventTime {
  private static let perDay: Int64 = 86_400_000_000
  static let lowest: Int64 = -62_135_596_800_000_000
  static let highest: Int64 = 253_402_300_799_999_999

  /// The 26 characters for `microseconds` since 1970-01-01 UTC; times outside the years are those at their border.
  static func text(_ microseconds: Int64) -> String {
    let time = min(max(microseconds, lowest), highest)
    let day = time >= 0 ? time / perDay : -((perDay - 1 - time) / perDay)
    var rest = time - day * perDay
    let (year, month, date) = civil(day)
    let fraction = rest % 1_000_000
    rest /= 1_000_000
    return pad(year, 4) + "-" + pad(month, 2) + "-" + pad(date, 2) + " " + pad(rest / 3_600, 2) + ":"
      + pad(rest / 60 % 60, 2) + ":" + pad(rest % 60, 2) + "." + pad(fraction, 6)
  }

  /// The time that `text` begins to write: `2026-11-24`, and as much of ` 10:00:00.000001` as there is, missing parts
  /// being zero and digits beyond the sixth left out. With `isLenient` also a T for the space and a Z at the end. Nil
  /// for anything else. As text it is then not above what `text(_:)` writes for the result, nor above that of any later
  /// time; and it is above that of any time before.
  static func parse(_ text: String, isLenient: Bool = false) -> Int64? {
    var reader = Digits(rest: Array(text.utf8)[...])
    if isLenient, reader.rest.last == UInt8(ascii: "Z") { reader.rest.removeLast() }
    guard let year = reader.number(4), year > 0, reader.take("-"), let month = reader.number(2),
      (1...12).contains(month), reader.take("-"), let date = reader.number(2), date > 0
    else { return nil }
    let day = days(year, month, date)
    guard civil(day) == (year, month, date) else { return nil }
    var time = day * perDay
    if reader.rest.isEmpty { return time }
    guard reader.take(" ") || isLenient && reader.take("T"), let hour = reader.number(2), hour < 24, reader.take(":"),
      let minute = reader.number(2), minute < 60
    else { return nil }
    time += (hour * 60 + minute) * 60_000_000
    if reader.rest.isEmpty { return time }
    guard reader.take(":"), let second = reader.number(2), second < 60 else { return nil }
    time += second * 1_000_000
    if reader.rest.isEmpty { return time }
    guard reader.take("."), !reader.rest.isEmpty else { return nil }
    var unit: Int64 = 100_000
    while let digit = reader.number(1) {
      time += digit * unit
      unit /= 10
    }
    return reader.rest.isEmpty ? time : nil
  }

  private struct Digits {
    var rest: ArraySlice<UInt8>

    mutating func take(_ character: Character) -> Bool {
      guard let byte = character.asciiValue, rest.first == byte else { return false }
      rest.removeFirst()
      return true
    }

    mutating func number(_ count: Int) -> Int64? {
      guard rest.count >= count, rest.prefix(count).allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
      defer { rest.removeFirst(count) }
      return rest.prefix(count).reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }
  }

  private static func pad(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
  }

  /// Days since 1970-01-01 of a date of the Gregorian calendar, and back
  /// (https://howardhinnant.github.io/date_algorithms.html).
  private static func days(_ year: Int64, _ month: Int64, _ date: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + date - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func civil(_ days: Int64) -> (Int64, Int64, Int64) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }
}
