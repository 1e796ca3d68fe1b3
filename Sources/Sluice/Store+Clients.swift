// The asynchronous forms of opening and closing a store, and the clients it has.
import SluiceSystem

/// The clients of a store that may still be open.
struct OpenClients: Sendable {
  private struct Entry: Sendable {
    weak let worker: ClientWorker?
  }

  private var entries: [Entry] = []
  /// Whether the store is being closed: no client is made any more.
  private var isClosing = false

  /// False when the store is being closed.
  mutating func add(_ worker: ClientWorker) -> Bool {
    if isClosing { return false }
    entries.removeAll { $0.worker == nil }
    entries.append(Entry(worker: worker))
    return true
  }

  /// Those that are left, as the store is being closed.
  mutating func takeAll() -> [ClientWorker] {
    isClosing = true
    defer { entries = [] }
    return entries.compactMap(\.worker)
  }
}

extension Store {
  /// `open(path:options:)` on a thread of its own. Not cancelled: recovery goes to its end.
  public static func open(path: String, options: StoreOptions = StoreOptions()) async throws(StoreError) -> Store {
    try await onOwnThread("sluice-open") { () throws(StoreError) in try Store.open(path: path, options: options) }
  }

  /// A new client: a session on a thread of its own, for any number of tasks. Throws `unavailable` when the store is
  /// closed, or the system gives no thread. Cost: about 0.3 ms, and some 100 KiB of memory; it is meant to be kept.
  public func makeClient() async throws(StoreError) -> Client {
    let worker = try ClientWorker(core)
    try await worker.callToItsEnd { (work, _) throws(StoreError) in .now(try work.begin()) }
    guard clients.withLock({ $0.add(worker) }) else {
      throw StoreError(.unavailable, "the store at \(core.path) is closed")
    }
    return Client(worker)
  }

  /// Ends the store, as `close(drain:report:)` does, on a thread of its own. Before that its clients are closed as by
  /// `Client.close`, but for this: a statement that is running ends ("interrupted", sqliteCode 9), and open
  /// transactions are undone. Throws the first failure, and else a rejection that nobody took; the store is closed
  /// all the same. Sessions must not be used afterwards. Not cancelled: `hastenClose` ends the waiting.
  public func close(
    drain: Bool = true, report: @escaping @Sendable (ClosingWait) -> Void = { _ in }
  ) async throws(StoreError) {
    var failure: StoreError?
    for worker in clients.withLock({ $0.takeAll() }) {
      worker.stopRunning()
      do throws(StoreError) {
        try await worker.callToItsEnd { (work, _) throws(StoreError) in .now(try work.close()) }
      } catch { failure = failure ?? error }
    }
    let core = core
    do throws(StoreError) {
      try await onOwnThread("sluice-close") { () throws(StoreError) in try core.close(drain: drain, report: report) }
    } catch { failure = failure ?? error }
    if let failure { throw failure }
  }
}
