// The write path as one object: log and appender, applier, engines, projector queue, compactor, and the watermarks that
// connect them. Sessions put batches in at the top; everything below happens in log order.
//
//   session -> appender (group, write, sync) -> applier (check, insert) -> projector queue -> projector
//                                                     \-> generation full -> compactor (flush, merge)
import SluiceLSM
import SluiceLog
import SluiceSQL
import SluiceSystem
import Synchronization

/// What all roles of an open store share.
final class Pipeline: Sendable {
  let options: StoreOptions
  let log: Log
  let engines: [Engine]
  let progress = Monitor(Progress())
  let catalog: Monitor<Catalog>
  let projectorQueue: ProjectorQueue
  let projectorRequests = ProjectorRequests()
  let foreseen = ForeseenTransaction()
  let projectorStatus = Monitor(ProjectorStatus())
  let positions = ReadPositions()
  /// What people are told beside the outcome of their statements.
  private let notices = Monitor([String]())
  /// Set once by `start`, before any session exists.
  private let roles = Monitor(Roles())

  private struct Roles {
    var appender: Appender?
    var applier: Applier?
    var compactor: Compactor?
    var projector: (any Role)?
    var refresher: (any Role)?
    /// In the order in which they are stepped, and end.
    var all: [any Role] {
      let all: [(any Role)?] = [applier, compactor, projector, refresher]
      return all.compactMap { $0 }
    }
    var threads: [RoleThread] = []
    var appenderThread: Thread?
  }

  let generations: Generations
  let room: DiskRoom
  /// Session of each staged transaction that is on its way.
  private let stagedSessions = Monitor([ObjectIdentifier: UInt64]())

  init(
    options: StoreOptions, log: Log, engines: [Engine], catalog: Catalog, projectorQueue: ProjectorQueue,
    room: DiskRoom
  ) {
    self.room = room
    self.options = options
    self.log = log
    self.engines = engines
    self.catalog = Monitor(catalog)
    self.projectorQueue = projectorQueue
    generations = Generations(
      budgetBytes: options.memtableBudgetBytes, partCount: engines.count,
      engineBytes: engines.reduce(0) { $0 + $1.memtableBytes }, clock: options.clock)
  }

  /// Bytes that wait to be written, and to be applied.
  var queuedBytes: (appender: Int, applier: Int) {
    let (appender, applier) = roles.withLock { ($0.appender, $0.applier) }
    return (appender?.queuedBytes ?? 0, applier?.queuedBytes ?? 0)
  }
  var hasFailed: Bool { progress.withLock { $0.failure != nil } }

  /// Puts the roles to work: on threads of their own, or driven by whoever waits.
  func start(
    _ applier: Applier, _ compactor: Compactor, projector: any Role, refresher: any Role
  ) throws(StoreError) {
    let appender = Appender(
      log: log, syncs: options.synchronous,
      onDurable: { [self] items in durable(items) },
      onFailure: { [self] _, error in fail(StoreError(error)) })
    roles.withLock {
      $0.appender = appender
      $0.applier = applier
      $0.compactor = compactor
      $0.projector = projector
      $0.refresher = refresher
    }
    guard options.threaded else { return }
    do {
      let threads = try roles.withLock { $0.all }.map { role throws(SystemError) in
        try RoleThread(role, progress: progress) { [self] error in fail(error) }
      }
      let appenderThread = try Thread(name: "sluice-appender") { appender.run() }
      roles.withLock {
        $0.threads = threads
        $0.appenderThread = appenderThread
      }
    } catch { throw StoreError(error) }
  }

  /// Ends the roles' threads after the work they have.
  func stop() {
    let (appender, appenderThread, threads) = roles.withLock { ($0.appender, $0.appenderThread, $0.threads) }
    for role in roles.withLock({ $0.all }) { role.hasten() }
    appender?.stop()
    appenderThread?.join()
    progress.update { $0.isStopping = true }
    generations.wake()
    wakeRoles()
    for thread in threads { thread.join() }
    // They hold this object, and it them.
    roles.withLock { $0 = Roles() }
  }

  func fail(_ error: StoreError) {
    progress.update { progress in
      if progress.failure == nil { progress.failure = error }
    }
    roles.withLock { $0.applier }?.wake()
    generations.wake()
  }

