// A reader: what it refuses and in which words, that it leaves no trace, who holds the store, and the cases that a
// workload meets rarely: a writer that takes back, records that are being written, files that vanish.
import Foundation
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Real files of which nothing can be changed: the error is that of a file system mounted for reading.
private final class ReadOnlyFileSystem: FileSystem {
  private let base = RealFileSystem()

  private func refusal(_ call: String, _ path: String) -> SystemError {
    SystemError(call: call, path: path, code: EROFS)
  }

  func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any File {
    guard case .read = mode else { throw refusal("open", path) }
    return try base.open(path, .read)
  }
  func createDirectory(_ path: String) throws(SystemError) { throw refusal("mkdir", path) }
  func list(_ path: String) throws(SystemError) -> [String] { try base.list(path) }
  func exists(_ path: String) throws(SystemError) -> Bool { try base.exists(path) }
  func rename(_ source: String, to target: String) throws(SystemError) { throw refusal("rename", source) }
  func remove(_ path: String) throws(SystemError) { throw refusal("unlink", path) }
  func syncDirectory(_ path: String) throws(SystemError) { throw refusal("fsync", path) }
  func lock(_ path: String, holder: String) throws(SystemError) -> any FileLock { throw refusal("open", path) }
  func freeBytes(_ path: String) throws(SystemError) -> UInt64 { try base.freeBytes(path) }
  func sizeBytes(_ path: String) throws(SystemError) -> UInt64 { try base.sizeBytes(path) }
  func isLocked(_ path: String) throws(SystemError) -> Bool? { try base.isLocked(path) }
}

private let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)"

/// A store with the rows 1 to `count` of 100 bytes, left tidily; in tables too, but for the last.
private func filled(_ bench: Bench, count: Int = 60) throws {
  let store = try bench.open { $0.shardCount = 2 }
  let session = try store.makeSession()
  try session.run(schema)
  for id in 1...count {
    try session.run("INSERT INTO t VALUES(\(id), '\(String(repeating: "x", count: 100))')")
    if id % 10 == 0 { try session.settle() }
  }
  try session.settle()
  try store.close(drain: false)
}

private func rowCount(_ reader: StoreReader) throws -> Int { try reader.view.contents()["t"]?.count ?? -1 }

@Suite struct ReadingTests {
  @Test func aHeldStoreIsReadAndItsHolderNamed() throws {
    let scratch = Scratch()
    let path = scratch.file("shop")
    let store = try Store.open(path: path)
    let session = try store.makeSession()
    try session.run(schema)
    try session.run("INSERT INTO t VALUES(1, 'a')")
    try session.settle()
    let reader = try StoreReader.open(path: path + "/")
    #expect(reader.position == 2)
    #expect(try reader.holder == "process \(processIdentifier())")
    try session.run("INSERT INTO t VALUES(2, 'b'), (3, 'c')")
    #expect(throws: Never.self) { try session.settle() }
    #expect(reader.position == 2, "nothing moves without a refresh")
    try reader.refresh()
    try expectEqual(reader.view, store)
    #expect(try rowCount(reader) == 3)
    // No lock was taken, and none is.
    #expect(storeError { _ = try Store.open(path: path) }?.message.contains("in use by process") == true)
    try store.close()
    #expect(try reader.holder == nil)
    let again = try Store.open(path: path)
    #expect(try reader.holder == "process \(processIdentifier())")
    try reader.refresh()
    try expectEqual(reader.view, again)
    try again.close()
  }

