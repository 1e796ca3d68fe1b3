// The built sluice-bench with a small store: its lines parse and say that all was right, and it refuses what it must.
import Foundation
import SluiceTesting
import Testing

@testable import SluiceBench

@Suite struct EngineTests {
  private static let fields = [
    "peer", "tag", "workload", "n", "ops", "batch", "sync", "threads", "comp", "ops_per_s", "p50_us", "p99_us",
    "p999_us", "wall_s", "user_s", "sys_s", "peak_rss_mb", "disk_mb", "written_mb", "write_amp", "found", "scanned",
    "ok",
  ]

  private func engine(_ folder: TemporaryFolder, _ arguments: String) throws -> ProcessResult {
    try runProcess(
      builtProduct("sluice-bench"),
      ["engine", "--dir", folder.file("store")] + arguments.split(separator: " ").map(String.init))
  }

  /// The lines as objects, after a look at the names and the order of their fields.
  private func objects(_ result: ProcessResult) throws -> [[String: Any]] {
    try result.text.split(separator: "\n").map { line in
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      let names = line.matches(of: /"([a-z0-9_]+)":/).map { String($0.1) }
      #expect(Array(names.prefix(Self.fields.count)) == Self.fields)
      return object
    }
  }

  @Test func nothingIsKeptByTheNullPeer() throws {
    let result = try engine(
      TemporaryFolder(),
      "--peer null --n 2000 --batch 100 --threads 2 --tag a --workloads fillseq,overwrite,readmissing,ycsbe,openloop "
        + "--rate 20000 --seconds 0.1")
    #expect(result.status == 0, "\(result.errorText)")
    let lines = try objects(result)
    #expect(lines.map { $0["workload"] as? String } == ["fillseq", "overwrite", "readmissing", "ycsbe", "openloop"])
    for line in lines {
      #expect(line["ok"] as? Bool == true)
      #expect(line["peer"] as? String == "null")
      #expect(line["tag"] as? String == "a")
      #expect(line["ops"] as? Int == 2000)
    }
    #expect(lines[4]["rate"] as? Int == 20_000)
  }