  /// Has every role look for work.
  func wakeRoles() {
    for role in roles.withLock({ $0.all }) { role.bell.ring() }
  }

  /// Has the projector look for work: now, or within a millisecond.
  func wakeProjector(isUrgent: Bool = true) {
    guard let bell = roles.withLock({ $0.projector })?.bell else { return }
    if isUrgent { bell.ring() } else { bell.leaveMail() }
  }

  /// Somebody begins to wait for what the roles do: nothing is left lying.
  private func beginWaiting() {
    progress.withLock { $0.waiterCount += 1 }
    let (applier, projector) = roles.withLock { ($0.applier, $0.projector) }
    applier?.bell.deliverMail()
    projector?.bell.deliverMail()
  }

  private func endWaiting() { progress.withLock { $0.waiterCount -= 1 } }

  func wakeCompactor() { roles.withLock { $0.compactor }?.bell.ring() }

  /// Whether the compactor has done all that a store without writes wants, and waits for the next write.
  let compactorRests = Atomic<Bool>(false)

  /// Notes what people should know of projections.db, for whoever asks next.
  func tell(_ notice: String) {
    projectorStatus.withLock { $0.lastError = notice }
    notify(notice)
  }

  /// The same of anything else.
  func notify(_ notice: String) {
    notices.withLock { if $0.count < 100, $0.last != notice { $0.append(notice) } }
  }

  /// What was told since this was asked last.
  func takeNotices() -> [String] {
    notices.withLock { notices in
      defer { notices = [] }
      return notices
    }
  }

  // MARK: Waiting

  /// Waits until `condition` gives a value; throws the pipeline's failure when it will never come, and what `obstacle`
  /// finds in the way before that.
  func wait<R>(
    unless obstacle: () -> StoreError? = { nil }, _ condition: (Progress) -> R?
  ) throws(StoreError) -> R {
    if !options.threaded { try drive(unless: obstacle) { condition($0) != nil } }
    if let value = progress.withLock({ condition($0) }) { return value }
    beginWaiting()
    defer { endWaiting() }
    let result: Result<R, StoreError> = progress.wait { state in
      if let value = condition(state) { return .success(value) }
      if let failure = state.failure ?? obstacle() { return .failure(failure) }
      return nil
    }
    return try result.get()
  }

  /// The same, but gives up with nil after `timeoutMicroseconds`, and looks at `obstacle` again every 50 ms.
  func wait<R>(
    timeoutMicroseconds: Int64, unless obstacle: () -> StoreError?, _ condition: (Progress) -> R?
  ) throws(StoreError) -> R? {
    let end = options.clock.monotonicNanoseconds() &+ UInt64(clamping: timeoutMicroseconds) &* 1_000
    beginWaiting()
    defer { endWaiting() }
    while true {
      if !options.threaded { try drive(unless: obstacle, allowsStandstill: true) { condition($0) != nil } }
      let now = options.clock.monotonicNanoseconds()
      let slice = options.threaded && now < end ? min(50_000, Int64((end - now) / 1_000) + 1) : 0
      let result: Result<R, StoreError>? = progress.wait(timeoutMicroseconds: slice) { state in
        if let value = condition(state) { return .success(value) }
        if let failure = state.failure ?? obstacle() { return .failure(failure) }
        return nil
      }
      if let result { return try result.get() }
      if !options.threaded || options.clock.monotonicNanoseconds() >= end { return nil }
    }
  }

  /// Without threads: steps every role in turn until `isDone`. Nothing left to do before that, and no obstacle, is a
  /// defect.
  func drive(
    unless obstacle: () -> StoreError? = { nil }, allowsStandstill: Bool = false, until isDone: (Progress) -> Bool
  ) throws(StoreError) {
    let (appender, all) = roles.withLock { ($0.appender, $0.all) }
    guard let appender else { return }
    while !progress.withLock({ isDone($0) || $0.failure != nil }) {
      var didWork = appender.step()
      for role in all {
        do { if try role.step() { didWork = true } } catch {
          fail(error)
          return
        }
      }
      if !didWork, allowsStandstill || obstacle() != nil { return }
      invariant(didWork || progress.withLock { isDone($0) || $0.failure != nil }, "the pipeline stands still")
    }
  }

