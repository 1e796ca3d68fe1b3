// `sluice-bench recover`: how soon a store answers after it was left, tidily or not, and how soon on an empty one: from
// the start of the program to the first line of its answer, beside the sqlite3 shell on a file with the same rows.
//
// Rows come in transactions of 10,000, so that a killed load has left some. The load is killed (SIGKILL, no chance to
// tidy up) when half of its script has gone in. Files are in the page cache, as after a restart of the program
// and not of the machine.
import ArgumentParser
import Glibc

struct RecoverCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover",
    abstract: "From the start of the program to the answer of a SELECT: after closing, after kill -9, and with no rows."
  )

  enum Case: String, CaseIterable {
    case clean, killed, start
  }

  @Option(help: "Rows of the load.") var rows = 10_000_000
  @Option(help: "Starts of a turn on the empty store; their median counts.") var starts = 5
  @Option(
    help: "Cases to measure, separated by commas, of: \(Case.allCases.map(\.rawValue).joined(separator: ", ")).",
    transform: { try choices($0, of: Case.allCases.map(\.rawValue), what: "case") })
  var cases: [String] = Case.allCases.map(\.rawValue)
  @Option(help: "The sluice binary; else the one beside this program.") var sluice: String?
  @Option(help: "The sqlite3 binary.") var sqlite = "sqlite3"
  @OptionGroup var measuring: MeasuringOptions

  private static let rowsPerTransaction = 10_000

  func validate() throws {
    guard rows >= 4 * Self.rowsPerTransaction else {
      throw ValidationError("--rows is at least \(4 * Self.rowsPerTransaction): half of them are there after a kill")
    }
    guard starts > 0 else { throw ValidationError("--starts is at least 1") }
  }

  func run() throws {
    measuring.printHeading("\(rows) rows; from the start of the program to its answer")
    try measuring.inFolder { folder in
      let ours = AskedProgram(
        program: sluice ?? productPath("sluice"), arguments: [], path: "\(folder)/bench.sluice", folder: folder)
      let durable = ["-bail", "-cmd", "PRAGMA journal_mode=WAL", "-cmd", "PRAGMA synchronous=FULL"]
      let peer = AskedProgram(program: sqlite, arguments: durable, path: "\(folder)/bench.db", folder: folder)
      if cases.contains(Case.start.rawValue) { try measureStart(ours, peer) }
      if !cases.contains(Case.clean.rawValue), !cases.contains(Case.killed.rawValue) { return }
      let script = "\(folder)/script"
      try Workload(rowCount: rows, rowsPerTransaction: Self.rowsPerTransaction).write(to: script)
      if cases.contains(Case.clean.rawValue) { try measureClean(ours, peer, script) }
      if cases.contains(Case.killed.rawValue) { try measureKilled(ours, peer, script) }
    }
  }

  // MARK: The cases

  private func measureStart(_ ours: AskedProgram, _ peer: AskedProgram) throws {
    for side in [ours, peer] { _ = try side.ask(Workload.schema + " SELECT 1;") }
    let turns = try Turns(measuring.runs) {
      try usual(ours, "SELECT 1;")
    } peer: {
      try usual(peer, "SELECT 1;")
    }
    for side in [ours, peer] { side.clear() }
    try show("start, SELECT 1", turns, rows: 0, goal: .atMost(15))
  }

  /// The answer in the middle of some.
  private func usual(_ side: AskedProgram, _ sql: String) throws -> Answer {
    let answers = try (0..<starts).map { _ in try side.ask(sql) }
    return answers.sorted { $0.seconds < $1.seconds }[answers.count / 2]
  }

  private func measureClean(_ ours: AskedProgram, _ peer: AskedProgram, _ script: String) throws {
    for side in [ours, peer] { try side.load(script) }
    var random = SplitMix64(state: 5)
    let keys = (0..<measuring.runs).map { _ in Int(random.next() % UInt64(rows)) + 1 }
    var (turn, peerTurn) = (0, 0)
    let turns = try Turns(measuring.runs) {
      defer { turn += 1 }
      return try ours.ask(select(keys[turn]))
    } peer: {
      defer { peerTurn += 1 }
      return try peer.ask(select(keys[peerTurn]))
    }
    for side in [ours, peer] { side.clear() }
    try show("reopened after closing, SELECT by key", turns, rows: rows, goal: .atMost(50))
  }

  private func measureKilled(_ ours: AskedProgram, _ peer: AskedProgram, _ script: String) throws {
    var counts: (ours: [Double], peer: [Double]) = ([], [])
    func killed(_ side: AskedProgram) throws -> (answer: Answer, count: Double) {
      defer { side.clear() }
      try side.loadHalf(script)
      let answer = try side.ask(select(1))
      let count = try side.ask("SELECT count(*) FROM \(Workload.table);").text
      guard let number = Double(count), number > 0 else {
        throw BenchError(description: "\(side.program) has \(count) rows after it was killed")
      }
      return (answer, number)
    }
    let turns = try Turns(measuring.runs) {
      let (answer, count) = try killed(ours)
      counts.ours.append(count)
      return answer
    } peer: {
      let (answer, count) = try killed(peer)
      counts.peer.append(count)
      return answer
    }
    let found = MeasuredCounter(
      name: "rows found", ours: median(counts.ours), peer: median(counts.peer))
    try show(
      "reopened after kill -9, SELECT by key", turns, rows: rows, goal: .atMost(1_000), counters: [found])
  }

  private func select(_ key: Int) -> String { "SELECT amount FROM \(Workload.table) WHERE id = \(key);" }

  private func show(
    _ name: String, _ turns: Turns<Answer>, rows: Int, goal: Goal, counters: [MeasuredCounter] = []
  ) throws {
    guard turns.ours.map(\.text) == turns.peer.map(\.text) else {
      throw BenchError(
        description: "\(name): sluice answers \(turns.ours.map(\.text)), sqlite3 \(turns.peer.map(\.text))")
    }
    try measuring.show(
      Measurement(
        bench: "recover", name: name, unit: .milliseconds,
        parameters: rows > 0 ? [("rows", Double(rows))] : [], values: turns.ours.map { $0.seconds * 1e3 },
        peer: "sqlite3", peerValues: turns.peer.map { $0.seconds * 1e3 }, goal: goal,
        counters: [
          turns.counter("to exit ms") { $0.cost.wallSeconds * 1e3 },
          turns.counter("CPU ms") { $0.cost.cpuSeconds * 1e3 },
        ] + counters, loads: turns.loads))
  }
}
