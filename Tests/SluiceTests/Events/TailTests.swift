// `sluice tail` shows what `sluice_events` shows, from beside the writer and without one; and a group goes on where it
// ended.
import Foundation
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Keeps lines; over after so many flushes, or when it is told.
private final class Lines: TailOutput, @unchecked Sendable {
  private let state = Monitor((lines: [String](), isOver: false))
  /// What it says when it is flushed.
  var isRead = true

  func write(_ line: UnsafeRawBufferPointer) {
    let text = String(decoding: line, as: UTF8.self)
    state.update { $0.lines.append(String(text.dropLast())) }
  }
  func flush() -> Bool { isRead }
  var isOver: Bool { state.withLock { $0.isOver } }
  var lines: [String] { state.withLock { $0.lines } }
  func end() { state.update { $0.isOver = true } }
}

/// Everything that `sluice_events` has, in the form of the tail's lines.
private func events(_ session: Session, _ condition: String = "1") throws -> [String] {
  let query = """
    SELECT json_object('position', position, 'time', time, 'session', session, 'shard', shard, 'table', "table",
      'kind', kind, 'key', json(key), 'row', json(row), 'accepted', accepted, 'reason', reason)
    FROM sluice_events WHERE \(condition) ORDER BY position
    """
  return try session.run(query).map { row in
    guard case .text(let bytes)? = row.first else { return "?" }
    return String(decoding: bytes, as: UTF8.self)
  }
}

private func tail(_ bench: Bench, _ change: (inout TailOptions) -> Void = { _ in }) throws -> [String] {
  var options = TailOptions()
  options.follows = false
  change(&options)
  let output = Lines()
  var storeOptions = StoreOptions()
  storeOptions.fileSystem = bench.disk
  storeOptions.clock = bench.options.clock
  try StoreTail.run(path: "shop", options: options, storeOptions: storeOptions, output: output)
  return output.lines
}

/// How far each shard's tables are.
private func flushedPositions(_ disk: SimulatedFileSystem) throws -> [String] {
  let lines = Monitor<[String]>([])
  _ = try StoreInspection.run(.store(check: false), path: "shop", fileSystem: disk, projectionsPath: "none") { line in
    lines.withLock { $0.append(line) }
  }
  return lines.withLock { $0 }.compactMap { line in
    guard line.hasPrefix("shard "), let start = line.range(of: "flushed_position=") else { return nil }
    return String(line[start.upperBound...].prefix { $0 != " " })
  }
}

@Suite struct TailTests {
  /// Whether the tables hold nothing, a part, or all of the log, and whether a writer is there.
  @Test(arguments: 1...6) func itShowsWhatTheTableShows(_ seed: UInt64) throws {
    let bench = Bench()
    var store = try bench.open()
    var session = try store.makeSession()
    var random = SeededRandom(seed: seed)
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.run("CREATE TABLE s(kind TEXT)")
    for step in 0..<160 {
      let id = random.below(30)
      switch random.below(12) {
      case 0: try session.run("DELETE FROM t WHERE id = \(id)")
      case 1: try session.run("INSERT OR IGNORE INTO t VALUES(\(id), 'ignored')")
      case 2: try session.run("INSERT INTO s VALUES('e\(step)')")
      case 3:
        try session.run("BEGIN")
        for row in 0..<30 {
          try session.run("INSERT INTO t VALUES(\(id + row), '\(String(repeating: "s", count: 60))')")
        }
        try session.run("COMMIT")
      case 4: try session.settle()
      default: try session.run("INSERT INTO t VALUES(\(id), 'row \(step)')")
      }
      if step == 80 {
        try session.settle()
        try store.close(drain: random.below(2) == 0)
        store = try bench.open()
        session = try store.makeSession()
      }
      guard step % 40 == 39 else { continue }
      try session.settle()
      _ = session.takeRejections()
      let expected = try events(session)
      let rejected = expected.count { $0.contains("\"accepted\":0") }
      #expect(rejected > 0 && expected.count == Int(store.lastPosition))
      let found = try tail(bench)
      #expect(found == expected, "seed \(seed), step \(step)")
      if found != expected { break }
      let from = 1 + UInt64(random.below(expected.count))
      #expect(try tail(bench) { $0.from = from } == Array(expected[Int(from - 1)...]), "from \(from), seed \(seed)")
      #expect(try tail(bench) { $0.table = "S" } == events(session, "\"table\" = 's'"))
    }
    let all = try events(session)
    try store.close()
    #expect(try tail(bench) == all, "without a writer, seed \(seed)")
  }

