// What loads the same text: Sluice or one of its peers, each as a program from start to exit.
import Glibc

/// A file of rows, in a form that every side takes.
struct IngestInput {
  enum Form {
    /// The schema and the INSERTs.
    case script
    /// Rows only; the table is made first.
    case csv
  }

  let path: String
  let form: Form
  let table: String
  let schema: String
}

/// Sluice or a peer.
protocol IngestSide: AnyObject {
  var name: String { get }

  /// Gets ready: starts a server, looks for the program. Throws the reason when it cannot be measured here.
  func start() throws

  /// Ends what `start` began. Also after `start` has thrown.
  func stop()

  /// Makes place for the input: an empty database; with a table for CSV. Not timed.
  func prepare(_ input: IngestInput) throws

  /// Loads the input into what `prepare` made.
  func load(_ input: IngestInput) throws -> RunCost

  /// Rows of the table.
  func count(_ input: IngestInput) throws -> Int

  /// Removes what was loaded. Not timed.
  func clear()
}

extension IngestSide {
  func start() throws {}
  func stop() {}
}

/// A folder of a side's own, and how it calls programs.
struct IngestPlace {
  let folder: String

  init(_ folder: String, _ name: String) throws {
    self.folder = "\(folder)/\(name)"
    guard mkdir(self.folder, 0o755) == 0 else { throw BenchError(description: "cannot create \(self.folder)") }
  }

  func file(_ name: String) -> String { "\(folder)/\(name)" }

  func run(_ program: String, _ arguments: [String], input: String = "/dev/null") throws -> RunCost {
    try runChecked(program, arguments, input: input, errors: file("errors"))
  }

  /// The last line that a program prints.
  func answer(_ program: String, _ arguments: [String]) throws -> String {
    let output = file("answer")
    defer { unlink(output) }
    _ = try runChecked(program, arguments, output: output, errors: file("errors"))
    return try lines(of: output).last ?? ""
  }

  func number(_ program: String, _ arguments: [String]) throws -> Int {
    let text = try answer(program, arguments)
    guard let number = Int(text) else { throw BenchError(description: "\(program) answers '\(text)'") }
    return number
  }
}

func countQuery(_ input: IngestInput) -> String { "SELECT count(*) FROM \(input.table);" }

/// Throws when a program that a peer needs is not there.
func require(_ program: String) throws -> String {
  guard let path = executable(program) else { throw BenchError(description: "\(program) is not installed") }
  return path
}
