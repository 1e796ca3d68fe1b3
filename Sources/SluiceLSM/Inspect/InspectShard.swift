// Reads a shard's directory without an engine: the manifest in force, the tables it names, what no manifest names.
// Read-only; goes on past damage. The words are those of InspectionReport.swift.
//
// Another process may write meanwhile. Three things keep that from looking like damage: a manifest that is torn or does
// not verify is read again when the directory has changed since; a table is removed only after the edit that removes it
// is in the manifest, so one that is missing is damage only when the manifest, read again, still names it; and tables
// never change, and stay readable once open. As many are opened at once as a part of the process's descriptors allows;
// those behind them when their turn comes.
import SluiceSystem

/// What a shard's directory holds, by its manifest.
public struct ShardFindings: Sendable {
  /// Name of the manifest in force; nil when there is none, as in a new store.
  public var manifest: String?
  /// Whether that could be read; all numbers are zero when not.
  public var isRead = true
  public var flushedPosition: UInt64 = 0
  public var levels = 0
  public var runs = 0
  public var tables = 0
  public var entries: UInt64 = 0
  public var bytes: UInt64 = 0
  /// What was read to verify it.
  public var read = TableTotals()
}

/// Looks at the directory of a shard: its manifest, then each table to `depth`. Tells of levels and of files that no
/// manifest names, indented by two, and of damage. A missing directory is an empty shard: opening makes it.
public func inspectShard(
  _ directory: String, shard: Int, fileSystem: any FileSystem, depth: TableDepth, report: InspectionReport
) -> ShardFindings {
  let look = ShardLook.take(directory, shard: shard, fileSystem: fileSystem, tellsEdits: false, report: report)
  var result = ShardFindings()
  result.manifest = look.manifest
  guard let version = look.findings?.version else {
    result.isRead = look.manifest == nil
    return result
  }
  result.flushedPosition = version.flushedPosition
  result.levels = version.levels.count { !$0.isEmpty }
  result.runs = version.levels.reduce(0) { $0 + $1.count }
  result.tables = version.tables.count
  result.entries = version.tables.entries
  result.bytes = version.tables.bytes
  for (level, runs) in version.levels.enumerated() where !runs.isEmpty { report.tell("  " + levelLine(level, runs)) }
  look.tellStrays(report, indent: "  ")
  func inspect(_ info: TableInfo, _ file: any File) {
    let part = InspectionReport(isBrief: true)
    result.read += TableInspection(file, named: info, depth: depth, report: part).run()
    file.close()
    report.add(part)
  }
  for (info, file) in look.tables { inspect(info, file) }
  look.openOthers(report) { inspect($0, $1) }
  return result
}

/// Describes the manifests of a shard's directory: the one in force with its edits and its version, and whether the
/// tables it names are there.
func inspectShardManifests(_ directory: String, fileSystem: any FileSystem, report: InspectionReport) {
  let shard = directory.split(separator: "/").last.flatMap { $0.count == 3 ? Int($0) : nil }
  let look = ShardLook.take(directory, shard: shard, fileSystem: fileSystem, tellsEdits: true, report: report)
  for (_, file) in look.tables { file.close() }
  look.openOthers(report) { $1.close() }
  look.findings?.tellVersion(report)
  look.tellStrays(report, indent: "")
}

/// The directory of a shard at one moment.
private struct ShardLook {
  private static let attempts = 20

  private let directory: String
  private let shard: Int?
  private let fileSystem: any FileSystem
  private var names: [String] = []
  private(set) var manifest: String?
  private(set) var findings: ManifestFindings?
  /// The tables that the manifest names and that were opened at once.
  private(set) var tables: [(info: TableInfo, file: any File)] = []
  /// Those that are to be opened one by one.
  private var others: ArraySlice<TableInfo> = []

  /// `shard`: whose the manifest must be, if that is known. `tellsEdits`: whether its edits are told.
  static func take(
    _ directory: String, shard: Int?, fileSystem: any FileSystem, tellsEdits: Bool, report: InspectionReport
  ) -> ShardLook {
    var look = ShardLook(directory: directory, shard: shard, fileSystem: fileSystem)
    look.readManifest(report, tellsEdits: tellsEdits)
    look.openTables(report)
    return look
  }

