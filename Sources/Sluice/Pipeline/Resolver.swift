// Resolving: the deterministic step of the pipeline. Commands are checked and inserted in log order; the same log gives
// the same outcome every time, so only exceptions are ever written down (see `Resolution`).
import SluiceLSM
import SluiceLog
import SluiceSQL
import SluiceSystem

/// Why a command has no effect. The numbers are part of the log's format.
enum NoEffect: UInt8 {
  /// The key is taken: the statement is rejected.
  case duplicateKey = 1
  /// The SQL table was dropped before the row came.
  case noSuchTable = 2
  /// A CREATE or DROP contradicts the catalog.
  case catalogConflict = 3
  /// Another command of the same statement (or of a transaction under `-bail`) was rejected.
  case withAnother = 4
  /// Asked for: INSERT OR IGNORE of a taken key, IF NOT EXISTS, IF EXISTS. No error.
  case ignored = 5
  /// The row is not the one that the statement was made for: the statement is rejected.
  case changedMeanwhile = 6
}

/// What became of a batch: the commands without effect, and the sentences for those who sent them.
struct BatchOutcome: Sendable {
  var noEffect: [(index: UInt32, reason: UInt8)] = []
  var rejections: [Rejection] = []
  var catalogChanged = false
  /// Whether projections.db has to do with any of the commands: raw keys are of no concern to it.
  var isProjected = false
  /// What the session is told of its rows.
  var rows = RowOutcome()
  fileprivate var firstPosition: UInt64 = 0
  /// Whether rows stand in front of a change of the catalog.
  fileprivate var hasRowsBefore = false
  /// The last row that has a number in front of those of the table that is written now.
  fileprivate var numberedBefore: RowOutcome.LastRow = .none
  /// SQL tables that the batch drops or clears; their rows go when the whole batch stands.
  fileprivate var emptiedTables: [(id: UInt32, position: UInt64)] = []
}

/// Applies batches to the engines and the catalog. Belongs to one thread.
final class Resolver {
  private let engines: [Engine]
  private let router: Router
  private(set) var catalog: Catalog
  /// Table of the last row, so that the catalog is asked once per run of rows.
  private var currentTableID: UInt32 = 0
  private var currentTable: SQLTable?
  /// Where each engine stood before the current statement's first row in it, and which statement that was (by the index
  /// of its first command): most statements touch one engine.
  private var marks: [(place: Int, statement: UInt32)]
  /// The index of the current statement's first command.
  private var statementStart: UInt32 = 0
  /// The catalog when the statement began, if it has changed it, and what the batch had changed by then.
  private var catalogBefore: (catalog: Catalog, catalogChanged: Bool, emptiedTables: Int)?

  init(engines: [Engine], router: Router, catalog: Catalog) {
    self.engines = engines
    self.router = router
    self.catalog = catalog
    marks = engines.map { _ in (0, .max) }
  }

  /// Checks and inserts the commands of a batch, and publishes them to readers, who ask for no position below
  /// `foldingFrom` any more (nil: for any). About 0.1 µs per command.
  func resolve(_ batch: Batch, foldingFrom: UInt64? = nil) throws(StoreError) -> BatchOutcome {
    var outcome = BatchOutcome()
    outcome.firstPosition = batch.firstPosition
    var commands = batch.commands()
    var index: UInt32 = 0
    var isRejected = false
    begin(at: 0)
    for shard in marks.indices { marks[shard].statement = .max }
    while let command = commands.next() {
      if command.startsStatement && !batch.flags.contains(.allOrNothing) {
        begin(at: index)
        isRejected = false
      }
      if isRejected {
        outcome.noEffect.append((index, NoEffect.withAnother.rawValue))
      } else {
        let reason = try apply(command, position: batch.firstPosition + UInt64(index), &outcome)
        if reason == .ignored {
          outcome.noEffect.append((index, NoEffect.ignored.rawValue))
        } else if let reason {
          isRejected = true
          reject(from: statementStart, at: index, reason, &outcome)
        }
      }
      index += 1
    }
    publish(batch, foldingFrom)
    emptyTables(outcome)
    if outcome.noEffect.isEmpty {
      outcome.rows.lastWithoutEffect = currentTable == nil && !outcome.hasRowsBefore ? nil : 0
      outcome.rows.lastRow = lastRow(at: batch.lastPosition) ?? outcome.numberedBefore
    } else {
      outcome.rows = RowOutcome(batch, outcome.noEffect, catalog)
    }
    return outcome
  }

  /// Rows of the current table end in front of `position`.
  private func noteLeaving(_ position: UInt64, _ outcome: inout BatchOutcome) {
    guard position > outcome.firstPosition, currentTable != nil else { return }
    outcome.hasRowsBefore = true
    if let before = lastRow(at: position &- 1) { outcome.numberedBefore = before }
  }

  /// The number of the row at `position`, the last one, when its table gives numbers.
  private func lastRow(at position: UInt64) -> RowOutcome.LastRow? {
    guard let currentTable, currentTable.hasRowid else { return nil }
    return currentTable.isStream ? .known(Int64(bitPattern: position)) : .offered
  }

  /// In all engines, also those that hold the batch in tables: a deletion that is repeated changes nothing.
  private func emptyTables(_ outcome: BatchOutcome) {
    for table in outcome.emptiedTables {
      for engine in engines { engine.deletePrefix(table.id, position: table.position) }
    }
  }

