// Deletion of everything under a prefix: DROP TABLE, and DELETE without WHERE. One record, whatever it removes.
//
// A deletion at position p hides the entries of its SQL table with positions up to p; later ones stand. Several of one
// SQL table are kept as long as some snapshot may lie between them. Compaction gives the space back.

/// A deletion of what an SQL table held: its entries up to `position` are dead.
struct DeletedPrefix: Equatable, Sendable {
  var prefix: UInt32
  var position: UInt64
}

/// The deletions that count, by SQL-table id.
struct PrefixDeletions: Equatable, Sendable {
  /// Rising positions, at least one for each id.
  private var positions: [UInt32: [UInt64]] = [:]

  init() {}

  @inline(__always)
  var isEmpty: Bool { positions.isEmpty }

  /// All of them, by id, then by position.
  var all: [DeletedPrefix] {
    if positions.isEmpty { return [] }
    return positions.sorted { $0.key < $1.key }.flatMap { id, list in
      list.map { DeletedPrefix(prefix: id, position: $0) }
    }
  }

  /// The last deletion of an SQL table that a reader at `position` sees; 0 when there is none.
  func last(_ table: UInt32, at position: UInt64) -> UInt64 {
    positions[table]?.last { $0 <= position } ?? 0
  }

  /// Whether a reader at `position` sees the entry `trailer` of `table` deleted.
  @inline(__always)
  func hides(_ table: UInt32, trailer: UInt64, at position: UInt64) -> Bool {
    !positions.isEmpty && trailer >> 8 <= last(table, at: position)
  }

  func contains(_ deletion: DeletedPrefix) -> Bool {
    positions[deletion.prefix]?.contains(deletion.position) ?? false
  }

  mutating func insert(_ deletion: DeletedPrefix) {
    if contains(deletion) { return }
    positions[deletion.prefix, default: []].append(deletion.position)
    positions[deletion.prefix]?.sort()
  }

  /// Those that some reader at `horizon` or above needs, and for which `isLive` says that they still hide something.
  func kept(from horizon: UInt64, _ isLive: (DeletedPrefix) -> Bool) -> PrefixDeletions {
    var result = PrefixDeletions()
    for (id, list) in positions {
      // Below the horizon only the last one counts.
      let first = list.last { $0 <= horizon } ?? 0
      for position in list where position >= first {
        let deletion = DeletedPrefix(prefix: id, position: position)
        if isLive(deletion) { result.insert(deletion) }
      }
    }
    return result
  }
}
