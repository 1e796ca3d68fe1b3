// The projector: brings applied batches into projections.db, rows and checkpoint in one SQLite transaction, so that
// each is there exactly once. It takes batches from memory, or from the log where memory had no room for them; the
// transaction grows with the backlog: batches gather, still encoded, and their rows are written together at its end.
//
// When it is up to date, it writes a large transaction before that is committed (ForeseenTransaction.swift).
//
// Between two transactions, and whenever there is nothing else to do, it fills copies of projections that are built,
// and takes the rows of those that the refresher has made anew.
import SluiceLSM
import SluiceLog
import SluiceSQL
import SluiceSQLite
import SluiceSystem
import Synchronization

/// Keeps projections.db in step. One per store; its state belongs to the thread that steps it.
final class Projector: Role, @unchecked Sendable {
  let name = "projector"
  let bell = Bell()
  /// Batch bytes taken at a time: a batch of a session, or a few small ones. Between these it is asked whether the
  /// write-ahead log has room for more.
  static let chunkBytes = 128 << 10
  /// Batch bytes that gather before their rows are written where projections with groups follow: their memory is held
  /// until then.
  static let gatherBytes = 40 << 20
  /// The same where no such projection follows.
  static let plainBytes = 4 << 20
  /// Positions without a row for it that the projector passes before it writes its checkpoint all the same: the next
  /// opening reads no more than these again, about 30 MB of small rows.
  static let unwrittenPositions: UInt64 = 1 << 18

  /// Time after which a disk that was full is tried again.
  static let retryMicroseconds: Int64 = 200_000
  /// Time after which a reader that was in the way is looked for again.
  static let blockedMicroseconds: Int64 = 100_000
  /// Time between two signs of life of a projector that has nothing to do.
  private static let idleMicroseconds: Int64 = 1_000_000

  /// Time between two looks at what others do to the file, when nobody asks for one.
  static let examinationNanoseconds: UInt64 = 500_000_000

  /// A staged transaction that is written before COMMIT; `next` runs ahead of what is applied meanwhile.
  private struct Ahead {
    let reader: StagedReader
    /// Where it begins, if nothing comes in between.
    let base: UInt64
    /// When there was nothing more of it.
    var idleSince: UInt64?
  }

  let pipeline: Pipeline
  private let router: Router
  let place: ProjectionsPlace
  let refresher: Refresher
  /// Nil while there is none to work with (Projector+File.swift).
  var openFile: ProjectionsFile? { didSet { watch(openFile) } }
  var trouble = FileTrouble()
  private let suspended = Atomic<Bool>(false)
  let isLeaving = Atomic<Bool>(false)
  let isStepping = Atomic<Bool>(false)
  /// Indexes, and rows of queries, that were not brought to an end because nobody wanted them any more.
  let endedCount = Atomic<Int>(0)
  /// What is made at this moment that takes long.
  var work: Work?
  /// Ends what runs on the file's connection.
  let interrupter = Monitor<Interrupter?>(nil)
  var mirrors: [UInt32: Mirror] = [:]
  private var reader: LogReader?
  /// The next position to project.
  var next: UInt64 = 1
  /// The last position at which the open transaction may end.
  var boundary: UInt64 = 0
  var isOpen = false
  var rebuild: Rebuild?
  /// Counts the files that sessions were told of.
  var fileNumber = 0
  /// When it was last looked at what others do to the file, in monotonic nanoseconds.
  var examinedAt: UInt64 = 0
  private var ahead: Ahead?
  /// Batches whose rows are noted in the mirrors and not written yet.
  private(set) var gathered: [ProjectorItem] = []
  private var gatheredBytes = 0
  private var gatheredRows = WalLimit.Rows()
  /// Those that are written in the open transaction.
  private var writtenRows = WalLimit.Rows()
  /// Rows and batch bytes since the last commit.
  private var openRows = 0
  private var openBytes = 0
  var background = ProjectorBackground()
  private var checkpointCount = 0
  /// Outcomes taken since the last commit: rows that come again must be left out again.
  private var taken: [(position: UInt64, noEffect: [(index: UInt32, reason: UInt8)])] = []
  /// Not before then is a disk tried again that was full, or a reader that was in the way.
  var retryAt: UInt64 = 0
  var isBlocked = false

