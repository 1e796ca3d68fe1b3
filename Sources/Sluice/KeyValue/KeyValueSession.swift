// Raw keys and values: what a program would use an embedded key-value store for, on the write path of the SQL side.
// This file writes; KeyValueSession+Read.swift reads. Unsafe by nature: named in the tidy test.
//
// A row goes into the session's batch (one copy), the batch goes to the appender when it is full, and the rest is the
// pipeline's. So a put costs neither a lock nor an allocation nor a reference count; what is per batch costs a
// few microseconds in a quarter of a megabyte.
import SluiceLSM
import SluiceLog
import SluiceSystem

/// Writes and reads the raw keys of one key space. Used by one thread at a time; a store gives out as many as wanted,
/// also several of one space.
///
/// Writes are pipelined: they return when they are encoded, are on disk when `commit` returns, and others see them
/// when they are applied, shortly after. The session itself reads its own writes at once. What was not committed when
/// the session or the process ends may be lost, the latest first; a batch is there whole or not at all.
///
/// Keys are compared as bytes, a shorter one before one that begins with it.
public final class KeyValueSession {
  /// Largest key, in bytes.
  public static let keyLimitBytes = KeySpace.keyLimitBytes
  /// Largest value, in bytes.
  public static let valueLimitBytes = KeySpace.valueLimitBytes
  /// What the rows between `beginBatch` and `endBatch` may take at most, in bytes, about 10 a row included: a record of
  /// the log holds 256 MiB, and rows from before the batch may stand in front of it.
  public static let batchLimitBytes = BatchLimits.bodySizeBytes - bufferBytes

  /// Bytes of encoded rows after which they go to the appender without waiting for more.
  static let bufferBytes = Generations.batchBytes
  /// Bytes on their way from the session to the memtables beyond which the next write waits for the oldest. Less, and
  /// the session stands still while the disk syncs: random rows of 116 bytes took 0.73 µs each with 512 KiB, 0.64 with
  /// 2 MiB, 0.52 with 4 MiB, 0.43 with 8 MiB and with 16 MiB.
  static let onTheWayLimitBytes = 8 << 20

  let pipeline: Pipeline
  let router: Router
  let id: UInt64
  let tableID: UInt32
  /// How many of the session's batches are applied.
  private let mark = SessionMark()
  private let clock: any Clock
  var builder = BatchBuilder(capacity: KeyValueSession.bufferBytes + (64 << 10))
  var pending = PendingWrites()
  /// Order of the rows in the builder, for scans.
  var ordered = OrderedWrites()
  /// What reads of single keys use again.
  var lookup = LookupScratch()
  /// What scans use again.
  let scanner = MergeIterator()
  /// An engine key under construction: the table id stands in its first bytes for good.
  let scratch: UnsafeMutableRawBufferPointer
  /// As `bufferBytes`, or less while writers are slowed.
  private var handOverBytes = KeyValueSession.bufferBytes
  /// Batches handed over.
  private var sent = 0
  /// What the appender gave for the last of them.
  private var ticket: UInt64 = 0
  /// The one up to which the caller was told how it stands.
  private var toldTicket: UInt64 = 0
  private var batch = BatchPhase.none
  /// Where the open batch began, in the builder.
  private var batchMark: BatchBuilder.Mark
  private var batchStartBytes = 0
  private var batchHasRows = false
  /// What refused the batch.
  private var batchRefusal: StoreError?

  private enum BatchPhase {
    case none, open
    /// A row was too much for it: nothing of it is written.
    case refused
  }

  init(store: StoreCore, space: Int) throws(StoreError) {
    tableID = try KeySpace.tableID(space)
    pipeline = store.pipeline
    router = store.router
    clock = store.options.clock
    scratch = .allocate(byteCount: BatchLimits.keySizeBytes, alignment: 16)
    scratch.storeBytes(of: tableID.bigEndian, as: UInt32.self)
    batchMark = builder.mark()
    id = pipeline.openSession(mark)
  }

  deinit {
    pipeline.closeSession(id)
    scratch.deallocate()
  }

  // MARK: Writing

  /// Adds or replaces the value of a key: 1 to `keyLimitBytes`, 0 to `valueLimitBytes` bytes, copied. Throws `invalid`
  /// (sizes, a batch that has grown too large) or what has ended writing (`unavailable`). About 30 ns and the copy;
  /// once a quarter of a megabyte it hands the rows over, and waits while too many are on their way.
  @inline(__always)
  public func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(StoreError) {
    try write(.put, key, value)
  }

  /// Removes a key, if it is there. Limits, errors and cost as for `put`.
  @inline(__always)
  public func delete(_ key: UnsafeRawBufferPointer) throws(StoreError) {
    try write(.delete, key, UnsafeRawBufferPointer(start: nil, count: 0))
  }

  /// The rows from here to `endBatch` become one atomic unit: all of them are there after a crash, and for readers, or
  /// none. Throws `invalid` when a batch is open. Costs nothing.
  public func beginBatch() throws(StoreError) {
    guard batch == .none else { throw StoreError(.invalid, "a batch is open already") }
    if builder.size >= handOverBytes { try send() }
    batch = .open
    batchMark = builder.mark()
    batchStartBytes = builder.size
    batchHasRows = false
  }

  /// Ends the batch; like a single row it is on disk with `commit`. Throws `invalid` when none is open, and what
  /// refused the batch when one of its rows was too much for it: then nothing of it is written.
  public func endBatch() throws(StoreError) {
    guard batch != .none else { throw StoreError(.invalid, "no batch is open") }
    batch = .none
    if let refusal = batchRefusal {
      batchRefusal = nil
      throw refusal
    }
  }

