// The rows of the batch being filled in key order: what a scan merges with the shards. Kept only when scans ask for
// it, and then a row is put in its place by a binary search. Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceLog
import SluiceSystem

/// Offsets of commands in a batch's body, by rising key, of each key the newest.
struct OrderedWrites {
  /// New rows up to which each is put in its place; more are sorted.
  private static let insertLimit = 16

  private var offsets: [UInt32] = []
  /// Where the part of the body ends that is in `offsets`.
  private var end = 0

  mutating func removeAll() {
    offsets.removeAll(keepingCapacity: true)
    end = 0
  }

  /// Takes in the commands that were added to `body` since the last call.
  mutating func update(from body: UnsafeRawBufferPointer) {
    guard end < body.count else { return }
    var added: [UInt32] = []
    var reader = CommandReader(body: body, offset: end)
    while true {
      let offset = reader.offset
      guard reader.next() != nil else { break }
      added.append(UInt32(truncatingIfNeeded: offset))
    }
    end = body.count
    if added.count <= Self.insertLimit {
      for offset in added { insert(offset, body) }
    } else {
      sort(with: added, body)
    }
  }

  private mutating func insert(_ offset: UInt32, _ body: UnsafeRawBufferPointer) {
    let key = command(body, offset).key
    let place = lowerBound(key, body)
    if place < offsets.count, compareBytes(command(body, offsets[place]).key, key) == 0 {
      offsets[place] = offset
    } else {
      offsets.insert(offset, at: place)
    }
  }

  private mutating func sort(with added: [UInt32], _ body: UnsafeRawBufferPointer) {
    var all = offsets + added
    all.sort { a, b in
      let order = compareBytes(command(body, a).key, command(body, b).key)
      return order != 0 ? order < 0 : a < b
    }
    offsets.removeAll(keepingCapacity: true)
    for index in all.indices {
      let isNewest =
        index + 1 == all.count || compareBytes(command(body, all[index]).key, command(body, all[index + 1]).key) != 0
      if isNewest { offsets.append(all[index]) }
    }
  }

  /// Index of the first row whose key is `key` or above.
  private func lowerBound(_ key: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer) -> Int {
    var low = 0
    var high = offsets.count
    while low < high {
      let middle = (low + high) / 2
      if compareBytes(command(body, offsets[middle]).key, key) < 0 { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Copies the rows with `lower` <= key < `upper` (engine keys), in order; no more than it takes to have `limit`
  /// values among them.
  func copy(
    lower: UnsafeRawBufferPointer, upper: UnsafeRawBufferPointer, limit: Int, from body: UnsafeRawBufferPointer,
    to rows: EntryOverlay
  ) {
    guard !offsets.isEmpty else { return }
    var values = 0
    for offset in offsets[lowerBound(lower, body)...] {
      let command = command(body, offset)
      if values >= limit || compareBytes(command.key, upper) >= 0 { return }
      if command.kind != .delete { values += 1 }
      rows.append(key: command.key, kind: command.kind == .delete ? .tombstone : .put, value: command.value)
    }
  }

  @inline(__always)
  private func command(_ body: UnsafeRawBufferPointer, _ offset: UInt32) -> Command {
    var reader = CommandReader(body: body, offset: Int(offset))
    return reader.next().unsafelyUnwrapped
  }
}
