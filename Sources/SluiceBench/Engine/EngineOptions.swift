// The options of `sluice-bench engine`: the names, meanings and defaults of peerbench's, so that one script drives
// both.
import ArgumentParser

/// The store under measurement.
enum PeerName: String, ExpressibleByArgument, CaseIterable {
  case sluice, rocksdb
  /// Takes every row and keeps none.
  case null
}

/// How blocks of tables are compressed.
enum BlockCompression: String, ExpressibleByArgument, CaseIterable {
  case none, lz4, snappy
}

/// 0 or 1.
struct Switch: ExpressibleByArgument {
  let isOn: Bool

  init?(argument: String) {
    guard argument == "0" || argument == "1" else { return nil }
    isOn = argument == "1"
  }

  static let off = Switch(argument: "0")!
  var defaultValueDescription: String { isOn ? "1" : "0" }
  static var allValueStrings: [String] { ["0", "1"] }
}

/// What is done with the store, in the order of the list.
enum EngineWorkload: String, CaseIterable {
  case fillseq, fillrandom, overwrite, readrandom, readmissing, scan, readwhilewriting
  case ycsba, ycsbb, ycsbc, ycsbd, ycsbe, ycsbf
  case openloop, settle, stats

  var isYCSB: Bool { rawValue.hasPrefix("ycsb") }

  static func list(_ text: String) throws -> [EngineWorkload] {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { name in
      guard let workload = EngineWorkload(rawValue: String(name)) else {
        let known = allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("unknown workload '\(name)'; there are \(known)")
      }
      return workload
    }
  }
}

struct EngineOptions: ParsableArguments {
  @Option(help: "The store to measure.") var peer = PeerName.sluice
  @Option(help: "A folder for the store, made when missing; what it holds from an earlier call is used again.")
  var dir: String
  @Option(help: "Rows of the store: keys are 0 to n-1.") var n: UInt64 = 1_000_000
  @Option(help: "Operations of reads and YCSB mixes; 0: n.") var ops: UInt64 = 0
  @Option(help: "Rows that a fill writes as one atomic unit.") var batch = 1
  @Option(help: "1: each unit is on the disk before the next.") var sync = Switch.off
  @Option(help: "Threads, each with a session.") var threads = 1
  @Option(help: "Bytes of a value, at least 8.") var value = 100
  @Option(help: "Compression of blocks.") var comp = BlockCompression.none
  @Option(name: .customLong("memtable-mb"), help: "MiB of memtables.") var memtableMegabytes = 64
  @Option(name: .customLong("cache-mb"), help: "MiB of block cache.") var cacheMegabytes = 64
  @Option(help: "A workload ends after this time; 0: no limit, and 10 for openloop.") var seconds = 0.0
  @Option(help: "A word for the output.") var tag = ""
  @Option(
    help: "What to do, separated by commas, of: \(EngineWorkload.allCases.map(\.rawValue).joined(separator: ", ")).",
    transform: EngineWorkload.list)
  var workloads: [EngineWorkload] = [.fillrandom, .settle, .scan]
  @Option(help: "Rows a second that arrive in openloop.") var rate: Double?
  @Option(help: "RocksDB only: bits of its Bloom filter for each key (10).") var bloom: Int?
  @Option(help: "RocksDB only: its background jobs (2).") var bgjobs: Int?
  @Option(help: "RocksDB only: 1 writes without a log.") var nowal: Switch?

  func validate() throws {
    guard (1...100_000_000_000_000).contains(n) else { throw ValidationError("--n is 1 to 10^14: a key has 15 digits") }
    guard (1...1_000_000).contains(batch) else { throw ValidationError("--batch is 1 to 1,000,000 rows") }
    guard (1...64).contains(threads) else { throw ValidationError("--threads is 1 to 64") }
    guard (8...1 << 20).contains(value) else {
      throw ValidationError("--value is 8 to 1,048,576 bytes: it begins with its key's number, for readers to verify")
    }
    guard memtableMegabytes > 0, cacheMegabytes > 0 else {
      throw ValidationError("--memtable-mb and --cache-mb are at least 1")
    }
    guard seconds >= 0, rate ?? 1 > 0 else { throw ValidationError("--seconds and --rate are not negative") }
    guard workloads.contains(.openloop) == (rate != nil) else {
      throw ValidationError("openloop and --rate need one another: rows arrive at that rate")
    }
    guard workloads.count(where: { $0 == .openloop }) <= openLoopMarks.count else {
      throw ValidationError("openloop comes at most \(openLoopMarks.count) times: each has keys of its own")
    }
  }
}
