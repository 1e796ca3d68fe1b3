// A hash index over the commands of one batch: where the newest write of a key stands. It keeps no keys, only offsets
// into the batch's body, so it costs 8 bytes a place, at most half of them taken, and setting a key that is new touches
// one cache line. Unsafe by nature: named in the tidy test.
import SluiceLog
import SluiceSystem

/// Open addressing with linear probing. Owned, and freed, by `PendingWrites`; a copy shares its memory.
struct WriteIndex {
  /// Upper half of the key's hash, then the command's offset plus 1; 0 is a free place.
  private var places: UnsafeMutablePointer<UInt64>
  /// Lower half of a place whose key was taken back.
  private static let vacant: UInt64 = 0xffff_ffff

  private var mask: Int
  private var room: Int
  private(set) var count = 0

  init() {
    room = 64
    mask = room - 1
    places = .allocate(capacity: room)
    places.initialize(repeating: 0, count: room)
  }

  func free() { places.deallocate() }

  /// Bytes allocated.
  var sizeBytes: Int { room * MemoryLayout<UInt64>.stride }

  /// Forgets everything and makes room for about `expected` keys; what was allocated is kept.
  mutating func clear(expecting expected: Int) {
    var capacity = 64
    while capacity < expected * 2 { capacity *= 2 }
    if capacity > room { reallocate(capacity) }
    mask = capacity - 1
    places.update(repeating: 0, count: capacity)
    count = 0
  }

  /// Where the newest write of `key` begins in `body`, or -1. `key` is the whole engine key. About 3 ns when there is
  /// none.
  @inline(__always)
  func find(_ key: UnsafeRawBufferPointer, hash: UInt64, in body: UnsafeRawBufferPointer) -> Int {
    let tag = hash & 0xffff_ffff_0000_0000
    var place = Int(truncatingIfNeeded: hash >> 32) & mask
    while true {
      let found = places[place]
      if found == 0 { return -1 }
      if found & 0xffff_ffff_0000_0000 == tag, found & Self.vacant != Self.vacant {
        let offset = Int(truncatingIfNeeded: found & 0xffff_ffff) &- 1
        if Self.isKey(key, at: offset, of: body) { return offset }
      }
      place = (place &+ 1) & mask
    }
  }

  /// Notes that the command at `offset` of `body` is the newest write of its key. Returns where the one before it
  /// begins, or -1.
  @inline(__always) @discardableResult
  mutating func set(hash: UInt64, offset: Int, in body: UnsafeRawBufferPointer) -> Int {
    var previous = -1
    if count &* 2 > mask { grow() }
    let tag = hash & 0xffff_ffff_0000_0000
    var place = Int(truncatingIfNeeded: hash >> 32) & mask
    while true {
      let found = places[place]
      if found == 0 {
        count &+= 1
        break
      }
      if found & 0xffff_ffff_0000_0000 == tag, found & Self.vacant != Self.vacant {
        var reader = CommandReader(body: body, offset: offset)
        let other = Int(truncatingIfNeeded: found & 0xffff_ffff) &- 1
        if let command = reader.next(), Self.isKey(command.key, at: other, of: body) {
          previous = other
          break
        }
      }
      place = (place &+ 1) & mask
    }
    places[place] = tag | UInt64(truncatingIfNeeded: offset &+ 1)
    return previous
  }

  /// Takes back a `set` of `offset` that found `previous`: the newest first.
  mutating func takeBack(hash: UInt64, offset: Int, previous: Int) {
    let tag = hash & 0xffff_ffff_0000_0000
    let newest = tag | UInt64(truncatingIfNeeded: offset &+ 1)
    var place = Int(truncatingIfNeeded: hash >> 32) & mask
    while places[place] != newest {
      invariant(places[place] != 0, "the index does not hold what is taken back")
      place = (place &+ 1) & mask
    }
    // The place stays taken: keys behind it are found through it.
    places[place] = tag | (previous < 0 ? Self.vacant : UInt64(truncatingIfNeeded: previous &+ 1))
  }

  private static func isKey(_ key: UnsafeRawBufferPointer, at offset: Int, of body: UnsafeRawBufferPointer) -> Bool {
    var reader = CommandReader(body: body, offset: offset)
    guard let command = reader.next() else { return false }
    return compareBytes(command.key, key) == 0
  }

  @inline(never)
  private mutating func grow() {
    let old = places
    let oldCapacity = mask + 1
    let capacity = oldCapacity * 2
    let moved: UnsafeMutablePointer<UInt64> = .allocate(capacity: capacity)
    moved.initialize(repeating: 0, count: capacity)
    mask = capacity - 1
    for index in 0..<oldCapacity where old[index] != 0 {
      var place = Int(truncatingIfNeeded: old[index] >> 32) & mask
      while moved[place] != 0 { place = (place &+ 1) & mask }
      moved[place] = old[index]
    }
    old.deallocate()
    places = moved
    room = capacity
  }

  private mutating func reallocate(_ capacity: Int) {
    places.deallocate()
    places = .allocate(capacity: capacity)
    places.initialize(repeating: 0, count: capacity)
    room = capacity
  }
}
