// libsluice0.so in its real hosts: stock sqlite3 and Debian's python3; what it links and what it exports.
import Foundation
import Testing

/// `swift build` makes every product, `swift test --filter` perhaps not this one.
private let library: String? = {
  let folder = Bundle.main.bundlePath
  let near = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
  return [folder, near].map { $0 + "/libsluice0.so" }.first { FileManager.default.fileExists(atPath: $0) }
}()

private func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
  let process = Process(), pipe = Pipe()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = [program] + arguments
  process.standardOutput = pipe
  process.standardError = pipe
  process.standardInput = FileHandle.nullDevice
  try process.run()
  let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  return (process.terminationStatus, output)
}

/// A stock host cannot load what was built for a sanitizer's runtime.
private let isSanitized: Bool = {
  guard let library, let bytes = FileManager.default.contents(atPath: library) else { return false }
  return bytes.range(of: Data("__tsan_init".utf8)) != nil || bytes.range(of: Data("__asan_init".utf8)) != nil
}()

@Suite(
  .enabled(if: library != nil, "libsluice0.so is not built: run `swift build` before"),
  .disabled(if: isSanitized, "libsluice0.so is built for a sanitizer: no stock host loads it"))
struct ExtensionTests {
  private var path: String { library! }
  private var name: String { String(path.dropLast(3)) }

  @Test func stockShellLoadsIt() throws {
    let result = try run(
      "sqlite3", [":memory:", ".load \(name)", "SELECT sluice_version() GLOB '[0-9]*.[0-9]*.[0-9]*'"])
    #expect(result.status == 0 && result.output == "1\n", "\(result.output)")
    let wrong = try run("sqlite3", [":memory:", ".load \(name)", "SELECT sluice_version(1)"])
    #expect(wrong.output.contains("wrong number of arguments to function sluice_version()"))
  }

  @Test func pythonLoadsItIntoConnectionAfterConnection() throws {
    let script = """
      import sqlite3, sys
      for _ in range(3):
          db = sqlite3.connect(':memory:')
          db.enable_load_extension(True)
          db.load_extension(sys.argv[1])
          print(db.execute('SELECT typeof(sluice_version())').fetchone()[0])
          db.close()
      """
    let result = try run("/usr/bin/python3", ["-c", script, name])
    #expect(result.status == 0 && result.output == "text\ntext\ntext\n", "\(result.output)")
  }

  @Test func linksNeitherSQLiteNorSwift() throws {
    let linked = try run("ldd", [path])
    #expect(linked.status == 0 && linked.output.contains("libc.so"), "\(linked.output)")
    for banned in ["libsqlite3", "libswift", "libFoundation", "libdispatch", "libBlocksRuntime"] {
      #expect(!linked.output.contains(banned), "\(linked.output)")
    }
    let wanted = try run("nm", ["-D", "--undefined-only", path])
    #expect(wanted.status == 0 && !wanted.output.contains("sqlite3_"), "\(wanted.output)")
  }

  @Test func exportsTheEntryPointAlone() throws {
    let exported = try run("nm", ["-D", "--defined-only", "--extern-only", path])
    let names = exported.output.split(separator: "\n").compactMap { $0.split(separator: " ").last }
    #expect(names == ["sqlite3_sluice_init"], "\(names.prefix(10))")
  }
}
