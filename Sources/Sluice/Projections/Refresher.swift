// Evaluates the queries of projections that are made anew as a whole, one after the other, on a thread and a connection
// of its own: such a query may take minutes, and what the projector does goes on meanwhile.
//
//   projector: begin(job) -> refresher: rows into a temporary table -> projector: take(), rows into the copy
//
// A job reads projections.db in one read transaction, which tells too up to which position it reads. Its rows lie in a
// temporary table of that connection; the read transaction has ended when the projector takes them over. A job that
// nobody wants any more is ended: by the projector, which finds a change of what the job reads in the log; by itself,
// when the applied catalog has another definition; and by whoever leaves.
import SluiceSQL
import SluiceSQLite
import SluiceSystem
import Synchronization

/// The rows of one query, on a connection that belongs to whoever has them.
final class RefreshedRows {
  /// The temporary table that holds them.
  static let table = "sluice_refreshed"

  let connection: Connection
  /// The definitions of its columns, from "(" on, as SQLite derived them.
  let columns: String

  fileprivate init(_ connection: Connection, columns: String) {
    self.connection = connection
    self.columns = columns
  }
}

final class Refresher: Role {
  /// A query to be evaluated.
  struct Job: Sendable {
    /// The copy that it is for, with the text of its definition: serials begin anew with the file.
    let serial: Int64
    let name: String
    let definition: String
    let select: String
    /// Up to here the file is known to hold everything.
    let position: UInt64
  }

  /// What came of a job.
  enum Outcome {
    case rows(RefreshedRows)
    case failed(SQLiteError)
    /// It was ended, or somebody was in the way for the moment. `isHeldBack`: it kept the write-ahead log from
    /// beginning anew, and is to begin when less is written.
    case ended(isHeldBack: Bool)
  }

  struct Result {
    let job: Job
    let outcome: Outcome
    /// What the query reads, by folded name.
    let reads: Set<String>
    /// Up to here it has seen everything.
    let position: UInt64
    let nanoseconds: UInt64
  }

  private struct State {
    var job: Job?
    var jobCount = 0
    var isRunning = false
    /// What the running job reads; nil: that is not known yet.
    var reads: Set<String>?
    var interrupter: Interrupter?
    var result: Result?
    var isStopping = false
    /// Whether the running job was ended because others need what it holds.
    var isHeldBack = false
  }

  let name = "refresher"
  let bell = Bell()
  private let place: DatabasePath
  private let pipeline: Pipeline
  private let state = Monitor(State())
  /// Whether the running job is to end.
  private let isEnded = Atomic<Bool>(false)

  /// `place`: of projections.db.
  init(pipeline: Pipeline, place: DatabasePath) {
    self.pipeline = pipeline
    self.place = place
  }

  // MARK: From the projector

  /// Whether a job may begin.
  var isIdle: Bool { state.withLock { $0.job == nil && $0.result == nil && !$0.isStopping } }

  /// Whether a job reads the file: its write-ahead log cannot begin anew meanwhile.
  var isReading: Bool { state.withLock { $0.job != nil } }

  /// The query that runs, or is about to.
  var runningJob: Job? { state.withLock { $0.job } }
  /// How many queries have begun.
  var jobCount: Int { state.withLock { $0.jobCount } }

  func begin(_ job: Job) {
    isEnded.store(false, ordering: .relaxed)
    state.withLock {
      $0.job = job
      $0.jobCount += 1
    }
    bell.ring()
  }

  /// What came of the last job, once.
  func takeResult() -> Result? {
    state.withLock { state in
      defer { state.result = nil }
      return state.result
    }
  }

  /// What was taken and could not be brought in yet.
  func giveBack(_ result: Result) { state.withLock { if !$0.isStopping { $0.result = result } } }

  /// Something of that name is another now: ends the job that reads it, and drops what it has found.
  func changed(_ name: String) {
    endJob { job, reads in folded(job.name) == folded(name) || reads?.contains(folded(name)) ?? true }
  }

  /// Ends the job that keeps the write-ahead log from beginning anew.
  func holdBack() {
    state.withLock { $0.isHeldBack = $0.job != nil }
    endJob { _, _ in true }
  }

