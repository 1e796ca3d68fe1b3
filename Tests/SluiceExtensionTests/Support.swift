// The extension as its hosts load it: the library that was built, and Python and sqlite3 with it.
import Foundation
import SluiceTesting

/// `swift build` makes every product, `swift test --filter` perhaps not this one.
private let file: String? = {
  let near = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
  return [Bundle.main.bundlePath, near].map { $0 + "/libsluice0.so" }.first {
    FileManager.default.fileExists(atPath: $0)
  }
}()

/// Without `.so`, as SQLite takes it.
let library = String((file ?? "libsluice0.so is not built").dropLast(3))

/// Whether the library is there and a stock host can load it: not when it was built for a sanitizer's runtime.
let isUsable: Bool = {
  guard let file, let bytes = FileManager.default.contents(atPath: file) else { return false }
  return bytes.range(of: Data("__tsan_init".utf8)) == nil && bytes.range(of: Data("__asan_init".utf8)) == nil
}()

/// What each Python script begins with: `connect()` gives a connection in autocommit with the extension, `ask` the rows
/// of a statement, `fails` the code and the sentence of its error.
private let prelude = """
  import os, sqlite3, subprocess, sys, threading
  library = sys.argv[1]
  def connect(path=':memory:'):
      db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
      db.enable_load_extension(True)
      db.load_extension(library)
      return db
  def ask(db, sql, *values):
      return db.execute(sql, values).fetchall()
  def fails(db, sql, *values):
      try:
          return ('no error', ask(db, sql, *values))
      except sqlite3.Error as error:
          return (error.sqlite_errorcode, str(error))
  def execute(db, sql):
      ask(db, 'SELECT sluice_execute(?)', sql)
  """

struct Host {
  let folder = TemporaryFolder()

  /// Runs a script in the host's folder; what it printed, and its errors behind that.
  func python(_ script: String, _ arguments: [String] = [], timeoutSeconds: Double = 120) throws -> String {
    let text = prelude + "\nos.chdir(sys.argv[2])\n" + script
    let result = try runProcess(
      "/usr/bin/python3", ["-c", text, library, folder.path] + arguments, timeoutSeconds: timeoutSeconds)
    return result.text + result.errorText + (result.status == 0 ? "" : "status \(result.status)\n")
  }

  /// The same for the sqlite3 shell, with the extension loaded.
  func shell(_ script: String) throws -> String {
    let text = ".load \(library)\n.bail off\n" + script
    let result = try runProcess(
      "/bin/bash", ["-c", "cd '\(folder.path)' && exec sqlite3 -batch :memory: 2>&1"], input: Array(text.utf8),
      environment: ["HOME": "/nonexistent"])
    return result.text
  }
}