  @Test func aReadOnlyStoreIsReadAndKeepsItsTimes() throws {
    let scratch = Scratch()
    let path = scratch.file("shop")
    var options = StoreOptions()
    options.memtableBudgetBytes = 16 << 10
    let store = try Store.open(path: path, options: options)
    let session = try store.makeSession()
    try session.run(schema)
    for id in 1...400 { try session.run("INSERT INTO t VALUES(\(id), '\(String(repeating: "x", count: 100))')") }
    try session.settle()
    let expected = try store.liveContents()
    try store.close()
    _ = try runProcess("chmod", ["-R", "a-w", path])
    defer { do { _ = try runProcess("chmod", ["-R", "u+w", path]) } catch { Issue.record("\(error)") } }
    let trace = "find '\(path)' -printf '%p %m %s %T@ %C@\\n' | sort"
    let before = try runProcess("sh", ["-c", trace]).text
    #expect(before.contains(".table") && before.contains(".log"), "\(before)")
    options.fileSystem = ReadOnlyFileSystem()
    let reader = try StoreReader.open(path: path, options: options)
    #expect(try reader.holder == nil)
    for _ in 0..<3 {
      try reader.refresh()
      #expect(difference(try reader.view.contents(), expected) == nil)
    }
    #expect(try runProcess("sh", ["-c", trace]).text == before)
  }

  @Test func whatIsNoStoreIsRefusedInTheSameWords() throws {
    let scratch = Scratch()
    var options = StoreOptions()
    options.createIfMissing = false
    let files = RealFileSystem()
    try files.open(scratch.file("file"), .create).close()
    try files.createDirectory(scratch.file("folder"))
    try files.open(scratch.file("folder/letter.txt"), .create).close()
    for name in ["file", "folder", "none", "file/below"] {
      let reading = try #require(storeError { _ = try StoreReader.open(path: scratch.file(name)) })
      let writing = try #require(storeError { _ = try Store.open(path: scratch.file(name), options: options) })
      #expect(reading.kind == .invalid && reading.message == writing.message, "\(reading)")
    }
    try files.createDirectory(scratch.file("empty"))
    let unfinished = try #require(storeError { _ = try StoreReader.open(path: scratch.file("empty")) })
    #expect(unfinished.kind == .invalid && unfinished.message.contains("there is no store at"), "\(unfinished)")
    #expect(try files.list(scratch.file("empty")) == [])
  }

  /// Each damage, in the words of opening for writing.
  @Test func damageIsToldInTheSameWords() throws {
    let bench = Bench()
    try filled(bench)
    let names = try bench.disk.list("shop/shards/001")
    let table = try #require(names.first { $0.hasSuffix(".table") })
    let manifest = try #require(names.first { $0.hasPrefix("MANIFEST") })
    let log = try #require(try bench.disk.list("shop/log").last)
    let cases: [(path: String, offset: Int, becomes: UInt8)] = [
      ("store", 10, 2), ("store", 10, 0x80), ("store", 200, 0x55), ("shards/001/" + table, 2, 0x55),
      ("shards/001/" + table, -5, 0x55), ("shards/001/" + manifest, 45, 0x55), ("log/" + log, 3, 0x55),
      ("log/" + log, 1_000, 0x55), ("log/" + log, 10, 9),
    ]
    for (path, offset, byte) in cases {
      let image = Bench(disk: bench.disk.crashImage(.keepAll))
      var bytes = try #require(image.disk.content("shop/" + path))
      let place = offset < 0 ? bytes.count + offset : offset
      bytes[place] = bytes[place] == byte ? byte ^ 1 : byte
      try image.disk.setContent("shop/" + path, bytes)
      let reading = try #require(storeError { _ = try SimulatedReader(image.disk) }, "\(path) \(offset)")
      let writing = try #require(storeError { _ = try image.open() }, "\(path) \(offset)")
      #expect(reading.message == writing.message, "\(path) \(offset)")
      #expect(reading.kind == writing.kind && [.corrupt, .unsupported].contains(reading.kind), "\(path) \(offset)")
    }
    let image = Bench(disk: bench.disk.crashImage(.keepAll))
    for name in try image.disk.list("shop/log") { try image.disk.remove("shop/log/" + name) }
    let error = storeError { _ = try SimulatedReader(image.disk) }
    #expect(error?.kind == .corrupt && error?.message.contains("holds position") == true)
  }

