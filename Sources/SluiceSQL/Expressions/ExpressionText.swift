// What the text of an expression tells by its tokens alone: qualifiers, a lone column, a collation at its end.

/// An expression's text, looked at token by token. SQLite parses it; this only finds what stands in it.
public struct ExpressionText: Sendable {
  public let text: String

  public init(_ text: String) { self.text = text }

  /// Tokens with their texts. `depth`: how many parentheses are open around it.
  private func eachToken(_ body: (_ kind: TokenKind, _ text: String, _ name: String, _ depth: Int) -> Void) {
    let bytes = Array(text.utf8)
    bytes.withUnsafeBytes { bytes in
      var lexer = Lexer(bytes)
      var depth = 0
      while true {
        let token = lexer.next()
        if token.kind == .end { return }
        if token.kind == .rightParen { depth -= 1 }
        let name =
          token.kind == .word || token.kind == .quotedName
          ? String(decoding: lexer.unquotedName(token), as: UTF8.self) : ""
        body(token.kind, lexer.text(token), name, depth)
        if token.kind == .leftParen { depth += 1 }
      }
    }
  }

  /// The same expression with `table.column` written as `column`, for a text that speaks of one table only.
  public func unqualified(_ table: String) -> String {
    var words: [(text: String, name: String)] = []
    var result = ""
    eachToken { _, text, name, _ in words.append((text, name)) }
    var index = 0
    while index < words.count {
      if index + 2 < words.count, words[index + 1].text == ".", !words[index].name.isEmpty,
        sameName(words[index].name, table), !words[index + 2].name.isEmpty
      {
        index += 2
        continue
      }
      if !result.isEmpty { result += " " }
      result += words[index].text
      index += 1
    }
    return result
  }

  /// The name that is the whole expression, without its quotes; nil: it is more than a name.
  public var loneName: String? {
    var names: [String] = []
    var count = 0
    eachToken { _, _, name, _ in
      count += 1
      if !name.isEmpty { names.append(name) }
    }
    return count == 1 ? names.first : nil
  }

  /// The name of the function that is called, where the whole expression is one call; else nil.
  public var loneCall: String? {
    var name: String?
    var count = 0
    var isOpen = true
    eachToken { kind, _, word, depth in
      if count == 0 { name = word }
      // Between the parenthesis behind the name and the last token all is inside.
      if count == 1, kind != .leftParen { isOpen = false }
      if count > 1, depth == 0, kind != .rightParen { isOpen = false }
      count += 1
    }
    return isOpen && count > 2 && name?.isEmpty == false ? name : nil
  }

  /// The collation of a COLLATE that ends the expression, outside of all parentheses.
  public var lastCollation: String? {
    var last: [(name: String, depth: Int)] = []
    eachToken { _, _, name, depth in last = last.suffix(1) + [(name, depth)] }
    guard last.count == 2, sameName(last[0].name, "COLLATE"), last[0].depth == 0, !last[1].name.isEmpty else {
      return nil
    }
    return last[1].name
  }

  /// The same without parentheses around all of it.
  public var bare: ExpressionText {
    var words: [(text: String, depth: Int)] = []
    eachToken { _, text, _, depth in words.append((text, depth)) }
    while words.count > 2, words[0].text == "(", words[words.count - 1].text == ")",
      words.dropFirst().dropLast().allSatisfy({ $0.depth > words[0].depth })
    {
      words = Array(words.dropFirst().dropLast())
    }
    return ExpressionText(words.map(\.text).joined(separator: " "))
  }

  /// Whether the collation of a column in it may be its own: it begins with `+`, CAST or a parenthesis.
  public var mayInheritCollation: Bool {
    var first: String?
    eachToken { _, text, _, _ in first = first ?? text.uppercased() }
    return first.map { ["+", "(", "CAST"].contains($0) } ?? false
  }

  /// All that may be the name of a table in it, folded: SQLite takes a text in single quotes for one too.
  public var possibleNames: Set<String> {
    var names: Set<String> = []
    eachToken { kind, text, name, _ in
      if kind == .string {
        names.insert(
          folded(
            text.dropFirst().dropLast().split(separator: "''", omittingEmptySubsequences: false).joined(separator: "'"))
        )
      } else if !name.isEmpty {
        names.insert(folded(name))
      }
    }
    return names
  }

  /// All words and quoted names in it, also those of functions, without their quotes.
  public var names: [String] {
    var names: [String] = []
    eachToken { _, _, name, _ in if !name.isEmpty { names.append(name) } }
    return names
  }
}

extension Lexer {
  /// A word or a quoted name as bytes, without quotes.
  func unquotedName(_ token: Token) -> [UInt8] {
    token.kind == .quotedName ? unquoted(token) : Array(text(token).utf8)
  }
}

extension CreateProjection {
  /// The same definition under the name as it was first written, paused or not.
  public func named(_ name: String, isPaused: Bool) -> CreateProjection {
    CreateProjection(
      name: name, ifNotExists: false, isPaused: isPaused, primaryKey: primaryKey, select: select,
      refreshMicroseconds: refreshMicroseconds)
  }
}
