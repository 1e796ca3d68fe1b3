// A store on a simulated disk that can be looked into and damaged, driven by words: by golden files, and by tests.
//
//   open shards=N budget=N [lz4]   opens the store, made when missing; files are the same in every run
//   sql                            runs each line of the input as a statement
//   rows table=t from=1 to=9 bytes=100   inserts rows (id, text of that size), settled one by one
//   close [tidily=no]
//   list [path=log]                files with their sizes
//   inspect kind=table|manifest|log|store path=… [entries] [commands] [check]
//   flip path=… line="block number=1"    inverts a bit in the middle of what the first line with this text speaks of
//   cut path=… line="…" nth=2      ends the file in the middle of it; here the third such line
//   zero path=… line="…"           makes all of it zeros
//                                  "whole file" and "header" are places too
//   append path=… bytes=9          adds bytes that are not zero
//   remove path=…
//   repair                         undoes all damage
//
// Places in files are taken from the lines of an inspection, so that no offset stands in a test. Paths are from the
// store's directory; one with a `*` is that of the largest file it fits, so that no table's number does either.
import SluiceLSM
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// One store and what was done to it.
final class InspectionBench {
  let disk = SimulatedFileSystem()
  let scratch = Scratch()
  private var store: Store?
  private var session: Session?
  /// Files as they were before they were damaged.
  private var originals: [String: [UInt8]] = [:]

  var projections: String { scratch.file("projections.db") }

  func run(_ golden: GoldenCase) throws -> String {
    let path = try found(golden.arguments["path"] ?? "")
    switch golden.command {
    case "open":
      try open(
        shards: golden.integer("shards", 1), budget: golden.integer("budget", 4 << 10),
        compression: golden.arguments["lz4"] == nil ? .none : .lz4)
    case "sql": return try sql(golden.input)
    case "rows":
      try rows(
        golden.arguments["table"] ?? "t", golden.integer("from", 1)...golden.integer("to", 1),
        size: golden.integer("bytes", 10))
    case "close": try close(tidily: golden.arguments["tidily"] != "no")
    case "list":
      return try files(path).map { "\($0) bytes=\(disk.content("shop/" + $0)?.count ?? 0)" }.joined(separator: "\n")
    case "inspect": return try inspect(try subject(golden), path)
    case "flip", "cut", "zero":
      let place = try place(path, golden.arguments["line"] ?? "", golden.integer("nth", 0))
      try damage(golden.command, path, place)
    case "append":
      try replace(path, try keep(path) + Array(repeating: 0x5a, count: golden.integer("bytes", 1)))
    case "remove": try remove(path)
    case "repair": try repair()
    default: throw GoldenError(description: "no command \(golden.command)")
    }
    return ""
  }

  // MARK: The store

  func open(shards: Int, budget: Int, compression: Compression = .none) throws {
    var options = simulatedOptions(disk, projections: projections)
    options.shardCount = shards
    options.memtableBudgetBytes = budget
    options.compression = compression
    let store = try Store.open(path: "shop", options: options)
    self.store = store
    session = try store.makeSession()
  }

  func sql(_ statements: String) throws -> String {
    let session = try #require(session)
    for statement in statements.split(separator: "\n") { try session.run(String(statement)) }
    try session.settle()
    return session.takeRejections().map { $0.message + "\n" }.joined()
  }

  func rows(_ table: String, _ ids: ClosedRange<Int>, size: Int) throws {
    for id in ids {
      _ = try sql("INSERT INTO \(table) VALUES(\(id), '\(String(repeating: "abcdefghij", count: size / 10))')")
    }
  }

  func close(tidily: Bool = true) throws {
    session = nil
    try store?.close(drain: tidily)
    store = nil
  }

  /// Keeps the place of a group that has seen everything.
  func follow(group: String) throws(StoreError) {
    final class Nowhere: TailOutput {
      func write(_ line: UnsafeRawBufferPointer) {}
      func flush() -> Bool { true }
      var isOver: Bool { false }
    }
    var options = TailOptions()
    (options.group, options.follows) = (group, false)
    var storeOptions = StoreOptions()
    storeOptions.fileSystem = disk
    storeOptions.clock = SimulatedClock(seed: 1)
    try StoreTail.run(path: "shop", options: options, storeOptions: storeOptions, output: Nowhere())
  }

  /// Files whose bytes mean something.
  func damageable() throws -> [String] { try files().filter { $0 != "LOCK" && !$0.hasSuffix(".lock") } }