  /// A row that was written and could not be synced is cut off. A reader that saw it goes back, also when another row
  /// of the same size has taken its place before it looks again.
  @Test(arguments: [false, true])
  func whatTheWriterTakesBackIsTakenBack(looksBetween: Bool) throws {
    let bench = Bench()
    try filled(bench, count: 20)
    let reader = try SimulatedReader(bench.disk)
    let seen = Monitor<[UInt64]>([])
    let hooked = HookedFileSystem(bench.disk) { call in
      guard call.hasPrefix("sync shop/log/") else { return }
      do { try reader.refresh() } catch { Issue.record("\(error)") }
      seen.update { $0.append(reader.reader.position) }
    }
    let store = try Store.open(path: "shop", options: simulatedOptions(hooked, projections: bench.projections))
    let session = try store.makeSession()
    try bench.disk.inject("fail sync log/*")
    try session.run("INSERT INTO t VALUES(21, 'lost')")
    #expect(storeError { try session.settle() }?.kind == .unavailable)
    #expect(seen.withLock { $0.last } == 22, "it was seen while it was written")
    let lost = reader.reader.view
    bench.disk.clearFaults()
    #expect(storeError { try store.close() } != nil)
    if looksBetween {
      try reader.refresh()
      #expect(reader.reader.position == 21)
      #expect(try rowCount(reader.reader) == 20)
    }
    let again = try bench.open()
    let other = try again.makeSession()
    try other.run("INSERT INTO t VALUES(22, 'kept')")
    try other.settle()
    try reader.refresh()
    try expectEqual(reader.reader.view, again)
    #expect(reader.reader.view.position == lost.position)
    #expect(try reader.reader.view.contents() != lost.contents())
    try again.close()
  }

