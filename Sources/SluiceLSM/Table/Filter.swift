// The filter of a table: a Bloom filter in blocks of one cache line, over user keys.
//
//   …  lines * 64 bytes: first, so that they lie on cache lines in memory
//   4  lines   count of 64-byte lines, at least 1
//   4  probes  bits tested in the line, 1 to 32
//
// The line of a key is (upper half of its hash * lines) >> 32. Its bits are bit (h >> 23) of the line, 512 bits
// little-endian, for h = lower half of the hash, then h + d, h + 2d, … with d = rotation of h by 17 bits, odd.
// The bottom run has ten bits a key, about 1.2 % of false answers; the runs above it are small and asked first, so they
// have fourteen, about 0.4 %. A missing key costs one cache miss a run instead of a block.
// The filter is stored as a block (type, CRC32C). A reader refuses a size that does not fit `lines`.
// Source: Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007; Kirsch, Mitzenmacher, 2006;
// more bits above: Dayan, Athanassoulis, Idreos, "Monkey: Optimal Navigable Key-Value Store", 2017.
// Unsafe by nature: named in the tidy test.
import SluiceSystem
import Synchronization

/// How exact a filter is.
enum FilterStrength {
  /// For a run at the bottom.
  case bottom
  /// For a run that has older runs below it.
  case above

  var bitsPerKey: Int { self == .bottom ? 10 : 14 }
  var probes: Int { self == .bottom ? 6 : 8 }
}

enum FilterFormat {
  static let lineSize = 64
  static let tailSize = 8
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

@inline(__always)
private func lineOffset(_ hash: UInt64, _ lines: UInt64) -> Int {
  Int((hash >> 32 &* lines) >> 32) &* FilterFormat.lineSize
}

/// Appends the filter over `hashes` to `output`.
func appendFilter(_ hashes: UnsafeBufferPointer<UInt64>, _ strength: FilterStrength, to output: inout ByteBuffer) {
  let lines = max(1, (hashes.count * strength.bitsPerKey + 511) / 512)
  let size = lines * FilterFormat.lineSize
  let target = output.reserve(size)
  target.initializeMemory(as: UInt8.self, repeating: 0, count: size)
  for hash in hashes {
    let line = target + lineOffset(hash, UInt64(lines))
    _ = forEachBit(hash, probes: strength.probes) { byte, mask in
      line.storeBytes(of: line.load(fromByteOffset: byte, as: UInt8.self) | mask, toByteOffset: byte, as: UInt8.self)
      return true
    }
  }
  output.advance(size)
  output.append(littleEndian: UInt32(lines))
  output.append(littleEndian: UInt32(strength.probes))
}

/// The filter of an open table: read when it is first asked, on cache lines of its own. Never changes then
/// (`@unchecked Sendable`: `probes` is written before `start` is published, once).
final class Filter: @unchecked Sendable {
  /// Where the lines begin; nil until they are read.
  private let start = Atomic<UnsafeRawPointer?>(nil)
  private let lines: UInt64
  private var probes = 0

  /// A filter of which only the size of its block's content is known yet.
  init(contentSize: Int) {
    lines = UInt64(max(contentSize - FilterFormat.tailSize, 0) / FilterFormat.lineSize)
  }

  /// A copy of a block's content; nil when the numbers at its end do not fit its size.
  convenience init?(_ content: UnsafeRawBufferPointer) {
    self.init(contentSize: content.count)
    let memory = Filter.allocate(content.count)
    memory.copyMemory(from: content)
    if !take(memory, contentSize: content.count) { return nil }
  }

  deinit { start.load(ordering: .relaxed)?.deallocate() }

  /// Memory for `take`.
  static func allocate(_ size: Int) -> UnsafeMutableRawBufferPointer {
    .allocate(byteCount: size, alignment: FilterFormat.lineSize)
  }

  /// Takes over memory from `allocate` that begins with a block's content; false when the numbers at its end do not fit
  /// its size. Any thread; of several that have read it at once the first one's stays.
  func take(_ memory: UnsafeMutableRawBufferPointer, contentSize: Int) -> Bool {
    let size = contentSize - FilterFormat.tailSize
    guard size >= FilterFormat.lineSize, lines > 0 else { return refuse(memory) }
    let stored = UInt32(littleEndian: memory.loadUnaligned(fromByteOffset: size, as: UInt32.self))
    let probes = UInt32(littleEndian: memory.loadUnaligned(fromByteOffset: size + 4, as: UInt32.self))
    guard UInt64(stored) == lines, size == Int(lines) * FilterFormat.lineSize, probes >= 1, probes <= 32 else {
      return refuse(memory)
    }
    guard let base = memory.baseAddress else { return false }
    isTaking.withLock { _ in
      if isLoaded {
        base.deallocate()
      } else {
        self.probes = Int(probes)
        start.store(UnsafeRawPointer(base), ordering: .releasing)
      }
    }
    return true
  }

  private let isTaking = Mutex(())

  private func refuse(_ memory: UnsafeMutableRawBufferPointer) -> Bool {
    memory.deallocate()
    return false
  }

  @inline(__always)
  var isLoaded: Bool { start.load(ordering: .acquiring) != nil }

  /// Bytes of memory that it holds.
  var byteCount: Int { isLoaded ? Int(lines) * FilterFormat.lineSize : 0 }

  /// The line that decides about a hash; only of a filter that is loaded.
  @inline(__always)
  func line(_ hash: UInt64) -> UnsafeRawPointer {
    start.load(ordering: .acquiring).unsafelyUnwrapped + lineOffset(hash, lines)
  }

  /// False: no key of this hash is in the table. One cache miss. Only of a filter that is loaded.
  @inline(__always)
  func mayContain(_ hash: UInt64) -> Bool {
    let line = line(hash)
    return forEachBit(hash, probes: probes) { byte, mask in
      line.load(fromByteOffset: byte, as: UInt8.self) & mask != 0
    }
  }
}
