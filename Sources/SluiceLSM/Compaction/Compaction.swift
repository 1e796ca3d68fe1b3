// Compaction: fewer runs, without what nobody can read any more.
//
// Lazy levelling: a level above the bottom collects eight runs, which become one run of the next level; the bottom is
// one sorted run. When the bottom is no smaller than what would be merged into it, it moves one level down instead,
// which costs an edit and no rewriting. When all that stands above the bottom has grown to twice its size, everything
// becomes one run: so old versions and deleted rows take at most two thirds of the space, and a row is rewritten once
// or twice, whatever the size of the store (RocksDB's levels rewrite it about ten times for each level).
// An engine that nobody writes to goes further: it merges everything into one run, as soon as the runs above the bottom
// are a quarter of its size and their merging so costs little for what it gives, and four runs of a level otherwise.
// Reads after a load then find one run.
// A deleted row costs every walk two steps, of the row and of its tombstone, until both are merged away: so everything
// becomes one run when tombstones are half as many as the rows that are left, a quarter when nobody writes.
// Sources: Dayan, Idreos, "Dostoevsky: Better Space-Time Trade-Offs for LSM-Tree Based Key-Value Stores", 2018;
// the bound on space is that of RocksDB's universal compaction.
//
// Tables that overlap no other input are moved, not rewritten: rising data is written once, by its flush.
// Everything here is called by the compactor's thread only.
import SluiceSystem

/// A compaction that a version wants: these runs become one run of `outputLevel`.
struct Compaction: Equatable {
  /// Numbers of the runs.
  var inputs: [UInt64]
  var outputLevel: Int
  /// Whether everything outside the inputs is newer than they are.
  var dropsTombstones: Bool
}

/// The compaction that `version` wants most, or nil; `isIdle`: nothing is being written. Tombstones above `horizon` do
/// not go yet. A pure function: shallow levels first.
func pickCompaction(_ version: Version, isIdle: Bool = false, horizon: UInt64 = .max) -> Compaction? {
  guard let deepest = version.deepestLevel else { return nil }
  let runsPerLevel = isIdle ? CompactionRules.idleRuns : CompactionRules.busyRuns
  let bottom = deepest == 0 ? 0 : size(version.levels[deepest])
  let upper = version.levels.reduce(0) { $0 + size($1) } - bottom
  let runCount = version.levels.reduce(0) { $0 + $1.count }
  if isIdle, runCount > 1, upper * CompactionRules.idleRatio >= bottom { return mergeAll(version, deepest) }
  if isDeleted(version, isIdle, horizon) { return mergeAll(version, deepest) }
  for (level, runs) in version.levels.enumerated() where runs.count >= runsPerLevel {
    return merge(level, of: version, deepest: deepest)
  }
  // Under a level that is full the bottom would be merged anyway; here the levels are small, and yet too large for it.
  if deepest > 0, upper > bottom * CompactionRules.upperRatio, runCount >= runsPerLevel {
    return mergeAll(version, deepest)
  }
  return nil
}

/// Whether so many rows are deleted that all is merged for them.
private func isDeleted(_ version: Version, _ isIdle: Bool, _ horizon: UInt64) -> Bool {
  var entries: UInt64 = 0
  var tombstones: UInt64 = 0
  for table in version.tables {
    entries += table.entries - table.tombstones
    if table.highestPosition <= horizon { tombstones += table.tombstones }
  }
  if isIdle { return tombstones > 0 && tombstones * CompactionRules.idleRowsPerTombstone >= entries }
  return tombstones >= CompactionRules.fewTombstones && tombstones * CompactionRules.busyRowsPerTombstone >= entries
}

/// All runs become one at the bottom, which is never level 0.
private func mergeAll(_ version: Version, _ deepest: Int) -> Compaction {
  Compaction(
    inputs: version.levels.flatMap { $0.map(\.number) }, outputLevel: max(deepest, 1), dropsTombstones: true)
}

private func size(_ runs: [RunInfo]) -> UInt64 { runs.reduce(0) { $0 + $1.size } }

/// All runs of a level become one: of the next level, or with the bottom of the deepest.
private func merge(_ level: Int, of version: Version, deepest: Int) -> Compaction {
  let inputs = version.levels[level].map(\.number)
  if level >= Version.maximumLevels - 1 {
    return Compaction(inputs: inputs, outputLevel: level, dropsTombstones: true)
  }
  if level + 1 < deepest || level == deepest {
    return Compaction(inputs: inputs, outputLevel: level + 1, dropsTombstones: level == deepest)
  }
  let bottom = version.levels[deepest]
  if size(bottom) >= size(version.levels[level]), deepest + 1 < Version.maximumLevels {
    return Compaction(inputs: bottom.map(\.number), outputLevel: deepest + 1, dropsTombstones: true)
  }
  return Compaction(inputs: inputs + bottom.map(\.number), outputLevel: deepest, dropsTombstones: true)
}

/// Tables with neighbouring keys that are merged, or one that is moved.
struct TableGroup: Equatable {
  var tables: [TableInfo]
  var isMoved: Bool
}

