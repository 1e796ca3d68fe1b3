// The helpers of the other tests, tested: golden files, processes, terminals, the clock, the seeded generator.
import Foundation
import SluiceSystem
@testable import SluiceTesting
import Testing

@Suite struct HelperTests {
  private struct Refused: Error, CustomStringConvertible { let description = "refused" }

  private func answer(_ golden: GoldenCase) throws -> String {
    if golden.command == "fail" { throw Refused() }
    let arguments = golden.arguments.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    return ([golden.command] + arguments + [golden.input]).joined(separator: "\n")
  }

  @Test(arguments: goldenFiles("Golden")) func golden(_ file: GoldenFile) throws { try file.run(answer) }

  @Test func aGoldenFileThatDiffersSaysWhere() throws {
    let folder = TemporaryFolder()
    let path = folder.file("g.txt")
    try "echo\n----\nother\n".write(toFile: path, atomically: true, encoding: .utf8)
    let file = GoldenFile(path: path)
    guard environmentVariable("SLUICE_REWRITE") == nil else { return }
    let error = #expect(throws: GoldenMismatch.self) { try file.run(answer) }
    #expect(error?.differences == ["\(path):1: echo\n--- expected\nother\n--- got\necho"])
    try "echo\n".write(toFile: path, atomically: true, encoding: .utf8)
    #expect(throws: GoldenSyntaxError.self) { try file.run(answer) }
  }

  @Test func aRewrittenGoldenFileHolds() throws {
    let text = "# head\n\necho\nx\n----\nold\n\n# between\necho\n----\n----\na\n\nb\n----\n----\n\necho\n----\n"
    let cases = try parseGolden(text, path: "g")
    let outputs = ["new", "c\n\nd", "e"]
    let rewritten = try rewrittenGolden(text, cases, outputs)
    #expect(try parseGolden(rewritten, path: "g").map(\.output) == outputs)
    #expect(rewritten.hasPrefix("# head\n\necho\nx\n----\nnew\n\n# between\necho\n----\n----\nc\n"))
    #expect(try rewrittenGolden(rewritten, parseGolden(rewritten, path: "g"), outputs) == rewritten)
    #expect(throws: GoldenSyntaxError.self) { try rewrittenGolden(text, cases, ["----", "", ""]) }
    #expect(throws: GoldenSyntaxError.self) { try parseGolden("----\n----\n", path: "g") }
  }

  @Test func processesGiveOutputErrorsAndStatus() throws {
    let result = try runProcess(
      "sh", ["-c", "cat; echo bad >&2; echo $WORD; exit 3"], input: Array("hello ".utf8), environment: ["WORD": "x"])
    #expect(result.status == 3 && result.text == "hello x\n" && result.errorText == "bad\n" && !result.timedOut)
    #expect(throws: SystemError.self) { try runProcess("/nowhere/program") }
  }

  @Test func largeInputPassesThrough() throws {
    let bytes = Array(repeating: Array("0123456789abcde\n".utf8), count: 100_000).flatMap { $0 }
    #expect(try runProcess("cat", input: bytes).output == bytes)
    #expect(try runProcess("true", input: bytes).status == 0, "a child that does not read")
  }

  @Test func inputMayBeAFile() throws {
    let folder = TemporaryFolder()
    try "from a file".write(toFile: folder.file("in"), atomically: true, encoding: .utf8)
    #expect(try runProcess("cat", inputFile: folder.file("in")).text == "from a file")
  }

  @Test func processesAreKilledWhenTheirTimeIsOver() throws {
    let result = try runProcess("sleep", ["100"], timeoutSeconds: 0.1)
    #expect(result.timedOut && result.status == 137)
  }

  @Test func peakMemoryIsMeasured() throws {
    let script = "import time; b = b'x' * 300_000_000; time.sleep(1)"
    let result = try runProcess("/usr/bin/python3", ["-c", script])
    #expect(result.status == 0 && 300_000_000..<400_000_000 ~= result.peakMemory, "\(result.peakMemory)")
  }

  @Test func stockSQLiteAnswers() throws {
    let result = try stockSQLite("CREATE TABLE t(a); INSERT INTO t VALUES (1), (NULL); SELECT * FROM t; SELECT x;")
    #expect(result.text == "1\n\n" && result.errorText.contains("no such column: x") && result.status == 1)
  }

  @Test func terminalsAreTerminals() throws {
    let terminal = try Terminal("sh", ["-c", "test -t 0 && stty size && read line && echo \"got $line\"; exit 4"])
    try terminal.expect("24 80")
    terminal.send("some words\n")
    try terminal.expect("got some words")
    #expect(try terminal.finish() == 4)
  }

  @Test func terminalsDeliverInterrupts() throws {
    let terminal = try Terminal(
      "sh", ["-c", "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done"])
    try terminal.expect("ready")
    #expect(throws: TerminalTimeout.self) { try terminal.expect("never", timeoutSeconds: 0.05) }
    terminal.send(Terminal.controlC)
    try terminal.expect("caught")
    #expect(try terminal.finish() == 5)
  }

  @Test func escapesAreLeftOut() {
    #expect(plainText(Array("\u{1b}[1;32mgreen\u{1b}[0m\r\n\u{1b}]0;title\u{7}x\u{1b}[".utf8)) == "green\nx")
  }

  @Test func theClockMovesWhenTold() {
    let clock = SimulatedClock(seed: 4, wallMicroseconds: 10)
    let before = clock.monotonicNanoseconds()
    clock.advance(microseconds: 5)
    #expect(clock.wallMicroseconds() == 15 && clock.monotonicNanoseconds() == before + 5_000)
    clock.setWall(microseconds: 1)
    #expect(clock.wallMicroseconds() == 1 && clock.monotonicNanoseconds() == before + 5_000)
    #expect(clock.random() == SimulatedClock(seed: 4).random())
  }

  @Test func theGeneratorIsSplitMix64() {
    // The reference implementation's first numbers for this seed: https://prng.di.unimi.it/splitmix64.c
    var random = SeededRandom(seed: 1_234_567)
    #expect(random.next() == 6_457_827_717_110_365_317)
    #expect(random.next() == 3_203_168_211_198_807_973)
    #expect((0..<1000).allSatisfy { _ in 0..<7 ~= random.below(7) })
    #expect(random.bytes(13).count == 13)
  }
}
