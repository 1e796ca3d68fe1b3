// The repository held to its own rules. Each finding says where, what, and what to do.
import Testing

@Suite struct TidyTests {
  private let tree = SourceTree.shared
  private let unsafeList = "Tests/TidyTests/unsafe-files.txt"
  private let uncheckedList = "Tests/TidyTests/unchecked-sendable.txt"

  private func expectNone(_ findings: [String]) {
    if !findings.isEmpty { Issue.record("\n\(findings.joined(separator: "\n"))") }
  }

  @Test func theTreeIsRead() {
    #expect(
      tree.files.contains { $0.path == "Sources/SluiceSystem/RealFileSystem.swift" && !$0.functions.isEmpty })
    #expect(tree.files.count { $0.isSwift } > 20)
  }

  @Test func arrowsGoDown() { expectNone(arrowFindings(tree.files)) }

  @Test func filesNameOnlyWhatIsBelow() { expectNone(floorFindings(tree.files)) }

  @Test func filesFunctionsAndLinesAreSmall() { expectNone(sizeFindings(tree.files)) }

  @Test func filesSayWhatTheyAreFor() { expectNone(headFindings(tree.files)) }

  @Test func noErrorIsDropped() { expectNone(errorFindings(tree.files)) }

  @Test func nothingIsLeftOver() { expectNone(leftoverFindings(tree.files)) }

  @Test func unsafeCodeStandsInNamedFiles() {
    expectNone(
      listedFindings(
        tree.files, list: tree.list(unsafeList), listPath: unsafeList, what: "unsafe code", holdsUnsafe))
  }

  @Test func uncheckedSendableStandsInNamedFiles() {
    expectNone(
      listedFindings(
        tree.files, list: tree.list(uncheckedList), listPath: uncheckedList,
        what: "@unchecked Sendable or nonisolated(unsafe)", holdsUnchecked))
  }

  @Test func goldenFilesAreRead() { expectNone(deadGoldenFindings(tree.files)) }

  @Test func examplesAndStatementsAreRun() { expectNone(unusedExampleFindings(tree.files)) }

  @Test func theTopLevelIsBare() { expectNone(topLevelFindings(tree.topLevel)) }
}
