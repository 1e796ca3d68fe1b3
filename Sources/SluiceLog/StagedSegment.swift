// A large transaction on its way: its batches go to a file of their own as they are made; COMMIT adopts the file as the
// log's next segment. Format: Segment.swift, with positions counted from 0.
// `@unchecked Sendable`: the session writes it; handing it to the appender hands it over whole.
import SluiceSystem
import Synchronization

/// A segment that is not part of the log yet. Used by one thread at a time; a `StagedReader` may be another.
public final class StagedSegment: @unchecked Sendable {
  let path: String
  let serial: UInt64
  let fileSystem: any FileSystem
  private let directory: String
  private let file: any File
  private let seed: UInt32
  private var failure: LogError?
  private(set) var recordsChecksum: UInt32 = 0
  private(set) var isFinished = false
  private var writtenBack = UInt64(SegmentHeader.size)
  /// Size of the file, in bytes.
  public private(set) var size = UInt64(SegmentHeader.size)
  private let written = Atomic<UInt64>(UInt64(SegmentHeader.size))
  /// Commands appended so far: the relative position of the next one.
  public private(set) var commandCount: UInt64 = 0

  init(_ fileSystem: any FileSystem, directory: String, storeID: UInt64, serial: UInt64) throws(LogError) {
    self.fileSystem = fileSystem
    self.directory = directory
    self.serial = serial
    seed = RecordHeader.seed(serial: serial)
    path = directory + "/" + SegmentName.staged(serial: serial).text
    do {
      file = try fileSystem.open(path, .create)
      var bytes = ByteBuffer(capacity: SegmentHeader.size)
      SegmentHeader(kind: .staged, serial: serial, firstPosition: 0, storeID: storeID).encode(into: &bytes)
      try file.write(bytes.bytes, at: 0)
    } catch { throw LogError("create \(path)", error) }
  }

  /// Numbers `batch` relative to the segment and writes it at once; write-back starts every 8 MiB. After an error only
  /// `discard` is left. The batch's positions become absolute by `assignPositions` with what `Log.adopt` returns.
  public func append(_ batch: Batch) throws(LogError) {
    try check()
    batch.assignPositions(first: commandCount)
    var sum = batch.stamp(seed: seed, durableOffset: 0).littleEndian
    do { try file.write(batch.buffer.bytes, at: size) } catch {
      throw fail(LogError("write \(batch.size) bytes at \(size) of \(path)", error))
    }
    recordsChecksum = withUnsafeBytes(of: &sum) { checksum($0, seed: recordsChecksum) }
    size += UInt64(batch.size)
    written.store(size, ordering: .releasing)
    commandCount += UInt64(batch.commandCount)
    if size - writtenBack >= SegmentSizes.writeback {
      file.startWriteback(at: writtenBack, size: size - writtenBack)
      writtenBack = size
    }
  }

  /// Size of what is wholly written, in bytes. Any thread.
  var writtenSize: UInt64 { written.load(ordering: .acquiring) }

  /// Reads back what was appended, batch by batch. Throws `corrupt` when the file does not hold it.
  public func forEachBatch<E: Error>(_ body: (Batch) throws(E) -> Void) throws {
    try check()
    let scanner = try SegmentScanner.open(fileSystem, path: path, limit: size)
    defer { scanner.close() }
    while true {
      switch try scanner.look() {
      case .end: return
      case .unverified: throw LogError.corrupt(path, scanner.offset, "the record's header does not verify")
      case .senseless(let reason): throw LogError.corrupt(path, scanner.offset, reason)
      case .record(let header):
        guard let bytes = try scanner.body(of: header) else {
          throw LogError.corrupt(path, scanner.offset, "the record's body does not verify")
        }
        try body(try Batch.parse(header, bytes, path: path, offset: scanner.offset))
        scanner.advance(past: header)
      }
    }
  }

  /// Makes the file and its name durable and closes it: it may be adopted.
  public func finish() throws(LogError) {
    try check()
    do {
      try file.sync()
      try fileSystem.syncDirectory(directory)
    } catch { throw fail(LogError("sync \(path)", error)) }
    isFinished = true
    file.close()
  }

  /// Removes the file: ROLLBACK. Not after it was handed to the log.
  public func discard() throws(LogError) {
    if !isFinished { file.close() }
    isFinished = false
    failure = LogError(kind: .invalid, message: "\(path) was discarded")
    do { try fileSystem.remove(path) } catch { throw LogError("remove \(path)", error) }
  }

  private func check() throws(LogError) {
    if let failure { throw failure }
    if isFinished { throw LogError(kind: .invalid, message: "\(path) is finished") }
  }

  private func fail(_ error: LogError) -> LogError {
    failure = LogError(kind: .poisoned, message: "an earlier write failed (\(error.message))", cause: error.cause)
    return error
  }
}
