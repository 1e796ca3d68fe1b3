// Looking into a store's files without opening it: no lock is taken, nothing is created, changed or cut off, and damage
// is told and passed over. Works on a read-only directory and beside the process that holds the store.
import SluiceLSM
import SluiceLog
import SluiceSystem

/// What `sluice inspect` does. Lines have the form at the head of InspectionReport.swift in SluiceSystem.
public enum StoreInspection {
  /// What is looked at.
  public enum Subject: Sendable, Equatable {
    /// A table file: all its blocks; with `entries` each entry is told.
    case table(entries: Bool)
    /// A manifest, or the directory of a shard.
    case manifest
    /// A segment, or the directory of a log; with `commands` each command is told.
    case log(commands: Bool)
    /// The place of a group of `sluice tail`.
    case group
    /// A store. With `check` every block and record is verified, and only damage is told; else its structure: identity,
    /// manifests, the tables' headers, indexes and filters, the segments' headers, the records of the last.
    case store(check: Bool)
  }

  /// What was found, in order of weight.
  public enum Outcome: Sendable {
    /// All that was looked at is as it was written.
    case sound
    /// Some of it is not.
    case damaged
    /// Nothing is damaged, but something could not be read: no permission, a newer format.
    case unread
  }

  /// Looks at `path` and hands each line to `output`; the last is the verdict. Throws `invalid` when there is no such
  /// file or it is of another kind (the message says which), `unavailable` when it may not be read. Cost: one pass over
  /// what is read, one megabyte or one block in memory at a time; the largest manifest whole.
  public static func run(
    _ subject: Subject, path: String, output: @escaping (String) -> Void
  ) throws(StoreError) -> Outcome {
    try run(subject, path: path, fileSystem: RealFileSystem(), projectionsPath: nil, output: output)
  }

  /// The same on other files; `projectionsPath` as in `StoreOptions`.
  package static func run(
    _ subject: Subject, path: String, fileSystem: any FileSystem, projectionsPath: String?,
    output: @escaping (String) -> Void
  ) throws(StoreError) -> Outcome {
    var path = path
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    try FileKind.check(path, isFor: subject, fileSystem: fileSystem)
    let report = InspectionReport(isBrief: subject == .store(check: true), output: output)
    let totals: String
    switch subject {
    case .table(let entries):
      let depth = entries ? TableDepth.entries : .blocks
      totals = inspectTable(path, fileSystem: fileSystem, depth: depth, report: report).fields
    case .manifest:
      inspectManifest(path, fileSystem: fileSystem, report: report)
      totals = ""
    case .log(let commands):
      totals = inspectLog(path, commands: commands, fileSystem: fileSystem, report: report).fields
    case .group:
      totals = GroupLook(path: path, storeID: nil, fileSystem: fileSystem).tell(report)
    case .store(let check):
      let files = try convertingErrors { try StoreOpening.hold(path, fileSystem) }
      let projections = DatabasePath(given: projectionsPath, storePath: path, fileSystem: files)
      var look = StoreLook(path: path, projections: projections, fileSystem: files, isCheck: check, report: report)
      totals = look.run()
    }
    report.conclude(field("path", path).dropFirst() + (totals.isEmpty ? "" : " " + totals))
    return report.damageCount > 0 ? .damaged : report.unreadCount > 0 ? .unread : .sound
  }

  private static func inspectLog(
    _ path: String, commands: Bool, fileSystem: any FileSystem, report: InspectionReport
  ) -> LogTotals {
    if !isDirectory(path, fileSystem) {
      return inspectSegment(path, fileSystem: fileSystem, commands: commands, report: report)
    }
    let depth = commands ? LogDepth.commands : .records
    return SluiceLog.inspectLog(path, storeID: nil, fileSystem: fileSystem, depth: depth, report: report).read
  }
}

/// Whether names can be listed at `path`.
func isDirectory(_ path: String, _ fileSystem: any FileSystem) -> Bool {
  do {
    _ = try fileSystem.list(path)
    return true
  } catch { return false }
}