  /// The last record is being written: half of it is there, its header or less, then all.
  @Test func aRecordThatIsBeingWritten() throws {
    let bench = Bench()
    try filled(bench)
    let path = "shop/log/" + (try #require(try bench.disk.list("shop/log").last))
    let whole = try #require(bench.disk.content(path))
    let end = (try #require(whole.lastIndex { $0 != 0 }) + 8) & ~7
    let all = try SimulatedReader(bench.disk).reader
    for (kept, isCut) in [(200, false), (100, false), (70, false), (30, false), (100, true), (30, true)] {
      var half = whole
      for index in (end - kept)..<end { half[index] = 0 }
      if isCut { half.removeSubrange((end - kept)...) }
      let disk = bench.disk.crashImage(.keepAll)
      try disk.setContent(path, half)
      let reader = try SimulatedReader(disk)
      let before = reader.reader.position
      #expect(before < all.position, "\(kept)")
      for _ in 0..<2 {
        try reader.refresh()
        #expect(reader.reader.position == before, "\(kept)")
      }
      try disk.setContent(path, whole)
      try reader.refresh()
      #expect(reader.reader.position == all.position, "\(kept)")
      #expect(difference(try reader.reader.view.contents(), try all.view.contents()) == nil, "\(kept)")
    }
  }

  /// A record among the news does not verify, and those behind it say that it was durable. At its second look it does
  /// verify: it was being written. If it never does, it is damage, in the words of opening for writing.
  @Test(arguments: [true, false])
  func aRecordThatWasDurable(isWrittenMeanwhile: Bool) throws {
    let bench = Bench()
    try filled(bench)
    let path = "shop/log/" + (try #require(try bench.disk.list("shop/log").last))
    let disk = bench.disk.crashImage(.keepAll)
    let looks = Monitor<(count: Int, whole: [UInt8])>((0, []))
    var options = StoreOptions()
    options.fileSystem = HookedFileSystem(
      disk,
      looking: { (call) throws(SystemError) in
        guard call == "open " + path else { return }
        let whole = looks.withLock { looks -> [UInt8]? in
          looks.count += 1
          return looks.count == 3 && !looks.whole.isEmpty ? looks.whole : nil
        }
        if let whole, isWrittenMeanwhile { try disk.setContent(path, whole) }
      },
      hook: { Issue.record("\($0)") })
    let reader = try StoreReader.open(path: "shop", options: options)
    let old = try #require(disk.content(path))
    let other = Bench(disk: disk)
    let store = try other.open()
    let session = try store.makeSession()
    for id in 61...66 {
      try session.run("INSERT INTO t VALUES(\(id), 'more')")
      try session.settle()
    }
    let expected = try store.liveContents()
    try store.close(drain: false)
    let whole = try #require(disk.content(path))
    var bad = whole
    let first = try #require(old.indices.first { old[$0] != whole[$0] }) & ~7
    for index in (first + 64)..<(first + 80) { bad[index] = 0 }
    try disk.setContent(path, bad)
    looks.withLock { $0 = (0, whole) }
    if isWrittenMeanwhile {
      try reader.refresh()
      #expect(looks.withLock { $0.count } == 5, "looked at, scanned twice, read, looked at again")
      #expect(difference(try reader.view.contents(), expected) == nil)
    } else {
      let before = reader.position
      let reading = try #require(storeError { try reader.refresh() })
      #expect(reading.kind == .corrupt && reading.message.contains("that was durable does not verify"), "\(reading)")
      #expect(reader.position == before)
      #expect(storeError { _ = try Bench(disk: disk).open() }?.message == reading.message)
    }
  }

  /// A table that the manifest names is gone each time it is to be opened, `times` times: the writer has merged it.
  @Test(arguments: [1, 5, 1_000])
  func aTableThatVanishes(times: Int) throws {
    let bench = Bench()
    try filled(bench)
    let store = try bench.open()
    let rounds = Monitor(0)
    let looking: HookedFileSystem.Looking = { (call) throws(SystemError) in
      guard call.hasPrefix("open shop/shards/"), call.hasSuffix(".table") else { return }
      let round = rounds.withLock { round in
        round += 1
        return round
      }
      guard round <= times else { return }
      // Another file has appeared meanwhile.
      do { try bench.disk.setContent("shop/shards/000/\(round).other", []) } catch { Issue.record("\(error)") }
      throw SystemError(call: "open", path: String(call.dropFirst(5)), code: ENOENT)
    }
    var options = StoreOptions()
    options.fileSystem = HookedFileSystem(bench.disk, looking: looking) { Issue.record("\($0)") }
    if times < StoreReader.attempts {
      try expectEqual(try StoreReader.open(path: "shop", options: options).view, store)
    } else {
      let error = try #require(storeError { _ = try StoreReader.open(path: "shop", options: options) })
      #expect(error.kind == .unavailable && error.message.contains("changed each of 20 times"), "\(error)")
      #expect(rounds.withLock { $0 } == StoreReader.attempts)
    }
    try store.close()
  }

  /// Another store has taken the place of the one that was read.
  @Test func anotherStoreUnderTheSameName() throws {
    let scratch = Scratch()
    let path = scratch.file("shop")
    func make(_ rows: Int) throws {
      let store = try Store.open(path: path)
      let session = try store.makeSession()
      try session.run(schema)
      for id in 1...rows { try session.run("INSERT INTO t VALUES(\(id), 'x')") }
      try session.settle()
      try store.close()
    }
    try make(3)
    let reader = try StoreReader.open(path: path)
    #expect(try rowCount(reader) == 3)
    try FileManager.default.removeItem(atPath: path)
    #expect(storeError { try reader.refresh() }?.message.contains("there is no store") == true)
    #expect(try rowCount(reader) == 3, "the view stays")
    try make(5)
    try reader.refresh()
    #expect(try rowCount(reader) == 5)
  }

  /// The reader's memory follows the writer's flushes: what is in tables leaves it.
  @Test func memoryIsBounded() throws {
    let bench = Bench()
    try filled(bench, count: 1)
    let store = try bench.open { $0.memtableBudgetBytes = 16 << 10 }
    let session = try store.makeSession()
    let reader = try SimulatedReader(bench.disk, memoryBytes: 16 << 10)
    var highest = 0
    for id in 2...3_000 {
      try session.run("INSERT INTO t VALUES(\(id), '\(String(repeating: "x", count: 100))')")
      if id % 50 == 0 {
        try session.settle()
        try reader.refresh()
        highest = max(highest, reader.reader.batchBytes)
      }
    }
    try expectEqual(reader.reader.view, store)
    // Two generations of the writer, and one of the reader's own.
    #expect(highest < 80 << 10, "\(highest) bytes of 450,000")
    #expect(highest > 10 << 10, "\(highest)")
    try store.close()
  }
}
