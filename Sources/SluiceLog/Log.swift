// The commit log: queue, write-ahead log of the engines and event store in one.
// Unsafe by nature: named in the tidy test.
//
// One thread at a time writes (append, sync, adopt, close); any thread reads. What a reader may see is kept in
// `shared`: the segments with their durable sizes, and the durable position. It moves only after a sync, so a reader
// never sees what a power cut could take back. `@unchecked Sendable` rests on that division.
//
// A failed write or sync is never repeated: the kernel may have dropped the pages it could not write and call the next
// fsync a success. The log is poisoned instead: the unsynced end of the segment is cut off, and later writes throw.
//
// Adoption of a staged segment: its bytes and name are durable before. (1) The adoption record is appended to the
// current segment. (2) That segment is sealed, with the sync that is the commit point. (3) The staged file is renamed,
// the directory synced. Recovery repeats (2) and (3) when (1) is durable, and else removes the staged file.
import SluiceSystem

/// A store's log.
public final class Log: @unchecked Sendable {
  struct Shared {
    var segments: [Segment]
    var durablePosition: UInt64
    /// Where the log begins at the latest, as noted in its directory.
    var notedBegin: UInt64?
    /// First positions that open readers still need, by number.
    var pins: [UInt64: UInt64] = [:]
    var lastPin: UInt64 = 0
    /// When the first batch of a segment was sealed, by path, once that was asked for.
    var firstTimes: [String: Int64] = [:]
    var counters = LogCounters()

    func reader(
      _ fileSystem: any FileSystem, storeID: UInt64, after position: UInt64, upTo last: UInt64,
      filter: LogFilter = LogFilter(), pin: LogPin? = nil
    ) throws(LogError) -> LogReader {
      if last > durablePosition || position > last {
        throw LogError(
          kind: .invalid, message: "positions \(position) to \(last) of a log that ends at \(durablePosition)")
      }
      if let first = segments.first?.firstPosition, position + 1 < first {
        throw LogError(kind: .invalid, message: "position \(position + 1) is gone: the log begins at \(first)")
      }
      return LogReader(
        fileSystem, segments, storeID: storeID, after: position, upTo: last, filter: filter, pin: pin)
    }

    /// A reader of batches, and beside it one of the resolutions up to the log's end.
    func recorded(
      _ fileSystem: any FileSystem, storeID: UInt64, after position: UInt64, upTo last: UInt64,
      times: ClosedRange<Int64>?, pin: LogPin? = nil
    ) throws(LogError) -> RecordedReader {
      RecordedReader(
        batches: try reader(
          fileSystem, storeID: storeID, after: position, upTo: last,
          filter: LogFilter(hasResolutions: false, times: times), pin: pin),
        resolutions: try reader(
          fileSystem, storeID: storeID, after: position, upTo: durablePosition,
          filter: LogFilter(hasCommands: false), pin: pin))
    }
  }

  let fileSystem: any FileSystem
  let directory: String
  private let storeID: UInt64
  private let clock: any Clock
  let shared: Monitor<Shared>

  private var current: SegmentWriter?
  private var nextPosition: UInt64
  private var poison: LogError?
  /// Small records gather here to be written at once.
  private var gathered = ByteBuffer(capacity: 64 << 10)
  private var counters = LogCounters()

  /// Opens the log in `directory`, which is created when missing, and brings it to order after a crash
  /// (LogRecovery.swift). Everything found is durable when this returns. Throws `corrupt` when what was durable does
  /// not verify, or ends before a position that one of the `witnesses` knows of; then nothing was changed. Cost: reads
  /// the last segment, and of the others only the names.
  public static func open(
    fileSystem: any FileSystem, directory: String, storeID: UInt64, clock: any Clock, witnesses: [LogWitness] = []
  ) throws(LogError) -> Log {
    var recovery = LogRecovery(
      fileSystem: fileSystem, directory: directory, storeID: storeID, witnesses: witnesses)
    try recovery.run()
    return Log(recovery, clock)
  }

  /// The same log for reading alone: nothing is created, cut, renamed, removed or synced. Who writes it must not be at
  /// work. Throws as `open` does.
  public static func openForReading(
    fileSystem: any FileSystem, directory: String, storeID: UInt64, clock: any Clock, witnesses: [LogWitness] = []
  ) throws(LogError) -> Log {
    var recovery = LogRecovery(
      fileSystem: fileSystem, directory: directory, storeID: storeID, witnesses: witnesses, writes: false)
    try recovery.run()
    let log = Log(recovery, clock)
    log.poison = LogError(kind: .poisoned, message: "the log in \(directory) was opened for reading")
    return log
  }

  private init(_ recovery: LogRecovery, _ clock: any Clock) {
    fileSystem = recovery.fileSystem
    directory = recovery.directory
    storeID = recovery.storeID
    self.clock = clock
    current = recovery.current
    nextPosition = recovery.lastPosition + 1
    shared = Monitor(
      Shared(
        segments: recovery.segments, durablePosition: recovery.lastPosition, notedBegin: recovery.notedBegin))
  }

