// The highest key seen of each SQL table: a key above it cannot exist, which one comparison tells. This is the whole
// cost of "must not exist" for rising keys.
//
// A ceiling may be higher than any live key (deleted, rolled back), never lower. While the memtable that holds its key
// is active it points into batch memory; then, and before anything is taken back, it has a copy of its own.
// Used by the applier's thread only.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

final class KeyCeilings {
  private struct Ceiling {
    var table: UInt32
    /// Whether the tables on disk were asked.
    var isComplete = false
    var order: UInt128 = 0
    var key: UnsafeRawPointer?
    var size = -1
    /// The copy that `key` points to, if it has one.
    var copy: UnsafeMutableRawPointer?
  }

  private var ceilings: [Ceiling] = []
  private var places: [UInt32: Int] = [:]
  private var lastPlace = 0

  deinit { for ceiling in ceilings { ceiling.copy?.deallocate() } }

  @inline(__always)
  private func place(_ table: UInt32) -> Int {
    if lastPlace < ceilings.count, ceilings[lastPlace].table == table { return lastPlace }
    return findPlace(table)
  }

  @inline(never)
  private func findPlace(_ table: UInt32) -> Int {
    if let place = places[table] {
      lastPlace = place
      return place
    }
    ceilings.append(Ceiling(table: table))
    lastPlace = ceilings.count - 1
    places[table] = lastPlace
    return lastPlace
  }

  /// Raises the ceiling to an appended key, whose memory stays while the memtable is active. About 3 ns.
  @inline(__always)
  func raise(_ key: UnsafeRawBufferPointer, order: UInt128) {
    let place = place(UInt32(truncatingIfNeeded: order >> 96))
    if isAbove(key, order, place) {
      ceilings[place].order = order
      ceilings[place].key = key.baseAddress
      ceilings[place].size = key.count
    }
  }

  @inline(__always)
  private func isAbove(_ key: UnsafeRawBufferPointer, _ order: UInt128, _ place: Int) -> Bool {
    if ceilings[place].size < 0 { return true }
    if order != ceilings[place].order { return order > ceilings[place].order }
    return compareKeyTails(key.baseAddress, key.count, ceilings[place].key, ceilings[place].size) > 0
  }

  /// Whether `key` is above everything seen of its SQL table; nil while the tables on disk were not asked.
  @inline(__always)
  func isAbove(_ key: UnsafeRawBufferPointer, order: UInt128) -> Bool? {
    let place = place(UInt32(truncatingIfNeeded: order >> 96))
    return ceilings[place].isComplete ? isAbove(key, order, place) : nil
  }

  /// Takes in the highest key that the tables on disk have of an SQL table (nil: none).
  func complete(_ table: UInt32, with key: [UInt8]?) {
    let place = place(table)
    ceilings[place].isComplete = true
    guard let key else { return }
    key.withUnsafeBytes { bytes in
      let order = keyOrder(bytes)
      if isAbove(bytes, order, place) {
        ceilings[place].order = order
        copy(bytes, to: place)
      }
    }
  }

  private func copy(_ bytes: UnsafeRawBufferPointer, to place: Int) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes.count, 1), alignment: 8)
    if let source = bytes.baseAddress { memory.copyMemory(from: source, byteCount: bytes.count) }
    ceilings[place].copy?.deallocate()
    ceilings[place].copy = memory
    ceilings[place].key = UnsafeRawPointer(memory)
    ceilings[place].size = bytes.count
  }

  /// Copies every key that still stands in batch memory.
  func detach() {
    for place in ceilings.indices where ceilings[place].size > 0 {
      let ceiling = ceilings[place]
      if let copy = ceiling.copy, ceiling.key == UnsafeRawPointer(copy) { continue }
      copy(UnsafeRawBufferPointer(start: ceiling.key, count: ceiling.size), to: place)
    }
  }
}
