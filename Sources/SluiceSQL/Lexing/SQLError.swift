// The one error type of SluiceSQL.

/// What is wrong with a statement, in SQLite's own words where SQLite has words for it.
public struct SQLError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What the caller can do about it.
  public enum Kind: Sendable {
    /// The text is not SQL.
    case syntax
    /// The text ends too early: more of it could make it right.
    case incomplete
    /// The text is SQL that Sluice refuses.
    case unsupported
    /// The text is SQL, but what it says cannot be: an unknown column, a wrong number of values.
    case invalid
    /// The text is SQL that the row path leaves to SQLite: no error of the statement.
    case evaluated
    /// The text is SQL, and evaluating it failed: an overflow, a text that is no JSON.
    case failed
  }

  public let kind: Kind
  /// One sentence, with the names and numbers.
  public let message: String
  /// Where the trouble begins, in bytes from the start of the text that was handed over; -1: no place.
  public let offset: Int
  /// SQLite's primary result code.
  public let code: Int32

  public init(_ kind: Kind, _ message: String, offset: Int = -1, code: Int32 = 1) {
    self.kind = kind
    self.message = message
    self.offset = offset
    self.code = code
  }

  public var description: String { message }

  /// The same error for a text that holds the one handed over from byte `base` on.
  public func moved(by base: Int) -> SQLError {
    offset < 0 ? self : SQLError(kind, message, offset: offset + base, code: code)
  }
}

extension SQLError {
  static let incompleteInput = "incomplete input"

  @inline(never)
  static func incomplete(at offset: Int) -> SQLError {
    SQLError(.incomplete, incompleteInput, offset: offset)
  }

  /// Why a text that ends inside its statement is none: a literal or a comment that is not closed, or no more text.
  public static func unfinished(_ text: UnsafeRawBufferPointer) -> SQLError {
    var lexer = Lexer(text)
    while true {
      let token = lexer.next()
      if token.kind == .end || token.kind == .illegal { return unexpected(token, in: lexer) }
    }
  }

  /// The parser's complaint about a token that cannot stand where it stands.
  @inline(never)
  static func unexpected(_ token: Token, in lexer: Lexer) -> SQLError {
    switch token.kind {
    case .end: incomplete(at: token.start)
    case .illegal: SQLError(.syntax, "unrecognized token: \"\(excerpt(token, lexer))\"", offset: token.start)
    default: SQLError(.syntax, "near \"\(excerpt(token, lexer))\": syntax error", offset: token.start)
    }
  }

  /// A token's text for a message, cut so that a literal of megabytes does not fill the screen.
  private static func excerpt(_ token: Token, _ lexer: Lexer) -> String {
    let limit = 200
    let text = lexer.text(Token(kind: token.kind, start: token.start, end: min(token.end, token.start + limit)))
    return token.size > limit ? text + "…" : text
  }
}
