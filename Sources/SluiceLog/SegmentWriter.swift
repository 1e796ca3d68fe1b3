// Writes one segment front to back, zeros ahead of the records. Format: Segment.swift.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// The growing end of a segment. One thread. After any error the segment must not be written again.
final class SegmentWriter {
  let file: any File
  let path: String
  let header: SegmentHeader
  var firstPosition: UInt64 { header.firstPosition }
  /// Whether the file's format is an earlier one, whose readers may not know what would be written to it.
  var isEarlierFormat: Bool { header.version < SegmentHeader.version }
  /// What record headers are checksummed with.
  let seed: UInt32
  /// Where the next record goes.
  private(set) var end: UInt64
  /// Everything before it is durable.
  private(set) var syncedEnd: UInt64
  /// Up to here the disk was asked to begin, where nobody waits for it.
  private var writebackEnd: UInt64 = 0
  /// Size of the file: records, then zeros.
  private var zeroedEnd: UInt64
  private var nextExtension = SegmentSizes.firstExtension
  private var zeros = ByteBuffer(capacity: 0)

  /// Continues a segment whose records end at `end` and whose file has `size` bytes, zeros behind `end`, all durable.
  init(file: any File, path: String, header: SegmentHeader, end: UInt64, size: UInt64) {
    self.file = file
    self.path = path
    self.header = header
    seed = RecordHeader.seed(serial: header.serial)
    self.end = end
    syncedEnd = end
    zeroedEnd = max(size, end)
  }

  /// Creates a segment with a durable header, and `records` behind it, under its final name: written as `.new`, synced,
  /// renamed.
  static func create(
    _ fileSystem: any FileSystem, directory: String, header: SegmentHeader,
    records: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
  ) throws(LogError) -> SegmentWriter {
    let newPath = directory + "/" + SegmentName.new(first: header.firstPosition).text
    let path = directory + "/" + SegmentName.normal(first: header.firstPosition).text
    do throws(SystemError) {
      let new = try fileSystem.open(newPath, .create)
      defer { new.close() }
      var bytes = ByteBuffer(capacity: SegmentHeader.size)
      header.encode(into: &bytes)
      bytes.append(records)
      try new.write(bytes.bytes, at: 0)
      try new.sync()
      try fileSystem.rename(newPath, to: path)
      try fileSystem.syncDirectory(directory)
      let file = try fileSystem.open(path, .write)
      let size = UInt64(bytes.count)
      return SegmentWriter(file: file, path: path, header: header, end: size, size: size)
    } catch { throw LogError("create the segment \(path)", error) }
  }

  /// Puts a segment of this format in the place of one of an earlier format that holds no command: the same serial, so
  /// the same records, which are few (resolutions of what stands in front).
  func renewed(_ fileSystem: any FileSystem, directory: String) throws(LogError) -> SegmentWriter {
    defer { file.close() }
    let count = Int(end) - SegmentHeader.size
    var records = ByteBuffer(capacity: count)
    let target = UnsafeMutableRawBufferPointer(start: records.reserve(count), count: count)
    let read: Int
    do { read = try file.read(at: UInt64(SegmentHeader.size), into: target) } catch {
      throw LogError("read \(count) bytes of \(path)", error)
    }
    guard read == count else { throw .corrupt(path, end, "the file ends before its records do") }
    records.advance(count)
    var header = header
    header.version = SegmentHeader.version
    return try SegmentWriter.create(fileSystem, directory: directory, header: header, records: records.bytes)
  }

  /// Fills with zeros ahead of a group of `size` bytes when it is a small one; large ones are just appended.
  func prepare(for size: UInt64) throws(LogError) {
    if size > SegmentSizes.smallGroup {
      nextExtension = SegmentSizes.firstExtension
      return
    }
    guard zeroedEnd < end + size + SegmentSizes.lowZeros else { return }
    let target = (max(zeroedEnd + nextExtension, end + size + SegmentSizes.lowZeros) + 4095) & ~4095
    nextExtension = min(nextExtension * 2, SegmentSizes.largestExtension)
    if zeros.count == 0 {
      let block = Int(SegmentSizes.firstExtension)
      _ = zeros.reserve(block).initializeMemory(as: UInt8.self, repeating: 0, count: block)
      zeros.advance(block)
    }
    while zeroedEnd < target {
      let block = UnsafeRawBufferPointer(rebasing: zeros.bytes.prefix(Int(min(target - zeroedEnd, 256 << 10))))
      do { try file.write(block, at: zeroedEnd) } catch { throw LogError("extend the segment \(path)", error) }
      zeroedEnd += UInt64(block.count)
    }
  }

  /// Appends whole records. Not durable before `sync`.
  func write(_ records: UnsafeRawBufferPointer) throws(LogError) {
    do { try file.write(records, at: end) } catch {
      throw LogError("write \(records.count) bytes at \(end) of \(path)", error)
    }
    end += UInt64(records.count)
    zeroedEnd = max(zeroedEnd, end)
  }

  /// Has the disk begin with what was written, so that a later `sync` finds little left to do.
  func startWriteback() {
    if end < writebackEnd + SegmentSizes.unsyncedWriteback { return }
    file.startWriteback(at: writebackEnd, size: end - writebackEnd)
    writebackEnd = end
  }

  /// Makes all that was written durable.
  func sync() throws(LogError) {
    do { try file.sync() } catch { throw LogError("sync \(path)", error) }
    syncedEnd = end
  }

  /// Cuts the zeros off, syncs and closes: the segment is complete.
  func seal() throws(LogError) {
    do {
      if zeroedEnd > end { try file.truncate(to: end) }
      try file.sync()
    } catch { throw LogError("seal \(path)", error) }
    syncedEnd = end
    file.close()
  }

  /// After a failed write or sync: takes away what was never acknowledged, so that reopening does not find in the page
  /// cache what the disk does not have. Best effort: if this fails too, the records are torn or whole, both of which
  /// recovery handles.
  func cutUnsynced() {
    do { try file.truncate(to: syncedEnd) } catch { return }
  }
}
