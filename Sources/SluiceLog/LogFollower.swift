// Follows a log that another process writes: finds its end, and then what is appended. Nothing is written, cut off or
// renamed, and no file stays open between two calls.
//
// What counts is what verifies: just that would be the log if its writer ended now and the store were opened (see
// LogRecovery.swift). The operating system has it, perhaps not yet the disk: a record is seen from the write on, up to
// one fdatasync before its writer tells anybody that it is durable. The header's durableOffset would be stricter, and
// always one group behind: the last group is not known to be durable until another one is written, which may never be.
// So two things can take back what was seen. A power cut does, and ends the follower with it, when it is on the same
// machine. A write or sync that fails makes the writer cut off what it had not synced; therefore each look begins with
// the last record that was seen: while it stands where it stood, so does all before it.
//
// A place that does not verify is the end for now: nothing was written there, or it is being written. It is damage when
// a record behind it says that it was durable, and it still does not verify when it is looked at once more.
//
// An adoption record counts as soon as it verifies, whether its segment bears the one name or the other.
import SluiceSystem

/// One reader's place in a log. One thread.
public final class LogFollower {
  /// What became of the log since the last look.
  public enum Change: Sendable {
    /// No command was added.
    case none
    /// `lastPosition` has moved; there may be more.
    case grown
    /// What was seen is not there any more: follow it anew.
    case replaced
  }

  private let fileSystem: any FileSystem
  private let directory: String
  private let storeID: UInt64
  private var log = Log.Shared(segments: [], durablePosition: 0)
  private var tail: Tail?

  /// The last normal segment.
  private struct Tail {
    /// Its place in `log.segments`.
    let index: Int
    var end = UInt64(SegmentHeader.size)
    /// Whether it ended by adopting another.
    var isFinished = false
    var lastSeen: LastSeen?
    /// What stood behind the records when they were last found to be torn: it proves no damage.
    var torn: Torn?
  }

  private struct Torn: Equatable {
    let end: UInt64
    let fileSize: UInt64
  }

  /// What stood last in the segment.
  private enum LastSeen {
    case header(SegmentHeader)
    case record(RecordHeader, offset: UInt64)
  }

  /// Finds the end of the log in `directory`. Throws as `Log.open` does when what was durable does not verify; also
  /// when the log changes just then, and is read well the next time. Cost: reads the last segment, and of the others
  /// only the names.
  public init(fileSystem: any FileSystem, directory: String, storeID: UInt64) throws(LogError) {
    self.fileSystem = fileSystem
    self.directory = directory
    self.storeID = storeID
    try begin()
  }

  /// The last position that was seen; 0 when there is none.
  public var lastPosition: UInt64 { log.durablePosition }

  /// Where its records end.
  public var end: LogEnd {
    guard let tail else { return LogEnd(position: 0, path: directory, offset: 0) }
    return LogEnd(position: lastPosition, path: log.segments[tail.index].path, offset: tail.end)
  }

  /// Makes what was seen durable, whether or not its writer has done so by now.
  public func sync() throws(LogError) {
    guard let tail else { return }
    let path = log.segments[tail.index].path
    do {
      let file = try fileSystem.open(path, .read)
      defer { file.close() }
      try file.sync()
    } catch {
      // Dropped since: it was sealed, and so durable.
      if error.code != noSuchFile { throw LogError("sync \(path)", error) }
    }
  }

  /// A reader of the positions above `position`, up to `last`, as `Log.reader` gives it.
  public func reader(after position: UInt64, upTo last: UInt64) throws(LogError) -> LogReader {
    try log.reader(fileSystem, storeID: storeID, after: position, upTo: last)
  }

  /// A reader of batches with what is recorded about them, as `Log.recordedReader` gives it. Nothing keeps the writer
  /// from dropping what it reads.
  public func recordedReader(after position: UInt64, upTo last: UInt64) throws(LogError) -> RecordedReader {
    try log.recorded(fileSystem, storeID: storeID, after: position, upTo: last, times: nil)
  }

  /// The first position that was kept when the log was followed anew; 1 when there is none.
  public var firstPosition: UInt64 { log.segments.first?.firstPosition ?? 1 }

