// The lines of inspections: their form, what is counted, what a brief report leaves out.
import SluiceSystem
import Testing

@Suite struct InspectionReportTests {
  @Test func fieldsAreQuotedWhenTheyMustBe() {
    for (text, expected) in [
      ("shop/log", " k=shop/log"), ("é…", " k=é…"), ("", " k=\"\""), ("a b", " k=\"a b\""),
      ("say \"x\"\\", " k=\"say \\\"x\\\"\\\\\""), ("a\nb\u{1}\u{7f}", " k=\"a\\nb\\u{1}\\u{7f}\""),
    ] {
      #expect(field("k", text) == expected)
    }
  }

  @Test func digits() {
    #expect(hexDigits([0x00, 0x9f, 0xff]) == "009fff")
    #expect(hexDigits([1, 2, 3], limit: 2) == "0102…")
    #expect(hexDigits([1, 2], limit: 2) == "0102")
    #expect(hexDigits([UInt8]()) == "")
  }

  @Test func damageIsCountedAndToldAlways() {
    for isBrief in [false, true] {
      let report = InspectionReport(isBrief: isBrief)
      report.tell("table file=a")
      report.damage("two words", file: "a b", offset: 7, place: "keys=01..02")
      report.unread("closed", file: "c")
      report.conclude("blocks=1")
      #expect(
        report.lines == (isBrief ? [] : ["table file=a"]) + [
          "damage file=\"a b\" offset=7 keys=01..02 what=\"two words\"", "unread file=c what=closed",
          "verdict state=damaged damages=1 unread=1 blocks=1",
        ])
    }
  }

  @Test func verdicts() {
    let report = InspectionReport()
    #expect(report.isSound)
    report.conclude("")
    report.unread("x", file: "y")
    report.conclude("")
    let part = InspectionReport(isBrief: true)
    part.damage("x", file: "y")
    report.add(part)
    #expect(!report.isSound && report.damageCount == 1 && report.unreadCount == 1)
    report.conclude("")
    #expect(
      report.lines.filter { $0.hasPrefix("verdict") } == [
        "verdict state=sound damages=0", "verdict state=unread damages=0 unread=1",
        "verdict state=damaged damages=1 unread=1",
      ])
  }

  /// What may not be read is not called damaged; what is gone, or what the disk does not give back, is.
  @Test func refusals() {
    let report = InspectionReport()
    for code: Int32 in [13, 1, 24] { report.refused(SystemError(call: "open", path: "a", code: code)) }
    #expect(report.damageCount == 0 && report.unreadCount == 3)
    for code: Int32 in [2, 5] { report.refused(SystemError(call: "open", path: "a", code: code)) }
    #expect(report.damageCount == 2 && report.unreadCount == 3)
    #expect(report.lines[3] == "damage file=a what=\"open a: No such file or directory\"")
  }

  @Test func linesGoToTheOutput() {
    var lines: [String] = []
    let report = InspectionReport { lines.append($0) }
    report.tell("one")
    report.conclude("")
    #expect(lines == ["one", "verdict state=sound damages=0"])
    #expect(report.lines == [])
  }
}
