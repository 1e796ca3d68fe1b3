// The asynchronous face of a store: a session on a thread of its own, for any number of tasks.
import SluiceSQL
import SluiceSystem

/// What became of a statement.
public struct Execution: Sendable {
  /// Its number: statements of a client and rows of its prepared inserts are counted together, from 1, in the order in
  /// which they were taken. An error names it in `StoreError.line`.
  public let number: Int
  /// Rows that it inserted, updated or deleted; in a transaction, or with `SET ack = queued`, as far as that is known
  /// before it is applied.
  public let changes: Int64
  /// The last INTEGER PRIMARY KEY of a row that an INSERT of this client was given or brought; 0 before the first. What
  /// number a row of a table without one gets is known once it is applied: `SELECT last_insert_rowid()` waits for that.
  public let lastInsertedRowid: Int64
}

/// A conversation with a store for Swift's concurrency: one session, on a thread of its own, which any number of tasks
/// may use. Statements run one after another, in the order in which they come; for reads beside writes, or many
/// transactions at once, make several clients.
///
/// **When a statement is done.** `execute` and `insert` return when the statement has reached the level of `SET ack`
/// and its outcome is known: on the disk (`durable`, the level at first: `StoreOptions.acknowledgement`), readable
/// (`applied`), in projections.db (`projected`). A duplicate key is thrown by the call whose statement it is
/// (`conflict`, sqliteCode 19), and by no other. Statements of many tasks, and the rows of an `insert`, share one write
/// to the disk.
///
/// **`SET ack = queued`** has them return at once, in memory: what is wrong with a statement by itself is thrown,
/// nothing is on the disk before `wait`, and a duplicate key is found later. The same holds for plain INSERTs between
/// `BEGIN` and `COMMIT` given as text. Their rejections are told once: by `wait(for:of:)` for the statements it names,
/// by `takeRejections`, and what nobody took is thrown by `close`. `StoreError.line` has the number of the statement.
/// Inside `transaction` everything is known when the statement returns.
///
/// **Cancellation** is a `CancellationError` wherever the task is: behind another task's statement or transaction, in a
/// statement that runs, between rows, in `wait`. Nothing of a statement that throws it is done. What is on its way to
/// the disk is not cancelled: a statement whose rows were sent goes to its end and says what became of it, as an
/// `insert` that has begun and a commit do.
///
/// **A failure** that leaves open whether a statement is stored says so: see `StoreError.outcome`.
///
/// **Cost** of each call: 10 to 60 µs for the way to the thread and back, and at `durable` an fsync, shared by all
/// tasks that wait for one; so rows are best given to `insert` and read from `query` in batches.
public final class Client: Sendable {
  /// A transaction that is open in the running task.
  private struct Open: Sendable {
    /// Kept, so that no other one takes its place in memory.
    let worker: ClientWorker
    let number: Int
  }

  /// The open transactions of the running task, by their client.
  @TaskLocal private static var transactions: [ObjectIdentifier: Open] = [:]

  let worker: ClientWorker

  init(_ worker: ClientWorker) { self.worker = worker }

  /// The transaction that the running task has open on a worker.
  static func transaction(of worker: ClientWorker) -> Int? { transactions[ObjectIdentifier(worker)]?.number }

  private var transaction: Int? { Self.transaction(of: worker) }

  // MARK: Statements

  /// Executes one statement, with `parameters` for `?1`, `?2` …: as many as it has, also of those with names, which
  /// count in the order in which they first stand there. Rows that it returns are computed and dropped: `query` gives
  /// them.
  ///
  /// Throws what is wrong with the statement (`invalid`, `unsupported`), also text behind its `;` other than comments
  /// and too many or too few parameters (sqliteCode 25); `conflict` when it contradicts what is stored; `overloaded`
  /// when the disk is nearly full; `unavailable` when client or store were closed or a write has failed;
  /// `CancellationError`. Nothing of a statement that throws is done, unless the error says otherwise in
  /// `StoreError.outcome`.
  @discardableResult
  public func execute(_ sql: String, _ parameters: [Value] = []) async throws -> Execution {
    try await worker.execute(.text(sql), parameters, in: transaction)
  }

