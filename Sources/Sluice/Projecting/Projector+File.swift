// The projector's file: opening it, noticing what became of it, giving it up and making it anew.
//
// Nothing that is wrong with the file is anybody else's matter: commands go on being written, applied and read from the
// shards. Who locks the file is waited for. A file that cannot be trusted is made anew. What may pass is tried again,
// and after that the file is made anew too. When that comes to nothing a few times in a row, with growing pauses, the
// projector stops with its reason; the next opening tries again.
import SluiceLog
import SluiceSQLite
import SluiceSystem
import Synchronization

/// What has gone wrong with the file since all was well.
struct FileTrouble {
  /// Time before each attempt, in microseconds. The last one goes for all that follow.
  private static let pauses: [Int64] = [0, 200_000, 2_000_000, 5_000_000]
  /// Attempts in a row that may come to nothing.
  private static let mostFailures = 3
  /// Attempts after which a file is made anew that might only have been out of reach.
  private static let reopenings = 2
  /// Time after which an attempt is forgotten.
  private static let memoryNanoseconds: UInt64 = 60_000_000_000

  /// Why the file is to be made anew; nil: what is there is opened.
  var flaw: String?
  /// Whether objects of others are brought along when it is: not where one of them may be the trouble.
  private(set) var carriesOthers = true
  /// Of late, those that went well among them.
  private var attempts = 0
  private var failures = 0
  private var lastAt: UInt64 = 0
  private var notBefore: UInt64 = 0
  private(set) var isHopeless = false

  /// Whether it is time for an attempt.
  func isDue(_ clock: any Clock) -> Bool { !isHopeless && clock.monotonicNanoseconds() >= notBefore }

  /// Takes note of an error; returns what people are told.
  mutating func note(_ error: any Error, _ clock: any Clock) -> String {
    let now = clock.monotonicNanoseconds()
    if now > lastAt + Self.memoryNanoseconds { attempts = 0 }
    lastAt = now
    let error = error as? SQLiteError
    // What is wrong with the log or the shards is not mended by another file.
    // A file that was moved or replaced has left its log behind, in which there may be more than in what is there now.
    if let error, error == .moved || failures >= Self.reopenings || error.kind == .corrupt || !error.isAboutFile {
      flaw = error.message
    }
    if let error, !error.isAboutFile { carriesOthers = false }
    isHopeless = failures >= Self.mostFailures
    notBefore = now + UInt64(Self.pauses[min(attempts, Self.pauses.count - 1)]) * 1_000
    attempts += 1
    failures += 1
    return flaw.map { "projections.db is made anew: \($0)" } ?? "projections.db is opened anew"
  }

  /// The file is as it must be.
  mutating func isOver() {
    flaw = nil
    carriesOthers = true
    failures = 0
  }
}

extension Projector {
  // MARK: Opening

  /// Opens what is there, before replay. What keeps it from that is waited for in the background.
  func openFirst() {
    if pipeline.options.isReadOnly { return openForReading() }
    do throws(SQLiteError) {
      switch try place.open(first: pipeline.log.firstPosition, last: pipeline.log.lastPosition) {
      case .file(let file): openFile = file
      case .unusable(let flaw): condemn(flaw)
      }
    } catch {
      if error.kind == .full { holdForRoom(nil) } else { _ = giveUpFile(error) }
      if error.kind == .full || error.kind == .busy { noteCheckpoint() }
    }
  }

  /// The file cannot be opened for now: the disk has no room, or others lock it. Nothing is wrong with it, and nobody
  /// who leaves waits for it where it holds all that the log does.
  private func noteCheckpoint() {
    let last = pipeline.log.lastPosition
    if CheckpointLook.position(place.database, storeID: place.storeID) == last {
      pipeline.progress.update { $0.projected = last }
    }
  }

  /// Opens what is there for a store that is only read. A file that does not hold all that the log does is not used.
  private func openForReading() {
    pipeline.projectorStatus.withLock { $0.isReadOnly = true }
    var flaw: String?
    do throws(SQLiteError) {
      switch try place.openForReading(last: pipeline.log.lastPosition) {
      case .file(let file): openFile = file
      case .unusable(let reason): flaw = reason
      }
    } catch { flaw = error.message }
    guard let flaw else { return }
    pipeline.tell(
      "projections.db is not used: \(flaw), and a store that is read only cannot change that; all tables are there")
    pipeline.projectorStatus.withLock { $0.fail(pipeline.options.clock, flaw, isFinal: true) }
  }

