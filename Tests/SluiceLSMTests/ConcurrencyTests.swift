// Readers beside the applier and the compactor. Run under the thread sanitizer too.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

private final class Shared: @unchecked Sendable {
  let engine: Engine
  /// The position that readers may ask for, and whether the writer is done.
  let progress = Monitor((visible: UInt64(0), done: false))
  let failures = Monitor([String]())

  init(_ engine: Engine) { self.engine = engine }
}

/// Each batch writes its number under the same 16 keys: a reader must see one number, and never an older one than
/// before.
@Test func concurrentReadersSeeWholeBatches() throws {
  let shared = Shared(try openEngine(SimulatedFileSystem()))
  let batches: UInt64 = 1500
  let readers = try (0..<2).map { number in
    try Thread(name: "reader-\(number)") {
      var last: UInt64 = 0
      var done = false
      while !done {
        let (visible, isDone) = shared.progress.withLock { $0 }
        done = isDone
        shared.engine.keepVersions(from: 0)
        do {
          let rows = try shared.engine.snapshot(at: visible).rows(lower: makeKey(1, []), upper: makeKey(2, []))
          let values = Set(rows.map { (row: Row) -> UInt64 in UInt64(row.value[0]) << 8 | UInt64(row.value[1]) })
          let value = values.max() ?? 0
          if values.count > 1 || value < last || value < visible / 17 || rows.count != (visible == 0 ? 0 : 16) {
            shared.failures.withLock { $0.append("at \(visible): \(rows.count) rows, values \(values), last \(last)") }
          }
          last = value
        } catch { shared.failures.withLock { $0.append("\(error)") } }
      }
    }
  }
  let compactor = try Thread(name: "compactor") {
    while true {
      let done = shared.progress.withLock { $0.done }
      do {
        while try shared.engine.flush() {}
        _ = try shared.engine.compact()
      } catch { shared.failures.withLock { $0.append("\(error)") } }
      if done { return }
    }
  }
  var random = SeededRandom(seed: 2)
  for batch in 1...batches {
    let memory = TestBatch()
    let base = (batch - 1) * 17
    for key in (0..<16).shuffled(using: &random) {
      let value = [UInt8(batch >> 8), UInt8(batch & 0xff)]
      let position = base + UInt64(key) + 1
      shared.engine.append(put(position, makeKey(1, UInt64(key)), value), in: memory)
    }
    shared.engine.append(put(batch * 17, makeKey(2, batch), [0]), in: memory)
    shared.engine.publish(upTo: batch * 17, owner: memory)
    if batch % 20 == 0 { shared.engine.freeze(at: batch * 17) }
    shared.progress.withLock { $0.visible = batch * 17 }
  }
  shared.progress.withLock { $0.done = true }
  for reader in readers { reader.join() }
  compactor.join()
  #expect(shared.failures.withLock { $0 } == [])
  #expect(shared.engine.statistics().compactedBytes > 0)
}