  /// When the command with a position was written, in microseconds; nil when the log does not say. Cost: up to a MiB of
  /// the log is read.
  func time(ofPosition position: UInt64) -> Int64? {
    guard position <= log.lastPosition else { return nil }
    do throws(LogError) {
      let reader = try log.reader(after: position - 1, upTo: position)
      while let record = try reader.next() {
        if case .commands(let batch, _) = record { return batch.timeMicroseconds }
      }
    } catch {}
    return nil
  }

  // MARK: Sessions

  /// Enters a session; returns its id. `mark` tells it how many of its items are applied.
  func openSession(_ mark: SessionMark? = nil) -> UInt64 {
    progress.wait { progress -> UInt64? in
      if progress.isReserved { return nil }
      progress.lastSession += 1
      let id = progress.lastSession
      progress.sessions[id] = SessionProgress(mark: mark)
      progress.sessions[id]?.lastPosition = progress.durable
      return id
    }
  }

  /// Has the one session that there is stay alone until `release`: another one waits to be opened. False when there is
  /// another one, or something is on its way.
  func reserve() -> Bool {
    progress.withLock { progress in
      guard progress.sessions.count == 1, progress.submitted == progress.resolved else { return false }
      progress.isReserved = true
      return true
    }
  }

  func release() { progress.update { $0.isReserved = false } }

  /// Forgets a session; what it has on its way goes on.
  func closeSession(_ id: UInt64) { progress.update { $0.sessions[id] = nil } }

  /// Hands a batch to the appender; waits while too much is queued. Returns its ticket, for `waitDurable`.
  @discardableResult
  func submit(_ batch: Batch) throws(StoreError) -> UInt64 {
    waitForTurn(batch.size)
    let appender = try beginSubmitting(batch.session)
    do { return try appender.submit(batch) } catch { throw refused(batch.session, error) }
  }

  /// As `submit`, and waits until the batch is durable: this thread writes it when nobody else is writing. The error
  /// says whether the batch may be in the log.
  @discardableResult
  func write(_ batch: Batch) throws(StoreError) -> UInt64 {
    guard options.threaded else {
      let ticket = try submit(batch)
      try waitDurable(ticket)
      return ticket
    }
    waitForTurn(batch.size)
    let appender = try beginSubmitting(batch.session)
    let ticket: UInt64
    do { ticket = try appender.submit(batch, isAwaited: true) } catch { throw refused(batch.session, error) }
    do { try appender.waitDurable(ticket) } catch {
      throw failure(error).leaving(appender.isInDoubt(ticket) ? .unknown : .notStored)
    }
    return ticket
  }

  /// Lets the projector see a transaction that is not committed, each time that more of it is staged.
  func foresee(_ staged: StagedSegment) {
    if options.projectsAhead, foreseen.grew(staged) { wakeProjector() }
  }

  /// Removes a staged transaction: ROLLBACK.
  func discard(_ staged: StagedSegment) throws(LogError) {
    if foreseen.discarded(staged) { wakeProjector() }
    try staged.discard()
  }

  /// Hands a finished staged transaction to the appender. Returns its ticket.
  @discardableResult
  func submit(_ staged: StagedSegment, session: UInt64) throws(StoreError) -> UInt64 {
    let appender = try beginSubmitting(session)
    stagedSessions.withLock { $0[ObjectIdentifier(staged)] = session }
    do { return try appender.submit(staged: staged) } catch { throw refused(session, error) }
  }

  /// Waits until what has this ticket, and all before it, is durable. What was sent before may be in the log when this
  /// throws, whatever became of the ticket.
  func waitDurable(_ ticket: UInt64) throws(StoreError) {
    guard let appender = roles.withLock({ $0.appender }) else { return try checkFailure() }
    if !options.threaded { try drive { _ in appender.isDurable(ticket) } }
    do { try appender.waitDurable(ticket) } catch { throw failure(error).leaving(.unknown) }
  }

