// Walks a sorted run of tables front to back.
//
// The block that a seek lands in comes through the cache. Blocks read one after the other do not displace the cache:
// they come from a window of the file that grows while the walk goes on, and are checked there.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// A place in a run of disjoint tables. Used by one thread.
final class RunCursor {
  private static let firstWindow: UInt64 = 32 << 10
  private static let lastWindow: UInt64 = 512 << 10

  private let tables: [Table]
  private let usesCache: Bool
  private var table = 0
  private var ordinal = 0
  private var cursor = BlockCursor()
  private var block: BlockMemory?
  private var window = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var windowStart: UInt64 = 0
  private var windowEnd: UInt64 = 0
  private var windowSize: UInt64

  /// `usesCache: false` is for compaction, which reads each block once.
  init(_ tables: [Table], usesCache: Bool) {
    self.tables = tables
    self.usesCache = usesCache
    windowSize = usesCache ? Self.firstWindow : Self.lastWindow
  }

  deinit { window.deallocate() }

  @inline(__always) var key: UnsafeRawBufferPointer { cursor.key }
  @inline(__always) var trailer: UInt64 { cursor.trailer }
  @inline(__always) var value: UnsafeRawBufferPointer { cursor.value }

  /// Goes to the first entry; false when the run is empty.
  func first() throws(EngineError) -> Bool {
    table = 0
    ordinal = 0
    guard !tables.isEmpty else { return false }
    try load(sequential: true)
    return try next()
  }

  /// Goes to the first entry at or behind (key, trailer); false when there is none.
  func seek(_ key: UnsafeRawBufferPointer, trailer: UInt64) throws(EngineError) -> Bool {
    table = firstTable(tables, atOrBehind: key)
    guard table < tables.count else { return false }
    ordinal = tables[table].firstBlock(key, order: keyOrder(key))
    try load(sequential: false)
    switch cursor.seek(key, trailer: trailer) {
    case .entry: return true
    case .end: return try nextBlock()
    case .corrupt: throw damage()
    }
  }

  /// Goes to the next entry; false at the end of the run.
  @inline(__always)
  func next() throws(EngineError) -> Bool {
    switch cursor.step() {
    case .entry: return true
    case .end: return try nextBlock()
    case .corrupt: throw damage()
    }
  }

  private func damage() -> EngineError {
    tables[table].corrupt("damaged entry in a block", offset: tables[table].place(ordinal).offset)
  }

  @inline(never)
  private func nextBlock() throws(EngineError) -> Bool {
    while true {
      ordinal += 1
      if ordinal >= tables[table].blockCount {
        table += 1
        ordinal = 0
        windowEnd = 0
        guard table < tables.count else {
          table = tables.count - 1
          ordinal = tables[table].blockCount - 1
          cursor.close()
          return false
        }
      }
      try load(sequential: true)
      switch cursor.step() {
      case .entry: return true
      case .end: continue
      case .corrupt: throw damage()
      }
    }
  }

  private func load(sequential: Bool) throws(EngineError) {
    let source = tables[table]
    let place = source.place(ordinal)
    block = nil
    if usesCache { block = sequential ? source.cachedBlock(ordinal) : try source.block(ordinal) }
    let content: UnsafeRawBufferPointer
    if let block { content = block.content } else { content = try windowBlock(source, place) }
    guard cursor.open(content) else { throw source.corrupt("damaged block", offset: place.offset) }
  }

  /// A block in the window, which is read anew when the block is not in it.
  private func windowBlock(_ source: Table, _ place: BlockPlace) throws(EngineError) -> UnsafeRawBufferPointer {
    if place.offset < windowStart || place.end > windowEnd {
      let dataEnd = source.place(source.blockCount - 1).end
      let size = Int(min(max(windowSize, place.end - place.offset), dataEnd - place.offset))
      windowSize = min(windowSize * 4, Self.lastWindow)
      if window.count < size {
        window.deallocate()
        window = .allocate(byteCount: size, alignment: 16)
      }
      windowEnd = 0
      try source.read(into: UnsafeMutableRawBufferPointer(rebasing: window[..<size]), at: place.offset)
      windowStart = place.offset
      windowEnd = place.offset + UInt64(size)
    }
    let start = Int(place.offset - windowStart)
    let bytes = UnsafeRawBufferPointer(rebasing: window[start..<(start + Int(place.end - place.offset))])
    if let damage = blockDamage(bytes) { throw source.corrupt(damage, offset: place.offset) }
    return UnsafeRawBufferPointer(rebasing: bytes.dropLast(BlockFormat.trailerSize))
  }
}

/// Index of the first table whose largest key is at or behind `key`; the count when there is none.
func firstTable(_ tables: [Table], atOrBehind key: UnsafeRawBufferPointer) -> Int {
  var low = 0
  var high = tables.count
  while low < high {
    let middle = (low + high) / 2
    let order = tables[middle].info.largest.withUnsafeBytes { compareBytes($0, key) }
    if order < 0 { low = middle + 1 } else { high = middle }
  }
  return low
}