  /// Forgets the rows of the open batch. Throws `invalid` when none is open.
  public func cancelBatch() throws(StoreError) {
    guard batch != .none else { throw StoreError(.invalid, "no batch is open") }
    takeBackBatch()
    batch = .none
    batchRefusal = nil
  }

  /// Waits until everything written so far is durable. Throws `invalid` inside a batch, and what has ended writing.
  /// Costs one sync of the disk when something was written since the last.
  public func commit() throws(StoreError) {
    try checkNoBatch()
    do throws(StoreError) {
      if !builder.isEmpty {
        ticket = try pipeline.write(try seal())
      } else {
        try pipeline.waitDurable(ticket)
      }
      toldTicket = ticket
    } catch { throw judged(error) }
  }

  /// Waits until everything written so far is durable and applied: other sessions see it. Errors as for `commit`.
  public func settle() throws(StoreError) {
    try checkNoBatch()
    do throws(StoreError) {
      if !builder.isEmpty { try send() }
      try waitApplied()
      toldTicket = ticket
    } catch { throw judged(error) }
  }

  /// What was handed over since something was told may be stored, though the last rows are not.
  private func judged(_ error: StoreError) -> StoreError {
    defer { toldTicket = ticket }
    return ticket == toldTicket ? error : error.leaving(.unknown)
  }

  @inline(__always)
  private func write(
    _ kind: CommandKind, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(StoreError) {
    guard key.count > 0, key.count <= Self.keyLimitBytes, value.count <= Self.valueLimitBytes else {
      throw refusal(key.count, value.count)
    }
    // Before the row is taken: a write that throws has written nothing.
    if builder.size >= handOverBytes, batch == .none { try send() }
    let startsStatement = try prepare(key.count &+ value.count)
    let hash = router.hash(key)
    let offset = builder.append(
      kind: kind, startsStatement: startsStatement, slot: router.slot(hash: hash), line: 0, keyPrefix: tableID,
      key: key, value: value)
    pending.note(hash: hash, offset: offset, in: builder.body)
  }

  /// Whether a row of `size` bytes begins a statement; an error when it is too much for the open batch.
  @inline(__always)
  private func prepare(_ size: Int) throws(StoreError) -> Bool {
    if batch == .none { return true }
    return try prepareInBatch(size)
  }

  private func prepareInBatch(_ size: Int) throws(StoreError) -> Bool {
    if let batchRefusal { throw batchRefusal }
    if builder.size - batchStartBytes + size + KeySpace.rowOverheadBytes > Self.batchLimitBytes {
      let error = StoreError(
        .invalid, "batch too big: its rows encode to more than \(Self.batchLimitBytes) bytes", sqliteCode: 18)
      takeBackBatch()
      batch = .refused
      batchRefusal = error
      throw error
    }
    defer { batchHasRows = true }
    return !batchHasRows
  }

  /// Takes the rows of the open batch out of the builder again.
  private func takeBackBatch() {
    guard batch == .open, batchHasRows else { return }
    builder.rollback(to: batchMark)
    ordered.removeAll()
    pending.renew(from: builder.body) { key in
      router.hash(UnsafeRawBufferPointer(rebasing: key[KeySpace.prefixSize...]))
    }
  }

  @inline(never)
  func refusal(_ keySize: Int, _ valueSize: Int) -> StoreError {
    if keySize == 0 { return StoreError(.invalid, "the key is empty: it has at least one byte") }
    if keySize > Self.keyLimitBytes {
      return StoreError(.invalid, "key too big: \(keySize) bytes, at most \(Self.keyLimitBytes)", sqliteCode: 18)
    }
    return StoreError(.invalid, "value too big: \(valueSize) bytes, at most \(Self.valueLimitBytes)", sqliteCode: 18)
  }

  // MARK: Handing over

  /// Hands over what the builder holds.
  @inline(never)
  private func send() throws(StoreError) {
    if builder.isEmpty {
      try pipeline.checkFailure()
    } else {
      ticket = try pipeline.submit(try seal())
    }
  }

  /// The rows of the builder as a batch on its way. Waits while too much is.
  private func seal() throws(StoreError) -> Batch {
    try pipeline.checkFailure()
    // Before the rows leave the builder: refused, they stay there and may be sent again.
    try pipeline.room.admit(builder.size, makesRoom: builder.makesRoom)
    try waitForRoom()
    let batch = builder.seal(timeMicroseconds: clock.wallMicroseconds(), session: id)
    ordered.removeAll()
    pending.handOver(batch)
    sent += 1
    handOverBytes = pipeline.generations.handOverBytes
    return batch
  }

  private func waitForRoom() throws(StoreError) {
    forgetApplied()
    while pending.isFull || (pending.count > 0 && pending.sizeBytes + builder.size > Self.onTheWayLimitBytes) {
      let id = id
      let oldest = pending.forgotten
      try pipeline.wait(unless: { pipeline.applyObstacle }) {
        $0.sessions[id].map { $0.resolved > oldest } == true ? () : nil
      }
      forgetApplied()
    }
  }

  /// Waits until all that was handed over is applied.
  func waitApplied() throws(StoreError) {
    let sent = sent
    let id = id
    if mark.resolved.load(ordering: .acquiring) < sent {
      try pipeline.wait(unless: { pipeline.applyObstacle }) {
        $0.sessions[id].map { $0.resolved >= sent } == true ? () : nil
      }
    }
    forgetApplied()
  }

  /// Lets go of batches that the shards show by now. A read loads its position after this, never before.
  @inline(__always)
  func forgetApplied() { pending.forget(resolved: mark.resolved.load(ordering: .acquiring)) }

  private func checkNoBatch() throws(StoreError) {
    guard batch == .none else { throw StoreError(.invalid, "a batch is open: end it first") }
  }
}
