// A role is a loop of the pipeline (applier, projector, compactor). It works in steps, so that a thread can run it
// and a simulator can drive it.
import SluiceSystem

/// One loop of the pipeline.
protocol Role: AnyObject, Sendable {
  /// Shown as the thread's name.
  var name: String { get }
  /// Does one piece of work; false when there was none.
  func step() throws(StoreError) -> Bool
}

/// Runs a role on a thread of its own until `Progress.isStopping`, asleep while there is nothing to do.
final class RoleThread: Sendable {
  private let thread: Thread

  /// `onFailure` is called with what `step` throws; the thread ends then.
  init(
    _ role: any Role, progress: Monitor<Progress>, onFailure: @escaping @Sendable (StoreError) -> Void
  ) throws(SystemError) {
    thread = try Thread(name: "sluice-\(role.name)") {
      var seen: UInt64 = 0
      while true {
        let work = progress.wait { state -> UInt64? in
          state.isStopping || state.work != seen ? state.work : nil
        }
        seen = work
        do throws(StoreError) {
          while try role.step() {}
        } catch {
          return onFailure(error)
        }
        if progress.withLock({ $0.isStopping && $0.work == seen }) { return }
      }
    }
  }

  func join() { thread.join() }
}
