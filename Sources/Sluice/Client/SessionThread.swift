// The thread that a client's session runs on. No call of a session may sit on Swift's own pool: it may wait for the
// disk. So the actor that owns the session has a thread for its executor; a hop there and back takes 10 to 60 µs.
import SluiceSystem
import Synchronization

/// Runs the jobs of one actor on a thread of its own, which ends with the last reference.
final class SessionThread: SerialExecutor {
  private struct Job: Sendable {
    let job: UnownedJob
    let executor: UnownedSerialExecutor
  }

  private struct Queue: Sendable {
    var jobs: [Job] = []
    var isEnding = false
  }

  private let queue = Monitor(Queue())

  init() throws(StoreError) {
    // The thread holds the queue alone: who has the last reference to the executor ends it, from whatever thread.
    let queue = queue
    do { try Thread(name: "sluice-client") { Self.run(queue) }.detach() } catch { throw StoreError(error) }
  }

  deinit { queue.update { $0.isEnding = true } }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = Job(job: UnownedJob(job), executor: asUnownedSerialExecutor())
    queue.update { $0.jobs.append(job) }
  }

  private static func run(_ queue: Monitor<Queue>) {
    while true {
      let jobs = queue.wait { queue -> [Job]? in
        guard !queue.jobs.isEmpty || queue.isEnding else { return nil }
        defer { queue.jobs = [] }
        return queue.jobs
      }
      // A job that is not run yet keeps its actor, and that its executor: the end comes behind all of them.
      if jobs.isEmpty { return }
      for job in jobs { job.job.runSynchronously(on: job.executor) }
    }
  }
}

/// Runs `body`, which may wait for the disk, on a thread of its own, and returns what it does.
func onOwnThread<R: Sendable>(
  _ name: String, _ body: @escaping @Sendable () throws(StoreError) -> R
) async throws(StoreError) -> R {
  let result: Result<R, StoreError> = await withCheckedContinuation { continuation in
    do throws(SystemError) {
      try Thread(name: name) { continuation.resume(returning: Result { () throws(StoreError) in try body() }) }.detach()
    } catch { continuation.resume(returning: .failure(StoreError(error))) }
  }
  return try result.get()
}

/// Says that a statement is to stop. Set from any thread, never taken back.
final class StopSignal: Sendable {
  private let flag = Atomic<Bool>(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }

  /// What a statement that was stopped throws.
  static var error: StoreError { StoreError(.invalid, "interrupted", sqliteCode: 9) }
}

/// Runs `operation` with a signal that is set when the task is cancelled, also when it was before.
func stoppable<R: Sendable>(
  _ operation: (StopSignal) async throws(StoreError) -> R
) async throws(StoreError) -> R {
  let signal = StopSignal()
  let result: Result<R, StoreError> = await withTaskCancellationHandler {
    do throws(StoreError) { return .success(try await operation(signal)) } catch { return .failure(error) }
  } onCancel: {
    signal.set()
  }
  return try result.get()
}
