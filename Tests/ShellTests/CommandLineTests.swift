// Options, arguments and exit statuses.
import SluiceTesting
import Testing

@Suite struct CommandLineTests {
  private func sluice(_ arguments: [String]) throws -> ProcessResult {
    try runProcess(builtProduct("sluice"), arguments)
  }

  @Test func withoutStore() throws {
    let ours = try sluice([])
    #expect(ours.status == 64)
    #expect(ours.errorText.contains("Missing the store"))
    #expect(ours.errorText.contains("Usage: sluice"))
  }

  @Test func unknownOption() throws {
    for option in ["-foo", "--foo"] {
      let ours = try sluice([option, "x.sluice", "SELECT 1"])
      #expect(ours.status == 64)
      #expect(ours.errorText.contains("foo"))
      #expect(ours.text == "")
    }
  }

  @Test func help() throws {
    for option in ["-help", "--help", "-h"] {
      let ours = try sluice([option])
      #expect(ours.status == 0)
      #expect(ours.text.contains("--shards"))
    }
  }

  @Test func version() throws {
    for option in ["-version", "--version"] {
      let ours = try sluice([option])
      #expect(ours.status == 0)
      #expect(ours.text.hasPrefix("Sluice "))
    }
  }

  @Test func badValues() throws {
    let folder = TemporaryFolder()
    for options in [["--shards", "0"], ["--shards", "257"], ["--shards", "x"], ["--ack", "soon"]] {
      let ours = try sluice(options + [folder.file("s.sluice"), "SELECT 1"])
      #expect(ours.status == 64)
      #expect(ours.text == "")
    }
  }

  @Test func argumentsInOrder() throws {
    let ours = try ShellUnderTest().run(
      sql: [".mode csv", "SELECT 1, 'a b'; SELECT 2", ".print x", "/* only a comment */", "SELECT 3;"],
      ["-header", "-cmd", ".nullvalue N", "-cmd", "SELECT 0 AS z, NULL AS n"])
    #expect(
      ours.text == "z|n\n0|N\n1,'a b'\r\n1,\"a b\"\r\n2\r\n2\r\nx\n3\r\n3\r\n".replacing("1,'a b'", with: "1,\"'a b'\"")
    )
    #expect(ours.status == 0)
  }

  @Test func exitInArguments() throws {
    let shell = ShellUnderTest()
    #expect(try shell.run(sql: [".exit 7", "SELECT 1"]).status == 7)
    let failed = try shell.run(sql: [".foo", "SELECT 1"])
    #expect(failed.status == 1)
    #expect(failed.text == "")
  }

  @Test func noHeader() throws {
    let ours = try ShellUnderTest().run(sql: ["SELECT 1 AS a"], ["-header", "-noheader"])
    #expect(ours.text == "1\n")
  }
}
