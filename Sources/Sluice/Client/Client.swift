// The asynchronous face of a store: a session on a thread of its own, for any number of tasks.
import SluiceSQL
import SluiceSystem

/// What became of a statement that was accepted.
public struct Execution: Sendable {
  /// Its number: statements of a client and rows of its prepared inserts are counted together, from 1, in the order in
  /// which they were accepted. A rejection names it in `StoreError.line`.
  public let number: Int
  /// Rows that it inserted, updated or deleted, as far as that is known before it is applied.
  public let changes: Int64
  /// The last INTEGER PRIMARY KEY, or rowid, that an INSERT of this client was given; 0 before the first.
  public let lastInsertedRowid: Int64
}

/// A conversation with a store for Swift's concurrency: one session, on a thread of its own, which any number of tasks
/// may use. Statements run one after another, in the order in which they come; for reads beside writes, or many
/// transactions at once, make several clients.
///
/// **What is accepted and what is done.** `execute` and `insert` return when the client has taken the statement: what
/// is wrong with it by itself was thrown. INSERTs are pipelined behind that, many to one write to the disk. `wait`
/// returns when all of them have reached a level, `durable` as a rule; only what was waited for is acknowledged.
///
/// **Rejections.** A duplicate key of a pipelined INSERT is found when it is applied, after `execute` has returned.
/// Such a statement has no effect, those behind it have theirs. Its error (`conflict`, sqliteCode 19) is thrown by
/// `wait`, or by `close`, once: one error a call, the oldest first, with the number of its statement in
/// `StoreError.line`; no other call throws it. `wait(for: .applied)` and `.projected` know of all that was sent before.
/// `takeRejections` gives all at once instead. Inside `transaction`, and for UPDATE and DELETE, everything is known
/// when the statement returns, and thrown by it.
///
/// **Cancellation** ends a statement that is running within a few milliseconds, with `invalid` and sqliteCode 9
/// ("interrupted"); nothing of it is done then. Waiting, committing and closing are not cancelled.
///
/// **Cost** of each call: 10 to 60 µs for the way to the thread and back, so rows are best given to `insert` and read
/// from `query` in batches.
public final class Client: Sendable {
  /// The open transactions of the running task, by their client.
  @TaskLocal private static var transactions: [ObjectIdentifier: Int] = [:]

  let worker: ClientWorker

  init(_ worker: ClientWorker) { self.worker = worker }

  /// The transaction that the running task has open on a worker.
  static func transaction(of worker: ClientWorker) -> Int? { transactions[ObjectIdentifier(worker)] }

  private var transaction: Int? { Self.transaction(of: worker) }

  // MARK: Statements

  /// Executes one statement, with `parameters` for `?1`, `?2` …; parameters beyond them are NULL. Rows that it returns
  /// are computed and dropped: `query` gives them.
  ///
  /// Throws what is wrong with the statement (`invalid`, `unsupported`), contradictions that are known at once
  /// (`conflict`), `overloaded` when the disk is nearly full, `unavailable` when client or store were closed or a write
  /// has failed. Nothing of a statement that throws is done.
  @discardableResult
  public func execute(_ sql: String, _ parameters: [Value] = []) async throws(StoreError) -> Execution {
    let (worker, transaction) = (worker, transaction)
    return try await stoppable { (stop) async throws(StoreError) in
      try await worker.execute(.text(sql), parameters, in: transaction, stop)
    }
  }

  /// The rows of one statement, with `parameters` for `?1`, `?2` …; it runs when they are iterated over, and each time
  /// anew. It sees all that this client was given before.
  public func query(_ sql: String, _ parameters: [Value] = []) -> RowSequence {
    RowSequence(worker: worker, source: .text(sql), parameters: parameters, statement: nil)
  }

  /// Parses and plans a statement to be run many times. Throws what is wrong with its text.
  public func prepare(_ sql: String) async throws(StoreError) -> ClientStatement {
    ClientStatement(worker, try await worker.prepare(sql, in: transaction))
  }

