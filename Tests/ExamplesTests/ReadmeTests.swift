// README's two commands, and the programs in examples/. What its session shows is tested in PageTests.swift.
import Foundation
import SluiceTesting
import Testing

@Suite struct ReadmeTests {
  private let readme = String(
    decoding: FileManager.default.contents(atPath: packageFolder() + "/README.md") ?? Data(), as: UTF8.self)

  /// The first of README's two commands, with the binary that is built already.
  @Test func theMainJobRuns() throws {
    let folder = TemporaryFolder()
    let examples = packageFolder() + "/examples"
    let command = try #require(readme.split(separator: "\n").first { $0.contains("examples/flights.sql") })
    #expect(command.contains("sluice flights.sluice < examples/flights.sql"))
    #expect(command.contains("sqlite3 flights.sluice/projections.db < examples/delays.sql"))
    let load = try runProcess(builtProduct("sluice"), [folder.file("f.sluice")], inputFile: examples + "/flights.sql")
    #expect(load.errorText == "")
    #expect(load.text == "")
    #expect(load.status == 0)
    let ask = try runProcess(
      "/bin/bash", ["-c", "sqlite3 '\(folder.file("f.sluice"))/projections.db' < '\(examples)/delays.sql'"])
    #expect(
      ask.text == """
        carrier  flights  mean_delay  worst
        -------  -------  ----------  -----
        B6       920      10.8        252  
        UA       888      9.0         379  
        DL       709      2.4         327  
        EV       702      23.5        379  
        AA       533      9.5         337  

        """)
  }

  /// examples/projections.sql, behind examples/flights.sql; then stock sqlite3 on the same projections.
  @Test func theProjectionsAreKept() throws {
    let folder = TemporaryFolder()
    let examples = packageFolder() + "/examples"
    for file in ["flights.sql", "projections.sql"] {
      let result = try runProcess(
        builtProduct("sluice"), [folder.file("f.sluice")], inputFile: "\(examples)/\(file)")
      #expect(result.errorText == "")
      #expect(result.status == 0)
      if file == "flights.sql" { continue }
      #expect(
        result.text == """
          B6|920|10.8|252|38
          UA|888|9.0|379|32
          DL|709|2.4|327|33
          1545|1|EWR-IAH|500

          """)
    }
    let ask = try runProcess(
      "/bin/bash",
      [
        "-c",
        "sqlite3 '\(folder.file("f.sluice"))/projections.db' "
          + "'SELECT carrier, flights, worst FROM carriers WHERE carrier = \"UA\"' 'SELECT count(*) FROM late'",
      ])
    #expect(ask.text == "UA|888|500\n80\n")
  }

  /// examples/quickstart/main.swift
  @Test func theQuickstartRuns() throws {
    let folder = TemporaryFolder()
    for _ in 0..<2 {
      let result = try runProcess(builtProduct("quickstart"), [folder.file("quickstart.sluice")])
      #expect(result.errorText == "")
      #expect(
        result.text == """
          rejected: UNIQUE constraint failed: readings.device, readings.at
          attic 1000 26.0
          cellar 1 12.5
          27.0
          letter gamma
          letter alpha

          """)
    }
  }

  @Test func theExtensionLoadsInPython() throws {
    let library = builtProduct("libsluice0.so")
    guard FileManager.default.fileExists(atPath: library) else {
      Issue.record("libsluice0.so is not built: run swift build first")
      return
    }
    let result = try runProcess("/usr/bin/python3", [packageFolder() + "/examples/extension.py", library])
    #expect(result.text.hasPrefix("sluice 0."), "\(result.errorText)")
  }
}
