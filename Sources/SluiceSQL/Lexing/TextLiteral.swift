// Finds the end of a quoted text 32 bytes at a time.
// Unsafe by nature: named in the tidy test. Reads stop at `end`.
import SluiceSystem

/// What stands between the quotes.
struct TextScan {
  /// The closing quote; nil: the text ends first, or a NUL stands in it.
  var close: UnsafePointer<UInt8>?
  /// Doubled quotes inside.
  var quotes = 0
  var isASCII = true
  var hasNUL = false
}

/// Bytes of `word` that are zero, as their high bits. Exact for the lowest such byte.
@inline(__always)
func zeroBytes(_ word: UInt64) -> UInt64 {
  (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
}

/// Scans from the byte behind the opening quote. Cost: about 0.1 ns a byte. A text of up to 31 bytes is one step, whose
/// branches do not depend on its size.
@inline(__always)
func scanText(_ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> TextScan {
  var scan = TextScan(close: nil)
  var p = start
  while true {
    while end - p > 32 {
      let marks = markText(p)
      guard marks.stops != 0 else {
        if marks.high != 0 { scan.isASCII = false }
        p += 32
        continue
      }
      // High bytes in front of the stop belong to the text.
      if marks.high & ((marks.stops & (0 &- marks.stops)) &- 1) != 0 { scan.isASCII = false }
      p += marks.stops.trailingZeroBitCount
      break
    }
    while p < end, p.pointee != UInt8(ascii: "'"), p.pointee != 0 {
      if p.pointee >= 0x80 { scan.isASCII = false }
      p += 1
    }
    guard p < end else { return scan }
    if p.pointee == 0 {
      scan.hasNUL = true
      return scan
    }
    guard p + 1 < end, p[1] == UInt8(ascii: "'") else {
      // A quote as the last byte may be the first of two.
      scan.close = p
      return scan
    }
    scan.quotes &+= 1
    p += 2
  }
}

/// Copies a text of `size` bytes; up to 15 bytes behind either run may be touched where `end` leaves room for it.
@inline(__always)
func copyText(
  _ source: UnsafePointer<UInt8>, _ size: Int, to target: UnsafeMutableRawPointer, _ end: UnsafePointer<UInt8>
) {
  if size <= 32, end - source >= 32 {
    let bytes = UnsafeRawPointer(source)
    target.storeBytes(of: bytes.loadUnaligned(as: SIMD16<UInt8>.self), as: SIMD16<UInt8>.self)
    target.storeBytes(
      of: bytes.loadUnaligned(fromByteOffset: 16, as: SIMD16<UInt8>.self), toByteOffset: 16, as: SIMD16<UInt8>.self)
  } else {
    target.copyMemory(from: source, byteCount: size)
  }
}

/// Copies a text whose quotes are doubled, each pair as one; returns the bytes written. Up to 31 bytes behind the
/// target's run may be touched where `end` leaves room for it.
@inline(never)
func copyUnquoted(
  _ source: UnsafePointer<UInt8>, _ close: UnsafePointer<UInt8>, to target: UnsafeMutableRawPointer,
  _ end: UnsafePointer<UInt8>
) -> Int {
  let output = target.assumingMemoryBound(to: UInt8.self)
  var p = source
  var size = 0
  while p < close {
    if end - p >= 32 {
      let run = min(markText(p).stops.trailingZeroBitCount, close - p)
      copyText(p, run, to: output + size, end)
      p += run
      size &+= run
      // A full step need not end at a quote.
      if p == close || p.pointee != UInt8(ascii: "'") { continue }
    }
    output[size] = p.pointee
    size &+= 1
    p += p.pointee == UInt8(ascii: "'") ? 2 : 1
  }
  return size
}