  init(pipeline: Pipeline, router: Router, place: ProjectionsPlace, refresher: Refresher) {
    self.pipeline = pipeline
    self.router = router
    self.place = place
    self.refresher = refresher
  }

  /// The file, which is there whenever rows are written.
  var file: ProjectionsFile {
    guard let openFile else { preconditionFailure("a step of the projector without its file") }
    return openFile
  }

  /// Whether it writes a transaction that is not committed. On its own thread.
  var isAhead: Bool { ahead != nil }
  /// Transactions that were written before they were committed. On its own thread.
  private(set) var writtenAheadCount = 0

  /// Whether it stands still although there is work. Any thread.
  var isSuspended: Bool {
    get { suspended.load(ordering: .relaxed) }
    set { suspended.store(newValue, ordering: .relaxed) }
  }

  var restMicroseconds: Int64? {
    // Until then its state belongs to whoever opens the store.
    guard pipeline.progress.withLock({ $0.isProjecting }) else { return Self.idleMicroseconds }
    if isBlocked { return Self.blockedMicroseconds }
    if pipeline.room.isProjectorHeld { return Self.retryMicroseconds }
    guard openFile != nil else { return trouble.isHopeless ? nil : Self.blockedMicroseconds }
    // While a query runs, its end rings.
    guard refresher.isIdle, let due = file.copies.nextRefresh else { return Self.idleMicroseconds }
    let now = pipeline.options.clock.monotonicNanoseconds()
    return min(due > now ? Int64(clamping: (due - now) / 1_000) + 1 : 1_000, Self.idleMicroseconds)
  }

  func step() throws(StoreError) -> Bool {
    isStepping.store(true, ordering: .sequentiallyConsistent)
    defer { isStepping.store(false, ordering: .releasing) }
    let progress = pipeline.progress.withLock { $0 }
    guard progress.isProjecting, !progress.isAbandoning else { return false }
    if isSuspended { return false }
    do {
      guard openFile != nil else { return try !isPausing && reopen(applied: progress.applied) }
      try examine()
      return try work(progress)
    } catch { return recover(from: error) }
  }

  /// Does one piece of work on the file.
  private func work(_ progress: Progress) throws -> Bool {
    let hasWork =
      file.checkpoint == nil || next <= progress.applied || !gathered.isEmpty || !file.copies.building.isEmpty
      || pipeline.foreseen.isWaiting
    if try isHeld(hasWork: hasWork) { return false }
    if file.checkpoint == nil, rebuild == nil { try beginFilling() }
    if rebuild != nil {
      try fill()
      return true
    }
    if let ahead { return try goOn(ahead, applied: progress.applied) }
    if isAtBorder, gathered.isEmpty, !isOpen, try doBackgroundWork(isBusy: progress.applied >= next) { return true }
    let items = try nextItems(applied: progress.applied)
    if items.isEmpty {
      guard isAtBorder, isOpen || !gathered.isEmpty else { return try beginAhead() }
      try write()
      try commit()
      return true
    }
    if !isOpen, gathered.isEmpty, pass(items) {
      goOn()
      return true
    }
    noteOldest(items.lazy.compactMap { $0.batch?.timeMicroseconds }.first)
    try gather(items)
    if isAtBorder, isFull {
      try write()
      try commit()
    } else {
      try writeIfMuch()
    }
    return true
  }

  /// What is done about an error of a step. None of them is anybody else's: what is true is in the log and the shards.
  private func recover(from error: any Error) -> Bool {
    var error = error
    do {
      switch error {
      case let error as SQLiteError where error.kind == .interrupted:
        guard isLeaving.load(ordering: .relaxed) else {
          // What was being made is not wanted any more.
          endedCount.wrappingAdd(1, ordering: .relaxed)
          try retreat()
          return true
        }
        forgetTransaction()
        return false
      case let error as SQLiteError where error.kind == .busy:
        // Another process writes to the file. What was taken comes again from the log.
        guard openFile != nil else { break }
        try retreat()
        wait(for: file.wal.writers(), toWrite: true)
        return false
      case let error as SQLiteError where error.kind == .full || error.kind == .temporary:
        pipeline.projectorStatus.withLock { $0.lastError = error.message }
        let isFull = error == .full || pipeline.room.isProjectorFull
        try retreat()
        if openFile?.checkpoint == nil {
          // Nothing of an empty file is worth its room.
          openFile?.connection.close()
          openFile = nil
          rebuild = nil
        } else {
          try openFile?.wal.giveBack()
        }
        if isFull { pipeline.room.projectorDidNotFit() }
        holdForRoom(error.kind == .temporary ? error.message : nil)
        return false
      case let error as SQLiteError
      where openFile.map({ $0.copies.takesCare(of: error) || $0.indexes.takesCare(of: error) }) == true:
        try retreat()
        return true
      case _ where ahead != nil && (error as? SQLiteError)?.isAboutFile != true:
        // If it is not the foreseeing, it comes again with the rows.
        try retreat()
        return true
      default: break
      }
    } catch let other { error = other }
    return giveUpFile(error)
  }

