// A role is a loop of the pipeline (applier, projector, refresher, compactor). It works in steps, so that a thread can
// run it and a simulator can drive it.
import SluiceSystem

/// One loop of the pipeline.
protocol Role: AnyObject, Sendable {
  /// Shown as the thread's name.
  var name: String { get }
  /// Rung when there may be something to do.
  var bell: Bell { get }
  /// Does one piece of work; false when there was none.
  func step() throws(StoreError) -> Bool
  /// After which time a step is worth trying although nobody has rung; nil: none is.
  var restMicroseconds: Int64? { get }
  /// The store is being closed: ends what would take long and can be begun again, and begins nothing of that kind.
  func hasten()
}

extension Role {
  var restMicroseconds: Int64? { nil }
  func hasten() {}
}

/// Runs a role on a thread of its own until `Progress.isStopping`, asleep while there is nothing to do. Each role has a
/// bell of its own: one for all would wake every thread for each batch.
final class RoleThread: Sendable {
  /// Time after its work that a role waits for more that nobody waits for: about ten commits, one at a time.
  private static let lingerMicroseconds: Int64 = 1_000

  private let thread: Thread

  /// `onFailure` is called with what `step` throws; the thread ends then.
  init(
    _ role: any Role, progress: Monitor<Progress>, onFailure: @escaping @Sendable (StoreError) -> Void
  ) throws(SystemError) {
    thread = try Thread(name: "sluice-\(role.name)") {
      var hadWork = false
      while true {
        if hadWork {
          role.bell.linger(Self.lingerMicroseconds, timeoutMicroseconds: role.restMicroseconds)
        } else {
          role.bell.wait(timeoutMicroseconds: role.restMicroseconds)
        }
        // Read before stepping: what was handed over before the end is done.
        let isStopping = progress.withLock { $0.isStopping }
        do throws(StoreError) {
          hadWork = false
          while try role.step() { hadWork = true }
        } catch {
          return onFailure(error)
        }
        if isStopping && !role.bell.isRung { return }
      }
    }
  }

  func join() { thread.join() }
}
