// Group commit: all sessions' batches through one writer, one fdatasync for all that waits. While it runs the next
// group gathers, so the group grows with the load by itself and nothing waits for a timer.
//
// Who writes: one thread at a time, whoever finds work and nobody writing. That is the thread in `run` for what nobody
// waits for. A thread that waits for its own batch writes the group itself (the leader of it, as in LevelDB): waking
// another thread and being woken by it costs more than half of what the sync costs. Groups are taken whole and in the
// order of submission, so tickets become durable in their order.
//
// `@unchecked Sendable`: the log belongs to whoever has set `isWriting`; all else stands in the queue's monitor.
import SluiceSystem

/// Something that was given to the appender, when it is durable or has failed.
public struct AppendedItem: Sendable {
  public enum Content: Sendable {
    case batch(Batch)
    case resolution(Resolution)
    case staged(StagedSegment)
  }
  /// What `submit` returned for it; rises by one in the order of submission.
  public let ticket: UInt64
  public let content: Content
  /// Its commands' positions; nil for a resolution and for what failed.
  public let positions: ClosedRange<UInt64>?

  /// Bytes it takes in the queue.
  var size: Int {
    switch content {
    case .batch(let batch): batch.size
    case .resolution(let resolution): resolution.sizeBound
    case .staged: 0
    }
  }
}

/// Writes what sessions submit to the log in the order of submission.
public final class Appender: @unchecked Sendable {
  /// Bytes that may wait before `submit` blocks.
  public static let queueLimitBytes = 32 << 20

  private struct Queue {
    var items: [AppendedItem] = []
    var bytes = 0
    var nextTicket: UInt64 = 1
    /// Everything up to this ticket is durable and was reported.
    var durableTicket: UInt64 = 0
    /// Whether some thread has taken a group and not reported it yet.
    var isWriting = false
    /// Threads that wait for a ticket: one of them writes what is queued when nobody does.
    var waiting = 0
    var isThreaded = false
    var isStopping = false
    var failure: LogError?
    /// The last ticket of the group that failed: up to it things may be in the log, behind it they were never written.
    var failedTicket: UInt64 = 0

    /// Everything that waits, for the caller to write; nil when there is nothing or somebody writes already.
    mutating func take() -> [AppendedItem]? {
      if isWriting || items.isEmpty { return nil }
      isWriting = true
      defer {
        items = []
        bytes = 0
      }
      return items
    }

    /// Whether there is work that only the thread in `run` will see.
    var needsThread: Bool { isStopping || (!isWriting && waiting == 0 && !items.isEmpty) }
  }

  private let log: Log
  private let syncs: Bool
  private let queue = Monitor(Queue())
  /// Wakes the thread in `run`.
  private let bell = Bell()
  private let onDurable: @Sendable ([AppendedItem]) -> Void
  private let onFailure: @Sendable ([AppendedItem], LogError) -> Void

  /// `onDurable` gets each group after its sync, in order of position; `onFailure` once everything that was not written
  /// when the log failed: whether it is in the log is decided by reopening. Both run on the thread that writes the
  /// group, and may submit resolutions but must not wait for the appender. Without `syncs` a group counts as durable
  /// when the operating system has it; `syncLog` makes it so.
  public init(
    log: Log, syncs: Bool = true, onDurable: @escaping @Sendable ([AppendedItem]) -> Void,
    onFailure: @escaping @Sendable ([AppendedItem], LogError) -> Void = { _, _ in }
  ) {
    self.log = log
    self.syncs = syncs
    self.onDurable = onDurable
    self.onFailure = onFailure
  }

  /// Queues a batch; the appender owns it until it reports it. Any thread. Blocks while `queueLimitBytes` wait and a
  /// thread is in `run`. `isAwaited`: the caller waits for it next. Throws `poisoned` after a failure, `invalid` after
  /// `stop`: then the batch is not written.
  @discardableResult
  public func submit(_ batch: Batch, isAwaited: Bool = false) throws(LogError) -> UInt64 {
    try enqueue(.batch(batch), mayWait: true, isAwaited: isAwaited)
  }

