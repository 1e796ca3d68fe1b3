// `sluice tail …`: the events of a store as lines of JSON. As with inspect, only the first argument makes it this
// command: a store named `tail` is `./tail`.
//
// The exit status is 0 at the end of what was asked for: the end of the log with --no-follow, Ctrl-C, SIGTERM, a reader
// that has gone. Unsafe by nature: named in the tidy test.
import ArgumentParser
import Glibc
import Sluice
import Synchronization

/// `sluice tail STORE`
struct TailCommand: ParsableCommand {
  static let word = "tail"

  static let configuration = CommandConfiguration(
    commandName: "sluice tail",
    abstract: "Print a store's events as lines of JSON, and follow what is written.",
    discussion: """
      Reads only, also beside the process that writes the store. Each line has position, time (UTC), session, shard, \
      table, kind, key, row, accepted (1 or 0) and reason (why it had no effect), as sluice_events has them.

      With --group the place is kept in STORE/groups, so that the next tail of that group goes on behind it. What a \
      process printed in its last second may come again when it did not end by itself. The log is kept for its groups.
      """,
    helpNames: [.short, .customLong("help", withSingleDash: true), .long])

  @Argument(help: "The store, a directory.")
  var store: String

  @Option(help: "The first position to print.  [default: behind the group's, or the first that the log holds]")
  var from: UInt64?

  @Option(help: "Print events of this table only.")
  var table: String?

  @Option(help: "Go on where this group ended, and keep its place.")
  var group: String?

  @Option(help: "Forget this group's place, and print nothing.")
  var dropGroup: String?

  @Flag(help: "End at the end of the log.")
  var noFollow = false

  mutating func validate() throws {
    if from == 0 { throw ValidationError("Positions begin at 1.") }
    if dropGroup != nil, from != nil || table != nil || group != nil || noFollow {
      throw ValidationError("--drop-group stands alone.")
    }
  }

  mutating func run() throws {
    signal(SIGPIPE, SIG_IGN)
    do throws(StoreError) {
      if let dropGroup { return try StoreTail.dropGroup(dropGroup, path: store) }
      let output = TailLines()
      watchEnd()
      var options = TailOptions()
      options.from = from
      options.table = table
      options.group = group
      options.follows = !noFollow
      try StoreTail.run(path: store, options: options, output: output)
      if let sentence = output.complaint { throw StoreError(.unavailable, sentence) }
    } catch {
      let output = OutputBuffer(descriptor: 2)
      output.write(ErrorReport.line(error.message))
      output.flush()
      throw ExitCode(1)
    }
  }
}

/// Set by SIGINT and SIGTERM.
private let isOver = Atomic<Bool>(false)

/// From here on both signals ask the tail to end, also where whoever started it has blocked them.
private func watchEnd() {
  isOver.store(false, ordering: .relaxed)
  var numbers = sigset_t()
  sigemptyset(&numbers)
  for number in [SIGINT, SIGTERM] {
    signal(number) { _ in isOver.store(true, ordering: .relaxed) }
    sigaddset(&numbers, number)
  }
  pthread_sigmask(SIG_UNBLOCK, &numbers, nil)
}

/// Lines to standard output.
private final class TailLines: TailOutput {
  private let buffer = OutputBuffer(descriptor: 1)

  func write(_ line: UnsafeRawBufferPointer) { buffer.write(line) }

  func flush() -> Bool {
    buffer.flush()
    return buffer.failure == 0
  }

  var isOver: Bool { SluiceShell.isOver.load(ordering: .relaxed) }

  /// Why output could not be written, when it was not its reader that left.
  var complaint: String? {
    guard buffer.failure != 0, buffer.failure != EPIPE else { return nil }
    return "cannot write the output: \(String(cString: strerror(buffer.failure)))"
  }
}
