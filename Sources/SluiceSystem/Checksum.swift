import CSystem

/// CRC32C of `bytes`, going on from `seed` (0 to begin). About 10 GB/s with SSE 4.2.
/// Source: RFC 3720, appendix B.4 (Castagnoli polynomial).
@inlinable
public func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
  guard let base = bytes.baseAddress else { return seed }
  return csystem_crc32c(seed, base, bytes.count)
}

/// CRC32C without the processor's instruction; equal to `checksum`.
public func portableChecksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
  guard let base = bytes.baseAddress else { return seed }
  return csystem_crc32c_portable(seed, base, bytes.count)
}

/// Whether `bytes` are well-formed UTF-8 (RFC 3629) without a NUL.
@inlinable
public func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
  guard let base = bytes.baseAddress else { return true }
  return csystem_is_utf8(base, bytes.count) == 1
}

/// Which of the 32 bytes at `bytes` are a quote or zero, and which are not ASCII: bit i for byte i. About 2 ns.
@inlinable @inline(__always)
public func markText(_ bytes: UnsafePointer<UInt8>) -> (stops: UInt32, high: UInt32) {
  let marks = csystem_mark_text(bytes)
  return (marks.stops, marks.high)
}

/// Offset of the first `byte` in `bytes`, or their count. About 30 GB/s.
@inlinable
public func findByte(_ byte: UInt8, _ bytes: UnsafeRawBufferPointer) -> Int {
  guard let base = bytes.baseAddress else { return 0 }
  return csystem_find_byte(base, bytes.count, byte)
}

/// How many of `bytes` are `byte`.
@inlinable
public func countByte(_ byte: UInt8, _ bytes: UnsafeRawBufferPointer) -> Int {
  guard let base = bytes.baseAddress else { return 0 }
  return csystem_count_byte(base, bytes.count, byte)
}
