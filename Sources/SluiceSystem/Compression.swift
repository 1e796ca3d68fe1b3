// LZ4 blocks: fast compression, faster decompression. Unsafe by nature: named in the tidy test.
import CLZ4

/// Compresses `source` (at most 2,113,929,216 bytes) as one LZ4 block into `target`; returns its size in bytes, or 0
/// when `target` is too small. About 700 MB/s.
/// Format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
public func compress(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int {
  Int(
    LZ4_compress_default(
      source.baseAddress?.assumingMemoryBound(to: CChar.self),
      target.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(clamping: source.count),
      Int32(clamping: target.count)))
}

/// Decompresses one LZ4 block to exactly `target.count` bytes; false when the block is damaged or has another size.
/// Never reads or writes outside the buffers. About 3 GB/s.
public func decompress(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Bool {
  let size = LZ4_decompress_safe(
    source.baseAddress?.assumingMemoryBound(to: CChar.self), target.baseAddress?.assumingMemoryBound(to: CChar.self),
    Int32(clamping: source.count), Int32(clamping: target.count))
  return Int(size) == target.count
}
