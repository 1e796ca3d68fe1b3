// A hash index over the keys of one memtable: what "must not exist" asks when keys do not rise.
//
// Open addressing with linear probing, 24 bytes a place, at most 70 % full; the place comes from the upper half of the
// hash, which the index keeps, so growing touches no key. The applier writes it; once its memtable
// is frozen it never changes and anybody may read it (`@unchecked Sendable`).
// Unsafe by nature: named in the tidy test.
import SluiceSystem

final class KeyIndex: @unchecked Sendable {
  private struct Place {
    /// Address of the key; 0 for a free place, 1 for one whose key was taken back.
    var key: UInt
    /// Upper half of the hash, then the size of the key.
    var tag: UInt64
    /// Trailer of the newest version.
    var trailer: UInt64
  }

  private var places: UnsafeMutablePointer<Place>
  private var mask: Int
  private var used = 0

  init(expecting count: Int) {
    // It grows by itself: of 256 shards each begins with little.
    var capacity = 256
    while capacity * 7 / 10 <= count { capacity *= 2 }
    mask = capacity - 1
    places = .allocate(capacity: capacity)
    places.initialize(repeating: Place(key: 0, tag: 0, trailer: 0), count: capacity)
  }

  deinit { places.deallocate() }

  /// Size in bytes.
  var byteCount: Int { (mask + 1) * MemoryLayout<Place>.stride }

  @inline(__always)
  private static func tag(_ hash: UInt64, _ size: Int) -> UInt64 { hash & 0xffff_ffff_0000_0000 | UInt64(size) }

  @inline(__always)
  private func find(_ key: UnsafeRawBufferPointer, _ hash: UInt64) -> Int? {
    let tag = Self.tag(hash, key.count)
    var index = Int(truncatingIfNeeded: hash >> 32) & mask
    while true {
      let place = places + index
      if place.pointee.key == 0 { return nil }
      if place.pointee.tag == tag, place.pointee.key > 1 {
        let other = UnsafeRawBufferPointer(
          start: UnsafeRawPointer(bitPattern: place.pointee.key), count: key.count)
        if compareBytes(other, key) == 0 { return index }
      }
      index = (index &+ 1) & mask
    }
  }

  /// Trailer of the newest version of `key`; 0 when this memtable has none. Usually one cache miss.
  func trailer(of key: UnsafeRawBufferPointer, hash: UInt64) -> UInt64 {
    guard let index = find(key, hash) else { return 0 }
    return places[index].trailer
  }

  /// Notes a newer version of `key`, whose memory stays; returns the trailer before (0: none).
  func set(_ key: UnsafeRawBufferPointer, hash: UInt64, trailer: UInt64) -> UInt64 {
    if let index = find(key, hash) {
      let before = places[index].trailer
      places[index].trailer = trailer
      return before
    }
    if (used &+ 1) &* 10 > (mask &+ 1) &* 7 { grow() }
    place(Place(key: UInt(bitPattern: key.baseAddress), tag: Self.tag(hash, key.count), trailer: trailer))
    return 0
  }

  /// Takes the newest version back: `trailer` is what `set` returned. A key that was new is forgotten with its memory.
  func restore(_ key: UnsafeRawBufferPointer, hash: UInt64, trailer: UInt64) {
    guard let index = find(key, hash) else { return }
    if trailer == 0 { places[index] = Place(key: 1, tag: 0, trailer: 0) } else { places[index].trailer = trailer }
  }

  private func place(_ new: Place) {
    var index = Int(truncatingIfNeeded: new.tag >> 32) & mask
    while places[index].key != 0 { index = (index &+ 1) & mask }
    places[index] = new
    used &+= 1
  }

  private func grow() {
    let old = places
    let count = mask + 1
    mask = count * 2 - 1
    places = .allocate(capacity: count * 2)
    places.initialize(repeating: Place(key: 0, tag: 0, trailer: 0), count: count * 2)
    used = 0
    for index in 0..<count where old[index].key > 1 { place(old[index]) }
    old.deallocate()
  }
}
