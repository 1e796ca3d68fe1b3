// Walks a sorted run of tables, front to back or back to front.
//
// The blocks that a seek lands in come through the cache, and so do the next few. A longer walk does not displace the
// cache: its blocks come from a window of the file that grows while the walk goes on, and are checked there.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// A place in a run of disjoint tables. Used by one thread, for one run after the other.
final class RunCursor {
  private static let firstWindow: UInt64 = 16 << 10
  /// More would not stay in the processor's cache until it is decoded, with the windows of other runs beside it.
  private static let lastWindow: UInt64 = 64 << 10
  /// Blocks behind a seek that still come through the cache: a short scan ends there.
  private static let cachedSteps = 2

  private var tables: [Table] = []
  private var usesCache = true
  private var isForward = true
  private var table = 0
  private var ordinal = 0
  private var cursor = BlockCursor()
  private var block: BlockMemory?
  /// Why `step` could not go on.
  private(set) var failure: EngineError?
  private var cachedSteps = 0
  private var window = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var windowStart: UInt64 = 0
  private var windowEnd: UInt64 = 0
  private var windowSize = RunCursor.firstWindow
  /// The content of a compressed block.
  private var unpacked = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  /// Takes a run to walk. `usesCache: false` is for compaction, which reads each block once.
  func open(_ tables: [Table], usesCache: Bool, isForward: Bool) {
    self.tables = tables
    self.usesCache = usesCache
    self.isForward = isForward
    cachedSteps = usesCache ? Self.cachedSteps : 0
    windowSize = usesCache ? Self.firstWindow : Self.lastWindow
    windowEnd = 0
  }

  /// Lets go of the run, keeps its memory.
  func close() {
    tables.removeAll()
    block = nil
    cursor.close()
  }

  deinit {
    window.deallocate()
    unpacked.deallocate()
  }

  @inline(__always) var key: UnsafeRawBufferPointer { cursor.key }
  @inline(__always) var order: UInt128 { cursor.order }
  @inline(__always) var trailer: UInt64 { cursor.trailer }
  @inline(__always) var value: UnsafeRawBufferPointer { cursor.value }

  /// Goes to the first entry, or backwards to the last; false when the run is empty.
  func start() throws(EngineError) -> Bool {
    guard !tables.isEmpty else { return false }
    cachedSteps = 0
    table = isForward ? 0 : tables.count - 1
    ordinal = isForward ? 0 : tables[table].blockCount - 1
    try load(isSeek: false)
    return try check(isForward ? cursor.step() : cursor.last())
  }

  /// Finds the block that a seek for `key` ends in, and asks for its memory. Many runs are aimed at before the first
  /// block is read, so that their cache misses overlap.
  func aim(at key: SearchKey) {
    table = firstTable(tables, atOrBehind: key)
    guard table < tables.count else { return }
    ordinal = tables[table].index.firstBlock(key.bytes)
    tables[table].prefetchBlock(ordinal)
  }

  /// Behind `aim(at: key)`: goes to the first entry at or behind (key, trailer); backwards to the last one before it.
  /// False when there is none.
  func seek(_ key: SearchKey, trailer: UInt64) throws(EngineError) -> Bool {
    guard table < tables.count else { return try isForward ? false : start() }
    try load(isSeek: true)
    let step = cursor.seek(key, trailer: trailer)
    if step == .corrupt { throw damage() }
    // Nothing at or behind the key in this block: versions of one key go on in the next.
    if isForward { return step == .entry ? true : try nextBlock() }
    return try check(step == .entry ? cursor.stepBack() : cursor.last())
  }

  /// Goes one entry on in the cursor's direction; `end` at the end of the run, `corrupt` when `failure` says why not.
  @inline(__always)
  func step() -> BlockCursor.Step {
    let step = isForward ? cursor.step() : cursor.stepBack()
    return step == .entry ? .entry : stepOut(step)
  }