  private func endJob(where concerns: (Job, Set<String>?) -> Bool) {
    let interrupter = state.withLock { state -> Interrupter? in
      if let result = state.result, concerns(result.job, result.reads) {
        state.result = Result(
          job: result.job, outcome: .ended(isHeldBack: false), reads: result.reads, position: result.position,
          nanoseconds: result.nanoseconds)
      }
      guard let job = state.job, concerns(job, state.reads) else { return nil }
      isEnded.store(true, ordering: .relaxed)
      return state.interrupter
    }
    interrupter?.interrupt()
  }

  /// Ends the job, and lets none begin: for whoever leaves. Returns when none runs any more.
  func hasten() {
    state.withLock { $0.isStopping = true }
    endJob { _, _ in true }
    // SQLite forgets an interrupt that comes before the first step, and looks for it seldom inside a large one.
    while pipeline.options.threaded,
      state.wait(timeoutMicroseconds: 10_000, { $0.isRunning ? nil : true }) == nil
    { endJob { _, _ in true } }
    state.withLock {
      $0.job = nil
      $0.result = nil
    }
  }

  // MARK: The job

  func step() throws(StoreError) -> Bool {
    let taken = state.withLock { state -> Job? in
      guard let job = state.job, !state.isStopping else { return nil }
      state.isRunning = true
      state.reads = nil
      return job
    }
    guard let job = taken else { return false }
    let start = pipeline.options.clock.monotonicNanoseconds()
    var position = job.position
    let outcome: Outcome
    do throws(SQLiteError) { outcome = .rows(try run(job, &position)) } catch {
      let isOver = isEnded.load(ordering: .relaxed) || error.kind == .interrupted || error.kind == .busy
      outcome = isOver ? .ended(isHeldBack: false) : .failed(error)
    }
    let nanoseconds = pipeline.options.clock.monotonicNanoseconds() - start
    state.update { state in
      let isOver = isEnded.load(ordering: .relaxed)
      state.result = Result(
        job: job, outcome: isOver ? .ended(isHeldBack: state.isHeldBack) : outcome, reads: state.reads ?? [],
        position: position, nanoseconds: nanoseconds)
      state.job = nil
      state.isRunning = false
      state.isHeldBack = false
      state.interrupter = nil
    }
    pipeline.wakeProjector()
    return true
  }

  private func run(_ job: Job, _ position: inout UInt64) throws(SQLiteError) -> RefreshedRows {
    let connection = try place.connect(.readOnly, busyTimeoutMilliseconds: 200)
    state.withLock { $0.interrupter = connection.interrupter }
    var names: Set<String> = [folded(job.name)]
    let begun = pipeline.catalog.withLock { $0 }
    var version = begun.version
    try connection.watchProgress { [unowned self] in
      if isEnded.load(ordering: .relaxed) { return false }
      let current = pipeline.catalog.withLock { $0.version == version ? nil : $0 }
      guard let current else { return true }
      version = current.version
      return names.allSatisfy { begun.means($0, theSameIn: current) }
    }
    try connection.execute("PRAGMA temp_store = FILE; BEGIN")
    if case .integer(let read)? = try connection.prepare("SELECT position FROM sluice_checkpoint").rows().first?.first {
      position = max(position, UInt64(bitPattern: read))
    }
    try connection.watchReads { read in
      names.insert(folded(read.table))
      if let view = read.view { names.insert(folded(view)) }
      return true
    }
    let creation = try connection.prepare(
      "CREATE TEMP TABLE \(RefreshedRows.table) AS SELECT * FROM (\(job.select))")
    state.withLock { $0.reads = names }
    try creation.run()
    try connection.execute("COMMIT")
    // What is found is found: whether it is wanted is for the projector to say.
    try connection.watchProgress { true }
    let schema = try connection.prepare("SELECT sql FROM temp.sqlite_schema WHERE name = '\(RefreshedRows.table)'")
    guard case .text(let sql)? = try schema.rows().first?.first, let bracket = sql.firstIndex(of: UInt8(ascii: "("))
    else { throw SQLiteError(message: "the columns of \(job.name) cannot be told") }
    return RefreshedRows(connection, columns: String(decoding: sql[bracket...], as: UTF8.self))
  }
}

extension Catalog {
  /// Whether a folded name stands for the same in another catalog. What neither knows is no name of theirs.
  fileprivate func means(_ name: String, theSameIn other: Catalog) -> Bool {
    tables[name] === other.tables[name] && objects[name]?.sql == other.objects[name]?.sql
      && objects[name]?.kind == other.objects[name]?.kind
  }
}
