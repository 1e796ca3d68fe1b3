// A version: which tables an engine has, in which levels and runs, up to which position they are complete. A value:
// an edit makes a new version of it, and the manifest is the sequence of edits.
//
// Level 0 has the flushed runs. A level has up to seven runs at rest; an eighth asks for a compaction into the next
// level. The deepest level with tables has one run, but for level 0. In a level the oldest run comes first, and all
// that stands in a deeper level is older: a reader asks level 0 from its last run to its first, then level 1, …

/// Tables in key order, disjoint.
struct RunInfo: Equatable, Sendable {
  /// Later runs have greater numbers.
  var number: UInt64
  var tables: [TableInfo]

  var size: UInt64 { tables.reduce(0) { $0 + $1.size } }
}

/// A change of a version.
struct VersionEdit: Equatable, Sendable {
  struct Addition: Equatable, Sendable {
    var level: Int
    var run: UInt64
    var table: TableInfo
  }

  var removed: [UInt64] = []
  var added: [Addition] = []
  var flushedPosition: UInt64?
  var deleted: [DeletedPrefix] = []
  var nextNumber: UInt64?
}

struct Version: Equatable, Sendable {
  static let maximumLevels = 16

  var levels: [[RunInfo]] = []
  var flushedPosition: UInt64 = 0
  var deleted = PrefixDeletions()
  /// Next number for a file or a run.
  var nextNumber: UInt64 = 1

  /// All tables, level by level, oldest run first.
  var tables: [TableInfo] { levels.flatMap { $0.flatMap(\.tables) } }

  /// The deepest level that has tables, or nil.
  var deepestLevel: Int? { levels.lastIndex { !$0.isEmpty } }

  /// The version after `edit`, or what makes the edit impossible.
  func applying(_ edit: VersionEdit) -> Result<Version, EditError> {
    var next = self
    for number in edit.removed {
      if !next.remove(number) { return .failure(EditError(message: "removes table \(number), which is not there")) }
    }
    for addition in edit.added {
      if let message = next.add(addition) { return .failure(EditError(message: message)) }
    }
    if let position = edit.flushedPosition {
      if position < flushedPosition {
        return .failure(EditError(message: "moves the flushed position from \(flushedPosition) back to \(position)"))
      }
      next.flushedPosition = position
    }
    for deletion in edit.deleted { next.deleted.insert(deletion) }
    if let number = edit.nextNumber { next.nextNumber = max(next.nextNumber, number) }
    return .success(next)
  }

  private mutating func remove(_ number: UInt64) -> Bool {
    for level in levels.indices {
      for run in levels[level].indices {
        guard let index = levels[level][run].tables.firstIndex(where: { $0.number == number }) else { continue }
        levels[level][run].tables.remove(at: index)
        if levels[level][run].tables.isEmpty { levels[level].remove(at: run) }
        return true
      }
    }
    return false
  }

  /// Nil, or why the table cannot stand there.
  private mutating func add(_ addition: VersionEdit.Addition) -> String? {
    let table = addition.table
    guard addition.level < Self.maximumLevels else { return "adds table \(table.number) to level \(addition.level)" }
    guard compareKeys(table.smallest, table.largest) <= 0 else { return "keys of table \(table.number) fall" }
    while levels.count <= addition.level { levels.append([]) }
    nextNumber = max(nextNumber, max(table.number, addition.run) + 1)
    let runs = levels[addition.level]
    guard let run = runs.firstIndex(where: { $0.number >= addition.run }), runs[run].number == addition.run else {
      let place = runs.firstIndex { $0.number > addition.run } ?? runs.count
      levels[addition.level].insert(RunInfo(number: addition.run, tables: [table]), at: place)
      return nil
    }
    let tables = runs[run].tables
    let place = tables.firstIndex { compareKeys($0.smallest, table.smallest) > 0 } ?? tables.count
    if place > 0, compareKeys(tables[place - 1].largest, table.smallest) >= 0 {
      return "tables \(tables[place - 1].number) and \(table.number) of one run overlap"
    }
    if place < tables.count, compareKeys(table.largest, tables[place].smallest) >= 0 {
      return "tables \(table.number) and \(tables[place].number) of one run overlap"
    }
    levels[addition.level][run].tables.insert(table, at: place)
    return nil
  }

  /// This version as one edit of the empty one: how a new manifest begins.
  var asEdit: VersionEdit {
    var edit = VersionEdit(flushedPosition: flushedPosition, nextNumber: nextNumber)
    for (level, runs) in levels.enumerated() {
      for run in runs {
        for table in run.tables { edit.added.append(.init(level: level, run: run.number, table: table)) }
      }
    }
    edit.deleted = deleted.all
    return edit
  }

  /// Deletions that still hide entries in tables from a reader at `horizon` or above. The others are done: replay
  /// begins behind them.
  func liveDeletions(horizon: UInt64) -> PrefixDeletions {
    deleted.kept(from: horizon) { deletion in
      deletion.position > flushedPosition
        || tables.contains { $0.overlaps(prefix: deletion.prefix) && $0.lowestPosition <= deletion.position }
    }
  }
}

/// Why an edit does not fit its version.
struct EditError: Error { let message: String }

extension TableInfo {
  /// Whether the key range touches keys of an SQL table.
  func overlaps(prefix: UInt32) -> Bool { firstPrefix <= prefix && prefix <= lastPrefix }

  var firstPrefix: UInt32 { smallest.withUnsafeBytes { tableId($0) } }
  var lastPrefix: UInt32 { largest.withUnsafeBytes { tableId($0) } }
}
