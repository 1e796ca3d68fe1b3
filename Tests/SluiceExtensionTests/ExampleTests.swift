// examples/extension.sql and examples/extension.py, as a newcomer runs them: twice, over the same store.
import Foundation
import SluiceTesting
import Testing

@Suite(.enabled(if: isUsable, "libsluice0.so is not built, or built for a sanitizer"))
struct ExampleTests {
  private let folder = TemporaryFolder()

  @Test func theScriptForTheShellRuns() throws {
    let script = packageFolder() + "/examples/extension.sql"
    for known in [0, 1] {
      let result = try runProcess(
        "/bin/bash", ["-c", "cd '\(folder.path)' && sqlite3 -batch -cmd '.load \(library)' < '\(script)' 2>&1"],
        environment: ["HOME": "/nonexistent"])
      #expect(
        result.text
          == "\(known)\n\nwater the plants|today\nbuy paper|today\ncall Ada!|today\n1\n")
    }
    let mirror = try stockSQLite("SELECT count(*) FROM notes;", database: folder.file("notes.sluice/projections.db"))
    #expect(mirror.text == "6\n")
  }

  @Test func theProgramInPythonRuns() throws {
    for _ in 0..<2 {
      let result = try runProcess(
        "/usr/bin/python3",
        [packageFolder() + "/examples/extension.py", library + ".so", folder.file("visits.sluice")])
      #expect(result.errorText == "")
      #expect(
        result.text.split(separator: "\n").dropFirst().joined(separator: "\n") == """
          UNIQUE constraint failed: visits.user_id, visits.id
          /page/0 14 3.0
          /page/1 14 1.5
          /page/2 15 3.0
          """, "\(result.text)")
    }
  }
}
