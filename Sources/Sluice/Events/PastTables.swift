// SELECT … AS OF: the tables as they were at a position of the log or at a time. The log is replayed from its
// beginning into a temporary SQLite database: first the catalog up to the point, then the rows of the tables that the
// query names. The last definition up to the point holds for all rows: a column that came later is not there, one that
// came before has its default in the rows that are older.
//
// What is seen is whole: a statement that ends behind the point is not there, and a staged transaction neither.
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem

/// One replay. Cost: the log up to the point is read twice, from the page cache at some GB/s, and each row of the
/// tables in question is written once, about 1 µs.
struct PastTables {
  let pipeline: Pipeline
  /// Up to where the log is applied.
  let last: UInt64
  let point: Point
  /// Throws when whoever asked does not want it any more.
  let check: () throws(StoreError) -> Void

  enum Point {
    case position(UInt64)
    /// Microseconds since 1970; which positions were written by then, LogTimes.swift says.
    case time(Int64)
  }

  /// A connection whose tables are those that `query` names, filled; what it reads is prepared by the caller.
  func open(for query: String) throws(StoreError) -> Connection {
    if pipeline.log.firstPosition > 1 {
      throw StoreError(
        .unsupported,
        "AS OF replays the log from its beginning, and it begins at position \(pipeline.log.firstPosition) now",
        isParse: true, sqliteCode: 1)
    }
    return try convertingErrors {
      let (catalog, end) = try catalogAtPoint()
      let connection = try Connection(path: "", mode: .readWriteCreate)
      try connection.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -24000")
      for table in catalog.tables.values { try connection.execute(SluiceSQL.print(table.definition, shardKey: false)) }
      for object in catalog.objects.values where object.kind == .view { try connection.execute(object.sql) }
      let names = try tables(in: query, connection)
      let wanted = catalog.tables.filter { names.contains($0.key) }.map(\.value)
      if !wanted.isEmpty { try fill(wanted, upTo: end, connection) }
      return connection
    }
  }

  /// Folded names of the tables that a query reads.
  private func tables(in query: String, _ connection: Connection) throws(SQLiteError) -> Set<String> {
    var names: Set<String> = []
    try connection.watchReads { read in
      names.insert(folded(read.table))
      return true
    }
    _ = try connection.prepare(query)
    return names
  }

  // MARK: The point

  /// The catalog at the point, and the position of the last command that is whole there.
  private func catalogAtPoint() throws -> (catalog: Catalog, end: UInt64) {
    var catalog = Catalog()
    var end: UInt64 = 0
    guard last > 0 else { return (catalog, end) }
    // Batches that become visible together.
    var unit: [RecordedReader.Recorded] = []
    let position = try pointPosition()
    let reader = try pipeline.log.recordedReader(after: 0, upTo: last)
    while let recorded = try reader.next() {
      try check()
      unit.append(recorded)
      guard recorded.transactionEnd else { continue }
      let reached = wholePart(of: unit.map(\.batch), upTo: position)
      for recorded in unit where recorded.batch.firstPosition <= reached {
        try Self.walk(recorded, upTo: reached) { command, _ in
          guard command.kind == .catalog, var change = CatalogChange.decode(command.value) else { return }
          // Whether it fits the catalog was settled when it was applied.
          if change.operation == .alter { change.sequence = 0 }
          _ = try catalog.apply(change)
        }
      }
      end = max(end, reached)
      if reached < recorded.batch.lastPosition { break }
      unit = []
    }
    return (catalog, end)
  }

  private func pointPosition() throws -> UInt64 {
    switch point {
    case .position(let position): return position
    case .time(let time):
      return try pipeline.log.position(at: time, upTo: last, now: pipeline.options.clock.wallMicroseconds())
    }
  }

  /// The last position of a unit that is at or before `position` and ends a statement; 0: none.
  private func wholePart(of unit: [Batch], upTo position: UInt64) -> UInt64 {
    guard let first = unit.first, let final = unit.last else { return 0 }
    if final.lastPosition <= position { return final.lastPosition }
    guard unit.count == 1, first.firstPosition <= position else { return 0 }
    var end = first.firstPosition - 1
    var commands = first.commands()
    while let command = commands.next() {
      let start = first.firstPosition + UInt64(command.index)
      if command.startsStatement, start <= position + 1 { end = start - 1 }
    }
    return end
  }

  // MARK: Rows

  private func fill(_ tables: [SQLTable], upTo end: UInt64, _ connection: Connection) throws {
    var mirrors: [UInt32: Mirror] = [:]
    for table in tables { mirrors[table.id] = try Mirror(table: table, connection: connection) }
    guard end > 0 else { return }
    try connection.execute("BEGIN")
    // Their memory must stay until the rows are written.
    var held: [Batch] = []
    var size = 0
    let reader = try pipeline.log.recordedReader(after: 0, upTo: last)
    while let recorded = try reader.next(), recorded.batch.firstPosition <= end {
      try check()
      try Self.walk(recorded, upTo: end) { command, position in
        guard command.kind != .catalog,
          let mirror = mirrors[command.key.loadUnaligned(as: UInt32.self).bigEndian]
        else { return }
        if command.kind == .clear {
          try mirror.clear()
        } else if command.kind.removes {
          mirror.remove(key: command.key, position: position)
        } else {
          mirror.add(key: command.key, row: command.row, position: position, isNew: false)
        }
      }
      held.append(recorded.batch)
      size += recorded.batch.size
      if size >= Projector.gatherBytes {
        for mirror in mirrors.values { try mirror.write() }
        held = []
        size = 0
      }
    }
    for mirror in mirrors.values { try mirror.write() }
    try connection.execute("COMMIT")
  }

  /// The commands of a batch that had an effect, up to a position.
  private static func walk(
    _ recorded: RecordedReader.Recorded, upTo end: UInt64, _ body: (Command, UInt64) throws -> Void
  ) throws {
    var skipped = recorded.noEffect[...]
    var commands = recorded.batch.commands()
    while let command = commands.next() {
      let position = recorded.batch.firstPosition + UInt64(command.index)
      if position > end { return }
      if let first = skipped.first, first.index == command.index {
        skipped.removeFirst()
      } else {
        try body(command, position)
      }
    }
  }
}
