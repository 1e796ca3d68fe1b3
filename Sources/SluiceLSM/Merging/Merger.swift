// Merges runs of memory and of tables, of one shard or of many, into one sequence: all versions of all keys, newest
// version of a key first; backwards the same sequence from its end.
//
// A tree of losers over the runs (Knuth, The Art of Computer Programming, volume 3, section 5.4.1): an entry costs one
// comparison a level, and a comparison is arithmetic on the packed numbers of two keys, not a branch. Where they are
// equal, whole keys and positions decide. Buffers of the head are valid until the next step.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Used by one thread.
final class Merger {
  /// The packed numbers of a run's current key; backwards inverted, so that the least comes first either way.
  private struct Rank {
    var order: UInt128 = 0
    var table = Self.ended
    /// Above every table id: the run has ended.
    static let ended: UInt64 = 1 << 32
  }

  private static let prefetchDistance = 8

  private var runs: [Run] = []
  /// Cursors of table runs; those behind `cursorCount` wait to be used again.
  private var cursors: [RunCursor] = []
  private var cursorCount = 0
  /// The same without reference counts, for the walk.
  private var walked: UnsafeMutablePointer<Unmanaged<RunCursor>>
  private var usesCache = true
  private var isForward = true
  /// Memory runs first, then table runs.
  private var sourceCount = 0
  /// Sources that the arrays below have room for.
  private var room = 16
  private var ranks: UnsafeMutablePointer<Rank>
  private var positions: UnsafeMutablePointer<MemoryEntries>
  /// Where the walk over each memory run ends: its last entry, backwards its first.
  private var limits: UnsafeMutablePointer<MemoryEntries>
  /// Node n has the loser of the match between its children 2n and 2n + 1; source s is the leaf s + sourceCount.
  private var losers: UnsafeMutablePointer<Int>
  /// The source whose entry is least.
  private var winner = 0

  /// A merger of nothing, until `begin`.
  init() {
    ranks = .allocate(capacity: room)
    positions = .allocate(capacity: room)
    limits = .allocate(capacity: room)
    losers = .allocate(capacity: room)
    walked = .allocate(capacity: room)
    ranks[0] = Rank()
  }

  convenience init(runs: [Run], tableRuns: [[Table]], usesCache: Bool, isForward: Bool = true) {
    self.init()
    begin(usesCache: usesCache, isForward: isForward)
    for run in runs { add(run) }
    for tables in tableRuns { add(tables) }
  }

  deinit { deallocate() }

  private func deallocate() {
    ranks.deallocate()
    positions.deallocate()
    limits.deallocate()
    losers.deallocate()
    walked.deallocate()
  }

  /// Forgets its sources, keeps its memory. `add` gives it others, `start` begins the walk.
  func begin(usesCache: Bool, isForward: Bool) {
    end()
    self.usesCache = usesCache
    self.isForward = isForward
  }

  /// Lets go of the sources.
  func end() {
    runs.removeAll(keepingCapacity: true)
    for index in 0..<cursorCount { cursors[index].close() }
    cursorCount = 0
    sourceCount = 0
    winner = 0
    ranks[0] = Rank()
  }

  /// Adds a run of memory; newer ones first.
  func add(_ run: Run) { runs.append(run) }

  /// Adds a run of tables.
  func add(_ tables: [Table]) {
    if cursorCount == cursors.count { cursors.append(RunCursor()) }
    cursors[cursorCount].open(tables, usesCache: usesCache, isForward: isForward)
    cursorCount += 1
  }

  private func makeRoom() {
    sourceCount = runs.count + cursorCount
    if sourceCount > room { enlarge() }
    for index in 0..<cursorCount { walked[index] = .passUnretained(cursors[index]) }
  }

  private func enlarge() {
    deallocate()
    room = sourceCount * 2
    ranks = .allocate(capacity: room)
    positions = .allocate(capacity: room)
    limits = .allocate(capacity: room)
    losers = .allocate(capacity: room)
    walked = .allocate(capacity: room)
  }

  /// The current entry; only after `start` or `next` returned true.
  @inline(__always)
  var head: MergeHead {
    let source = winner
    let rank = ranks[source]
    let order = isForward ? rank.order : ~rank.order
    let table = UInt32(truncatingIfNeeded: isForward ? rank.table : ~rank.table)
    if source < runs.count {
      let entry = positions[source]
      return MergeHead(
        order: order, key: entry.pointee.keyBytes, trailer: entry.pointee.trailer, value: entry.pointee.valueBytes,
        table: table)
    }
    return walked[source &- runs.count]._withUnsafeGuaranteedRef { cursor in
      MergeHead(order: order, key: cursor.key, trailer: cursor.trailer, value: cursor.value, table: table)
    }
  }