  @Test func whatIsMissingEndsWithStatusTwo() throws {
    let result = try engine(TemporaryFolder(), "--peer null --n 100 --workloads readrandom,scan")
    #expect(result.status == 2)
    #expect(
      result.errorText == "sluice-bench: verification failed in readrandom: 100 of 100 keys were not found\n")
    #expect(try objects(result).map { $0["ok"] as? Bool } == [false])
  }

  @Test func sluiceHasWhatItWasGiven() throws {
    let folder = TemporaryFolder()
    let result = try engine(
      folder,
      "--n 2000 --batch 100 --threads 2 --workloads fillrandom,overwrite,scan,readrandom,readmissing,readwhilewriting,"
        + "ycsba,ycsbd,ycsbe,ycsbf,scan")
    #expect(result.status == 0, "\(result.errorText)")
    let lines = try objects(result)
    #expect(lines.count == 11)
    for line in lines { #expect(line["ok"] as? Bool == true, "\(line)") }
    #expect(lines[2]["scanned"] as? Int == 2000)
    #expect(lines[3]["found"] as? Int == 2000)
    #expect(lines[4]["found"] as? Int == 0)
    let again = try engine(folder, "--n 2000 --batch 1 --sync 1 --ops 50 --workloads readrandom,ycsba,scan")
    #expect(again.status == 0, "\(again.errorText)")
    #expect(try objects(again).map { $0["ok"] as? Bool } == [true, true, true])
  }

  @Test(arguments: [
    ("--peer null --bloom 3", "RocksDB's"),
    ("--peer null --workloads fillseq,sort", "unknown workload 'sort'"),
    ("--peer null --workloads openloop", "--rate"),
    ("--peer null --rate 100", "openloop"),
    ("--peer null --value 7", "8 to 1,048,576"),
    ("--peer null --runs 3", "--compare"),
    ("--comp snappy", "lz4"),
    ("--compare --peer rocksdb", "--peer sluice"),
    ("--compare --peer-program x --rate 100 --workloads openloop", "no openloop"),
  ])
  func optionsThatDoNothingAreRefused(arguments: String, word: String) throws {
    let result = try engine(TemporaryFolder(), arguments)
    #expect(result.status == 64)
    #expect(result.text == "")
    #expect(result.errorText.contains(word), "\(result.errorText)")
  }

  /// A peer program has peerbench's options and lines; here it is this program again, told to be Sluice.
  @Test func aComparisonHasARatioForEachWorkloadAndForAll() throws {
    let folder = TemporaryFolder()
    let script = """
      #!/bin/sh
      for word; do shift; [ "$word" = rocksdb ] && word=sluice; set -- "$@" "$word"; done
      exec \(builtProduct("sluice-bench")) engine "$@"
      """
    let peer = folder.file("peer")
    // Written by another process: a file that is open for writing cannot be run, and this one's are inherited.
    _ = try runProcess("sh", ["-c", "cat > \"$0\" && chmod +x \"$0\"", peer], input: Array(script.utf8))
    let result = try engine(
      folder,
      "--compare --runs 2 --json --save \(folder.file("saved")) --peer-program \(peer) --n 2000 --batch 100 --tag t "
        + "--workloads fillrandom,settle,scan,scan")
    #expect(result.status == 0, "\(result.errorText)")
    let measured = try result.text.split(separator: "\n").map { try BenchMeasurement(line: String($0)) }
    #expect(measured.map(\.name) == ["t: fillrandom", "t: settle", "t: scan", "t: scan 2", "t: all"])
    #expect(
      measured.map(\.unit) == [.operationsPerSecond, .seconds, .operationsPerSecond, .operationsPerSecond, .seconds])
    for measurement in measured {
      #expect(measurement.ours == "sluice" && measurement.peer == "rocksdb")
      #expect(measurement.ratios.count == 2)
    }
    #expect(measured[0].counters.map(\.name) == ["CPU µs/row", "p99.9 µs", "bytes written for a byte", "peak MiB"])
    #expect(try String(contentsOfFile: folder.file("saved"), encoding: .utf8) == result.text)
  }

  @Test func queriesAndTheMirrorAreMeasured() throws {
    func measured(_ arguments: String) throws -> [BenchMeasurement] {
      let folder = TemporaryFolder()
      let result: ProcessResult = try runProcess(
        builtProduct("sluice-bench"),
        arguments.split(separator: " ").map(String.init) + ["--runs", "1", "--json", "--directory", folder.path])
      #expect(result.status == 0, "\(result.errorText)")
      return try result.text.split(separator: "\n").map { try BenchMeasurement(line: String($0)) }
    }
    let queries = try measured("query --rows 2000 --lookups 200 --statements 250")
    #expect(queries.count == 10)
    #expect(queries[2].goal == .atLeast(250_000) && queries[3].goal == .atMost(50) && queries[4].goal == .ratio(0.5))
    let mirrors = try measured("mirror --rows 2000 --updates 200")
    #expect(mirrors.count == 6)
    #expect(mirrors.map { $0.parameters[0].value } == [2000, 2000, 2000, 2000, 2000, 200])
    for measurement in queries + mirrors { #expect(measurement.peer == "sqlite" && measurement.ratios.count == 1) }
  }

  @Test func memtablesAgree() throws {
    let result: ProcessResult = try runProcess(
      builtProduct("sluice-bench"), ["memtable", "--entries", "1,700,5000", "--batch", "64", "--runs", "1", "--json"])
    #expect(result.errorText == "")
    #expect(result.status == 0)
    let measured = try result.text.split(separator: "\n").map { try BenchMeasurement(line: String($0)) }
    #expect(measured.count == 3 * 2 * 5)
    #expect(measured.allSatisfy { $0.unit == .nanoseconds && $0.counters.last?.name == "bytes" })
  }
}
