// The session of a client, as its thread has it: one call after another, and the outcomes of what was sent.
//
// Statements of many tasks share a write to the disk: those that are there run first, then all of them are waited for
// at once, and each is told its own outcome. A result that is not read to its end when the next statement comes is
// taken into memory first, up to `heldBytes`.
import SluiceSystem

/// Belongs to the thread of its client.
final class ClientWork {
  /// Bytes of rows that are kept for a reader when the next statement comes.
  static let heldBytes = 64 << 20
  /// Rows that are handed over at a time at most, their bytes, and the time they may take together.
  private static let batchRows = 512
  private static let batchBytes = 1 << 20
  private static let batchNanoseconds: UInt64 = 5_000_000

  private let core: StoreCore
  private let queue: ClientQueue
  private var session: Session?
  /// Statements and rows taken so far.
  private var number = 0

  private var prepared: [Int: PreparedStatement] = [:]
  private var inserts: [Int: PreparedInsert] = [:]
  private var lastHandle = 0

  /// The running result.
  private var rows: Rows?
  private weak var cursor: RowCursor?

  /// A call whose outcome is not known yet.
  private struct Pending {
    let numbers: Range<Int>
    let failure: StoreError?
    /// Whether its outcome is known, and only its level is waited for.
    let isStored: Bool
    let answer: (StoreError?) -> Void
  }
  private var pending: [Pending] = []
  /// Rejections of statements whose call had been answered, in their order.
  private var untold: [StoreError] = []

  init(_ core: StoreCore, _ queue: ClientQueue) {
    self.core = core
    self.queue = queue
  }

  /// Takes calls until the client is gone: the body of its thread.
  func run() {
    while let call = queue.wait() {
      // Who comes while these run belongs to the next group: nobody waits for ever behind others' statements.
      let last = queue.lastNumber
      run(call)
      while let call = queue.next(upTo: last) { run(call) }
      settle()
    }
  }

  private func run(_ call: ClientCall) {
    call.run(self)
    queue.ended()
  }

  // MARK: Outcomes

  /// Answers a call when all that was sent so far has reached the session's level.
  func settleLater(_ numbers: Range<Int>, unless failure: StoreError?, _ answer: @escaping (StoreError?) -> Void) {
    let isStored = session.map { !$0.isPending } ?? false
    pending.append(Pending(numbers: numbers, failure: failure, isStored: isStored, answer: answer))
  }

  private func settle() {
    guard !pending.isEmpty else { return }
    let group = pending
    pending = []
    var failure: StoreError?
    do throws(StoreError) { try session?.settle() } catch { failure = error }
    takeRejections()
    for one in group {
      var rejections = take(one.numbers)
      if let failure = one.failure { rejections.append(failure) }
      if rejections.isEmpty, let failure, !one.numbers.isEmpty {
        rejections = [(one.isStored ? failure.leaving(.stored) : failure).at(line: one.numbers.lowerBound)]
      }
      var error = rejections.first
      if rejections.count > 1 { error?.further = Array(rejections.dropFirst()) }
      one.answer(error)
    }
  }

  private func takeRejections() { untold += session?.takeRejections() ?? [] }

  /// Those of these statements.
  private func take(_ numbers: Range<Int>) -> [StoreError] {
    if untold.isEmpty { return [] }
    let taken = untold.filter { $0.line.map(numbers.contains) == true }
    if !taken.isEmpty { untold.removeAll { $0.line.map(numbers.contains) == true } }
    return taken
  }

  /// Whether a statement is answered when its outcome is known.
  private func settles(_ session: Session) -> Bool {
    session.acknowledgement == .projected || session.acknowledgement != .queued && session.isPending
  }

  // MARK: Statements

  static var closed: StoreError { StoreError(.unavailable, "the client is closed", sqliteCode: 21) }

  /// Makes the session; before anything else.
  func begin() throws(StoreError) {
    let made = try Session(store: core)
    session = made
  }

  /// Runs one call on the session.
  private func perform<R>(
    _ transaction: Int?, _ stop: StopSignal?, _ body: (Session) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    guard let session else { throw Self.closed }
    if let transaction, queue.owner != transaction || !session.inTransaction {
      throw StoreError(.invalid, "the transaction that this statement belongs to has ended", sqliteCode: 21)
    }
    session.interrupter.obey(stop)
    defer { session.interrupter.obey(nil) }
    // A cancellation reaches the rows that it waits for, too.
    try session.interrupter.check()
    holdRows()
    try session.interrupter.check()
    return try body(session)
  }

