// The head of an INSERT that another SQLite runs: which table it names, and which of its columns. Only as much is read
// as that takes; SQLite has found the statement good. Unsafe by nature: named in the tidy test.
import SluiceSystem

/// An INSERT as far as its column list.
public struct HostInsert: Equatable, Sendable {
  /// Schema before the table's name; nil: none.
  public internal(set) var schema: String?
  /// The table's name as written, without quotes.
  public internal(set) var table: String
  /// nil: no list, and so all columns in their order, unless `isDefaultValues`.
  public internal(set) var columns: [String]?
  /// Whether it is DEFAULT VALUES, which names no column and gives none a value.
  public internal(set) var isDefaultValues = false
}

/// The head of the INSERT or REPLACE in `text`; nil when it is another statement.
public func parseHostInsert(_ text: UnsafeRawBufferPointer) -> HostInsert? {
  do {
    var parser = try Parser(text)
    return try parser.hostInsert()
  } catch { return nil }
}

extension Parser {
  fileprivate mutating func hostInsert() throws(SQLError) -> HostInsert? {
    if at("WITH") { _ = try skipWith() }
    if take("INSERT") {
      if take("OR") { advance() }
    } else if !take("REPLACE") {
      return nil
    }
    try expect("INTO")
    var insert = HostInsert(table: try name())
    if take(.dot) {
      insert.schema = insert.table
      insert.table = try name()
    }
    if take("AS") { _ = try name() }
    if at(.leftParen) { insert.columns = try nameList() }
    insert.isDefaultValues = at("DEFAULT")
    return insert
  }
}
