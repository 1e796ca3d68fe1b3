// What the shell's tests share: the built binary with a store of its own, and the stock sqlite3 beside it.
import SluiceTesting
import Testing

/// A fresh store in a folder that goes with the test.
struct ShellUnderTest {
  let folder = TemporaryFolder()

  var store: String { folder.file("s.sluice") }

  /// Runs the shell in batch mode on `script`.
  func run(_ script: String, _ arguments: [String] = []) throws -> ProcessResult {
    try run(bytes: Array(script.utf8), arguments)
  }

  func run(bytes: [UInt8], _ arguments: [String] = []) throws -> ProcessResult {
    try runProcess(builtProduct("sluice"), arguments + [store], input: bytes, timeoutSeconds: 120)
  }

  /// Runs the shell on SQL arguments.
  func run(sql: [String], _ options: [String] = []) throws -> ProcessResult {
    try runProcess(builtProduct("sluice"), options + [store] + sql, timeoutSeconds: 60)
  }

  /// Runs the shell and stock sqlite3 on the same script and expects the same results, errors and status.
  func expectLikeStock(
    _ script: String, _ arguments: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let ours = try run(script, arguments)
    let stock = try stockSQLite(script, arguments: arguments)
    #expect(ours.text == stock.text, sourceLocation: sourceLocation)
    #expect(ours.errorText == stock.errorText, sourceLocation: sourceLocation)
    #expect(ours.status == stock.status, sourceLocation: sourceLocation)
  }
}
