// Reads Swift as text, just well enough for the rules: which characters are code (not comment, not text of a string),
// and where functions begin and end. No parser: source in the shape swift-format gives it is assumed.

/// The source with comments and the text of strings blanked out, each line feed and offset kept; what stands in `\(…)`
/// is code and stays.
func codeOnly(_ source: [UInt8]) -> [UInt8] {
  var scanner = SourceScanner(source)
  scanner.code(until: nil)
  return scanner.result
}

private struct SourceScanner {
  private let source: [UInt8]
  private var at = 0
  private(set) var result: [UInt8]

  init(_ source: [UInt8]) {
    self.source = source
    result = source
  }

  /// Passes over code up to the `)` that closes an interpolation, or to the end.
  mutating func code(until close: UInt8?) {
    var depth = 0
    while at < source.count {
      let byte = source[at]
      if starts("//") {
        while at < source.count, source[at] != 0x0a { blank() }
      } else if starts("/*") {
        blockComment()
      } else if byte == UInt8(ascii: "\"") || (byte == UInt8(ascii: "#") && isRawString()) {
        string()
      } else {
        if byte == UInt8(ascii: "(") { depth += 1 }
        if byte == UInt8(ascii: ")") {
          if depth == 0, close == byte { return }
          depth -= 1
        }
        at += 1
      }
    }
  }

  private mutating func blockComment() {
    var depth = 0
    while at < source.count {
      if starts("/*") {
        depth += 1
        blank(2)
      } else if starts("*/") {
        depth -= 1
        blank(2)
        if depth == 0 { return }
      } else {
        blank()
      }
    }
  }

  private mutating func string() {
    var hashes = 0
    while source[at] == UInt8(ascii: "#") {
      hashes += 1
      blank()
    }
    let quotes = starts("\"\"\"") ? "\"\"\"" : "\""
    let end = quotes + String(repeating: "#", count: hashes)
    let escape = "\\" + String(repeating: "#", count: hashes)
    blank(quotes.utf8.count)
    while at < source.count {
      if starts(end) { return blank(end.utf8.count) }
      // A string of one line ends with it: what follows is broken source, and the scanner finds its feet again.
      if quotes.utf8.count == 1, source[at] == 0x0a { return }
      if starts(escape + "(") {
        blank(escape.utf8.count)
        at += 1
        code(until: UInt8(ascii: ")"))
        if at < source.count { at += 1 }
      } else if starts(escape) {
        blank(escape.utf8.count + 1)
      } else {
        blank()
      }
    }
  }

  /// Whether the `#` here begins `#"…"#` (and not `#if` or `#expect`).
  private func isRawString() -> Bool {
    var index = at
    while index < source.count, source[index] == UInt8(ascii: "#") { index += 1 }
    return index < source.count && source[index] == UInt8(ascii: "\"")
  }

  private func starts(_ text: String) -> Bool {
    var index = at
    for byte in text.utf8 {
      guard index < source.count, source[index] == byte else { return false }
      index += 1
    }
    return true
  }

  private mutating func blank(_ count: Int = 1) {
    for _ in 0..<count where at < source.count {
      if source[at] != 0x0a { result[at] = 0x20 }
      at += 1
    }
  }
}

/// A function with a body: its name, and its first and last line, from 1.
struct FunctionSpan: Equatable {
  let name: String
  let first: Int
  let last: Int
  var lineCount: Int { last - first + 1 }
}

/// The functions, initialisers and subscripts of code that `codeOnly` has blanked.
func functionSpans(_ code: [UInt8]) -> [FunctionSpan] {
  var spans: [FunctionSpan] = []
  var line = 1
  var at = 0
  while at < code.count {
    if code[at] == 0x0a { line += 1 }
    guard let (name, start) = functionStart(code, at), let body = bodyStart(code, start) else {
      at += 1
      continue
    }
    let end = closing(code, body)
    let last = line + code[at..<end].count { $0 == 0x0a }
    spans.append(FunctionSpan(name: name, first: line, last: last))
    // On behind the keyword, not behind the body: functions within functions count too.
    at += 1
  }
  return spans
}

/// The name and the end of the keyword when a function's declaration begins at `at`.
private func functionStart(_ code: [UInt8], _ at: Int) -> (String, Int)? {
  guard isWord(code[at]), at == 0 || !isWord(code[at - 1]) else { return nil }
  let word = wordEnd(code, at)
  switch String(decoding: code[at..<word], as: UTF8.self) {
  case "func":
    guard let open = code[word...].firstIndex(of: UInt8(ascii: "(")) else { return nil }
    let name = String(decoding: code[word..<open], as: UTF8.self).filter { $0 != " " }
    return (name, word)
  case "init":
    guard at == 0 || code[at - 1] != UInt8(ascii: "."), word < code.count else { return nil }
    return "(?!<".utf8.contains(code[word]) ? ("init", word) : nil
  case "subscript": return ("subscript", word)
  case "deinit": return ("deinit", word)
  default: return nil
  }
}

/// Where the body's `{` stands, or nil when the declaration has none (a protocol's requirement, an argument label).
private func bodyStart(_ code: [UInt8], _ start: Int) -> Int? {
  var depth = 0
  var at = start
  while at < code.count {
    switch code[at] {
    case UInt8(ascii: "("), UInt8(ascii: "["): depth += 1
    case UInt8(ascii: ")"), UInt8(ascii: "]"):
      depth -= 1
      if depth < 0 { return nil }
    case UInt8(ascii: "{") where depth == 0: return at
    case UInt8(ascii: "}") where depth == 0: return nil
    case 0x0a where depth == 0 && !continues(code, at): return nil
    default: break
    }
    at += 1
  }
  return nil
}

/// Whether the line behind this line feed goes on with a declaration's head.
private func continues(_ code: [UInt8], _ lineFeed: Int) -> Bool {
  guard let next = code[lineFeed...].firstIndex(where: { $0 != 0x0a && $0 != 0x20 }) else { return false }
  if code[next] == UInt8(ascii: "{") || code[next] == UInt8(ascii: "-") { return true }
  let word = String(decoding: code[next..<wordEnd(code, next)], as: UTF8.self)
  return ["throws", "rethrows", "async", "where"].contains(word)
}

/// The index of the brace that closes the one at `open`, or the last index.
private func closing(_ code: [UInt8], _ open: Int) -> Int {
  var depth = 0
  for at in open..<code.count {
    if code[at] == UInt8(ascii: "{") { depth += 1 }
    if code[at] == UInt8(ascii: "}") {
      depth -= 1
      if depth == 0 { return at }
    }
  }
  return code.count - 1
}

private func wordEnd(_ code: [UInt8], _ start: Int) -> Int {
  var end = start
  while end < code.count, isWord(code[end]) { end += 1 }
  return end
}

private func isWord(_ byte: UInt8) -> Bool {
  switch byte {
  case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f, 0x80...: true
  default: false
  }
}

/// The words (identifiers, keywords) of a line.
func words(_ line: Substring) -> [Substring.UTF8View.SubSequence] {
  line.utf8.split { !isWord($0) }
}
