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

    @inline(__always)
    func isBelow(_ key: SearchKey) -> Bool {
      if key.order != order { return key.order > order || size < 0 }
      return size < 0 || compareKeyTails(key.bytes.baseAddress, key.bytes.count, self.key, size) > 0
    }

    mutating func take(_ bytes: UnsafeRawBufferPointer) {
      let memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes.count, 1), alignment: 8)
      if let source = bytes.baseAddress { memory.copyMemory(from: source, byteCount: bytes.count) }
      copy?.deallocate()
      copy = memory
      key = UnsafeRawPointer(memory)
      size = bytes.count
    }
  }

  private var places: [UInt32: UnsafeMutablePointer<Ceiling>] = [:]
  /// The ceiling asked for last: batches stay with one SQL table for long.
  private var last: UnsafeMutablePointer<Ceiling>

  init() {
    last = .allocate(capacity: 1)
    last.initialize(to: Ceiling(table: 0))
    places[0] = last
  }

  deinit {
    for ceiling in places.values {
      ceiling.pointee.copy?.deallocate()
      ceiling.deallocate()
    }
  }

  @inline(__always)
  private func ceiling(_ table: UInt32) -> UnsafeMutablePointer<Ceiling> {
    let last = last
    return last.pointee.table == table ? last : findCeiling(table)
  }

  @inline(never)
  private func findCeiling(_ table: UInt32) -> UnsafeMutablePointer<Ceiling> {
    if let found = places[table] {
      last = found
      return found
    }
    let new = UnsafeMutablePointer<Ceiling>.allocate(capacity: 1)
    new.initialize(to: Ceiling(table: table))
    places[table] = new
    last = new
    return new
  }

  /// Raises the ceiling to an appended key, whose memory stays while the memtable is active. About 2 ns.
  @inline(__always)
  func raise(_ key: SearchKey) {
    let ceiling = ceiling(key.table)
    if ceiling.pointee.isBelow(key) {
      ceiling.pointee.order = key.order
      ceiling.pointee.key = key.bytes.baseAddress
      ceiling.pointee.size = key.bytes.count
    }
  }

  /// Whether `key` is above everything seen of its SQL table; nil while the tables on disk were not asked.
  @inline(__always)
  func isAbove(_ key: SearchKey) -> Bool? {
    let ceiling = ceiling(key.table)
    return ceiling.pointee.isComplete ? ceiling.pointee.isBelow(key) : nil
  }

  /// Takes in the highest key that the tables on disk have of an SQL table (nil: none).
  func complete(_ table: UInt32, with key: [UInt8]?) {
    let ceiling = ceiling(table)
    ceiling.pointee.isComplete = true
    guard let key else { return }
    key.withUnsafeBytes { bytes in
      let key = SearchKey(bytes)
      if ceiling.pointee.isBelow(key) {
        ceiling.pointee.order = key.order
        ceiling.pointee.take(bytes)
      }
    }
  }

  /// Copies every key that still stands in batch memory.
  func detach() {
    for ceiling in places.values where ceiling.pointee.size > 0 {
      if let copy = ceiling.pointee.copy, ceiling.pointee.key == UnsafeRawPointer(copy) { continue }
      ceiling.pointee.take(UnsafeRawBufferPointer(start: ceiling.pointee.key, count: ceiling.pointee.size))
    }
  }
}
