// The built sluice-bench loads small inputs by sluice and by what stands beside it, and says what both have.
import Foundation
import SluiceTesting
import Testing

@testable import SluiceBench

@Suite struct IngestTests {
  private func bench(_ folder: TemporaryFolder, _ arguments: String) throws -> ProcessResult {
    try runProcess(
      builtProduct("sluice-bench"),
      ["ingest", "--runs", "1", "--directory", folder.path] + arguments.split(separator: " ").map(String.init))
  }

  private func measurements(_ result: ProcessResult) throws -> [BenchMeasurement] {
    try result.text.split(separator: "\n").map { try BenchMeasurement(line: String($0)) }
  }

  @Test func oneCaseForEachFormAndPeer() throws {
    let folder = TemporaryFolder()
    let saved = folder.file("results")
    let result = try bench(
      folder,
      "--rows 3000 --autocommit-rows 200 --cases single,single-mirrored,multi,autocommit --peers sqlite3,bare --json "
        + "--save \(saved)")
    #expect(result.errorText == "")
    #expect(result.status == 0)
    let measured = try measurements(result)
    #expect(
      measured.map { "\($0.name) - \($0.peer ?? "")" } == [
        "one INSERT a line, until durable - sqlite3", "one INSERT a line, until durable - bare line",
        "one INSERT a line, until mirrored - sqlite3", "500 rows an INSERT, until durable - sqlite3",
        "500 rows an INSERT, until durable - bare line", "autocommitted lines, until durable - sqlite3",
      ])
    #expect(measured.map { $0.parameters.first?.value } == [3000, 3000, 3000, 3000, 3000, 200])
    for measurement in measured {
      let counters = Dictionary(uniqueKeysWithValues: measurement.counters.map { ($0.name, $0.ours) })
      #expect(Set(counters.keys) == ["CPU µs/row", "peak MiB", "written B/row", "log groups", "log syncs", "log MiB"])
      // A row is about 60 bytes in the log.
      let logBytesPerRow = (counters["log MiB"] ?? 0) * 1_048_576 / (measurement.parameters[0].value)
      #expect((40..<90).contains(logBytesPerRow), "\(logBytesPerRow)")
      #expect(counters["log groups"] ?? 0 >= 2)
    }
    #expect(try String(contentsOfFile: saved, encoding: .utf8) == result.text)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["results"])
  }

  @Test func growthIsOursBesideOurs() throws {
    let result = try bench(TemporaryFolder(), "--rows 500 --cases single --peers duckdb --growth --json")
    #expect(result.status == 0, "\(result.errorText)")
    let measured = try measurements(result)
    #expect(measured.map(\.name) == ["ten times the rows, until durable", "ten times the rows, until mirrored"])
    #expect(measured.map(\.bench) == ["growth", "growth"])
    #expect(measured.map { $0.parameters.map(\.value) } == [[5000, 500], [5000, 500]])
  }

  @Test func whatIsMissingIsSkippedAndWhatFailsIsTold() throws {
    let folder = TemporaryFolder()
    let skipped = try bench(folder, "--rows 10 --cases single --peers sqlite3 --sqlite none-such")
    #expect(skipped.status == 0)
    #expect(
      skipped.errorText
        == "sluice-bench: one INSERT a line, until durable, beside sqlite3 is skipped: none-such is not "
        + "installed\n")
    let failed = try bench(folder, "--rows 10 --cases single --peers sqlite3 --sqlite false")
    #expect(failed.status == 1)
    #expect(
      failed.errorText
        == "sluice-bench: one INSERT a line, until durable, beside sqlite3: false ended with status 1\n")
    let data = try bench(folder, "--cases flights --data \(folder.path)")
    #expect(data.status == 0)
    #expect(data.errorText.contains("flights.csv.zst is not there"))
  }

  /// A peer that loses rows is no peer.
  @Test func bothHaveTheSameRows() throws {
    let folder = TemporaryFolder()
    let thief = folder.file("thief")
    let script = """
      #!/bin/sh
      [ "$1" = -bail ] || exec sqlite3 "$@"
      for database; do :; done
      sqlite3 "$@" && exec sqlite3 "$database" "DELETE FROM orders WHERE id = 1"
      """
    // Written by another process: a file that is open for writing cannot be run, and this one's are inherited.
    let made = try runProcess("sh", ["-c", "cat > \"$0\" && chmod +x \"$0\"", thief], input: Array(script.utf8))
    #expect(made.status == 0)
    let result = try bench(folder, "--rows 10 --cases single --peers sqlite3 --json --sqlite \(thief)")
    #expect(result.status == 1)
    #expect(result.text == "")
    #expect(
      result.errorText == "sluice-bench: one INSERT a line, until durable, beside sqlite3: 10 rows in sluice, 9 in "
        + "sqlite3\n")
  }

  @Test(arguments: [
    ("--cases all", "unknown case 'all'"), ("--peers oracle", "unknown peer"), ("--rows 0", "at least 1"),
  ])
  func otherOptionsAreRefused(arguments: String, word: String) throws {
    let result = try bench(TemporaryFolder(), arguments)
    #expect(result.status == 64)
    #expect(result.errorText.contains(word), "\(result.errorText)")
  }

  @Test func theBareLineTakesTheSameText() throws {
    let folder = TemporaryFolder()
    func bare(_ script: String) throws -> ProcessResult {
      try script.write(toFile: folder.file("script"), atomically: true, encoding: .utf8)
      return try runProcess(builtProduct("sluice-bench"), ["bare", folder.file("script"), folder.file("line")])
    }
    let good = try bare("BEGIN;\nINSERT INTO t VALUES(1,-2.5,'it''s'),(300,'',0);\nINSERT INTO t VALUES(1);\nCOMMIT;\n")
    #expect(good.text == "3\n")
    // Checksum and size, then the rows with their sizes.
    let rows: [UInt8] =
      [19, 0, 0, 0, 0, 1, 2] + [0, 0, 0, 0, 0, 0, 4, 0xc0] + [3, 4, 0, 0, 0] + Array("it's".utf8)
    let line = try [UInt8](Data(contentsOf: URL(fileURLWithPath: folder.file("line"))))
    #expect(Array(line[8...].prefix(6)) == [24, 0, 0, 0, 0, 1], "\(line)")
    #expect(Array(line[14...].prefix(18)) == Array(rows[6...]), "\(line)")
    #expect(line[4] == UInt8(line.count - 8))
    for script in ["INSERT INTO t VALUES(1", "INSERT INTO t VALUES(a);", "INSERT INTO t VALUES('a);", "INSERT INTO t;"]
    {
      let bad = try bare(script + "\n")
      #expect(bad.status == 1, "\(script)")
      #expect(bad.errorText.contains("Invalid argument"))
    }
  }
}
