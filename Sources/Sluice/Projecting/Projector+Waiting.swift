// What the projector waits for: room on the disk, and other processes.
import SluiceSQLite
import SluiceSystem

extension Projector {
  /// Batch bytes after which a transaction is committed: what it writes must fit above half of the watermark, twice.
  var transactionBytes: Int { max(1 << 20, Int(clamping: pipeline.room.watermarkBytes / 4)) }

  /// Whether it is not time yet to look again at what was in the way.
  var isPausing: Bool { retryAt > 0 && pipeline.options.clock.monotonicNanoseconds() < retryAt }

  /// Whether it waits: for room on the disk, or for a reader that keeps the write-ahead log from beginning anew.
  func isHeld(hasWork: Bool) throws -> Bool {
    let clock = pipeline.options.clock
    if isPausing { return true }
    retryAt = 0
    let isFull = !isOpen && pipeline.room.holdsProjector
    pipeline.setProjectorHeld(isFull)
    if isFull {
      // What it reads takes room, in the write-ahead log and beside.
      refresher.holdBack()
      pipeline.projectorStatus.withLock { $0.hold(clock) }
      if file.checkpoint == nil {
        // It will be filled from the shards, as they are then: nothing of the log is kept for it.
        pipeline.progress.withLock { $0.synced = max($0.synced, $0.visible) }
        pipeline.wakeCompactor()
      }
      return true
    }
    if !isOpen, hasWork, try !makeRoom() {
      noteOldest(nil)
      wait(for: file.wal.readers(), toWrite: false)
      return true
    }
    if !isOpen, !hasWork {
      try file.wal.cutBack()
      goOn()
    }
    pipeline.projectorStatus.withLock { $0.beat(clock) }
    return false
  }

  /// Whether the write-ahead log has room. While a query of the refresher reads the file it may become longer; a query
  /// that holds up the mirrors for all that is ended, and begins again when less is written.
  private func makeRoom() throws(SQLiteError) -> Bool {
    file.wal.isReadBeside = refresher.isReading
    if try file.wal.makeRoom() { return true }
    if file.wal.isReadBeside { refresher.holdBack() }
    return false
  }

  /// SQLite found no room on the store's disk, or where it puts temporary files, as `shortage` says.
  func holdForRoom(_ shortage: String?) {
    let clock = pipeline.options.clock
    retryAt = clock.monotonicNanoseconds() + UInt64(Self.retryMicroseconds) * 1_000
    isBlocked = shortage != nil
    if shortage == nil { pipeline.setProjectorHeld(true) }
    pipeline.projectorStatus.withLock { $0.hold(clock, shortage) }
    if shortage != nil { pipeline.progress.update { _ in } }
  }

  /// Nothing is in the way.
  func goOn() {
    isBlocked = false
    pipeline.projectorStatus.withLock { $0.goOn(isRebuilding: rebuild != nil) }
  }

  /// Others are in the way: looks again in a moment, and who waits for projections looks how long that has lasted.
  func wait(for processes: [Int32], toWrite: Bool) {
    isBlocked = true
    let clock = pipeline.options.clock
    retryAt = clock.monotonicNanoseconds() + UInt64(Self.blockedMicroseconds) * 1_000
    let how: ProjectorStatus.Blockade = openFile == nil ? .locks : toWrite ? .writes : .reads
    pipeline.projectorStatus.withLock { $0.block(clock, by: processes, how) }
    pipeline.progress.update { _ in }
  }

  /// Notes when the first command was written that is projected next: `time`, or what the log says.
  func noteOldest(_ time: Int64?) {
    let status = pipeline.projectorStatus
    guard !isOpen, status.withLock({ $0.oldestTaken == nil }) else { return }
    let known = time ?? pipeline.time(ofPosition: next)
    status.withLock { $0.took(known) }
  }
}
