/// One SQL value, in SQLite's five storage classes. For slow paths: the row path works on bytes.
public enum Value: Sendable, Equatable {
  case null
  case integer(Int64)
  case real(Double)
  /// UTF-8 bytes, checked when they were read.
  case text([UInt8])
  case blob([UInt8])

  /// A text.
  public static func string(_ text: String) -> Value { .text(Array(text.utf8)) }
}

/// SQLite's column affinities (https://sqlite.org/datatype3.html, section 3.1).
public enum Affinity: UInt8, Sendable {
  case blob
  case text
  case numeric
  case integer
  case real
}