  /// Goes to the first entry at or behind (key, trailer), or to the very first. Backwards: to the last one before
  /// (key, trailer), or to the very last. False when there is none.
  func start(at key: SearchKey?, trailer: UInt64 = .max) throws(EngineError) -> Bool {
    makeRoom()
    winner = 0
    ranks[0] = Rank()
    if let key { for index in 0..<cursorCount { cursors[index].aim(at: key) } }
    for (source, run) in runs.enumerated() {
      limits[source] = isForward ? run.last : run.base
      let place = key.map { run.lowerBound($0, trailer: trailer) } ?? (isForward ? run.base : run.end)
      if isForward ? place == run.end : place == run.base {
        ranks[source] = Rank()
      } else {
        positions[source] = isForward ? place : place - 1
        rankMemory(source)
      }
    }
    for index in 0..<cursorCount {
      let cursor = cursors[index]
      let found: Bool
      if let key { found = try cursor.seek(key, trailer: trailer) } else { found = try cursor.start() }
      if found { rankTable(runs.count + index, cursor) } else { ranks[runs.count + index] = Rank() }
    }
    playAll()
    return hasHead
  }

  @inline(__always)
  private var hasHead: Bool { ranks[winner].table != Rank.ended }

  /// Goes to the next entry in the merger's direction; false at the end.
  @inline(__always)
  func next() throws(EngineError) -> Bool {
    let source = winner
    if source < runs.count {
      if ranks[source].table == Rank.ended { return false }
      if positions[source] != limits[source] {
        positions[source] += isForward ? 1 : -1
        rankMemory(source)
      } else {
        ranks[source] = Rank()
      }
    } else {
      if sourceCount == 0 || ranks[source].table == Rank.ended { return false }
      let cursor = walked[source &- runs.count]
      switch cursor._withUnsafeGuaranteedRef({ $0.step() }) {
      case .entry: cursor._withUnsafeGuaranteedRef { rankTable(source, $0) }
      case .end: ranks[source] = Rank()
      case .corrupt: try failed(source)
      }
    }
    play(source)
    return hasHead
  }

  @inline(never)
  private func failed(_ source: Int) throws(EngineError) {
    ranks[source] = Rank()
    if let failure = cursors[source - runs.count].failure { throw failure }
  }

  @inline(__always)
  private func rankMemory(_ source: Int) {
    let entry = positions[source]
    prefetchEntry(source, entry)
    setRank(source, entry.pointee.table, entry.pointee.order)
  }

  @inline(__always)
  private func rankTable(_ source: Int, _ cursor: RunCursor) { setRank(source, tableId(cursor.key), cursor.order) }

  @inline(__always)
  private func setRank(_ source: Int, _ table: UInt32, _ order: UInt128) {
    ranks[source] =
      isForward
      ? Rank(order: order, table: UInt64(table)) : Rank(order: ~order, table: UInt64(~table))
  }

  /// Entries lie in key order, what they point to does not: without this each costs a cache miss or two.
  @inline(__always)
  private func prefetchEntry(_ source: Int, _ entry: MemoryEntries) {
    let ahead = entry + (isForward ? Self.prefetchDistance : -Self.prefetchDistance)
    if isForward ? ahead <= limits[source] : ahead >= limits[source] {
      prefetch(ahead.pointee.key)
      prefetch(ahead.pointee.key + 64)
    }
  }

  // MARK: The tree

  /// Plays all matches.
  private func playAll() {
    for node in 0..<sourceCount { losers[node] = -1 }
    for source in 0..<sourceCount {
      var climber = source
      var node = (source + sourceCount) / 2
      while node > 0, losers[node] >= 0 {
        if comesBefore(losers[node], climber) { swap(&losers[node], &climber) }
        node /= 2
      }
      if node > 0 { losers[node] = climber } else { winner = climber }
    }
  }

  /// Plays the matches of a source, which won all of them before, with its new entry.
  @inline(__always)
  private func play(_ source: Int) {
    var climber = source
    var node = (source &+ sourceCount) / 2
    while node > 0 {
      let other = losers[node]
      let loses = comesBefore(other, climber)
      losers[node] = loses ? climber : other
      climber = loses ? other : climber
      node /= 2
    }
    winner = climber
  }

  /// Whether source `a` comes before source `b`.
  @inline(__always)
  private func comesBefore(_ a: Int, _ b: Int) -> Bool {
    let first = ranks[a]
    let second = ranks[b]
    if first.order == second.order, first.table == second.table { return tailComesBefore(a, b) }
    return first.table < second.table || (first.table == second.table && first.order < second.order)
  }

  @inline(never)
  private func tailComesBefore(_ a: Int, _ b: Int) -> Bool {
    if ranks[a].table == Rank.ended { return a < b }
    let (first, second) = (tail(a), tail(b))
    let order = compareKeyTails(first.key.baseAddress, first.key.count, second.key.baseAddress, second.key.count)
    let precedes = order != 0 ? order < 0 : first.trailer > second.trailer
    return precedes == isForward
  }

  private func tail(_ source: Int) -> (key: UnsafeRawBufferPointer, trailer: UInt64) {
    if source < runs.count { return (positions[source].pointee.keyBytes, positions[source].pointee.trailer) }
    let cursor = cursors[source - runs.count]
    return (cursor.key, cursor.trailer)
  }
}
