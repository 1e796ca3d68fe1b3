// Reads a manifest without an engine: each edit, and the version they lead to. Read-only; goes on past damage at the
// next record that verifies. The words are those of InspectionReport.swift.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Lines that describe a manifest, or the manifests of a shard's directory: edits, the resulting version, the verdict.
/// Damage is a line, not an error.
public func describeManifest(fileSystem: any FileSystem, path: String) -> [String] {
  let report = InspectionReport()
  inspectManifest(path, fileSystem: fileSystem, report: report)
  report.conclude("")
  return report.lines
}

/// Describes a manifest file, or those of a shard's directory, to `report`.
public func inspectManifest(_ path: String, fileSystem: any FileSystem, report: InspectionReport) {
  var isDirectory = true
  do { _ = try fileSystem.list(path) } catch { isDirectory = error.reason != .notDirectory }
  if isDirectory { return inspectShardManifests(path, fileSystem: fileSystem, report: report) }
  ManifestInspection.read(path, fileSystem: fileSystem, owner: nil, report: report)?.tellVersion(report)
}

/// What a manifest's name and place say of it.
struct ManifestOwner {
  var number: UInt64
  var shard: Int
}

/// What was found in a manifest.
struct ManifestFindings {
  /// After the edits up to the first damage.
  var version = Version()
  /// Edits that could be read.
  var edits = 0
  /// Whether the last record was not written to its end: the next opening leaves it out.
  var isTorn = false
  /// False from the first damage on.
  var isTrusted = true

  /// Whether the first record is there, or was: else the manifest before this one counts.
  var isComplete: Bool { edits > 0 || !isTrusted }

  func tellVersion(_ report: InspectionReport) {
    let tables = version.tables
    report.tell(
      "version edits=\(edits)\(isTrusted ? "" : " up_to=damage") flushed_position=\(version.flushedPosition) "
        + "next_number=\(version.nextNumber) levels=\(version.levels.count { !$0.isEmpty }) "
        + "runs=\(version.levels.reduce(0) { $0 + $1.count }) tables=\(tables.count) entries=\(tables.entries) "
        + "bytes=\(tables.bytes)")
    for line in describe(version) { report.tell("  " + line) }
  }
}

/// One run over one manifest.
struct ManifestInspection {
  private let path: String
  private let bytes: UnsafeRawBufferPointer
  private let report: InspectionReport
  private var found = ManifestFindings()

  /// Reads the file and tells of its edits. Nil when it cannot be read at all, which is told too.
  static func read(
    _ path: String, fileSystem: any FileSystem, owner: ManifestOwner?, report: InspectionReport
  ) -> ManifestFindings? {
    let file: FileBytes
    do { file = try readWholeFile(path, fileSystem: fileSystem, shard: 0) } catch {
      if let cause = error.cause { report.refused(cause) } else { report.damage(error.message, file: path) }
      return nil
    }
    defer { withExtendedLifetime(file) {} }
    var run = ManifestInspection(path, file.bytes, report)
    if run.describeHeader(owner) { run.describeEdits() }
    return run.found
  }

  private init(_ path: String, _ bytes: UnsafeRawBufferPointer, _ report: InspectionReport) {
    self.path = path
    self.bytes = bytes
    self.report = report
  }

  private mutating func damage(_ what: String, _ offset: Int) {
    found.isTrusted = false
    report.damage(what, file: path, offset: UInt64(offset))
  }

  /// Whether there may be edits behind the header.
  private mutating func describeHeader(_ owner: ManifestOwner?) -> Bool {
    let line = "manifest" + field("file", path) + " bytes=\(bytes.count)"
    if bytes.count < ManifestFormat.headerSize || bytes.prefix(512).allSatisfy({ $0 == 0 }) {
      report.tell(line + " state=unwritten")
      return false
    }
    let header = UnsafeRawBufferPointer(rebasing: bytes[..<ManifestFormat.headerSize])
    var reader = ByteReader(header, offset: 12)
    let shard = reader.readLittleEndian(UInt32.self)
    let number = reader.readLittleEndian(UInt64.self)
    report.tell(line + versionFields(header) + " shard=\(shard) number=\(number)")
    if let flaw = headerDamage(header, magic: ManifestFormat.magic, version: ManifestFormat.version) {
      if flaw.kind == .unsupported {
        report.unread(flaw.message, file: path)
        return false
      }
      damage(flaw.message, 0)
    } else if let owner, owner.number != number || UInt32(owner.shard) != shard {
      damage("this is manifest \(number) of shard \(shard)", 12)
    }
    return true
  }

