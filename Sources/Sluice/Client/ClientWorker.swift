// The actor behind a client: its session, on a thread of its own, and whose turn it is.
//
// A session has one transaction and one open result at a time, and many tasks may share a client. So a task that has
// opened a transaction keeps all others waiting until it ends; and a result that is not read to its end when the next
// statement comes is taken into memory first, up to `heldBytes`.
import SluiceSystem

/// Owns a session. Closed once, by its client or its store.
actor ClientWorker {
  /// Bytes of rows that are kept for a reader when the next statement comes.
  static let heldBytes = 64 << 20
  /// Rows that are handed over at a time at most, their bytes, and the time they may take together.
  private static let batchRows = 512
  private static let batchBytes = 1 << 20
  private static let batchNanoseconds: UInt64 = 5_000_000

  private nonisolated let thread: SessionThread
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
  private nonisolated let clock: any Clock
  private let core: StoreCore
  private var session: Session?
  /// The signal of the statement that is being run, for who closes the store meanwhile.
  private nonisolated let running = Monitor<StopSignal?>(nil)
  /// Statements and rows taken so far.
  private var number = 0

  private var prepared: [Int: PreparedStatement] = [:]
  private var inserts: [Int: PreparedInsert] = [:]
  private var lastHandle = 0

  /// The running result.
  private var rows: Rows?
  private weak var cursor: RowCursor?

  /// The transaction that keeps others waiting.
  private var owner: Int?
  private var lastOwner = 0
  private var waiting: [CheckedContinuation<Void, Never>] = []
  /// Rejections that nobody has been told of.
  private var rejections: [StoreError] = []

  init(_ core: StoreCore) throws(StoreError) {
    self.core = core
    clock = core.options.clock
    thread = try SessionThread()
  }

  /// Makes the session; before anything else.
  func begin() throws(StoreError) {
    let made = try Session(store: core)
    session = made
  }

  // MARK: Turns

  /// Waits until no other task's transaction is open.
  private func takeTurn(_ transaction: Int?) async {
    while let owner, owner != transaction { await withCheckedContinuation { waiting.append($0) } }
  }

  private func passTurn() {
    owner = nil
    let next = waiting
    waiting = []
    for continuation in next { continuation.resume() }
  }

  /// Runs one call on the session, when it is its turn.
  private func perform<R: Sendable>(
    _ transaction: Int?, _ stop: StopSignal? = nil, _ body: (Session) throws(StoreError) -> R
  ) async throws(StoreError) -> R {
    await takeTurn(transaction)
    return try performNow(stop, body)
  }

  private func performNow<R>(
    _ stop: StopSignal?, _ body: (Session) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    guard let session else { throw Self.closed }
    session.interrupter.obey(stop)
    running.withLock { $0 = stop }
    defer {
      session.interrupter.obey(nil)
      running.withLock { $0 = nil }
    }
    // A cancellation reaches the rows that it waits for, too.
    try session.interrupter.check()
    holdRows()
    try session.interrupter.check()
    return try body(session)
  }

  private static var closed: StoreError { StoreError(.unavailable, "the client is closed", sqliteCode: 21) }

  // MARK: Statements

  /// Something to be run, by its text or prepared.
  enum Source: Sendable {
    case text(String)
    case prepared(Int)
  }

  private func run(_ source: Source, _ parameters: [Value], _ session: Session) throws(StoreError) -> Outcome {
    number += 1
    do throws(StoreError) {
      switch source {
      case .text(let text):
        session.positional = parameters
        defer { session.positional = [] }
        return try session.execute(text, line: number)
      case .prepared(let handle):
        guard let statement = prepared[handle] else { throw StoreError(.internal, "no such prepared statement") }
        return try statement.run(parameters, line: number)
      }
    } catch { throw error.at(line: number) }
  }

  func execute(
    _ source: Source, _ parameters: [Value], in transaction: Int?, _ stop: StopSignal
  ) async throws(StoreError) -> Execution {
    try await perform(transaction, stop) { (session) throws(StoreError) in
      let before = session.totalChangeCount
      if case .rows(let rows) = try run(source, parameters, session) {
        defer { session.endRows() }
        while try rows.next() {}
      }
      return Execution(
        number: number, changes: session.totalChangeCount - before, lastInsertedRowid: session.lastRowid.value)
    }
  }

  func prepare(_ text: String, in transaction: Int?) async throws(StoreError) -> Int {
    try await perform(transaction) { (session) throws(StoreError) in
      let statement = try session.prepare(text)
      lastHandle += 1
      prepared[lastHandle] = statement
      return lastHandle
    }
  }

  func prepareInsert(
    into table: String, columns: [String]?, orAction: OrAction, in transaction: Int?
  ) async throws(StoreError) -> (handle: Int, valueCount: Int) {
    try await perform(transaction) { (session) throws(StoreError) in
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

  func insert(
    _ handle: Int, _ values: [[Value]], in transaction: Int?, _ stop: StopSignal
  ) async throws(StoreError) -> Range<Int> {
    try await perform(transaction, stop) { (session) throws(StoreError) in
      guard let insert = inserts[handle] else { throw StoreError(.internal, "no such prepared insert") }
      let first = number + 1
      for (index, row) in values.enumerated() {
        if index & 0xff == 0xff, stop.isSet { throw StopSignal.error.at(line: number + 1) }
        number += 1
        session.currentLine = number
        do throws(StoreError) { try insert.run(row) } catch { throw error.at(line: number) }
      }
      return first..<(number + 1)
    }
  }

  // MARK: Rows

  func query(
    _ source: Source, _ parameters: [Value], for cursor: RowCursor, in transaction: Int?, _ stop: StopSignal
  ) async throws(StoreError) -> RowBatch {
    try await perform(transaction, stop) { (session) throws(StoreError) in
      guard case .rows(let found) = try run(source, parameters, session) else {
        return RowBatch(columns: [], isLast: true)
      }
      rows = found
      self.cursor = cursor
      return try takeBatch(found)
    }
  }

  /// The next rows of a result: those that were held for it, or more of the running one.
  func more(_ cursor: RowCursor, _ stop: StopSignal) throws(StoreError) -> RowBatch {
    if let held = try cursor.takeHeld() { return held }
    guard session != nil, self.cursor === cursor, let rows else { throw Self.closed }
    if stop.isSet {
      endRows()
      throw StopSignal.error
    }
    session?.interrupter.obey(stop)
    running.withLock { $0 = stop }
    defer {
      session?.interrupter.obey(nil)
      running.withLock { $0 = nil }
    }
    return try takeBatch(rows)
  }

  private func takeBatch(_ rows: Rows) throws(StoreError) -> RowBatch {
    do throws(StoreError) {
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
  func beginTransaction(_ outer: Int?) async throws(StoreError) -> Int {
    await takeTurn(outer)
    try performNow(nil) { (session) throws(StoreError) in
      try session.begin()
      do throws(StoreError) { try session.openTransaction() } catch {
        try session.abandonTransaction()
        throw error
      }
    }
    lastOwner += 1
    owner = lastOwner
    return lastOwner
  }

  func commit(_ transaction: Int) throws(StoreError) {
    defer { if owner == transaction { passTurn() } }
    do throws(StoreError) { try performNow(nil) { (session) throws(StoreError) in try session.commit() } } catch {
      // A commit that failed for another reason than a conflict leaves the transaction open: nobody else could end it.
      try session?.abandonTransaction()
      throw error
    }
  }

  func rollBack(_ transaction: Int) throws(StoreError) {
    defer { if owner == transaction { passTurn() } }
    guard session != nil else { return }
    try performNow(nil) { (session) throws(StoreError) in try session.abandonTransaction() }
  }

  // MARK: Waiting

  func wait(for level: AcknowledgementLevel?, in transaction: Int?) async throws(StoreError) {
    try await perform(transaction) { (session) throws(StoreError) in
      try session.wait(for: level ?? session.acknowledgement)
      try tellRejection(session)
    }
  }

  private func tellRejection(_ session: Session) throws(StoreError) {
    rejections += session.takeRejections()
    if !rejections.isEmpty { throw rejections.removeFirst() }
  }

  func takeRejections() -> [StoreError] {
    rejections += session?.takeRejections() ?? []
    defer { rejections = [] }
    return rejections
  }

  // MARK: The end

  /// Settles and closes. Behind another task's transaction it waits for that.
  func close(in transaction: Int?) async throws(StoreError) {
    await takeTurn(transaction)
    guard let session else { return }
    defer { end() }
    endRows()
    try performNow(nil) { (session) throws(StoreError) in
      try session.abandonTransaction()
      try session.settle()
    }
    try tellRejection(session)
  }

  /// Hands over what is pending and closes, whatever is open.
  func closeNow() throws(StoreError) {
    guard let session else { return }
    defer { end() }
    endRows()
    try session.abandonTransaction()
    try session.wait(for: .queued)
  }

  private func end() {
    endRows()
    prepared = [:]
    inserts = [:]
    session = nil
    passTurn()
  }

  /// Has the running statement end soon. From any thread.
  nonisolated func stopRunning() { running.withLock { $0?.set() } }
}