  /// The rows of one statement, with `parameters` as for `execute`; it runs when they are iterated over, and each time
  /// anew. It sees all that this client was given before.
  public func query(_ sql: String, _ parameters: [Value] = []) -> RowSequence {
    RowSequence(worker: worker, source: .text(sql), parameters: parameters, statement: nil)
  }

  /// Parses and plans a statement to be run many times. Throws what is wrong with its text.
  public func prepare(_ sql: String) async throws -> ClientStatement {
    let transaction = transaction
    let handle = try await worker.call(in: transaction) { (work, stop) throws(StoreError) in
      .now(try work.prepare(sql, in: transaction, stop))
    }
    return ClientStatement(worker, handle)
  }

  /// Prepares the insertion of rows without any text. `columns` as in `INSERT INTO t(…)`; nil: all, in their order.
  /// Throws `no such table` and `no such column` (`invalid`).
  public func prepareInsert(
    into table: String, columns: [String]? = nil, orAction: OrAction = .abort
  ) async throws -> ClientInsert {
    let transaction = transaction
    let made = try await worker.call(in: transaction) { (work, stop) throws(StoreError) in
      .now(try work.prepareInsert(into: table, columns: columns, orAction: orAction, in: transaction, stop))
    }
    return ClientInsert(worker, made.handle, valueCount: made.valueCount)
  }

  // MARK: Transactions

  /// Runs `body` in a transaction: all of its statements of this client, also those of its child tasks, become durable
  /// and visible at once when it returns; when it throws they are undone, and its error is thrown on. Other tasks that
  /// use this client wait meanwhile; one that is cancelled waits no longer. A task that outlives `body` can give no
  /// statement to it any more (`invalid`).
  ///
  /// The transaction reads the store as it was when it began, and its own writes over that. When another session has
  /// changed a row that it rests on, nothing of it is written and `conflict` with sqliteCode 5 is thrown: run it again.
  /// When the store fails a statement that writes (a full disk, a file that cannot be read, a cancellation), the whole
  /// transaction is undone at once: what is left of `body` can do nothing, and the commit is an error.
  /// Throws `invalid` inside another transaction of this client. What it writes is held in memory, at most 256 MiB;
  /// larger loads go without, or between `BEGIN` and `COMMIT` by text, which belong to the client whatever the task.
  /// Cost: a write to the disk and its fsync at the end, if it wrote anything.
  public func transaction<R: Sendable>(
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
  ) async throws -> R {
    let (worker, outer) = (worker, transaction)
    let number = try await worker.call(in: outer) { (work, stop) throws(StoreError) in
      .now(try work.beginTransaction(outer, stop))
    }
    var open = Self.transactions
    open[ObjectIdentifier(worker)] = Open(worker: worker, number: number)
    let result: R
    do {
      result = try await Self.$transactions.withValue(open, operation: body)
    } catch {
      // What ended the transaction is the news.
      do { try await worker.callToItsEnd { (work, _) throws(StoreError) in .now(try work.rollBack(number)) } } catch {}
      throw error
    }
    try await worker.callToItsEnd { (work, _) throws(StoreError) in .now(try work.commit(number)) }
    return result
  }

  // MARK: Waiting

  /// Waits until everything that this client was given has reached `level`: on the disk, readable, in projections.db;
  /// nil: the level of `SET ack`. Nothing of an open transaction.
  ///
  /// Throws `unavailable` when a write has failed, `overloaded` when the level does not come, `CancellationError`, and
  /// then the first rejection of the statements with these `numbers` that was not told yet; those of others it leaves
  /// to them. At `applied` and `projected` all of them are known. Cost: at `durable` one fsync, shared by all who
  /// wait, if anything is pending.
  public func wait(for level: AcknowledgementLevel? = nil, of numbers: Range<Int> = 0..<0) async throws {
    let transaction = transaction
    try await worker.call(in: transaction) { (work, stop) throws(StoreError) in
      .now(try work.wait(for: level, of: numbers, in: transaction, stop))
    }
  }

