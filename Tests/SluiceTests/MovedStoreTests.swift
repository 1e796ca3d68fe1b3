// A store whose directory is renamed, or whose symbolic link is switched, while it is open: it is written where it is,
// and what has its name then is left alone.
import Foundation
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct MovedStoreTests {
  private let scratch = Scratch()
  private var path: String { scratch.file("shop") }
  private let moved: String

  init() { moved = scratch.file("moved") }

  private func load(_ session: Session, _ ids: Range<Int>) throws {
    try session.run("BEGIN")
    for id in ids { try session.run("INSERT INTO t VALUES(\(id), '\(String(repeating: "x", count: 100))')") }
    try session.run("COMMIT")
    try session.settle()
  }

  /// Puts another, empty directory in the place of the store.
  private func move(isLink: Bool) throws {
    if isLink {
      let other = scratch.file("other")
      try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: false)
      try FileManager.default.removeItem(atPath: path)
      try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: other)
    } else {
      try FileManager.default.moveItem(atPath: path, toPath: moved)
    }
  }

  private var options: StoreOptions {
    var options = StoreOptions()
    options.memtableBudgetBytes = 64 << 10
    options.stageBytes = 16 << 10
    return options
  }

  /// All files below a folder with their sizes and times of change.
  private func trace(_ folder: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder).sorted().map { name in
      let facts = try FileManager.default.attributesOfItem(atPath: folder + "/" + name)
      return "\(name) \(facts[.size] ?? "") \(facts[.modificationDate] ?? "")"
    }
  }

  private func check(_ path: String) throws {
    var lines: [String] = []
    #expect(try StoreInspection.run(.store(check: true), path: path) { lines.append($0) } == .sound, "\(lines)")
  }

  @Test(arguments: [false, true]) func anotherStoreUnderItsNameIsLeftAlone(isLink: Bool) throws {
    if isLink {
      try FileManager.default.createDirectory(atPath: moved, withIntermediateDirectories: false)
      try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: moved)
    }
    let store = try Store.open(path: path, options: options)
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try load(session, 0..<2_000)
    #expect(store.relocation == nil)
    try session.wait(for: .projected)
    let file = try RealFileSystem().identity(path + "/projections.db")
    try move(isLink: isLink)
    let other = try Store.open(path: path, options: options)
    let otherSession = try other.makeSession()
    try otherSession.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try load(otherSession, 0..<700)
    try other.close()
    let before = try trace(path)
    // Flushes, merges, staged segments, mirrors, and connections that are opened now.
    for part in 1..<6 { try load(session, (part * 2_000)..<((part + 1) * 2_000)) }
    try session.run("CREATE INDEX byV ON t(v)")
    try session.wait(for: .projected)
    let count = "SELECT count(*), max(id) FROM "
    #expect(try session.run(count + "t") == [[.integer(12_000), .integer(11_999)]])
    #expect(try store.makeSession().run(count + "projections.t") == [[.integer(12_000), .integer(11_999)]])
    #expect(try store.makeSession().run("SELECT name FROM sluice_projections WHERE state <> 'current'").isEmpty)
    #expect(store.relocation?.contains("this store is at \(moved) now") == true, "\(store.relocation ?? "nil")")
    try store.close()
    #expect(try trace(path) == before, "nothing of the other store was touched")
    #expect(try RealFileSystem().identity(moved + "/projections.db") == file, "it was made anew")
    for (place, rows) in [(path, 700), (moved, 12_000)] {
      try check(place)
      let store = try Store.open(path: place, options: options)
      let session = try store.makeSession()
      for table in ["t", "projections.t"] {
        #expect(try session.run("SELECT count(*) FROM \(table)") == [[.integer(Int64(rows))]], "\(place): \(table)")
      }
      #expect(store.relocation == nil)
      try store.close()
    }
  }

  /// Who reads it in another process goes on too.
  @Test func aReaderFollowsTheStore() throws {
    let store = try Store.open(path: path, options: options)
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try load(session, 0..<10)
    let reader = try StoreReader.open(path: path, options: options)
    try move(isLink: false)
    try Store.open(path: path, options: options).close()
    // So many that its tables are opened anew.
    for part in 1..<6 { try load(session, (part * 2_000)..<((part + 1) * 2_000)) }
    try store.flush()
    try reader.refresh()
    #expect(try reader.view.contents()["t"]?.count == 10_010)
    #expect(try reader.holder == "process \(processIdentifier())")
    try store.close()
    try reader.refresh()
    #expect(try reader.holder == nil)
  }

  @Test func aRemovedStoreIsTold() throws {
    let store = try Store.open(path: path, options: options)
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.settle()
    try FileManager.default.removeItem(atPath: path)
    #expect(store.relocation?.hasSuffix("was removed while it was open: its rows are gone") == true)
    #expect(storeError { try store.close() } != nil)
  }
}