  /// The last durable position; 0 when there is none. Any thread.
  public var lastPosition: UInt64 { shared.withLock { $0.durablePosition } }

  /// The first position that is still kept. Any thread.
  public var firstPosition: UInt64 { shared.withLock { $0.segments.first?.firstPosition ?? 1 } }

  /// Number of segments. Any thread.
  public var segmentCount: Int { shared.withLock { $0.segments.count } }

  /// What was written since it was opened, up to the last group. Any thread.
  public var written: LogCounters { shared.withLock { $0.counters } }

  /// A reader of the records with positions above `position`, up to `last`, with the resolutions among and right behind
  /// them. A batch that reaches above `position` is returned whole. Any thread. Throws `invalid` when the range is
  /// not durable or no longer kept. What it reads stays until it goes.
  public func reader(after position: UInt64, upTo last: UInt64) throws(LogError) -> LogReader {
    let (shared, pin) = pinned(at: position + 1)
    return try shared.reader(fileSystem, storeID: storeID, after: position, upTo: last, pin: pin)
  }

  /// As `reader`, but hands out each batch with the commands of it that are recorded to have no effect. What was
  /// resolved is in the log by then or it does not count. `times`: only batches sealed then, in microseconds.
  public func recordedReader(
    after position: UInt64, upTo last: UInt64, times: ClosedRange<Int64>? = nil
  ) throws(LogError) -> RecordedReader {
    let (shared, pin) = pinned(at: position + 1)
    return try shared.recorded(
      fileSystem, storeID: storeID, after: position, upTo: last, times: times, pin: pin)
  }

  /// A reader of what `LogRecord.sealed` tells, from the log's beginning up to `last`.
  func headers(upTo last: UInt64) throws(LogError) -> LogReader {
    let first = firstPosition
    let (shared, pin) = pinned(at: first)
    return try shared.reader(
      fileSystem, storeID: storeID, after: min(first - 1, last), upTo: last,
      filter: LogFilter(isOfHeaders: true, hasResolutions: false), pin: pin)
  }

  /// The log as it is, and what keeps the segments from `first` on in place.
  private func pinned(at first: UInt64) -> (Shared, LogPin) {
    shared.withLock { state in
      state.lastPin += 1
      state.pins[state.lastPin] = first
      return (state, LogPin(shared, number: state.lastPin))
    }
  }

  /// A new staged segment for a large transaction. Any thread.
  public func stage() throws(LogError) -> StagedSegment {
    try StagedSegment(fileSystem, directory: directory, storeID: storeID, serial: clock.random())
  }

  // MARK: writing, one thread at a time

  /// Numbers the batches, then writes them and the resolutions. Durable after `sync`. Small records are gathered, large
  /// ones written from where they are. Any error poisons the log.
  public func append(_ batches: [Batch], _ resolutions: [Resolution]) throws(LogError) {
    if batches.isEmpty && resolutions.isEmpty { return }
    do throws(LogError) {
      let batchBytes = batches.reduce(0) { $0 + $1.size }
      let writer = try writer(for: UInt64(resolutions.reduce(batchBytes) { $0 + $1.sizeBound }))
      for batch in batches { try append(batch, to: writer) }
      for resolution in resolutions { try append(resolution, to: writer) }
      try flush(to: writer)
    } catch { throw fail(error) }
  }

  /// Makes everything appended durable (one fdatasync) and visible to readers. An error poisons the log.
  public func sync() throws(LogError) {
    if let poison { throw poison }
    guard let current, current.end > current.syncedEnd else { return }
    do throws(LogError) { try current.sync() } catch { throw fail(error) }
    counters.groups += 1
    counters.syncs += 1
    publish(limit: current.end)
  }

  /// Shows everything appended to readers without waiting for the disk: the operating system has it, a power cut may
  /// take it back. `sync` makes it durable later.
  public func publish() throws(LogError) {
    if let poison { throw poison }
    guard let current else { return }
    current.startWriteback()
    counters.groups += 1
    publish(limit: current.end)
  }

  /// Makes a finished staged segment the next part of the log, durably; returns the positions of its commands. What was
  /// appended before becomes durable with it. An error poisons the log, but for `invalid`: an unfinished or
  /// empty segment is refused and nothing happened.
  public func adopt(_ staged: StagedSegment) throws(LogError) -> ClosedRange<UInt64> {
    if let poison { throw poison }
    guard staged.isFinished, staged.commandCount > 0 else {
      throw LogError(kind: .invalid, message: "\(staged.path) is not finished, or empty")
    }
    let adoption = Adoption(
      serial: staged.serial, firstPosition: nextPosition, commandCount: staged.commandCount, size: staged.size,
      checksum: staged.recordsChecksum)
    do throws(LogError) {
      let writer = try writer(for: UInt64(RecordHeader.size + Adoption.bodySize + 8))
      var header = RecordHeader(kind: RecordKind.adoption)
      header.firstPosition = nextPosition
      header.durableOffset = writer.syncedEnd
      appendRecord(to: &gathered, header, seed: writer.seed) { adoption.encode(into: &$0) }
      try flush(to: writer)
      try sealCurrent()
      let path = directory + "/" + SegmentName.adopted(first: nextPosition).text
      try Self.rename(fileSystem, staged.path, to: path, in: directory)
      let positions = nextPosition...(nextPosition + staged.commandCount - 1)
      nextPosition = positions.upperBound + 1
      counters.groups += 1
      counters.syncs += 1
      counters.bytes += staged.size
      let counters = counters
      shared.update {
        $0.counters = counters
        $0.segments.append(Segment(path: path, firstPosition: positions.lowerBound, adopted: true, limit: nil))
        $0.durablePosition = positions.upperBound
      }
      return positions
    } catch { throw fail(error) }
  }

