// AS OF at the end of a query: the point in the log's history that it asks about.

/// The point of the log that AS OF names.
public enum AsOfPoint: Equatable, Sendable {
  case position(UInt64)
  /// The text between the quotes, as written.
  case time(String)
}

/// Where a query ends and the point it asks about, when its last tokens are `AS OF position` or `AS OF 'time'`; nil for
/// any other text. `queryEnd` is in bytes: the text in front of it is the query. A column called `of` stays one, for
/// nothing that SQLite takes has a literal behind such a name.
///
/// Throws invalid where the position is too large. Cost: a look for the word in the bytes, and only a text that holds
/// it is read token by token.
public func splitAsOf(_ text: UnsafeRawBufferPointer) throws(SQLError) -> (queryEnd: Int, point: AsOfPoint)? {
  guard holdsOf(text) else { return nil }
  var parser = try Parser(text)
  var tail = StatementTail(parser)
  while !parser.at(.end), !parser.at(.semicolon) {
    tail.note(parser)
    parser.advance()
  }
  _ = parser.take(.semicolon)
  guard parser.at(.end), tail.first.at("AS"), tail.second.at("OF"), tail.endBefore > 0 else { return nil }
  if tail.third.at(.string) { return (tail.endBefore, .time(try tail.third.name())) }
  guard tail.third.at(.integer) else { return nil }
  return (tail.endBefore, .position(try tail.third.position()))
}

/// Whether the word OF stands somewhere in the text, be it in a literal or a comment.
private func holdsOf(_ text: UnsafeRawBufferPointer) -> Bool {
  guard text.count > 2 else { return false }
  for i in 2..<text.count where lowered(text[i]) == UInt8(ascii: "f") && lowered(text[i - 1]) == UInt8(ascii: "o") {
    let isWhole = !isWordByte(text[i - 2]) && (i + 1 == text.count || !isWordByte(text[i + 1]))
    if isWhole { return true }
  }
  return false
}
