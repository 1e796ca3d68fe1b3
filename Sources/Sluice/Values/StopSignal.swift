// How somebody who waits for a call has it end.
import Synchronization

/// Says that a statement is to stop. Set from any thread, never taken back.
final class StopSignal: Sendable {
  /// SQLite's code for a statement that was stopped.
  static let sqliteCode: Int32 = 9

  private let flag = Atomic<Bool>(false)
  private let cancelled = Atomic<Bool>(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }
  /// Whether that is because its task was cancelled.
  var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

  func set() { flag.store(true, ordering: .relaxed) }

  func cancel() {
    cancelled.store(true, ordering: .relaxed)
    set()
  }
}