  @inline(never)
  private func stepOut(_ step: BlockCursor.Step) -> BlockCursor.Step {
    do throws(EngineError) { return try check(step) ? .entry : .end } catch {
      failure = error
      return .corrupt
    }
  }

  private func check(_ step: BlockCursor.Step) throws(EngineError) -> Bool {
    switch step {
    case .entry: true
    case .end: try nextBlock()
    case .corrupt: throw damage()
    }
  }

  private func damage() -> EngineError {
    tables[table].corrupt("damaged entry in a block", offset: tables[table].index.place(ordinal).offset)
  }

  @inline(never)
  private func nextBlock() throws(EngineError) -> Bool {
    while true {
      guard moveOn() else { return false }
      try load(isSeek: false)
      switch isForward ? cursor.step() : cursor.last() {
      case .entry: return true
      case .end: continue
      case .corrupt: throw damage()
      }
    }
  }

  /// Goes to the next block in the cursor's direction; false behind the last one, where the cursor then stays.
  private func moveOn() -> Bool {
    let target = isForward ? ordinal + 1 : ordinal - 1
    if target >= 0, target < tables[table].blockCount {
      ordinal = target
      return true
    }
    let next = isForward ? table + 1 : table - 1
    guard next >= 0, next < tables.count else {
      cursor.close()
      return false
    }
    table = next
    ordinal = isForward ? 0 : tables[table].blockCount - 1
    windowEnd = 0
    return true
  }

  private func load(isSeek: Bool) throws(EngineError) {
    let source = tables[table]
    block = nil
    let content: UnsafeRawBufferPointer
    if usesCache, isSeek || cachedSteps > 0 {
      if !isSeek { cachedSteps -= 1 }
      (content, block) = try source.content(ordinal)
    } else if usesCache, let cached = source.cachedBlock(ordinal) {
      block = cached
      content = cached.content
    } else {
      content = try windowBlock(source, source.index.place(ordinal))
    }
    guard cursor.open(content) else {
      throw source.corrupt("damaged block", offset: source.index.place(ordinal).offset)
    }
  }

  /// A block in the window, which is read anew when the block is not in it.
  private func windowBlock(_ source: Table, _ place: BlockPlace) throws(EngineError) -> UnsafeRawBufferPointer {
    if place.offset < windowStart || place.end > windowEnd { try fillWindow(source, place) }
    let start = Int(place.offset - windowStart)
    let bytes = UnsafeRawBufferPointer(rebasing: window[start..<(start + Int(place.end - place.offset))])
    switch StoredBlock(bytes) {
    case .plain(let content): return content
    case .damaged(let damage): throw source.corrupt(damage, offset: place.offset)
    case .lz4(let packed, let size):
      if unpacked.count < size {
        unpacked.deallocate()
        unpacked = .allocate(byteCount: max(size, 2 * BlockFormat.targetSize), alignment: 16)
      }
      let content = UnsafeMutableRawBufferPointer(rebasing: unpacked[..<size])
      guard decompress(packed, into: content) else {
        throw source.corrupt("a block does not decompress", offset: place.offset)
      }
      return UnsafeRawBufferPointer(content)
    }
  }

  /// Reads the block at `place` with what the walk comes to next.
  private func fillWindow(_ source: Table, _ place: BlockPlace) throws(EngineError) {
    let dataEnd = source.index.place(source.blockCount - 1).end
    let wanted = max(windowSize, place.end - place.offset)
    let start = isForward ? place.offset : max(place.end, wanted + UInt64(TableFormat.headerSize)) - wanted
    let end = isForward ? min(place.offset + wanted, dataEnd) : place.end
    windowSize = min(windowSize * 2, Self.lastWindow)
    let size = Int(end - start)
    if window.count < size {
      window.deallocate()
      window = .allocate(byteCount: size, alignment: 16)
    }
    windowEnd = 0
    try source.read(into: UnsafeMutableRawBufferPointer(rebasing: window[..<size]), at: start)
    windowStart = start
    windowEnd = end
  }
}
