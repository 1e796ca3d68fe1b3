// The rows of the batch being filled in key order: what a scan merges with the shards. Kept only when scans ask for it,
// and then each row is put in its place once. Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceLog
import SluiceSystem

/// The commands of a batch's body, of each key the newest.
struct OrderedWrites {
  /// Points into the body. A walk that holds it keeps it as it is: what comes later goes into another one.
  private(set) var entries = EntryOverlay()
  private var base: UnsafeRawPointer?
  /// Where the part of the body ends that is in `entries`.
  private var end = 0

  mutating func removeAll() {
    if isKnownUniquelyReferenced(&entries) { entries.removeAll() } else { entries = EntryOverlay() }
    end = 0
  }

  /// Takes in the commands that were added to `body` since the last call; all of them when it has moved.
  mutating func update(from body: UnsafeRawBufferPointer) {
    if body.baseAddress != base { removeAll() }
    base = body.baseAddress
    guard end < body.count else { return }
    if !isKnownUniquelyReferenced(&entries) { removeAll() }
    var reader = CommandReader(body: body, offset: end)
    while let command = reader.next() {
      if command.kind == .catalog { continue }
      entries.add(key: command.key, kind: command.kind.removes ? .tombstone : .put, value: command.row)
    }
    end = body.count
  }
}
