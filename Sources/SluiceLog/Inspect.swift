// What a segment holds, as text: for `inspect`, golden tests, and people with a damaged disk. Read-only, and goes on
// behind damage at the next record that verifies. The words are those of InspectionReport.swift.
//
// A place that does not verify is damage, but for the end of the log's last segment: there it is a torn tail, unless a
// record behind it says that it was durable (LogRecovery.swift). Another process may be writing there meanwhile, so
// such a place is read once more before it is judged. Unsafe by nature: named in the tidy test.
import SluiceSystem

/// Lines that describe a segment: header, each record, damaged places, zeros, the verdict. Damage is a line, not an
/// error.
public func describeSegment(fileSystem: any FileSystem, path: String, commands: Bool = false) -> [String] {
  let report = InspectionReport()
  let totals = inspectSegment(path, fileSystem: fileSystem, commands: commands, report: report)
  report.conclude(totals.fields)
  return report.lines
}

/// Describes a segment to `report`; with `commands` also each command. Its name and its neighbours tell what it may be.
public func inspectSegment(
  _ path: String, fileSystem: any FileSystem, commands: Bool, report: InspectionReport
) -> LogTotals {
  let role = SegmentRole(path, fileSystem: fileSystem)
  let run = SegmentInspection(
    path, role, fileSystem: fileSystem, depth: commands ? .commands : .records, report: report)
  run.run()
  return run.totals
}

/// What was read of segments.
public struct LogTotals: Sendable {
  public var segments = 0
  public var records = 0
  public var commands = 0
  public var bytes: UInt64 = 0

  public init() {}

  /// For the verdict.
  public var fields: String { "segments=\(segments) records=\(records) commands=\(commands) log_bytes=\(bytes)" }

  public static func += (a: inout LogTotals, b: LogTotals) {
    a.segments += b.segments
    a.records += b.records
    a.commands += b.commands
    a.bytes += b.bytes
  }
}

/// What a segment may hold where it stands.
enum SegmentRole {
  /// Records to its end: the next segment begins with position `next`.
  case sealed(next: UInt64)
  /// The log's last: zeros and a torn tail may stand behind its records.
  case last
  /// Commands to its end, with positions counted from `first`.
  case adopted(first: UInt64)
  /// A transaction that was not committed, or not yet: it may end anywhere.
  case staged

  /// By the name of the file and those beside it.
  init(_ path: String, fileSystem: any FileSystem) {
    switch SegmentName(fileName(path)) {
    case .adopted(let first): self = .adopted(first: first)
    case .staged: self = .staged
    case .normal(let first):
      let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
      // Without its neighbours a segment passes for the last, which may hold most.
      var names: [String] = []
      do { names = try fileSystem.list(folder) } catch {}
      let later = names.compactMap { name -> UInt64? in
        switch SegmentName(name) {
        case .normal(let other): other > first ? other : nil
        case .adopted(let other): other >= first ? other : nil
        default: nil
        }
      }
      self = later.min().map { .sealed(next: $0) } ?? .last
    default: self = .last
    }
  }
}

/// One run over one segment.
final class SegmentInspection {
  let path: String
  private let role: SegmentRole
  private let fileSystem: any FileSystem
  private let depth: LogDepth
  private let report: InspectionReport
  private(set) var header: SegmentHeader?
  private(set) var totals = LogTotals()
  /// The position of the next command; nil when damage hides it.
  private(set) var expected: UInt64?
  /// Where the records that are not lost end.
  private(set) var recordsEnd = UInt64(SegmentHeader.size)
  /// The record that ends the segment by adopting another.
  private(set) var adoption: Adoption?
  /// CRC32C over the header checksums, as adoption records have it.
  private(set) var recordsChecksum: UInt32 = 0
  /// Places that do not verify, told when the next good record shows what is missing.
  private var flaws: [(offset: UInt64, reason: String)] = []
  /// Where the torn tail begins.
  private var tornOffset: UInt64?
  /// Up to here later records say the segment was durable; nil until somebody asks.
  private var provenEnd: UInt64?
  /// A place that was read once more.
  private var readAgain: UInt64?

