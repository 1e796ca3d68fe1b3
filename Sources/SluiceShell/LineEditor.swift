// The terminal's lines: readline, its completion, and the history file.
// Unsafe by nature: named in the tidy test.
import CReadline
import Glibc

/// Reads lines with editing, history and completion. One per process: readline's state is global.
final class LineEditor {
  private let completer: Completer
  /// The history file, or nil when there is no place for one.
  private let historyPath: String?
  private static let historyLimit: Int32 = 5000

  /// Readline keeps `completer` for as long as the process lives.
  init(completer: Completer) {
    self.completer = completer
    historyPath = LineEditor.prepareHistory()
    creadline_initialize("sluice", Unmanaged.passRetained(completer).toOpaque()) { context, line, start, end, text in
      guard let context, let line, let text else { return nil }
      let completer = Unmanaged<Completer>.fromOpaque(context).takeUnretainedValue()
      let candidates = completer.candidates(
        for: String(cString: text), in: String(cString: line), at: Int(start), to: Int(end))
      return candidates.flatMap { strdup($0.joined(separator: "\n")) }
    }
    if let historyPath { _ = creadline_load(historyPath) }
  }

  /// One line; nil at the end of the input. Empty after a Ctrl-C, which `creadline_take_interrupt` then tells.
  func readLine(prompt: String) -> [UInt8]? {
    guard let line = creadline_read(prompt) else { return nil }
    defer { free(line) }
    return Array(UnsafeRawBufferPointer(start: line, count: strlen(line)))
  }

  /// Adds an entry of one or more lines to the history and to its file.
  func remember(_ entry: [UInt8]) {
    guard !entry.isEmpty, !entry.contains(0) else { return }
    var text = entry.map { CChar(bitPattern: $0) }
    text.append(0)
    // A history that cannot be written is no reason to bother whoever is typing.
    _ = creadline_remember(text, historyPath)
  }

  /// Cuts the history file to its bound.
  func finish() {
    if let historyPath { _ = creadline_truncate(historyPath, LineEditor.historyLimit) }
  }

  /// `$XDG_STATE_HOME/sluice/history`, else `~/.local/state/sluice/history`: made when missing, private to the user.
  private static func prepareHistory() -> String? {
    guard let directory = stateDirectory(), makeDirectories(directory) else { return nil }
    let path = directory + "/history"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return nil }
    close(descriptor)
    return path
  }

  private static func stateDirectory() -> String? {
    // The specification of base directories: relative paths are to be ignored.
    if let state = getenv("XDG_STATE_HOME").map({ String(cString: $0) }), state.hasPrefix("/") {
      return state + "/sluice"
    }
    guard let home = getenv("HOME").map({ String(cString: $0) }), home.hasPrefix("/") else { return nil }
    return home + "/.local/state/sluice"
  }

  private static func makeDirectories(_ path: String) -> Bool {
    var made = ""
    for part in path.split(separator: "/") {
      made += "/" + part
      if mkdir(made, 0o700) != 0, errno != EEXIST, errno != EROFS, errno != EACCES { return false }
    }
    return access(path, R_OK | W_OK | X_OK) == 0
  }
}
