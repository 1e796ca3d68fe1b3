// One run of the shell: its session with the store, its switches, and how a statement is run and answered.
import CReadline
import Sluice

/// What scripts, terminal and arguments share.
final class Shell {
  let session: Session
  let console: Console
  var settings: Settings {
    didSet { session.stopAtFirstError = settings.stopsAtFirstError }
  }
  /// Where the store lies, for `.show`.
  let storePath: String
  private(set) var errorCount = 0
  /// Scripts being read inside one another.
  var nesting = 0
  /// Whether nothing is run behind the argument that is being run.
  var isLastArgument = false
  /// An import of which it is not known yet which rows are written (`--no-drain`).
  var unsettledImport: RunningImport?
  /// The status that `.exit` asked for.
  var exitStatus: Int32?
  /// Whether the store cannot be used any more: going on would repeat one error for each statement.
  private var isUnusable = false
  private var lastFailure = ""
  /// Whether a script was left at a Ctrl-C; at a terminal only the statement is.
  private(set) var isInterrupted = false

  /// What became of projections.db, told beside the outcome of a statement.
  private let takeNotices: () -> [String]

  /// What is left to know when the shell is done.
  struct Summary {
    var errorCount: Int
    var exitStatus: Int32?
    /// The last failure of the store that was told.
    var lastFailure: String
  }

  init(
    session: Session, console: Console, settings: Settings, storePath: String, takeNotices: @escaping () -> [String]
  ) {
    self.takeNotices = takeNotices
    self.session = session
    self.console = console
    self.settings = settings
    self.storePath = storePath
    session.stopAtFirstError = settings.stopsAtFirstError
  }

  /// Whether nothing further should be read: the reader of the results has gone, `.exit`, or a store out of use.
  var isStopping: Bool {
    exitStatus != nil || isInterrupted || isUnusable || console.isAbandoned || console.outputFailure != nil
  }

  var summary: Summary { Summary(errorCount: errorCount, exitStatus: exitStatus, lastFailure: lastFailure) }

  // MARK: - Statements

  /// Runs the statement of `size` bytes at the cursor and moves over it.
  func execute(_ input: ScriptInput, size: Int, from source: StatementSource) {
    let line = input.line
    let stopwatch = settings.showsTimer ? Stopwatch() : nil
    let statement = input.statement(size: size)
    if settings.echoes { echo(statement) }
    let feeds = statement.reduce(0) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
    let failure = perform(statement, line: line)
    if source == .terminal {
      // What was pressed while the statement ran is not about the next line.
      _ = creadline_take_interrupt()
    }
    let countBefore = errorCount
    // On a line of several statements each is known before the next.
    let isAlone = source != .script || session.inTransaction || !input.goesOnInLine(behind: size)
    if !isAlone || failure != nil || settings.showsChanges || source != .script || stopwatch != nil
      || settings.stopsAtFirstError
    {
      settle(source)
    }
    if let failure {
      var fragment: [UInt8] = []
      if failure.isParse, let offset = failure.offset, offset >= 0, offset < size {
        let near = input.surroundings(of: offset, statementSize: size)
        fragment = ErrorReport.fragment(of: near.text, offset: near.offset)
      }
      report(failure, from: source, line: line, fragment: fragment)
    }
    if settings.showsChanges, failure == nil, errorCount == countBefore {
      let (changes, total) = (session.changeCount, session.totalChangeCount)
      console.printing().write("changes: \(changes)   total_changes: \(total)\n")
    }
    if let stopwatch { console.printing().write(stopwatch.text) }
    if let sentence = console.endOnce() { complain(sentence) }
    console.tell(takeNotices())
    input.consume(size, line: line + feeds)
    if errorCount > countBefore { input.dropLine() }
  }

  private func perform(_ statement: UnsafeRawBufferPointer, line: Int) -> StoreError? {
    do throws(StoreError) {
      switch try session.execute(statement, line: line) {
      case .done: return nil
      case .rows(let rows):
        settle(.script)
        return try show(rows)
      }
    } catch {
      return error
    }
  }

  private func show(_ rows: Rows) throws(StoreError) -> StoreError? {
    let output = console.printing()
    let console = self.console
    let isStopped = { console.isAbandoned || creadline_interrupted() != 0 }
    if settings.mode.isColumnar {
      var printer = ColumnarPrinter(settings: settings, output: output)
      try printer.print(rows, isStopped: isStopped)
    } else {
      var printer = RowPrinter(settings: settings, output: output)
      try printer.print(rows, isStopped: isStopped)
    }
    return creadline_interrupted() == 0 ? nil : StoreError(.invalid, "interrupted", sqliteCode: 9)
  }

  /// Looks between the statements of a script for a Ctrl-C, which ends it.
  func noticeInterrupt() {
    if creadline_interrupted() != 0 { isInterrupted = true }
  }

  private func echo(_ statement: UnsafeRawBufferPointer) {
    let output = console.printing()
    output.write(statement)
    output.write("\n")
  }

  // MARK: - Outcomes

  /// Waits until the fate of everything sent is known and tells what was rejected: called before anything else is
  /// printed, so that results and errors appear in the order of the statements.
  /// When `isLeaving`, only until everything is acknowledged; what was rejected by then is told.
  func settle(_ source: StatementSource, isLeaving: Bool = false) {
    if completeImport(isLeaving: isLeaving) == .failed { countError() }
    var failure: StoreError?
    do throws(StoreError) {
      if isLeaving { try session.acknowledge() } else { try session.settle() }
    } catch { failure = error }
    reportRejections(source)
    if let failure { report(failure, from: source, line: failure.line, fragment: []) }
  }

  /// Tells what was rejected so far, without waiting.
  func reportRejections(_ source: StatementSource) {
    for rejection in session.takeRejections() {
      report(rejection, from: source, line: rejection.line, fragment: [])
    }
  }

  func report(_ error: StoreError, from source: StatementSource, line: Int?, fragment: [UInt8]) {
    if error.kind == .unavailable {
      isUnusable = source != .terminal
      if lastFailure == error.message { return }
      lastFailure = error.message
    }
    errorCount += 1
    console.complaining().write(ErrorReport.lines(error, from: source, line: line, fragment: fragment))
  }

  /// An error that belongs to no statement.
  func complain(_ message: String) {
    errorCount += 1
    console.complaining().write(ErrorReport.line(message))
  }

  /// An error told already, in a script that was read.
  func countError() { errorCount += 1 }
}
