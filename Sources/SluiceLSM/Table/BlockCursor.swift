// Walks the entries of one block. Every number is checked against the block before it is used.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// A place in a block. The block's memory is kept alive by whoever holds the cursor.
struct BlockCursor: ~Copyable {
  enum Step { case entry, end, corrupt }

  private var base = UnsafeRawPointer(bitPattern: 8)!
  /// Where the heads end and the values begin.
  private var headsEnd = 0
  /// Where the values end and the restarts begin.
  private var valuesEnd = 0
  private var restartCount = 0
  private var basePosition: UInt64 = 0
  /// Head and value of the next entry.
  private var next = 0
  private var nextValue = 0
  /// Head of the current entry.
  private var current = 0
  private var keyMemory: UnsafeMutableRawPointer
  private var keyRoom = 128
  private(set) var keySize = 0
  private(set) var trailer: UInt64 = 0
  private(set) var value = UnsafeRawBufferPointer(start: nil, count: 0)

  init() {
    keyMemory = .allocate(byteCount: keyRoom, alignment: 8)
    keyMemory.initializeMemory(as: UInt8.self, repeating: 0, count: keyRoom)
  }

  deinit { keyMemory.deallocate() }

  /// The key of the current entry. Valid until the next step.
  @inline(__always)
  var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: keyMemory, count: keySize) }

  /// The packed numbers of the current key: two loads.
  @inline(__always)
  var order: UInt128 { paddedKeyOrder(keyMemory, keySize) }

  /// Takes a block's content and stands before its first entry; false when its frame is damaged.
  mutating func open(_ content: UnsafeRawBufferPointer) -> Bool {
    close()
    guard content.count >= BlockFormat.leastSize, let start = content.baseAddress else { return false }
    let count = Int(UInt32(littleEndian: content.loadUnaligned(fromByteOffset: content.count - 4, as: UInt32.self)))
    let room = content.count - BlockFormat.headSize - 4
    guard count >= 1, count <= room / BlockFormat.restartSize else { return false }
    let restarts = content.count - 4 - count * BlockFormat.restartSize
    let first = Int(UInt32(littleEndian: content.loadUnaligned(fromByteOffset: restarts + 4, as: UInt32.self)))
    guard first >= BlockFormat.headSize, first <= restarts else { return false }
    base = start
    headsEnd = first
    valuesEnd = restarts
    restartCount = count
    basePosition = UInt64(littleEndian: content.loadUnaligned(as: UInt64.self))
    next = BlockFormat.headSize
    nextValue = first
    return true
  }

  /// Stands at the end of nothing.
  mutating func close() {
    headsEnd = 0
    valuesEnd = 0
    restartCount = 0
    next = 0
    nextValue = 0
    keySize = 0
  }

  @inline(__always)
  private func restart(_ index: Int) -> (head: Int, value: Int) {
    let place = valuesEnd &+ index &* BlockFormat.restartSize
    return (
      Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: place, as: UInt32.self))),
      Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: place &+ 4, as: UInt32.self)))
    )
  }

  /// Stands before the entry of a restart; false when its offsets are damaged.
  private mutating func moveTo(restart index: Int) -> Bool {
    let (head, value) = restart(index)
    guard head >= BlockFormat.headSize, head < headsEnd, value >= headsEnd, value <= valuesEnd else { return false }
    next = head
    nextValue = value
    keySize = 0
    return true
  }

  /// Goes to the next entry. About 5 ns.
  @inline(__always)
  mutating func step() -> Step {
    guard next < headsEnd else { return .end }
    var place = next
    guard let shared = readSize(&place), let unshared = readSize(&place), let size = readSize(&place),
      let tag = readVarint(&place)
    else { return .corrupt }
    guard shared <= keySize, unshared <= headsEnd &- place, size <= valuesEnd &- nextValue,
      shared &+ unshared <= EngineLimits.keySize
    else { return .corrupt }
    let kind = tag & 3
    let zigzag = tag >> 2
    let position = basePosition &+ (zigzag >> 1 ^ (0 &- (zigzag & 1)))
    guard kind == 1 || kind == 2, position <= EngineLimits.position else { return .corrupt }
    copyKey(shared, from: place, unshared)
    trailer = position << 8 | kind
    value = UnsafeRawBufferPointer(start: base + nextValue, count: size)
    current = next
    next = place &+ unshared
    nextValue = nextValue &+ size
    return .entry
  }

  /// Puts the unshared bytes behind the shared ones. Sixteen at once where both sides have the room.
  @inline(__always)
  private mutating func copyKey(_ shared: Int, from place: Int, _ unshared: Int) {
    keySize = shared &+ unshared
    if unshared <= 16, place &+ 16 <= valuesEnd, shared &+ 16 <= keyRoom {
      let low = base.loadUnaligned(fromByteOffset: place, as: UInt64.self)
      let high = base.loadUnaligned(fromByteOffset: place &+ 8, as: UInt64.self)
      keyMemory.storeBytes(of: low, toByteOffset: shared, as: UInt64.self)
      keyMemory.storeBytes(of: high, toByteOffset: shared &+ 8, as: UInt64.self)
      return
    }
    if keySize > keyRoom { growKey(keySize) }
    (keyMemory + shared).copyMemory(from: base + place, byteCount: unshared)
  }

  @inline(never)
  private mutating func growKey(_ size: Int) {
    let room = max(size, keyRoom * 2)
    let moved = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 8)
    moved.copyMemory(from: keyMemory, byteCount: keyRoom)
    keyMemory.deallocate()
    keyMemory = moved
    keyRoom = room
  }

  @inline(__always)
  private func readSize(_ place: inout Int) -> Int? {
    guard place < headsEnd else { return nil }
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
    while place < headsEnd, shift < 64 {
      let byte = base.load(fromByteOffset: place, as: UInt8.self)
      place &+= 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift &+= 7
    }
    return nil
  }

  /// Goes to the first entry at or behind (key, trailer). A binary search over the restarts, then at most 16 steps.
  mutating func seek(_ target: SearchKey, trailer targetTrailer: UInt64) -> Step {
    guard restartCount > 0 else { return .end }
    var low = 0
    var high = restartCount
    // Invariant: the entry of restart `low` is before the target (or low is 0), that of `high` is not.
    while low &+ 1 < high {
      let middle = (low &+ high) / 2
      guard moveTo(restart: middle), step() == .entry else { return .corrupt }
      if precedes(target, targetTrailer) { low = middle } else { high = middle }
    }
    guard moveTo(restart: low) else { return .corrupt }
    while true {
      let step = step()
      if step != .entry || !precedes(target, targetTrailer) { return step }
    }
  }

  /// Whether the current entry stands before (key, trailer).
  @inline(__always)
  private func precedes(_ target: SearchKey, _ targetTrailer: UInt64) -> Bool {
    let table = tableId(key)
    if table != target.table { return table < target.table }
    let order = order
    if order != target.order { return order < target.order }
    let tail = compareKeyTails(keyMemory, keySize, target.bytes.baseAddress, target.bytes.count)
    return tail != 0 ? tail < 0 : trailer > targetTrailer
  }

  // MARK: Backwards

  /// Goes to the last entry.
  mutating func last() -> Step {
    guard restartCount > 0 else { return .end }
    next = headsEnd
    return stepBefore(headsEnd)
  }

  /// Goes to the entry before the current one; `end` when that was the first. From the restart before it, up to 16
  /// steps: about 60 ns.
  mutating func stepBack() -> Step { stepBefore(current) }

  /// Goes to the last entry whose head begins before `limit`.
  private mutating func stepBefore(_ limit: Int) -> Step {
    guard limit > BlockFormat.headSize else { return .end }
    var low = 0
    var high = restartCount
    // Invariant: restart `low` begins before the limit, `high` does not.
    while low &+ 1 < high {
      let middle = (low &+ high) / 2
      if restart(middle).head < limit { low = middle } else { high = middle }
    }
    guard moveTo(restart: low), next < limit else { return .corrupt }
    while true {
      guard step() == .entry else { return .corrupt }
      if next >= limit { return next == limit ? .entry : .corrupt }
    }
  }
}
