// A text of delimited fields, such as CSV, on its way into one SQL table: each record a row, each field a text that is
// given its column's affinity, as SQLite gives it to a text that is bound. It takes the row path: no allocation, no
// String and no tree per row; about 0.15 µs a row. Unsafe by nature: named in the tidy test.
//
// An import is one transaction, as large as it may be: its batches are staged (SluiceLog/StagedSegment.swift), and
// COMMIT is one small record. A row that fails is left out, and the others stay; one whose key is taken is found out
// when the transaction is applied, so what is to be said about rows is handed out when the import is complete, in the
// order of the text. Inside an open transaction each key is looked up at once, and the rows become durable with that
// transaction.
import SluiceSQL
import SluiceSystem

/// One text being imported. Used by its session's thread, in this order: `skip` and `readNames` as wanted, `begin`,
/// `take` until the text is over, and `commit` and `complete`, or `abandon`.
public final class TextImport {
  /// Something to say about a row.
  public struct Message: Equatable, Sendable {
    /// Line of the text, from 1.
    public let line: Int
    public let text: String
    /// Line on which the row begins.
    fileprivate let rowLine: Int
  }

  private let session: Session
  private var reader: DelimitedReader
  private var plan: InsertPlan?
  private var heldMessages: [Message] = []
  private var isOwnTransaction = false
  /// Where the rows begin in an open transaction.
  private var mark: Session.StatementMark?
  private var counters: [(counter: KeyCounter, key: Int64)] = []
  private var stopsAtFirstError = false
  /// Rows written, as far as it is known: finally when the import is complete.
  public private(set) var rowCount = 0
  /// Rows left out, likewise.
  public private(set) var errorCount = 0
  /// Whether the text was read to its end.
  public private(set) var isAtEnd = false

  /// Messages held back for those that come earlier in the text and are known later.
  private static let heldLimit = 1 << 16

  /// `quotes`: fields may be quoted and lines may end with a carriage return (CSV). `skipsEmpty`: a record whose first
  /// field is empty is no row.
  public init(into session: Session, columnSeparator: UInt8, rowSeparator: UInt8, quotes: Bool, skipsEmpty: Bool) {
    self.session = session
    reader = DelimitedReader(
      DelimitedFormat(
        columnSeparator: columnSeparator, rowSeparator: rowSeparator, isQuoted: quotes, skipsEmpty: skipsEmpty))
  }

  /// Lines passed so far, and one.
  public var line: Int { reader.line }

  // MARK: The text

  /// Reads the record at the start of `bytes` as names, and returns how many bytes it has; none at the end of the text.
  /// Nil when it goes on behind `bytes`; `isWhole`: nothing follows them.
  public func readNames(_ bytes: UnsafeRawBufferPointer, isWhole: Bool) -> (names: [[UInt8]], size: Int)? {
    withCursor(bytes) { start, end in
      var cursor = start
      guard let names = reader.readTexts(cursor: &cursor, end: end, isWhole: isWhole) else { return nil }
      note(reader.line)
      return (names, cursor - start)
    }
  }

  /// Opens the transaction for rows into `table` and returns how many columns it has. What the session sent before is
  /// to be settled.
  public func begin(into table: String) throws(StoreError) -> Int {
    session.refreshCatalog()
    session.endRows()
    // No line of the text.
    session.currentLine = 0
    let plan = try makePlan(table)
    self.plan = plan
    try session.checkWritable()
    do throws(StoreError) { try session.store.pipeline.room.admit() } catch { throw session.losing(error) }
    isOwnTransaction = !session.inTransaction
    if isOwnTransaction {
      // A row that fails is left out alone, whatever becomes of a statement.
      stopsAtFirstError = session.stopAtFirstError
      session.stopAtFirstError = false
      try session.begin()
    } else {
      try session.openTransaction()
      mark = session.statementMark()
      counters = session.takeCounters()
    }
    return plan.shape.valueCount
  }

  private func makePlan(_ table: String) throws(StoreError) -> InsertPlan {
    do throws(SQLError) {
      guard case .insert(let header) = try parseStatement("INSERT INTO \(quotedName(table)) VALUES(NULL)") else {
        preconditionFailure("an INSERT that is none")
      }
      return try InsertPlan(orAction: .abort, columns: nil, prefix: [], table: try session.table(of: header))
    } catch { throw StoreError(error) }
  }

  /// Takes the whole records at the start of `bytes` and returns how many bytes they have. `isWhole`: nothing follows
  /// `bytes`. Throws what concerns more than one row: then `abandon` is all that is left to do.
  public func take(_ bytes: UnsafeRawBufferPointer, isWhole: Bool) throws(StoreError) -> Int {
    guard let plan else { preconditionFailure("rows of an import that has not begun") }
    let result = withCursor(bytes) { start, end in
      Result<Int, StoreError> { () throws(StoreError) in
        var cursor = start
        isAtEnd = try takeRows(plan, &cursor, end, isWhole)
        return cursor - start
      }
    }
    do throws(StoreError) { return try result.get() } catch { throw session.losing(error) }
  }

