// `sluice-bench`: speed side by side with its peers, in turn, on the same machine in the same minutes.
import ArgumentParser

/// The product's command line.
struct SluiceBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice-bench",
    abstract: "Measures Sluice side by side with others: alternating runs, medians, ratios with their spread.",
    subcommands: [
      Ingest.self, Query.self, MirrorCommand.self, EngineCommand.self, MemtableCommand.self, BareCommand.self,
      RecoverCommand.self, OpenLoopCommand.self, ReportCommand.self,
    ])
}

SluiceBench.main()