  /// Whether the transaction is to end at the next border.
  private var isFull: Bool {
    openRows >= WalLimit.transactionRows || openBytes >= transactionBytes
      || !file.wal.admitsMore(than: gatheredRows + writtenRows)
  }

  /// Whether the transaction may end here: all of a statement, and of a staged transaction, is in it.
  private var isAtBorder: Bool { boundary == next - 1 }

  // MARK: Going back

  /// Back to the last commit: the disk filled up inside a transaction, or a projection needs more care.
  func retreat() throws(SQLiteError) {
    forgetTransaction()
    guard let openFile else { return }
    try openFile.reload()
    if let checkpoint = openFile.checkpoint, rebuild == nil { follow(checkpoint) }
  }

  /// Forgets all that is not committed: it comes again, from the log.
  func forgetTransaction() {
    // SQLite may have rolled back by itself.
    do { try openFile?.connection.execute("ROLLBACK") } catch {}
    isOpen = false
    if ahead != nil {
      pipeline.foreseen.release()
      ahead = nil
    }
    forgetGathered()
    mirrors = [:]
    giveBack()
  }

  /// Goes on behind a position.
  func follow(_ position: UInt64) {
    next = position + 1
    boundary = position
  }

  func forgetGathered() {
    gathered = []
    gatheredBytes = 0
    gatheredRows = WalLimit.Rows()
    writtenRows = WalLimit.Rows()
    openRows = 0
    openBytes = 0
  }

  /// What was taken since the last commit is read from the log the next time.
  private func giveBack() {
    reader = nil
    for (position, noEffect) in taken { pipeline.projectorQueue.remember(position, noEffect) }
    taken = []
  }

  /// The next batches, from memory or from the log; empty when none is ready.
  private func nextItems(applied: UInt64) throws -> [ProjectorItem] {
    let limit = file.wal.isScattered ? Self.chunkBytes / 8 : Self.chunkBytes
    let waiting = pipeline.projectorQueue.take(from: next, limitBytes: limit)
    if !waiting.isEmpty {
      reader = nil
      for item in waiting where !item.noEffect.isEmpty { taken.append((item.firstPosition, item.noEffect)) }
      return waiting
    }
    let last = min(applied, pipeline.projectorQueue.firstPosition.map { $0 - 1 } ?? applied)
    if reader == nil, next <= last { reader = try pipeline.log.reader(after: next - 1, upTo: last) }
    var items: [ProjectorItem] = []
    var size = 0
    while size < limit, let record = try reader?.next() {
      guard case .commands(let batch, let transactionEnd) = record else { continue }
      let noEffect = pipeline.projectorQueue.takeOutcome(batch.firstPosition)
      if !noEffect.isEmpty { taken.append((batch.firstPosition, noEffect)) }
      items.append(ProjectorItem(batch, noEffect: noEffect, transactionEnd: transactionEnd))
      size += batch.size
    }
    if items.isEmpty { reader = nil }
    return items
  }

  func open() throws(SQLiteError) {
    guard !isOpen else { return }
    try file.begin()
    isOpen = true
    goOn()
  }

  /// Tells people what the file does without, when that is new. An index of a projection that its rows contradict is
  /// refused by CREATE INDEX itself.
  func tellQuarantined() {
    guard !file.quarantine.entries.isEmpty else { return }
    let known = pipeline.progress.withLock { $0.quarantined }
    for (name, object) in file.quarantine.entries.sorted(by: { $0.key < $1.key }) where known[name] != object {
      let owner = file.catalog.objects[name]?.owner ?? ""
      if !file.catalog.exists(.projection, folded(owner)) { pipeline.tell(object.sentence) }
    }
  }

