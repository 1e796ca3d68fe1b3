// Times of events as text: `2026-11-24 10:00:00.000001`, UTC, always with six digits of the second, so that they
// compare as texts as the times do, also with what SQLite's own date functions return. Years 0001 to 9999.
import SluiceSystem

/// Times as SQLite's date functions write them.
enum EventTime {
  private static let perDay: Int64 = 86_400_000_000
  static let lowest: Int64 = -62_135_596_800_000_000
  static let highest: Int64 = 253_402_300_799_999_999

  /// The 26 characters for `microseconds` since 1970-01-01 UTC; times outside the years are those at their border.
  static func text(_ microseconds: Int64) -> String {
    utcText(microseconds: min(max(microseconds, lowest), highest), fractionDigits: 6)
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
    let written = CalendarDate(year: year, month: month, day: date)
    let day = written.daysSince1970
    guard CalendarDate(daysSince1970: day) == written else { return nil }
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
}
