// Statements that are refused, with the message of each.
import SluiceTesting
import Testing

@testable import SluiceSQL

private func answer(_ statement: String) -> String {
  do {
    let parsed = try parseStatement(statement)
    guard case .refused(let sentence) = parsed else { return "accepted: \(parsed)" }
    return "refused: \(sentence)"
  } catch {
    return "\(error.kind) at \(error.offset): \(error.message)"
  }
}

@Test(arguments: goldenFiles("Golden/Refused")) func refusedStatementsGiveTheirMessage(_ file: GoldenFile) throws {
  var count = 0
  try file.run { golden in
    count += 1
    let answer = answer(String(golden.input.dropLast()))
    #expect(!answer.hasPrefix("accepted"), "\(golden.input)")
    return answer
  }
  #expect(count > 60)
}
