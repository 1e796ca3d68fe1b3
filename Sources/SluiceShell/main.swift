// The product `sluice`: `sluice inspect …` begins in InspectCommand.swift, `sluice tail …` in TailCommand.swift,
// everything else in Options.swift.
import Glibc

/// Opens those of the descriptors 0 to 2 that are closed, for else the next file that is opened would get what is
/// printed. As sqlite3 and the tools of GNU do, so that reading finds nothing and writing fails.
func fillStandardDescriptors() {
  for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
    // The lowest one that is free is given out. Without /dev/null they stay closed, and a store's files stay above.
    if open("/dev/null", O_RDONLY) < 0 { return }
  }
}

fillStandardDescriptors()
if CommandLine.arguments.dropFirst().first == InspectCommand.word {
  InspectCommand.launch(Array(CommandLine.arguments.dropFirst(2)))
} else if CommandLine.arguments.dropFirst().first == TailCommand.word {
  TailCommand.main(Array(CommandLine.arguments.dropFirst(2)))
} else if let option = SluiceCommand.unknownOption(in: Array(CommandLine.arguments.dropFirst())) {
  SluiceCommand.refuse(unknown: option)
} else {
  SluiceCommand.main()
}
