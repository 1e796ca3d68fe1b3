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

  func validate() throws {
    if options.peer != .rocksdb, options.bloom != nil || options.bgjobs != nil || options.nowal != nil {
      throw ValidationError(
        "--bloom, --bgjobs and --nowal are RocksDB's: Sluice sizes its filters and threads itself and always has a log")
    }
    if options.peer == .sluice, options.comp == .snappy {
      throw ValidationError("Sluice compresses blocks by lz4 or not at all: --comp none or --comp lz4")
    }
  }

  func run() throws {
    do { try measure() } catch {
      printError("sluice-bench: \(error)")
      throw ExitCode(2)
    }
  }

  private func measure() throws {
    let run = try EngineRun(options)
    for workload in options.workloads { try run.run(workload) }
    try run.close()
  }
}
