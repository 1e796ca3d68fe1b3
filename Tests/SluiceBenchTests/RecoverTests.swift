// The built program kills a load, and both sides answer afterwards.
import SluiceTesting
import Testing

@testable import SluiceBench

@Suite struct RecoverTests {
  private func recover(_ folder: TemporaryFolder, _ arguments: String) throws -> ProcessResult {
    try runProcess(
      builtProduct("sluice-bench"),
      ["recover", "--directory", folder.path, "--runs", "1"] + arguments.split(separator: " ").map(String.init),
      timeoutSeconds: 120)
  }

  @Test func everyCase() throws {
    let result = try recover(TemporaryFolder(), "--rows 100000 --starts 2 --json")
    #expect(result.status == 0, "\(result.errorText)")
    let measured = try result.text.split(separator: "\n").map { try Measurement(line: String($0)) }
    #expect(
      measured.map(\.name) == [
        "start, SELECT 1", "reopened after closing, SELECT by key", "reopened after kill -9, SELECT by key",
      ])
    #expect(measured.map(\.goal) == [.atMost(15), .atMost(50), .atMost(1_000)])
    let found = try #require(measured.last?.counters.first { $0.name == "rows found" })
    for count in [found.ours, try #require(found.peer)] {
      #expect((10_000...50_000).contains(count), "more than was given before the end, or nothing: \(count)")
      #expect(count.truncatingRemainder(dividingBy: 10_000) == 0, "transactions are whole")
    }
  }

  /// `true` takes any script and has no answer; `echo` answers with the question.
  @Test func whatDoesNotAnswerIsTold() throws {
    let silent = try recover(TemporaryFolder(), "--cases start --sqlite true")
    #expect(silent.status == 1)
    #expect(silent.errorText == "Error: true ended with status 0: no answer\n")
    let other = try recover(TemporaryFolder(), "--cases clean --rows 40000 --sqlite echo")
    #expect(other.status == 1)
    #expect(other.errorText.contains("sqlite3 [\""), "\(other.errorText)")
    let early = try recover(TemporaryFolder(), "--cases killed --rows 40000 --sqlite true")
    #expect(early.status == 1)
    #expect(early.errorText == "Error: true ended with status 0 before it could be killed\n")
    #expect(try recover(TemporaryFolder(), "--rows 100").status == 64)
  }
}