  private mutating func describeEdits() {
    var offset = ManifestFormat.headerSize
    while true {
      switch readRecord(bytes, at: offset) {
      case .end: return
      case .torn:
        found.isTorn = true
        report.tell("torn offset=\(offset) bytes=\(bytes.count - offset)")
        return
      case .damaged(let message):
        damage(message, offset)
        guard let next = nextRecord(behind: offset) else { return }
        offset = next
      case .edit(let edit, let end):
        take(edit, offset, end)
        offset = end
      }
    }
  }

  /// The next place where a record verifies. The head of one is tried alone first, which costs a few words: it fits
  /// when all that is missing is the edit behind it.
  private func nextRecord(behind offset: Int) -> Int? {
    var place = offset + 1
    while place + ManifestFormat.recordHeadSize < bytes.count {
      let head = UnsafeRawBufferPointer(rebasing: bytes[..<(place + ManifestFormat.recordHeadSize)])
      if case .torn = readRecord(head, at: place), case .edit = readRecord(bytes, at: place) { return place }
      place += 1
    }
    return nil
  }

  private mutating func take(_ edit: VersionEdit, _ offset: Int, _ end: Int) {
    report.tell("edit offset=\(offset) bytes=\(end - offset)")
    for line in describe(edit) { report.tell("  " + line) }
    found.edits += 1
    // Behind damage an edit may speak of what was lost.
    guard found.isTrusted else { return }
    switch found.version.applying(edit) {
    case .success(let next): found.version = next
    case .failure(let error): damage("the edit " + error.message, offset)
    }
  }
}

private func describe(_ edit: VersionEdit) -> [String] {
  var lines = edit.removed.map { "remove table=\($0)" }
  for addition in edit.added {
    lines.append("add level=\(addition.level) run=\(addition.run) \(fields(addition.table))")
  }
  if let position = edit.flushedPosition { lines.append("flushed position=\(position)") }
  for deletion in edit.deleted { lines.append(describe(deletion)) }
  if let number = edit.nextNumber { lines.append("next number=\(number)") }
  return lines
}

/// Levels, runs, tables and deletions, a line each.
private func describe(_ version: Version) -> [String] {
  var lines: [String] = []
  for (level, runs) in version.levels.enumerated() where !runs.isEmpty {
    lines.append(levelLine(level, runs))
    for run in runs {
      lines.append("  run number=\(run.number) tables=\(run.tables.count) bytes=\(run.tables.bytes)")
      lines += run.tables.map { "    " + fields($0) }
    }
  }
  return lines + version.deleted.all.map(describe)
}

private func describe(_ deletion: DeletedPrefix) -> String {
  "deleted sql_table=\(deletion.prefix) position=\(deletion.position)"
}

func levelLine(_ level: Int, _ runs: [RunInfo]) -> String {
  let tables = runs.flatMap(\.tables)
  return "level number=\(level) runs=\(runs.count) tables=\(tables.count) entries=\(tables.entries) "
    + "bytes=\(tables.bytes)"
}

private func fields(_ table: TableInfo) -> String {
  "table=\(table.number) bytes=\(table.size) keys=\(table.keyRange) "
    + "positions=\(table.lowestPosition)..\(table.highestPosition) entries=\(table.entries) "
    + "tombstones=\(table.tombstones)"
}

/// Sums over tables as a manifest has them; its numbers are read, not checked, so a sum may wrap.
extension [TableInfo] {
  var entries: UInt64 { reduce(0) { $0 &+ $1.entries } }
  var bytes: UInt64 { reduce(0) { $0 &+ $1.size } }
}
