// `sluice-bench bare`: the limit of the machine for INSERT text, as a program of its own, so that it is measured from
// start to exit as all others are.
import ArgumentParser
import CBareLine
import Glibc

struct BareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bare",
    abstract: "Parses, encodes, checksums, writes and syncs INSERT lines, without any store; prints how many rows.")

  @Argument(help: "A script with one INSERT a line, of numbers and texts.") var script: String
  @Argument(help: "The file to write.") var output: String

  func run() throws {
    let rows = cbareline_run(script, output)
    guard rows >= 0 else {
      throw BenchError(description: "\(script): \(String(cString: strerror(Int32(-rows))))")
    }
    print(rows)
  }
}
