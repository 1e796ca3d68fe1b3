// The hash that places keys (slot of a shard key) and feeds filters and hash indexes. It is part of the store's format:
// its results are kept in table filters and decide the shard of every row, so it never changes.
//
//   k0 = a0761d6478bd642f, k1 = e7037ed1a0b428db, k2 = 8ebc6af09c88c6e3;  state = seed ^ k0
//   each 8 bytes, little-endian, the last padded with zeros:  state = fold(state ^ word, k1)
//   result = fold(state ^ size, k2)          fold(a, b) = low 64 bits XOR high 64 bits of the 128-bit product a * b
//
// Folded multiplication is the idea of wyhash and of umash (https://github.com/wangyi-fudan/wyhash).

@inlinable @inline(__always)
func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
  let product = a.multipliedFullWidth(by: b)
  return product.low ^ product.high
}

/// The last one to seven bytes, which begin at `offset`, padded with zeros. Reads overlap instead of looping: the
/// number of bytes differs from key to key, and a loop's end is mispredicted as often.
@inlinable @inline(__always)
func lastWord(_ bytes: UnsafeRawBufferPointer, from offset: Int) -> UInt64 {
  let size = bytes.count &- offset
  if bytes.count >= 8 {
    let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count &- 8, as: UInt64.self))
    return word >> UInt64(64 &- size &* 8)
  }
  if size >= 4 {
    let low = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    let high = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count &- 4, as: UInt32.self))
    return UInt64(low) | UInt64(high) << UInt64((size &- 4) &* 8)
  }
  let middle = size >> 1
  return UInt64(bytes[offset]) | UInt64(bytes[offset &+ middle]) << UInt64(middle &* 8)
    | UInt64(bytes[bytes.count &- 1]) << UInt64((size &- 1) &* 8)
}

/// 64-bit hash of `bytes`, well mixed in all its bits; the same on every machine. About 1 ns per 8 bytes.
@inlinable @inline(__always)
public func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
  var state = seed ^ 0xa076_1d64_78bd_642f
  var offset = 0
  while offset &+ 8 <= bytes.count {
    let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    state = fold(state ^ word, 0xe703_7ed1_a0b4_28db)
    offset &+= 8
  }
  if offset < bytes.count {
    state = fold(state ^ lastWord(bytes, from: offset), 0xe703_7ed1_a0b4_28db)
  }
  return fold(state ^ UInt64(bytes.count), 0x8ebc_6af0_9c88_c6e3)
}

/// The same for `size` bytes, one to eight, which stand in a word from its lowest byte on, with zeros above.
@inlinable @inline(__always)
public func hash(word: UInt64, size: Int, seed: UInt64) -> UInt64 {
  let state = fold(seed ^ 0xa076_1d64_78bd_642f ^ word, 0xe703_7ed1_a0b4_28db)
  return fold(state ^ UInt64(truncatingIfNeeded: size), 0x8ebc_6af0_9c88_c6e3)
}