  private func takeRows(
    _ plan: InsertPlan, _ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ isWhole: Bool
  ) throws(StoreError) -> Bool {
    while true {
      let line = reader.line
      let result = reader.readRow(
        cursor: &cursor, end: end, isWhole: isWhole, shape: plan.shape, into: &session.row)
      switch result {
      case .needMore: return false
      case .end: return true
      case .noRow: note(line)
      case .row:
        if !reader.notices.isEmpty { note(line) }
        try add(plan, line)
        try session.statementEnded()
      }
    }
  }

  /// Adds the row just read, or says why not.
  @inline(__always)
  private func add(_ plan: InsertPlan, _ line: Int) throws(StoreError) {
    let mark = session.statementMark()
    let highestKey = plan.hasNumberKey ? plan.table.highestKey.current : 0
    do throws(StoreError) {
      if reader.obstacle != nil || !reader.unconverted.isEmpty { try convert(plan) }
      _ = try session.addAlone(plan, line: line)
      rowCount &+= 1
    } catch {
      session.rollback(to: mark)
      if plan.hasNumberKey { session.takeBack(plan.table.highestKey, to: highestKey) }
      guard error.kind == .conflict || error.kind == .invalid else { throw error }
      fail(line, error.message)
    }
  }

  /// Lets SQLite say of texts whether they are numbers.
  @inline(never)
  private func convert(_ plan: InsertPlan) throws(StoreError) {
    if let obstacle = reader.obstacle { throw StoreError(obstacle) }
    for column in reader.unconverted {
      let text = session.row.cell(column: column).value
      do {
        session.row.set(
          column: column, try session.evaluator.convert(text, plan.table.definition.columns[column].affinity))
      } catch { throw StoreError(error) }
    }
  }

  // MARK: Its end

  /// Commits what was taken, unless the transaction was open before. When it returns, the rows wait for the log; the
  /// session's `acknowledge` waits for them.
  public func commit() throws(StoreError) {
    session.changeCount = rowCount > 0 ? 1 : 0
    session.totalChangeCount &+= Int64(rowCount)
    guard isOwnTransaction else { return }
    try session.commit()
    session.stopAtFirstError = stopsAtFirstError
  }

  /// Waits until it is known which rows are written. `isLeaving`: only until they have reached the acknowledgement
  /// level.
  public func complete(isLeaving: Bool = false) throws(StoreError) {
    guard isOwnTransaction else { return }
    if isLeaving { try session.acknowledge() } else { try session.settle() }
    let rejections = session.takeRejections()
    guard !rejections.isEmpty else { return }
    rowCount -= rejections.count
    var merged: [Message] = []
    var rest = heldMessages[...]
    for rejection in rejections {
      let line = rejection.line ?? 0
      while let next = rest.first, next.rowLine <= line { merged.append(rest.removeFirst()) }
      merged.append(Message(line: line, text: "INSERT failed: " + rejection.message, rowLine: line))
    }
    errorCount += rejections.count
    heldMessages = merged + rest
  }

  /// Writes nothing of it. An open transaction is as it was before.
  public func abandon() throws(StoreError) {
    if isOwnTransaction {
      session.stopAtFirstError = stopsAtFirstError
      try session.abandonTransaction()
    } else if let mark {
      session.rollback(to: mark)
      session.restore(counters)
    }
  }

  // MARK: Messages

  /// Takes what there is to say by now; all of it once the import is complete.
  public func takeMessages(all: Bool) -> [Message] {
    guard all || !isOwnTransaction || heldMessages.count > Self.heldLimit else { return [] }
    defer { heldMessages = [] }
    return heldMessages
  }

  @inline(never)
  private func fail(_ line: Int, _ reason: String) {
    errorCount += 1
    heldMessages.append(Message(line: line, text: "INSERT failed: " + reason, rowLine: line))
  }

  /// Keeps what the reader noticed about the record that begins on `line`.
  @inline(never)
  private func note(_ line: Int) {
    for (place, notice) in reader.notices {
      heldMessages.append(Message(line: place, text: notice.sentence, rowLine: line))
    }
  }

  private func withCursor<R>(
    _ bytes: UnsafeRawBufferPointer, _ body: (UnsafePointer<UInt8>, UnsafePointer<UInt8>) -> R
  ) -> R {
    // Nothing at all has an address too.
    var none: UInt8 = 0
    return withUnsafePointer(to: &none) { empty in
      let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? empty
      return body(start, start + bytes.count)
    }
  }
}

extension DelimitedNotice {
  /// sqlite3's words.
  fileprivate var sentence: String {
    switch self {
    case .unescapedQuote: "unescaped \" character"
    case .unterminatedQuote: "unterminated \"-quoted field"
    case .tooFew(let found, let expected):
      "expected \(expected) columns but found \(found) - filling the rest with NULL"
    case .tooMany(let found, let expected): "expected \(expected) columns but found \(found) - extras ignored"
    }
  }
}
