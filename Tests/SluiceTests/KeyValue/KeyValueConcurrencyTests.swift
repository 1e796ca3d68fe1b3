// Raw keys with the real threads: several sessions at once, readers that never see half a batch, and what was
// settled by one session read by another.
import SluiceLog
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Errors and findings of other threads.
private final class Findings: Sendable {
  private let list = Monitor<[String]>([])
  func add(_ text: String) { list.withLock { if $0.count < 20 { $0.append(text) } } }
  var all: [String] { list.withLock { $0 } }

  func thread(_ name: String, _ body: @escaping @Sendable () throws -> Void) throws -> SluiceSystem.Thread {
    try SluiceSystem.Thread(name: name) { [self] in
      do { try body() } catch { add("\(name): \(error)") }
    }
  }
}

@Suite struct KeyValueConcurrencyTests {
  private func options(_ scratch: Scratch) -> StoreOptions {
    var options = StoreOptions()
    options.memtableBudgetBytes = 256 << 10
    return options
  }

  @Test func twoWritersAndAReader() throws {
    let scratch = Scratch()
    let store = try Store.open(path: scratch.file("s"), options: options(scratch))
    let findings = Findings()
    let rounds = 3_000
    // Each writer gives its eight keys the same value in one batch; the reader never sees two values at once.
    let writers = try (0..<2).map { writer in
      try findings.thread("writer \(writer)") {
        let session = try store.makeKeyValueSession()
        for round in 1...rounds {
          try session.beginBatch()
          for key in 0..<8 { try session.put([UInt8(writer), UInt8(key)], Bytes("\(round)".utf8)) }
          try session.endBatch()
          if round % 50 == 0 { try session.commit() }
          let read = try session.get([UInt8(writer), UInt8(round % 8)])
          if read != Bytes("\(round)".utf8) {
            findings.add("\(writer) wrote \(round) and reads \(String(describing: read))")
          }
        }
        try session.settle()
      }
    }
    let isDone = Monitor(false)
    let reader = try findings.thread("reader") {
      let session = try store.makeKeyValueSession()
      let keys = (0..<2).flatMap { writer in (0..<8).map { [UInt8(writer), UInt8($0)] } }
      var last = [0, 0]
      while !isDone.withLock({ $0 }) {
        let rows = try session.multiGet(keys).map { $0.map { Int(String(decoding: $0, as: UTF8.self)) ?? -1 } ?? 0 }
        let scanned = try session.rows().map { Int(String(decoding: $0.value, as: UTF8.self)) ?? -1 }
        for writer in 0..<2 {
          let values = rows[writer * 8..<writer * 8 + 8]
          if Set(values).count > 1 { findings.add("half a batch: \(rows)") }
          if values.first! < last[writer] { findings.add("back from \(last[writer]) to \(values.first!)") }
          last[writer] = values.first!
          let part = scanned.dropFirst(writer * 8).prefix(8)
          if Set(part).count > 1 { findings.add("half a batch in a scan: \(scanned)") }
        }
      }
    }
    for writer in writers { writer.join() }
    isDone.withLock { $0 = true }
    reader.join()
    #expect(findings.all == [])
    let session = try store.makeKeyValueSession()
    #expect(try session.rows().allSatisfy { $0.value == Bytes("\(rounds)".utf8) })
    try store.close()
    let again = try Store.open(path: scratch.file("s"), options: options(scratch))
    #expect(try again.makeKeyValueSession().rows().count == 16)
    try again.close()
  }

  /// What one session settled another reads; while memtables are frozen and flushed all the time.
  @Test func settledByOneIsReadByAnother() throws {
    let scratch = Scratch()
    let store = try Store.open(path: scratch.file("s"), options: options(scratch))
    let findings = Findings()
    let turn = Monitor(0)
    let threads = try (0..<2).map { me in
      try findings.thread("player \(me)") {
        let session = try store.makeKeyValueSession()
        for round in 0..<400 where round % 2 == me {
          turn.wait { $0 >= round ? () : nil }
          if round > 0, try session.get(bytes("ball")) != Bytes("\(round - 1)".utf8) { findings.add("round \(round)") }
          try session.put(bytes("ball"), Bytes("\(round)".utf8))
          for filler in 0..<60 { try session.put(bytes("filler \(me) \(filler)"), Bytes(repeating: 1, count: 100)) }
          try session.settle()
          turn.update { $0 = round + 1 }
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(findings.all == [])
    try store.close()
  }

  /// A transaction of many generations replaces a key again and again. Flush passes over it while it is applied, and
  /// still readers find the old value until all of it is there.
  @Test func aReaderKeepsWhatALongTransactionReplaces() throws {
    let scratch = Scratch()
    var options = options(scratch)
    options.memtableBudgetBytes = 64 << 10
    let store = try Store.open(path: scratch.file("s"), options: options)
    let findings = Findings()
    let session = try store.makeKeyValueSession()
    try session.put(bytes("key"), bytes("old"))
    try session.settle()
    let pipeline = store.core.pipeline
    let staged = try pipeline.log.stage()
    for batch in 0..<200 {
      var builder = BatchBuilder()
      for index in 0..<500 {
        let name = index == 0 ? "key" : "filler \(batch) \(index)"
        name.utf8.withContiguousStorageIfAvailable { name in
          _ = builder.append(
            kind: .put, startsStatement: true, slot: store.core.router.slot(shardKey: UnsafeRawBufferPointer(name)),
            line: 0, keyPrefix: KeySpace.firstTableID, key: UnsafeRawBufferPointer(name),
            value: UnsafeRawBufferPointer(name))
        }
      }
      try staged.append(builder.seal(timeMicroseconds: 0))
    }
    try staged.finish()
    let flushedBefore = store.progress.flushed
    let isReading = Monitor(false)
    let reader = try findings.thread("reader") {
      let session = try store.makeKeyValueSession()
      var wasOld = 0
      isReading.update { $0 = true }
      while true {
        let value = try session.get(bytes("key"))
        if value == bytes("key") { break }
        if value != bytes("old") {
          findings.add("\(value ?? []) after \(wasOld) reads, flushed \(store.progress.flushed)")
        }
        wasOld += 1
      }
    }
    isReading.wait { $0 ? () : nil }
    try pipeline.submit(staged, session: 0)
    reader.join()
    #expect(findings.all == [])
    try store.flush()
    #expect(store.progress.flushed > flushedBefore + 99_000)
    #expect(try session.rows().count == 200 * 499 + 1)
    try store.close()
  }

  @Test func aPositionIsWholeUntilSomethingIsFoldedAboveIt() {
    let positions = ReadPositions()
    positions.raise(to: 10)
    let early = positions.visible
    #expect(early == 10 && positions.isWhole(at: early))
    #expect(positions.beginFolding() == 10)
    #expect(positions.isWhole(at: early))
    positions.raise(to: 11)
    #expect(positions.isWhole(at: early))
    #expect(positions.beginFolding() == 11)
    #expect(!positions.isWhole(at: early) && positions.isWhole(at: positions.visible))
  }
}
