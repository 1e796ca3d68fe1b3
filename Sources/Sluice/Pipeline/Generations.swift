// Generations: how much memory the memtables of all shards hold together, which generation waits to be flushed, and how
// fast writers may go meanwhile. One generation fills while at most one waits, so memory is bounded by twice the
// budget; that the second is not full before the first is on disk is what the pace is for.
import SluiceSystem
import Synchronization

/// The memory of a store's memtables. Any thread.
final class Generations: Sendable {
  /// Frozen generations that may wait.
  static let frozenLimit = 1
  /// Bytes of rows after which sessions hand them over; fewer while they are slowed, so that many short waits take the
  /// place of a few long ones.
  static let batchBytes = 256 << 10
  static let slowBatchBytes = 32 << 10
  /// How long a wait shows as the store's state.
  private static let shownNanoseconds: UInt64 = 1_000_000_000

  private struct Frozen {
    let position: UInt64
    let sizeBytes: Int
    let frozenAt: UInt64
  }

  private struct State {
    var activeBytes = 0
    /// Memory of the active generation's batches: the engines count what is theirs.
    var batchBytes = 0
    /// What the engines held when it began, empty.
    var emptyEngineBytes = 0
    /// Oldest first.
    var frozen: [Frozen] = []
    /// Parts (shards) of the oldest frozen generation that are not flushed yet.
    var partsLeft = 0
    var progressAt: UInt64 = 0
    var flushNanosecondsPerByte = WritePace.assumedFlush
    /// What a byte of a batch came to in memory, in the generation before.
    var memoryPerByte = 1.5
    var runs = 0
    var resolutionsSubmitted = 0
    var resolutionsDurable = 0
    var meter = PaceMeter()
    /// Why somebody waited last, and when that was over.
    var slowedBy: WritePace.Reason?
    var slowedAt: UInt64 = 0
  }

  private let state = Monitor(State())
  private let clock: any Clock
  private let budgetBytes: Int
  private let partCount: Int
  /// Whether the applier stands still until a generation is flushed.
  private let stopped = Atomic<Bool>(false)
  /// What sessions compare the size of their batches with.
  private let handOver = Atomic<Int>(Generations.batchBytes)

  /// `partCount`: the number of shards; `engineBytes`: what their engines hold, empty.
  init(budgetBytes: Int, partCount: Int, engineBytes: Int, clock: any Clock) {
    state.withLock { $0.emptyEngineBytes = engineBytes }
    self.budgetBytes = budgetBytes
    self.partCount = partCount
    self.clock = clock
  }

  /// Bytes of rows after which a session hands them over. No lock.
  @inline(__always)
  var handOverBytes: Int { handOver.load(ordering: .relaxed) }

  /// Bytes that the generation being filled holds, and the number of frozen ones.
  var held: (activeBytes: Int, frozenCount: Int) { state.withLock { ($0.activeBytes, $0.frozen.count) } }

  // MARK: Sessions

  /// How long a batch of `size` bytes has to wait before it is handed over. Nanoseconds, 2 ms at most.
  func waitNanoseconds(for size: Int) -> UInt64 {
    let now = clock.monotonicNanoseconds()
    return state.withLock { state in
      let pace = WritePace.of(debt(state, now))
      let wait = state.meter.wait(Int(Double(size) * state.memoryPerByte), at: now, pace)
      if wait > 0 {
        state.slowedBy = pace.reason
        state.slowedAt = now + wait
      }
      handOver.store(wait > 0 ? Self.slowBatchBytes : Self.batchBytes, ordering: .relaxed)
      return wait
    }
  }

  private func debt(_ state: State, _ now: UInt64) -> WriteDebt {
    var debt = WriteDebt(activeBytes: state.activeBytes, budgetBytes: budgetBytes, runs: state.runs)
    debt.flushNanosecondsPerByte = state.flushNanosecondsPerByte
    if let oldest = state.frozen.first {
      debt.partBytes = oldest.sizeBytes / partCount
      debt.frozenBytes = debt.partBytes * state.partsLeft + state.frozen.dropFirst().reduce(0) { $0 + $1.sizeBytes }
      debt.sinceNanoseconds = now - min(now, state.progressAt)
    }
    return debt
  }

  /// What holds writers up, in words; nil when nothing does.
  var obstacle: String? {
    let now = clock.monotonicNanoseconds()
    return state.withLock { state in
      if isStopped { return "stopped: flushing" }
      guard let reason = state.slowedBy, now < state.slowedAt + Self.shownNanoseconds else { return nil }
      return "slowed: \(reason.rawValue)"
    }
  }

