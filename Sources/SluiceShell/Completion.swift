// What Tab offers: dot commands and their choices, SQL's words, names of SQL tables, and columns of the SQL tables
// that the statement names.
import Sluice

/// Answers readline's questions for candidates.
final class Completer {
  /// Weak: readline holds the completer for ever, and the session is to end before its store.
  private weak var session: Session?
  /// Lines of the statement that were entered before the one being edited.
  var earlierLines = ""

  init(session: Session) { self.session = session }

  /// What the word `text`, which stands at bytes `start` to `end` of `line`, may become; nil for a file's name.
  func candidates(for text: String, in line: String, at start: Int, to end: Int) -> [String]? {
    let before = String(decoding: line.utf8.prefix(start), as: UTF8.self)
    if earlierLines.isEmpty, line.utf8.first == UInt8(ascii: ".") { return dotCandidates(text, before) }
    let isLower = text.unicodeScalars.first.map { ("a"..."z").contains($0) } ?? false
    let tables = session?.tableNames() ?? []
    if let dot = text.lastIndex(of: ".") { return qualified(text, dot, tables) }
    let words = sqlWords.filter { starts($0, text) }.map { isLower ? $0.lowercased() : $0 }
    let columns = namedTables(tables, in: earlierLines + line).flatMap { session?.columnNames($0) ?? [] }
    let names = (tables + columns).filter { isPlainName($0) && starts($0, text) }
    return unique(names + (text.isEmpty && !names.isEmpty ? [] : words))
  }

  private func dotCandidates(_ text: String, _ before: String) -> [String]? {
    if before.isEmpty { return DotCommand.allCases.map { "." + $0.rawValue }.filter { starts($0, text) } }
    guard let command = DotCommand.matching(dotWords(Array(before.utf8)).first ?? "") else { return [] }
    let choices: [String]
    switch command {
    case .read, .output, .once: return nil
    case .bail, .echo, .headers, .timer: choices = ["on", "off"]
    case .mode: choices = OutputMode.allCases.map(\.rawValue)
    case .help: choices = DotCommand.allCases.map(\.rawValue)
    case .schema, .tables: choices = session?.tableNames() ?? []
    default: choices = []
    }
    return choices.filter { starts($0, text) }
  }

  /// Columns after `table.`.
  private func qualified(_ text: String, _ dot: String.Index, _ tables: [String]) -> [String] {
    let table = String(text[..<dot])
    let column = String(text[text.index(after: dot)...])
    guard let name = tables.first(where: { $0.lowercased() == table.lowercased() }) else { return [] }
    return (session?.columnNames(name) ?? []).filter { starts($0, column) && isPlainName($0) }.map { "\(table).\($0)" }
  }

  /// The SQL tables whose names stand in the statement.
  private func namedTables(_ tables: [String], in statement: String) -> [String] {
    let words = Set(statement.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "$") }.map { $0.lowercased() })
    return tables.filter { words.contains($0.lowercased()) }
  }

  private func starts(_ name: String, _ text: String) -> Bool { name.lowercased().hasPrefix(text.lowercased()) }

  private func isPlainName(_ name: String) -> Bool {
    guard let first = name.unicodeScalars.first, first == "_" || first.properties.isAlphabetic else { return false }
    return name.unicodeScalars.allSatisfy { $0 == "_" || $0 == "$" || $0.properties.isAlphabetic || isDigit($0) }
  }

  private func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }

  private func unique(_ names: [String]) -> [String] {
    var seen = Set<String>()
    return names.filter { seen.insert($0.lowercased()).inserted }
  }
}

/// The words offered: SQLite's that mean something in statements Sluice takes, and its own.
private let sqlWords = """
  ABORT ADD ALL ALTER ANALYZE AND AS ASC AT AUTOINCREMENT BEGIN BETWEEN BLOB BY CASE CAST CHECK COLLATE COLUMN \
  COMMIT CONFLICT CONSTRAINT CREATE CROSS CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DEFAULT DESC DISTINCT DROP \
  ELSE END ENFORCED ESCAPE EVERY EXCEPT EXISTS EXPLAIN FILTER FIRST FOR FOREIGN FROM FULL GLOB GROUP HAVING IF \
  IGNORE IN INDEX INNER INSERT INTEGER INTERSECT INTO IS ISNULL JOIN KEY LAST LEFT LIKE LIMIT NATURAL NOT NOTNULL \
  NULL NULLS NUMERIC OF OFFSET ON OR ORDER OUTER OVER PARTITION PAUSE PAUSED PLAN PRAGMA PRIMARY PROJECTION \
  PROJECTIONS QUERY QUEUE RANGE REAL REBUILD RECURSIVE REDRIVE REFERENCES REFRESH RENAME REPLACE RESUME RIGHT \
  ROLLBACK ROW ROWID ROWS SELECT SET SHARD SHARDS SHOW STORE TABLE TABLES TEXT THEN TIMEOUT TO TRANSACTION UNION \
  UNIQUE USING VALUES VIEW WAIT WHEN WHERE WINDOW WITH WITHOUT
  """.split(separator: " ").map(String.init)