  /// Returns the frames that went into the write-ahead log.
  @discardableResult
  func commit() throws(SQLiteError) -> Int {
    try file.indexes.restore(file.catalog)
    try file.setCheckpoint(boundary)
    try file.commit()
    isOpen = false
    for notice in file.indexes.committed() { pipeline.tell(notice) }
    pipeline.room.projectorDidFit()
    taken = []
    let position = boundary
    let projections = file.copies.progress
    let quarantined = file.quarantine.entries
    let changes = file.trustedChanges
    tellQuarantined()
    pipeline.projectorStatus.withLock { $0.committed(openRows, pipeline.options.clock) }
    pipeline.progress.update {
      $0.projected = max($0.projected, position)
      $0.projections = projections
      $0.quarantined = quarantined
      $0.fileChanges = changes
    }
    // Once into the write-ahead log, once into the file.
    pipeline.room.note(openBytes * 2)
    openRows = 0
    openBytes = 0
    let frames = try file.wal.committed(writtenRows, dueAt: transactionBytes / ProjectionsFile.pageSizeBytes)
    writtenRows = WalLimit.Rows()
    noteSynced()
    return frames
  }

  /// Tells others up to where the file is durable, when it was synced since the last time.
  func noteSynced() {
    guard file.wal.checkpointCount != checkpointCount, let position = file.checkpoint else { return }
    checkpointCount = file.wal.checkpointCount
    pipeline.progress.withLock { $0.synced = max($0.synced, position) }
    pipeline.wakeCompactor()
  }

  /// Goes past items that hold nothing for the file, without a transaction; false when there is something, or when the
  /// checkpoint has fallen far behind.
  private func pass(_ items: [ProjectorItem]) -> Bool {
    guard let last = items.last, items.allSatisfy({ $0.batch == nil && $0.transactionEnd }),
      last.lastPosition < (file.checkpoint ?? 0) + Self.unwrittenPositions
    else { return false }
    next = last.lastPosition + 1
    boundary = last.lastPosition
    pipeline.progress.update { $0.projected = max($0.projected, last.lastPosition) }
    return true
  }

  private func gather(_ items: [ProjectorItem]) throws {
    for item in items {
      if item.firstPosition != next {
        throw SQLiteError(damage: "its checkpoint is not where a batch of the log ends: \(item.firstPosition)…")
      }
      gathered.append(item)
      gatheredBytes += item.sizeBytes
      if let batch = item.batch { try gather(batch, item.noEffect) }
      next = item.lastPosition + 1
      openRows += item.batch?.commandCount ?? 0
      openBytes += item.sizeBytes
      if item.transactionEnd { boundary = next - 1 }
    }
  }

  private func gather(_ batch: Batch, _ noEffect: [(index: UInt32, reason: UInt8)]) throws {
    var lastID: UInt32 = 0
    var lastMirror: Mirror?
    var commands = batch.commands()
    var position = batch.firstPosition
    var skip = noEffect[...]
    while let command = commands.next() {
      defer { position += 1 }
      if let first = skip.first, UInt64(first.index) == position - batch.firstPosition {
        skip.removeFirst()
        continue
      }
      if command.kind == .catalog {
        try projectCatalog(command, position)
        lastMirror = nil
        continue
      }
      let id = command.key.loadUnaligned(as: UInt32.self).bigEndian
      if KeySpace.contains(id) { continue }
      if id != lastID || lastMirror == nil {
        lastID = id
        lastMirror = try mirror(id)
      }
      if command.kind == .clear {
        try open()
        try lastMirror?.clear()
      } else if command.kind.removes {
        lastMirror?.remove(key: command.key, position: position)
        gatheredRows.scattered += 1
      } else if let lastMirror {
        let isBehindAll = lastMirror.add(
          key: command.key, row: command.row, position: position, isNew: isNew(command, position))
        if isBehindAll { gatheredRows.appended += 1 } else { gatheredRows.scattered += 1 }
      }
    }
  }

  /// Whether a row that is added has no earlier image: what a command is for, or a key that is its own position.
  @inline(__always)
  private func isNew(_ command: Command, _ position: UInt64) -> Bool {
    switch command.kind {
    case .insert, .ignore: true
    case .putIf: command.expectedPosition == 0
    default: false
    }
  }

