// The sides that need no server: Sluice itself, the sqlite3 shell, the DuckDB shell, and the bare line.
import Glibc

/// The shell, until everything is durable, or until it is in projections.db as well.
final class SluiceSide: IngestSide {
  let name = "sluice"
  private let program: String
  private let isMirrored: Bool
  private let place: IngestPlace
  private var store: String { place.file("bench.sluice") }

  init(program: String, isMirrored: Bool, folder: String) throws {
    self.program = program
    self.isMirrored = isMirrored
    place = try IngestPlace(folder, "sluice")
  }

  func start() throws { _ = try require(program) }

  func prepare(_ input: IngestInput) throws {
    if input.form == .csv { _ = try place.run(program, [store, input.schema]) }
  }

  func load(_ input: IngestInput) throws -> RunCost { try load(input, then: nil, output: "/dev/null") }

  private func load(_ input: IngestInput, then statement: String?, output: String) throws -> RunCost {
    var arguments = isMirrored ? [store] : ["--no-drain", store]
    var script = input.path
    if input.form == .csv {
      arguments += [".import --csv \(input.path) \(input.table)"] + (statement.map { [$0] } ?? [])
      script = "/dev/null"
    }
    return try runChecked(program, arguments, input: script, output: output, errors: place.file("errors"))
  }

  func count(_ input: IngestInput) throws -> Int { try place.number(program, [store, countQuery(input)]) }

  func clear() { remove(store) }

  /// What the log counted in one more run, which is not timed, for it ends with a question.
  func logCounters(_ input: IngestInput) throws -> [MeasuredCounter] {
    let question = "SELECT log_groups, log_syncs, log_bytes FROM sluice_queue;"
    let output = place.file("counters")
    let script = place.file("script")
    defer {
      clear()
      unlink(output)
      unlink(script)
    }
    try prepare(input)
    var counted = input
    if input.form == .script {
      counted = IngestInput(path: script, form: .script, table: input.table, schema: input.schema)
      _ = try runChecked(
        "bash", ["-c", "cat \"$0\" && echo \"$1\"", input.path, question], output: script,
        errors: place.file("errors"))
    }
    _ = try load(counted, then: question, output: output)
    let numbers = (try lines(of: output).last ?? "").split(separator: "|").compactMap { Double($0) }
    guard numbers.count == 3 else { throw BenchError(description: "sluice_queue does not tell what the log counted") }
    return [
      MeasuredCounter(name: "log groups", ours: numbers[0]), MeasuredCounter(name: "log syncs", ours: numbers[1]),
      MeasuredCounter(name: "log MiB", ours: numbers[2] / 1048576),
    ]
  }
}

/// The sqlite3 shell: write-ahead log, synchronous=FULL.
final class SQLiteSide: IngestSide {
  let name = "sqlite3"
  private let program: String
  private let place: IngestPlace
  private var database: String { place.file("bench.db") }

  init(program: String, folder: String) throws {
    self.program = program
    place = try IngestPlace(folder, "sqlite3")
  }

  func start() throws { _ = try require(program) }

  func prepare(_ input: IngestInput) throws {
    if input.form == .csv { _ = try place.run(program, [database, "PRAGMA journal_mode=WAL; " + input.schema]) }
  }

  func load(_ input: IngestInput) throws -> RunCost {
    let arguments = [
      "-bail", "-cmd", "PRAGMA journal_mode=WAL", "-cmd", "PRAGMA synchronous=FULL", database,
    ]
    switch input.form {
    case .script: return try place.run(program, arguments, input: input.path)
    case .csv: return try place.run(program, arguments + [".import --csv \(input.path) \(input.table)"])
    }
  }

  func count(_ input: IngestInput) throws -> Int { try place.number(program, [database, countQuery(input)]) }

  func clear() {
    for suffix in ["", "-wal", "-shm"] { unlink(database + suffix) }
  }
}

/// The DuckDB shell, as it comes.
final class DuckDBSide: IngestSide {
  let name = "duckdb"
  private let place: IngestPlace
  private var program: String
  private var database: String { place.file("bench.duckdb") }

  init(program: String, folder: String) throws {
    self.program = program
    place = try IngestPlace(folder, "duckdb")
  }

  /// What is on PATH may be a script around the program, whose start would be counted: the program itself says where
  /// it is.
  func start() throws {
    program = try require(program)
    let native = try place.answer(program, ["-c", ".shell readlink /proc/$PPID/exe"])
    if executable(native) != nil { program = native }
  }

  func prepare(_ input: IngestInput) throws {
    if input.form == .csv { throw BenchError(description: "duckdb is given scripts only") }
  }

  func load(_ input: IngestInput) throws -> RunCost {
    try place.run(program, ["-bail", database], input: input.path)
  }

  func count(_ input: IngestInput) throws -> Int {
    try place.number(program, ["-noheader", "-list", database, countQuery(input)])
  }

  func clear() {
    for suffix in ["", ".wal"] { unlink(database + suffix) }
  }
}

/// Parse, encode, checksum, write, sync, by C and nothing else: what the machine allows.
final class BareSide: IngestSide {
  let name = "bare line"
  private let place: IngestPlace

  init(folder: String) throws { place = try IngestPlace(folder, "bare") }

  func prepare(_ input: IngestInput) throws {
    if input.form == .csv { throw BenchError(description: "the bare line is given scripts only") }
  }

  func load(_ input: IngestInput) throws -> RunCost {
    try runChecked(
      "/proc/self/exe", ["bare", input.path, place.file("line")], output: place.file("rows"),
      errors: place.file("errors"))
  }

  func count(_ input: IngestInput) throws -> Int { Int(try lines(of: place.file("rows")).last ?? "") ?? 0 }

  func clear() { unlink(place.file("line")) }
}
