// The filter of a table: a Bloom filter in blocks of one cache line, over user keys.
//
//   4  lines   count of 64-byte lines, at least 1
//   1  probes  bits tested in the line: 6
//   3  zero
//   …  lines * 64 bytes
//
// The line of a key is (upper half of its hash * lines) >> 32. Its bits are bit (h >> 23) of the line, 512 bits
// little-endian, for h = lower half of the hash, then h + d, h + 2d, … with d = rotation of h by 17 bits, odd.
// Ten bits a key give about 1.3 % of false answers; a missing key costs one cache miss instead of a block.
// The filter is stored as a block (type, CRC32C). A reader refuses a size that does not fit `lines`.
// Source: Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007; Kirsch, Mitzenmacher, 2006.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

enum FilterFormat {
  static let bitsPerKey = 10
  static let probes = 6
  static let headSize = 8
}

@inline(__always)
private func forEachBit(_ hash: UInt64, probes: Int, _ body: (_ byte: Int, _ mask: UInt8) -> Bool) -> Bool {
  var bits = UInt32(truncatingIfNeeded: hash)
  let step = (bits << 17 | bits >> 15) | 1
  for _ in 0..<probes {
    let bit = Int(bits >> 23)
    if !body(bit >> 3, 1 << UInt8(bit & 7)) { return false }
    bits &+= step
  }
  return true
}

/// Appends the filter over `hashes` to `output`.
func appendFilter(_ hashes: [UInt64], to output: inout ByteBuffer) {
  let lines = max(1, (hashes.count * FilterFormat.bitsPerKey + 511) / 512)
  output.append(littleEndian: UInt32(lines))
  output.append(littleEndian: UInt32(FilterFormat.probes))
  let target = output.reserve(lines * 64)
  target.initializeMemory(as: UInt8.self, repeating: 0, count: lines * 64)
  for hash in hashes {
    let line = target + Int((hash >> 32 &* UInt64(lines)) >> 32) * 64
    _ = forEachBit(hash, probes: FilterFormat.probes) { byte, mask in
      line.storeBytes(of: line.load(fromByteOffset: byte, as: UInt8.self) | mask, toByteOffset: byte, as: UInt8.self)
      return true
    }
  }
  output.advance(lines * 64)
}

/// A filter in memory.
struct Filter: Sendable {
  private let memory: BlockMemory
  private let lines: UInt64
  private let probes: Int

  /// Nil when the numbers at its head do not fit its size.
  init?(_ memory: BlockMemory) {
    let content = memory.content
    guard content.count >= FilterFormat.headSize + 64 else { return nil }
    let lines = UInt32(littleEndian: content.loadUnaligned(as: UInt32.self))
    let probes = UInt32(littleEndian: content.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    guard content.count == FilterFormat.headSize + Int(lines) * 64, probes >= 1, probes <= 32 else { return nil }
    self.memory = memory
    self.lines = UInt64(lines)
    self.probes = Int(probes)
  }

  var byteCount: Int { memory.byteCount }

  /// False: no key of this hash is in the table. One cache miss.
  @inline(__always)
  func mayContain(_ hash: UInt64) -> Bool {
    let line = memory.bytes.baseAddress! + FilterFormat.headSize + Int((hash >> 32 &* lines) >> 32) * 64
    return forEachBit(hash, probes: probes) { byte, mask in
      line.load(fromByteOffset: byte, as: UInt8.self) & mask != 0
    }
  }
}
