// What stands in CREATE VIRTUAL TABLE: where the table is, and the arguments between the parentheses.

/// `CREATE VIRTUAL TABLE schema.table USING module(argument, …)`, as the maker of the table gets it.
public struct ModuleArguments: Sendable, Equatable {
  /// The module's name, as registered.
  public let module: String
  /// `main`, `temp`, or the name of an attached database.
  public let schema: String
  /// The table's own name.
  public let table: String
  /// The arguments as they stand in the statement, quotes included, without the spaces around them. SQLite splits at
  /// commas outside parentheses and quotes.
  public let texts: [String]
  /// Whether CREATE runs now. Otherwise the table exists in the schema and is connected to again: after opening the
  /// file, after a change of the schema, after DROP or ROLLBACK of another.
  public let isCreating: Bool

  /// Argument `index` without its quotes: `'it''s'` is `it's`; one without quotes is as it stands.
  public func unquoted(_ index: Int) -> String { ModuleArguments.unquote(texts[index]) }

  /// `text` without one pair of SQL quotes around it ('…', "…", `…` or […]); a doubled quote inside becomes one.
  public static func unquote(_ text: String) -> String {
    let bytes = Array(text.utf8)
    guard bytes.count >= 2, let first = bytes.first, "'\"`[".utf8.contains(first) else { return text }
    let end = first == UInt8(ascii: "[") ? UInt8(ascii: "]") : first
    guard bytes.last == end else { return text }
    var result: [UInt8] = []
    var index = 1
    while index < bytes.count - 1 {
      result.append(bytes[index])
      index += bytes[index] == end && bytes[index + 1] == end && index + 1 < bytes.count - 1 ? 2 : 1
    }
    return String(decoding: result, as: UTF8.self)
  }
}
