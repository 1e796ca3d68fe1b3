// Blocks in memory, bounded in bytes, shared by all shards. What is in it was checked when it was read.
//
// Each open table has a place for each of its blocks, so finding one is a lock that is held for nanoseconds and a load;
// no hash, no list. CLOCK decides what goes: a ring of all cached blocks with a mark that use sets; the hand takes
// marks away and evicts the first block without one. A table knows the places of its blocks in the ring, so that one of
// very many can be closed without a walk over all of it.
//
// Order of locks: the cache's, then a table's. Unsafe by nature: named in the tidy test.
import SluiceSystem

/// A cache of table blocks for any number of engines. All methods may be called from any thread.
public final class BlockCache: Sendable {
  private struct Slot {
    var blocks: CachedBlocks
    var ordinal: Int
    var byteCount: Int
  }

  private struct State {
    var ring: [Slot] = []
    var hand = 0
    var byteCount = 0
  }

  private let state = Monitor(State())
  /// Bound in bytes.
  public let capacityBytes: Int

  /// A cache of `capacityBytes`; 0 keeps nothing.
  public init(capacityBytes: Int) { self.capacityBytes = capacityBytes }

  /// Bytes held now.
  public var byteCount: Int { state.withLock { $0.byteCount } }

  /// Keeps a checked block. One that is larger than an eighth of the cache is not kept.
  func insert(_ block: BlockMemory, _ blocks: CachedBlocks, _ ordinal: Int) {
    // What a block costs beside its bytes: the object, its place in the ring, the allocator's own.
    let byteCount = block.byteCount + 96
    guard byteCount <= capacityBytes / 8 else { return }
    state.withLock { state in
      while state.byteCount + byteCount > capacityBytes, !state.ring.isEmpty { Self.evictOne(&state) }
      guard blocks.set(ordinal, block, slot: state.ring.count) else { return }
      state.ring.append(Slot(blocks: blocks, ordinal: ordinal, byteCount: byteCount))
      state.byteCount += byteCount
    }
  }

  /// Forgets the blocks of a table that is being closed. Cost: a step for each block of the table.
  func remove(_ blocks: CachedBlocks) {
    if blocks.isEmpty { return }
    state.withLock { state in
      for ordinal in 0..<blocks.count {
        if let slot = blocks.clear(ordinal) { Self.removeSlot(slot, &state) }
      }
    }
  }

  private static func evictOne(_ state: inout State) {
    while true {
      if state.hand >= state.ring.count { state.hand = 0 }
      if state.ring[state.hand].blocks.evict(state.ring[state.hand].ordinal) { break }
      state.hand += 1
    }
    removeSlot(state.hand, &state)
    state.hand += 1
  }

  /// The last block takes the place in the ring.
  private static func removeSlot(_ slot: Int, _ state: inout State) {
    state.byteCount -= state.ring[slot].byteCount
    let last = state.ring.removeLast()
    guard slot < state.ring.count else { return }
    state.ring[slot] = last
    last.blocks.move(last.ordinal, to: slot)
  }
}

/// The cached blocks of one table, by ordinal. `@unchecked Sendable`: the places are touched under the lock only.
final class CachedBlocks: @unchecked Sendable {
  private struct Place {
    var block: BlockMemory?
    /// Its place in the ring.
    var slot = 0
    var isUsed = false
  }

  private let lock = Lock()
  private let places: UnsafeMutablePointer<Place>
  let count: Int

  init(count: Int) {
    self.count = count
    places = .allocate(capacity: max(count, 1))
    places.initialize(repeating: Place(), count: count)
  }

  deinit {
    places.deinitialize(count: count)
    places.deallocate()
  }

  /// The block, if it is cached; marks it as used. About 25 ns.
  @inline(__always)
  func find(_ ordinal: Int) -> BlockMemory? {
    lock.lock()
    defer { lock.unlock() }
    guard let block = places[ordinal].block else { return nil }
    places[ordinal].isUsed = true
    return block
  }

  /// False when the place is taken: another reader was faster.
  func set(_ ordinal: Int, _ block: BlockMemory, slot: Int) -> Bool {
    lock.lock()
    defer { lock.unlock() }
    if places[ordinal].block != nil { return false }
    places[ordinal] = Place(block: block, slot: slot)
    return true
  }

  /// Takes a block's mark away; without one, takes the block itself away and returns true.
  func evict(_ ordinal: Int) -> Bool {
    lock.lock()
    defer { lock.unlock() }
    if places[ordinal].isUsed {
      places[ordinal].isUsed = false
      return false
    }
    places[ordinal].block = nil
    return true
  }

  /// Its block has another place in the ring.
  func move(_ ordinal: Int, to slot: Int) {
    lock.lock()
    defer { lock.unlock() }
    places[ordinal].slot = slot
  }

  /// Takes a block away; its place in the ring, if there was one.
  func clear(_ ordinal: Int) -> Int? {
    lock.lock()
    defer { lock.unlock() }
    guard places[ordinal].block != nil else { return nil }
    defer { places[ordinal] = Place() }
    return places[ordinal].slot
  }

  var isEmpty: Bool {
    lock.lock()
    defer { lock.unlock() }
    return !(0..<count).contains { places[$0].block != nil }
  }
}