  /// Files below `path`, sorted.
  func files(_ path: String = "") throws -> [String] {
    let full = path.isEmpty ? "shop" : "shop/" + path
    return try disk.list(full).flatMap { name -> [String] in
      let child = path.isEmpty ? name : path + "/" + name
      return isDirectory("shop/" + child, disk) ? try files(child) : [child]
    }
  }

  /// The path itself, or the one that a pattern stands for.
  private func found(_ pattern: String) throws -> String {
    let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
    guard parts.count == 2 else { return pattern }
    let fitting = try files().filter {
      $0.hasPrefix(parts[0]) && $0.hasSuffix(parts[1]) && $0.utf8.count >= pattern.utf8.count - 1
    }
    let sizes = fitting.map { disk.content("shop/" + $0)?.count ?? 0 }
    guard let largest = sizes.max(), let index = sizes.firstIndex(of: largest) else {
      throw GoldenError(description: "no file fits \(pattern)")
    }
    return fitting[index]
  }

  // MARK: Looking

  /// Lines and outcome. The process's number and the scratch folder are replaced, for they differ from run to run.
  func inspect(_ subject: StoreInspection.Subject, _ path: String) throws -> String {
    var lines: [String] = []
    let outcome = try look(subject, path) { lines.append($0) }
    let text = (lines + ["-- \(outcome)"]).joined(separator: "\n")
    return text.replacing(projections, with: "projections.db")
      .replacing("process \(processIdentifier())", with: "process N")
  }

  func look(
    _ subject: StoreInspection.Subject, _ path: String, output: @escaping (String) -> Void = { _ in }
  ) throws(StoreError) -> StoreInspection.Outcome {
    try StoreInspection.run(
      subject, path: path.isEmpty ? "shop" : "shop/" + path, fileSystem: disk, projectionsPath: projections,
      output: output)
  }

  private func subject(_ golden: GoldenCase) throws -> StoreInspection.Subject {
    switch golden.arguments["kind"] {
    case "table": .table(entries: golden.arguments["entries"] != nil)
    case "manifest": .manifest
    case "log": .log(commands: golden.arguments["commands"] != nil)
    case "store": .store(check: golden.arguments["check"] != nil)
    default: throw GoldenError(description: "no kind")
    }
  }

  /// The subject that a file is.
  func subject(of path: String) -> StoreInspection.Subject {
    if path.hasSuffix(".table") { return .table(entries: true) }
    if path.contains("MANIFEST-") { return .manifest }
    if path.hasPrefix("groups/") { return .group }
    return path.hasPrefix("log/") ? .log(commands: true) : .store(check: true)
  }

  // MARK: Damage

  /// Bytes that a line with this text speaks of, the first or the one after `skipped` others.
  private func place(_ path: String, _ text: String, _ skipped: Int) throws -> Range<Int> {
    if text == "whole file" { return 0..<(disk.content("shop/" + path)?.count ?? 0) }
    if text == "header" { return 0..<40 }
    var found: [Range<Int>] = []
    _ = try look(subject(of: path), path) { line in
      guard line.contains(text), let offset = number("offset", line), let size = number("bytes", line) else { return }
      found.append(offset..<(offset + size))
    }
    if skipped < found.count { return found[skipped] }
    throw GoldenError(description: "\(found.count) lines with a place have the text \(text)")
  }

  func damage(_ how: String, _ path: String, _ place: Range<Int>) throws {
    var content = try keep(path)
    let middle = (place.lowerBound + place.upperBound) / 2
    switch how {
    case "flip": content[middle] ^= 0x10
    case "cut": content.removeSubrange(middle...)
    default: for index in place { content[index] = 0 }
    }
    try disk.setContent("shop/" + path, content)
  }

  func replace(_ path: String, _ content: [UInt8]) throws {
    _ = try keep(path)
    try disk.setContent("shop/" + path, content)
  }

  private func remove(_ path: String) throws {
    _ = try keep(path)
    try disk.remove("shop/" + path)
  }

  private func keep(_ path: String) throws -> [UInt8] {
    let content = try #require(disk.content("shop/" + path), "\(path)")
    if originals[path] == nil { originals[path] = content }
    return content
  }

  func repair() throws {
    for (path, content) in originals { try disk.setContent("shop/" + path, content) }
    originals = [:]
  }
}

/// A case that cannot be run.
struct GoldenError: Error, CustomStringConvertible { let description: String }

/// The value of `key=` in a line.
func number(_ key: String, _ line: String) -> Int? {
  line.split(separator: " ").first { $0.hasPrefix(key + "=") }.flatMap { Int($0.dropFirst(key.utf8.count + 1)) }
}
