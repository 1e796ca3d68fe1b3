// `sluice-bench engine --compare`: one store against RocksDB by the same workloads. Each measurement is a process of
// its own on a fresh folder; the two take turns, and who goes first alternates, so that what else the machine does
// meets both alike. Ratios are taken within a turn; their spread says how far to trust their median.
import Glibc

struct Comparison {
  /// One of the two.
  private struct Side {
    let name: String
    let program: String
    let peer: PeerName
    let isOwnProgram: Bool
  }

  private let options: EngineOptions
  private let runCount: Int
  private let isJSON: Bool
  private let sides: [Side]
  private let folder: String
  private var results: [[[MeasuredWorkload]]] = [[], []]
  private var loads: [Double] = []

  init(_ options: EngineOptions, runs: Int, peerProgram: String?, json: Bool) {
    self.options = options
    runCount = runs
    isJSON = json
    let own = "/proc/self/exe"
    let first = Side(name: options.peer.rawValue, program: own, peer: options.peer, isOwnProgram: true)
    let second = Side(
      name: options.peer == .rocksdb ? "other" : "rocksdb", program: peerProgram ?? own, peer: .rocksdb,
      isOwnProgram: peerProgram == nil)
    sides = [first, second]
    folder = "\(options.dir)/compare-\(getpid())"
  }

  mutating func run() throws {
    mkdir(options.dir, 0o755)
    guard mkdir(folder, 0o755) == 0 else { throw BenchError(description: "cannot create \(folder)") }
    defer { remove(folder) }
    for turn in 0..<runCount {
      for place in 0..<2 {
        let side = (turn + place) % 2
        loads.append(loadAverage())
        results[side].append(try measure(sides[side]))
      }
    }
    report()
  }

  // MARK: Measuring

  private func measure(_ side: Side) throws -> [MeasuredWorkload] {
    let store = "\(folder)/store"
    let output = "\(folder)/lines"
    remove(store)
    defer { remove(store) }
    let cost = try runProcess(side.program, arguments(side, store), output: output)
    guard cost.status == 0 else {
      throw BenchError(description: "\(side.name) ended with status \(cost.status) (\(side.program))")
    }
    let measured = try lines(of: output).map { try MeasuredWorkload(line: $0) }
    let wanted = options.workloads.filter { $0 != .stats }.map(\.rawValue)
    guard measured.map(\.workload) == wanted else {
      throw BenchError(description: "\(side.name) measured \(measured.map(\.workload)) instead of \(wanted)")
    }
    return measured
  }

  private func arguments(_ side: Side, _ store: String) -> [String] {
    var result = side.isOwnProgram ? ["engine"] : []
    func add(_ name: String, _ value: Any?) {
      if let value { result += [name, "\(value)"] }
    }
    func number(_ value: Switch?) -> Int? { value.map { $0.isOn ? 1 : 0 } }
    add("--peer", side.peer.rawValue)
    add("--dir", store)
    add("--n", options.n)
    add("--ops", options.ops)
    add("--batch", options.batch)
    add("--sync", number(options.sync))
    add("--threads", options.threads)
    add("--value", options.value)
    add("--comp", options.comp.rawValue)
    add("--memtable-mb", options.memtableMegabytes)
    add("--cache-mb", options.cacheMegabytes)
    add("--seconds", options.seconds)
    add("--workloads", options.workloads.map(\.rawValue).joined(separator: ","))
    add("--rate", options.rate)
    if side.peer == .rocksdb {
      add("--bloom", options.bloom)
      add("--bgjobs", options.bgjobs)
      add("--nowal", number(options.nowal))
    }
    return result
  }

  // MARK: Report

  private func report() {
    let names = labels
    if !isJSON {
      print(
        "n \(options.n), batch \(options.batch), sync \(options.sync.isOn ? 1 : 0), \(options.threads) threads, values "
          + "\(options.value) B, \(options.comp.rawValue); \(runCount) alternating runs, medians; \(sides[0].name) / "
          + "\(sides[1].name)\nratio: of the rates (settle: seconds, openloop: p99.9), above 1 where \(sides[0].name) "
          + "is better\n")
      print(Self.heading(sides[0].name, sides[1].name))
    }
    for (place, name) in names.enumerated() {
      let row = ComparedWorkload(results[0].map { $0[place] }, results[1].map { $0[place] })
      print(isJSON ? json(name, row) : row.line(name))
    }
    let wholes = results.map { side in side.map(MeasuredWorkload.whole) }
    let all = ComparedWorkload(wholes[0], wholes[1])
    let sorted = loads.sorted()
    if isJSON {
      print(json("all", all))
    } else {
      print(all.line("all"))
      print("\nload average \(fixed(median(loads), 2)) [\(fixed(sorted[0], 2))-\(fixed(sorted[sorted.count - 1], 2))]")
    }
  }

  /// The names of the workloads, numbered where one comes again.
  private var labels: [String] {
    var seen: [String: Int] = [:]
    return results[0][0].map { measured in
      seen[measured.workload, default: 0] += 1
      let count = seen[measured.workload, default: 1]
      return measured.workload + (count > 1 ? " \(count)" : "")
    }
  }

  private static func heading(_ first: String, _ second: String) -> String {
    pad("workload", 18) + padLeft("\(first)/s", 10) + padLeft("\(second)/s", 11) + "  " + pad("ratio [min-max]", 21)
      + pad("CPU µs/row", 16) + pad("p99.9 µs", 17) + pad("WA", 14) + "peak RSS MB"
  }

  private func json(_ name: String, _ row: ComparedWorkload) -> String {
    func fields(_ side: Int, _ name: String) -> String {
      let values = row.sides[side]
      return """
        "\(name)_ops_per_s":\(fixed(values.rate, 0)),"\(name)_wall_s":\(fixed(values.seconds, 3)),\
        "\(name)_cpu_us":\(fixed(values.cpuPerRow, 3)),"\(name)_p999_us":\(fixed(values.p999, 2)),\
        "\(name)_write_amp":\(fixed(values.writeAmplification, 2)),"\(name)_peak_rss_mb":\(fixed(values.peak, 0))
        """
    }
    return """
      {"workload":"\(name)","tag":\(quoted(options.tag)),"n":\(options.n),"batch":\(options.batch),\
      "sync":\(options.sync.isOn ? 1 : 0),"threads":\(options.threads),"comp":"\(options.comp.rawValue)",\
      "runs":\(runCount),\(fields(0, sides[0].name)),\(fields(1, sides[1].name)),"ratio":\(fixed(row.ratio, 3)),\
      "ratio_min":\(fixed(row.ratios[0], 3)),"ratio_max":\(fixed(row.ratios[runCount - 1], 3)),\
      "load":\(fixed(median(loads), 2)),"load_min":\(fixed(loads.min() ?? 0, 2)),\
      "load_max":\(fixed(loads.max() ?? 0, 2))}
      """
  }
}