/// Cuts the inputs of a compaction into groups that do not overlap, in key order. A pure function.
func planGroups(_ tables: [TableInfo], smallSize: UInt64, mustRewrite: (TableInfo) -> Bool) -> [TableGroup] {
  var groups: [TableGroup] = []
  var largest: [UInt8] = []
  for table in tables.sorted(by: { compareKeys($0.smallest, $1.smallest) < 0 }) {
    if !groups.isEmpty, compareKeys(table.smallest, largest) <= 0 {
      groups[groups.count - 1].tables.append(table)
      groups[groups.count - 1].isMoved = false
      if compareKeys(table.largest, largest) > 0 { largest = table.largest }
    } else {
      let isMoved = table.size >= smallSize && !mustRewrite(table)
      groups.append(TableGroup(tables: [table], isMoved: isMoved))
      largest = table.largest
    }
  }
  var joined: [TableGroup] = []
  for group in groups {
    if !group.isMoved, let last = joined.last, !last.isMoved {
      joined[joined.count - 1].tables += group.tables
    } else {
      joined.append(group)
    }
  }
  // A small table without a neighbour to join gains nothing from being written again.
  for index in joined.indices where joined[index].tables.count == 1 && !mustRewrite(joined[index].tables[0]) {
    joined[index].isMoved = true
  }
  return joined
}

extension Engine {
  /// Whether so many small runs have come together that they are merged before more are added. Merging them costs
  /// little. The compactor's thread.
  public var isCrowded: Bool {
    version.levels.reduce(0) { $0 + $1.count { $0.size < sizes.small } } >= CompactionRules.crowdedRuns
  }

  /// Whether files wait to be removed until no reader has them: `compact` looks. The compactor's thread.
  public var hasObsoleteTables: Bool { !obsolete.isEmpty }

  /// Does one compaction if the version wants one; false when there is nothing to do.
  /// `isIdle`: nothing is being written, so fewer runs are worth a compaction.
  /// `meanwhile` is called after each megabyte merged and may flush this engine and others: memory waits for that, a
  /// merge can wait.
  public func compact(
    isIdle: Bool = false, meanwhile: () throws(EngineError) -> Void = {}
  ) throws(EngineError) -> Bool {
    try checkWritable()
    let horizon = horizon
    let dead = version.tables.filter { isDead($0, horizon: horizon) }.map(\.number)
    if !dead.isEmpty {
      try install(VersionEdit(removed: dead), opened: [:])
      return true
    }
    guard let compaction = pickCompaction(version, isIdle: isIdle, horizon: horizon) else {
      removeObsolete()
      return false
    }
    let writer = RunWriter(self, compaction.dropsTombstones ? .bottom : .above)
    do { try run(compaction, horizon: horizon, writer: writer, meanwhile) } catch {
      // After a failed manifest write the new tables may be named by it.
      if failure == nil { writer.abandon() }
      throw error
    }
    counters.withLock { $0.compactedBytes += writer.size }
    return true
  }

  /// Whether a table has only keys of one SQL table, all of them deleted.
  private func isDead(_ table: TableInfo, horizon: UInt64) -> Bool {
    guard !version.deleted.isEmpty, table.firstPrefix == table.lastPrefix else { return false }
    return table.highestPosition <= version.deleted.last(table.firstPrefix, at: horizon)
  }

  private func run(
    _ compaction: Compaction, horizon: UInt64, writer: RunWriter, _ meanwhile: () throws(EngineError) -> Void
  ) throws(EngineError) {
    let wanted = Set(compaction.inputs)
    let runs = version.levels.flatMap { $0 }.filter { wanted.contains($0.number) }
    let deletions = version.deleted.all.filter { $0.position <= horizon }
    let groups = planGroups(runs.flatMap(\.tables), smallSize: sizes.small) { table in
      (compaction.dropsTombstones && table.tombstones > 0)
        || deletions.contains { table.overlaps(prefix: $0.prefix) && table.lowestPosition <= $0.position }
    }
    var filter = VersionFilter(
      horizon: horizon, dropsTombstones: compaction.dropsTombstones, deleted: version.deleted)
    let number = takeNumber()
    var edit = VersionEdit(removed: runs.flatMap { $0.tables.map(\.number) })
    func add(_ info: TableInfo) {
      edit.added.append(VersionEdit.Addition(level: compaction.outputLevel, run: number, table: info))
    }
    for group in groups {
      if group.isMoved {
        // What was written so far must not reach behind the moved table.
        try writer.endTable()
        for info in group.tables { add(info) }
      } else {
        try merge(group, of: runs, filter: &filter, writer: writer, meanwhile)
      }
    }
    var opened: [UInt64: Table] = [:]
    for info in try writer.finish() {
      add(info)
      opened[info.number] = try openTable(info)
    }
    try install(edit, opened: opened)
  }

  private func merge(
    _ group: TableGroup, of runs: [RunInfo], filter: inout VersionFilter, writer: RunWriter,
    _ meanwhile: () throws(EngineError) -> Void
  ) throws(EngineError) {
    let numbers = Set(group.tables.map(\.number))
    let inputs = runs.map { run in
      run.tables.filter { numbers.contains($0.number) }.compactMap { tables[$0.number] }
    }
    let merger = Merger(runs: [], tableRuns: inputs.filter { !$0.isEmpty }, usesCache: false)
    var bytes = 0
    var more = try merger.start(at: nil)
    while more {
      let head = merger.head
      bytes &+= head.key.count &+ head.value.count
      if filter.keeps(head) { try writer.add(head) }
      more = try merger.next()
      if bytes > 1 << 20 {
        bytes = 0
        try meanwhile()
      }
    }
  }
}
