// The refused statements of sql/refused.sql with the message of each. SLUICE_REWRITE=1 writes the file anew.
import Foundation
@testable import SluiceSQL
import Testing

/// One case of a golden file: a command line, an input, `----`, the output.
private struct GoldenCase {
  let input: String
  let output: String

  init?(_ block: Substring) {
    let parts = block.components(separatedBy: "\n----\n")
    guard parts.count == 2, let lineEnd = parts[0].firstIndex(of: "\n") else { return nil }
    input = String(parts[0][parts[0].index(after: lineEnd)...])
    output = parts[1].trimmingCharacters(in: .newlines)
  }
}

private func answer(_ statement: String) -> String {
  do {
    let parsed = try parseStatement(statement)
    guard case .refused(let sentence) = parsed else { return "accepted: \(parsed)" }
    return "refused: \(sentence)"
  } catch {
    return "\(error.kind) at \(error.offset): \(error.message)"
  }
}

@Test func refusedStatementsGiveTheirMessage() throws {
  let file = String(decoding: try sqlFile("refused.sql"), as: UTF8.self)
  let blocks = file.components(separatedBy: "\n\n")
  var rewritten: [String] = []
  for block in blocks {
    let golden = try #require(GoldenCase(block[...]), "not a golden case: \(block)")
    let actual = answer(golden.input)
    rewritten.append("parse\n\(golden.input)\n----\n\(actual)")
    #expect(!actual.hasPrefix("accepted"), "\(golden.input)")
    if ProcessInfo.processInfo.environment["SLUICE_REWRITE"] == nil {
      #expect(actual == golden.output, "\(golden.input)")
    }
  }
  #expect(blocks.count > 60)
  guard ProcessInfo.processInfo.environment["SLUICE_REWRITE"] != nil else { return }
  let path = repository.appendingPathComponent("sql/refused.sql")
  try (rewritten.joined(separator: "\n\n") + "\n").write(to: path, atomically: true, encoding: .utf8)
}
