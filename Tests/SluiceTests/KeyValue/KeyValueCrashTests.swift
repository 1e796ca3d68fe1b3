// A batch of raw keys is whole or not there, wherever the machine stops; and what commit acknowledged is there, or
// where groups are not synced, what flush brought into tables.
import SluiceLog
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct KeyValueCrashTests {
  /// Batch `round` gives each of ten keys, which lie on all shards, the value `round`.
  private func write(_ store: Store, from first: Int, acknowledged: inout Int) throws {
    let session = try store.makeKeyValueSession(space: 1)
    for round in first..<(first + 12) {
      try session.beginBatch()
      for key in 0..<10 { try session.put([UInt8(key)], [UInt8(round)]) }
      if round % 3 == 0 { try session.delete([200]) } else { try session.put([200], [UInt8(round)]) }
      try session.endBatch()
      let isSynchronous = store.core.options.synchronous
      if round % 2 == 0 {
        try session.commit()
        if isSynchronous { acknowledged = round }
      }
      if round % 5 == 4 {
        if !isSynchronous { try session.settle() }
        try store.flush()
        if !isSynchronous { acknowledged = round }
      }
    }
    try session.settle()
    if store.core.options.synchronous { acknowledged = first + 11 }
  }

  @Test(arguments: [true, false])
  func crashAtEveryFileCall(_ synchronous: Bool) throws {
    let seed = testSeed()
    let whole = Bench()
    let store = try whole.open { $0.synchronous = synchronous }
    var acknowledged = 0
    try write(store, from: 1, acknowledged: &acknowledged)
    try store.close()
    #expect(whole.disk.callCount > 60)
    for call in 1...whole.disk.callCount {
      let comment: Comment = "call \(call): \(repeatCommand(seed, "KeyValueCrashTests"))"
      let bench = Bench()
      bench.disk.crash(at: call, seed: seed)
      var acknowledged = 0
      do {
        let store = try bench.open { $0.synchronous = synchronous }
        defer { _ = storeError { try store.close(drain: false) } }
        try write(store, from: 1, acknowledged: &acknowledged)
      } catch { #expect((error as? StoreError)?.kind == .unavailable, "\(error); \(comment)") }
      let mode: CrashMode = [.keepAll, .keepNothing, .seeded(seed &+ UInt64(call))][call % 3]
      let after = Bench(disk: bench.disk.crashImage(mode))
      try check(after, acknowledged, comment)
    }
  }

  private func check(_ bench: Bench, _ acknowledged: Int, _ comment: Comment) throws {
    let store = try bench.open()
    let session = try store.makeKeyValueSession(space: 1)
    let rows = try session.rows()
    let found = rows.first.map { Int($0.value[0]) } ?? 0
    #expect(found >= acknowledged, comment)
    if found > 0 {
      let extra = found % 3 == 0 ? [] : [Row([200], [UInt8(found)])]
      #expect(rows == (0..<10).map { Row([UInt8($0)], [UInt8(found)]) } + extra, comment)
    } else {
      #expect(rows.isEmpty, comment)
    }
    var ignored = 0
    try write(store, from: 100, acknowledged: &ignored)
    #expect(try session.rows().allSatisfy { $0.value == [111] || $0.key == [200] }, comment)
    try store.close()
  }

  /// Commands with conditions work on raw keys as on rows, and replay comes to the same.
  @Test func conditions() throws {
    let bench = Bench()
    let store = try bench.open()
    let session = try store.makeKeyValueSession(space: 2)
    try session.put(bytes("taken"), bytes("1"))
    try session.settle()
    func send(_ rows: [(CommandKind, String, starts: Bool)]) throws {
      var builder = BatchBuilder()
      for (kind, key, starts) in rows {
        try bytes(key).withUnsafeBytes { key in
          let tableID = try KeySpace.tableID(2)
          _ = builder.append(
            kind: kind, startsStatement: starts, slot: store.core.router.slot(shardKey: key), line: 4,
            keyPrefix: tableID, key: key, value: key)
        }
      }
      let id = store.core.pipeline.openSession()
      try store.core.pipeline.submit(builder.seal(timeMicroseconds: 0, session: id))
      let rejections = try store.core.pipeline.wait { progress in
        progress.sessions[id].flatMap { $0.resolved == 1 ? $0.rejections : nil }
      }
      let refused = rows.contains { $0.0 == .insert && $0.1 == "taken" }
      #expect(rejections.map(\.message) == (refused ? ["UNIQUE constraint failed: key space 2"] : []))
    }
    try send([(.insert, "new", true), (.ignore, "taken", true), (.ignore, "other", true)])
    try send([(.put, "with", true), (.insert, "taken", false), (.put, "too", false), (.put, "alone", true)])
    let expected = ["alone", "new", "other", "taken"]
    #expect(try session.rows().map { String(decoding: $0.key, as: UTF8.self) } == expected)
    #expect(try session.get(bytes("taken")) == bytes("1"))
    try store.close(drain: false)
    let again = try bench.open()
    #expect(try again.makeKeyValueSession(space: 2).rows().map { String(decoding: $0.key, as: UTF8.self) } == expected)
    try again.close()
  }
}