  /// Closes the files. What was not synced may be lost. The log cannot be written afterwards.
  public func close() {
    current?.file.close()
    current = nil
    if poison == nil { poison = LogError(kind: .poisoned, message: "the log in \(directory) is closed") }
  }

  static func rename(
    _ fileSystem: any FileSystem, _ source: String, to target: String, in directory: String
  ) throws(LogError) {
    do {
      try fileSystem.rename(source, to: target)
      try fileSystem.syncDirectory(directory)
    } catch { throw LogError("rename \(source) to \(target)", error) }
  }

  /// The segment a group of `size` bytes goes to. A segment without a command is never sealed for its size, so that no
  /// two normal segments have the same first position.
  private func writer(for size: UInt64) throws(LogError) -> SegmentWriter {
    if let poison { throw poison }
    if let current, current.end >= SegmentSizes.sealed || current.isEarlierFormat,
      nextPosition > current.firstPosition
    {
      try sealCurrent()
    }
    if let earlier = current, earlier.isEarlierFormat {
      current = nil
      current = try earlier.renewed(fileSystem, directory: directory)
    }
    let writer: SegmentWriter
    if let current { writer = current } else { writer = try createSegment() }
    try writer.prepare(for: size)
    return writer
  }

  private func createSegment() throws(LogError) -> SegmentWriter {
    let header = SegmentHeader(
      kind: .normal, serial: clock.random(), firstPosition: nextPosition, storeID: storeID)
    let writer = try SegmentWriter.create(fileSystem, directory: directory, header: header)
    current = writer
    counters.syncs += 1
    shared.update {
      $0.segments.append(
        Segment(path: writer.path, firstPosition: nextPosition, adopted: false, limit: writer.syncedEnd))
    }
    return writer
  }

  private func sealCurrent() throws(LogError) {
    guard let writer = current else { return }
    try writer.seal()
    counters.syncs += 1
    publish(limit: nil)
    current = nil
  }

  private func publish(limit: UInt64?) {
    let counters = counters
    shared.update {
      $0.counters = counters
      let last = $0.segments.count - 1
      $0.segments[last].limit = limit
      // The place behind what is durable now begins with the next position, whatever comes there.
      if let limit, limit >= ($0.segments[last].marks.last?.offset ?? 0) + SegmentSizes.markDistance {
        $0.segments[last].marks.append(SegmentMark(position: nextPosition, offset: limit))
      }
      $0.durablePosition = nextPosition - 1
    }
  }

  private func append(_ batch: Batch, to writer: SegmentWriter) throws(LogError) {
    batch.assignPositions(first: nextPosition)
    _ = batch.stamp(seed: writer.seed, durableOffset: writer.syncedEnd)
    nextPosition += UInt64(batch.commandCount)
    if batch.size >= directWriteSize {
      try flush(to: writer)
      try writer.write(batch.buffer.bytes)
      counters.bytes += UInt64(batch.size)
    } else {
      gathered.append(batch.buffer.bytes)
      if gathered.count >= gatherSize { try flush(to: writer) }
    }
  }

  private func append(_ resolution: Resolution, to writer: SegmentWriter) throws(LogError) {
    var header = RecordHeader(kind: RecordKind.resolution)
    header.firstPosition = resolution.batchFirstPosition
    header.durableOffset = writer.syncedEnd
    appendRecord(to: &gathered, header, seed: writer.seed) { resolution.encode(into: &$0) }
    if gathered.count >= gatherSize { try flush(to: writer) }
  }

  private func flush(to writer: SegmentWriter) throws(LogError) {
    if gathered.count > 0 { try writer.write(gathered.bytes) }
    counters.bytes += UInt64(gathered.count)
    gathered.removeAll()
  }

  private func fail(_ error: LogError) -> LogError {
    if poison != nil { return error }
    poison = LogError(
      kind: .poisoned, message: "the log in \(directory) takes no writes until it is opened again: \(error.message)",
      cause: error.cause)
    current?.cutUnsynced()
    return error
  }
}

/// Records of this size are written from the batch's own memory, in bytes: the call costs less than the copy.
private let directWriteSize = 128 << 10
/// Gathered records are written when they reach this size, in bytes.
private let gatherSize = 1 << 20