  /// What a reader finds between any two changes of a shard's files, some shards being flushed further than others.
  @Test func itShowsTheSameHoweverFarEachShardIsFlushed() throws {
    let disk = SimulatedFileSystem()
    let images = Monitor<[SimulatedFileSystem]>([])
    let hooked = HookedFileSystem(disk) { call in
      guard call.hasPrefix("rename shop/shards") || call.hasPrefix("sync shop/shards") else { return }
      images.withLock { $0.append(disk.crashImage(.keepAll)) }
    }
    let bench = Bench()
    let store = try Store.open(path: "shop", options: simulatedOptions(hooked, projections: bench.projections))
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    for step in 0..<90 {
      try session.run("INSERT INTO t VALUES(\(step - step % 3), '\(String(repeating: "v", count: 90))')")
      if step % 5 == 0 { try session.settle() }
    }
    try session.settle()
    _ = session.takeRejections()
    let expected = try events(session)
    var uneven = 0
    for image in images.withLock({ $0 }) {
      let found = try tail(Bench(disk: image))
      #expect(found == Array(expected.prefix(found.count)))
      let flushed = try flushedPositions(image)
      if Set(flushed).count > 1 { uneven += 1 }
    }
    #expect(uneven > 2, "no image holds shards flushed differently: the test says nothing")
    try store.close()
  }

  @Test func itFollowsAWriter() throws {
    let scratch = Scratch()
    let path = scratch.file("shop")
    var options = StoreOptions()
    options.memtableBudgetBytes = 256 << 10
    let store = try Store.open(path: path, options: options)
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    try session.settle()
    let output = Lines()
    let failure = Monitor<StoreError?>(nil)
    let storeOptions = options
    let thread = try Thread(name: "tail") {
      do throws(StoreError) {
        try StoreTail.run(path: path, options: TailOptions(), storeOptions: storeOptions, output: output)
      } catch { failure.withLock { $0 = error } }
    }
    for id in 0..<3_000 {
      // Every third one is rejected.
      try session.run("INSERT INTO t VALUES(\(id - (id % 3 == 2 ? 1 : 0)), '\(String(repeating: "x", count: 200))')")
      if id % 500 == 0 { try session.settle() }
    }
    try session.settle()
    _ = session.takeRejections()
    let expected = try events(session)
    let deadline = SystemClock().monotonicNanoseconds() + 30_000_000_000
    while output.lines.count < expected.count, SystemClock().monotonicNanoseconds() < deadline {
      Thread.sleep(nanoseconds: 5_000_000)
    }
    output.end()
    thread.join()
    #expect(failure.withLock { $0?.message } == nil)
    #expect(output.lines == expected)
    #expect(expected.count { $0.contains("\"accepted\":0") } == 1_000)
    try store.close()
  }

