// The command line: sqlite3's options under sqlite3's names, with one dash or two, and Sluice's own.
import ArgumentParser
import Glibc
import Sluice

/// The version that `-version` and the banner show.
let sluiceVersion = "0.1.0"

/// `sluice STORE [SQL …]`
struct SluiceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice",
    abstract: "A write-scaling store with an SQL shell.",
    discussion: """
      Reads SQL from standard input, or runs the SQL given as arguments. The store is a directory and is created when \
      it does not exist; its tables can be read by sqlite3 in STORE/projections.db.

      `sluice inspect …` shows what a store's files hold (`sluice inspect --help`), `sluice tail …` prints its events \
      (`sluice tail --help`). A store that is itself named inspect or tail is opened by `sluice ./inspect`.
      """,
    helpNames: [.short, .customLong("help", withSingleDash: true), .long])

  @Argument(help: "The store, a directory.")
  var store: String?

  @Argument(help: ArgumentHelp("Statements, or one dot command in each argument.", valueName: "sql"))
  var sql: [String] = []

  @Flag(name: both("bail"), help: "Stop after hitting an error.")
  var bail = false

  @Flag(name: both("batch"), help: "Force batch input, with no prompt.")
  var batch = false

  @Flag(name: both("interactive"), help: "Force interactive input.")
  var interactive = false

  @Flag(name: both("echo"), help: "Print statements before they run.")
  var echo = false

  @Flag(exclusivity: .chooseLast, help: "Turn headers on or off.")
  var header: HeaderFlag?

  @Flag(exclusivity: .chooseLast, help: "Set the output mode.")
  var mode: ModeFlag?

  @Option(name: both("separator"), help: "Set the column separator.  [default: '|']")
  var separator: String?

  @Option(name: both("newline"), help: "Set the row separator.  [default: a line feed]")
  var newline: String?

  @Option(name: both("nullvalue"), help: "Set the text for NULL.  [default: '']")
  var nullvalue: String?

  @Option(
    name: both("cmd"), parsing: .unconditionalSingleValue,
    help: "Run a command before the input is read; may be given several times.")
  var cmd: [String] = []

  @Flag(name: both("readonly"), help: "Only read the store: change no file of it.")
  var readonly = false

  @Option(name: both("shards"), help: "Shards of a store that is created, 1 to 256.  [default: 4]")
  var shards: Int?

  @Flag(name: both("no-drain"), help: "Leave as soon as everything is acknowledged; the next process catches up.")
  var noDrain = false

  @Option(
    name: both("ack"),
    help: "When a statement counts as done: queued, durable, applied or projected.  [default: durable]")
  var ack: AcknowledgementLevel?

  @Flag(name: both("version"), help: "Show the version.")
  var version = false

  mutating func validate() throws {
    guard !version else { return }
    guard store != nil else { throw ValidationError("Missing the store: a directory, created when it does not exist.") }
    if let shards, !(1...256).contains(shards) {
      throw ValidationError("--shards must be between 1 and 256, not \(shards).")
    }
  }

  mutating func run() throws {
    if version {
      print("Sluice \(sluiceVersion)")
      return
    }
    signal(SIGPIPE, SIG_IGN)
    // A file beyond `ulimit -f` is then an error of the write, as a full disk is.
    signal(SIGXFSZ, SIG_IGN)
    let status = Launch(command: self).run()
    if status != 0 { throw ExitCode(status) }
  }

  /// The shell's switches as the options set them.
  var settings: Settings {
    var settings = Settings()
    if let mode { settings.chooseByOption(mode.mode) }
    if let separator { settings.columnSeparator = Array(separator.utf8) }
    if let newline { settings.rowSeparator = Array(newline.utf8) }
    if let nullvalue { settings.nullText = Array(nullvalue.utf8) }
    if let header {
      settings.showsHeader = header == .header
      settings.isHeaderChosen = true
    }
    settings.stopsAtFirstError = bail
    settings.leavesAtOnce = noDrain
    settings.echoes = echo
    return settings
  }

  var storeOptions: StoreOptions {
    var options = StoreOptions()
    options.projectsAhead = !noDrain
    options.isReadOnly = readonly
    if readonly { options.readOnlyReason = "it was opened with -readonly" }
    if let shards { options.shardCount = shards }
    if let ack { options.acknowledgement = ack }
    return options
  }
}

extension SluiceCommand {
  /// Options that the next argument belongs to.
  private static let withValue: Set<String> = ["separator", "newline", "nullvalue", "cmd", "shards", "ack"]
  private static let flags: Set<String> = Set(
    ["bail", "batch", "interactive", "echo", "header", "noheader", "no-drain", "readonly", "version", "help", "h"]
      + OutputMode.allCases.map(\.rawValue))

  /// The first option that there is not, with one dash as sqlite3 tells it; nil: all are known. Looked for before the
  /// arguments are read, for a word behind one dash could be taken for letters that are options each.
  static func unknownOption(in arguments: [String]) -> String? {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" { return nil }
      guard argument.utf8.count > 1, argument.utf8.first == UInt8(ascii: "-") else { continue }
      let option = argument.drop { $0 == "-" }
      let name = String(option.prefix { $0 != "=" })
      if withValue.contains(name) {
        if name == option { rest = rest.dropFirst() }
      } else if !flags.contains(name) {
        return "-" + option
      }
    }
    return nil
  }

  /// Ends the process over an option that there is not, with sqlite3's words and status.
  static func refuse(unknown option: String) -> Never {
    let output = OutputBuffer(descriptor: 2)
    output.write("\(CommandLine.arguments.first ?? "sluice"): Error: unknown option: \(option)\n")
    output.write("Use -help for a list of options.\n")
    output.flush()
    Glibc.exit(1)
  }
}

/// `-name` and `--name`.
private func both(_ name: String) -> NameSpecification {
  [.customLong(name), .customLong(name, withSingleDash: true)]
}

// The descriptions of what follows say what Swift would find out by itself: by reflection, a sixth of what it takes to
// read the options.

enum HeaderFlag: String, EnumerableFlag, CustomStringConvertible {
  case header, noheader

  var description: String { rawValue }

  static func name(for value: HeaderFlag) -> NameSpecification { both(value.rawValue) }
}

/// An output mode named by an option.
struct ModeFlag: EnumerableFlag, CustomStringConvertible {
  let mode: OutputMode

  var description: String { mode.rawValue }
  static var allCases: [ModeFlag] { OutputMode.allCases.map { ModeFlag(mode: $0) } }
  static func name(for value: ModeFlag) -> NameSpecification { both(value.mode.rawValue) }
}

extension AcknowledgementLevel: ExpressibleByArgument {
  public static var allValueStrings: [String] { allCases.map(\.rawValue) }
  public static var allValueDescriptions: [String: String] { [:] }
}
