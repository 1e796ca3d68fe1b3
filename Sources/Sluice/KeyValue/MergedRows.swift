// The rows of all shards, and a session's own, in one key order. A key lies in one shard only, so the shards are a heap
// without ties; a session's own row wins against a shard's of the same key. Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceSystem

/// Walks live rows forward, as of one position. One thread.
final class MergedRows {
  /// The next row of a shard.
  private struct Head {
    /// Eight bytes of the key behind the table id, which decide nearly every comparison.
    var order: UInt64
    var key: UnsafeRawBufferPointer
    var value: UnsafeRawBufferPointer
    var shard: Int
  }
  private enum Origin { case nowhere, shard, own }

  private let view: [Snapshot]
  private let own: CopiedRows
  let lower: [UInt8]
  private let upper: [UInt8]
  private var shards: [MergeIterator] = []
  /// A binary heap, least key first.
  private var heads: [Head] = []
  private var ownIndex = 0
  private var hasBegun = false
  /// Where the current row came from: that goes on with the next step.
  private var origin = Origin.nowhere

  /// Key (the engine's) and value of the row that `next` went to. Valid until the next step.
  private(set) var key = UnsafeRawBufferPointer(start: nil, count: 0)
  private(set) var value = UnsafeRawBufferPointer(start: nil, count: 0)

  /// Rows with `lower` <= key < `upper` (engine keys). `own` are rows of that range, newer than the view.
  init(view: [Snapshot], own: consuming CopiedRows, lower: [UInt8], upper: [UInt8]) {
    self.view = view
    self.own = own
    self.lower = lower
    self.upper = upper
  }

  /// Goes to the next row; false behind the last.
  func next() throws(StoreError) -> Bool {
    if !hasBegun { return try seek(lower) }
    switch origin {
    case .nowhere: return false
    case .shard: try stepShards()
    case .own: ownIndex += 1
    }
    return try settle()
  }

  /// Goes to the first row at or above `start`, an engine key of the range; false when there is none.
  func seek(_ start: [UInt8]) throws(StoreError) -> Bool {
    hasBegun = true
    heads.removeAll(keepingCapacity: true)
    shards.removeAll(keepingCapacity: true)
    for snapshot in view {
      shards.append(snapshot.iterator(lower: start, upper: upper))
      if let head = try nextHead(shards.count - 1) {
        heads.append(head)
        rise()
      }
    }
    ownIndex = start.withUnsafeBytes { start in
      (0..<own.count).first { compareBytes(own.key($0), start) >= 0 } ?? own.count
    }
    return try settle()
  }

  /// Makes the lesser of the two sides the current row, past what the session has deleted or replaced.
  private func settle() throws(StoreError) -> Bool {
    while ownIndex < own.count {
      let ownKey = own.key(ownIndex)
      let order = heads.isEmpty ? -1 : compareBytes(ownKey, heads[0].key)
      if order > 0 { break }
      if order == 0 { try stepShards() }
      if own.isDeleted(ownIndex) {
        ownIndex += 1
        continue
      }
      key = ownKey
      value = own.value(ownIndex)
      origin = .own
      return true
    }
    guard let top = heads.first else {
      origin = .nowhere
      return false
    }
    key = top.key
    value = top.value
    origin = .shard
    return true
  }

  // MARK: The heap

  /// The next row of a shard; nil behind its last.
  private func nextHead(_ shard: Int) throws(StoreError) -> Head? {
    let iterator = shards[shard]
    do { guard try iterator.next() else { return nil } } catch { throw StoreError(error) }
    let entry = iterator.current
    return Head(order: Self.order(entry.key), key: entry.key, value: entry.value, shard: shard)
  }

  private static func order(_ key: UnsafeRawBufferPointer) -> UInt64 {
    if key.count >= KeySpace.prefixSize + 8 {
      return UInt64(bigEndian: key.loadUnaligned(fromByteOffset: KeySpace.prefixSize, as: UInt64.self))
    }
    var order: UInt64 = 0
    for index in 0..<8 {
      order = order << 8 | (KeySpace.prefixSize + index < key.count ? UInt64(key[KeySpace.prefixSize + index]) : 0)
    }
    return order
  }

  /// The shard on top goes on.
  private func stepShards() throws(StoreError) {
    if let following = try nextHead(heads[0].shard) {
      heads[0] = following
    } else {
      let last = heads.removeLast()
      if heads.isEmpty { return }
      heads[0] = last
    }
    sink()
  }

  @inline(__always)
  private func precedes(_ a: Int, _ b: Int) -> Bool {
    if heads[a].order != heads[b].order { return heads[a].order < heads[b].order }
    return compareBytes(heads[a].key, heads[b].key) < 0
  }

  private func sink() {
    var index = 0
    while true {
      var least = index
      let left = 2 * index + 1
      if left < heads.count, precedes(left, least) { least = left }
      if left + 1 < heads.count, precedes(left + 1, least) { least = left + 1 }
      if least == index { return }
      heads.swapAt(index, least)
      index = least
    }
  }

  private func rise() {
    var index = heads.count - 1
    while index > 0, precedes(index, (index - 1) / 2) {
      heads.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }
}
