// Rows as a client gets them: values in memory of their own, many to a batch.
import SluiceSQL
import SluiceSystem

/// A Swift type that a column can be read as.
public protocol ColumnValue {
  /// What it is called in an error, such as "an integer".
  static var columnDescription: String { get }
  /// The value in this type; nil when it is of another storage class.
  init?(column value: Value)
}

extension Int64: ColumnValue {
  /// "an integer".
  public static var columnDescription: String { "an integer" }
  /// From an integer alone.
  public init?(column value: Value) {
    guard case .integer(let number) = value else { return nil }
    self = number
  }
}

extension Int: ColumnValue {
  /// "an integer".
  public static var columnDescription: String { "an integer" }
  /// From an integer alone, one that fits.
  public init?(column value: Value) {
    guard case .integer(let number) = value else { return nil }
    self.init(exactly: number)
  }
}

extension Double: ColumnValue {
  /// "a number".
  public static var columnDescription: String { "a number" }
  /// An integer is taken too, rounded to the nearest real.
  public init?(column value: Value) {
    switch value {
    case .real(let number): self = number
    case .integer(let number): self.init(number)
    default: return nil
    }
  }
}

extension String: ColumnValue {
  /// "a text".
  public static var columnDescription: String { "a text" }
  /// From a text alone.
  public init?(column value: Value) {
    guard case .text(let bytes) = value else { return nil }
    self.init(decoding: bytes, as: UTF8.self)
  }
}

extension [UInt8]: ColumnValue {
  /// "a blob".
  public static var columnDescription: String { "a blob" }
  /// From a blob alone.
  public init?(column value: Value) {
    guard case .blob(let bytes) = value else { return nil }
    self = bytes
  }
}

extension Value: ColumnValue {
  /// "a value".
  public static var columnDescription: String { "a value" }
  /// From whatever it is.
  public init?(column value: Value) { self = value }
}

extension Optional: ColumnValue where Wrapped: ColumnValue {
  /// What the wrapped type is called, "or NULL".
  public static var columnDescription: String { Wrapped.columnDescription + " or NULL" }
  /// From NULL, which is nil, and from what the wrapped type takes.
  public init?(column value: Value) {
    if case .null = value {
      self = .none
    } else {
      guard let wrapped = Wrapped(column: value) else { return nil }
      self = .some(wrapped)
    }
  }
}

/// One row of a result. Keeps the batch that it came in: rows that are kept for long are better taken apart.
public struct Row: Sendable {
  private let batch: RowBatch.Storage
  private let start: Int

  fileprivate init(_ batch: RowBatch.Storage, _ index: Int) {
    self.batch = batch
    start = index * batch.columns.count
  }

  /// Names of the columns, in order, as SQLite gives them.
  public var columnNames: [String] { batch.columns }

  /// Number of columns.
  public var count: Int { batch.columns.count }

  /// All values, in the order of the columns.
  public var values: [Value] { Array(batch.values[start..<(start + count)]) }

  /// The value of column `index`, from 0 to `count` - 1; any other index traps.
  public subscript(_ index: Int) -> Value {
    precondition(index >= 0 && index < count, "there is no column \(index): a row has \(count)")
    return batch.values[start + index]
  }

  /// The value of the first column of that name, in any case of ASCII letters; nil when there is none.
  public subscript(_ name: String) -> Value? { index(of: name).map { self[$0] } }

  private func index(of name: String) -> Int? {
    // As a rule the name is spelled as in the result.
    if let index = batch.columns.firstIndex(of: name) { return index }
    let wanted = folded(name)
    return batch.columns.firstIndex { folded($0) == wanted }
  }

  /// The value of column `index`, from 0, as a Swift value: `Int64`, `Int`, `Double`, `String`, `[UInt8]`, `Value`, or
  /// an optional of one of these, for which NULL is nil. Throws `invalid` when there is no such column, and when what
  /// stands there is of another storage class (an integer is read as a `Double` too): nothing is converted.
  public func get<T: ColumnValue>(_ index: Int, as type: T.Type = T.self) throws(StoreError) -> T {
    guard index >= 0, index < count else {
      throw StoreError(.invalid, "there is no column \(index): a row has \(count)", sqliteCode: 25)
    }
    guard let value = T(column: self[index]) else {
      throw StoreError(
        .invalid,
        "column \(index) (\(batch.columns[index])) holds \(self[index].storageClass), not "
          + T.columnDescription, sqliteCode: 20)
    }
    return value
  }

  /// The same for the first column of that name, in any case of ASCII letters. Cost: a look at the names before it.
  public func get<T: ColumnValue>(_ name: String, as type: T.Type = T.self) throws(StoreError) -> T {
    guard let index = index(of: name) else {
      throw StoreError(
        .invalid, "there is no column \(name): a row has \(batch.columns.joined(separator: ", "))", sqliteCode: 25)
    }
    return try get(index)
  }
}

extension Value {
  fileprivate var storageClass: String {
    switch self {
    case .null: "NULL"
    case .integer: "an integer"
    case .real: "a real"
    case .text: "a text"
    case .blob: "a blob"
    }
  }

  /// What it takes in memory, about.
  fileprivate var sizeBytes: Int {
    switch self {
    case .text(let bytes), .blob(let bytes): 48 + bytes.count
    default: 16
    }
  }
}

/// Rows that go from a session's thread to who reads them at once.
struct RowBatch: Sendable {
  /// Shared by the rows.
  final class Storage: Sendable {
    let columns: [String]
    /// Row by row.
    let values: [Value]

    init(columns: [String], values: [Value]) {
      self.columns = columns
      self.values = values
    }
  }

  private let storage: Storage
  let count: Int
  /// Whether no row follows.
  let isLast: Bool

  /// A batch without rows.
  init(columns: [String], isLast: Bool) {
    storage = Storage(columns: columns, values: [])
    count = 0
    self.isLast = isLast
  }

  /// Takes rows until there are no more, or `isFull` says so of their count and size in bytes.
  init(taking rows: Rows, until isFull: (Int, Int) -> Bool) throws(StoreError) {
    var values: [Value] = []
    var count = 0
    var bytes = 0
    var isLast = false
    while true {
      guard try rows.next() else {
        isLast = true
        break
      }
      for column in 0..<rows.columnCount {
        let value = rows.value(column)
        bytes += value.sizeBytes
        values.append(value)
      }
      count += 1
      if isFull(count, bytes) { break }
    }
    storage = Storage(columns: rows.columnNames, values: values)
    self.count = count
    self.isLast = isLast
  }

  subscript(_ index: Int) -> Row { Row(storage, index) }
}
