// The rows of the batch being filled in key order: what a scan merges with the shards. Kept only when scans ask for it.
// Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceLog
import SluiceSystem

/// The commands of a batch's body, of each key the newest.
struct OrderedWrites {
  /// Points into the body.
  private(set) var entries = EntryOverlay()
  private var base: UnsafeRawPointer?
  /// Where the part of the body ends that is in `entries`.
  private var end = 0
  /// Commands taken in so far.
  private(set) var takenCount = 0

  mutating func removeAll() {
    entries.removeAll()
    end = 0
  }

  /// Takes in the commands that were added to `body` since the last call; all of them when it has moved, or has fewer.
  mutating func update(from body: UnsafeRawBufferPointer) {
    if body.baseAddress != base || body.count < end { removeAll() }
    base = body.baseAddress
    guard end < body.count else { return }
    var reader = CommandReader(body: body, offset: end)
    while let command = reader.next() {
      takenCount += 1
      if command.kind == .catalog { continue }
      entries.add(
        key: command.key, kind: command.kind.removes ? .tombstone : .put, value: command.row,
        place: UInt64(command.offset))
    }
    entries.order()
    end = body.count
  }
}
