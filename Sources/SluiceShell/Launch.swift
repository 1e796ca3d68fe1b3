// From the command line to the exit status: open the store, run what was asked, leave tidily.
import Glibc
import Sluice

/// One run of the process.
struct Launch {
  let command: SluiceCommand

  /// The exit status: 0 only when everything was done and acknowledged.
  func run() -> Int32 {
    let path = command.store ?? ""
    let store: Store
    do throws(StoreError) {
      store = try Store.open(path: path, options: command.storeOptions)
    } catch {
      complain("unable to open store \"\(path)\": \(error.message)")
      return 1
    }
    let shell = Shell(session: store.makeSession(), settings: command.settings, storePath: path)
    runInput(shell)
    if let sentence = shell.console.endRedirection() { shell.complain(sentence) }
    shell.console.flush()
    do throws(StoreError) {
      try store.close(drain: !command.noDrain)
    } catch {
      shell.report(error, from: .script, line: nil, fragment: [])
    }
    if let reason = shell.console.outputFailure { shell.complain("cannot write the output: \(reason)") }
    shell.console.flush()
    if shell.console.isAbandoned { dieByBrokenPipe() }
    return shell.exitStatus ?? (shell.errorCount > 0 ? 1 : 0)
  }

  private func runInput(_ shell: Shell) {
    for text in command.cmd where !shell.isStopping {
      if !shell.runArgument(text), shell.settings.stopsAtFirstError { return }
    }
    guard command.sql.isEmpty else {
      for text in command.sql {
        if shell.isStopping || !shell.runArgument(text) { return }
      }
      return
    }
    if !command.batch, command.interactive || (isatty(0) == 1 && isatty(1) == 1) {
      Terminal(shell: shell).run()
    } else if !shell.isStopping {
      shell.runStandardInput()
    }
  }

  private func complain(_ message: String) {
    let output = OutputBuffer(descriptor: 2)
    output.write(ErrorReport.line(message))
    output.flush()
  }

  /// Ends as a process ends whose reader has gone (`sluice … | head`), now that the store is closed.
  private func dieByBrokenPipe() {
    signal(SIGPIPE, SIG_DFL)
    raise(SIGPIPE)
  }
}