  // MARK: The applier

  /// Counts a batch of `size` bytes, after which the engines hold `engineBytes` besides; true when the generation is
  /// full.
  func count(_ size: Int, engineBytes: Int) -> Bool {
    state.withLock { state in
      state.batchBytes += size
      state.activeBytes = state.batchBytes + max(0, engineBytes - state.emptyEngineBytes)
      return state.activeBytes >= budgetBytes
    }
  }

  /// A resolution is on its way to the log.
  func resolutionSubmitted() { state.withLock { $0.resolutionsSubmitted += 1 } }

  /// Whether every resolution of the generation is durable: a batch may count as flushed only then, for replay resolves
  /// it no more.
  var isResolved: Bool { state.withLock { $0.resolutionsDurable >= $0.resolutionsSubmitted } }

  /// Resolutions that were on their way to the log so far.
  var submittedResolutions: Int { state.withLock { $0.resolutionsSubmitted } }

  /// Waits until `count` of them are durable, or `isOver`; whether they are.
  func waitDurable(_ count: Int, orUntil isOver: @escaping () -> Bool) -> Bool {
    state.wait { state in
      if state.resolutionsDurable >= count { return true }
      return isOver() ? false : nil
    }
  }

  /// Whether the applier stands still, or is about to, until a generation is flushed.
  var isStopped: Bool { stopped.load(ordering: .relaxed) }

  /// Notes that the applier is about to stand still, if it is.
  func noteStop() {
    state.withLock { stopped.store($0.frozen.count >= Self.frozenLimit, ordering: .relaxed) }
  }

  /// Waits until the generation may be frozen, or `isOver`.
  func waitToFreeze(orUntil isOver: @escaping () -> Bool) {
    state.wait { state -> Void? in
      let isFull = state.frozen.count >= Self.frozenLimit
      stopped.store(isFull, ordering: .relaxed)
      let mayGo = !isFull && state.resolutionsDurable >= state.resolutionsSubmitted
      if !mayGo && !isOver() { return nil }
      stopped.store(false, ordering: .relaxed)
      return ()
    }
  }

  /// The engines are about to be frozen at `position`.
  func frozen(at position: UInt64) {
    let now = clock.monotonicNanoseconds()
    state.withLock { state in
      state.frozen.append(Frozen(position: position, sizeBytes: state.activeBytes, frozenAt: now))
      if state.batchBytes > 0 { state.memoryPerByte = Double(state.activeBytes) / Double(state.batchBytes) }
      state.activeBytes = 0
      state.batchBytes = 0
      if state.frozen.count == 1 { begin(&state, now) }
    }
  }

  /// The engines are frozen, and hold `engineBytes` now.
  func begun(engineBytes: Int) { state.withLock { $0.emptyEngineBytes = engineBytes } }

  private func begin(_ state: inout State, _ now: UInt64) {
    state.partsLeft = partCount
    state.progressAt = now
  }

  // MARK: The appender and the compactor

  func resolutionsDurable(_ count: Int) { state.update { $0.resolutionsDurable += count } }

  /// Lets those who wait look again (after a failure).
  func wake() { state.update { _ in } }

  /// One shard has flushed its part of the oldest frozen generation, in `nanoseconds`.
  func partFlushed(nanoseconds: UInt64) {
    let now = clock.monotonicNanoseconds()
    state.withLock { state in
      guard let oldest = state.frozen.first, oldest.sizeBytes >= partCount else { return }
      state.partsLeft = max(0, state.partsLeft - 1)
      state.progressAt = now
      // Shards differ, and so does what else the machine does: each part moves the estimate by an eighth.
      let measured = Double(nanoseconds) / Double(oldest.sizeBytes / partCount)
      state.flushNanosecondsPerByte += (min(measured, 1_000) - state.flushNanosecondsPerByte) / 8
    }
  }

  /// Every shard is flushed up to `position`: generations up to there are gone.
  func flushed(upTo position: UInt64) {
    let now = clock.monotonicNanoseconds()
    state.update { state in
      let before = state.frozen.count
      state.frozen.removeAll { $0.position <= position }
      if state.frozen.count < before { begin(&state, now) }
    }
  }

  /// Runs in level 0 of the shard that has most.
  func noteRuns(_ runs: Int) { state.withLock { $0.runs = runs } }
}
