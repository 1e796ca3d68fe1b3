// `sluice-bench engine`: key-value workloads on one store, one JSON line each, as peerbench prints them.
import ArgumentParser

struct EngineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "engine",
    abstract: "Fills, reads, scans and YCSB mixes on a key-value store: Sluice, or RocksDB for comparison.",
    discussion: """
      Prints one JSON line for each workload. Verifies what it reads; ends with status 2 when anything is wrong.
      """)

  @OptionGroup var options: EngineOptions
  @Flag(help: "Runs --peer and RocksDB in turn, each in a process and a folder of its own, and compares medians.")
  var compare = false
  @Option(help: "With --compare: counted runs of each.") var runs: Int?
  @Option(help: "With --compare: a peerbench binary that measures RocksDB instead of this program.")
  var peerProgram: String?
  @Flag(help: "With --compare: JSON objects instead of a table.") var json = false
  @Option(help: "With --compare: a file to which the JSON lines are added besides.") var save: String?

  func validate() throws {
    let isRocksDB = options.peer == .rocksdb || compare
    if !isRocksDB, options.bloom != nil || options.bgjobs != nil || options.nowal != nil {
      throw ValidationError(
        "--bloom, --bgjobs and --nowal are RocksDB's: Sluice sizes its filters and threads itself and always has a log")
    }
    if options.peer == .sluice, options.comp == .snappy {
      throw ValidationError("Sluice compresses blocks by lz4 or not at all: --comp none or --comp lz4")
    }
    guard compare else {
      if runs != nil || peerProgram != nil || json || save != nil {
        throw ValidationError("--runs, --peer-program, --json and --save go with --compare")
      }
      return
    }
    guard runs ?? 1 > 0 else { throw ValidationError("--runs is at least 1") }
    if peerProgram == nil, options.peer == .rocksdb {
      throw ValidationError("--compare measures another peer against RocksDB: --peer sluice")
    }
    if peerProgram != nil, options.workloads.contains(.openloop) {
      throw ValidationError("a peer program has no openloop: leave out --peer-program, or openloop")
    }
  }

  func run() throws {
    do { try measure() } catch {
      printError("sluice-bench: \(error)")
      throw ExitCode(2)
    }
  }

  private func measure() throws {
    if compare {
      guard hasRocksDB || peerProgram != nil else { throw BenchError(description: rocksDBIsMissing) }
      let measuring = MeasuringOptions(runs: runs ?? 5, directory: options.dir, json: json, save: save)
      return try Comparison(options, measuring, peerProgram: peerProgram).run()
    }
    let run = try EngineRun(options)
    for workload in options.workloads { try run.run(workload) }
    try run.close()
  }
}
