// Every error the shell prints takes its words here: sqlite3's form, with the fragment and the caret.
import Sluice

/// Where a statement came from, which decides how its error is introduced.
enum StatementSource {
  /// A script: the line on which the statement begins is told.
  case script
  /// A terminal: the statement is still in sight.
  case terminal
  /// An argument of the command line.
  case argument
}

enum ErrorReport {
  /// The lines for one error; `fragment` is the text around `error.offset`, when there is an offset.
  static func lines(_ error: StoreError, from source: StatementSource, line: Int?, fragment: [UInt8]) -> [UInt8] {
    var head: String
    switch source {
    case .script:
      head = error.isParse ? "Parse error" : "Runtime error"
      if let line { head += " near line \(line)" }
      head += ": "
    case .terminal:
      head = error.isParse ? "Parse error: " : "Runtime error: "
    case .argument:
      head = error.isParse ? "Error: in prepare, " : "Error: stepping, "
    }
    var text = Array((head + error.message).utf8)
    if let code = error.sqliteCode, code > 1, code != schemaCode { text += Array(" (\(code))".utf8) }
    text.append(UInt8(ascii: "\n"))
    return text + fragment
  }

  /// SQLITE_SCHEMA: SQLite adds it to a name's error when it has not read the schema before, and it says nothing more.
  private static let schemaCode: Int32 = 17

  /// A complaint that belongs to no statement.
  static func line(_ message: String) -> [UInt8] { Array("Error: \(message)\n".utf8) }

  /// At most 78 bytes of the statement around `offset` and a caret below, laid out as sqlite3 does: the offset counts
  /// bytes, white space becomes spaces, and past column 25 the words stand before the caret.
  /// `text` begins with the statement (or inside it) and goes on to the end of its last line. Empty when the offset
  /// lies at or past the end of the text.
  static func fragment(of text: [UInt8], offset: Int) -> [UInt8] {
    guard offset >= 0 else { return [] }
    var (code, caret) = (text, offset)
    if let end = code.firstIndex(of: 0) { code.removeSubrange(end...) }
    guard caret < code.count else { return [] }
    if caret > 50 {
      var start = caret - 50
      while start < code.count, isContinuation(code[start]) { start += 1 }
      code.removeSubrange(..<start)
      caret -= start
    }
    if code.count > 78 {
      var length = 78
      while length > 0, isContinuation(code[length]) { length -= 1 }
      code.removeSubrange(length...)
    }
    let spaces = Array(repeating: UInt8(ascii: " "), count: 2 + max(0, caret < 25 ? caret : caret - 14))
    let mark = caret < 25 ? "^--- error here\n" : "error here ---^\n"
    let shown = code.map { isSpace($0) ? UInt8(ascii: " ") : $0 }
    return Array("  ".utf8) + shown + Array("\n".utf8) + spaces + Array(mark.utf8)
  }

  /// Bytes before `offset` and after it that `fragment` can need: 50 and 78 of up to four each.
  static let fragmentReach = 400

  private static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xc0 == 0x80 }
}

/// White space as C's isspace sees it.
func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