  /// As `submit`, and waits until the batch is durable; writes it on this thread when nobody else is writing.
  @discardableResult
  public func write(_ batch: Batch) throws(LogError) -> UInt64 {
    let ticket = try submit(batch, isAwaited: true)
    try waitDurable(ticket)
    return ticket
  }

  /// Queues a finished staged segment for adoption in its turn. Throws `invalid` also when it is unfinished or empty.
  @discardableResult
  public func submit(staged: StagedSegment) throws(LogError) -> UInt64 {
    guard staged.isFinished, staged.commandCount > 0 else {
      throw LogError(kind: .invalid, message: "\(staged.path) is not finished, or empty")
    }
    return try enqueue(.staged(staged), mayWait: true)
  }

  /// Queues a resolution. Never blocks: the applier, which makes them, is what the queue waits for.
  @discardableResult
  public func submit(resolution: Resolution) throws(LogError) -> UInt64 {
    try enqueue(.resolution(resolution), mayWait: false)
  }

  /// Bytes waiting, without the group being written. Any thread.
  public var queuedBytes: Int { queue.withLock { $0.bytes } }
  /// Items waiting. Any thread.
  public var queuedCount: Int { queue.withLock { $0.items.count } }
  /// Whether what has this ticket is durable. Any thread.
  public func isDurable(_ ticket: UInt64) -> Bool { queue.withLock { $0.durableTicket >= ticket } }
  /// Whether what has this ticket was being written when the log failed: the next opening decides whether it is in the
  /// log. Any thread.
  public func isInDoubt(_ ticket: UInt64) -> Bool {
    queue.withLock { $0.durableTicket < ticket && ticket <= $0.failedTicket }
  }
  /// Why nothing can be written any more. Any thread.
  public var failure: LogError? { queue.withLock { $0.failure } }

  /// Writes everything that waits as one group and reports it; false when nothing waited or another thread is writing.
  public func step() -> Bool {
    guard let group = queue.withLock({ $0.take() }) else { return false }
    lead(group)
    return true
  }

  /// Steps until `stop`, and then until nothing waits and nobody writes: a thread's body.
  public func run() {
    queue.withLock { $0.isThreaded = true }
    while true {
      while step() {}
      if queue.withLock({ $0.isStopping && $0.items.isEmpty && !$0.isWriting }) { break }
      bell.wait()
    }
    queue.update { $0.isThreaded = false }
  }

  /// Refuses what comes from now on and lets `run` end when the queue is empty. Any thread.
  public func stop() {
    queue.update { $0.isStopping = true }
    bell.ring()
  }

  private enum Turn {
    case done(needsThread: Bool)
    case failed(LogError)
    case write([AppendedItem])
  }

  /// Waits until what has `ticket` is durable; when nobody is writing, this thread does. Throws `poisoned` when it will
  /// not become durable. Any thread.
  public func waitDurable(_ ticket: UInt64) throws(LogError) {
    while true {
      var isCounted = false
      let turn: Turn = queue.wait { queue -> Turn? in
        if !isCounted { queue.waiting += 1 }
        isCounted = true
        let turn: Turn
        if queue.durableTicket >= ticket {
          turn = .done(needsThread: false)
        } else if let failure = queue.failure, !queue.isWriting {
          turn = .failed(failure)
        } else if let group = queue.take() {
          turn = .write(group)
        } else {
          return nil
        }
        queue.waiting -= 1
        if case .done = turn { return .done(needsThread: queue.needsThread) }
        return turn
      }
      switch turn {
      case .done(let needsThread):
        if needsThread { bell.ring() }
        return
      case .failed(let error): throw error
      case .write(let group): lead(group)
      }
    }
  }

