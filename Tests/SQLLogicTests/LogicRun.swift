// Records run by a shell: one script through a pipe, its output and its errors told apart by record again.
import Foundation
import SluiceTesting

/// A shell that reads SQL.
enum LogicEngine {
  /// The shell under test, which answers to the name of the stock engine too.
  case sluice
  /// Stock sqlite3: the oracle.
  case stock

  var names: [String] { self == .sluice ? ["sqlite", "sluice"] : ["sqlite"] }
}

/// What became of one record.
struct LogicOutcome: Equatable {
  var rows: [[LogicValue]] = []
  var error: String?
}

/// A value as the shells print it.
enum LogicValue: Equatable {
  case null
  case text(String)

  /// The value as an answer writes it, for a column of type I, R or T.
  func written(as type: Character) -> String {
    guard case .text(let text) = self else { return "NULL" }
    switch type {
    case "I": return wholePart(text)
    case "R": return String(format: "%.3f", realPrefix(text))
    default:
      if text.isEmpty { return "(empty)" }
      return String(decoding: text.utf8.map { (32...126).contains($0) ? $0 : UInt8(ascii: "@") }, as: UTF8.self)
    }
  }
}

/// A number's part before the point; 0 for other texts.
private func wholePart(_ text: String) -> String {
  let digits = text.drop { $0 == " " }.prefix { $0.isNumber || $0 == "-" || $0 == "+" }
  if digits.count == text.count, let number = Int64(text) { return String(number) }
  let real = realPrefix(text)
  return abs(real) < 9.2e18 ? String(Int64(real)) : String(real < 0 ? Int64.min : Int64.max)
}

private func realPrefix(_ text: String) -> Double {
  switch text {
  case "Inf": .infinity
  case "-Inf": -.infinity
  default: text.first.map { $0.isNumber || "+-. ".contains($0) } == true ? strtod(text, nil) : 0
  }
}

/// A script made of records.
struct LogicScript {
  private static let fieldEnd = "\u{1f}", rowEnd = "\u{1e}", mark = "\u{1d}", nullText = "\u{1}"

  private(set) var text = ".separator \"\\037\" \"\\036\"\n.nullvalue \"\\001\"\n"
  private var line = 3
  /// Line on which each record begins, in order.
  private var starts: [(line: Int, record: Int)] = []
  private var recordCount = 0

  init(_ records: [LogicRecord], for engine: LogicEngine) {
    var isHalted = false
    for record in records {
      let number = recordCount
      recordCount += 1
      guard !isHalted, record.isFor(engine.names) else { continue }
      switch record.kind {
      case .halt: isHalted = true
      case .statement: append(record.sql, number)
      case .query:
        append(mark: -1)
        append(record.sql, number)
        append(mark: number)
      }
    }
  }

  private mutating func append(_ sql: String, _ number: Int) {
    starts.append((line, number))
    text += sql + "\n;\n"
    line += sql.count { $0 == "\n" } + 2
  }

  /// A line that parts the output.
  private mutating func append(mark number: Int) {
    text += ".print \"\\035\(number)\"\n"
    line += 1
  }

  /// What became of each record, by what the shell wrote. A record that was not run has the empty outcome.
  func outcomes(of result: ProcessResult) -> [LogicOutcome] {
    var outcomes = Array(repeating: LogicOutcome(), count: recordCount)
    // Rows of a query stand before its mark and behind the one before.
    var rows = ""
    for (index, part) in result.text.components(separatedBy: Self.mark).enumerated() {
      if index > 0 {
        let end = part.firstIndex(of: "\n") ?? part.endIndex
        if let number = Int(part[..<end]), number >= 0 { outcomes[number].rows = parse(rows) }
        rows = end == part.endIndex ? "" : String(part[part.index(after: end)...])
      }
    }
    for text in result.errorText.split(separator: "\n") {
      guard let match = try? /(?:Parse|Runtime) error near line (\d+): (.*)/.wholeMatch(in: text),
        let line = Int(match.1), let start = starts.last(where: { $0.line <= line })
      else { continue }
      outcomes[start.record].error = String(match.2)
    }
    return outcomes
  }

  private func parse(_ text: String) -> [[LogicValue]] {
    text.components(separatedBy: Self.rowEnd).dropLast().map { row in
      row.components(separatedBy: Self.fieldEnd).map { $0 == Self.nullText ? .null : .text($0) }
    }
  }
}

/// A run that did not come to its end.
struct LogicRunFailure: Error, CustomStringConvertible {
  let description: String
}

/// Runs records on a fresh store or database.
func run(_ records: [LogicRecord], on engine: LogicEngine, options: [String] = []) throws -> [LogicOutcome] {
  let script = LogicScript(records, for: engine)
  let result: ProcessResult
  switch engine {
  case .sluice:
    let folder = TemporaryFolder()
    result = try runProcess(
      builtProduct("sluice"), ["-batch", folder.file("s.sluice")] + options, input: Array(script.text.utf8),
      timeoutSeconds: 120)
  case .stock: result = try stockSQLite(script.text)
  }
  guard result.status <= 1, !result.timedOut else {
    throw LogicRunFailure(description: "\(engine) ended with status \(result.status): \(result.errorText.suffix(400))")
  }
  return script.outcomes(of: result)
}

/// The lines that a query's rows are written as.
func answer(_ rows: [[LogicValue]], _ types: String, _ sort: LogicSort, hashThreshold: Int) -> [String] {
  let types = Array(types)
  var written = rows.map { row in
    zip(row, types + Array(repeating: "T", count: max(0, row.count - types.count))).map { $0.written(as: $1) }
  }
  if sort == .rowsort {
    written.sort { left, right in left.lexicographicallyPrecedes(right) { Array($0.utf8) < Array($1.utf8) } }
  }
  var values = written.flatMap { $0 }
  if sort == .valuesort { values.sort { Array($0.utf8) < Array($1.utf8) } }
  guard hashThreshold > 0, values.count > hashThreshold else { return values }
  return [hashLine(values)]
}

func hashLine(_ values: [String]) -> String {
  "\(values.count) values hashing to \(md5(Array(values.map { $0 + "\n" }.joined().utf8)))"
}

private func < (left: [UInt8], right: [UInt8]) -> Bool { left.lexicographicallyPrecedes(right) }