  init(
    _ path: String, _ role: SegmentRole, fileSystem: any FileSystem, depth: LogDepth, report: InspectionReport
  ) {
    self.path = path
    self.role = role
    self.fileSystem = fileSystem
    self.depth = depth
    self.report = report
  }

  /// Reads the segment, or only its header.
  func run(whole: Bool = true) {
    do throws(LogError) {
      var scanner = try open(at: nil)
      defer { scanner.close() }
      totals.segments = 1
      totals.bytes = scanner.limit
      describeHeader(scanner)
      if whole { try walk(&scanner) }
    } catch {
      if header == nil { report.tell("segment" + field("file", path)) }
      report.add(error, path)
    }
  }

  private func open(at offset: UInt64?) throws(LogError) -> SegmentScanner {
    let scanner = try SegmentScanner.open(fileSystem, path: path, limit: nil)
    if let offset { scanner.jump(to: offset) }
    return scanner
  }

  private func describeHeader(_ scanner: SegmentScanner) {
    let header = scanner.header
    self.header = header
    report.tell(
      "segment" + field("file", path) + " kind=\(header.kind) serial=\(identityDigits(header.serial)) "
        + "first_position=\(header.firstPosition) store=\(identityDigits(header.storeID)) bytes=\(scanner.limit)")
    expected = header.firstPosition
    if case .adopted(let first) = role { expected = first }
    let agrees =
      switch SegmentName(fileName(path)) {
      case .normal(let first), .new(let first): header.kind == .normal && header.firstPosition == first
      case .adopted: header.kind == .staged && header.firstPosition == 0
      case .staged(let serial): header.kind == .staged && header.serial == serial
      case .begin, nil: true
      }
    if !agrees { report.damage("the header disagrees with the file's name", file: path, offset: 0) }
  }

  // MARK: Records

  private func walk(_ scanner: inout SegmentScanner) throws(LogError) {
    while scanner.offset < scanner.limit {
      do throws(LogError) {
        switch try scanner.look() {
        case .record(let record): try take(record, &scanner)
        case .senseless(let reason):
          if tornOffset == nil { flaws.append((scanner.offset, reason)) }
          try scanner.skipToNextHeader()
        case .unverified: try flaw("the record's header does not verify", &scanner)
        case .end: try takeZeros(&scanner)
        }
      } catch {
        // Sealing cuts zeros off: what was read up to here stands.
        let fresh = try open(at: scanner.offset)
        let isShorter = fresh.limit < scanner.limit
        scanner.close()
        scanner = fresh
        if !isShorter { throw error }
      }
    }
    tellFlaws(upTo: { if case .sealed(let next) = role { next } else { nil } }())
  }

  private func take(_ record: RecordHeader, _ scanner: inout SegmentScanner) throws(LogError) {
    guard let body = try scanner.body(of: record) else {
      let isCut = scanner.limit - scanner.offset < UInt64(record.recordSize)
      return try flaw(isCut ? "the record is cut off" : "the record's body does not verify", &scanner, record)
    }
    let isLost = tornOffset != nil
    if !isLost {
      totals.records += 1
      switch record.kind {
      case RecordKind.commands: tellFlaws(upTo: absolute(record))
      case RecordKind.adoption: tellFlaws(upTo: Adoption.decode(body)?.firstPosition)
      default: break
      }
    }
    let (thing, fields, reason) = describe(record, body)
    report.tell(
      "\(thing) offset=\(scanner.offset) bytes=\(record.recordSize)\(fields) durable_offset=\(record.durableOffset)"
        + (isLost ? " state=lost" : ""))
    if !isLost {
      if depth == .commands, record.kind == RecordKind.commands, reason == nil { tellCommands(record, body) }
      if let reason = reason ?? misplaced(record) { report.damage(reason, file: path, offset: scanner.offset) }
      count(record)
      recordsEnd = scanner.offset + UInt64(record.recordSize)
    }
    scanner.advance(past: record)
  }

