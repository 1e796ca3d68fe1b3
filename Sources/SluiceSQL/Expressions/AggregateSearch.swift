// Tells texts in which an aggregate or a window function may be called, so that only those are checked for where SQLite
// allows one.

/// SQLite's functions that are, or can be, called over several rows.
private let overRows: Set<String> = [
  "avg", "count", "group_concat", "json_group_array", "json_group_object", "max", "min", "string_agg", "sum", "total",
  "cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "ntile", "percent_rank", "rank",
  "row_number",
]

/// Whether the text calls one of SQLite's aggregates or window functions, anywhere in it, by its name alone.
public func callsAggregate(_ text: UnsafeRawBufferPointer) -> Bool {
  var lexer = Lexer(text)
  var isName = false
  var name = Token(kind: .end, start: 0, end: 0)
  while true {
    let token = lexer.next()
    switch token.kind {
    case .end, .illegal: return false
    case .leftParen:
      if isName, overRows.contains(folded(String(decoding: lexer.unquotedName(name), as: UTF8.self))) {
        return true
      }
    default: break
    }
    isName = token.kind == .word || token.kind == .quotedName
    name = token
  }
}
