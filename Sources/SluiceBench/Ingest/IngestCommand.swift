// `sluice-bench ingest`: the main job against the sqlite3 shell, whole processes, the same SQL text.
import ArgumentParser
import Glibc

struct Ingest: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Loads an SQL script by sluice and by sqlite3 (WAL, synchronous=FULL) in turn, from start to exit.")

  @Option(help: "Rows of the scripts with one transaction.") var rows = 1_000_000
  @Option(help: "Rows of the script without a transaction.") var autocommitRows = 20_000
  @Option(help: "Counted runs of each; the median is shown.") var runs = 5
  @Option(help: "An existing folder for scripts and stores, on the disk to be measured.") var directory = "."
  @Option(help: "The sluice binary; else the one beside this program.") var sluice: String?
  @Option(help: "The sqlite3 binary.") var sqlite = "sqlite3"
  @Flag(help: "One JSON object per measurement instead of a table.") var json = false

  /// One line of the table.
  private struct Case {
    let name: String
    let workload: Workload
    /// Arguments of sluice before the store.
    let arguments: [String]
    /// What the ratio has to reach.
    let goal: Double
  }

  func run() throws {
    let folder = "\(directory)/sluice-bench-\(getpid())"
    guard mkdir(folder, 0o755) == 0 else { throw BenchError(description: "cannot create \(folder)") }
    defer { remove(folder) }
    let single = Workload(rowCount: rows, rowsPerStatement: 1, isTransaction: true)
    let many = Workload(rowCount: rows, rowsPerStatement: 500, isTransaction: true)
    let autocommit = Workload(rowCount: autocommitRows, rowsPerStatement: 1, isTransaction: false)
    let cases = [
      Case(name: "one INSERT a line, until durable", workload: single, arguments: ["--no-drain"], goal: 4),
      Case(name: "one INSERT a line, until mirrored", workload: single, arguments: [], goal: 2),
      Case(name: "500 rows an INSERT, until durable", workload: many, arguments: ["--no-drain"], goal: 0),
      Case(name: "500 rows an INSERT, until mirrored", workload: many, arguments: [], goal: 0),
      Case(name: "autocommitted lines, each durable", workload: autocommit, arguments: ["--no-drain"], goal: 40),
    ]
    if !json { print("load \(loadAverage()); \(runs) alternating runs, medians; seconds from start to exit\n") }
    if !json { print(Self.heading) }
    for item in cases { try measure(item, folder) }
  }

  private func measure(_ item: Case, _ folder: String) throws {
    let script = "\(folder)/sluice.sql"
    let peerScript = "\(folder)/sqlite.sql"
    try item.workload.write(to: script, prologue: "")
    try item.workload.write(to: peerScript, prologue: "PRAGMA journal_mode=WAL;\nPRAGMA synchronous=FULL;\n")
    defer {
      unlink(script)
      unlink(peerScript)
    }
    var ours: [RunCost] = []
    var peers: [RunCost] = []
    for _ in 0..<runs {
      let store = "\(folder)/bench.sluice"
      ours.append(try checked(sluiceProgram, item.arguments + [store], script))
      remove(store)
      let database = "\(folder)/bench.db"
      peers.append(try checked(sqlite, [database], peerScript))
      for suffix in ["", "-wal", "-shm"] { unlink(database + suffix) }
    }
    report(item, ours, peers)
  }

  private func checked(_ program: String, _ arguments: [String], _ script: String) throws -> RunCost {
    let cost = try runProcess(program, arguments, input: script)
    guard cost.status == 0 else { throw BenchError(description: "\(program) ended with status \(cost.status)") }
    return cost
  }

  private var sluiceProgram: String {
    if let sluice { return sluice }
    let own = CommandLine.arguments[0]
    guard let slash = own.lastIndex(of: "/") else { return "sluice" }
    return own[...slash] + "sluice"
  }

  // MARK: Report

  private static let heading =
    pad("workload", 36) + pad("sluice s", 10) + pad("sqlite3 s", 10) + pad("ratio [min-max]", 22) + pad("goal", 6)
    + pad("CPU µs/row", 14) + "peak MiB"

  private func report(_ item: Case, _ ours: [RunCost], _ peers: [RunCost]) {
    let ratios = zip(ours, peers).map { $1.wallSeconds / $0.wallSeconds }.sorted()
    let our = median(ours.map(\.wallSeconds)), peer = median(peers.map(\.wallSeconds))
    let perRow = 1e6 / Double(item.workload.rowCount)
    let ourCPU = median(ours.map(\.cpuSeconds)) * perRow, peerCPU = median(peers.map(\.cpuSeconds)) * perRow
    let peak = Double(ours.map(\.peakKiB).max() ?? 0) / 1024
    if json {
      print(
        """
        {"workload":"\(item.name)","rows":\(item.workload.rowCount),"runs":\(runs),"sluice_s":\(our),\
        "sqlite3_s":\(peer),"ratio":\(median(ratios)),"ratio_min":\(ratios[0]),"ratio_max":\(ratios[runs - 1]),\
        "goal":\(item.goal),"sluice_cpu_us":\(ourCPU),"sqlite3_cpu_us":\(peerCPU),"peak_mib":\(peak),\
        "load":\(loadAverage())}
        """)
      return
    }
    let spread = "\(fixed(median(ratios), 1)) [\(fixed(ratios[0], 1))-\(fixed(ratios[runs - 1], 1))]"
    print(
      pad(item.name, 36) + pad(fixed(our, 3), 10) + pad(fixed(peer, 3), 10) + pad(spread, 22)
        + pad(item.goal > 0 ? fixed(item.goal, 0) : "-", 6) + pad("\(fixed(ourCPU, 2)) / \(fixed(peerCPU, 2))", 14)
        + fixed(peak, 0))
  }
}
