// The rows of the batch being filled in key order: what a scan merges with the shards. Kept only when scans ask for it,
// and then each row is put in its place once. Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceLog
import SluiceSystem

/// The commands of a batch's body, of each key the newest.
struct OrderedWrites {
  /// Points into the body.
  let entries = EntryOverlay()
  private var base: UnsafeRawPointer?
  /// Where the part of the body ends that is in `entries`.
  private var end = 0

  mutating func removeAll() {
    entries.removeAll()
    end = 0
  }

  /// Takes in the commands that were added to `body` since the last call; all of them when it has moved.
  mutating func update(from body: UnsafeRawBufferPointer) {
    if body.baseAddress != base { removeAll() }
    base = body.baseAddress
    guard end < body.count else { return }
    var reader = CommandReader(body: body, offset: end)
    while let command = reader.next() {
      entries.add(key: command.key, kind: command.kind == .delete ? .tombstone : .put, value: command.value)
    }
    end = body.count
  }
}
