// Making projections.db anew: from the shards themselves, at one position, in one SQLite transaction. Rows of all
// shards are merged in key order, so that SQLite fills its pages once and in order. Unsafe by nature: named in the
// tidy test.
import SluiceLSM
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// A snapshot of the store, to fill an empty file from.
final class Rebuild {
  /// Row bytes collected before they are written.
  static let chunkBytes = 4 << 20

  let position: UInt64
  private let catalog: Catalog
  private let snapshots: [Snapshot]
  private let room: DiskRoom
  private let status: Monitor<ProjectorStatus>
  /// Row bytes of what was written.
  private var writtenBytes = 0

  /// At the last visible position.
  init(_ pipeline: Pipeline) throws {
    room = pipeline.room
    status = pipeline.projectorStatus
    let view = pipeline.viewWithPosition()
    position = view.position
    snapshots = view.snapshots
    // That of the position: the shared one may be ahead of it.
    catalog = try Catalog.load(snapshots[0])
  }

  /// Fills the file, inside its open transaction; `apply` brings each definition into it. Throws `interrupted` when
  /// `isStopped` tells so.
  func run(
    _ file: ProjectionsFile, apply: (CatalogChange) throws(SQLiteError) -> Void, isStopped: () -> Bool
  ) throws {
    writtenBytes = 0
    status.withLock { $0.rebuiltRows = 0 }
    try file.prepare()
    for table in catalog.tables.values.sorted(by: { $0.id < $1.id }) {
      try apply(
        CatalogChange(
          operation: .create, object: .table, isNumbered: table.isNumbered, tableID: table.id, name: table.name,
          definition: SluiceSQL.print(table.definition, shardKey: true)))
      try fill(table, file, isStopped)
    }
    // Projections before what may be an index of theirs.
    func rank(_ object: ReadObject) -> (Int, String) { (object.kind == .projection ? 0 : 1, object.name) }
    for object in catalog.objects.values.sorted(by: { rank($0) < rank($1) }) {
      try apply(
        CatalogChange(
          operation: .create, object: object.kind, name: object.name, owner: object.owner, definition: object.sql))
    }
    try file.setCheckpoint(position)
  }

  private func fill(_ table: SQLTable, _ file: ProjectionsFile, _ isStopped: () -> Bool) throws {
    let rows = MergeIterator(
      snapshots, lower: keyPrefix(ofTable: table.id), upper: keyPrefix(ofTable: table.id + 1))
    let mirror = try Mirror(table: table, connection: file.connection)
    var chunk = Chunk()
    while try rows.next() {
      chunk.add(rows.current)
      if chunk.sizeBytes >= Self.chunkBytes {
        if isStopped() { throw SQLiteError.interrupted }
        writtenBytes += chunk.sizeBytes
        if room.stopsProjector(owing: writtenBytes) { throw SQLiteError.full }
        try write(&chunk, to: mirror)
      }
    }
    try write(&chunk, to: mirror)
  }

  private func write(_ chunk: inout Chunk, to mirror: Mirror) throws(SQLiteError) {
    let count = chunk.count
    try chunk.write(to: mirror)
    status.withLock { $0.rebuiltRows += count }
  }

  /// Copies of entries: an iterator's own are gone with its next step.
  private struct Chunk: ~Copyable {
    private var bytes = ByteBuffer(capacity: Rebuild.chunkBytes + (64 << 10))
    private var entries: [(offset: Int, keySize: Int, rowSize: Int, position: UInt64)] = []

    var sizeBytes: Int { bytes.count }
    var count: Int { entries.count }

    mutating func add(_ entry: Entry) {
      entries.append((bytes.count, entry.key.count, entry.value.count, entry.position))
      bytes.append(entry.key)
      bytes.append(entry.value)
    }

    mutating func write(to mirror: Mirror) throws(SQLiteError) {
      let all = bytes.bytes
      for entry in entries {
        let keyEnd = entry.offset + entry.keySize
        mirror.add(
          key: UnsafeRawBufferPointer(rebasing: all[entry.offset..<keyEnd]),
          row: UnsafeRawBufferPointer(rebasing: all[keyEnd..<(keyEnd + entry.rowSize)]),
          position: entry.position, isNew: true)
      }
      try mirror.write()
      entries.removeAll(keepingCapacity: true)
      bytes.removeAll()
    }
  }
}