  /// An item was counted that the appender did not take.
  private func refused(_ session: UInt64, _ error: LogError) -> StoreError {
    progress.update {
      $0.submitted -= 1
      $0.sessions[session]?.submitted -= 1
    }
    return failure(error)
  }

  /// What ended writing, of which the appender tells only that it did.
  private func failure(_ error: LogError) -> StoreError { progress.withLock { $0.failure } ?? StoreError(error) }

  /// Waits while too much waits to be applied, and as long as the pace asks a batch of `size` bytes to.
  private func waitForTurn(_ size: Int) {
    room.note(size)
    guard options.threaded else { return }
    roles.withLock { $0.applier }?.waitForRoom()
    let wait = generations.waitNanoseconds(for: size)
    if wait > 0 { Thread.sleep(nanoseconds: wait) }
  }

  /// Counts an item before the appender has it, so that nobody finds everything resolved while it is on its way.
  private func beginSubmitting(_ session: UInt64) throws(StoreError) -> Appender {
    try checkFailure()
    guard let appender = roles.withLock({ $0.appender }) else {
      throw readOnlyRefusal ?? StoreError(.unavailable, "the store is closed")
    }
    progress.withLock {
      $0.submitted += 1
      $0.sessions[session]?.submitted += 1
    }
    return appender
  }

  /// What is told to who writes to a store that is only read; nil: it can be written.
  var readOnlyRefusal: StoreError? {
    guard options.isReadOnly else { return nil }
    return StoreError(.invalid, "this store is read only: \(options.readOnlyReason)", sqliteCode: 8)
  }

  /// Writing stops with the first failure of any role.
  func checkFailure() throws(StoreError) {
    if let failure = progress.withLock({ $0.failure }) { throw failure }
  }

  // MARK: From the appender

  /// Moves the durable watermark, then hands the items on. On the appender's thread.
  private func durable(_ items: [AppendedItem]) {
    var next: [DurableItem] = []
    var resolutions = 0
    for item in items {
      switch item.content {
      case .batch(let batch): next.append(.batch(batch))
      case .staged(let staged):
        guard let range = item.positions else { continue }
        foreseen.adopted(staged, as: range)
        let session = stagedSessions.withLock { $0.removeValue(forKey: ObjectIdentifier(staged)) }
        next.append(.transaction(range, session: session ?? 0))
      case .resolution: resolutions += 1
      }
    }
    if resolutions > 0 { generations.resolutionsDurable(resolutions) }
    let isAwaited = progress.update { progress in
      for item in next {
        progress.durable = item.lastPosition
        guard var one = progress.sessions[item.session] else { continue }
        one.durable += 1
        one.lastPosition = item.lastPosition
        progress.sessions[item.session] = one
      }
      return progress.waiterCount > 0
    }
    // Behind the watermark: what a session waits for next is never ahead of what it has been told.
    if !next.isEmpty { roles.withLock { $0.applier }?.submit(next, isAwaited: isAwaited) }
  }

  // MARK: From the applier

  /// Writes down which commands of a batch have no effect, for those who read the log later.
  func record(_ batch: Batch, _ noEffect: [(index: UInt32, reason: UInt8)]) throws(StoreError) {
    generations.resolutionSubmitted()
    do {
      let resolution = Resolution(batchFirstPosition: batch.firstPosition, rejected: noEffect)
      try roles.withLock { $0.appender }?.submit(resolution: resolution)
    } catch {
      // Left without draining, the appender has ended. The generation is never frozen then, and the next opening
      // resolves the batch again.
      if error.kind == .invalid, progress.withLock({ $0.isAbandoning }) { return }
      throw StoreError(error)
    }
  }

  /// Waits until the log holds the outcome of everything that is applied now. Any thread but the appender's.
  func waitRecorded() throws(StoreError) {
    let count = generations.submittedResolutions
    if options.isReadOnly {
      if count == 0 { return }
      throw StoreError(
        .unavailable,
        "which of its last commands have no effect does not stand in the log: the process that wrote them ended before "
          + "that, and the next opening that may write notes it", sqliteCode: 8)
    }
    if !options.threaded, let appender = roles.withLock({ $0.appender }) {
      while !generations.waitDurable(count, orUntil: { true }), appender.step() {}
    }
    let isRecorded = generations.waitDurable(count) { [self] in
      !options.threaded || progress.withLock { $0.failure != nil || $0.isStopping }
    }
    if isRecorded { return }
    try checkFailure()
    throw StoreError(.unavailable, "the store is being closed: outcomes are not in the log yet")
  }