  /// Called once, after replay: from now on the file is brought up to date.
  func begin() {
    if let checkpoint = openFile?.checkpoint {
      follow(checkpoint)
      publish()
    }
    pipeline.progress.update { $0.isProjecting = true }
    pipeline.wakeRoles()
  }

  /// Opens the file, or one that is to be made anew; false: it is not time for that.
  func reopen(applied: UInt64) throws -> Bool {
    guard trouble.isDue(pipeline.options.clock) else { return false }
    if trouble.flaw == nil {
      switch try place.open(first: pipeline.log.firstPosition, last: applied) {
      case .file(let file): openFile = file
      case .unusable(let flaw): condemn(flaw)
      }
    }
    if trouble.flaw != nil { openFile = try place.openNew() }
    guard let checkpoint = openFile?.checkpoint else { return openFile != nil }
    try takeOutcomes(after: checkpoint, applied: applied)
    follow(checkpoint)
    trouble.isOver()
    publish()
    return true
  }

  private func condemn(_ flaw: String) {
    trouble.flaw = flaw
    pipeline.progress.update { $0.projected = 0 }
    pipeline.tell("projections.db is made anew: \(flaw)")
  }

  /// Reads which commands had no effect that the file has not seen yet: those who were told meanwhile have forgotten.
  private func takeOutcomes(after position: UInt64, applied: UInt64) throws {
    try pipeline.waitRecorded()
    pipeline.projectorQueue.drop(before: position + 1)
    let last = pipeline.log.lastPosition
    guard position < last else { return }
    let recorded = try ReplayedLog.resolutions(pipeline.log.reader(after: position, upTo: last))
    let waiting = pipeline.projectorQueue.firstPosition ?? applied + 1
    for (first, outcome) in recorded where first > position && first < waiting {
      pipeline.projectorQueue.remember(first, outcome)
    }
  }

  /// Has whoever leaves end what runs on the file's connection.
  func watch(_ file: ProjectionsFile?) {
    interrupter.withLock { $0 = file?.connection.interrupter }
    // Without that, leaving takes as long as the statement that runs.
    do { try file?.connection.watchProgress { [unowned self] in goesOn() } } catch {}
  }

  /// Ends what it is doing, however long that would take: it is done again at the next opening. Returns when it has
  /// ended. Not on its own thread.
  func leave() {
    isLeaving.store(true, ordering: .relaxed)
    // SQLite asks seldom inside a large step, and forgets an interrupt that comes before the first one.
    while isStepping.load(ordering: .acquiring) {
      interrupter.withLock { $0 }?.interrupt()
      Thread.sleep(nanoseconds: 5_000_000)
    }
  }

  // MARK: Filling

  /// Fills an empty file from the shards, and puts it into its place.
  func fill() throws {
    guard let rebuild else { return }
    try open()
    try rebuild.run(file, apply: apply) { isLeaving.load(ordering: .relaxed) }
    try file.commit()
    isOpen = false
    pipeline.room.projectorDidFit()
    if file.path != place.path {
      if trouble.carriesOthers { try file.carryOthers(from: place.database) }
      for notice in file.takeNotices() { pipeline.tell(notice) }
      openFile = try place.install(file)
    }
    self.rebuild = nil
    trouble.isOver()
    tellQuarantined()
    publish()
    try file.wal.committed(WalLimit.Rows(), dueAt: 0)
    noteSynced()
  }

  /// Begins to fill the file: it holds nothing yet.
  func beginFilling() throws {
    let rebuild = try Rebuild(pipeline)
    self.rebuild = rebuild
    follow(rebuild.position)
    pipeline.projectorQueue.drop(before: next)
    goOn()
  }

