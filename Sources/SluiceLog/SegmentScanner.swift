// Reads the records of one segment front to back. Judges each record, leaves the consequences to its caller: a reader
// throws where recovery cuts.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// A window over a file and a place in it. One thread.
final class SegmentScanner {
  /// What stands at a place.
  enum Finding {
    /// A header that verifies and makes sense.
    case record(RecordHeader)
    /// Zeros, or the end of the bytes to be read.
    case end
    /// Not written, or not wholly: torn, or damaged.
    case unverified
    /// It verifies, so it was written like this, and yet it makes no sense.
    case senseless(String)
  }

  let path: String
  let header: SegmentHeader
  let seed: UInt32
  /// Nothing at or behind this offset is read.
  private(set) var limit: UInt64
  private let file: any File
  private var window: ByteBuffer
  private var windowStart: UInt64 = 0
  /// Of the record to look at.
  private(set) var offset = UInt64(SegmentHeader.size)
  /// Bytes read at a time, unless a record takes more: few while bodies are passed over.
  var readAheadBytes = SegmentScanner.bodyReadAhead
  static let bodyReadAhead = 1 << 20
  static let headerReadAhead = 16 << 10

  /// Opens `path`; reads up to `limit`, or the whole file.
  static func open(_ fileSystem: any FileSystem, path: String, limit: UInt64?) throws(LogError) -> SegmentScanner {
    let file: any File
    do { file = try fileSystem.open(path, .read) } catch { throw LogError("open the segment \(path)", error) }
    do throws(LogError) { return try SegmentScanner(file, path: path, limit: limit) } catch {
      file.close()
      throw error
    }
  }

  init(_ file: any File, path: String, limit: UInt64?) throws(LogError) {
    self.file = file
    self.path = path
    let size: UInt64
    do { size = try file.size() } catch { throw LogError("measure the segment \(path)", error) }
    self.limit = limit ?? size
    header = try SegmentHeader.read(file)
    seed = RecordHeader.seed(serial: header.serial)
    window = ByteBuffer(capacity: 1 << 20)
    if self.limit > size { throw .corrupt(path, size, "the file ends before its durable records do, at \(self.limit)") }
  }

  func close() { file.close() }

  /// Judges the header at `offset`.
  func look() throws(LogError) -> Finding {
    if offset == limit { return .end }
    guard let bytes = try bytes(at: offset, RecordHeader.size)?.baseAddress else {
      return try isZero(from: offset) ? .end : .unverified
    }
    if !RecordHeader.verifies(bytes, seed: seed) {
      return Self.isZero(UnsafeRawBufferPointer(start: bytes, count: RecordHeader.size)) ? .end : .unverified
    }
    let header = RecordHeader(bytes)
    if let flaw = header.flaw { return .senseless(flaw) }
    if header.durableOffset > offset { return .senseless("a record that calls itself durable") }
    return .record(header)
  }

  /// The body of the record at `offset` when its checksum holds, else nil. Valid until the next call of any method.
  func body(of header: RecordHeader) throws(LogError) -> UnsafeRawBufferPointer? {
    guard let record = try bytes(at: offset, header.recordSize) else { return nil }
    let body = UnsafeRawBufferPointer(
      start: record.baseAddress.unsafelyUnwrapped + RecordHeader.size, count: Int(header.bodySize))
    return checksum(body) == header.bodyChecksum ? body : nil
  }

  /// Goes on to the record behind the one at `offset`.
  func advance(past header: RecordHeader) { offset += UInt64(header.recordSize) }

  /// Reads on up to `limit`, to where the file has grown.
  func extend(to limit: UInt64) {
    invariant(limit >= self.limit, "a segment of \(self.limit) bytes cannot shrink to \(limit)")
    self.limit = limit
  }

  /// Goes on at `offset`, where a record begins or the limit is.
  func jump(to offset: UInt64) { self.offset = offset }

  /// Goes on to the next header that verifies, or to the limit.
  func skipToNextHeader() throws(LogError) {
    offset = try nextHeader(from: (offset + 8) & ~7)?.offset ?? limit
  }

  /// The next place at or behind `start`, at a border of 8 bytes, where a header of this use of the segment verifies.
  /// About 1 GB/s over zeros, 400 MB/s over other bytes.
  func nextHeader(from start: UInt64) throws(LogError) -> (offset: UInt64, header: RecordHeader)? {
    var place = start
    while place + UInt64(RecordHeader.size) <= limit {
      let size = Int(min(limit - place, 1 << 20))
      guard let block = try bytes(at: place, size), let base = block.baseAddress else { return nil }
      var step = 0
      while step + RecordHeader.size <= size {
        let first = base.loadUnaligned(fromByteOffset: step, as: UInt64.self)
        if first != 0, RecordHeader.verifies(base + step, seed: seed) {
          return (place + UInt64(step), RecordHeader(base + step))
        }
        step += 8
      }
      place += UInt64(step)
    }
    return nil
  }

  /// Whether only zeros stand from `start` to the limit.
  func isZero(from start: UInt64) throws(LogError) -> Bool {
    var place = start
    while place < limit {
      let size = Int(min(limit - place, 1 << 20))
      guard let block = try bytes(at: place, size) else { return true }
      if !Self.isZero(block) { return false }
      place += UInt64(size)
    }
    return true
  }

  private static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var offset = 0
    while offset + 8 <= bytes.count {
      if bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) != 0 { return false }
      offset += 8
    }
    return bytes[offset...].allSatisfy { $0 == 0 }
  }

  /// `size` bytes at `start`, or nil when the limit comes before their end.
  private func bytes(at start: UInt64, _ size: Int) throws(LogError) -> UnsafeRawBufferPointer? {
    guard start <= limit, UInt64(size) <= limit - start else { return nil }
    if start < windowStart || start + UInt64(size) > windowStart + UInt64(window.count) {
      try load(at: start, max(size, Int(min(limit - start, UInt64(readAheadBytes)))))
    }
    return UnsafeRawBufferPointer(start: window.base + Int(start - windowStart), count: size)
  }

  private func load(at start: UInt64, _ size: Int) throws(LogError) {
    window.removeAll()
    windowStart = start
    let target = UnsafeMutableRawBufferPointer(start: window.reserve(size), count: size)
    let count: Int
    do { count = try file.read(at: start, into: target) } catch { throw LogError("read \(path) at \(start)", error) }
    if count < size { throw .corrupt(path, start + UInt64(count), "the file became shorter while it was read") }
    window.advance(size)
  }
}
