// A store as its files show it: identity, holder, shards, log, projections, and whether they agree.
//
// The parts are read in an order in which another process that writes meanwhile makes nothing look wrong: shards and
// projections before the log, since what they hold was in the log before.
import SluiceLSM
import SluiceLog
import SluiceSystem

/// One look at one store.
struct StoreLook {
  let path: String
  let projections: DatabasePath
  let fileSystem: any FileSystem
  /// Whether every block and record is read, and only damage told.
  let isCheck: Bool
  let report: InspectionReport
  private var identity: StoreIdentity?
  private var tables = TableTotals()
  /// Flushed position of each shard, and the manifest that says so.
  private var flushed: [(shard: Int, position: UInt64, manifest: String)] = []
  private var isHeld = false

  init(
    path: String, projections: DatabasePath, fileSystem: any FileSystem, isCheck: Bool, report: InspectionReport
  ) {
    self.path = path
    self.projections = projections
    self.fileSystem = fileSystem
    self.isCheck = isCheck
    self.report = report
  }

  /// Looks at everything; returns the totals for the verdict.
  mutating func run() -> String {
    tellIdentity()
    tellHolder()
    tellShards()
    let projections = ProjectionsLook.take(
      self.projections, storeID: identity?.storeID, isCheck: isCheck, report: report)
    let witnesses = witnesses()
    let log = inspectLog(isCheck ? .records : .ends)
    projections.tell(report, last: log.lastPosition)
    tellGroups()
    tellStrays()
    compare(log, witnesses)
    projections.compare(last: log.lastPosition, report: report) {
      var options = StoreOptions()
      options.fileSystem = fileSystem
      let resources = EngineResources(cacheBytes: options.cacheBytes, compression: options.compression)
      return try StoreReader.openSteadily(path, options, resources).view
    }
    return isCheck ? "checked=everything \(tables.fields) \(log.read.fields)" : "checked=structure"
  }

  // MARK: Identity

  private mutating func tellIdentity() {
    let file = path + "/store"
    let bytes: [UInt8]
    do {
      guard try fileSystem.exists(file) else { return tellNoIdentity(file) }
      bytes = try fileSystem.contents(file)
    } catch { return report.refused(error) }
    do throws(StoreError) {
      let found = try StoreIdentity.decode(bytes, path: file)
      identity = found
      report.tell(
        "store" + field("path", path) + " version=\(bytes[8]) reader=\(bytes[10]) id=\(identityText(found.storeID)) "
          + "shards=\(found.shardCount) slots=\(StoreIdentity.slotCount)")
    } catch {
      let what = error.message.hasPrefix(file + " ") ? String(error.message.dropFirst(file.count + 1)) : error.message
      report.tell("store" + field("path", path))
      if error.kind == .unsupported {
        report.unread(what, file: file)
      } else {
        report.damage(what, file: file, offset: 0)
      }
    }
  }

  /// Creating a store ends with its identity: before that its other parts are empty.
  private func tellNoIdentity(_ file: String) {
    report.tell("store" + field("path", path) + " state=unfinished")
    for part in ["/log", "/shards"] {
      do {
        guard try fileSystem.exists(path + part), try !fileSystem.list(path + part).isEmpty else { continue }
        return report.damage("the store has a log or shards, and no identity", file: file)
      } catch { report.refused(error) }
    }
  }

  private mutating func tellHolder() {
    do {
      let file = path + "/LOCK"
      guard try fileSystem.exists(file) else { return report.tell("lock held=no") }
      let held = try fileSystem.isLocked(file).map { $0 ? "yes" : "no" } ?? "unknown"
      let text = String(decoding: try fileSystem.beginning(file, 256), as: UTF8.self)
      isHeld = held != "no"
      report.tell("lock held=\(held)" + field(held == "no" ? "last_holder" : "holder", text))
    } catch { report.refused(error) }
  }

  // MARK: Shards

  private mutating func tellShards() {
    var names: [String] = []
    do { if try fileSystem.exists(path + "/shards") { names = try fileSystem.list(path + "/shards") } } catch {
      return report.refused(error)
    }
    // Without an identity, the directories that are there.
    let shards = identity.map { Array(0..<$0.shardCount) } ?? names.compactMap { $0.utf8.count == 3 ? Int($0) : nil }
    for shard in shards { tellShard(shard) }
    let known = Set(shards.map { shardName($0) })
    for name in names where !known.contains(name) { report.tell("stray" + field("name", "shards/" + name)) }
  }

