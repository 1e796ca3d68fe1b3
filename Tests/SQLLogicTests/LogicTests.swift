// Every file of Cases/ through the shell, and through stock sqlite3, which shows that the answers in it are right.
import Foundation
import SluiceTesting
import Testing

@Suite struct LogicTests {
  /// SLUICE_REWRITE=1 writes the answers of stock sqlite3 into the file.
  @Test(arguments: goldenFiles("Cases")) func file(_ file: GoldenFile) throws {
    let text = try String(contentsOfFile: file.path, encoding: .utf8)
    let records = try parseLogic(text, path: file.description)
    let stock = try run(records, on: .stock)
    if ProcessInfo.processInfo.environment["SLUICE_REWRITE"] == "1" {
      try rewrittenLogic(text, records, stock).write(toFile: file.path, atomically: true, encoding: .utf8)
      return
    }
    expectNone(differences(records, stock, .stock, file.description))
    expectNone(differences(records, try run(records, on: .sluice), .sluice, file.description))
  }

  /// What the shell reads while it is in a transaction, and what it reads without mirrors, are one with the rest.
  @Test(arguments: goldenFiles("Cases")) func fileInOneTransaction(_ file: GoldenFile) throws {
    let text = try String(contentsOfFile: file.path, encoding: .utf8)
    guard !text.contains("BEGIN") else { return }
    let begin = LogicRecord(kind: .statement(succeeds: true), sql: "BEGIN", line: 0)
    let records = [begin] + (try parseLogic(text, path: file.description))
    expectNone(differences(records, try run(records, on: .sluice), .sluice, file.description))
  }

  private func expectNone(_ differences: [String]) {
    if !differences.isEmpty { Issue.record("\n\(differences.prefix(20).joined(separator: "\n"))") }
  }

  /// What a run says that the file does not.
  private func differences(
    _ records: [LogicRecord], _ outcomes: [LogicOutcome], _ engine: LogicEngine, _ name: String
  ) -> [String] {
    var result: [String] = []
    var answers: [String: [String]] = [:]
    for (record, outcome) in zip(records, outcomes) {
      if record.kind == .halt, record.isFor(engine.names) { break }
      guard record.isFor(engine.names) else { continue }
      let place = "\(name):\(record.line): \(engine): "
      switch record.kind {
      case .halt: break
      case .statement(let succeeds):
        if succeeds, let error = outcome.error { result.append(place + error + "\n  " + record.sql) }
        if !succeeds, outcome.error == nil { result.append(place + "no error from " + record.sql) }
      case .query(let types, let sort, let label):
        if let sentence = difference(record, outcome, types, sort) {
          result.append(place + sentence + "\n  " + record.sql)
        }
        guard let label else { continue }
        let values = answer(outcome.rows, types, sort, hashThreshold: 0)
        if answers[label, default: values] != values { result.append(place + "another answer than \(label) before") }
        answers[label] = values
      }
    }
    return result
  }

  private func difference(
    _ record: LogicRecord, _ outcome: LogicOutcome, _ types: String, _ sort: LogicSort
  ) -> String? {
    if let error = outcome.error { return error }
    if let row = outcome.rows.first(where: { $0.count != types.count }) {
      return "\(row.count) columns, not \(types.count)"
    }
    let values = answer(outcome.rows, types, sort, hashThreshold: 0)
    let isHashed = record.expected.count == 1 && record.expected[0].contains(" values hashing to ")
    let shown = isHashed ? [hashLine(values)] : values
    return shown == record.expected
      ? nil : "got \(shown.joined(separator: " ")), not \(record.expected.joined(separator: " "))"
  }

  /// The file with the answers of a run in place of its own.
  private func rewrittenLogic(_ text: String, _ records: [LogicRecord], _ outcomes: [LogicOutcome]) -> String {
    var lines = text.components(separatedBy: "\n")
    for (record, outcome) in zip(records, outcomes).reversed() where !record.expectedLines.isEmpty || isOpen(record) {
      guard case .query(let types, let sort, _) = record.kind, record.isFor(LogicEngine.stock.names) else { continue }
      lines.replaceSubrange(
        record.expectedLines, with: answer(outcome.rows, types, sort, hashThreshold: record.hashThreshold))
    }
    return lines.joined(separator: "\n")
  }

  /// Whether an answer has a place and is not written yet.
  private func isOpen(_ record: LogicRecord) -> Bool { record.expectedLines.lowerBound > 0 }

  @Test func md5OfKnownTexts() {
    #expect(md5([]) == "d41d8cd98f00b204e9800998ecf8427e")
    #expect(md5(Array("abc".utf8)) == "900150983cd24fb0d6963f7d28e17f72")
    #expect(md5(Array(String(repeating: "1234567890", count: 8).utf8)) == "57edf4a22be3c955ac49da2e2107b67a")
  }

  @Test func valuesAsTheFormatWritesThem() {
    let values = [LogicValue.null, .text(""), .text("a\tb"), .text("12.75"), .text("-7"), .text("x")]
    #expect(values.map { $0.written(as: "T") } == ["NULL", "(empty)", "a@b", "12.75", "-7", "x"])
    #expect(values.map { $0.written(as: "I") } == ["NULL", "0", "0", "12", "-7", "0"])
    #expect(values.map { $0.written(as: "R") } == ["NULL", "0.000", "0.000", "12.750", "-7.000", "0.000"])
  }
}
