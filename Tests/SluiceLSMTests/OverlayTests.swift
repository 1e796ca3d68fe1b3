// What a writer has not handed over, in key order: the newest entry of a key counts, copies stay as they are, and an
// entry is moved a few times however often somebody reads in between.
import SluiceSystem
import SluiceTesting
import Testing

@testable import SluiceLSM

@Suite struct OverlayTests {
  /// Keys with values behind them, in memory that stays.
  private final class Memory {
    let batch = TestBatch()

    func add(_ key: [UInt8], _ value: UInt8, kind: EntryKind, to overlay: inout EntryOverlay, place: Int) {
      let bytes = batch.add(key + [value])
      overlay.add(
        key: UnsafeRawBufferPointer(rebasing: bytes[..<key.count]), kind: kind,
        value: UnsafeRawBufferPointer(rebasing: bytes[key.count...]), place: UInt64(place))
    }
  }

  private func rows(_ overlay: EntryOverlay, isForward: Bool) throws -> [[UInt8]] {
    let engine = try openEngine(SimulatedFileSystem())
    let iterator = MergeIterator(
      [engine.snapshot(at: 0)], lower: nil, upper: nil, isForward: isForward, overlay: overlay)
    var result: [[UInt8]] = []
    while try iterator.next() { result.append([UInt8](iterator.current.key) + [UInt8](iterator.current.value)) }
    return result
  }

  @Test(arguments: [1, 2, 3])
  func theNewestCounts(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let memory = Memory()
    defer { withExtendedLifetime(memory) {} }
    var overlay = EntryOverlay()
    var model: [UInt64: UInt8] = [:]
    for place in 0..<2_000 {
      let number = UInt64(random.chance(1, of: 3) ? place : random.below(300))
      let value = UInt8(truncatingIfNeeded: place)
      let isDeleted = random.chance(1, of: 5)
      memory.add(makeKey(1, number), value, kind: isDeleted ? .tombstone : .put, to: &overlay, place: place)
      model[number] = isDeleted ? nil : value
      if random.chance(1, of: 4) { overlay.order() }
      if place % 400 == 399 {
        overlay.order()
        let copy = overlay
        let expected = model.keys.sorted().map { makeKey(1, $0) + [model[$0] ?? 0] }
        #expect(try rows(overlay, isForward: true) == expected)
        #expect(try rows(overlay, isForward: false) == expected.reversed())
        let part = makeKey(1, 100).withUnsafeBytes { low in
          makeKey(1, 200).withUnsafeBytes { high in overlay.copy(lower: low, upper: high) }
        }
        #expect(
          try rows(part, isForward: true)
            == model.keys.filter { (100..<200).contains($0) }.sorted().map { makeKey(1, $0) + [model[$0] ?? 0] })
        // What comes later does not show in a copy.
        memory.add(makeKey(1, 1 << 40), 1, kind: .put, to: &overlay, place: 1 << 20 + place)
        overlay.order()
        #expect(try rows(copy, isForward: true) == expected)
        model[1 << 40] = 1
      }
    }
  }

  /// Entries that are read after each: rising, falling and shuffled keys.
  @Test(arguments: [1, -1, 7])
  func entriesAreMovedAFewTimes(_ step: Int) {
    func moved(_ count: Int) -> Int {
      let memory = Memory()
      defer { withExtendedLifetime(memory) {} }
      var overlay = EntryOverlay()
      for place in 0..<count {
        let number = step > 0 ? place * step % count : count - place
        memory.add(makeKey(1, UInt64(number)), 0, kind: .put, to: &overlay, place: place)
        overlay.order()
      }
      return overlay.movedCount
    }
    #expect(moved(10_000) < 20 * moved(1_000))
  }
}