  @Test func aGroupGoesOnWhereItEnded() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    for id in 1...5 { try session.run("INSERT INTO t VALUES(\(id))") }
    try session.settle()
    #expect(try tail(bench) { $0.group = "mail" }.count == 6)
    #expect(try tail(bench) { $0.group = "mail" }.isEmpty)
    try session.run("INSERT INTO t VALUES(6)")
    try session.settle()
    #expect(
      try session.run("SELECT name, position, lag FROM sluice_groups") == [[text("mail"), .integer(6), .integer(1)]])
    let news = try tail(bench) { $0.group = "mail" }
    #expect(news.count == 1 && news[0].hasPrefix("{\"position\":7,"))
    // `from` beats the checkpoint, and what was shown by it counts.
    #expect(try tail(bench) { ($0.group, $0.from) = ("mail", 3) }.count == 5)
    #expect(try session.run("SELECT position FROM sluice_groups") == [[.integer(7)]])
    // A filter does not keep the place from moving.
    #expect(try tail(bench) { ($0.group, $0.table) = ("other", "none") }.isEmpty)
    #expect(
      try session.run("SELECT name, position FROM sluice_groups") == [
        [text("mail"), .integer(7)], [text("other"), .integer(7)],
      ])
    // Lines that nobody has read do not count.
    try session.run("INSERT INTO t VALUES(8)")
    try session.settle()
    var storeOptions = StoreOptions()
    storeOptions.fileSystem = bench.disk
    var options = TailOptions()
    (options.group, options.follows) = ("mail", false)
    let unread = Lines()
    unread.isRead = false
    try StoreTail.run(path: "shop", options: options, storeOptions: storeOptions, output: unread)
    #expect(try session.run("SELECT position FROM sluice_groups WHERE name = 'mail'") == [[.integer(7)]])
    // One process at a time.
    let groups = store.core.groups
    let lock = try groups.take("mail")
    #expect(storeError { _ = try tail(bench) { $0.group = "mail" } }?.message.contains("in use by process") == true)
    lock.release()
    try StoreTail.dropGroup("mail", path: "shop", storeOptions: storeOptions)
    #expect(storeError { try StoreTail.dropGroup("mail", path: "shop", storeOptions: storeOptions) }?.kind == .invalid)
    #expect(storeError { _ = try tail(bench) { $0.group = "../LOCK" } }?.kind == .invalid)
    #expect(try session.run("SELECT name FROM sluice_groups") == [[text("other")]])
    try store.close()
  }

  @Test func aDamagedGroupIsNamedAndKeepsTheLog() throws {
    let bench = Bench()
    let store = try bench.open()
    _ = try store.makeSession().run("CREATE TABLE t(a)")
    #expect(store.core.groups.lowestPosition() == nil)
    _ = try tail(bench) { $0.group = "mail" }
    #expect(store.core.groups.lowestPosition() == 1)
    let path = "shop/groups/mail"
    func inspect(_ subject: StoreInspection.Subject, _ path: String) throws -> (StoreInspection.Outcome, [String]) {
      let lines = Monitor<[String]>([])
      let outcome = try StoreInspection.run(
        subject, path: path, fileSystem: bench.disk, projectionsPath: bench.projections
      ) { line in lines.withLock { $0.append(line) } }
      return (outcome, lines.withLock { $0 })
    }
    let sound = try inspect(.group, path)
    #expect(sound.0 == .sound && sound.1[0].hasPrefix("group name=mail version=1 reader=1 store="))
    #expect(sound.1[0].contains(" position=1 time="))
    #expect(try inspect(.store(check: false), "shop").1.contains { $0.contains("group name=mail") })
    var bytes = try #require(bench.disk.content(path))
    bytes[25] ^= 1
    try bench.disk.setContent(path, bytes)
    #expect(try inspect(.group, path).0 == .damaged)
    #expect(store.core.groups.lowestPosition() == 0)
    #expect(storeError { _ = try tail(bench) { $0.group = "mail" } }?.kind == .corrupt)
    try store.close()
  }

  /// Whatever bit of it is wrong, and wherever it ends: who follows for it is told its name, and the log is kept.
  @Test func everyFlippedBitOfAGroupIsNamed() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(a)")
    _ = try tail(bench) { $0.group = "mail" }
    let path = "shop/groups/mail"
    let sound = try #require(bench.disk.content(path))
    let flips = (0..<sound.count * 8).map { bit in
      var bytes = sound
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      return bytes
    }
    let cuts = sound.indices.map { Array(sound[..<$0]) }
    for (number, bytes) in (flips + cuts).enumerated() {
      try bench.disk.setContent(path, bytes)
      let error = storeError { _ = try tail(bench) { $0.group = "mail" } }
      let isNamed = error?.kind == .corrupt && error?.message.contains(path) == true
      #expect(isNamed, "\(number): \(String(describing: error))")
      #expect(store.core.groups.lowestPosition() == 0, "\(number)")
      #expect(try session.run("SELECT name, position FROM sluice_groups") == [[text("mail"), .null]], "\(number)")
      #expect(bench.disk.content(path) == bytes, "\(number): it was written over")
    }
    try bench.disk.setContent(path, sound)
    #expect(try tail(bench) { $0.group = "mail" }.isEmpty)
    try store.close()
  }

  @Test func theGroupFileIsAsItsHeadShows() throws {
    let file = GroupFile(storeID: 0x1122_3344_5566_7788, position: 258, timeMicroseconds: 1)
    let bytes = file.encoded()
    let hex = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    #expect(
      hex == "53 4c 55 49 43 45 47 52 01 00 01 00 01 00 00 00 88 77 66 55 44 33 22 11 02 01 00 00 00 00 00 00 "
        + "01 00 00 00 00 00 00 00 c8 02 72 c4")
    #expect(try GroupFile.decode(bytes, path: "g") == file)
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 0x10
      #expect(storeError { _ = try GroupFile.decode(damaged, path: "g") }?.kind == .corrupt, "byte \(index)")
    }
    var newer = bytes + [0]
    #expect(storeError { _ = try GroupFile.decode(newer, path: "g") }?.kind == .corrupt)
    newer[10] = 2
    #expect(storeError { _ = try GroupFile.decode(newer, path: "g") }?.kind == .unsupported)
  }
}
