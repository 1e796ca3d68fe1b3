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
  @Option(help: "Only measurements whose name contains this.") var only: String?
  @OptionGroup var measuring: MeasuringOptions

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
    let goal: Goal?
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
      Case(name: "CREATE PROJECTION, \(name)", count: rows, goal: .atLeast(1_000_000)) { folder in
        try OrdersStore(folder).build(projection, rows)
      } peer: { folder in
        try OrdersFile(folder).create(select, rows)
      }
    }
    return [
      Case(name: "mirror alone", count: rows, goal: .ratio(1.3)) {
        try OrdersStore($0).project([], rows)
      } peer: {
        try fill($0)
      },
      Case(name: "mirror, 10 and 200,000 groups", count: rows, goal: .ratio(0.5)) { folder in
        try OrdersStore(folder).project(both, rows)
      } peer: {
        try fill($0)
      },
      build("10 groups", Self.byQuantity, "SELECT qty, count(*) AS n, sum(amount) AS total FROM orders GROUP BY qty"),
      build(
        "200,000 groups", Self.byUser,
        "SELECT user_id, count(*) AS n, sum(amount) AS total FROM orders GROUP BY user_id"),
      build("rows", Self.asRows, "SELECT id, sku, qty * amount AS cost FROM orders"),
      Case(name: "updates, 10 and 200,000 groups", count: updates, goal: nil) { folder in
        try OrdersStore(folder).update(both, rows, updates)
      } peer: { folder in
        try OrdersFile(folder).update(rows, updates)
      },
    ]
  }

  func run() throws {
    measuring.printHeading("\(rows) rows, \(updates) updates")
    for item in cases where only.map({ item.name.contains($0) }) ?? true {
      let turns = try Turns(measuring.runs) {
        try measuring.inFolder(item.ours)
      } peer: {
        try measuring.inFolder(item.peer)
      }
      let count = Double(item.count)
      try measuring.show(
        Measurement(
          bench: "mirror", name: item.name, unit: .rowsPerSecond, parameters: [("rows", count)],
          values: turns.ours.map { count / $0.seconds }, peer: "sqlite",
          peerValues: turns.peer.map { count / $0.seconds }, goal: item.goal,
          counters: [turns.counter("CPU µs/row") { $0.cpuSeconds * 1e6 / count }], loads: turns.loads))
    }
  }
}

/// The time of one of the system's clocks.
private func clockSeconds(_ clock: clockid_t) -> Double {
  var time = timespec()
  clock_gettime(clock, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
