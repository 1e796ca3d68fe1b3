// `sluice-bench ingest`: the main job, whole programs from start to exit, the same text into Sluice and into its peers,
// each into an empty store on the same disk, each durable when it ends.
import ArgumentParser
import Glibc

struct Ingest: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Loads the same SQL text, or CSV, by sluice and by its peers in turn, from start to exit.",
    discussion: """
      Cases: \(IngestCase.all.map(\.id).joined(separator: ", ")).
      Peers: \(IngestPeer.allCases.map(\.rawValue).joined(separator: ", ")). sqlite3 writes ahead with \
      synchronous=FULL; bare is what the machine allows: C that parses, encodes, checksums, writes and syncs the same \
      text. Servers are started in the folder of the measurement, without network, and ended again. What is not \
      installed is skipped with a word.
      """)

  @Option(help: "Rows of the scripts with one transaction.") var rows = 1_000_000
  @Option(help: "Rows of the script without a transaction.") var autocommitRows = 20_000
  @Option(help: "Rows for peers that take long; their rates are compared.") var peerRows = 100_000
  @Option(
    help: "Cases to measure, separated by commas; else all.",
    transform: { try choices($0, of: IngestCase.all.map(\.id), what: "case") })
  var cases: [String] = IngestCase.all.map(\.id)
  @Option(
    help: "Peers to measure, separated by commas; else all.",
    transform: { try choices($0, of: IngestPeer.allCases.map(\.rawValue), what: "peer") })
  var peers: [String] = IngestPeer.allCases.map(\.rawValue)
  @Option(help: "A folder with real tables: NAME.csv.zst and to_sql.py.") var data: String?
  @Flag(help: "Also loads ten times the rows, and compares the rates: what a store becomes slower by as it grows.")
  var growth = false
  @Option(help: "The sluice binary; else the one beside this program.") var sluice: String?
  @Option(help: "The sqlite3 binary.") var sqlite = "sqlite3"
  @Option(help: "The duckdb binary.") var duckdb = "duckdb"
  @OptionGroup var measuring: MeasuringOptions

  func validate() throws {
    guard rows > 0, autocommitRows > 0, peerRows > 0 else { throw ValidationError("rows are at least 1") }
  }

  func run() throws {
    measuring.printHeading("whole programs, from start to exit")
    var hasFailed = false
    for item in IngestCase.all where cases.contains(item.id) {
      for (peer, goal) in item.peers where peers.contains(peer.rawValue) {
        do { try measuring.inFolder { try measure(item, peer, goal, $0) } } catch {
          hasFailed = true
          printError("sluice-bench: \(item.name), beside \(peer.rawValue): \(error)")
        }
      }
    }
    if growth {
      for isMirrored in [false, true] { try measuring.inFolder { try measureGrowth(isMirrored, $0) } }
    }
    if hasFailed { throw ExitCode(1) }
  }

  // MARK: One case beside one peer

  private func measure(_ item: IngestCase, _ peer: IngestPeer, _ goal: Goal?, _ folder: String) throws {
    let ours = try SluiceSide(program: program, isMirrored: item.isMirrored, folder: folder)
    let theirs = try side(peer, folder)
    defer { theirs.stop() }
    let input: IngestInput
    do {
      try theirs.start()
      input = try makeInput(item.source, rows, "\(folder)/input")
    } catch { return measuring.skip("\(item.name), beside \(peer.rawValue)", "\(error)") }
    try ours.start()
    var peerInput = input
    if !peer.isQuick, peerRows < rows { peerInput = try makeInput(item.source, peerRows, "\(folder)/peer-input") }
    var count: Int?
    var peerCount: Int?
    let turns = try Turns(measuring.runs) {
      try load(input, ours, &count)
    } peer: {
      try load(peerInput, theirs, &peerCount)
    }
    guard let count, let peerCount else { return }
    guard peerInput.path != input.path || count == peerCount else {
      throw BenchError(description: "\(count) rows in sluice, \(peerCount) in \(theirs.name)")
    }
    let (oursRows, peerRows) = (Double(count), Double(peerCount))
    var parameters = [("rows", oursRows)]
    if peerRows != oursRows { parameters.append(("rows of the peer", peerRows)) }
    var counters = counters(turns, oursRows, peerRows, limit: item.processorLimit)
    do { counters += try ours.logCounters(input) } catch {
      measuring.skip("\(item.name), what the log counted", "\(error)")
    }
    try measuring.show(
      Measurement(
        bench: "ingest", name: item.name, unit: .rowsPerSecond, parameters: parameters,
        values: turns.ours.map { oursRows / $0.wallSeconds }, peer: theirs.name,
        peerValues: turns.peer.map { peerRows / $0.wallSeconds }, goal: goal,
        counters: counters, loads: turns.loads))
  }

  /// One run, and at the first one a look at what is there afterwards.
  private func load(_ input: IngestInput, _ side: any IngestSide, _ count: inout Int?) throws -> RunCost {
    try side.prepare(input)
    defer { side.clear() }
    let cost = try side.load(input)
    if count == nil { count = try side.count(input) }
    return cost
  }

  private func counters(
    _ turns: Turns<RunCost>, _ rows: Double, _ peerRows: Double, limit: Double?
  ) -> [MeasuredCounter] {
    func perRow(_ name: String, _ limit: Double?, _ figure: (RunCost) -> Double) -> MeasuredCounter {
      var counter = turns.counter(name, atMost: limit, figure)
      counter = MeasuredCounter(
        name: name, ours: counter.ours / rows, peer: counter.peer.map { $0 / peerRows }, limit: limit)
      if counter.peer == 0 { counter.peer = nil }
      return counter
    }
    return [
      perRow("CPU µs/row", limit) { $0.cpuSeconds * 1e6 },
      turns.counter("peak MiB", atMost: 256) { Double($0.peakKiB) / 1024 },
      perRow("written B/row", nil) { Double($0.writtenBytes) },
    ]
  }

  // MARK: Growth

  /// Ours with ten times the rows, beside ours.
  private func measureGrowth(_ isMirrored: Bool, _ folder: String) throws {
    let small = try makeInput(.script(rowsPerStatement: 1), rows, "\(folder)/small")
    let large = try makeInput(.script(rowsPerStatement: 1), rows * 10, "\(folder)/large")
    let side = try SluiceSide(program: program, isMirrored: isMirrored, folder: folder)
    try side.start()
    var counts: (large: Int?, small: Int?)
    let turns = try Turns(measuring.runs) {
      try load(large, side, &counts.large)
    } peer: {
      try load(small, side, &counts.small)
    }
    guard counts.large == rows * 10, counts.small == rows else {
      throw BenchError(description: "rows are missing: \(counts)")
    }
    let (few, many) = (Double(rows), Double(rows * 10))
    try measuring.show(
      Measurement(
        bench: "growth", name: "ten times the rows, until \(isMirrored ? "mirrored" : "durable")",
        unit: .rowsPerSecond, parameters: [("rows", many), ("rows of the peer", few)],
        values: turns.ours.map { many / $0.wallSeconds }, peer: "sluice, a tenth",
        peerValues: turns.peer.map { few / $0.wallSeconds }, goal: .ratio(0.8),
        counters: counters(turns, many, few, limit: isMirrored ? 1.5 : 0.7), loads: turns.loads))
  }

  // MARK: What is needed

  private var program: String { sluice ?? productPath("sluice") }

  private func side(_ peer: IngestPeer, _ folder: String) throws -> any IngestSide {
    switch peer {
    case .sqlite3: try SQLiteSide(program: sqlite, folder: folder)
    case .bare: try BareSide(folder: folder)
    case .duckdb: try DuckDBSide(program: duckdb, folder: folder)
    case .postgresql: try PostgreSQLSide(folder: folder)
    case .myrocks: try MyRocksSide(folder: folder)
    }
  }

  private func makeInput(_ source: IngestCase.Source, _ rows: Int, _ path: String) throws -> IngestInput {
    var (form, table) = (IngestInput.Form.script, Workload.table)
    switch source {
    case .script(let rowsPerStatement):
      try Workload(rowCount: rows, rowsPerStatement: rowsPerStatement).write(to: path)
    case .autocommit:
      try Workload(rowCount: autocommitRows, rowsPerTransaction: nil).write(to: path)
    case .csv:
      form = .csv
      try Workload(rowCount: rows).writeCSV(to: path)
    case .data(let set, let rowsPerStatement):
      guard let data else { throw BenchError(description: "--data names no folder with real tables") }
      table = set.rawValue
      try set.write(to: path, from: data, rowsPerStatement: rowsPerStatement)
    }
    return IngestInput(path: path, form: form, table: table, schema: Workload.schema)
  }
}