  /// What the record is, and why its body makes no sense, although it was written so.
  private func describe(
    _ record: RecordHeader, _ body: UnsafeRawBufferPointer
  ) -> (thing: String, fields: String, flaw: String?) {
    switch record.kind {
    case RecordKind.commands: return ("commands", batchFields(record), CommandReader.flaw(in: body, record))
    case RecordKind.resolution:
      guard let resolution = Resolution.decode(body), resolution.batchFirstPosition == record.firstPosition else {
        return ("resolution", "", "malformed resolution record")
      }
      let count = resolution.rejected.count
      return ("resolution", " batch_position=\(resolution.batchFirstPosition) rejected=\(count)", nil)
    default:
      guard let adoption = Adoption.decode(body) else { return ("adoption", "", "malformed adoption record") }
      if tornOffset == nil { self.adoption = adoption }
      let last = adoption.firstPosition + adoption.commandCount - 1
      let positions = " positions=\(adoption.firstPosition)..\(last)"
      return ("adoption", "\(positions) serial=\(identityDigits(adoption.serial)) adopted_bytes=\(adoption.size)", nil)
    }
  }

  private func batchFields(_ record: RecordHeader) -> String {
    var text = " positions=\(positions(record)) line=\(record.firstLine) session=\(record.session)"
    text += " time=\(timeText(record.timeMicroseconds))"
    if record.sourceOffset != 0 { text += " source_offset=\(record.sourceOffset)" }
    let flags = BatchFlags(rawValue: record.flags)
    let names = [(BatchFlags.allOrNothing, "all_or_nothing"), (.hasPositionKeys, "position_keys")]
    let set = names.filter { flags.contains($0.0) }.map(\.1)
    return set.isEmpty ? text : text + " flags=" + set.joined(separator: ",")
  }

  /// Why the record cannot stand where it does, or nil.
  private func misplaced(_ record: RecordHeader) -> String? {
    if case .adopted = role, record.kind != RecordKind.commands { return "an adopted segment holds commands only" }
    if adoption != nil, record.kind != RecordKind.adoption { return "a record behind an adoption record" }
    // Behind places that do not verify, the position is not known.
    guard let expected, flaws.isEmpty else { return nil }
    switch record.kind {
    case RecordKind.commands:
      return absolute(record) == expected ? nil : "position \(absolute(record)) where \(expected) should follow"
    case RecordKind.resolution:
      return record.firstPosition < expected ? nil : "it resolves position \(record.firstPosition), still to come"
    default:
      guard let adoption, adoption.firstPosition != expected else { return nil }
      return "it adopts position \(adoption.firstPosition) where \(expected) should follow"
    }
  }

  private func count(_ record: RecordHeader) {
    var sum = record.checksum.littleEndian
    recordsChecksum = withUnsafeBytes(of: &sum) { checksum($0, seed: recordsChecksum) }
    guard record.kind == RecordKind.commands else { return }
    totals.commands += Int(record.commandCount)
    expected = absolute(record) &+ UInt64(record.commandCount)
  }

  private func absolute(_ record: RecordHeader) -> UInt64 {
    if case .adopted(let first) = role { return first &+ record.firstPosition }
    return record.firstPosition
  }

  private func positions(_ record: RecordHeader) -> String {
    let first = absolute(record)
    return "\(first)..\(first &+ UInt64(record.commandCount) &- 1)"
  }

  private func tellCommands(_ record: RecordHeader, _ body: UnsafeRawBufferPointer) {
    let batch: Batch
    do throws(LogError) { batch = try Batch.parse(record, body, path: path, offset: 0) } catch { return }
    batch.assignPositions(first: absolute(record))
    var commands = batch.commands()
    while let command = commands.next() {
      let start = command.startsStatement ? " starts_statement=yes" : ""
      let condition = command.expectedPosition.map { " expected_position=\($0)" } ?? ""
      report.tell(
        "  command position=\(batch.firstPosition &+ UInt64(command.index)) kind=\(command.kind) slot=\(command.slot) "
          + "line=\(command.line) key=\(hexDigits(command.key)) value_bytes=\(command.row.count)\(condition)\(start)")
    }
    withExtendedLifetime(batch) {}
  }

