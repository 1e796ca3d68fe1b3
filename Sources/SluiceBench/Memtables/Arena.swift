// Memory for nodes that live as long as their memtable: a pointer moves on, and all of it is given back at once.
// Unsafe by nature: named in the tidy test.

struct Arena {
  private static let chunkSizeBytes = 1 << 20
  private var chunks: [UnsafeMutableRawPointer] = []
  private var next: UnsafeMutableRawPointer
  private var end: UnsafeMutableRawPointer
  private(set) var byteCount = 0

  init() {
    next = .allocate(byteCount: 16, alignment: 64)
    end = next
    chunks = [next]
  }

  /// `size` bytes, a multiple of 16, aligned to 16.
  @inline(__always)
  mutating func take(_ size: Int) -> UnsafeMutableRawPointer {
    if next + size > end { grow() }
    defer { next += size }
    return next
  }

  @inline(never)
  private mutating func grow() {
    next = .allocate(byteCount: Self.chunkSizeBytes, alignment: 64)
    end = next + Self.chunkSizeBytes
    chunks.append(next)
    byteCount += Self.chunkSizeBytes
  }

  func deallocate() { for chunk in chunks { chunk.deallocate() } }
}
