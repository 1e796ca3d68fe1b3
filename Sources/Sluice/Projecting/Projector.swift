// The projector: brings applied batches into projections.db, rows and checkpoint in one SQLite transaction, so that
// each is there exactly once. It takes batches from memory, or from the log where memory had no room for them; the
// transaction grows with the backlog: batches gather, still encoded, and their rows are written together at its end.
//
// Between two transactions, and whenever there is nothing else to do, it fills copies of projections that are built and
// makes those anew that are due.
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
  /// Batch bytes taken at a time.
  static let chunkBytes = 4 << 20
  /// Rows after which a transaction is committed although more is waiting: a group of a projection that many of them
  /// touch is written once.
  static let transactionRows = 200_000
  /// Batch bytes that gather before their rows are written where projections with groups follow: their memory is held
  /// until then. Elsewhere nothing is won by waiting.
  static let gatherBytes = 32 << 20
  /// Positions without a row for it that the projector passes before it writes its checkpoint all the same: the next
  /// opening reads no more than these again, about 30 MB of small rows.
  static let unwrittenPositions: UInt64 = 1 << 18

  /// Time after which a disk that was full is tried again.
  private static let retryMicroseconds: Int64 = 200_000

  private let pipeline: Pipeline
  private let router: Router
  let file: ProjectionsFile
  private let suspended = Atomic<Bool>(false)
  private var mirrors: [UInt32: Mirror] = [:]
  private var reader: LogReader?
  /// The next position to project.
  private var next: UInt64 = 1
  /// The last position at which the open transaction may end.
  private var boundary: UInt64 = 0
  private var isOpen = false
  private var rebuild: Rebuild?
  /// Batches whose rows are noted in the mirrors and not written yet.
  private var gathered: [ProjectorItem] = []
  private var gatheredBytes = 0
  /// Rows and batch bytes since the last commit.
  private var openRows = 0
  private var openBytes = 0
  private var background = ProjectorBackground()
  /// Outcomes taken since the last commit: rows that come again must be left out again.
  private var taken: [(position: UInt64, noEffect: [(index: UInt32, reason: UInt8)])] = []
  /// Not before then is a disk tried again that was full.
  private var retryAt: UInt64 = 0

  init(pipeline: Pipeline, router: Router, file: ProjectionsFile) {
    self.pipeline = pipeline
    self.router = router
    self.file = file
  }

  /// Called once, after replay: decides whether the file is rebuilt or followed up.
  func begin() throws(StoreError) {
    if let checkpoint = file.checkpoint {
      next = checkpoint + 1
      boundary = checkpoint
      let projections = file.copies.progress
      pipeline.progress.update {
        $0.projected = checkpoint
        $0.projections = projections
        $0.isProjecting = true
      }
    } else {
      let position = pipeline.progress.withLock { $0.applied }
      rebuild = Rebuild(pipeline: pipeline, position: position)
      next = position + 1
      boundary = position
      pipeline.progress.update { $0.isProjecting = true }
    }
    pipeline.wakeRoles()
  }

  /// Whether it stands still although there is work. Any thread.
  var isSuspended: Bool {
    get { suspended.load(ordering: .relaxed) }
    set { suspended.store(newValue, ordering: .relaxed) }
  }

  var restMicroseconds: Int64? {
    if pipeline.room.isProjectorHeld { return Self.retryMicroseconds }
    return background.restMicroseconds(
      file.copies.refreshed, at: boundary, now: pipeline.options.clock.monotonicNanoseconds())
  }

  func step() throws(StoreError) -> Bool {
    let progress = pipeline.progress.withLock { $0 }
    guard progress.isProjecting, !progress.isAbandoning else { return false }
    if isSuspended || isHeld() { return false }
    do {
      if let rebuild {
        try open()
        try rebuild.run(file)
        self.rebuild = nil
        try commit()
        return true
      }
      if isAtBorder, gathered.isEmpty, !isOpen, try doBackgroundWork(isBusy: progress.applied >= next) { return true }
      let items = try nextItems(applied: progress.applied)
      if items.isEmpty {
        guard isAtBorder, isOpen || !gathered.isEmpty else { return false }
        try write()
        try commit()
        return true
      }
      if !isOpen, gathered.isEmpty, pass(items) { return true }
      try gather(items)
      if isAtBorder, openRows >= Self.transactionRows || openBytes >= transactionBytes {
        try write()
        try commit()
      } else if gatheredBytes >= (file.copies.hasGroups ? Self.gatherBytes : Self.chunkBytes) {
        try write()
      }
      return true
    } catch let error as SQLiteError where error.kind == .busy && !isOpen {
      // Another process writes to the file; SQLite has waited already. What was taken comes again from the log.
      try retreat()
      return true
    } catch let error as SQLiteError where error.kind == .full {
      try retreat()
      retryAt = pipeline.options.clock.monotonicNanoseconds() + UInt64(Self.retryMicroseconds) * 1_000
      pipeline.setProjectorHeld(true)
      return false
    } catch let error as SQLiteError where file.copies.takesCare(of: error) {
      try retreat()
      return true
    } catch {
      throw StoreError(converting: error)
    }
  }

  /// Whether the transaction may end here: all of a statement, and of a staged transaction, is in it.
  private var isAtBorder: Bool { boundary == next - 1 }

  // MARK: A full disk

  /// Batch bytes after which a transaction is committed: what it writes must fit above half of the watermark, twice.
  private var transactionBytes: Int { max(1 << 20, Int(clamping: pipeline.room.watermarkBytes / 4)) }

  /// Whether it waits for room.
  private func isHeld() -> Bool {
    let isTooEarly = retryAt > 0 && pipeline.options.clock.monotonicNanoseconds() < retryAt
    let isHeld = isTooEarly || (!isOpen && pipeline.room.holdsProjector)
    if !isHeld { retryAt = 0 }
    pipeline.setProjectorHeld(isHeld)
    return isHeld
  }

  /// Back to the last commit: the disk filled up inside a transaction, or a projection needs more care.
  private func retreat() throws(StoreError) {
    // SQLite may have rolled back by itself.
    do { try file.connection.execute("ROLLBACK") } catch {}
    isOpen = false
    forgetGathered()
    mirrors = [:]
    do { try file.reload() } catch { throw StoreError(error) }
    if let checkpoint = file.checkpoint, rebuild == nil {
      next = checkpoint + 1
      boundary = checkpoint
    }
    giveBack()
  }

  private func forgetGathered() {
    gathered = []
    gatheredBytes = 0
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
    let waiting = pipeline.projectorQueue.take(from: next, limitBytes: Self.chunkBytes)
    if !waiting.isEmpty {
      reader = nil
      for item in waiting where !item.noEffect.isEmpty { taken.append((item.firstPosition, item.noEffect)) }
      return waiting
    }
    let last = min(applied, pipeline.projectorQueue.firstPosition.map { $0 - 1 } ?? applied)
    if reader == nil, next <= last { reader = try pipeline.log.reader(after: next - 1, upTo: last) }
    var items: [ProjectorItem] = []
    var size = 0
    while size < Self.chunkBytes, let record = try reader?.next() {
      guard case .commands(let batch, let transactionEnd) = record else { continue }
      let noEffect = pipeline.projectorQueue.takeOutcome(batch.firstPosition)
      if !noEffect.isEmpty { taken.append((batch.firstPosition, noEffect)) }
      items.append(ProjectorItem(batch, noEffect: noEffect, transactionEnd: transactionEnd))
      size += batch.size
    }
    if items.isEmpty { reader = nil }
    return items
  }

  private func open() throws(SQLiteError) {
    guard !isOpen else { return }
    try file.connection.execute("BEGIN IMMEDIATE")
    isOpen = true
  }

  private func commit() throws(SQLiteError) {
    try file.setCheckpoint(boundary)
    try file.connection.execute("COMMIT")
    isOpen = false
    taken = []
    let position = boundary
    let projections = file.copies.progress
    pipeline.progress.update {
      $0.projected = max($0.projected, position)
      $0.projections = projections
    }
    // Once into the write-ahead log, once into the file.
    pipeline.room.note(openBytes * 2)
    openRows = 0
    openBytes = 0
    if file.connection.walPages * ProjectionsFile.pageSizeBytes > min(ProjectionsFile.checkpointBytes, transactionBytes)
    {
      // A reader that sits on old pages only puts this off, and so does a full disk.
      do { _ = try file.connection.checkpoint(.passive) } catch { if error.kind != .full { throw error } }
    }
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
      invariant(item.firstPosition == next, "projector at \(next) was given \(item.firstPosition)")
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
      } else {
        lastMirror?.add(
          key: command.key, row: command.row, position: position, isNew: isNew(command, position))
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
    if change.operation == .drop || change.operation == .alter, change.object == .table,
      let table = file.catalog.table(change.name)
    {
      mirrors[table.id] = nil
    }
    try file.apply(change)
  }

  private func mirror(_ id: UInt32) throws(SQLiteError) -> Mirror? {
    if let mirror = mirrors[id] { return mirror }
    guard let table = file.catalog.tablesByID[id] else { return nil }
    let mirror = try Mirror(table: table, connection: file.connection, copies: file.copies)
    mirrors[id] = mirror
    return mirror
  }

  /// Writes what has gathered.
  private func write() throws(SQLiteError) {
    try open()
    file.copies.position = next - 1
    try writeRows()
    gathered = []
    gatheredBytes = 0
  }

  private func writeRows() throws(SQLiteError) {
    for mirror in mirrors.values { try mirror.write() }
  }

  // MARK: Between transactions

  /// Fills a part of a copy that is built, or makes one anew that is due; false when there is nothing of that kind.
  /// `isBusy`: rows wait, so it is their turn at least every other time.
  private func doBackgroundWork(isBusy: Bool) throws -> Bool {
    guard background.takesTurn(isBusy: isBusy) else { return false }
    let copies = file.copies
    let requests = pipeline.projectorRequests.take()
    let now = pipeline.options.clock.monotonicNanoseconds()
    let due = copies.refreshed.filter { background.isDue($0, requests, at: boundary, now) }
    let building = copies.building.first
    guard !due.isEmpty || !requests.redriven.isEmpty || building != nil else { return false }
    do {
      copies.position = boundary
      try open()
      var outcomes: [(taken: Int, tried: Int)] = []
      for request in requests.redriven { outcomes.append(try copies.redrive(request.name)) }
      for copy in due { try copies.refresh(copy) }
      if due.isEmpty, let building {
        try copies.build(building, rowCount: background.rowCount(isBusy: isBusy))
        background.adjust(nanoseconds: pipeline.options.clock.monotonicNanoseconds() - now, isBusy: isBusy)
      }
      try commit()
      for (request, outcome) in zip(requests.redriven, outcomes) { request.finish(outcome) }
      if !outcomes.isEmpty { pipeline.progress.update { _ in } }
    } catch {
      pipeline.projectorRequests.giveBack(requests)
      throw error
    }
    return true
  }

  /// Closes the file; all that was projected is then in the file itself, unless a reader sits on older pages.
  func close() throws(StoreError) {
    // Rolled back rows, and those that only gathered, are projected again from the checkpoint that stands.
    let isBehind = file.checkpoint.map { $0 < boundary } == true && !isOpen && gathered.isEmpty
    if isOpen {
      do { try file.connection.execute("ROLLBACK") } catch { throw StoreError(error) }
    }
    forgetGathered()
    mirrors = [:]
    if !pipeline.progress.withLock({ $0.isAbandoning }) {
      do {
        if isBehind { try file.setCheckpoint(boundary) }
        try file.settle()
      } catch { throw StoreError(error) }
    }
    file.connection.close()
  }
}
