// Group commit: all sessions' batches through one writer, one fdatasync for all that waits. While it runs the next
// group gathers, so the group grows with the load by itself and nothing waits for a timer.
//
// `@unchecked Sendable`: only the thread that calls `step` touches the log; all else stands in the queue's monitor.
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
}

/// Writes what sessions submit to the log in the order of submission.
public final class Appender: @unchecked Sendable {
  /// Bytes that may wait before `submit` blocks.
  public static let queueLimitBytes = 32 << 20

  private struct Queue {
    var items: [AppendedItem] = []
    var bytes = 0
    var nextTicket: UInt64 = 1
    var isThreaded = false
    var isStopping = false
    var failure: LogError?
  }

  private let log: Log
  private let queue = Monitor(Queue())
  private let onDurable: @Sendable ([AppendedItem]) -> Void
  private let onFailure: @Sendable ([AppendedItem], LogError) -> Void

  /// `onDurable` gets each group after its sync, in order of position; `onFailure` once everything that was not written
  /// when the log failed: whether it is in the log is decided by reopening. Both run on the thread that calls
  /// `step`, and may submit resolutions but must not wait for the appender.
  public init(
    log: Log, onDurable: @escaping @Sendable ([AppendedItem]) -> Void,
    onFailure: @escaping @Sendable ([AppendedItem], LogError) -> Void = { _, _ in }
  ) {
    self.log = log
    self.onDurable = onDurable
    self.onFailure = onFailure
  }

  /// Queues a batch; the appender owns it until it reports it. Any thread. Blocks while `queueLimitBytes` wait and a
  /// thread is in `run`. Throws `poisoned` after a failure, `invalid` after `stop`.
  @discardableResult
  public func submit(_ batch: Batch) throws(LogError) -> UInt64 {
    try enqueue(.batch(batch), size: batch.size, mayWait: true)
  }

  /// Queues a finished staged segment for adoption in its turn. Throws `invalid` also when it is unfinished or empty.
  @discardableResult
  public func submit(staged: StagedSegment) throws(LogError) -> UInt64 {
    guard staged.isFinished, staged.commandCount > 0 else {
      throw LogError(kind: .invalid, message: "\(staged.path) is not finished, or empty")
    }
    return try enqueue(.staged(staged), size: 0, mayWait: true)
  }

  /// Queues a resolution. Never blocks: the applier, which makes them, is what the queue waits for.
  @discardableResult
  public func submit(resolution: Resolution) throws(LogError) -> UInt64 {
    try enqueue(.resolution(resolution), size: resolution.sizeBound, mayWait: false)
  }

  /// Bytes waiting, without the group being written. Any thread.
  public var queuedBytes: Int { queue.withLock { $0.bytes } }
  /// Items waiting. Any thread.
  public var queuedCount: Int { queue.withLock { $0.items.count } }
  /// Why nothing can be written any more. Any thread.
  public var failure: LogError? { queue.withLock { $0.failure } }

  /// Writes everything that waits as one group and reports it; false when nothing waited. One thread.
  public func step() -> Bool {
    let group = queue.update { queue in
      defer {
        queue.items = []
        queue.bytes = 0
      }
      return queue.items
    }
    if group.isEmpty { return false }
    do throws(LogError) {
      let durable = try write(group)
      try log.sync()
      onDurable(durable)
    } catch { fail(group, error) }
    return true
  }

  /// Steps until `stop`, and then until nothing waits: a thread's body.
  public func run() {
    queue.update { $0.isThreaded = true }
    while queue.wait({ !$0.items.isEmpty ? true : $0.isStopping ? false : nil }) { _ = step() }
    queue.update { $0.isThreaded = false }
  }

  /// Refuses what comes from now on and lets `run` end when the queue is empty. Any thread.
  public func stop() { queue.update { $0.isStopping = true } }

  private func enqueue(_ content: AppendedItem.Content, size: Int, mayWait: Bool) throws(LogError) -> UInt64 {
    let result: Result<UInt64, LogError> = queue.wait { queue in
      if let failure = queue.failure { return .failure(failure) }
      if queue.isStopping { return .failure(LogError(kind: .invalid, message: "the appender was stopped")) }
      if mayWait && queue.isThreaded && queue.bytes > Self.queueLimitBytes { return nil }
      let ticket = queue.nextTicket
      queue.items.append(AppendedItem(ticket: ticket, content: content, positions: nil))
      queue.nextTicket += 1
      queue.bytes += size
      return .success(ticket)
    }
    let ticket = try result.get()
    queue.update { _ in }
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
      return queue.items
    }
    onFailure(group + waiting, error)
  }
}
