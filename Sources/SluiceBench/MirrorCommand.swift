// `sluice-bench mirror`: the projector at work on a backlog, beside what SQLite does by itself: the mirror against a
// bare loop of prepared inserts; projections against the same loop, which keeps none; filling a projection from what is
// stored; and updates, against triggers that keep the same sums.
//
// The projector is held back while rows are written, flushed and settled; what is measured begins when it is let go, so
// that nothing else of the store runs meanwhile.
import ArgumentParser
import Glibc
import Sluice
import SluiceSQLite
import SluiceSystem

struct MirrorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mirror",
    abstract: "Brings rows into projections.db, with and without projections, and into a file of SQLite's own.")

  @Option(help: "Rows of the table.") var rows = 1_000_000
  @Option(help: "Rows that are updated.") var updates = 200_000
  @Option(help: "Counted runs of each; the median is shown.") var runs = 5
  @Option(help: "Only measurements whose name contains this.") var only: String?
  @Option(help: "An existing folder for the store and the file, on the disk to be measured.") var directory = "."
  @Flag(help: "One JSON object per measurement instead of a table.") var json = false

  private static let byQuantity =
    "CREATE PROJECTION by_qty AS SELECT qty, count(*) AS n, sum(amount) AS total FROM orders GROUP BY qty"
  private static let byUser =
    "CREATE PROJECTION by_user AS SELECT user_id, count(*) AS n, sum(amount) AS total FROM orders GROUP BY user_id"
  private static let asRows = "CREATE PROJECTION costs AS SELECT id, sku, qty * amount AS cost FROM orders"

  /// One line of the table.
  private struct Case {
    let name: String
    /// Rows of a run.
    let count: Int
    /// What has to be reached, in words.
    let goal: String
    let ours: (_ folder: String) throws -> Cost
    let peer: (_ folder: String) throws -> Cost
  }

  /// What one run took: wall time, and that of all processors on this process.
  struct Cost {
    let seconds: Double
    let cpuSeconds: Double

    static func of(_ body: () throws -> Void) rethrows -> Cost {
      let (wall, cpu) = (clockSeconds(CLOCK_MONOTONIC), clockSeconds(CLOCK_PROCESS_CPUTIME_ID))
      try body()
      return Cost(
        seconds: clockSeconds(CLOCK_MONOTONIC) - wall, cpuSeconds: clockSeconds(CLOCK_PROCESS_CPUTIME_ID) - cpu)
    }
  }

  private var cases: [Case] {
    let (rows, updates) = (rows, updates)
    let both = [Self.byQuantity, Self.byUser]
    func fill(_ folder: String) throws -> Cost { try OrdersFile(folder).fill(rows) }
    func build(_ name: String, _ projection: String, _ select: String) -> Case {
      Case(name: "CREATE PROJECTION, \(name)", count: rows, goal: "1M/s") { folder in
        try OrdersStore(folder).build(projection, rows)
      } peer: { folder in
        try OrdersFile(folder).create(select, rows)
      }
    }
    return [
      Case(name: "mirror alone", count: rows, goal: "1.3") {
        try OrdersStore($0).project([], rows)
      } peer: {
        try fill($0)
      },
      Case(name: "mirror, 10 and 200,000 groups", count: rows, goal: "0.5") { folder in
        try OrdersStore(folder).project(both, rows)
      } peer: {
        try fill($0)
      },
      build("10 groups", Self.byQuantity, "SELECT qty, count(*) AS n, sum(amount) AS total FROM orders GROUP BY qty"),
      build(
        "200,000 groups", Self.byUser,
        "SELECT user_id, count(*) AS n, sum(amount) AS total FROM orders GROUP BY user_id"),
      build("rows", Self.asRows, "SELECT id, sku, qty * amount AS cost FROM orders"),
      Case(name: "updates, 10 and 200,000 groups", count: updates, goal: "-") { folder in
        try OrdersStore(folder).update(both, rows, updates)
      } peer: { folder in
        try OrdersFile(folder).update(rows, updates)
      },
    ]
  }

  func run() throws {
    let folder = "\(directory)/sluice-bench-\(getpid())"
    if !json {
      print("\(rows) rows, \(updates) updates, load \(loadAverage()); \(runs) alternating runs, medians\n")
      print(
        pad("workload", 36) + pad("sluice", 10) + pad("sqlite", 10) + pad("ratio [min-max]", 20) + pad("goal", 6)
          + pad("CPU µs/row", 14) + "load")
    }
    for item in cases where only.map({ item.name.contains($0) }) ?? true {
      var ours: [Cost] = []
      var peers: [Cost] = []
      for _ in 0..<runs {
        ours.append(try inFolder(folder, item.ours))
        peers.append(try inFolder(folder, item.peer))
      }
      report(item, ours, peers)
    }
  }

  private func inFolder(_ folder: String, _ body: (String) throws -> Cost) throws -> Cost {
    guard mkdir(folder, 0o755) == 0 else { throw BenchError(description: "cannot create \(folder)") }
    defer { remove(folder) }
    return try body(folder)
  }

  private func report(_ item: Case, _ ours: [Cost], _ peers: [Cost]) {
    let ratios = zip(ours, peers).map { $1.seconds / $0.seconds }.sorted()
    let count = Double(item.count)
    let our = count / median(ours.map(\.seconds)), peer = count / median(peers.map(\.seconds))
    let ourCPU = median(ours.map(\.cpuSeconds)) * 1e6 / count, peerCPU = median(peers.map(\.cpuSeconds)) * 1e6 / count
    if json {
      printNow(
        """
        {"workload":\(quoted(item.name)),"rows":\(item.count),"runs":\(runs),"sluice_rows_per_s":\(our),\
        "sqlite_rows_per_s":\(peer),"ratio":\(median(ratios)),"ratio_min":\(ratios[0]),\
        "ratio_max":\(ratios[ratios.count - 1]),"goal":\(quoted(item.goal)),"sluice_cpu_us":\(ourCPU),\
        "sqlite_cpu_us":\(peerCPU),"load":\(loadAverage())}
        """)
      return
    }
    let spread = "\(fixed(median(ratios), 2)) [\(fixed(ratios[0], 2))-\(fixed(ratios[ratios.count - 1], 2))]"
    printNow(
      pad(item.name, 36) + pad(short(our) + "/s", 10) + pad(short(peer) + "/s", 10) + pad(spread, 20)
        + pad(item.goal, 6) + pad("\(fixed(ourCPU, 2)) / \(fixed(peerCPU, 2))", 14) + fixed(loadAverage(), 1))
  }
}

/// The time of one of the system's clocks.
private func clockSeconds(_ clock: clockid_t) -> Double {
  var time = timespec()
  clock_gettime(clock, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
