// The catalog as shard 0 has it.
import SluiceLSM
import SluiceSQL

extension Catalog {
  /// The catalog as of the flushed position: shard 0 keeps it under table id 0.
  static func load(_ engine: Engine) throws -> Catalog {
    try load(engine.snapshot(at: EngineLimits.position))
  }

  /// The same as of a snapshot of shard 0.
  static func load(_ snapshot: Snapshot) throws -> Catalog {
    var catalog = Catalog()
    var tables: [(change: CatalogChange, position: UInt64)] = []
    var others: [(change: CatalogChange, position: UInt64)] = []
    let iterator = snapshot.iterator(lower: [0, 0, 0, 0], upper: [0, 0, 0, 1])
    while try iterator.next() {
      guard let change = CatalogChange.decode(iterator.current.value) else {
        throw StoreError(.corrupt, "shard 0: a catalog entry cannot be read")
      }
      let position = iterator.current.position
      switch change.operation {
      // It has another name since, and stands there.
      case .alter where change.object == .table && !change.owner.isEmpty: catalog.noteTableID(change)
      case .create, .alter:
        if change.object == .table {
          tables.append((change.asCreation, position))
        } else {
          others.append((change.asCreation, position))
        }
      case .setSequence: others.append((change, position))
      case .drop: catalog.noteTableID(change)
      }
    }
    var created: [String: UInt64] = [:]
    for (change, position) in tables {
      _ = try catalog.apply(change)
      created[folded(change.name)] = position
    }
    for (change, position) in others where change.object == .projection { created[folded(change.name)] = position }
    // An index or a sequence belongs to the table, or projection, that stood under its name then. When that was
    // dropped, and perhaps another one created, it went with it, although nothing was written about itself. When that
    // was altered, its indexes were written again behind it. A sequence that tells the table's id needs no such guess.
    for (change, position) in others {
      if change.operation == .setSequence, change.tableID != 0 {
        if catalog.tablesByID[change.tableID] != nil { _ = try catalog.apply(change) }
        continue
      }
      let owner = change.operation == .setSequence ? change.name : change.object == .index ? change.owner : nil
      if let owner, created[folded(owner)].map({ $0 > position }) ?? true { continue }
      _ = try catalog.apply(change)
    }
    return catalog
  }
}
