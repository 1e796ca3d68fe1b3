// Where the records of the log's last segment end, and whether an adopted file is what its record says. Read-only: what
// recovery cuts off there, a follower waits for.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// One run over a normal segment, up to the first place where no record verifies.
struct TailScan {
  private let segment: Segment
  let scanner: SegmentScanner
  /// The position behind the last record.
  private(set) var nextPosition: UInt64
  /// The record that ended the segment by adopting another.
  private(set) var adoption: Adoption?
  /// The last record, when there was one.
  private(set) var last: (offset: UInt64, header: RecordHeader)?
  /// Whether something that does not verify stands behind the records.
  private(set) var isTorn = false

  /// `mark`: where to begin; nil: at the first record.
  init(_ file: any File, _ segment: Segment, storeID: UInt64, from mark: SegmentMark? = nil) throws(LogError) {
    self.segment = segment
    nextPosition = mark?.position ?? segment.firstPosition
    scanner = try SegmentScanner(file, path: segment.path, limit: nil)
    if scanner.header.storeID != storeID {
      throw .corrupt(segment.path, 0, "it belongs to store \(scanner.header.storeID), not to \(storeID)")
    }
    guard scanner.header.kind == .normal, scanner.header.firstPosition == segment.firstPosition,
      segment.firstPosition > 0, segment.firstPosition <= UInt64.max / 2
    else { throw .corrupt(segment.path, 0, "the header disagrees with the file's name") }
    if let mark { scanner.jump(to: mark.offset) }
  }

  /// Where the records end.
  var end: UInt64 { scanner.offset }

  /// Where the log ends, when this is its last normal segment.
  var logEnd: LogEnd {
    let last = adoption.map { $0.firstPosition + $0.commandCount } ?? nextPosition
    return LogEnd(position: last - 1, path: segment.path, offset: end)
  }

  /// Takes in the records that verify, but none that begins at or behind `stop`.
  mutating func takeRecords(before stop: UInt64 = .max) throws(LogError) {
    while scanner.offset < stop, try takeRecord() {}
  }

  /// Throws unless the last record leads to the adopted segment at `path`.
  func checkAdoption(of path: String) throws(LogError) {
    if adoption == nil {
      throw .corrupt(segment.path, end, "here should stand, at the latest, the record that adopted \(path)")
    }
  }

  /// What a record behind the end proves: that the place at the end was durable.
  func damageBehind() throws(LogError) -> LogError? {
    var search = end
    while let later = try scanner.nextHeader(from: search) {
      if later.header.durableOffset > end {
        return .corrupt(
          segment.path, end,
          "a record that was durable does not verify: the one at \(later.offset) was written after it")
      }
      search = later.offset + 8
    }
    return nil
  }

  /// Takes in the record at the scanner's place; false when the records end there.
  private mutating func takeRecord() throws(LogError) -> Bool {
    switch try scanner.look() {
    case .end: return false
    case .unverified:
      isTorn = true
      return false
    case .senseless(let reason): throw .corrupt(segment.path, scanner.offset, reason)
    case .record(let header):
      guard let body = try scanner.body(of: header) else {
        isTorn = true
        return false
      }
      if adoption != nil { throw .corrupt(segment.path, scanner.offset, "a record behind an adoption record") }
      if header.kind == RecordKind.commands {
        guard header.firstPosition == nextPosition else {
          throw .corrupt(
            segment.path, scanner.offset, "position \(header.firstPosition) where \(nextPosition) should follow")
        }
        nextPosition += UInt64(header.commandCount)
      } else if header.kind == RecordKind.adoption {
        guard let adoption = Adoption.decode(body), adoption.firstPosition == nextPosition,
          adoption.commandCount <= UInt64.max / 4
        else { throw .corrupt(segment.path, scanner.offset, "malformed adoption record") }
        self.adoption = adoption
      }
      last = (scanner.offset, header)
      scanner.advance(past: header)
      return true
    }
  }
}

/// Compares an adopted file with its adoption record.
struct AdoptedCheck {
  private let scanner: SegmentScanner
  private let path: String

  init(_ fileSystem: any FileSystem, path: String, storeID: UInt64) throws(LogError) {
    self.path = path
    scanner = try SegmentScanner.open(fileSystem, path: path, limit: nil)
    guard scanner.header.storeID == storeID, scanner.header.kind == .staged else {
      scanner.close()
      throw .corrupt(path, 0, "it is no staged segment of store \(storeID)")
    }
  }

  /// Compares header and size, and all records if `whole`.
  func run(_ adoption: Adoption, whole: Bool) throws(LogError) {
    defer { scanner.close() }
    guard scanner.header.serial == adoption.serial, scanner.limit == adoption.size else {
      throw .corrupt(path, 0, "it is not the segment that was adopted at position \(adoption.firstPosition)")
    }
    guard whole else { return }
    var count: UInt64 = 0
    var sums: UInt32 = 0
    while scanner.offset < scanner.limit {
      guard case .record(let header) = try scanner.look(), header.kind == RecordKind.commands,
        header.firstPosition == count, try scanner.body(of: header) != nil
      else { throw .corrupt(path, scanner.offset, "a record of an adopted segment does not verify") }
      var sum = header.checksum.littleEndian
      sums = withUnsafeBytes(of: &sum) { checksum($0, seed: sums) }
      count += UInt64(header.commandCount)
      scanner.advance(past: header)
    }
    guard count == adoption.commandCount, sums == adoption.checksum else {
      throw .corrupt(path, 0, "\(count) commands are not the \(adoption.commandCount) that were adopted")
    }
  }
}