  /// Prepares the insertion of rows without any text. `columns` as in `INSERT INTO t(…)`; nil: all, in their order.
  /// Throws `no such table` and `no such column` (`invalid`).
  public func prepareInsert(
    into table: String, columns: [String]? = nil, orAction: OrAction = .abort
  ) async throws(StoreError) -> ClientInsert {
    let made = try await worker.prepareInsert(into: table, columns: columns, orAction: orAction, in: transaction)
    return ClientInsert(worker, made.handle, valueCount: made.valueCount)
  }

  // MARK: Transactions

  /// Runs `body` in a transaction: all of its statements of this client, also those of its child tasks, become durable
  /// and visible at once when it returns; when it throws they are undone, and its error is thrown on. Other tasks that
  /// use this client wait meanwhile.
  ///
  /// The transaction reads the store as it was when it began, and its own writes over that. When another session has
  /// changed a row that it rests on, nothing of it is written and `conflict` with sqliteCode 5 is thrown: run it again.
  /// Throws `invalid` inside another transaction of this client. What it writes is held in memory, at most 256 MiB;
  /// larger loads go without, or between `BEGIN` and `COMMIT` by text, which belong to the client whatever the task.
  /// Cost: a write to the disk and its fsync at the end, if it wrote anything.
  public func transaction<R: Sendable>(
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
  ) async throws -> R {
    let number = try await worker.beginTransaction(transaction)
    var open = Self.transactions
    open[ObjectIdentifier(worker)] = number
    let result: R
    do {
      result = try await Self.$transactions.withValue(open, operation: body)
    } catch {
      // What ended the transaction is the news.
      do { try await worker.rollBack(number) } catch {}
      throw error
    }
    try await worker.commit(number)
    return result
  }

  // MARK: Waiting

  /// Waits until everything that this client was given has reached `level`: on the disk, readable, in projections.db;
  /// nil: the level of `SET ack`, which is `StoreOptions.acknowledgement` at first. Nothing of an open transaction.
  ///
  /// Throws `unavailable` when a write has failed, and then the oldest rejection that is known and was not told yet.
  /// Cost: at `durable` one fsync, shared by all who wait, if anything is pending.
  public func wait(for level: AcknowledgementLevel? = nil) async throws(StoreError) {
    try await worker.wait(for: level, in: transaction)
  }

  /// Takes the errors of all statements that were accepted and then rejected, as far as they are known and were not
  /// thrown, in their order. `wait(for: .applied)` makes all known that came before.
  public func takeRejections() async -> [StoreError] { await worker.takeRejections() }

  /// Waits until everything has reached the level of `SET ack` and its outcome is known, then ends the session. An open
  /// transaction of another task is waited for, one of this task is undone; results that are not read to their end end.
  /// Later calls throw `unavailable`.
  ///
  /// Throws what `wait` throws; the client is closed all the same. Calling it again does nothing. A client that is
  /// dropped without it loses what was not waited for.
  public func close() async throws(StoreError) { try await worker.close(in: transaction) }
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
    let (worker, handle) = (worker, handle)
    Task { await worker.forget(handle) }
  }

  /// Executes it with `parameters`, as `Client.execute`.
  @discardableResult
  public func execute(_ parameters: [Value] = []) async throws(StoreError) -> Execution {
    let (worker, handle, transaction) = (worker, handle, Client.transaction(of: worker))
    return try await stoppable { (stop) async throws(StoreError) in
      try await worker.execute(.prepared(handle), parameters, in: transaction, stop)
    }
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
    let (worker, handle) = (worker, handle)
    Task { await worker.forget(handle) }
  }

  /// Inserts rows of `valueCount` values each. Every row is a statement of its own, pipelined as by `Client.execute`.
  /// Returns their numbers.
  ///
  /// Throws what is wrong with a row, with its number in `StoreError.line`: the rows before it are accepted, it and
  /// those behind it are not. Cost: about 0.2 µs a row and the way to the thread; a thousand rows at a time are a good
  /// measure.
  @discardableResult
  public func insert(_ rows: [[Value]]) async throws(StoreError) -> Range<Int> {
    let (worker, handle, transaction) = (worker, handle, Client.transaction(of: worker))
    return try await stoppable { (stop) async throws(StoreError) in
      try await worker.insert(handle, rows, in: transaction, stop)
    }
  }
}