  /// Tells sessions that there is a file, and what it holds.
  private func publish() {
    let position = file.checkpoint ?? 0
    let projections = file.copies.progress
    let quarantined = file.quarantine.entries
    let changes = file.trustedChanges
    goOn()
    fileNumber += 1
    let number = fileNumber
    pipeline.progress.update {
      $0.projected = max($0.projected, position)
      $0.projections = projections
      $0.quarantined = quarantined
      $0.fileNumber = number
      $0.fileChanges = changes
    }
  }

  // MARK: What others do to it

  /// Looks whether the file is still there and as it was left, when somebody asks for that, and now and then.
  func examine() throws {
    guard !isOpen, rebuild == nil, file.checkpoint != nil else { return }
    let asked = pipeline.projectorRequests.examination
    let now = pipeline.options.clock.monotonicNanoseconds()
    guard asked != nil || now >= examinedAt + Self.examinationNanoseconds else { return }
    examinedAt = now
    if asked != nil, let damage = pipeline.projectorRequests.takeDamage(fileNumber: fileNumber) { throw damage }
    try file.checkPlace()
    if try file.isAltered() {
      try open()
      // Rows that only gathered come behind it.
      try file.setCheckpoint(file.checkpoint ?? 0)
      try file.commit()
      isOpen = false
    }
    for notice in file.takeNotices() { pipeline.tell(notice) }
    let changes = file.trustedChanges
    pipeline.progress.withLock { $0.fileChanges = changes }
    if let asked {
      pipeline.projectorRequests.examined(asked)
      pipeline.progress.update { $0.examined = asked }
    }
  }

  /// Lets go of the file, after an error that is nobody's but its own. Returns whether it is time to try again.
  func giveUpFile(_ error: any Error) -> Bool {
    forgetTransaction()
    // What was computed from it is worth no more than it is.
    refresher.holdBack()
    _ = refresher.takeResult()
    // The last one to close it would bring a damaged log into it.
    do { try openFile?.connection.keepLogOnClose() } catch {}
    openFile?.connection.close()
    openFile = nil
    rebuild = nil
    let clock = pipeline.options.clock
    let isBusy = (error as? SQLiteError)?.kind == .busy
    if !isBusy {
      let notice = trouble.note(error, clock)
      let reason = (error as? SQLiteError)?.message ?? StoreError(converting: error).message
      let (isHopeless, isDamaged) = (trouble.isHopeless, trouble.flaw != nil)
      pipeline.projectorStatus.withLock { $0.fail(clock, reason, isFinal: isHopeless) }
      if isDamaged, !isHopeless { pipeline.tell(notice) }
    }
    let asked = pipeline.projectorRequests.examination
    if let asked { pipeline.projectorRequests.examined(asked) }
    pipeline.progress.update {
      if !isBusy { $0.projected = 0 }
      $0.fileNumber = 0
      $0.examined = max($0.examined, asked ?? 0)
    }
    if isBusy { wait(for: place.holders(), toWrite: true) }
    return !isBusy && trouble.isDue(clock)
  }

  // MARK: Leaving

  /// Closes the file; all that was projected is then in the file itself, unless a reader sits on older pages. What goes
  /// wrong is found by the next opening.
  func close() {
    guard let openFile, !pipeline.options.isReadOnly else { return openFile = nil }
    // Rolled back rows, and those that only gathered, are projected again from the checkpoint that stands.
    let isBehind = openFile.checkpoint.map { $0 < boundary } == true && !isOpen && gathered.isEmpty
    if isOpen {
      do { try openFile.connection.execute("ROLLBACK") } catch {}
    }
    forgetGathered()
    mirrors = [:]
    do {
      if pipeline.progress.withLock({ $0.isAbandoning }) {
        try openFile.connection.keepLogOnClose()
      } else {
        if try isBehind || openFile.isAltered() {
          try openFile.begin()
          try openFile.setCheckpoint(isBehind ? boundary : openFile.checkpoint ?? 0)
          try openFile.commit()
        }
        try openFile.settle()
      }
    } catch {
      // What was noticed now may not be noticed by the next opening.
      if (error as? SQLiteError)?.kind == .corrupt { place.condemn() }
    }
    for notice in openFile.takeNotices() { pipeline.tell(notice) }
    openFile.connection.close()
    // SQLite closes the file with the last of its statements, which the object has.
    self.openFile = nil
  }
}
