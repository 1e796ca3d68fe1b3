// How a task waits for the answer of a thread that is not one of Swift's pool.
import Synchronization

/// A task that waits for an answer. It gets exactly one.
struct Asking<R: Sendable>: Sendable {
  /// Says that what the answer holds has been written. The runtime orders that too; but where the answer comes before
  /// the task has suspended, it does not say so to the thread sanitizer, which then reports a race.
  fileprivate final class Mark: Sendable {
    let isAnswered = Atomic<Bool>(false)
  }

  fileprivate let continuation: CheckedContinuation<R, any Error>
  fileprivate let mark: Mark

  /// Gives the answer, from any thread.
  func answer(_ result: Result<R, any Error>) {
    mark.isAnswered.store(true, ordering: .releasing)
    continuation.resume(with: result)
  }
}

/// Suspends the task until somebody answers the `Asking` that `ask` is given.
func answered<R: Sendable>(_ ask: (Asking<R>) -> Void) async throws -> R {
  let mark = Asking<R>.Mark()
  defer { _ = mark.isAnswered.load(ordering: .acquiring) }
  return try await withCheckedThrowingContinuation { ask(Asking(continuation: $0, mark: mark)) }
}
