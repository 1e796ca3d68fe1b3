// Ctrl-C: it ends the statement that is running, at a terminal; a script it ends altogether, as in sqlite3.
// Unsafe by nature: named in the tidy test.
import CReadline
import Sluice

/// From here on Ctrl-C interrupts the session's statements instead of ending the process; the third one that nobody
/// notices ends it. Once per process. Where no thread can be had for it, a statement is only left between two rows.
func watchInterrupts(of session: Session) {
  creadline_watch_interrupts()
  let context = Unmanaged.passRetained(session.interrupter)
  let code = creadline_tell_interrupts(
    { context in
      guard let context else { return }
      Unmanaged<SessionInterrupter>.fromOpaque(context).takeUnretainedValue().interrupt()
    }, context.toOpaque())
  if code != 0 { context.release() }
}
