// The product `sluice`: `sluice inspect …` begins in InspectCommand.swift, everything else in Options.swift.
if CommandLine.arguments.dropFirst().first == InspectCommand.word {
  InspectCommand.launch(Array(CommandLine.arguments.dropFirst(2)))
} else {
  SluiceCommand.main()
}