  private mutating func tellShard(_ shard: Int) {
    let part = InspectionReport(isBrief: report.isBrief)
    let found = inspectShard(
      path + "/shards/" + shardName(shard), shard: shard, fileSystem: fileSystem, depth: isCheck ? .blocks : .parts,
      report: part)
    let slots = identity.map { " slots=\($0.shardOfSlot.count { Int($0) == shard })" } ?? ""
    let line = "shard number=\(shard)\(slots) manifest=\(found.manifest ?? "none")"
    if found.isRead {
      report.tell(
        "\(line) flushed_position=\(found.flushedPosition) levels=\(found.levels) runs=\(found.runs) "
          + "tables=\(found.tables) entries=\(found.entries) bytes=\(found.bytes)")
      let manifest = path + "/shards/" + shardName(shard) + "/" + (found.manifest ?? "")
      flushed.append((shard, found.flushedPosition, manifest))
    } else {
      report.tell(line + " state=unread")
    }
    report.add(part)
    tables += found.read
  }

  // MARK: Log

  private func inspectLog(_ depth: LogDepth) -> LogFindings {
    let part = InspectionReport(isBrief: true)
    let found = SluiceLog.inspectLog(
      path + "/log", storeID: identity?.storeID, fileSystem: fileSystem, depth: depth, report: part)
    report.tell(
      "log segments=\(found.read.segments) first_position=\(found.firstPosition) "
        + "last_position=\(found.lastPosition.map { "\($0)" } ?? "unknown") bytes=\(found.read.bytes)")
    for name in found.strays { report.tell("  stray" + field("name", name)) }
    report.add(part)
    return found
  }

  /// The groups of `sluice tail`, which opening does not look at.
  private func tellGroups() {
    let groups = GroupFiles(storePath: path, storeID: identity?.storeID ?? 0, fileSystem: fileSystem)
    do {
      for name in try groups.names() {
        _ = GroupLook(path: groups.path(name), storeID: identity?.storeID, fileSystem: fileSystem).tell(report)
      }
    } catch { report.refused(error) }
  }

  /// Names beside the parts of a store.
  private func tellStrays() {
    let parts: Set = ["LOCK", "store", "log", "shards", "groups", StoreWitnesses.markName]
    do {
      for name in try fileSystem.list(path) where !parts.contains(name) && !name.hasPrefix("projections.db") {
        report.tell("stray" + field("name", name))
      }
    } catch { report.refused(error) }
  }

  /// What proves how long the log must be. While somebody writes projections.db it is not read.
  private func witnesses() -> [LogWitness] {
    var witnesses: [LogWitness] = []
    if let shard = flushed.max(by: { $0.position < $1.position }), shard.position > 0 {
      witnesses.append(StoreWitnesses.shard(shard.shard, manifest: shard.manifest, position: shard.position))
    }
    guard let identity else { return witnesses }
    let others = StoreWitnesses(
      path: path, projections: projections, storeID: identity.storeID, fileSystem: fileSystem)
    return witnesses + others.others(readsProjections: !isHeld)
  }

  /// Opening applies what the log holds behind the flushed positions: it must reach from there to the end, and no part
  /// of the store may hold more.
  private func compare(_ log: LogFindings, _ witnesses: [LogWitness]) {
    if let end = log.end, let reason = end.contradiction(witnesses) {
      let last = witnesses.map(\.position).max() ?? end.position
      report.damage(reason, file: end.path, offset: end.offset, place: "positions=\(end.position + 1)..\(last)")
    }
    tellMissing(log)
    for (shard, position, manifest) in flushed where log.firstPosition > 0 && log.firstPosition - 1 > position {
      report.damage(
        "shard \(shard) (\(manifest)) holds position \(position), where the log begins at \(log.firstPosition)",
        file: path + "/log", place: "positions=\(position + 1)..\(log.firstPosition - 1)")
    }
  }
}

extension StoreLook {
  /// Events at the beginning of the log that were never dropped. What was noted, the log was compared with already.
  private func tellMissing(_ log: LogFindings) {
    guard log.notedBegin == nil, log.firstPosition > 1 else { return }
    var options = StoreOptions()
    options.fileSystem = fileSystem
    let resources = EngineResources(cacheBytes: 0)
    do throws(StoreError) {
      let missing = try LogBegin.missing(first: log.firstPosition, noted: nil) { () throws(StoreError) in
        try FollowedStore(path: path, options: options, resources: resources).view.catalog
      }
      guard let missing else { return }
      report.damage(
        "no segment holds these positions, and they were not dropped", file: path + "/log",
        place: "positions=\(missing.lowerBound)..\(missing.upperBound)")
    } catch {}  // What else is damaged is told.
  }
}

/// A store's id: 16 hex digits.
func identityText(_ id: UInt64) -> String {
  hexDigits((0..<8).map { UInt8(truncatingIfNeeded: id >> (56 - 8 * UInt64($0))) })
}
