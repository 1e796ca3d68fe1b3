// Reads records in position order, over the borders of segments, and verifies everything it hands out: checksums, the
// form of bodies, positions without gaps, adopted files against their adoption record.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// What a reader hands out.
public enum LogRecord: Sendable {
  /// Commands with absolute positions. `transactionEnd` is false for all but the last batch of an adopted segment.
  case commands(Batch, transactionEnd: Bool)
  /// Which commands of an earlier batch were rejected.
  case resolution(Resolution)
  /// When the last batch was sealed of those that become visible together, and its last position. From a reader of
  /// headers only.
  case sealed(timeMicroseconds: Int64, lastPosition: UInt64)
}

/// Which of the records in its range a reader hands out. The headers of all are verified; the bodies of others are not
/// even read, so passing a batch over costs one short read.
struct LogFilter: Sendable {
  /// Whether batches are handed out.
  var hasCommands = true
  /// Whether only their headers are, and no resolutions.
  var isOfHeaders = false
  /// Whether resolutions are.
  var hasResolutions = true
  /// Batches sealed at another time are left out. Times do not rise with positions: a clock may be set back, and a
  /// large transaction is sealed batch by batch long before it gets its positions.
  var times: ClosedRange<Int64>?

  func wants(_ header: RecordHeader) -> Bool { hasCommands && times?.contains(header.timeMicroseconds) != false }
}

/// Reads a range of the log once, front to back. One thread; independent of the writer and of other readers.
public final class LogReader {
  private let fileSystem: any FileSystem
  private let filter: LogFilter
  /// Keeps the segments in place, where somebody might drop them.
  private let pin: LogPin?
  private let storeID: UInt64
  private var segments: ArraySlice<Segment>
  private let after: UInt64
  private let last: UInt64
  private var scanner: SegmentScanner?
  private var segment: Segment?
  /// The position the next command must have; nil before the first segment is open.
  private var expected: UInt64?
  /// What the last record said that the next segment must be.
  private var adoption: Adoption?
  /// CRC32C over the header checksums of the adopted segment being read.
  private var recordsChecksum: UInt32 = 0
  /// First position of the batch that reaches over `after`, when it was handed out: its resolution goes with it.
  private var straddling: UInt64?

  init(
    _ fileSystem: any FileSystem, _ segments: [Segment], storeID: UInt64, after: UInt64, upTo last: UInt64,
    filter: LogFilter = LogFilter(), pin: LogPin? = nil
  ) {
    self.fileSystem = fileSystem
    self.filter = filter
    self.pin = pin
    self.storeID = storeID
    self.after = after
    self.last = last
    // Begin at the last segment whose first position is not behind the first to be read; of two with the same first
    // position at the older, which ends with the adoption record of the other.
    var start = segments.lastIndex { $0.firstPosition <= after + 1 } ?? segments.endIndex
    if start > 0, start < segments.endIndex, segments[start].adopted,
      segments[start - 1].firstPosition == segments[start].firstPosition
    {
      start -= 1
    }
    self.segments = segments[start...]
  }

  deinit { scanner?.close() }

  /// Where in its first segment it begins, in bytes.
  var startOffset: UInt64 {
    segments.first?.marks.last { $0.position <= after + 1 }?.offset ?? UInt64(SegmentHeader.size)
  }

  /// The next record, or nil at the end. Throws `corrupt` with file and offset. Cost: one read per MiB, a checksum and
  /// a copy of the bytes.
  public func next() throws(LogError) -> LogRecord? {
    while true {
      if self.scanner == nil { try openNext() }
      guard let scanner = self.scanner else { return nil }
      switch try scanner.look() {
      case .end: try close(scanner)
      case .unverified: throw .corrupt(scanner.path, scanner.offset, "the record's header does not verify")
      case .senseless(let reason): throw .corrupt(scanner.path, scanner.offset, reason)
      case .record(let header):
        if adoption != nil && segment?.adopted == false {
          throw .corrupt(scanner.path, scanner.offset, "a record behind an adoption record")
        }
        switch header.kind {
        case RecordKind.commands:
          if absolute(header) > last {
            finish()
            return nil
          }
          if let record = try commands(header, scanner) { return record }
        case RecordKind.resolution:
          if let record = try resolution(header, scanner) { return record }
        default: try adopt(header, scanner)
        }
      }
    }
  }

  private func absolute(_ header: RecordHeader) -> UInt64 {
    guard let segment, segment.adopted else { return header.firstPosition }
    return segment.firstPosition &+ header.firstPosition
  }

  private func finish() {
    scanner?.close()
    scanner = nil
    segments = []
  }

  private func openNext() throws(LogError) {
    guard let next = segments.popFirst() else { return }
    // An adopted segment holds commands only: nothing of it is wanted when its first is not.
    if next.adopted && next.firstPosition > last { return finish() }
    let scanner = try SegmentScanner.open(fileSystem, path: next.path, limit: next.limit)
    if !filter.hasCommands || filter.isOfHeaders || filter.times != nil || next.firstPosition <= after {
      scanner.readAheadBytes = SegmentScanner.headerReadAhead
    }
    do throws(LogError) { try checkBegin(next, scanner) } catch {
      scanner.close()
      throw error
    }
    let mark = next.marks.last { $0.position <= after + 1 }
    if let mark, expected == nil { scanner.jump(to: mark.offset) }
    expected = expected ?? mark?.position ?? next.firstPosition
    recordsChecksum = 0
    segment = next
    self.scanner = scanner
  }