  /// Looks for what was appended. Ends with the first record behind `sizeBytes` of news, or the adopted segment there.
  /// Throws as `init` does; what to do then is to follow the log anew. Cost: a file opened and two short reads
  /// when there is nothing, about 5 µs.
  public func refresh(sizeBytes: UInt64 = .max) throws(LogError) -> Change {
    guard let tail else {
      try begin()
      return lastPosition > 0 ? .grown : .none
    }
    switch try look(at: tail) {
    case .none: return .none
    case .replaced: return .replaced
    case .grown: break
    }
    let before = lastPosition
    // A piece without commands is passed over.
    while try advance(max(sizeBytes, 1)), lastPosition == before {}
    return lastPosition > before ? .grown : .none
  }

  // MARK: The beginning

  private func begin() throws(LogError) {
    var found: [Segment] = []
    do {
      guard try fileSystem.exists(directory) else { return }
      for name in try fileSystem.list(directory) {
        let path = directory + "/" + name
        switch SegmentName(name) {
        case .normal(let first): found.append(Segment(path: path, firstPosition: first, adopted: false, limit: nil))
        case .adopted(let first): found.append(Segment(path: path, firstPosition: first, adopted: true, limit: nil))
        default: continue
        }
      }
    } catch { throw LogError("list the log in \(directory)", error) }
    found.sort(by: Segment.precedes)
    guard let index = found.lastIndex(where: { !$0.adopted }) else {
      if let orphan = found.first { throw .corrupt(orphan.path, 0, "the segment that adopted it is missing") }
      return
    }
    let adopted = found[(index + 1)...]
    log.segments = Array(found[...index])
    enterLastSegment()
    _ = try scanTail(.max, isOpening: true, adopted: adopted.first?.path)
    if !adopted.isEmpty, adopted.count > 1 || adopted.first?.firstPosition != log.segments.last?.firstPosition {
      throw .corrupt(found[found.count - 1].path, 0, "no adoption record leads to it")
    }
    _ = try advance(.max)
  }

  private func enterLastSegment() {
    let index = log.segments.count - 1
    tail = Tail(index: index)
    log.durablePosition = log.segments[index].firstPosition - 1
  }

  // MARK: Looking

  /// Whether what was seen still stands, and something behind it.
  private func look(at tail: Tail) throws(LogError) -> Change {
    let path = log.segments[tail.index].path
    let file: any File
    do { file = try fileSystem.open(path, .read) } catch {
      if error.code == noSuchFile { return .replaced }
      throw LogError("open the segment \(path)", error)
    }
    defer { file.close() }
    switch tail.lastSeen {
    case .header(let header): if try SegmentHeader.read(file) != header { return .replaced }
    case .record(let header, let offset): if try RecordHeader.read(file, at: offset) != header { return .replaced }
    case nil: return .replaced
    }
    if tail.isFinished { return try hasNext(tail) ? .grown : .none }
    // Zeros stand ahead of the records only while the segment grows.
    if let header = try RecordHeader.read(file, at: tail.end) { return header.isZero ? .none : .grown }
    return try hasNext(tail) ? .grown : .none
  }

  private var nextPath: String { directory + "/" + SegmentName.normal(first: lastPosition + 1).text }

  /// Whether another normal segment follows.
  private func hasNext(_ tail: Tail) throws(LogError) -> Bool {
    let path = nextPath
    if path == log.segments[tail.index].path { return false }
    do { return try fileSystem.exists(path) } catch { throw LogError("look for the segment \(path)", error) }
  }

  // MARK: Going on

  /// Goes on over the borders of segments; false when it has come to the end.
  private func advance(_ sizeBytes: UInt64) throws(LogError) -> Bool {
    var size: UInt64 = 0
    while size < sizeBytes, let tail {
      if !tail.isFinished { size += try scanTail(sizeBytes - size, isOpening: false) }
      guard let scanned = self.tail, size < sizeBytes, try hasNext(scanned) else { return size >= sizeBytes }
      // It was sealed before the next one was made: now all of it is there.
      if !scanned.isFinished {
        let more = try scanTail(sizeBytes - size, isOpening: false, isSealed: true)
        size += more
        if more > 0 { continue }
      }
      log.segments[scanned.index].limit = nil
      log.segments[scanned.index].marks = []
      log.segments.append(Segment(path: nextPath, firstPosition: lastPosition + 1, adopted: false, limit: nil))
      enterLastSegment()
    }
    return true
  }

