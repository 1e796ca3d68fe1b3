// What stands behind a client: a session on a thread of its own, and the calls that tasks have for it. No call of a
// session may sit on Swift's own pool, for it may wait for the disk; a hop there and back takes 10 to 60 µs.
import SluiceSystem
import Synchronization

/// Takes the calls of tasks to a session's thread, and the answers back. Closed once, by its client or its store.
final class ClientWorker: Sendable {
  private static let transactionCount = Atomic<Int>(0)

  private let queue = ClientQueue()
  private let core: StoreCore

  /// Starts the thread; it ends with the last reference.
  init(_ core: StoreCore) throws(StoreError) {
    self.core = core
    let queue = queue
    do throws(SystemError) {
      try Thread(name: "sluice-client") { ClientWork(core, queue).run() }.detach()
    } catch { throw StoreError(error) }
  }

  deinit { queue.end() }

  /// What a call comes to.
  enum Answer<R: Sendable>: Sendable {
    case now(R)
    /// When all that was sent so far has reached the session's level; then the rejections of these statements are its
    /// error, or what ended them early.
    case settled(R, of: Range<Int>, unless: StoreError? = nil)
  }

  /// Has the session's thread run `body` when it is the turn of `transaction`, and waits for the answer. A task that is
  /// cancelled takes its call back, or ends what is running, unless `isCancellable` is false.
  func call<R: Sendable>(
    in transaction: Int?, isForced: Bool = false, isCancellable: Bool = true,
    _ body: @escaping @Sendable (ClientWork, StopSignal) throws(StoreError) -> Answer<R>
  ) async throws -> R {
    let (queue, core) = (queue, core)
    let stop = StopSignal()
    let number = queue.newNumber()
    return try await withTaskCancellationHandler {
      try await answered { asking in
        queue.add(
          ClientCall(
            number: number, transaction: transaction, isForced: isForced, stop: stop,
            run: { work in Self.answer(asking, work, stop, body) }, refuse: { asking.answer(.failure($0)) }))
      }
    } onCancel: {
      guard isCancellable else { return }
      queue.cancel(number, stop)
      // It may wait for a level.
      core.pipeline.progress.update { _ in }
    }
  }

  /// As `call`, for what is not cancelled and waits for nobody's transaction.
  @discardableResult
  func callToItsEnd<R: Sendable>(
    _ body: @escaping @Sendable (ClientWork, StopSignal) throws(StoreError) -> Answer<R>
  ) async throws(StoreError) -> R {
    do { return try await call(in: nil, isForced: true, isCancellable: false, body) } catch {
      throw StoreError(converting: error)
    }
  }

  private static func answer<R: Sendable>(
    _ asking: Asking<R>, _ work: ClientWork, _ stop: StopSignal,
    _ body: (ClientWork, StopSignal) throws(StoreError) -> Answer<R>
  ) {
    do throws(StoreError) {
      switch try body(work, stop) {
      case .now(let value): asking.answer(.success(value))
      case .settled(let value, let numbers, let failure):
        work.settleLater(numbers, unless: failure) { error in
          asking.answer(error.map { .failure($0) } ?? .success(value))
        }
      }
    } catch {
      let isCancelled = stop.isCancelled && error.sqliteCode == StopSignal.sqliteCode
      asking.answer(.failure(isCancelled ? CancellationError() : error))
    }
  }

  /// As `call`, for what is no statement and is not waited for.
  func tell(_ body: @escaping @Sendable (ClientWork) -> Void) {
    queue.add(
      ClientCall(
        number: queue.newNumber(), transaction: nil, isForced: true, stop: StopSignal(), run: body, refuse: { _ in }))
  }

  /// A number that no transaction has had.
  static func newTransaction() -> Int { transactionCount.add(1, ordering: .relaxed).newValue }

  /// Has the running statement end soon. From any thread.
  func stopRunning() { queue.stopRunning() }
}
