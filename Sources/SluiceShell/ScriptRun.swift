// Scripts: standard input that is no terminal, files named by `.read`, and SQL given as arguments.
//
// INSERTs go through in runs (`ingest`), without a look at single statements; everything else is cut out whole and
// executed. Acknowledgements are waited for only where order asks for it: before a result, an error, a dot command,
// the end, and when whoever writes the other end of the pipe pauses.
import Glibc
import Sluice

extension Shell {
  /// How long the writer of a pipe may pause before what it sent is settled and told.
  private static let pauseMilliseconds: Int32 = 50
  /// Scripts that may be read inside one another, as in sqlite3.
  private static let nestingLimit = 25

  /// Runs standard input to its end.
  func runStandardInput() {
    let input = ScriptInput(descriptor: 0)
    input.willWait = { [unowned self, unowned input] in
      console.flush()
      guard !input.hasInput(timeoutMilliseconds: Shell.pauseMilliseconds) else { return }
      settle(.script)
      console.flush()
    }
    _ = run(input, from: .script)
  }

  /// Runs the script at `path`; false when it cannot be opened or something in it failed.
  func runFile(_ path: String) -> Bool {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      console.complaining().write(ErrorReport.line("cannot open \"\(path)\""))
      return false
    }
    defer { close(descriptor) }
    return run(ScriptInput(descriptor: descriptor), from: .script)
  }

  /// Runs SQL, or one dot command, given on the command line; false when something in it failed.
  func runArgument(_ text: String, isLast: Bool = false) -> Bool {
    if text.utf8.first == UInt8(ascii: ".") {
      isLastArgument = isLast
      let before = errorCount
      if perform(dotCommand: Array(text.utf8), line: 1) == .failed { countError() }
      if isLast { settle(.argument, isLeaving: settings.leavesAtOnce) }
      return errorCount == before
    }
    return run(ScriptInput(text: Array(text.utf8)), from: .argument)
  }

  /// Runs a script until its end, `.quit`, or the error after which it should not go on. False when one happened.
  private func run(_ input: ScriptInput, from source: StatementSource) -> Bool {
    guard nesting < Shell.nestingLimit else {
      console.complaining().write("Input nesting limit (\(nesting)) reached at line 1. Check recursion.\n")
      return false
    }
    nesting += 1
    defer { nesting -= 1 }
    let before = errorCount
    let stopsAtError = { [unowned self] in settings.stopsAtFirstError || source == .argument }
    reading: while !isLeft, errorCount == before || !stopsAtError() {
      switch input.next() {
      case .end: break reading
      case .statement:
        if unsettledImport != nil { settle(source) }
        step(input, from: source)
      case .dotCommand(let text):
        settle(source)
        guard errorCount == before || !stopsAtError() else { break reading }
        if settings.echoes { console.printing().write(text + [UInt8(ascii: "\n")]) }
        let line = input.line
        switch perform(dotCommand: text, line: line) {
        case .done: break
        case .failed: countError()
        case .leave: break reading
        }
      }
    }
    if isInterrupted, errorCount == before { complain("interrupted") }
    settle(source, isLeaving: nesting == 1 && settings.leavesAtOnce)
    if input.failure != 0 { complain("cannot read the script: \(String(cString: strerror(input.failure)))") }
    return errorCount == before
  }

  /// Whether nothing further of a script is to be run: a Ctrl-C ends it.
  private var isLeft: Bool {
    noticeInterrupt()
    return isStopping
  }

  /// Runs as many INSERTs as stand at the cursor, or the one statement there.
  private func step(_ input: ScriptInput, from source: StatementSource) {
    // With -bail each statement is confirmed before the next is looked at; inside a transaction there is nothing to
    // confirm until COMMIT.
    let isConfirmed = settings.stopsAtFirstError && !session.inTransaction
    let isFast = source == .script && !isConfirmed && !settings.echoes && !settings.showsTimer && !settings.showsChanges
    if isFast, ingest(input) { return }
    let (size, hasRead) = input.statementSize()
    if isFast, hasRead, ingest(input) { return }
    execute(input, size: size, from: source)
  }

  private func ingest(_ input: ScriptInput) -> Bool {
    var line = input.line
    let used = session.ingest(input.unread, line: &line)
    input.consume(used, line: line)
    if used > 0, !session.inTransaction, input.goesOnInLine() {
      let before = errorCount
      settle(.script)
      if errorCount > before { input.dropLine() }
    } else {
      reportRejections(.script)
    }
    return used > 0
  }
}