  private func checkBegin(_ next: Segment, _ scanner: SegmentScanner) throws(LogError) {
    let header = scanner.header
    if header.storeID != storeID {
      throw .corrupt(next.path, 0, "it belongs to store \(header.storeID), not to \(storeID)")
    }
    if (header.kind == .staged) != next.adopted || header.firstPosition != (next.adopted ? 0 : next.firstPosition) {
      throw .corrupt(next.path, 0, "the header disagrees with the file's name")
    }
    if let expected, expected != next.firstPosition {
      throw .corrupt(next.path, 0, "the segment before it ends at position \(expected - 1)")
    }
    if let adoption {
      guard next.adopted, adoption.serial == header.serial, adoption.size == scanner.limit else {
        throw .corrupt(next.path, 0, "it is not the segment that was adopted at position \(adoption.firstPosition)")
      }
    } else if next.adopted, expected != nil {
      throw .corrupt(next.path, 0, "no adoption record leads to it")
    }
  }

  /// The records of a segment are at their end: nothing may be missing.
  private func close(_ scanner: SegmentScanner) throws(LogError) {
    defer {
      scanner.close()
      self.scanner = nil
    }
    if scanner.offset != scanner.limit {
      throw .corrupt(scanner.path, scanner.offset, "zeros where records should go on to \(scanner.limit)")
    }
    guard let segment, segment.adopted, let adoption else { return }
    self.adoption = nil
    let count = (expected ?? 0) - segment.firstPosition
    guard count == adoption.commandCount, recordsChecksum == adoption.checksum else {
      throw .corrupt(scanner.path, 0, "\(count) commands are not the \(adoption.commandCount) that were adopted")
    }
  }

  /// The batch at the scanner's place; nil when all of it is at or below `after`, or not wanted.
  private func commands(_ header: RecordHeader, _ scanner: SegmentScanner) throws(LogError) -> LogRecord? {
    let first = absolute(header)
    guard first == expected, first <= UInt64.max / 2 else {
      throw .corrupt(scanner.path, scanner.offset, "position \(first) where \(expected ?? 0) should follow")
    }
    var sum = header.checksum.littleEndian
    recordsChecksum = withUnsafeBytes(of: &sum) { checksum($0, seed: recordsChecksum) }
    let end = first + UInt64(header.commandCount)
    expected = end
    let isWanted = end - 1 > after && filter.wants(header)
    if first <= after, end - 1 > after { straddling = first }
    if !isWanted || filter.isOfHeaders {
      scanner.advance(past: header)
      if scanner.offset > scanner.limit { throw .corrupt(scanner.path, scanner.limit, "the last record is cut off") }
      guard isWanted, isTransactionEnd(scanner) else { return nil }
      return .sealed(timeMicroseconds: header.timeMicroseconds, lastPosition: end - 1)
    }
    if filter.times == nil { scanner.readAheadBytes = SegmentScanner.bodyReadAhead }
    let body = try verifiedBody(header, scanner)
    let batch = try Batch.parse(header, body, path: scanner.path, offset: scanner.offset)
    if segment?.adopted == true { batch.assignPositions(first: first) }
    scanner.advance(past: header)
    return .commands(batch, transactionEnd: isTransactionEnd(scanner))
  }

  /// Whether the batch before the scanner's place is the last of those that become visible with it.
  private func isTransactionEnd(_ scanner: SegmentScanner) -> Bool {
    segment?.adopted != true || scanner.offset == scanner.limit
  }

  private func resolution(_ header: RecordHeader, _ scanner: SegmentScanner) throws(LogError) -> LogRecord? {
    if !filter.hasResolutions {
      scanner.advance(past: header)
      if scanner.offset > scanner.limit { throw .corrupt(scanner.path, scanner.limit, "the last record is cut off") }
      return nil
    }
    let body = try verifiedBody(header, scanner)
    guard segment?.adopted == false, let resolution = Resolution.decode(body),
      resolution.batchFirstPosition == header.firstPosition, resolution.batchFirstPosition < expected ?? 0
    else { throw .corrupt(scanner.path, scanner.offset, "malformed resolution record") }
    scanner.advance(past: header)
    let wanted = resolution.batchFirstPosition > after || resolution.batchFirstPosition == straddling
    return wanted ? .resolution(resolution) : nil
  }

  private func adopt(_ header: RecordHeader, _ scanner: SegmentScanner) throws(LogError) {
    let body = try verifiedBody(header, scanner)
    guard segment?.adopted == false, let adoption = Adoption.decode(body), adoption.firstPosition == expected else {
      throw .corrupt(scanner.path, scanner.offset, "malformed adoption record")
    }
    scanner.advance(past: header)
    self.adoption = adoption
  }

  private func verifiedBody(_ header: RecordHeader, _ scanner: SegmentScanner) throws(LogError)
    -> UnsafeRawBufferPointer
  {
    guard let body = try scanner.body(of: header) else {
      throw .corrupt(scanner.path, scanner.offset, "the record's body does not verify")
    }
    return body
  }
}
