// The product `sluice`. Everything begins in Options.swift.
SluiceCommand.main()
