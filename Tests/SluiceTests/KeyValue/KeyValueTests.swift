// Raw keys: what a session promises, one promise a test.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct KeyValueTests {
  @Test func ownWritesAreReadAtOnceAndOthersWhenSettled() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeKeyValueSession(space: 5)
    let other = try store.makeKeyValueSession(space: 5)
    try session.put(bytes("a"), bytes("1"))
    try session.put(bytes("b"), bytes("2"))
    try session.put(bytes("a"), bytes("3"))
    #expect(try session.get(bytes("a")) == bytes("3"))
    #expect(try other.get(bytes("a")) == nil)
    try session.settle()
    #expect(try other.get(bytes("a")) == bytes("3"))
    try session.delete(bytes("a"))
    #expect(try session.get(bytes("a")) == nil)
    #expect(try session.scan() == [Row(bytes("b"), bytes("2"))])
    #expect(try other.scan() == [Row(bytes("a"), bytes("3")), Row(bytes("b"), bytes("2"))])
    try session.commit()
    #expect(try session.get(bytes("a")) == nil)
    #expect(
      try session.multiGet([bytes("b"), bytes("a"), bytes("b"), bytes("c")]) == [bytes("2"), nil, bytes("2"), nil])
    try store.close()
  }

  @Test func spacesAreApart() throws {
    let bench = Bench()
    let store = try bench.open()
    let sessions = try [0, 1, 65_535].map { try store.makeKeyValueSession(space: $0) }
    for (index, session) in sessions.enumerated() {
      try session.put(bytes("k"), [UInt8(index)])
      try session.put([0xff, 0xff], [UInt8(index + 10)])
      try session.settle()
    }
    for (index, session) in sessions.enumerated() {
      #expect(try session.scan() == [Row(bytes("k"), [UInt8(index)]), Row([0xff, 0xff], [UInt8(index + 10)])])
      #expect(try session.rows(.all, .descending).map(\.key) == [[0xff, 0xff], bytes("k")])
    }
    for space in [-1, 65_536] {
      let error = storeError { _ = try store.makeKeyValueSession(space: space) }
      #expect(error?.message == "there is no key space \(space): they are numbered 0 to 65535")
    }
    try store.close()
  }

  @Test func limitsAreErrors() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeKeyValueSession()
    let longest = Bytes(repeating: 7, count: KeyValueSession.keyLimitBytes)
    try session.put(longest, bytes("v"))
    try session.put(bytes("empty"), [])
    func refused(_ body: () throws -> Void, _ words: String) {
      let error = storeError(body)
      #expect(error?.kind == .invalid && error?.message.contains(words) == true, "\(words): \(error?.message ?? "")")
    }
    refused({ try session.put(longest + [1], []) }, "key too big: 16381 bytes, at most 16380")
    refused({ try session.put([], []) }, "the key is empty")
    refused({ try session.delete([]) }, "the key is empty")
    refused({ _ = try session.get([]) }, "the key is empty")
    refused({ _ = try session.multiGet([bytes("k"), longest + [1]]) }, "key too big")
    let large = Bytes(repeating: 1, count: KeyValueSession.valueLimitBytes + 1)
    refused({ try session.put(bytes("k"), large) }, "value too big: 67108865 bytes, at most 67108864")
    refused({ try session.endBatch() }, "no batch is open")
    refused({ try session.cancelBatch() }, "no batch is open")
    try session.beginBatch()
    refused({ try session.beginBatch() }, "open already")
    refused({ try session.commit() }, "a batch is open")
    refused({ try session.settle() }, "a batch is open")
    refused({ try session.put([], []) }, "the key is empty")
    try session.put(bytes("in"), bytes("batch"))
    try session.endBatch()
    try session.settle()
    #expect(try session.rows().map(\.key) == [longest, bytes("empty"), bytes("in")])
    #expect(try session.get(bytes("empty")) == [])
    try store.close()
  }

  @Test func aBatchIsOneStatementAndMayBeCancelled() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeKeyValueSession()
    try session.put(bytes("a"), bytes("0"))
    try session.beginBatch()
    try session.put(bytes("a"), bytes("1"))
    try session.put(bytes("b"), bytes("1"))
    #expect(try session.get(bytes("a")) == bytes("1"))
    #expect(try session.scan().count == 2)
    try session.cancelBatch()
    #expect(try session.get(bytes("a")) == bytes("0"))
    #expect(try session.get(bytes("b")) == nil)
    #expect(try session.scan() == [Row(bytes("a"), bytes("0"))])
    try session.beginBatch()
    try session.endBatch()
    try session.beginBatch()
    for index in 0..<5 { try session.put(bytes("n\(index)"), bytes("2")) }
    try session.endBatch()
    try session.put(bytes("z"), bytes("3"))
    try session.commit()
    // Statements of the batch as the log has them: a, the five, z.
    let reader = try store.core.pipeline.log.reader(after: 0, upTo: store.lastPosition)
    var starts: [Bool] = []
    while let record = try reader.next() {
      guard case .commands(let batch, _) = record else { continue }
      var commands = batch.commands()
      while let command = commands.next() { starts.append(command.startsStatement) }
    }
    #expect(starts == [true, true, false, false, false, false, true])
    try store.close()
  }

  /// Rows that do not fit refuse the batch as a whole; the session goes on.
  @Test func aBatchTooLargeIsRefusedWhole() throws {
    var bench = Bench()
    bench.disk = SimulatedFileSystem()
    let store = try bench.open { $0.memtableBudgetBytes = 1 << 30 }
    let session = try store.makeKeyValueSession()
    try session.put(bytes("before"), bytes("1"))
    let value = Bytes(repeating: 9, count: KeyValueSession.valueLimitBytes)
    try session.beginBatch()
    for index in 0..<3 { try session.put(bytes("large \(index)"), value) }
    let error = try #require(storeError { try session.put(bytes("large 3"), value) })
    #expect(error.kind == .invalid && error.message.contains("batch too big"))
    #expect(try session.get(bytes("large 0")) == nil)
    #expect(storeError { try session.put(bytes("small"), []) }?.message == error.message)
    #expect(storeError { try session.endBatch() }?.message == error.message)
    try session.put(bytes("after"), bytes("2"))
    try session.settle()
    #expect(try session.rows().map(\.key) == [bytes("after"), bytes("before")])
    try store.close()
  }

  @Test func iteratorsKeepTheirMoment() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeKeyValueSession()
    for index in 0..<50 { try session.put(bytes("k\(index + 10)"), bytes("old")) }
    try session.settle()
    try session.put(bytes("k10"), bytes("own"))
    try session.delete(bytes("k11"))
    let forward = try session.makeIterator()
    let backward = try session.makeIterator(.prefix(bytes("k1")), .descending)
    for index in 0..<2_000 { try session.put(bytes("k\(index % 60)"), bytes("new \(index)")) }
    try session.settle()
    try store.flush()
    var keys: [String] = []
    while try forward.next() {
      keys.append(String(decoding: forward.key, as: UTF8.self))
      #expect(Bytes(forward.value) == bytes(keys.last == "k10" ? "own" : "old"))
    }
    #expect(keys == (10..<60).map { "k\($0)" }.filter { $0 != "k11" })
    keys = []
    while try backward.next() { keys.append(String(decoding: backward.key, as: UTF8.self)) }
    #expect(keys == ["k19", "k18", "k17", "k16", "k15", "k14", "k13", "k12", "k10"])
    try store.close()
  }

  @Test func rangesAndPrefixes() throws {
    #expect(KeyRange.prefix([1, 0xff]) == KeyRange(lower: [1, 0xff], upper: [2]))
    #expect(KeyRange.prefix([0xff, 0xff]) == KeyRange(lower: [0xff, 0xff], upper: nil))
    #expect(KeyRange.prefix([]) == .all)
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeKeyValueSession()
    let keys: [Bytes] = [
      [0], [0, 0], [0, 1], [1], [1, 0xff], [1, 0xff, 3], [2], [0xff], [0xff, 0xff], [0xff, 0xff, 1],
    ]
    for key in keys.shuffled() { try session.put(key, key) }
    for _ in 0..<2 {
      func found(_ range: KeyRange) throws -> [Bytes] { try session.rows(range).map(\.key) }
      #expect(try found(.all) == keys)
      #expect(try found(.prefix([1, 0xff])) == [[1, 0xff], [1, 0xff, 3]])
      #expect(try found(.prefix([0xff, 0xff])) == [[0xff, 0xff], [0xff, 0xff, 1]])
      #expect(try found(KeyRange(lower: [0, 1], upper: [2])) == [[0, 1], [1], [1, 0xff], [1, 0xff, 3]])
      #expect(try found(KeyRange(lower: [3], upper: [2])) == [])
      #expect(try session.scan(from: [1, 0xff, 0], limit: 2).map(\.key) == [[1, 0xff, 3], [2]])
      #expect(try session.scan(from: [0], limit: 0) == [])
      try session.settle()
    }
    try store.close()
  }

  @Test func aShellSeesNoTable() throws {
    let bench = Bench()
    let store = try bench.open()
    let raw = try store.makeKeyValueSession(space: 3)
    for index in 0..<300 { try raw.put(bytes("k\(index)"), bytes("v")) }
    try raw.settle()
    let session = try store.makeSession()
    #expect(session.tableNames().isEmpty)
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.run("INSERT INTO t VALUES(1)")
    try raw.put(bytes("k0"), bytes("w"))
    try raw.commit()
    #expect(try session.run("SELECT count(*) FROM t") == [[.integer(1)]])
    #expect(session.tableNames() == ["t"])
    try store.close()
    removeDatabase(bench.projections)
    let again = try bench.open()
    let reopened = try again.makeSession()
    #expect(try reopened.run("SELECT * FROM t") == [[.integer(1)]])
    #expect(
      try reopened.run("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sluice_*'")
        == [[text("t")]])
    #expect(try again.makeKeyValueSession(space: 3).scan().count == 300)
    try again.close()
  }

  @Test func tablesNeverReachKeySpaces() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeSession()
    try session.run("CREATE TABLE a(x)")
    // A drop that says how many ids were given out.
    try session.change(
      CatalogChange(operation: .drop, object: .table, tableID: 0xfeff_fffe, name: "a"), line: 1)
    try store.close()
    let again = try bench.open()
    let reopened = try again.makeSession()
    try reopened.run("CREATE TABLE last(x)")
    for _ in 0..<2 {
      let error = storeError { try reopened.run("CREATE TABLE refused(x)") }
      #expect(error?.kind == .unavailable && error?.message.contains("no number is left for a table") == true)
    }
    try reopened.run("INSERT INTO last VALUES(1)")
    #expect(try reopened.run("SELECT * FROM last") == [[.integer(1)]])
    try again.close()
  }

  /// Raw keys cost the projector neither a transaction nor a thread's waking, and rows among them are mirrored.
  @Test func rawKeysPassTheProjector() throws {
    let bench = Bench()
    var store = try bench.open()
    var raw = try store.makeKeyValueSession()
    var session = try store.makeSession()
    try session.run("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    try session.wait(for: .projected)
    let checkpoint = store.core.projector.file.checkpoint
    for index in 0..<100 {
      try raw.put(bytes("k\(index)"), bytes("v"))
      try raw.settle()
    }
    #expect(store.progress.projected == store.lastPosition)
    #expect(store.core.projector.file.checkpoint == checkpoint)
    #expect(
      store.core.pipeline.projectorQueue.backlog == (0, 0) || store.core.pipeline.projectorQueue.backlog == (1, 0))
    try session.run("INSERT INTO t VALUES(1)")
    try raw.put(bytes("last"), bytes("v"))
    try raw.settle()
    #expect(try session.run("SELECT id FROM t") == [[.integer(1)]])
    try store.close()
    store = try bench.open()
    #expect(store.core.projector.file.checkpoint == store.lastPosition)
    // Left without draining: what is behind the checkpoint is read from the log.
    session = try store.makeSession()
    raw = try store.makeKeyValueSession()
    for index in 2..<50 {
      try session.run("INSERT INTO t VALUES(\(index))")
      try session.settle()
      try raw.put(bytes("k\(index)"), bytes("w"))
      try raw.commit()
    }
    try store.close(drain: false)
    store = try bench.open()
    #expect(try store.makeSession().run("SELECT count(*) FROM t") == [[.integer(49)]])
    try store.close()
  }
}
