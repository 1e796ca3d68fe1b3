// Views that say `main.`: stock SQLite attaches projections.db under other names too, and refuses a whole file in which
// one view names another schema than its own. A view's own schema is where its names are looked for anyhow, so the word
// can be left out.

/// The text of a CREATE VIEW in which tables of the schema `main` stand without it; else nothing changes. Nil: it
/// cannot be said without, for WITH has a table of such a name.
public func withoutMainSchema(_ text: String) -> String? {
  let bytes = Array(text.utf8)
  return bytes.withUnsafeBytes { bytes in
    var search = MainSearch(bytes)
    return search.run()
  }
}

/// Walks over a statement's tokens and knows where the name of a table is expected.
private struct MainSearch {
  /// What a pair of parentheses holds.
  private struct Place {
    /// Whether a FROM has begun and not ended.
    var isFrom: Bool
    /// Whether the next token begins what FROM reads.
    var expectsTable: Bool
  }

  private let lexer: Lexer
  private let tokens: [Token]
  private var places = [Place(isFrom: false, expectsTable: false)]
  /// Tables of `main`, folded.
  private var tables: Set<String> = []

  init(_ text: UnsafeRawBufferPointer) {
    var lexer = Lexer(text)
    var tokens: [Token] = []
    while true {
      let token = lexer.next()
      tokens.append(token)
      if token.kind == .end { break }
    }
    self.lexer = lexer
    self.tokens = tokens
  }

  mutating func run() -> String? {
    var result = ""
    var copied = 0
    for index in tokens.indices {
      if isMain(index) {
        result += lexer.text(copied..<tokens[index].start)
        copied = tokens[index + 2].start
        tables.insert(name(index + 2))
      }
      follow(index)
    }
    if tokens.indices.contains(where: isTableOfWith) { return nil }
    return result + lexer.text(copied..<tokens[tokens.count - 1].start)
  }

  private func kind(_ index: Int) -> TokenKind { tokens.indices.contains(index) ? tokens[index].kind : .end }

  private func at(_ index: Int, _ word: StaticString) -> Bool {
    tokens.indices.contains(index) && lexer.isWord(tokens[index], word)
  }

  private func isName(_ index: Int) -> Bool {
    kind(index) == .word || kind(index) == .quotedName || kind(index) == .string
  }

  private func name(_ index: Int) -> String {
    guard isName(index) else { return "" }
    let token = tokens[index]
    let bytes = token.kind == .word ? Array(lexer.text(token).utf8) : lexer.unquoted(token)
    return folded(String(decoding: bytes, as: UTF8.self))
  }

  /// Whether the token is `main` in front of a table: of a table's column, or where a table is expected. A table may
  /// have that name too, and `main.a` is a column of it everywhere else.
  private func isMain(_ index: Int) -> Bool {
    guard kind(index + 1) == .dot, kind(index - 1) != .dot, isName(index + 2), name(index) == "main" else {
      return false
    }
    if kind(index + 3) == .dot { return true }
    return places[places.count - 1].expectsTable || at(index - 1, "IN")
  }

  private mutating func follow(_ index: Int) {
    let last = places.count - 1
    let expectsTable = places[last].expectsTable
    places[last].expectsTable = false
    switch kind(index) {
    case .leftParen: places.append(Place(isFrom: expectsTable, expectsTable: expectsTable))
    case .rightParen: if places.count > 1 { places.removeLast() }
    case .comma: places[last].expectsTable = places[last].isFrom
    case .word where at(index, "FROM"):
      // IS DISTINCT FROM compares.
      if at(index - 1, "DISTINCT") { break }
      places[last] = Place(isFrom: true, expectsTable: true)
    case .word where at(index, "JOIN"): places[last].expectsTable = places[last].isFrom
    case .word where endsFrom(index): places[last].isFrom = false
    default: break
    }
  }

  private func endsFrom(_ index: Int) -> Bool {
    let words: [StaticString] = [
      "SELECT", "VALUES", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT",
    ]
    return words.contains { at(index, $0) }
  }

  /// Whether the token names a table of WITH that hides one of `main`.
  private func isTableOfWith(_ index: Int) -> Bool {
    guard isName(index), tables.contains(name(index)) else { return false }
    let isFirst = at(index - 1, "WITH") || at(index - 1, "RECURSIVE") || kind(index - 1) == .comma
    return isFirst && (at(index + 1, "AS") && followsParen(index + 2) || kind(index + 1) == .leftParen)
  }

  /// Whether a parenthesis stands at `index`, or behind MATERIALIZED.
  private func followsParen(_ index: Int) -> Bool {
    (index..<index + 3).first { !at($0, "NOT") && !at($0, "MATERIALIZED") }.map { kind($0) == .leftParen } ?? false
  }
}
