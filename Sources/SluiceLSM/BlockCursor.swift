// Walks the entries of one block. Every number is checked against the block before it is used.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// A place in a block. The block's memory is kept alive by whoever holds the cursor.
struct BlockCursor: ~Copyable {
  enum Step { case entry, end, corrupt }

  private var base = UnsafeRawPointer(bitPattern: 8)!
  private var entriesEnd = 0
  private var restartCount = 0
  private var basePosition: UInt64 = 0
  private var next = 0
  private var keyMemory: UnsafeMutableRawPointer
  private var keyRoom = 128
  private(set) var keySize = 0
  private(set) var trailer: UInt64 = 0
  private(set) var value = UnsafeRawBufferPointer(start: nil, count: 0)

  init() { keyMemory = .allocate(byteCount: keyRoom, alignment: 8) }

  deinit { keyMemory.deallocate() }

  /// The key of the current entry. Valid until the next step.
  var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: keyMemory, count: keySize) }

  /// Takes a block's content and stands before its first entry; false when its frame is damaged.
  mutating func open(_ content: UnsafeRawBufferPointer) -> Bool {
    close()
    guard content.count >= BlockFormat.leastSize, let start = content.baseAddress else { return false }
    let count = Int(UInt32(littleEndian: content.loadUnaligned(fromByteOffset: content.count - 4, as: UInt32.self)))
    guard count >= 1, count <= (content.count - BlockFormat.headSize - 4) / 4 else { return false }
    base = start
    entriesEnd = content.count - 4 - count * 4
    restartCount = count
    basePosition = UInt64(littleEndian: content.loadUnaligned(as: UInt64.self))
    next = BlockFormat.headSize
    return true
  }

  /// Stands at the end of nothing.
  mutating func close() {
    entriesEnd = 0
    restartCount = 0
    next = 0
    keySize = 0
  }

  /// Count of restarts: in an index block, of entries.
  var restarts: Int { restartCount }

  private func restartOffset(_ index: Int) -> Int {
    Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: entriesEnd + index * 4, as: UInt32.self)))
  }

  /// Stands before the entry of a restart; false when its offset is damaged.
  mutating func moveTo(restart index: Int) -> Bool {
    let offset = restartOffset(index)
    guard offset >= BlockFormat.headSize, offset < entriesEnd else { return false }
    next = offset
    keySize = 0
    return true
  }

  /// Goes to the next entry. About 5 ns.
  mutating func step() -> Step {
    guard next < entriesEnd else { return .end }
    var place = next
    guard let shared = readSize(&place), let unshared = readSize(&place), let size = readSize(&place) else {
      return .corrupt
    }
    guard let tag = readVarint(&place) else { return .corrupt }
    let rest = entriesEnd &- place
    guard shared <= keySize, unshared <= rest, size <= rest &- unshared, shared &+ unshared <= EngineLimits.keySize
    else { return .corrupt }
    let kind = tag & 3
    let zigzag = tag >> 2
    let position = basePosition &+ (zigzag >> 1 ^ (0 &- (zigzag & 1)))
    guard kind == 1 || kind == 2, position <= EngineLimits.position else { return .corrupt }
    if shared &+ unshared > keyRoom { growKey(shared &+ unshared) }
    (keyMemory + shared).copyMemory(from: base + place, byteCount: unshared)
    keySize = shared &+ unshared
    trailer = position << 8 | kind
    value = UnsafeRawBufferPointer(start: base + (place &+ unshared), count: size)
    next = place &+ unshared &+ size
    return .entry
  }

  @inline(never)
  private mutating func growKey(_ size: Int) {
    let room = max(size, keyRoom * 2)
    let moved = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 8)
    moved.copyMemory(from: keyMemory, byteCount: keySize)
    keyMemory.deallocate()
    keyMemory = moved
    keyRoom = room
  }

  @inline(__always)
  private func readSize(_ place: inout Int) -> Int? {
    guard place < entriesEnd else { return nil }
    let byte = base.load(fromByteOffset: place, as: UInt8.self)
    if byte < 0x80 {
      place &+= 1
      return Int(byte)
    }
    guard let value = readVarint(&place), value <= UInt64(UInt32.max) else { return nil }
    return Int(value)
  }

  @inline(__always)
  private func readVarint(_ place: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while place < entriesEnd, shift < 64 {
      let byte = base.load(fromByteOffset: place, as: UInt8.self)
      place &+= 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift &+= 7
    }
    return nil
  }

  /// Goes to the first entry at or behind (key, trailer). A binary search over the restarts, then at most 16 steps.
  mutating func seek(_ target: UnsafeRawBufferPointer, trailer targetTrailer: UInt64) -> Step {
    var low = 0
    var high = restartCount
    // Invariant: the entry of restart `low` is before the target (or low is 0), that of `high` is not.
    while low + 1 < high {
      let middle = (low + high) / 2
      guard moveTo(restart: middle) else { return .corrupt }
      guard step() == .entry else { return .corrupt }
      if compare(target, targetTrailer) < 0 { low = middle } else { high = middle }
    }
    guard restartCount > 0, moveTo(restart: low) else { return restartCount == 0 ? .end : .corrupt }
    while true {
      let step = step()
      if step != .entry || compare(target, targetTrailer) >= 0 { return step }
    }
  }

  /// Order of the current entry against (key, trailer).
  @inline(__always)
  private func compare(_ target: UnsafeRawBufferPointer, _ targetTrailer: UInt64) -> Int {
    let order = compareBytes(key, target)
    if order != 0 { return order }
    return trailer == targetTrailer ? 0 : (trailer > targetTrailer ? -1 : 1)
  }
}
