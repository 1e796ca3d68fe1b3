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
  private let measuring: MeasuringOptions
  private let sides: [Side]
  private let folder: String

  init(_ options: EngineOptions, _ measuring: MeasuringOptions, peerProgram: String?) {
    self.options = options
    self.measuring = measuring
    let own = "/proc/self/exe"
    let first = Side(name: options.peer.rawValue, program: own, peer: options.peer, isOwnProgram: true)
    let second = Side(
      name: options.peer == .rocksdb ? "other" : "rocksdb", program: peerProgram ?? own, peer: .rocksdb,
      isOwnProgram: peerProgram == nil)
    sides = [first, second]
    folder = "\(options.dir)/compare-\(getpid())"
  }

  func run() throws {
    mkdir(options.dir, 0o755)
    guard mkdir(folder, 0o755) == 0 else { throw BenchError(description: "cannot create \(folder)") }
    defer { remove(folder) }
    try report(try Turns(measuring.runs, ours: { try measure(sides[0]) }, peer: { try measure(sides[1]) }))
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

  private func report(_ turns: Turns<[MeasuredWorkload]>) throws {
    measuring.printHeading(
      "n \(options.n), batch \(options.batch), sync \(options.sync.isOn ? 1 : 0), \(options.threads) threads, values "
        + "\(options.value) B, \(options.comp.rawValue)")
    for (place, name) in labels(turns.ours[0]).enumerated() {
      try show(name, turns.map { $0[place] })
    }
    try show("all", turns.map(MeasuredWorkload.whole))
  }

  private func show(_ name: String, _ turns: Turns<MeasuredWorkload>) throws {
    let unit = turns.ours[0].unit
    var counters: [MeasuredCounter] = []
    if turns.ours[0].operations > 0 {
      counters.append(turns.counter("CPU µs/row") { $0.processorSeconds * 1e6 / $0.operations })
    }
    if turns.ours[0].p999 > 0, unit != .microseconds { counters.append(turns.counter("p99.9 µs", \.p999)) }
    if turns.ours[0].writeAmplification > 0 {
      counters.append(turns.counter("bytes written for a byte", \.writeAmplification))
    }
    counters.append(turns.counter("peak MiB", \.peakMegabytes))
    let parameters = [
      ("n", Double(options.n)), ("batch", Double(options.batch)), ("sync", options.sync.isOn ? 1 : 0),
      ("threads", Double(options.threads)), ("value bytes", Double(options.value)),
    ]
    try measuring.show(
      Measurement(
        bench: "engine", name: options.tag.isEmpty ? name : "\(options.tag): \(name)", unit: unit,
        parameters: parameters, ours: sides[0].name, values: turns.ours.map(\.value), peer: sides[1].name,
        peerValues: turns.peer.map(\.value), counters: counters, loads: turns.loads))
  }

  /// The names of the workloads, numbered where one comes again.
  private func labels(_ measured: [MeasuredWorkload]) -> [String] {
    var seen: [String: Int] = [:]
    return measured.map {
      seen[$0.workload, default: 0] += 1
      let count = seen[$0.workload, default: 1]
      return $0.workload + (count > 1 ? " \(count)" : "")
    }
  }
}