  /// What the engines' memtables hold beside the batches. On the applier's thread.
  private var engineBytes: Int { engines.reduce(0) { $0 + $1.memtableBytes } }

  /// Counts a batch's memory; at the budget, all shards freeze their memtables at the same position.
  func countGeneration(_ batch: Batch) throws(StoreError) {
    if generations.count(batch.size, engineBytes: engineBytes) { try freeze(at: batch.lastPosition) }
  }

  /// Ends the generation at what is applied, unless it is empty. On the applier's thread.
  func freezeGeneration() throws(StoreError) {
    guard generations.held.activeBytes > 0 else { return }
    try freeze(at: progress.withLock { $0.applied })
  }

  /// Waits until everything that was handed over before is in tables.
  func flush() throws(StoreError) {
    if let readOnlyRefusal { throw readOnlyRefusal }
    let submitted = progress.withLock { $0.submitted }
    let target = try wait(unless: { applyObstacle }) { $0.resolved >= submitted ? $0.applied : nil }
    try requestFreeze()
    try wait(unless: { room.flushObstacle }) { $0.flushed >= target ? () : nil }
  }

  /// What whoever waits for something to be applied is told when that is not going to happen: memory is full, and the
  /// disk has no room to flush it to.
  var applyObstacle: StoreError? { generations.isStopped ? room.flushObstacle : nil }

  /// Has the applier end the generation behind what it was given.
  func requestFreeze() throws(StoreError) {
    roles.withLock { $0.applier }?.requestFreeze()
  }

  /// Ends the generation. Waits while another one is not flushed yet, and until the log durably holds what the
  /// generation does and how it was resolved: from here on a shard may put it into tables at any time.
  private func freeze(at position: UInt64) throws(StoreError) {
    if options.threaded {
      generations.noteStop()
      // Who waits for it to apply something may have to be told.
      if generations.isStopped, room.isStuck { progress.update { _ in } }
      generations.waitToFreeze { [self] in progress.withLock { $0.failure != nil || $0.isAbandoning } }
    } else {
      while !generations.isResolved, roles.withLock({ $0.appender })?.step() == true {}
    }
    // Left behind a failure, or without draining: the next opening has it from the log.
    guard generations.isResolved else { return }
    do { try roles.withLock({ $0.appender })?.syncLog() } catch { throw failure(error) }
    // In this order: the compactor, if it is awake, flushes what is frozen at once, and then takes the generation away.
    generations.frozen(at: position)
    for engine in engines { engine.freeze(at: position) }
    generations.begun(engineBytes: engineBytes)
    wakeCompactor()
  }

  // MARK: From the compactor

  /// A flush found no room on the disk, or does again: who waits for it is told.
  func setStuck(_ isStuck: Bool) {
    if room.isStuck == isStuck { return }
    // Rows are refused from now on, not when the next look is due.
    if isStuck { _ = room.look() }
    room.isStuck = isStuck
    progress.update { _ in }
    roles.withLock { $0.applier }?.wake()
  }

  /// The projector waits for room on the disk, or goes on: who waits for it is told.
  func setProjectorHeld(_ isHeld: Bool) {
    if room.isProjectorHeld == isHeld { return }
    room.isProjectorHeld = isHeld
    progress.update { _ in }
  }

  /// What whoever waits for projections is told when they do not come, asked again and again: the disk is full, or
  /// others block them for longer than that is waited for. Without threads nothing changes by waiting.
  func projectorObstacle() -> () -> StoreError? {
    let start = options.clock.monotonicNanoseconds()
    return { [self] in
      room.projectorObstacle
        ?? projectorStatus.withLock {
          options.threaded ? $0.refusal(options.clock, waitingSince: start) : $0.refusal
        }
    }
  }

  /// Every shard is flushed up to `position`.
  func flushed(upTo position: UInt64) {
    generations.flushed(upTo: position)
    progress.update { $0.flushed = max($0.flushed, position) }
  }
}
