// What a statement returns. Unsafe by nature (borrowed text): named in the tidy test.
import SluiceSQLite
import SluiceSystem

/// What became of a statement.
public enum Outcome {
  /// It returns no rows.
  case done
  /// It returns these rows; they are computed as they are taken.
  case rows(Rows)
}

/// Rows of a query, taken one after another. Belongs to the session's thread; the session's next statement ends it.
public final class Rows {
  private enum Source {
    case statement(SluiceSQLite.Statement)
    case values([[Value]])
  }

  private var source: Source
  private var index = -1
  /// What the rows come from instead when the first of them cannot be read.
  private var recovery: ((SQLiteError) throws(StoreError) -> SluiceSQLite.Statement?)?
  private var isEnded = false
  private var scratch = ByteBuffer()
  /// Kept until the rows end: they are read through it.
  private var session: Session?
  /// How SQLite writes a real.
  private let realText: (Double) -> [UInt8]
  /// Names of the result columns.
  public let columnNames: [String]

  init(
    _ statement: SluiceSQLite.Statement,
    recovery: ((SQLiteError) throws(StoreError) -> SluiceSQLite.Statement?)? = nil
  ) {
    self.recovery = recovery
    source = .statement(statement)
    columnNames = statement.columnNames
    realText = { Array(String($0).utf8) }
  }

  init(
    columns: [String], values: [[Value]], realText: @escaping (Double) -> [UInt8] = { Array(String($0).utf8) }
  ) {
    self.realText = realText
    source = .values(values)
    columnNames = columns
  }

  deinit { session?.interrupter.end() }

  /// Keeps the session alive that the rows belong to.
  func keep(_ session: Session) { self.session = session }

  /// Ends the statement: no further row comes.
  func end() {
    noteEnd()
    recovery = nil
    if case .statement(let statement) = source { statement.reset() }
  }

  /// The session runs nothing any more.
  private func noteEnd() {
    isEnded = true
    session?.interrupter.end()
    session = nil
  }

  /// Number of columns of each row.
  public var columnCount: Int { columnNames.count }

  /// Goes on to the next row; false when there is none. Throws what SQLite says when computing it fails.
  public func next() throws(StoreError) -> Bool {
    if isEnded { return false }
    switch source {
    case .statement(let statement):
      let isFirst = index < 0
      index = 0
      do throws(SQLiteError) {
        if try statement.step() { return true }
      } catch {
        return try recover(from: error, isFirst: isFirst)
      }
    case .values(let rows):
      index += 1
      if index < rows.count { return true }
    }
    noteEnd()
    return false
  }

  private func recover(from error: SQLiteError, isFirst: Bool) throws(StoreError) -> Bool {
    guard let other = try recovery?(error) else {
      noteEnd()
      throw StoreError(error)
    }
    guard isFirst else {
      noteEnd()
      throw StoreError(
        .overloaded, "projections.db was found damaged while it was read, and is made anew: ask again", sqliteCode: 11)
    }
    recovery = nil
    source = .statement(other)
    return try next()
  }

  /// A column's storage class, `index` from 0.
  public func type(_ column: Int) -> ColumnType {
    switch source {
    case .statement(let statement): return statement.columnType(column)
    case .values(let rows):
      switch rows[index][column] {
      case .null: return .null
      case .integer: return .integer
      case .real: return .real
      case .text: return .text
      case .blob: return .blob
      }
    }
  }

  /// Whether a column, from 0, is NULL.
  public func isNull(_ column: Int) -> Bool { type(column) == .null }

  /// A column as text in SQLite's conversion (blobs: their bytes; NULL: nothing). Valid until the next call.
  public func text(_ column: Int) -> UnsafeRawBufferPointer {
    switch source {
    case .statement(let statement): return statement.text(column)
    case .values(let rows):
      scratch.removeAll()
      switch rows[index][column] {
      case .null: break
      case .integer(let number): scratch.append(Array(String(number).utf8))
      case .real(let number): scratch.append(realText(number))
      case .text(let bytes), .blob(let bytes): scratch.append(bytes)
      }
      return scratch.bytes
    }
  }

  /// A column as a real: a number that is none is converted as SQLite does, NULL is 0.
  public func real(_ column: Int) -> Double {
    switch source {
    case .statement(let statement): return statement.double(column)
    case .values(let rows):
      switch rows[index][column] {
      case .real(let number): return number
      case .integer(let number): return Double(number)
      default: return 0
      }
    }
  }

  /// A column as a value.
  public func value(_ column: Int) -> Value {
    switch source {
    case .statement(let statement): statement.value(column)
    case .values(let rows): rows[index][column]
    }
  }
}
