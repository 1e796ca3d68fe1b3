// What is told on standard error while the store is being left: at a terminal one line that goes on, else a line for
// each thing that is waited for.
import CReadline
import Glibc
import Sluice

/// Belongs to the thread that closes the store.
final class LeavingReport {
  private let output = OutputBuffer(descriptor: 2)
  private let isTerminal = isatty(2) == 1
  private var subject: String?

  /// From here on a request to end the process makes an end of the waiting, as Ctrl-C does.
  init() { creadline_watch_termination() }

  func tell(_ wait: ClosingWait) {
    if isTerminal {
      let line = "leaving: \(wait.sentence) (Ctrl-C leaves the rest to the next opening)"
      output.write("\r\u{1b}[K" + line.prefix(columns - 1))
    } else if wait.subject != subject {
      output.write("leaving: \(wait.sentence)\n")
    }
    subject = wait.subject
    output.flush()
  }

  /// Takes the line away.
  func end() {
    guard isTerminal, subject != nil else { return }
    output.write("\r\u{1b}[K")
    output.flush()
  }

  /// A longer line would not be overwritten by the next.
  private var columns: Int {
    var size = winsize()
    return ioctl(2, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 ? Int(size.ws_col) : 80
  }
}
