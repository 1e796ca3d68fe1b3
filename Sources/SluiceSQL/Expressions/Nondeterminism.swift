// Finds what reads the clock or the time zone in SQL text. Functions that give another value at each call are SQLite's
// to find; those of dates are fixed by their arguments in most uses, and not in a few.

/// Names the first thing in the text whose value is not fixed by the row that it is evaluated for: the current time in
/// any of its forms, or a conversion by the machine's time zone; nil: there is none. What an argument that is no
/// literal says cannot be seen here. A text that is not SQL has nothing in it.
public func nondeterminism(in text: String) -> String? {
  do throws(SQLError) {
    return try parsing(text) { (parser) throws(SQLError) in
      var search = TimeSearch(parser: parser)
      return search.first()
    }
  } catch { return nil }
}

/// Walks over a text's tokens.
private struct TimeSearch {
  var parser: Parser

  mutating func first() -> String? {
    var isName = false
    while !parser.at(.end), !parser.at(.illegal) {
      // Behind a point or AS, any word is a name.
      if !isName, let found = currentTime() ?? call() { return found }
      isName = parser.at(.dot) || parser.at("AS")
      parser.advance()
    }
    return nil
  }

  private func currentTime() -> String? {
    guard parser.at("CURRENT_TIME") || parser.at("CURRENT_DATE") || parser.at("CURRENT_TIMESTAMP") else { return nil }
    let next = parser.peek().kind
    return next == .dot || next == .leftParen ? nil : parser.lexer.text(parser.token).uppercased()
  }

  /// How many arguments of a function stand in front of its time, which all but timediff take from the clock when it is
  /// left out.
  private static let argumentsBeforeTime: [String: Int] = [
    "date": 0, "time": 0, "datetime": 0, "julianday": 0, "unixepoch": 0, "strftime": 1, "timediff": 0,
  ]

  /// A call of a date function that begins at the next token, when it reads more than its arguments.
  private func call() -> String? {
    guard parser.at(.word) || parser.at(.quotedName), parser.peek().kind == .leftParen else { return nil }
    let name = folded(content(parser.token))
    guard let before = TimeSearch.argumentsBeforeTime[name] else { return nil }
    var ahead = parser
    ahead.advance()
    ahead.advance()
    var depth = 0
    var index = 0
    var isEmpty = true
    while !ahead.at(.end), depth > 0 || !ahead.at(.rightParen) {
      switch ahead.token.kind {
      case .leftParen: depth += 1
      case .rightParen: depth -= 1
      case .comma where depth == 0: index += 1
      case .string where depth > 0 || index >= before, .quotedName where depth > 0 || index >= before:
        let word = folded(content(ahead.token))
        let isNow = word == "now" || (index == before && ["subsec", "subsecond"].contains(word))
        if isNow || word == "localtime" || word == "utc" { return "\(name)() with '\(word)'" }
      default: break
      }
      isEmpty = false
      ahead.advance()
    }
    return (isEmpty ? 0 : index + 1) <= before && name != "timediff" ? "\(name)() without a time" : nil
  }

  private func content(_ token: Token) -> String {
    token.kind == .word ? parser.lexer.text(token) : String(decoding: parser.lexer.unquoted(token), as: UTF8.self)
  }
}
