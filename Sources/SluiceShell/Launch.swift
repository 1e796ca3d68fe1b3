// From the command line to the exit status: open the store, run what was asked, leave tidily.
import Glibc
import Sluice

/// One run of the process.
struct Launch {
  let command: SluiceCommand

  /// The exit status: 0 only when everything was done and acknowledged.
  func run() -> Int32 {
    let path = command.store ?? ""
    if let sentence = CommandWord.objection(to: path) {
      complain(sentence)
      return 1
    }
    let store: Store
    do throws(StoreError) {
      store = try open(path)
    } catch {
      complain("unable to open store \"\(path)\": \(error.message)")
      return 1
    }
    let console = Console()
    var summary: Shell.Summary
    do throws(StoreError) {
      summary = try runShell(on: store, console: console)
    } catch {
      complain(error.message)
      return 1
    }
    console.flush()
    let report = LeavingReport()
    var failure: StoreError?
    do throws(StoreError) {
      try store.close(drain: !command.noDrain, report: report.tell)
    } catch { failure = error }
    report.end()
    if let error = failure {
      summary.errorCount += 1
      if error.message != summary.lastFailure {
        console.complaining().write(ErrorReport.line(error.message))
      }
    }
    if let sentence = store.relocation { console.complaining().write("Notice: \(sentence)\n") }
    console.tell(store.takeNotices())
    if let reason = console.outputFailure {
      summary.errorCount += 1
      console.complaining().write(ErrorReport.line("cannot write the output: \(reason)"))
    }
    console.flush()
    if console.isAbandoned { dieByBrokenPipe() }
    return summary.exitStatus ?? (summary.errorCount > 0 ? 1 : 0)
  }

  /// A store that cannot be written for where it is, or for whose it is, is read.
  private func open(_ path: String) throws(StoreError) -> Store {
    var options = command.storeOptions
    let refusal: StoreError
    do throws(StoreError) { return try Store.open(path: path, options: options) } catch {
      guard !options.isReadOnly, error.isAboutWriting else { throw error }
      refusal = error
    }
    options.isReadOnly = true
    options.readOnlyReason = refusal.message
    do throws(StoreError) { return try Store.open(path: path, options: options) } catch {
      // Where there is no store, it cannot be made.
      throw error.kind == .invalid ? refusal : error
    }
  }

  /// The session ends with this function, and an open transaction with it: before the store is closed.
  private func runShell(on store: Store, console: Console) throws(StoreError) -> Shell.Summary {
    let shell = Shell(
      session: try store.makeSession(), console: console, settings: command.settings, storePath: command.store ?? "",
      takeNotices: store.takeNotices)
    watchInterrupts(of: shell.session, on: store)
    runInput(shell)
    if let sentence = console.endRedirection() { shell.complain(sentence) }
    return shell.summary
  }

  private func runInput(_ shell: Shell) {
    for text in command.cmd where !shell.isStopping {
      if !shell.runArgument(text), shell.settings.stopsAtFirstError { return }
    }
    guard command.sql.isEmpty else {
      for (number, text) in command.sql.enumerated() {
        if shell.isStopping || !shell.runArgument(text, isLast: number == command.sql.count - 1) { return }
      }
      return
    }
    if !command.batch, command.interactive || isatty(0) == 1 {
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
