// Blocks in memory, bounded in bytes, shared by all shards. What is in it was checked when it was read.
//
// CLOCK: a ring of blocks with a mark that use sets; the hand takes marks away and evicts the first block without one.
import SluiceSystem

/// A cache of table blocks for any number of engines. All methods may be called from any thread.
public final class BlockCache: Sendable {
  private struct Key: Hashable {
    var table: UInt64
    var offset: UInt64

    func hash(into hasher: inout Hasher) { hasher.combine(table &* 0x9e37_79b9_7f4a_7c15 ^ offset) }
  }

  private struct Slot {
    var key: Key
    var block: BlockMemory
    var used: Bool
  }

  private struct State {
    var slots: [Slot] = []
    var places: [Key: Int] = [:]
    var hand = 0
    var byteCount = 0
    var lastTable: UInt64 = 0
    var hits: UInt64 = 0
    var misses: UInt64 = 0
  }

  private let state = Monitor(State())
  /// Bound in bytes.
  public let capacityBytes: Int

  /// A cache of `capacityBytes`; 0 keeps nothing.
  public init(capacityBytes: Int) { self.capacityBytes = capacityBytes }

  /// Bytes held now, and how often a block was asked for and found or not since the start.
  public var counts: (bytes: Int, hits: UInt64, misses: UInt64) {
    state.withLock { ($0.byteCount, $0.hits, $0.misses) }
  }

  /// A number for a table that no other open table in this process has.
  func newTableId() -> UInt64 {
    state.withLock { state in
      state.lastTable += 1
      return state.lastTable
    }
  }

  /// The block at `offset` of a table, or nil.
  func find(table: UInt64, offset: UInt64) -> BlockMemory? {
    state.withLock { state in
      guard let place = state.places[Key(table: table, offset: offset)] else {
        state.misses += 1
        return nil
      }
      state.hits += 1
      state.slots[place].used = true
      return state.slots[place].block
    }
  }

  /// Keeps a checked block. One that is larger than an eighth of the cache is not kept.
  func insert(_ block: BlockMemory, table: UInt64, offset: UInt64) {
    guard block.byteCount <= capacityBytes / 8 else { return }
    let key = Key(table: table, offset: offset)
    state.withLock { state in
      if state.places[key] != nil { return }
      while state.byteCount + block.byteCount > capacityBytes, !state.slots.isEmpty { Self.evictOne(&state) }
      state.places[key] = state.slots.count
      state.slots.append(Slot(key: key, block: block, used: false))
      state.byteCount += block.byteCount
    }
  }

  private static func evictOne(_ state: inout State) {
    while true {
      if state.hand >= state.slots.count { state.hand = 0 }
      if !state.slots[state.hand].used { break }
      state.slots[state.hand].used = false
      state.hand += 1
    }
    let victim = state.slots[state.hand]
    state.places[victim.key] = nil
    state.byteCount -= victim.block.byteCount
    // The last block takes the victim's place in the ring.
    let last = state.slots.removeLast()
    if state.hand < state.slots.count {
      state.slots[state.hand] = last
      state.places[last.key] = state.hand
    }
    state.hand += 1
  }
}