  /// Something to be run, by its text or prepared.
  enum Source: Sendable {
    case text(String)
    case prepared(Int)
  }

  private func run(_ source: Source, _ parameters: [Value], _ session: Session) throws(StoreError) -> Outcome {
    number += 1
    do throws(StoreError) {
      switch source {
      case .text(let text): return try session.execute(text, values: parameters, line: number)
      case .prepared(let handle):
        guard let statement = prepared[handle] else { throw StoreError(.internal, "no such prepared statement") }
        return try statement.run(parameters, line: number)
      }
    } catch { throw error.at(line: number) }
  }

  func execute(
    _ source: Source, _ parameters: [Value], in transaction: Int?, _ stop: StopSignal
  ) throws(StoreError) -> ClientWorker.Answer<Execution> {
    try perform(transaction, stop) { (session) throws(StoreError) in
      let before = session.totalChangeCount
      if case .rows(let rows) = try run(source, parameters, session) {
        defer { session.endRows() }
        while try rows.next() {}
      }
      // How many of its rows are left out is known when they are applied.
      let isSettled = settles(session)
      if isSettled, session.leavesRowsOut { try session.settle() }
      let execution = Execution(
        number: number, changes: session.totalChangeCount - before, lastInsertedRowid: session.lastRowid.value)
      return isSettled ? .settled(execution, of: number..<number + 1) : .now(execution)
    }
  }

  func prepare(_ text: String, in transaction: Int?, _ stop: StopSignal) throws(StoreError) -> Int {
    try perform(transaction, stop) { (session) throws(StoreError) in
      let statement = try session.prepare(text)
      lastHandle += 1
      prepared[lastHandle] = statement
      return lastHandle
    }
  }

  func prepareInsert(
    into table: String, columns: [String]?, orAction: OrAction, in transaction: Int?, _ stop: StopSignal
  ) throws(StoreError) -> (handle: Int, valueCount: Int) {
    try perform(transaction, stop) { (session) throws(StoreError) in
      let insert = try session.prepareInsert(into: table, columns: columns, orAction: orAction)
      lastHandle += 1
      inserts[lastHandle] = insert
      return (lastHandle, insert.valueCount)
    }
  }

  /// Drops what was prepared; nobody has the handle any more.
  func forget(_ handle: Int) {
    prepared[handle] = nil
    inserts[handle] = nil
  }

  /// A batch that has begun goes to its end: who cancels it knows that nothing of it is done.
  func insert(
    _ handle: Int, _ values: [[Value]], in transaction: Int?, _ stop: StopSignal
  ) throws(StoreError) -> ClientWorker.Answer<Range<Int>> {
    try perform(transaction, stop) { (session) throws(StoreError) in
      guard let insert = inserts[handle] else { throw StoreError(.internal, "no such prepared insert") }
      let first = number + 1
      for (index, row) in values.enumerated() where row.count != insert.valueCount {
        throw insert.wrongCount(row.count).at(line: first + index)
      }
      var failure: StoreError?
      for row in values {
        number += 1
        session.currentLine = number
        do throws(StoreError) { try insert.run(row) } catch {
          failure = error.at(line: number)
          break
        }
      }
      let numbers = first..<(number + 1)
      if settles(session) { return .settled(numbers, of: numbers, unless: failure) }
      if let failure { throw failure }
      return .now(numbers)
    }
  }

  // MARK: Rows

  func query(
    _ source: Source, _ parameters: [Value], for cursor: RowCursor, in transaction: Int?, _ stop: StopSignal
  ) throws(StoreError) -> ClientWorker.Answer<RowBatch> {
    try perform(transaction, stop) { (session) throws(StoreError) in
      let before = session.totalChangeCount
      let batch: RowBatch
      if case .rows(let found) = try run(source, parameters, session) {
        rows = found
        self.cursor = cursor
        batch = try takeBatch(found)
        if session.totalChangeCount == before { return .now(batch) }
      } else {
        batch = RowBatch(columns: [], isLast: true)
      }
      return settles(session) ? .settled(batch, of: number..<number + 1) : .now(batch)
    }
  }

