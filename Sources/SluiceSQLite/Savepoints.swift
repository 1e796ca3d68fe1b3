// What a writable table in memory needs to undo: its states at BEGIN and at the open savepoints, kept by SQLite's
// numbers. `WritableTable` says what SQLite calls and what it leaves out; this makes the best of it.

/// States to go back to. `State` is whatever undoing needs: a copy of the rows, a length to cut back to. One object for
/// all tables that share a store: SQLite may connect twice to a table in one transaction, and calls both. A table that
/// begins when the transaction is open already is told the innermost savepoint right behind: that call must not be
/// noted here, for that savepoint is known, or older than the transaction's first change.
public struct Savepoints<State> {
  private var begun: State?
  /// By rising number: those of a statement and of SAVEPOINT stand in one count.
  private var noted: [(number: Int, state: State)] = []

  public init() {}

  /// Whether a transaction has begun.
  public var isOpen: Bool { begun != nil }

  /// For `WritableTable.begin`: notes the state, unless the transaction has begun.
  public mutating func begin(_ state: @autoclosure () -> State) {
    if begun == nil { begun = state() }
  }

  /// For `WritableTable.savepoint`: notes the state, unless the savepoint is open and noted already.
  public mutating func note(_ number: Int, _ state: @autoclosure () -> State) {
    if let last = noted.last, last.number >= number { return }
    noted.append((number, state()))
  }

  /// For `WritableTable.release`.
  public mutating func release(_ number: Int) {
    while let last = noted.last, last.number >= number { noted.removeLast() }
  }

  /// For `WritableTable.rollback(to:)`: the state to go back to. A savepoint that was never noted was opened before the
  /// table was first written, so that is the state at BEGIN. nil: nothing has begun.
  public mutating func state(of number: Int) -> State? {
    while let last = noted.last, last.number > number { noted.removeLast() }
    if let last = noted.last, last.number == number { return last.state }
    return begun
  }

  /// For `WritableTable.commit` and `rollback`: forgets everything, and gives the state at BEGIN the first time.
  @discardableResult
  public mutating func end() -> State? {
    defer {
      begun = nil
      noted = []
    }
    return begun
  }
}
