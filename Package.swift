// swift-tools-version:6.3
import PackageDescription

// Arrows go down only: Shell, Extension, Bench -> Sluice -> {SQL, LSM, Log, SQLite} -> System -> C shims.
// The tidy test reads the imports of every source file and holds them to this list.

// Release builds leave out the dynamic exclusivity checks that debug builds and tests keep: they cost a tenth of the
// row path.
let hot: [SwiftSetting] = [
  .unsafeFlags(["-cross-module-optimization", "-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

let package = Package(
  name: "Sluice",
  products: [
    .executable(name: "sluice", targets: ["SluiceShell"]),
    .executable(name: "sluice-bench", targets: ["SluiceBench"]),
    .library(name: "Sluice", targets: ["Sluice", "CSQLiteHost"]),
    .library(name: "sluice0", type: .dynamic, targets: ["SluiceExtension"]),
  ],
  traits: [
    .trait(name: "RocksDB", description: "sluice-bench measures RocksDB too; needs librocksdb-dev."),
    .default(enabledTraits: []),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    .target(name: "CSystem"),
    .systemLibrary(name: "CLZ4", providers: [.apt(["liblz4-dev"])]),
    .target(name: "CSQLite"),
    .target(name: "CSQLiteHost", dependencies: ["CSQLite"], linkerSettings: [.linkedLibrary("sqlite3")]),
    .systemLibrary(name: "CRocksDB", providers: [.apt(["librocksdb-dev"])]),
    .target(name: "CBareLine", dependencies: ["CSystem"]),
    .target(name: "CReadline", linkerSettings: [.linkedLibrary("readline")]),
    .target(name: "SluiceSystem", dependencies: ["CSystem", "CLZ4"], swiftSettings: hot),
    .target(name: "SluiceLog", dependencies: ["SluiceSystem"], swiftSettings: hot),
    .target(name: "SluiceLSM", dependencies: ["SluiceSystem"], swiftSettings: hot),
    .target(name: "SluiceSQL", dependencies: ["SluiceSystem"], swiftSettings: hot),
    .target(name: "SluiceSQLite", dependencies: ["SluiceSystem", "CSQLite"], swiftSettings: hot),
    .target(
      name: "Sluice", dependencies: ["SluiceSQL", "SluiceLSM", "SluiceLog", "SluiceSQLite", "SluiceSystem"],
      swiftSettings: hot),
    .executableTarget(
      name: "SluiceShell",
      dependencies: [
        "Sluice", "CReadline", "CSQLiteHost", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: hot,
      // Swift's libraries linked in: loading them takes half of the time in which a query by key is answered.
      linkerSettings: [
        .unsafeFlags(
          ["-static-stdlib", "-use-ld=lld", "-l_FoundationCShims", "-l_FoundationCollections"],
          .when(configuration: .release))
      ]),
    .target(
      name: "SluiceExtension", dependencies: ["Sluice", "SluiceSQLite", "SluiceSystem", "CSQLite"],
      exclude: ["exports.map"],
      swiftSettings: hot,
      linkerSettings: [
        .unsafeFlags([
          "-static-stdlib", "-Xlinker",
          "--version-script=" + Context.packageDirectory + "/Sources/SluiceExtension/exports.map",
        ])
      ]),
    .executableTarget(
      name: "SluiceBench",
      dependencies: [
        "Sluice", "SluiceSQLite", "SluiceSystem", "CSQLiteHost", "CBareLine",
        .target(name: "CRocksDB", condition: .when(traits: ["RocksDB"])),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: hot),
    .executableTarget(
      name: "quickstart", dependencies: ["Sluice", "CSQLiteHost"], path: "examples/quickstart"),
    .target(name: "SluiceTesting", dependencies: ["Sluice", "SluiceSystem"]),
    .testTarget(name: "SluiceSystemTests", dependencies: ["SluiceSystem", "SluiceTesting"], exclude: ["Golden"]),
    .testTarget(name: "SluiceLogTests", dependencies: ["SluiceLog", "SluiceTesting"]),
    .testTarget(name: "SluiceLSMTests", dependencies: ["SluiceLSM", "SluiceTesting"]),
    .testTarget(name: "SluiceSQLTests", dependencies: ["SluiceSQL", "SluiceTesting"], exclude: ["Golden"]),
    .testTarget(name: "SluiceSQLiteTests", dependencies: ["SluiceSQLite", "CSQLiteHost", "SluiceTesting"]),
    .target(name: "CAllocationCount"),
    .testTarget(
      name: "SluiceTests", dependencies: ["Sluice", "CSQLiteHost", "SluiceTesting", "CAllocationCount"],
      exclude: ["Fixtures", "Golden"]),
    .testTarget(name: "ExamplesTests", dependencies: ["SluiceTesting"]),
    .testTarget(name: "SluiceBenchTests", dependencies: ["SluiceBench", "SluiceTesting"]),
    .testTarget(name: "DataTests", dependencies: ["SluiceTesting"]),
    .testTarget(name: "ShellTests", dependencies: ["SluiceTesting"]),
    .testTarget(name: "SQLLogicTests", dependencies: ["SluiceTesting"], exclude: ["Cases"]),
    .testTarget(name: "SluiceExtensionTests", dependencies: ["Sluice", "CSQLiteHost", "SluiceTesting"]),
    .testTarget(
      name: "TidyTests", dependencies: ["SluiceTesting"],
      exclude: ["unsafe-files.txt", "unchecked-sendable.txt"]),
  ]
)
