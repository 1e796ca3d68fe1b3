// The end of the log is damaged, which looks like a torn tail to the log alone. What was projected, flushed or passed
// by a group was durable, and proves that something is lost; what nobody else has seen goes as it does in a power cut.
import SluiceLog
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct LogWitnessTests {
  /// A store that was left at once behind three rows; `isProjected`: they are in projections.db or its write-ahead log.
  private func leave(
    _ bench: Bench, isProjected: Bool = true, synchronous: Bool = true, seed: UInt64 = 1
  ) throws {
    let store = try bench.open {
      $0.clock = SimulatedClock(seed: seed)
      $0.memtableBudgetBytes = 1 << 20
      $0.synchronous = synchronous
    }
    let session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.settle()
    try store.core.pipeline.wait { $0.projected == $0.applied ? () : nil }
    store.core.projector.isSuspended = !isProjected
    for id in 1...3 {
      try session.run("INSERT INTO t VALUES(\(id))")
      try session.settle()
    }
    if isProjected { try store.core.pipeline.wait { $0.projected == $0.applied ? () : nil } }
    try store.close(drain: false)
  }

  private func lastSegment(_ bench: Bench) throws -> String {
    try "shop/log/" + #require(try bench.disk.list("shop/log").last { $0.hasSuffix(".log") })
  }

  /// Flips a bit of the last record, which is row 3.
  private func flip(_ bench: Bench) throws {
    let path = try lastSegment(bench)
    var bytes = try #require(bench.disk.content(path))
    let end = try #require(bytes.lastIndex { $0 != 0 })
    bytes[end - 3] ^= 1
    try bench.disk.setContent(path, bytes)
  }

  private func inspect(_ bench: Bench, isCheck: Bool) throws -> (outcome: StoreInspection.Outcome, lines: [String]) {
    var lines: [String] = []
    let outcome = try StoreInspection.run(
      .store(check: isCheck), path: "shop", fileSystem: bench.disk, projectionsPath: bench.projections
    ) { lines.append($0) }
    return (outcome, lines.filter { $0.hasPrefix("damage") })
  }

  private func count(_ bench: Bench) throws -> Int {
    let store = try bench.open()
    defer { do { try store.close() } catch { Issue.record("\(error)") } }
    return try #require(try store.liveContents()["t"]).count
  }

  private func expectRefusal(_ bench: Bench, naming proof: String) throws {
    let path = try lastSegment(bench)
    let before = bench.disk.content(path)
    let error = storeError { _ = try bench.open() }
    #expect(error?.kind == .corrupt)
    let message = error?.message ?? ""
    #expect(message.contains("\(path) is damaged at offset "), "\(message)")
    #expect(message.contains("ends here with position 3, but \(proof)"), "\(message)")
    #expect(message.contains("holds position 4"), "\(message)")
    #expect(bench.disk.content(path) == before, "nothing was cut off")
    for isCheck in [false, true] {
      let (outcome, lines) = try inspect(bench, isCheck: isCheck)
      #expect(outcome == .damaged)
      #expect(lines.count == 1 && lines[0].contains(path) && lines[0].contains("positions=4..4"), "\(lines)")
    }
  }

  @Test func aRowThatIsProjectedIsMissed() throws {
    let bench = Bench()
    try leave(bench)
    try flip(bench)
    try expectRefusal(bench, naming: bench.projections)
    // The way out that the message names.
    removeDatabase(bench.projections)
    #expect(try count(bench) == 2)
  }

  @Test func aRowThatAGroupHasPassedIsMissed() throws {
    let bench = Bench()
    try leave(bench, isProjected: false)
    let identity = try StoreIdentity.decode(try bench.disk.contents("shop/store"), path: "shop/store")
    let groups = GroupFiles(storePath: "shop", storeID: identity.storeID, fileSystem: bench.disk)
    try groups.take("mail").release()
    try groups.write("mail", position: 4, timeMicroseconds: 1)
    try flip(bench)
    try expectRefusal(bench, naming: "the group mail (shop/groups/mail)")
    // Of an earlier version, whose groups could be ahead of the disk.
    var file = GroupFile(storeID: identity.storeID, position: 4, timeMicroseconds: 1)
    file.isDurable = false
    try bench.disk.setContent("shop/groups/mail", file.encoded())
    #expect(try count(bench) == 2)
  }

  @Test func aRowThatAShardHasFlushedIsMissed() throws {
    let bench = Bench()
    try leave(bench)
    let store = try bench.open()
    try store.core.pipeline.flush()
    try store.close()
    removeDatabase(bench.projections)
    try flip(bench)
    try expectRefusal(bench, naming: "shard ")
    #expect(storeError { _ = try bench.open() }?.message.contains("/MANIFEST-") == true)
  }

  /// It was durable, but nobody can know: as in a power cut.
  @Test func aTornTailThatNobodyHasSeenIsCutOff() throws {
    let bench = Bench()
    try leave(bench, isProjected: false)
    try flip(bench)
    #expect(try count(bench) == 2)
  }

  @Test func aSegmentThatIsGoneIsMissed() throws {
    let bench = Bench()
    try leave(bench)
    try bench.disk.remove(try lastSegment(bench))
    let error = storeError { _ = try bench.open() }
    #expect(error?.kind == .corrupt && error?.message.contains("position 0, but \(bench.projections)") == true)
  }

  /// A power cut may take back what nobody waited for, although projections.db has it; so it does not count as loss.
  @Test func aPowerCutOfAnUnsyncedStoreIsNoDamage() throws {
    let bench = Bench()
    try leave(bench, synchronous: false)
    #expect(try bench.disk.exists("shop/unsynced"))
    let image = Bench(disk: bench.disk.crashImage(.keepNothing))
    copyDatabase(bench.projections, to: image.projections)
    #expect(try inspect(image, isCheck: true).outcome == .sound)
    let opened = try image.open()
    try opened.makeSession().run("CREATE TABLE again(x)")
    try opened.close()
    // The file is another one now.
    try image.open().close()
    #expect(try !image.disk.exists("shop/unsynced"))
    let found = try inspect(image, isCheck: true)
    #expect(found.outcome == .sound, "\(found.lines)")
  }

  /// Segments at the beginning that nobody dropped: all rows are there, and who opens the store hears of it, each time.
  @Test func aFirstSegmentThatIsGoneIsTold() throws {
    let bench = Bench()
    var store = try bench.open()
    var session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
    for number in 1...3 {
      try session.run("BEGIN")
      for row in 0..<40 { try session.run("INSERT INTO t VALUES(\(number * 100 + row), 'some text of a length')") }
      try session.run("COMMIT")
    }
    try session.settle()
    try store.core.pipeline.flush()
    try store.close()
    #expect(store.takeNotices() == [])
    let names = try bench.disk.list("shop/log").filter { $0.hasSuffix(".log") }
    try #require(names.count > 3)
    for name in names.prefix(2) { try bench.disk.remove("shop/log/" + name) }
    for isReadOnly in [false, true, false] {
      store = try bench.open { $0.isReadOnly = isReadOnly }
      let first = store.core.pipeline.log.firstPosition
      #expect(first == 42)
      #expect(
        store.takeNotices() == [
          "the log in shop/log begins with position 42: no segment holds positions 1 to 41, and they were not dropped; "
            + "all rows are there, but sluice_events, AS OF and sluice tail lack these"
        ])
      session = try store.makeSession()
      #expect(try session.run("SELECT count(*) FROM t") == [[.integer(120)]])
      try store.close()
      #expect(store.takeNotices() == [])
    }
  }

  /// A copy of which the log was taken first, and projections.db when more had been written. What the message names is
  /// the way out: what is moved away shows all rows, and the store opens without them.
  @Test func aCopyOfAStoreThatIsWritten() throws {
    let scratch = Scratch()
    let (source, copy) = (scratch.file("s"), scratch.file("c"))
    let store = try Store.open(path: source)
    var session: Session? = try store.makeSession()
    try session?.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session?.run("INSERT INTO t VALUES(1),(2)")
    try session?.wait(for: .projected)
    _ = try runProcess("cp", ["-r", source, copy])
    try session?.run("INSERT INTO t VALUES(3)")
    try session?.wait(for: .projected)
    for suffix in ["", "-wal", "-shm"] { _ = try runProcess("cp", [source + "/projections.db" + suffix, copy]) }
    session = nil
    try store.close()
    for _ in 0..<2 {
      let error = storeError { _ = try Store.open(path: copy) }
      let way =
        "to go on without it, save what \(copy)/projections.db shows of it and move that file away, with its "
        + "-wal and -shm"
      #expect(error?.kind == .corrupt && error?.message.hasSuffix(way) == true, "\(error?.message ?? "opened")")
    }
    let aside = scratch.file("aside.db")
    for suffix in ["", "-wal", "-shm"] {
      _ = try runProcess("mv", [copy + "/projections.db" + suffix, aside + suffix])
    }
    #expect(try stockSQLite("SELECT group_concat(id) FROM t", database: aside).text == "1,2,3\n")
    let opened = try Store.open(path: copy)
    session = try opened.makeSession()
    try session?.run("INSERT INTO t VALUES(4)")
    try session?.wait(for: .projected)
    #expect(try session?.run("SELECT group_concat(id) FROM projections.t") == [[text("1,2,4")]])
    session = nil
    try opened.close()
  }

  /// Another store's file, a damaged one, one from before this store's log: none of them proves anything.
  @Test func whatIsNotThisStoresProvesNothing() throws {
    let (bench, other) = (Bench(), Bench())
    try leave(bench)
    try leave(other, seed: 2)
    try flip(bench)
    copyDatabase(other.projections, to: bench.projections)
    #expect(try count(bench) == 2)
  }
}
