// Blocks in memory, bounded in bytes, shared by all shards. What is in it was checked when it was read.
//
// Each open table has a place for each of its blocks, so finding one is a lock that is held for nanoseconds and a load;
// no hash, no list. CLOCK decides what goes: a ring of all cached blocks with a mark that use sets; the hand takes
// marks away and evicts the first block without one.
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
      guard blocks.set(ordinal, block) else { return }
      state.ring.append(Slot(blocks: blocks, ordinal: ordinal, byteCount: byteCount))
      state.byteCount += byteCount
    }
  }

  /// Forgets the blocks of a table that is being closed. Cost: a walk over the ring.
  func remove(_ blocks: CachedBlocks) {
    if blocks.isEmpty { return }
    state.withLock { state in
      state.ring.removeAll { slot in
        guard slot.blocks === blocks else { return false }
        slot.blocks.clear(slot.ordinal)
        state.byteCount -= slot.byteCount
        return true
      }
    }
  }

  private static func evictOne(_ state: inout State) {
    while true {
      if state.hand >= state.ring.count { state.hand = 0 }
      if state.ring[state.hand].blocks.evict(state.ring[state.hand].ordinal) { break }
      state.hand += 1
    }
    state.byteCount -= state.ring[state.hand].byteCount
    // The last block takes the victim's place in the ring.
    let last = state.ring.removeLast()
    if state.hand < state.ring.count { state.ring[state.hand] = last }
    state.hand += 1
  }
}

/// The cached blocks of one table, by ordinal. `@unchecked Sendable`: the places are touched under the lock only.
final class CachedBlocks: @unchecked Sendable {
  private struct Place {
    var block: BlockMemory?
    var isUsed = false
  }

  private let lock = Lock()
  private let places: UnsafeMutablePointer<Place>
  private let count: Int

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
  func set(_ ordinal: Int, _ block: BlockMemory) -> Bool {
    lock.lock()
    defer { lock.unlock() }
    if places[ordinal].block != nil { return false }
    places[ordinal] = Place(block: block)
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

  func clear(_ ordinal: Int) {
    lock.lock()
    defer { lock.unlock() }
    places[ordinal] = Place()
  }

  var isEmpty: Bool {
    lock.lock()
    defer { lock.unlock() }
    return !(0..<count).contains { places[$0].block != nil }
  }
}
