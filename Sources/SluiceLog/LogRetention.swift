// Dropping the beginning of the log: whole sealed segments, from the front, that everybody has passed.
//
// Each is taken out of the list of segments first, so that no reader begins in it any more, and readers that are at
// work there keep it by their pins. Then it is noted durably where the log begins now, by an empty file of that name,
// and the segment's file is removed and the directory synced, one segment after the other: a crash leaves a log that
// begins later, never one with a gap. So segments that are missing otherwise are told from those that were dropped. A
// segment that was adopted may so become the first one; the record that led to it is gone with the segment before.
//
// The last normal segment stays, and what it adopted: recovery finds the end of the log there.
import SluiceSystem

/// How much of the log is kept when nobody needs it.
public enum LogRetention: Sendable, Equatable {
  case forever
  /// Segments whose last batch is not older, by the times that are believed (LogTimes.swift).
  case microseconds(Int64)
  /// As many segments from the end as have this size together, in bytes.
  case bytes(UInt64)
}

extension Log {
  /// Drops what `retention` does not keep, and nothing behind `position`; returns the number of segments. On a thread
  /// of its own choice, one at a time. Cost: a look at the sizes of all segments, or at the first record of some.
  public func drop(
    through position: UInt64, keeping retention: LogRetention, nowMicroseconds: Int64
  ) throws(LogError) -> Int {
    var count = 0
    while retention != .forever, let segment = try nextToDrop(position, retention, nowMicroseconds) {
      do {
        let before = notedBegin
        try noteBegin()
        try fileSystem.remove(segment.path)
        if let before, before != notedBegin { try fileSystem.remove(beginPath(before)) }
        try fileSystem.syncDirectory(directory)
      } catch { throw LogError("drop the segment \(segment.path)", error) }
      count += 1
    }
    return count
  }

  /// Where the log begins at the latest: what retention noted last; nil: it never dropped anything, or was of a version
  /// that did not note it. Any thread.
  public var notedBegin: UInt64? { shared.withLock { $0.notedBegin } }

  /// Notes durably that the log begins where it does now. The thread that drops, or who opens it.
  public func noteBegin() throws(SystemError) {
    let first = firstPosition
    if notedBegin == first { return }
    if try !fileSystem.exists(beginPath(first)) { try fileSystem.open(beginPath(first), .create).close() }
    try fileSystem.syncDirectory(directory)
    shared.withLock { $0.notedBegin = first }
  }

  private func beginPath(_ first: UInt64) -> String { directory + "/" + SegmentName.begin(first: first).text }

  /// Takes the first segment out of the list if it can go; nil: it stays.
  private func nextToDrop(
    _ position: UInt64, _ retention: LogRetention, _ now: Int64
  ) throws(LogError) -> Segment? {
    let segments = shared.withLock { $0.segments }
    guard let lastNormal = segments.lastIndex(where: { !$0.adopted }), lastNormal > 0 else { return nil }
    let (first, next) = (segments[0], segments[1])
    guard next.firstPosition - 1 <= position, try !keeps(segments, retention, now) else { return nil }
    return shared.withLock { state in
      let isNeeded = state.pins.values.contains { $0 < next.firstPosition }
      guard state.segments.first?.path == first.path, !isNeeded else { return nil }
      state.firstTimes[first.path] = nil
      return state.segments.removeFirst()
    }
  }

  /// Whether the first segment is kept.
  private func keeps(_ segments: [Segment], _ retention: LogRetention, _ now: Int64) throws(LogError) -> Bool {
    switch retention {
    case .forever: return true
    case .bytes(let limit):
      var size: UInt64 = 0
      for segment in segments.dropFirst() {
        size += try sizeBytes(of: segment)
        // Without the first one there would be less than asked for.
        if size >= limit { return false }
      }
      return true
    case .microseconds(let age):
      var times: [Int64] = []
      var isFirst: [Bool] = []
      for (index, segment) in segments.enumerated() {
        guard let time = try knownFirstTime(of: segment) else { continue }
        times.append(time)
        isFirst.append(index == 0)
      }
      // What comes behind it was written later.
      let next = believedTimes(times, now: now).first { !isFirst[$0] }
      return next.map { times[$0] > now - age } ?? true
    }
  }

  private func sizeBytes(of segment: Segment) throws(LogError) -> UInt64 {
    if let limit = segment.limit { return limit }
    do {
      let file = try fileSystem.open(segment.path, .read)
      defer { file.close() }
      return try file.size()
    } catch { throw LogError("look at the segment \(segment.path)", error) }
  }

  private func knownFirstTime(of segment: Segment) throws(LogError) -> Int64? {
    if let known = shared.withLock({ $0.firstTimes[segment.path] }) { return known }
    let time = try firstTime(of: segment)
    shared.withLock { $0.firstTimes[segment.path] = time }
    return time
  }

  /// When the first batch of a segment was sealed; nil: it has none.
  private func firstTime(of segment: Segment) throws(LogError) -> Int64? {
    let scanner = try SegmentScanner.open(fileSystem, path: segment.path, limit: segment.limit)
    defer { scanner.close() }
    while case .record(let header) = try scanner.look() {
      if header.kind == RecordKind.commands { return header.timeMicroseconds }
      scanner.advance(past: header)
    }
    return nil
  }

  /// Bytes of all segments.
  public func sizeBytes() throws(LogError) -> UInt64 {
    var size: UInt64 = 0
    for segment in shared.withLock({ $0.segments }) { size += try sizeBytes(of: segment) }
    return size
  }
}