  /// Takes in what the tail holds behind its known end; returns its size in bytes, with that of an adopted segment.
  /// `adopted`: the segment to which it must lead.
  private func scanTail(
    _ sizeBytes: UInt64, isOpening: Bool, isSealed: Bool = false, adopted: String? = nil
  ) throws(LogError) -> UInt64 {
    guard let tail else { return 0 }
    let segment = log.segments[tail.index]
    let mark = SegmentMark(position: lastPosition + 1, offset: tail.end)
    let (stop, overflow) = tail.end.addingReportingOverflow(sizeBytes)
    var suspect: UInt64?
    while true {
      let file: any File
      do { file = try fileSystem.open(segment.path, .read) } catch {
        throw LogError("open the segment \(segment.path)", error)
      }
      defer { file.close() }
      var scan = try TailScan(file, segment, storeID: storeID, from: mark)
      try scan.takeRecords(before: overflow ? .max : stop)
      if let adopted { try scan.checkAdoption(of: adopted) }
      let torn = Torn(end: scan.end, fileSize: scan.scanner.limit)
      if isOpening || (scan.isTorn && torn != tail.torn), let damage = try scan.damageBehind() {
        if suspect == scan.end { throw damage }
        suspect = scan.end
        continue
      }
      if isSealed, scan.end < min(stop, scan.scanner.limit) {
        throw .corrupt(segment.path, scan.end, "zeros where records should go on to \(scan.scanner.limit)")
      }
      return try take(scan, tail)
    }
  }

  private func take(_ scan: TailScan, _ old: Tail) throws(LogError) -> UInt64 {
    var tail = old
    tail.end = scan.end
    tail.torn = scan.isTorn ? Torn(end: scan.end, fileSize: scan.scanner.limit) : nil
    if let last = scan.last {
      tail.lastSeen = .record(last.header, offset: last.offset)
    } else if tail.lastSeen == nil {
      tail.lastSeen = .header(scan.scanner.header)
    }
    var adopted: Segment?
    if let adoption = scan.adoption {
      adopted = try find(adoption)
      tail.isFinished = true
    }
    // Reading goes on at the place where it ended, not at the segment's begin.
    log.segments[tail.index].limit = tail.end
    if old.end > UInt64(SegmentHeader.size) {
      let marks = log.segments[tail.index].marks.suffix(2)
      log.segments[tail.index].marks = marks + [SegmentMark(position: lastPosition + 1, offset: old.end)]
    }
    log.durablePosition = scan.nextPosition - 1
    self.tail = tail
    guard let adoption = scan.adoption, let adopted else { return tail.end - old.end }
    log.segments.append(adopted)
    log.durablePosition = adoption.firstPosition + adoption.commandCount - 1
    return tail.end - old.end + adoption.size
  }

  /// The segment that `adoption` names, under the one name or the other.
  private func find(_ adoption: Adoption) throws(LogError) -> Segment {
    let path = directory + "/" + SegmentName.adopted(first: adoption.firstPosition).text
    let stagedPath = directory + "/" + SegmentName.staged(serial: adoption.serial).text
    // It may be renamed between two looks.
    for (path, isWhole) in [(path, false), (stagedPath, true), (path, false)] {
      do throws(LogError) {
        try AdoptedCheck(fileSystem, path: path, storeID: storeID).run(adoption, whole: isWhole)
        return Segment(path: path, firstPosition: adoption.firstPosition, adopted: true, limit: nil)
      } catch { if error.cause?.code != noSuchFile { throw error } }
    }
    throw .corrupt(path, 0, "the segment adopted at position \(adoption.firstPosition) is missing")
  }
}

// ENOENT of Linux: its number is part of its binary interface.
private let noSuchFile: Int32 = 2