  /// Inserts a batch again whose outcome is known, leaving out what engines already have in tables.
  func replay(_ batch: Batch, noEffect: [(index: UInt32, reason: UInt8)]) throws(StoreError) {
    var commands = batch.commands()
    var index: UInt32 = 0
    var next = 0
    var outcome = BatchOutcome()
    while let command = commands.next() {
      let position = batch.firstPosition + UInt64(index)
      if next < noEffect.count, noEffect[next].index == index {
        next += 1
      } else if command.kind == .catalog {
        if position > engines[0].flushedPosition { _ = try applyCatalog(command, position, &outcome) }
      } else if command.kind == .clear {
        outcome.emptiedTables.append((tableID(command), position))
      } else {
        let engine = engines[router.shard(slot: command.slot)]
        if position > engine.flushedPosition {
          engine.append(
            key: command.key, position: position, kind: command.kind.removes ? .tombstone : .put, value: command.row)
        }
      }
      index += 1
    }
    publish(batch, nil)
    emptyTables(outcome)
  }

  @inline(__always)
  private func tableID(_ command: Command) -> UInt32 { command.key.loadUnaligned(as: UInt32.self).bigEndian }

  private func publish(_ batch: Batch, _ foldingFrom: UInt64?) {
    for engine in engines { engine.publish(upTo: batch.lastPosition, owner: batch, foldingFrom: foldingFrom) }
  }

  /// A statement begins with the command at `index`.
  @inline(__always)
  private func begin(at index: UInt32) {
    statementStart = index
    if catalogBefore != nil { catalogBefore = nil }
  }

  /// The current statement is about to add to an engine.
  @inline(__always)
  private func mark(_ shard: Int, _ engine: Engine) {
    if marks[shard].statement != statementStart { marks[shard] = (engine.mark(), statementStart) }
  }

  /// Takes back what the statement has appended, and notes that none of its commands has an effect.
  private func reject(from start: UInt32, at index: UInt32, _ reason: NoEffect, _ outcome: inout BatchOutcome) {
    for (shard, mark) in marks.enumerated() where mark.statement == start { engines[shard].rollback(to: mark.place) }
    if let before = catalogBefore {
      catalog = before.catalog
      currentTable = nil
      outcome.catalogChanged = before.catalogChanged
      outcome.emptiedTables.removeSubrange(before.emptiedTables...)
    }
    while let last = outcome.noEffect.last, last.index >= start { outcome.noEffect.removeLast() }
    for earlier in start..<index { outcome.noEffect.append((earlier, NoEffect.withAnother.rawValue)) }
    outcome.noEffect.append((index, reason.rawValue))
  }

  /// Nil when the command takes effect.
  @inline(__always)
  private func apply(
    _ command: Command, position: UInt64, _ outcome: inout BatchOutcome
  ) throws(StoreError) -> NoEffect? {
    if command.kind == .catalog { return try applyCatalog(command, position, &outcome) }
    let tableID = tableID(command)
    let isRaw = KeySpace.contains(tableID)
    if !isRaw { outcome.isProjected = true }
    if !isRaw, tableID != currentTableID || currentTable == nil {
      noteLeaving(position, &outcome)
      currentTableID = tableID
      currentTable = catalog.tablesByID[tableID]
      if currentTable == nil {
        outcome.rejections.append(Rejection(message: "no such table", sqliteCode: 1, line: command.line))
        return .noSuchTable
      }
    }
    if command.kind == .clear {
      outcome.emptiedTables.append((tableID, position))
      return nil
    }
    let shard = router.shard(slot: command.slot)
    let engine = engines[shard]
    if command.kind == .insert || command.kind == .ignore, isRaw || currentTable?.isStream == false {
      let isTaken: Bool
      do { isTaken = try engine.contains(command.key) } catch { throw StoreError(error) }
      if isTaken {
        if command.kind == .ignore { return .ignored }
        let message = isRaw ? KeySpace.duplicateMessage(tableID) : currentTable?.duplicateMessage
        outcome.rejections.append(Rejection(message: message ?? "", sqliteCode: 19, line: command.line))
        return .duplicateKey
      }
    }
    if let expected = command.expectedPosition {
      let newest: UInt64?
      do { newest = try engine.newestPosition(of: command.key) } catch { throw StoreError(error) }
      guard newest ?? 0 == expected else {
        outcome.rejections.append(
          Rejection(message: "the row changed meanwhile", sqliteCode: 5, line: command.line))
        return .changedMeanwhile
      }
    }
    mark(shard, engine)
    engine.append(
      key: command.key, position: position, kind: command.kind.removes ? .tombstone : .put, value: command.row)
    return nil
  }

  private func applyCatalog(
    _ command: Command, _ position: UInt64, _ outcome: inout BatchOutcome
  ) throws(StoreError) -> NoEffect? {
    outcome.isProjected = true
    guard let change = CatalogChange.decode(command.value) else {
      throw StoreError(.corrupt, "position \(position): the catalog change cannot be read")
    }
    let dropped = change.operation == .drop && change.object == .table ? catalog.table(change.name) : nil
    if catalogBefore == nil { catalogBefore = (catalog, outcome.catalogChanged, outcome.emptiedTables.count) }
    let effect: Catalog.Effect
    do { effect = try catalog.apply(change) } catch {
      throw StoreError(.corrupt, "position \(position): the catalog change cannot be read: \(error.message)")
    }
    switch effect {
    case .none: return .ignored
    case .refused(let message):
      outcome.rejections.append(Rejection(message: message, sqliteCode: 1, line: command.line))
      return .catalogConflict
    case .changed: break
    }
    noteLeaving(position, &outcome)
    currentTable = nil
    outcome.catalogChanged = true
    // A drop is kept too: it tells the highest table id given out so far.
    mark(0, engines[0])
    engines[0].append(key: command.key, position: position, kind: .put, value: command.value)
    if let dropped { outcome.emptiedTables.append((dropped.id, position)) }
    return nil
  }
}
