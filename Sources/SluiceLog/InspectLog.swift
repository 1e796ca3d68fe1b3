// The log's directory without a log: every segment in order, and whether positions follow from one to the next.
// Read-only; goes on past damage. The words are those of InspectionReport.swift.
import SluiceSystem

/// How much of a log is looked at.
public enum LogDepth: Sendable {
  /// The headers of all segments, and the records of the last: where the log begins and ends.
  case ends
  /// Every record.
  case records
  /// Every record and, of each, every command.
  case commands
}

/// Where a log begins and ends, and what was read of it.
public struct LogFindings: Sendable {
  /// 0 when there is none.
  public var firstPosition: UInt64 = 0
  /// 0 when there is none; nil when damage hides it.
  public var lastPosition: UInt64? = 0
  /// Where it begins at the latest, by what retention noted; nil: nothing was noted.
  public var notedBegin: UInt64?
  /// Where its records end; nil when damage hides it.
  public var end: LogEnd?
  public var read = LogTotals()
  /// Files that are not part of it: a transaction that was not committed, or not yet, or a segment not yet begun.
  /// Opening removes them.
  public var strays: [String] = []
}

/// Looks at the log in `directory` to `depth`. `storeID`: whose it must be; nil takes that from the first segment.
/// A missing directory is an empty log: opening makes it. Another process may append meanwhile: what counts is the list
/// of segments at the beginning.
public func inspectLog(
  _ directory: String, storeID: UInt64?, fileSystem: any FileSystem, depth: LogDepth, report: InspectionReport
) -> LogFindings {
  var run = LogInspection(
    directory: directory, storeID: storeID, fileSystem: fileSystem, depth: depth, report: report)
  run.run()
  for name in run.found.strays { report.tell("stray" + field("name", name)) }
  return run.found
}

private struct LogInspection {
  let directory: String
  var storeID: UInt64?
  let fileSystem: any FileSystem
  let depth: LogDepth
  let report: InspectionReport
  var found = LogFindings()
  /// The position that follows the segments so far; nil when it is not known.
  var next: UInt64?
  /// What the segment before says that this one must be.
  var adoption: Adoption?
  /// The last normal segment, and where its records end.
  var endPath: String
  var endOffset: UInt64 = 0

  init(
    directory: String, storeID: UInt64?, fileSystem: any FileSystem, depth: LogDepth, report: InspectionReport
  ) {
    self.directory = directory
    self.storeID = storeID
    self.fileSystem = fileSystem
    self.depth = depth
    self.report = report
    endPath = directory
  }

  mutating func run() {
    let names: [String]
    do {
      guard try fileSystem.exists(directory) else { return }
      names = try fileSystem.list(directory)
    } catch {
      found.lastPosition = nil
      return report.refused(error)
    }
    var segments: [Segment] = []
    var others: [String] = []
    for name in names {
      let path = directory + "/" + name
      switch SegmentName(name) {
      case .normal(let first): segments.append(Segment(path: path, firstPosition: first, adopted: false, limit: nil))
      case .adopted(let first): segments.append(Segment(path: path, firstPosition: first, adopted: true, limit: nil))
      case .begin(let first): found.notedBegin = max(found.notedBegin ?? 0, first)
      default: others.append(name)
      }
    }
    segments.sort(by: Segment.precedes)
    found.firstPosition = segments.first?.firstPosition ?? 0
    if let begin = found.notedBegin, found.firstPosition > begin {
      report.damage(
        "no segment holds these positions, and they were not dropped", file: directory,
        place: "positions=\(begin)..\(found.firstPosition - 1)")
    }
    for index in segments.indices { inspect(segments, index) }
    if let adoption {
      others.removeAll { $0 == SegmentName.staged(serial: adoption.serial).text }
      inspectAdopted(adoption)
    }
    if !segments.isEmpty { found.lastPosition = next.map { max($0, 1) - 1 } }
    found.end = found.lastPosition.map { LogEnd(position: $0, path: endPath, offset: endOffset) }
    found.strays = others
  }

