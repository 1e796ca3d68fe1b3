// `sluice inspect …`: what the files of a store hold, read without opening it. Only the first argument makes it this
// command, so a store named `inspect` is `./inspect`, or stands behind an option.
//
// The exit status is that of diff, cmp and grep: 0 all is well, 1 damage was found, 2 the question could not be
// answered (wrong usage, no such file, no permission, a newer format).
import ArgumentParser
import Glibc
import Sluice

/// `sluice inspect table|manifest|log|group|store PATH`
struct InspectCommand: ParsableCommand {
  static let word = "inspect"
  private static let damaged: Int32 = 1
  private static let unanswered: Int32 = 2

  static let configuration = CommandConfiguration(
    commandName: "sluice inspect",
    abstract: "Show what the files of a store hold. Reads only, also beside the process that holds the store.",
    discussion: """
      Prints lines of key=value pairs: keys in hex, sizes in bytes, offsets in the file. What is not as it was \
      written is a line that begins with `damage` and names file and offset; the last line is the verdict. Damage is \
      passed over where something verifies behind it.

      Exit status: 0 all is well, 1 damage was found, 2 wrong usage or a file that cannot be read.

      A store that is named inspect is opened by `sluice ./inspect`.
      """,
    subcommands: [TableCommand.self, ManifestCommand.self, LogCommand.self, GroupCommand.self, StoreCommand.self],
    helpNames: helpNames)

  fileprivate static let helpNames: NameSpecification = [.short, .customLong("help", withSingleDash: true), .long]

  mutating func run() throws { throw ValidationError("Missing what to inspect: table, manifest, log, group or store.") }

  /// Runs the arguments behind the word `inspect`, and ends the process.
  static func launch(_ arguments: [String]) -> Never {
    do {
      var command = try parseAsRoot(arguments)
      try command.run()
      Glibc.exit(0)
    } catch let status as ExitCode {
      Glibc.exit(status.rawValue)
    } catch {
      let isAnswer = exitCode(for: error) == .success
      let output = OutputBuffer(descriptor: isAnswer ? 1 : 2)
      output.write(fullMessage(for: error) + "\n")
      output.flush()
      Glibc.exit(isAnswer ? 0 : unanswered)
    }
  }

  /// Inspects one path after the other; the status is the greatest.
  fileprivate static func inspect(_ paths: [String], as subject: StoreInspection.Subject) throws {
    var status: Int32 = 0
    for path in paths { status = max(status, inspect(path, as: subject)) }
    throw ExitCode(status)
  }

  private static func inspect(_ path: String, as subject: StoreInspection.Subject) -> Int32 {
    let output = OutputBuffer(descriptor: 1)
    let status: Int32
    do throws(StoreError) {
      let outcome = try StoreInspection.run(subject, path: path) { line in
        output.write(line)
        output.write(byte: 0x0a)
      }
      status = outcome == .sound ? 0 : outcome == .damaged ? damaged : unanswered
      output.flush()
    } catch {
      output.flush()
      complain(error.message)
      return unanswered
    }
    if output.failure == 0 { return status }
    complain("cannot write the output: \(String(cString: strerror(output.failure)))")
    return unanswered
  }

  private static func complain(_ message: String) {
    let output = OutputBuffer(descriptor: 2)
    output.write(ErrorReport.line(message))
    output.flush()
  }
}

private struct TableCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "table", abstract: "A table: properties, parts, every block.", helpNames: InspectCommand.helpNames)

  @Flag(help: "Show each entry: key, position, kind, size of the value.")
  var entries = false

  @Argument(help: ArgumentHelp("Tables: STORE/shards/NNN/NNNNNN.table", valueName: "file"))
  var paths: [String]

  mutating func run() throws { try InspectCommand.inspect(paths, as: .table(entries: entries)) }
}

private struct ManifestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "manifest",
    abstract: "A manifest: each edit, and the levels, runs and tables they lead to.",
    discussion: "Of a shard's directory: the manifest in force, whether its tables are there, what it does not name.",
    helpNames: InspectCommand.helpNames)

  @Argument(help: ArgumentHelp("STORE/shards/NNN/MANIFEST-NNNNNN or STORE/shards/NNN", valueName: "path"))
  var paths: [String]

  mutating func run() throws { try InspectCommand.inspect(paths, as: .manifest) }
}

private struct LogCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log",
    abstract: "A segment of the log: every record.",
    discussion: "Of a log's directory: every segment in order, and whether their positions follow without a gap.",
    helpNames: InspectCommand.helpNames)

  @Flag(help: "Show each command: position, kind, slot, line, key, size of the value.")
  var commands = false

  @Argument(help: ArgumentHelp("STORE/log or a file in it", valueName: "path"))
  var paths: [String]

  mutating func run() throws { try InspectCommand.inspect(paths, as: .log(commands: commands)) }
}

private struct GroupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "group", abstract: "The place of a group of sluice tail: its position, when it was written.",
    helpNames: InspectCommand.helpNames)

  @Argument(help: ArgumentHelp("STORE/groups/NAME", valueName: "file"))
  var paths: [String]

  mutating func run() throws { try InspectCommand.inspect(paths, as: .group) }
}

private struct StoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store",
    abstract: "A store: identity, holder, shards, log, projections.",
    discussion: """
      Reads the structure: identity, manifests, headers, indexes and filters of tables, the last segment of the log. \
      With --check it reads every block and every record, and prints damage and the verdict only.

      A stray is a file that nothing in the store names: being written just now, or left by a crash. That is no damage.
      """,
    helpNames: InspectCommand.helpNames)

  @Flag(help: "Verify everything; print damage and a summary.")
  var check = false

  @Argument(help: ArgumentHelp("Stores, each a directory", valueName: "store"))
  var paths: [String]

  mutating func run() throws { try InspectCommand.inspect(paths, as: .store(check: check)) }
}
