// Ctrl-C: it ends the statement that is running, at a terminal; a script it ends altogether, as in sqlite3.
// Unsafe by nature: named in the tidy test.
import CReadline
import Glibc
import Sluice

/// Whom a Ctrl-C concerns: the statement that runs, and the store once it is being left.
private final class InterruptTarget: Sendable {
  let interrupter: SessionInterrupter
  let store: Store
  init(_ interrupter: SessionInterrupter, _ store: Store) {
    self.interrupter = interrupter
    self.store = store
  }
}

/// From here on Ctrl-C interrupts the session's statements instead of ending the process, and makes an end of what the
/// store waits for when it is left; the third one that nobody notices ends the process. Once per process. Where no
/// thread can be had for it, a statement is only left between two rows.
func watchInterrupts(of session: Session, on store: Store) {
  creadline_watch_interrupts()
  let context = Unmanaged.passRetained(InterruptTarget(session.interrupter, store))
  let code = creadline_tell_interrupts(
    { context in
      guard let context else { return }
      let target = Unmanaged<InterruptTarget>.fromOpaque(context).takeUnretainedValue()
      target.store.hastenClose()
      // A statement that was given may not have begun yet: it is ended when it does, unless the line was taken back.
      var attempts = 0
      while !target.interrupter.interrupt(), creadline_interrupted() != 0, attempts < 100 {
        attempts += 1
        usleep(10_000)
      }
    }, context.toOpaque())
  if code != 0 { context.release() }
}
