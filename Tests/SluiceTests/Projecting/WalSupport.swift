// What the tests of projections.db beside other processes share: stock sqlite3 sitting in a transaction, the size of
// the write-ahead log watched all the time, and rows poured in.
import Foundation
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Stock sqlite3 with a database open, statement by statement.
final class StockShell {
  private let terminal: Terminal
  var id: Int32 { terminal.id }
  /// As `sluice_projections` names it.
  var name: String { "process \(id) (sqlite3)" }

  init(_ database: String) throws {
    terminal = try Terminal("sqlite3", ["-batch", database], environment: ["HOME": "/nonexistent"])
  }

  /// Runs statements and returns what they print.
  @discardableResult
  func run(_ sql: String) throws -> String {
    terminal.send(sql + " SELECT 'this is ' || 'the end';\n")
    let seen = try terminal.expect("this is the end\n", timeoutSeconds: 60)
    // The terminal shows what was typed.
    return seen.split(separator: "\n").dropFirst().joined(separator: "\n")
  }

  func end() throws {
    terminal.send(".exit\n")
    #expect(try terminal.finish() == 0)
  }
}

/// Looks at the size of a file all the time.
final class SizeWatch: Sendable {
  private struct State {
    var largest: UInt64 = 0
    var isDone = false
  }
  private let state = Monitor(State())
  private let thread: SluiceSystem.Thread

  init(_ path: String) throws {
    let state = state
    thread = try SluiceSystem.Thread(name: "size watch") {
      let files = RealFileSystem()
      while !state.withLock({ $0.isDone }) {
        do {
          if let size = try files.fileSize(path) { state.withLock { $0.largest = max($0.largest, size) } }
        } catch { Issue.record("\(error)") }
        SluiceSystem.Thread.sleep(nanoseconds: 1_000_000)
      }
    }
  }

  /// The largest size so far, in bytes.
  var largest: UInt64 { state.withLock { $0.largest } }

  func end() {
    state.withLock { $0.isDone = true }
    thread.join()
  }
}

/// A store on the real file system, as in production, with what is asked about its projections.
struct WalBench {
  let scratch = Scratch()
  var path: String { scratch.file("shop") }
  var projections: String { path + "/projections.db" }
  /// The cap, as the documentation states it.
  static let capBytes: UInt64 = 64 << 20

  func open() throws -> Store { try Store.open(path: path) }

  /// The names beside and of the file.
  func files() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasPrefix("projections") }.sorted()
  }

  func stock(_ sql: String) throws -> String {
    let result = try stockSQLite(sql, database: projections)
    #expect(result.errorText == "")
    return result.text
  }
}

extension Session {
  /// The row of `sluice_projections` about a table, by column.
  func projectionStatus(_ name: String) throws -> [String: Value] {
    let columns = [
      "name", "kind", "position", "lag", "lag_ms", "rows_per_second", "heartbeat", "state", "last_error", "blocked_by",
    ]
    let row = try #require(try run("SELECT * FROM sluice_projections WHERE name = '\(name)'").first)
    return Dictionary(uniqueKeysWithValues: zip(columns, row))
  }

  /// Waits until the table's projection has that state.
  func awaitState(_ state: String, of table: String, seconds: UInt64 = 30) throws {
    let start = SystemClock().monotonicNanoseconds()
    while try projectionStatus(table)["state"] != text(state) {
      try #require(SystemClock().monotonicNanoseconds() < start + seconds * 1_000_000_000, "\(state) does not come")
      SluiceSystem.Thread.sleep(nanoseconds: 5_000_000)
    }
  }

  /// Inserts ids of a range into t(id, v), with a text of `size` bytes each.
  func pour(_ ids: Range<Int>, size: Int) throws {
    let filler = String(repeating: "x", count: size)
    var start = ids.lowerBound
    while start < ids.upperBound {
      let end = min(start + 1_000, ids.upperBound)
      var script = Bytes()
      for id in start..<end { script += Array("INSERT INTO t VALUES(\(id), '\(filler)');\n".utf8) }
      var line = 1
      let used = script.withUnsafeBytes { ingest($0, line: &line) }
      // What stays is the line end.
      try #require(used >= script.count - 1, "rows are refused")
      start = end
    }
  }
}
