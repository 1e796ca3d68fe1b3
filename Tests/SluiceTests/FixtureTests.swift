// Stores written by earlier versions, kept as files: this version must read them. Each folder under Fixtures is a
// store as it was left by the version that its name tells the formats of (store, log, table, manifest).
//
// `SLUICE_WRITE_FIXTURE=<new folder> swift test --filter FixtureTests` writes one with the formats of today. A folder
// that a release could have written is never written again.
import Foundation
import SluiceLSM
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct FixtureTests {
  /// What every fixture holds: two SQL tables, one of them with rows replaced and shards of their own, one without a
  /// key; a table that was dropped; raw keys, half of them deleted; tables of both block types, in several runs.
  private func fill(_ store: Store) throws {
    let session = try store.makeSession()
    try session.run("CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL, score REAL, photo BLOB)")
    try session.run("CREATE TABLE moves(who INTEGER, at INTEGER, note TEXT, PRIMARY KEY(who, at), SHARD KEY(who))")
    try session.createEarly("CREATE TABLE log_lines(line TEXT)")
    try session.createEarly("CREATE TABLE gone(a)")
    try session.run("CREATE VIEW best AS SELECT name FROM people WHERE score > 90")
    let raw = try store.makeKeyValueSession(space: 7)
    for round in 0..<3 {
      let note = String(repeating: "ab", count: 40)
      for id in 1...60 {
        let person = "\(id), 'name \(id) of \(round)', \(Double(id) * 1.5), X'00ff\(10 + id)'"
        try session.run("INSERT OR REPLACE INTO people VALUES(\(person))")
        try session.run("INSERT INTO moves VALUES(\(id % 9), \(round * 100 + id), '\(note)')")
      }
      try session.run("INSERT INTO log_lines VALUES('round \(round)'), (NULL), ('it''s')")
      try session.run("INSERT INTO gone VALUES(\(round))")
      try session.settle()
      for number in 0..<100 {
        try rawBytes("key \(round) \(number)") { key in try rawBytes("value \(number)") { try raw.put(key, $0) } }
        if number % 2 == 1 { try rawBytes("key \(round) \(number)") { try raw.delete($0) } }
      }
      try raw.settle()
      // The last round stays in the log.
      if round < 2 { try store.flush() }
    }
    try session.run("DROP TABLE gone")
    try session.run("BEGIN")
    try session.run("INSERT INTO log_lines VALUES('in a transaction')")
    try session.run("COMMIT")
    try session.settle()
  }

  private func rawBytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try Array(text.utf8).withUnsafeBytes(body)
  }

  private func options(_ compression: Compression) -> StoreOptions {
    var options = StoreOptions()
    options.shardCount = 3
    options.compression = compression
    return options
  }

  private func write(to path: String) throws {
    let store = try Store.open(path: path, options: options(.lz4))
    try fill(store)
    try store.close(drain: false)
  }

  @Test(.enabled(if: environmentVariable("SLUICE_WRITE_FIXTURE") != nil))
  func writesAFixture() throws {
    try write(to: environmentVariable("SLUICE_WRITE_FIXTURE") ?? "")
  }

  private static let folder = packageFolder() + "/Tests/SluiceTests/Fixtures"

  @Test(arguments: ["store1-log1-table2-manifest1"])
  func storesOfEarlierVersionsAreRead(_ name: String) throws {
    let scratch = Scratch()
    let path = scratch.file("fixture")
    try FileManager.default.copyItem(atPath: Self.folder + "/" + name, toPath: path)
    let fresh = try Store.open(path: scratch.file("fresh"), options: options(.none))
    try fill(fresh)
    let old = try Store.open(path: path)
    defer { do { try old.close() } catch { Issue.record("\(error)") } }
    #expect(old.core.identity.shardCount == 3)
    // Positions are those of the same commands in the same order.
    #expect(difference(try old.liveContents(), try fresh.liveContents()) == nil)
    #expect(try old.makeSession().run("SELECT * FROM best") == fresh.makeSession().run("SELECT * FROM best"))
    let raw = try old.makeKeyValueSession(space: 7)
    for round in 0..<3 {
      for number in 0..<100 {
        let value = try rawBytes("key \(round) \(number)") { try raw.get($0) { String(decoding: $0, as: UTF8.self) } }
        #expect(value == (number % 2 == 1 ? nil : "value \(number)"))
      }
    }
    try fresh.close()
    // It goes on from there: written, compacted, read.
    let session = try old.makeSession()
    #expect(session.catalog.table("log_lines")?.isStream == true)
    try session.run("INSERT INTO log_lines VALUES('today')")
    try session.settle()
    try old.flush()
    #expect(try session.run("SELECT count(*) FROM log_lines WHERE line = 'today'") == [[.integer(1)]])
  }
}
