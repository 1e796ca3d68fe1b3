// The shell at a terminal: prompts, statements over several lines, answers at once.
import CReadline
import Sluice

/// Asks for lines until C-d, `.quit` or `.exit`.
final class Terminal {
  private let shell: Shell
  private let completer: Completer
  private let editor: LineEditor
  /// Text entered and not yet run: the beginning of a statement.
  private var pending: [UInt8] = []
  /// All lines since the first prompt: one entry of the history.
  private var entry: [UInt8] = []

  init(shell: Shell) {
    self.shell = shell
    completer = Completer(session: shell.session)
    editor = LineEditor(completer: completer)
  }

  func run() {
    shell.console.printing().write("Sluice \(sluiceVersion)\nEnter \".help\" for usage hints.\n")
    while shell.exitStatus == nil, !shell.console.isAbandoned {
      shell.console.flush()
      completer.earlierLines = String(decoding: pending, as: UTF8.self)
      guard let line = editor.readLine(prompt: prompt) else {
        leaveByEndOfInput()
        break
      }
      if creadline_take_interrupt() != 0 {
        forget()
      } else if take(line) == .leave {
        break
      }
    }
    shell.console.flush()
    editor.finish()
  }

  /// A star tells that a transaction is open.
  private var prompt: String {
    let mark = shell.session.inTransaction ? "*" : ""
    return pending.isEmpty ? "sluice\(mark)> " : "   ...\(mark)> "
  }

  private func forget() {
    pending = []
    entry = []
  }

  private func take(_ line: [UInt8]) -> DotCommand.Outcome {
    if pending.isEmpty, line.first == UInt8(ascii: ".") {
      editor.remember(line)
      return run(line)
    }
    entry += (entry.isEmpty ? [] : [UInt8(ascii: "\n")]) + line
    let input = ScriptInput(text: pending + line + [UInt8(ascii: "\n")])
    let outcome = runWholeElements(of: input)
    pending = Array(input.unread)
    if pending.isEmpty {
      editor.remember(entry)
      entry = []
    }
    return outcome
  }

  /// One line, but several when they were pasted: dot commands may stand among them.
  private func runWholeElements(of input: ScriptInput) -> DotCommand.Outcome {
    while shell.exitStatus == nil {
      switch input.next() {
      case .end: return .done
      case .statement:
        guard let size = input.wholeStatementSize() else { return .done }
        shell.execute(input, size: size, from: .terminal)
      case .dotCommand(let text):
        if run(text) == .leave { return .leave }
      }
    }
    return .leave
  }

  private func run(_ dotCommand: [UInt8]) -> DotCommand.Outcome {
    let outcome = shell.perform(dotCommand: dotCommand, line: 1)
    if outcome == .failed { shell.countError() }
    return outcome
  }

  /// C-d runs what stands there without its semicolon, as sqlite3 does.
  private func leaveByEndOfInput() {
    let input = ScriptInput(text: pending)
    if case .statement = input.next() { shell.execute(input, size: input.unread.count, from: .terminal) }
    if !entry.isEmpty { editor.remember(entry) }
  }
}