  /// The next rows of a result: those that were held for it, or more of the running one.
  func more(_ cursor: RowCursor, _ stop: StopSignal) throws(StoreError) -> RowBatch {
    if let held = try cursor.takeHeld() { return held }
    guard let session, self.cursor === cursor, let rows else { throw Self.closed }
    session.interrupter.obey(stop)
    defer { session.interrupter.obey(nil) }
    return try takeBatch(rows)
  }

  private func takeBatch(_ rows: Rows) throws(StoreError) -> RowBatch {
    do throws(StoreError) {
      try session?.interrupter.check()
      let clock = core.options.clock
      let start = clock.monotonicNanoseconds()
      let batch = try RowBatch(taking: rows) { count, bytes in
        count >= Self.batchRows || bytes >= Self.batchBytes
          || clock.monotonicNanoseconds() - start >= Self.batchNanoseconds
      }
      if batch.isLast { endRows() }
      return batch
    } catch {
      endRows()
      throw error
    }
  }

  /// Takes the rest of the running result into memory, if somebody still reads it.
  private func holdRows() {
    guard let rows else { return }
    defer { endRows() }
    guard let cursor else { return }
    do throws(StoreError) {
      let rest = try RowBatch(taking: rows) { _, bytes in bytes >= Self.heldBytes }
      cursor.hold(
        rest.isLast
          ? .success(rest)
          : .failure(
            StoreError(
              .overloaded,
              "another statement of this client began while more than \(Self.heldBytes >> 20) MiB of rows were unread",
              sqliteCode: 4)))
    } catch { cursor.hold(.failure(error)) }
  }

  private func endRows() {
    session?.endRows()
    rows = nil
    cursor = nil
  }

  /// Ends a result that nobody reads any more.
  func abandon() {
    if rows != nil, cursor == nil { endRows() }
  }

  // MARK: Transactions

  /// Opens a transaction that reads; returns its name for the statements that belong to it.
  func beginTransaction(_ outer: Int?, _ stop: StopSignal) throws(StoreError) -> Int {
    try perform(outer, stop) { (session) throws(StoreError) in
      try session.begin()
      do throws(StoreError) { try session.openTransaction() } catch {
        try session.abandonTransaction()
        throw error
      }
    }
    let number = ClientWorker.newTransaction()
    queue.owner = number
    return number
  }

  func commit(_ transaction: Int) throws(StoreError) {
    defer { endTransaction(transaction) }
    do throws(StoreError) {
      try perform(transaction, nil) { (session) throws(StoreError) in
        try session.commit()
        // What was committed stays, whatever becomes of its level.
        if session.acknowledgement == .projected { try session.acknowledge() }
      }
    } catch {
      // A commit that failed for another reason than a conflict leaves the transaction open: nobody else could end it.
      try session?.abandonTransaction()
      throw error
    }
  }

  func rollBack(_ transaction: Int) throws(StoreError) {
    guard queue.owner == transaction else { return }
    defer { endTransaction(transaction) }
    holdRows()
    try session?.abandonTransaction()
  }

  private func endTransaction(_ transaction: Int) {
    if queue.owner == transaction { queue.owner = nil }
  }

  // MARK: Waiting

  func wait(
    for level: AcknowledgementLevel?, of numbers: Range<Int>, in transaction: Int?, _ stop: StopSignal
  ) throws(StoreError) {
    try perform(transaction, stop) { (session) throws(StoreError) in
      try session.waitInterruptibly(for: level ?? session.acknowledgement)
      try tell(numbers)
    }
  }

  /// Throws the first rejection of these statements that was not told yet.
  private func tell(_ numbers: Range<Int>?) throws(StoreError) {
    takeRejections()
    if numbers == nil, !untold.isEmpty {
      var error = untold.removeFirst()
      error.further = untold
      untold = []
      throw error
    }
    var rejections = take(numbers ?? 0..<0)
    guard !rejections.isEmpty else { return }
    var error = rejections.removeFirst()
    error.further = rejections
    throw error
  }

  func takeAllRejections() -> [StoreError] {
    takeRejections()
    defer { untold = [] }
    return untold
  }

  // MARK: The end

  /// Settles and closes, whatever is open.
  func close() throws(StoreError) {
    settle()
    guard let session else { return }
    defer { end() }
    holdRows()
    try session.abandonTransaction()
    try session.settle()
    try tell(nil)
  }

  private func end() {
    endRows()
    prepared = [:]
    inserts = [:]
    takeRejections()
    session = nil
    queue.owner = nil
  }
}