  private func projectCatalog(_ command: Command, _ position: UInt64) throws {
    guard let change = CatalogChange.decode(command.value) else {
      throw StoreError(.corrupt, "a catalog change cannot be read")
    }
    try open()
    file.copies.position = position
    try writeRows()
    try file.indexes.restore(file.catalog)
    if change.operation == .drop || change.operation == .alter, change.object == .table,
      let table = file.catalog.table(change.name)
    {
      mirrors[table.id] = nil
    }
    if change.operation == .drop || change.operation == .alter, change.object != .index {
      for name in [change.name, change.owner] where !name.isEmpty { refresher.changed(name) }
    }
    try apply(change)
  }

  private func mirror(_ id: UInt32) throws(SQLiteError) -> Mirror? {
    if let mirror = mirrors[id] { return mirror }
    guard let table = file.catalog.tablesByID[id] else { return nil }
    let mirror = try Mirror(table: table, connection: file.connection, copies: file.copies, indexes: file.indexes)
    mirrors[id] = mirror
    return mirror
  }

  /// Writes what has gathered.
  private func write() throws(SQLiteError) {
    try open()
    file.copies.position = next - 1
    try writeRows()
    writtenRows = writtenRows + gatheredRows
    gathered = []
    gatheredBytes = 0
    gatheredRows = WalLimit.Rows()
  }

  /// Writes what has gathered when its memory is as much as is held.
  private func writeIfMuch() throws(SQLiteError) {
    guard gatheredBytes >= (file.copies.hasGroups ? Self.gatherBytes : Self.plainBytes) else { return }
    try write()
    file.wal.startWriteback()
  }

  private func writeRows() throws(SQLiteError) {
    for mirror in mirrors.values { try mirror.write() }
  }

  // MARK: Ahead of COMMIT

  /// Begins to write a staged transaction when there is nothing else to do; false when there is none, or when something
  /// may be wanted soon that has to wait until it ends.
  private func beginAhead() throws -> Bool {
    guard isAtBorder, !isOpen, gathered.isEmpty, file.copies.building.isEmpty, file.copies.refreshed.isEmpty,
      pipeline.projectorRequests.isEmpty, let staged = pipeline.foreseen.take()
    else { return false }
    do { ahead = Ahead(reader: try StagedReader(staged), base: next) } catch { pipeline.foreseen.release() }
    return true
  }

  /// Takes the next part of the transaction, ends with it, or gives it up; false while there is nothing to do for it.
  private func goOn(_ ahead: Ahead, applied: UInt64) throws -> Bool {
    var isCommitted = false
    switch pipeline.foreseen.fate {
    case .adopted(let positions) where positions.lowerBound == ahead.base:
      if applied >= positions.upperBound {
        if pipeline.projectorQueue.hasOutcome(before: next) { return try giveUpAhead() }
        pipeline.projectorQueue.drop(before: next)
        pipeline.foreseen.release()
        self.ahead = nil
        writtenAheadCount += 1
        if next > positions.upperBound { boundary = positions.upperBound }
        return true
      }
      isCommitted = true
    case .open where applied < ahead.base && pipeline.projectorRequests.isEmpty: break
    default: return try giveUpAhead()
    }
    let batch: Batch?
    // Whoever applies it says what is wrong with the file.
    do { batch = try ahead.reader.next(base: ahead.base) } catch { return try giveUpAhead() }
    guard let batch else { return try !isCommitted && isTiredOfWaiting() ? giveUpAhead() : false }
    // Of rows that are left out without an error there may be many.
    var commands = batch.commands()
    if commands.next()?.kind == .ignore { return try giveUpAhead() }
    self.ahead?.idleSince = nil
    try gather([ProjectorItem(batch, noEffect: [], transactionEnd: false)])
    try writeIfMuch()
    return true
  }

  /// Whether the session has written nothing for so long that SQLite's transaction is not held open for it any more.
  private func isTiredOfWaiting() -> Bool {
    let now = pipeline.options.clock.monotonicNanoseconds()
    guard let start = ahead?.idleSince else {
      ahead?.idleSince = now
      return false
    }
    return now - start > UInt64(Self.idleMicroseconds) * 1_000
  }

  /// Undoes what was written ahead.
  private func giveUpAhead() throws(SQLiteError) -> Bool {
    try retreat()
    return true
  }
}
