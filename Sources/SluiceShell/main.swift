// The product `sluice`: `sluice inspect …` begins in InspectCommand.swift, `sluice tail …` in TailCommand.swift,
// everything else in Options.swift.
if CommandLine.arguments.dropFirst().first == InspectCommand.word {
  InspectCommand.launch(Array(CommandLine.arguments.dropFirst(2)))
} else if CommandLine.arguments.dropFirst().first == TailCommand.word {
  TailCommand.main(Array(CommandLine.arguments.dropFirst(2)))
} else {
  SluiceCommand.main()
}
