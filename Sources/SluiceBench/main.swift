// `sluice-bench`: speed side by side with the peer, in turn, on the same machine in the same minutes.
import ArgumentParser

/// The product's command line.
struct SluiceBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice-bench",
    abstract: "Measures Sluice side by side with sqlite3: alternating runs, medians, ratios with their spread.",
    subcommands: [Ingest.self])
}

SluiceBench.main()
