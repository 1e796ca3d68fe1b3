// `sluice tail` as a process: how it ends, and what it refuses.
import SluiceTesting
import Testing

@Suite struct TailTests {
  private let shell = ShellUnderTest()

  private func tail(_ arguments: String...) throws -> ProcessResult {
    try runProcess(builtProduct("sluice"), ["tail", shell.store] + arguments)
  }

  private func bash(_ script: String) throws -> ProcessResult {
    try runProcess(
      "/bin/bash", ["-c", script], environment: ["SLUICE": builtProduct("sluice"), "STORE": shell.store])
  }

  @Test func itPrintsLinesOfJSONAndEnds() throws {
    _ = try shell.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a'), (2, X'ff');")
    let result = try tail("--no-follow", "--from", "2")
    let lines = result.text.split(separator: "\n")
    #expect(result.status == 0 && lines.count == 2)
    #expect(
      lines[1].contains("\"table\":\"t\",\"kind\":\"insert\",\"key\":[2],\"row\":{\"id\":2,\"v\":{\"blob\":\"ff\"}},"))
    #expect(lines[1].hasSuffix("\"accepted\":1,\"reason\":null}"))
  }

  @Test(arguments: ["INT", "TERM"]) func signalsEndItTidily(_ signal: String) throws {
    _ = try shell.run("CREATE TABLE t(a); INSERT INTO t VALUES(1);")
    // The signal comes when both lines are there; a tail that does not heed it is killed.
    let result = try bash(
      """
      touch "$STORE.out"
      "$SLUICE" tail "$STORE" --group g > "$STORE.out" & tail=$!
      for i in $(seq 400); do [ $(wc -l < "$STORE.out") -ge 2 ] && break; sleep 0.1; done
      kill -s \(signal) $tail
      (sleep 20; kill -9 $tail) 2> /dev/null > /dev/null & guard=$!
      wait $tail; status=$?
      kill $guard
      wc -l < "$STORE.out"; exit $status
      """)
    #expect(result.status == 0)
    #expect(result.text == "2\n" && result.errorText.isEmpty, "\(result.text) \(result.errorText)")
    #expect(try tail("--no-follow", "--group", "g").text.isEmpty, "what was printed counts")
  }

  @Test func aReaderThatLeavesEndsIt() throws {
    let rows = (0..<20_000).map { "(\($0))" }.joined(separator: ",")
    _ = try shell.run("CREATE TABLE t(a); INSERT INTO t VALUES\(rows);")
    let result = try bash("\"$SLUICE\" tail \"$STORE\" | head -n 2; echo ${PIPESTATUS[0]}")
    #expect(result.text.split(separator: "\n").last == "0" && result.text.split(separator: "\n").count == 3)
    #expect(result.errorText.isEmpty)
  }

  @Test func refusals() throws {
    #expect(try tail("--no-follow").errorText.contains("there is no store at"))
    _ = try shell.run("CREATE TABLE t(a);")
    #expect(try tail("--from", "0").status != 0)
    #expect(try tail("--drop-group", "g").errorText.contains("there is no group g"))
    #expect(try tail("--drop-group", "g", "--no-follow").status != 0)
  }
}
