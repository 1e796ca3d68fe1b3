// A process that begins with some of the descriptors 0 to 2 closed, as a daemon's child may: what it prints must not
// land in a file of the store.
import SluiceTesting
import Testing

@Suite struct DescriptorTests {
  private let shell = ShellUnderTest()

  private func bash(_ script: String) throws -> ProcessResult {
    try runProcess(
      "/bin/bash", ["-c", script],
      environment: ["SLUICE": builtProduct("sluice"), "STORE": shell.store, "PIPE": shell.folder.file("pipe")])
  }

  /// `closed`: the descriptors, as bits.
  @Test(arguments: 0..<8) func whatIsPrintedNeverLandsInTheStore(_ closed: Int) throws {
    _ = try shell.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a'), (2, 'b');")
    let ends =
      (closed & 1 == 0 ? "</dev/null" : "<&-") + (closed & 2 == 0 ? " >/dev/null" : " >&-")
      + (closed & 4 == 0 ? " 2>/dev/null" : " 2>&-")
    // Whoever prints and cannot is told by the status.
    let printed = closed & 2 == 0 ? 0 : 1
    let cases: [(String, Int)] = [
      ("\"$STORE\" 'SELECT * FROM t'", printed),
      ("\"$STORE\" 'SELEKT'", 1),
      ("\"$STORE\" \"INSERT INTO t VALUES(1, 'duplicate')\"", 1),
      ("\"$STORE\" \"INSERT OR REPLACE INTO t VALUES(3, 'c')\"", 0),
      ("\"$STORE\" 'DELETE FROM t WHERE id = 3' 'SELECT * FROM projections.t' 'SELEKT'", 1),
      ("\"$STORE\"", 0),
      ("-interactive \"$STORE\"", printed),
      ("tail \"$STORE\" --no-follow", printed),
      ("inspect store \"$STORE\" --check", 2 * printed),
    ]
    let lines = cases.map { "timeout 60 \"$SLUICE\" \($0.0) \(ends); echo $?" }
    let result = try bash(lines.joined(separator: "\n"))
    #expect(result.text.split(separator: "\n").map(String.init) == cases.map { "\($0.1)" }, "closed: \(closed)")
    #expect(try shell.run(sql: ["SELECT count(*), sum(id) FROM t"]).text == "2|3\n")
    #expect(try runProcess(builtProduct("sluice"), ["inspect", "store", shell.store, "--check"]).status == 0)
  }

  @Test func whatCannotBePrintedIsTold() throws {
    let result = try bash("\"$SLUICE\" \"$STORE\" 'SELECT 1' >&-")
    #expect(result.errorText == "Error: cannot write the output: Bad file descriptor\n" && result.status == 1)
    #expect(try bash("\"$SLUICE\" \"$STORE\" 'CREATE TABLE t(a)' >&-").status == 0, "it prints nothing")
    #expect(try bash("\"$SLUICE\" \"$STORE\" <&-").text.isEmpty, "there is nothing to read")
  }

  /// The child of `.import` has all three.
  @Test func aPipedImportWorks() throws {
    let script = "\"$SLUICE\" \"$STORE\" 'CREATE TABLE t(a)' '.import \"|echo 7; echo 8 >&2\" t' <&- >&- 2>&-"
    #expect(try bash(script).status == 0)
    #expect(try shell.run(sql: ["SELECT a FROM t"]).text == "7\n")
  }
}