  private init(directory: String, shard: Int?, fileSystem: any FileSystem) {
    self.directory = directory
    self.shard = shard
    self.fileSystem = fileSystem
  }

  /// Names, and sizes of manifests: what changes with every edit.
  private func trace() -> [String] {
    do {
      return try fileSystem.list(directory).map { name in
        guard name.hasPrefix(ManifestFormat.prefix) else { return name }
        let file = try fileSystem.open(directory + "/" + name, .read)
        defer { file.close() }
        return "\(name) \(try file.size())"
      }
    } catch { return ["\(error)"] }
  }

  private mutating func readManifest(_ report: InspectionReport, tellsEdits: Bool) {
    var attempt = 1
    while true {
      let part = InspectionReport(isBrief: report.isBrief || !tellsEdits)
      let before = trace()
      readManifestOnce(part)
      let isWell = part.isSound && findings?.isTorn != true
      if isWell || attempt == Self.attempts || trace() == before { return report.add(part) }
      attempt += 1
    }
  }

  private mutating func readManifestOnce(_ report: InspectionReport) {
    (names, manifest, findings) = ([], nil, nil)
    do {
      guard try fileSystem.exists(directory) else { return }
      names = try fileSystem.list(directory)
    } catch { return report.refused(error) }
    let numbers = names.compactMap { fileNumber($0, prefix: ManifestFormat.prefix, suffix: "") }.sorted(by: >)
    // As in opening: the newest that was written to the end of its first record.
    for number in numbers where manifest == nil {
      let name = ManifestFormat.fileName(number)
      let owner = shard.map { ManifestOwner(number: number, shard: $0) }
      let reading = ManifestInspection.read(
        directory + "/" + name, fileSystem: fileSystem, owner: owner, report: report)
      if let reading, !reading.isComplete { continue }
      manifest = name
      findings = reading
    }
    let count = names.count { fileNumber($0, prefix: "", suffix: ".table") != nil }
    if manifest == nil, count > 0 {
      let name = numbers.first.map(ManifestFormat.fileName) ?? ManifestFormat.prefix + "*"
      let what = numbers.isEmpty ? "is missing" : "ends before its first record does"
      report.damage("\(count) tables, and the manifest that names them \(what)", file: directory + "/" + name)
    }
  }

  private mutating func openTables(_ report: InspectionReport) {
    let all = findings?.version.tables ?? []
    let first = all.prefix(descriptorLimit() / 4)
    others = all[first.endIndex...]
    var opened: [(info: TableInfo, file: any File)] = []
    open(first, report) { opened.append(($0, $1)) }
    tables = opened
  }

  /// Opens the tables that were not opened at once, one behind the other; `body` closes them.
  func openOthers(_ report: InspectionReport, _ body: (TableInfo, any File) -> Void) {
    open(others, report, body)
  }

  private func open(
    _ infos: ArraySlice<TableInfo>, _ report: InspectionReport, _ body: (TableInfo, any File) -> Void
  ) {
    var missing: [TableInfo] = []
    for info in infos {
      let file: any File
      do { file = try fileSystem.open(path(info), .read) } catch {
        if error.code == noSuchFile { missing.append(info) } else { report.refused(error) }
        continue
      }
      body(info, file)
    }
    guard !missing.isEmpty else { return }
    var later = ShardLook(directory: directory, shard: shard, fileSystem: fileSystem)
    later.readManifest(InspectionReport(isBrief: true), tellsEdits: false)
    let named = Set((later.findings?.version.tables ?? []).map(\.number))
    for info in missing where named.contains(info.number) {
      report.damage("the manifest names it and it is not there", file: path(info), place: "keys=\(info.keyRange)")
    }
  }

  private func path(_ info: TableInfo) -> String { directory + "/" + TableFormat.fileName(info.number) }

  /// The files that no manifest in force names: being written just now, or left by a crash; opening removes those.
  func tellStrays(_ report: InspectionReport, indent: String) {
    var known = Set((findings?.version.tables ?? []).map { TableFormat.fileName($0.number) })
    if let manifest { known.insert(manifest) }
    for name in names where !known.contains(name) { report.tell(indent + "stray" + field("name", name)) }
  }
}