  private mutating func inspect(_ segments: [Segment], _ index: Int) {
    let segment = segments[index]
    compareBegin(segment)
    if segment.adopted {
      inspect(segment.path, .adopted(first: segment.firstPosition), whole: depth != .ends)
    } else if index == segments.count - 1 {
      inspect(segment.path, .last, whole: true)
    } else {
      // The end of the log stands in its last normal segment, also when that adopts another.
      let isLastNormal = segments[(index + 1)...].allSatisfy(\.adopted)
      let role = SegmentRole.sealed(next: segments[index + 1].firstPosition)
      inspect(segment.path, role, whole: isLastNormal || depth != .ends)
    }
  }

  /// Whether the segment is the one that should follow.
  private mutating func compareBegin(_ segment: Segment) {
    let first = segment.firstPosition
    if let adoption, !segment.adopted || adoption.firstPosition != first {
      reportMissing(adoption)
      next = adoption.firstPosition + adoption.commandCount
      self.adoption = nil
    } else if segment.adopted, adoption == nil, next != nil {
      report.damage("no adoption record leads to it", file: segment.path, offset: 0)
    }
    if let next, first > next {
      report.damage("no segment holds these positions", file: directory, place: "positions=\(next)..\(first - 1)")
    } else if let next, first < next {
      report.damage("the segment before it ends at position \(next - 1)", file: segment.path, offset: 0)
    }
  }

  private func reportMissing(_ adoption: Adoption) {
    let last = adoption.firstPosition + adoption.commandCount - 1
    report.damage(
      "the segment that was adopted is missing", file: directory, place: "positions=\(adoption.firstPosition)..\(last)")
  }

  private mutating func inspect(_ path: String, _ role: SegmentRole, whole: Bool) {
    let run = SegmentInspection(path, role, fileSystem: fileSystem, depth: depth, report: report)
    let before = report.damageCount
    run.run(whole: whole)
    let isWhole = whole && report.damageCount == before
    found.read += run.totals
    if let header = run.header {
      storeID = storeID ?? header.storeID
      if header.storeID != storeID {
        report.damage("it belongs to store \(identityDigits(header.storeID))", file: path, offset: 24)
      }
      if let adoption { compare(adoption, run, header, isWhole: isWhole) }
    }
    next = whole && run.header != nil ? run.expected : nil
    if !whole, let adoption { next = adoption.firstPosition + adoption.commandCount }
    adoption = run.adoption
    if run.header?.kind == .normal { (endPath, endOffset) = (path, run.recordsEnd) }
  }

  /// Compares an adopted segment with the record that adopted it; its records when `isWhole`: all were read and sound.
  private func compare(_ adoption: Adoption, _ run: SegmentInspection, _ header: SegmentHeader, isWhole: Bool) {
    let isSame = header.serial == adoption.serial && run.totals.bytes == adoption.size
    let hasAll =
      !isWhole || UInt64(run.totals.commands) == adoption.commandCount && run.recordsChecksum == adoption.checksum
    if !isSame || !hasAll {
      report.damage(
        isSame ? "its records are not those that were adopted" : "it is not the segment that was adopted",
        file: run.path, offset: 0)
    }
  }

  /// The log ends with a record that adopts a segment: its file has the one name or, when the process ended in between
  /// or has gone on since, the other.
  private mutating func inspectAdopted(_ adoption: Adoption) {
    let staged = directory + "/" + SegmentName.staged(serial: adoption.serial).text
    let adopted = directory + "/" + SegmentName.adopted(first: adoption.firstPosition).text
    do {
      for path in [staged, adopted] where try fileSystem.exists(path) {
        return inspect(path, .adopted(first: adoption.firstPosition), whole: depth != .ends)
      }
    } catch { return report.refused(error) }
    reportMissing(adoption)
  }
}