  /// Takes the errors of all statements that were taken first and rejected later, as far as they are known and were not
  /// told, in their order: see `SET ack = queued`. `wait(for: .applied)` makes all known that came before.
  public func takeRejections() async -> [StoreError] {
    do { return try await worker.callToItsEnd { (work, _) in .now(work.takeAllRejections()) } } catch { return [error] }
  }

  /// Waits until everything has reached the level of `SET ack` and its outcome is known, then ends the session. An open
  /// transaction of another task is waited for, one of this task is undone; results that are not read to their end end.
  /// Later calls throw `unavailable`.
  ///
  /// Throws what `wait` throws, and the first rejection that nobody took, with all others in `StoreError.further`; the
  /// client is closed all the same, unless it is a `CancellationError`. Calling it again does nothing. A client that is
  /// dropped without it loses what was only queued.
  public func close() async throws {
    try await worker.call(in: transaction) { (work, _) throws(StoreError) in .now(try work.close()) }
  }
}

/// A statement that a client has parsed and planned. Any number of tasks may use it.
public final class ClientStatement: Sendable {
  private let worker: ClientWorker
  private let handle: Int

  fileprivate init(_ worker: ClientWorker, _ handle: Int) {
    self.worker = worker
    self.handle = handle
  }

  deinit {
    let handle = handle
    worker.tell { $0.forget(handle) }
  }

  /// Executes it with `parameters`, as `Client.execute`.
  @discardableResult
  public func execute(_ parameters: [Value] = []) async throws -> Execution {
    try await worker.execute(.prepared(handle), parameters, in: Client.transaction(of: worker))
  }

  /// Its rows with `parameters`, as `Client.query`. The plan of a SELECT is kept between runs.
  public func query(_ parameters: [Value] = []) -> RowSequence {
    RowSequence(worker: worker, source: .prepared(handle), parameters: parameters, statement: self)
  }
}

/// The insertion of rows into one SQL table, without text. Any number of tasks may use it.
public final class ClientInsert: Sendable {
  private let worker: ClientWorker
  private let handle: Int
  /// Values of a row: those of the columns named, or of all.
  public let valueCount: Int

  fileprivate init(_ worker: ClientWorker, _ handle: Int, valueCount: Int) {
    self.worker = worker
    self.handle = handle
    self.valueCount = valueCount
  }

  deinit {
    let handle = handle
    worker.tell { $0.forget(handle) }
  }

  /// Inserts rows of `valueCount` values each. Every row is a statement of its own; the call returns as
  /// `Client.execute` does, for all of them. Returns their numbers.
  ///
  /// Throws `invalid` for a row with another number of values, before any row is inserted. Throws what is wrong with a
  /// row, with its number in `StoreError.line`: the rows before it are inserted, it and those behind it are not. Throws
  /// the first duplicate key, with those of further rows in `StoreError.further`: all rows but these are inserted.
  /// Cancelled, it inserts all rows or, with a `CancellationError`, none. Cost: about 0.2 µs a row, and what a call
  /// costs; a thousand rows at a time are a good measure.
  @discardableResult
  public func insert(_ rows: [[Value]]) async throws -> Range<Int> {
    let (handle, transaction) = (handle, Client.transaction(of: worker))
    return try await worker.call(in: transaction) { (work, stop) throws(StoreError) in
      try work.insert(handle, rows, in: transaction, stop)
    }
  }
}

extension ClientWorker {
  fileprivate func execute(
    _ source: ClientWork.Source, _ parameters: [Value], in transaction: Int?
  ) async throws -> Execution {
    try await call(in: transaction) { (work, stop) throws(StoreError) in
      try work.execute(source, parameters, in: transaction, stop)
    }
  }
}
