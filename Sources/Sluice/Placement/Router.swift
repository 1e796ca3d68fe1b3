// Shard key -> slot (one of 4,096) -> shard.
import SluiceSystem

/// Places rows. The same store places the same key always alike: seed and slot table are part of its identity.
struct Router: Sendable {
  let hashSeed: UInt64
  let shardOfSlot: [UInt8]

  init(_ identity: StoreIdentity) {
    hashSeed = identity.hashSeed
    shardOfSlot = identity.shardOfSlot
  }

  /// Slot of an encoded shard key: the upper bits of a well-mixed hash.
  @inline(__always)
  func slot(shardKey: UnsafeRawBufferPointer) -> UInt16 {
    slot(hash: hash(shardKey))
  }

  /// The hash that places a shard key.
  @inline(__always)
  func hash(_ shardKey: UnsafeRawBufferPointer) -> UInt64 { SluiceSystem.hash(shardKey, seed: hashSeed) }

  /// Slot of a shard key with this hash.
  @inline(__always)
  func slot(hash: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: hash >> 52) }

  /// Shard of a slot.
  @inline(__always)
  func shard(slot: UInt16) -> Int { Int(shardOfSlot[Int(slot) & 4095]) }
}