  // MARK: What is not a record

  /// Zeros: the end of a growing segment, or a hole.
  private func takeZeros(_ scanner: inout SegmentScanner) throws(LogError) {
    let offset = scanner.offset
    guard try scanner.isZero(from: offset) else { return try flaw("zeros where a record should be", &scanner) }
    let size = scanner.limit - offset
    switch role {
    case .last, .staged: report.tell("zeros offset=\(offset) bytes=\(size)")
    default: flaws.append((offset, "zeros where records should go on to \(scanner.limit)"))
    }
    scanner.jump(to: scanner.limit)
  }

  /// A place that does not verify; `record`: its header does, and names the positions that are lost.
  private func flaw(
    _ reason: String, _ scanner: inout SegmentScanner, _ record: RecordHeader? = nil
  ) throws(LogError) {
    let offset = scanner.offset
    if tornOffset == nil, mayBeTorn {
      if provenEnd == nil { provenEnd = try furthestDurable(scanner) }
      if readAgain != offset {
        readAgain = offset
        let fresh = try open(at: offset)
        scanner.close()
        scanner = fresh
        return
      }
      if provenEnd ?? 0 <= offset {
        tornOffset = offset
        report.tell("torn offset=\(offset) bytes=\(scanner.limit - offset)" + field("what", reason))
      }
    }
    if tornOffset == nil {
      if let record, record.kind == RecordKind.commands {
        tellFlaws(upTo: absolute(record))
        report.damage(reason, file: path, offset: offset, place: "positions=\(positions(record))")
        expected = absolute(record) &+ UInt64(record.commandCount)
      } else {
        flaws.append((offset, reason))
      }
    }
    try scanner.skipToNextHeader()
  }

  private var mayBeTorn: Bool {
    switch role {
    case .last, .staged: true
    default: false
    }
  }

  /// The furthest place that a record behind this one says to be durable.
  private func furthestDurable(_ scanner: SegmentScanner) throws(LogError) -> UInt64 {
    var furthest: UInt64 = 0
    var place = scanner.offset
    while let later = try scanner.nextHeader(from: place) {
      furthest = max(furthest, later.header.durableOffset)
      place = later.offset + 8
    }
    return furthest
  }

  /// Tells of places passed over, with the positions that are missing when the next one, `next`, is known.
  private func tellFlaws(upTo next: UInt64?) {
    guard !flaws.isEmpty else { return }
    let lost = expected.flatMap { first in next.flatMap { first < $0 ? "positions=\(first)..\($0 - 1)" : nil } }
    for flaw in flaws { report.damage(flaw.reason, file: path, offset: flaw.offset, place: lost ?? "") }
    flaws = []
    expected = next
  }
}

extension InspectionReport {
  /// An error of the log as a line.
  func add(_ error: LogError, _ path: String) {
    if let damage = error.damage {
      self.damage(damage.reason, file: damage.path, offset: damage.offset)
    } else if let cause = error.cause {
      refused(cause)
    } else {
      unread(error.message, file: path)
    }
  }
}

/// The last component of a path.
func fileName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

/// Serials and store ids: 16 hex digits.
func identityDigits(_ number: UInt64) -> String {
  withUnsafeBytes(of: number.bigEndian) { hexDigits($0) }
}

/// Microseconds since 1970 as `2026-01-31T23:59:59.000001Z`; the number itself where that has no four-digit year.
func timeText(_ microseconds: Int64) -> String {
  guard microseconds >= 0, microseconds / 86_400_000_000 < 2_932_897 else { return "\(microseconds)us" }
  return utcText(microseconds: microseconds, separator: "T", fractionDigits: 6) + "Z"
}
