// `sluice-bench report`: results that were saved, as one page to look at.
import ArgumentParser
import Glibc

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Makes one HTML page of plots and tables from lines that --json or --save gave; it needs nothing else.")

  @Argument(help: "Files of results. Of a case that comes several times the last one counts.") var results: [String]
  @Option(name: .shortAndLong, help: "The page.") var output = "report.html"

  func validate() throws {
    if results.isEmpty { throw ValidationError("no file of results") }
  }

  func run() throws {
    let page = ReportPage(try Self.read(results)).html
    guard let file = fopen(output, "we") else { throw BenchError(description: "cannot write \(output)") }
    fputs(page, file)
    guard fclose(file) == 0 else { throw BenchError(description: "cannot write \(output): the disk is full") }
  }

  /// The measurements of all files in the order of their first appearance, each as it came last.
  static func read(_ paths: [String]) throws -> [Measurement] {
    var result: [Measurement] = []
    var places: [String: Int] = [:]
    for path in paths {
      for (number, line) in try lines(of: path).enumerated() {
        let measurement: Measurement
        do { measurement = try Measurement(line: line) } catch {
          throw BenchError(description: "\(path), line \(number + 1): \(error)")
        }
        // A rate is what the machine gave, and no part of what is measured.
        let fixed = measurement.parameters.filter { $0.name != "rate" && $0.name != "% of closed loop" }
        let key =
          ([measurement.bench, measurement.name, measurement.ours, measurement.peer ?? ""]
          + fixed.map { "\($0.name)=\($0.value)" }).joined(separator: "\n")
        if let place = places[key] {
          result[place] = measurement
        } else {
          places[key] = result.count
          result.append(measurement)
        }
      }
    }
    return result
  }
}
