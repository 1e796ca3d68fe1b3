// What the README shows is what happens: its console session is run command by command, and its two commands are there.
import Foundation
import SluiceTesting
import Testing

@Suite struct ReadmeTests {
  private let readme = String(
    decoding: FileManager.default.contents(atPath: packageFolder() + "/README.md") ?? Data(), as: UTF8.self)

  /// Lines `$ command` and what follows each until the next.
  private func session() throws -> [(command: String, output: String)] {
    let start = try #require(readme.range(of: "```console\n"))
    let end = try #require(readme.range(of: "```", range: start.upperBound..<readme.endIndex))
    var steps: [(command: String, output: String)] = []
    for line in readme[start.upperBound..<end.lowerBound].split(separator: "\n") {
      if line.hasPrefix("$ ") {
        steps.append((String(line.dropFirst(2)), ""))
      } else {
        steps[steps.count - 1].output += line + "\n"
      }
    }
    return steps
  }

  @Test func theSessionHappensAsShown() throws {
    let folder = TemporaryFolder()
    try FileManager.default.copyItem(atPath: packageFolder() + "/sql/tour.sql", toPath: folder.file("tour.sql"))
    let programs = (builtProduct("sluice") as NSString).deletingLastPathComponent
    let steps = try session()
    #expect(steps.count == 8)
    for step in steps {
      let result = try runProcess(
        "/bin/bash", ["-c", "cd '\(folder.path)' && PATH='\(programs)':\"$PATH\" && { \(step.command); } 2>&1"])
      #expect(result.text == step.output, "\(step.command)")
    }
  }

  /// The statements about a projection p that stand in its text are statements.
  @Test func theStatementsAboutAProjectionAreTaken() throws {
    let spans = readme.split(separator: "`").map(String.init)
    let statements = spans.filter {
      $0.wholeMatch(of: /(REBUILD|REDRIVE|ALTER PROJECTION|PAUSE|RESUME) [A-Za-z ]+/) != nil
    }
    #expect(statements.contains { $0.hasPrefix("REDRIVE") } && statements.contains { $0.hasPrefix("REBUILD") })
    let folder = TemporaryFolder()
    let result = try runProcess(
      builtProduct("sluice"),
      [folder.file("s.sluice"), "CREATE TABLE t(id)", "CREATE PROJECTION p AS SELECT id FROM t"] + statements)
    #expect(result.errorText == "" && result.status == 0, "\(statements)")
  }

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