  /// Writes a group that was taken, and reports it.
  private func lead(_ group: [AppendedItem]) {
    // The queue was full: those who wait for room go on.
    if group.reduce(0, { $0 + $1.size }) > Self.queueLimitBytes { queue.update { _ in } }
    do throws(LogError) {
      let durable = try write(group)
      if syncs { try log.sync() } else { try log.publish() }
      onDurable(durable)
      let needsThread = queue.update { queue in
        queue.isWriting = false
        queue.durableTicket = group.last?.ticket ?? queue.durableTicket
        return queue.needsThread
      }
      if needsThread { bell.ring() }
    } catch { fail(group, error) }
  }

  /// Makes everything that was reported durable in earnest, when groups are not synced one by one. Any thread.
  public func syncLog() throws(LogError) {
    if syncs { return }
    let failure: LogError?? = queue.wait { queue -> LogError?? in
      if let failure = queue.failure { return .some(failure) }
      if queue.isWriting { return nil }
      queue.isWriting = true
      return .some(nil)
    }
    if let failure = failure ?? nil { throw failure }
    do throws(LogError) { try log.sync() } catch {
      fail([], error)
      throw error
    }
    let needsThread = queue.update { queue in
      queue.isWriting = false
      return queue.needsThread
    }
    if needsThread { bell.ring() }
  }

  private func enqueue(
    _ content: AppendedItem.Content, mayWait: Bool, isAwaited: Bool = false
  ) throws(LogError) -> UInt64 {
    var needsThread = false
    let result: Result<UInt64, LogError> = queue.wait { queue in
      // Who is refused finds that those concerned were told: not before the failing thread has done so.
      if let failure = queue.failure { return mayWait && queue.isWriting ? nil : .failure(failure) }
      if queue.isStopping { return .failure(LogError(kind: .invalid, message: "the appender was stopped")) }
      if mayWait && queue.isThreaded && queue.bytes > Self.queueLimitBytes { return nil }
      let ticket = queue.nextTicket
      let item = AppendedItem(ticket: ticket, content: content, positions: nil)
      queue.items.append(item)
      queue.nextTicket += 1
      queue.bytes += item.size
      needsThread = queue.needsThread && !isAwaited
      return .success(ticket)
    }
    let ticket = try result.get()
    if needsThread { bell.ring() }
    return ticket
  }

  /// Appends the group in order; returns it with positions. A staged segment is adopted in its turn.
  private func write(_ group: [AppendedItem]) throws(LogError) -> [AppendedItem] {
    var written: [AppendedItem] = []
    written.reserveCapacity(group.count)
    var batches: [Batch] = []
    var resolutions: [Resolution] = []
    for item in group {
      switch item.content {
      case .batch(let batch): batches.append(batch)
      case .resolution(let resolution): resolutions.append(resolution)
      case .staged(let staged):
        try log.append(batches, resolutions)
        batches.removeAll()
        resolutions.removeAll()
        let positions = try log.adopt(staged)
        written.append(AppendedItem(ticket: item.ticket, content: item.content, positions: positions))
        continue
      }
      written.append(item)
    }
    try log.append(batches, resolutions)
    return written.map { item in
      guard case .batch(let batch) = item.content else { return item }
      let positions = batch.firstPosition...batch.lastPosition
      return AppendedItem(ticket: item.ticket, content: item.content, positions: positions)
    }
  }

  private func fail(_ group: [AppendedItem], _ error: LogError) {
    let waiting = queue.update { queue in
      defer {
        queue.items = []
        queue.bytes = 0
      }
      queue.failure = LogError(
        kind: .poisoned, message: "nothing is written until the store is opened again: \(error.message)",
        cause: error.cause)
      queue.failedTicket = group.last?.ticket ?? 0
      return queue.items
    }
    onFailure(group + waiting, error)
    // Not before: who waits for a ticket then finds the failure wherever it looks.
    queue.update { $0.isWriting = false }
    bell.ring()
  }
}
