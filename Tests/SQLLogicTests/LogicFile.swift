// Files in the format of sqllogictest (https://sqlite.org/sqllogictest/doc/trunk/about.wiki): statements that must work
// or fail, and queries with their answers.
//
//     # A comment; records are parted by blank lines.
//     onlyif sluice
//     statement ok
//     CREATE TABLE t(a INTEGER, SHARD KEY(a))
//
//     statement error
//     INSERT INTO nosuch VALUES(1)
//
//     query IT rowsort
//     SELECT a, b FROM t
//     ----
//     1
//     one
//
// A query names the type of each column (I, R, T), and nosort, rowsort or valuesort; behind that a label may stand:
// queries of one label have one answer. An answer is one value a line, or `30 values hashing to` and an MD5.
// `hash-threshold N`: answers of more than N values are written that way. `skipif` and `onlyif` name an engine, `halt`
// ends the file.
import Foundation

/// What a query's values are compared in.
enum LogicSort: String {
  case nosort, rowsort, valuesort
}

/// One statement or query.
struct LogicRecord {
  enum Kind: Equatable {
    case statement(succeeds: Bool)
    case query(types: String, sort: LogicSort, label: String?)
    case halt
  }

  var kind: Kind
  var sql: String
  /// Line of the record's first word, from 1.
  var line: Int
  /// The engines that `onlyif` and `skipif` name.
  var only: [String] = []
  var skip: [String] = []
  /// The lines behind `----`, and where they stand: indexes from behind `----` to behind the last.
  var expected: [String] = []
  var expectedLines = 0..<0
  /// Values from which an answer is hashed; 0: never.
  var hashThreshold = 0

  /// Whether an engine of these names runs it.
  func isFor(_ names: [String]) -> Bool {
    only.allSatisfy(names.contains) && !skip.contains(where: names.contains)
  }
}

/// A file that is not in the format.
struct LogicSyntaxError: Error, CustomStringConvertible {
  let description: String
}

/// Parses the text of a file.
func parseLogic(_ text: String, path: String) throws(LogicSyntaxError) -> [LogicRecord] {
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
    line.hasSuffix("\r") ? String(line.dropLast()) : String(line)
  }
  var parser = LogicParser(lines: lines, path: path)
  while try parser.takeRecord() {}
  return parser.records
}

private struct LogicParser {
  let lines: [String]
  let path: String
  var records: [LogicRecord] = []
  private var index = 0
  private var threshold = 0
  private var only: [String] = []
  private var skip: [String] = []

  init(lines: [String], path: String) {
    self.lines = lines
    self.path = path
  }

  private func wrong(_ what: String) -> LogicSyntaxError {
    LogicSyntaxError(description: "\(path):\(index + 1): \(what)")
  }

  /// Takes one record or control line; false at the end.
  mutating func takeRecord() throws(LogicSyntaxError) -> Bool {
    while index < lines.count, lines[index].isEmpty || lines[index].hasPrefix("#") { index += 1 }
    guard index < lines.count else { return false }
    let words = lines[index].split { $0 == " " || $0 == "\t" }.prefix { !$0.hasPrefix("#") }.map(String.init)
    switch words.first {
    case "hash-threshold":
      guard words.count == 2, let count = Int(words[1]) else { throw wrong("hash-threshold has a number") }
      threshold = count
      index += 1
    case "skipif", "onlyif":
      guard words.count == 2 else { throw wrong("\(words[0]) has an engine's name") }
      if words[0] == "skipif" { skip.append(words[1]) } else { only.append(words[1]) }
      index += 1
    case "halt":
      append(.halt, sql: "", line: index + 1)
      index += 1
    case "statement":
      guard words.count == 2, ["ok", "error"].contains(words[1]) else { throw wrong("statement is ok or error") }
      let line = index + 1
      append(.statement(succeeds: words[1] == "ok"), sql: takeText(), line: line)
    case "query": try takeQuery(words)
    default: throw wrong("no record begins with \(words.first ?? "")")
    }
    return true
  }

  private mutating func takeQuery(_ words: [String]) throws(LogicSyntaxError) {
    guard (2...4).contains(words.count), words[1].allSatisfy({ "IRT".contains($0) }),
      let sort = words.count == 2 ? .nosort : LogicSort(rawValue: words[2])
    else { throw wrong("query has types of I, R and T, and nosort, rowsort or valuesort") }
    let line = index + 1
    append(
      .query(types: words[1], sort: sort, label: words.count == 4 ? words[3] : nil), sql: takeText(), line: line)
    guard index < lines.count, lines[index] == "----" else { return }
    index += 1
    let first = index
    while index < lines.count, !lines[index].isEmpty { index += 1 }
    records[records.count - 1].expected = Array(lines[first..<index])
    records[records.count - 1].expectedLines = first..<index
  }

  private mutating func append(_ kind: LogicRecord.Kind, sql: String, line: Int) {
    records.append(
      LogicRecord(kind: kind, sql: sql, line: line, only: only, skip: skip, hashThreshold: threshold))
    (only, skip) = ([], [])
  }

  /// The lines behind the record's first, up to a blank one or `----`.
  private mutating func takeText() -> String {
    index += 1
    let first = index
    while index < lines.count, !lines[index].isEmpty, lines[index] != "----" { index += 1 }
    return lines[first..<index].joined(separator: "\n")
  }
}
