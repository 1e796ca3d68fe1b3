// How the projector is: what it does, when it last gave a sign of life, how fast it is, and what it waits for. Written
// once a step and once a commit, never per row; read by `sluice_projections` and by who waits for projections.
import SluiceSystem

struct ProjectorStatus: Sendable {
  /// What a projection is doing.
  enum State: String, Sendable {
    /// Holds all that is applied.
    case current
    /// Has something to do, and does it.
    case behind
    /// The file is being filled from the shards.
    case rebuilding
    /// Waits for another process, or for another session: `blockedBy` says which.
    case blocked
    /// Waits for room on the disk.
    case held
    /// Gave up; the next opening tries again.
    case stopped
  }

  /// How other processes are in the way.
  enum Blockade: Sendable {
    /// They read what the write-ahead log has no room beside.
    case reads
    case writes
    /// They keep the file from being opened.
    case locks
  }

  /// How far rows per second look back.
  static let rateNanoseconds: UInt64 = 4_000_000_000
  /// Size of the write-ahead log of projections.db that is not passed.
  static let walCapBytes = 64 << 20
  /// How long who waits for projections is patient with what blocks them.
  static let patienceNanoseconds: UInt64 = 5_000_000_000

  /// What the projector waits for; nil: nothing.
  private(set) var obstacle: State?
  private(set) var isRebuilding = false
  /// Rows that the file has which is being filled.
  var rebuiltRows = 0
  /// What is made that takes long, such as `index i`; nil: nothing.
  var making: String?
  /// Processes that block it; empty with `blocked` when the system does not tell.
  private(set) var blockers: [Int32] = []
  private(set) var blockedSince: UInt64?
  private var blockade = Blockade.reads
  /// What there is no room for, where that is not the store's disk.
  private var shortage: String?
  /// Wall time of the last sign of life, in microseconds; 0 before the first one.
  private(set) var heartbeat: Int64 = 0
  /// Whether the store is only read, so that nobody brings the file up to date.
  var isReadOnly = false
  /// The last thing that went wrong, also when it has been overcome.
  var lastError: String?
  /// When the oldest command was written that the projector knows of and has not committed, in microseconds.
  private(set) var oldestTaken: Int64?
  private var rowCount = 0
  /// Rows projected until then, with the first one from before the time that is looked back to.
  private var samples: [(time: UInt64, rowCount: Int)] = []

  // MARK: From the projector

  /// A sign of life.
  mutating func beat(_ clock: any Clock) { heartbeat = clock.wallMicroseconds() }

  /// What it waited for is gone, or it waits for nothing.
  mutating func goOn(isRebuilding: Bool) {
    obstacle = nil
    shortage = nil
    blockers = []
    blockedSince = nil
    self.isRebuilding = isRebuilding
  }

  /// It has no file for `reason`; it tries again unless that `isFinal`.
  mutating func fail(_ clock: any Clock, _ reason: String, isFinal: Bool) {
    beat(clock)
    lastError = reason
    obstacle = isFinal ? .stopped : .rebuilding
    blockers = []
    blockedSince = nil
  }

  /// It waits for room: on the disk, or as `shortage` says.
  mutating func hold(_ clock: any Clock, _ shortage: String? = nil) {
    beat(clock)
    self.shortage = shortage
    if let shortage { lastError = shortage }
    obstacle = .held
    blockers = []
    blockedSince = nil
  }

  /// It waits for others.
  mutating func block(_ clock: any Clock, by processes: [Int32], _ blockade: Blockade) {
    beat(clock)
    obstacle = .blocked
    blockers = processes
    self.blockade = blockade
    blockedSince = blockedSince ?? clock.monotonicNanoseconds()
  }

  /// It has commands to project, the first of them written at `time`.
  mutating func took(_ time: Int64?) { oldestTaken = oldestTaken ?? time }

  mutating func committed(_ count: Int, _ clock: any Clock) {
    beat(clock)
    oldestTaken = nil
    let now = clock.monotonicNanoseconds()
    if samples.isEmpty { samples.append((now, rowCount)) }
    rowCount += count
    // Ten a second are enough.
    if samples.count > 1, now < samples[samples.count - 2].time + Self.rateNanoseconds / 40 { samples.removeLast() }
    samples.append((now, rowCount))
    let start = now - min(now, Self.rateNanoseconds)
    if let first = samples.lastIndex(where: { $0.time <= start }), first > 0 { samples.removeFirst(first) }
  }

  // MARK: For others

  /// What the projector does when that many commands are not projected.
  func state(lag: UInt64) -> State { obstacle ?? (isRebuilding ? .rebuilding : lag == 0 ? .current : .behind) }

  /// Rows per second over the last seconds.
  func rowsPerSecond(_ clock: any Clock) -> Int {
    let now = clock.monotonicNanoseconds()
    let start = now - min(now, Self.rateNanoseconds)
    guard let last = samples.last, last.time > start,
      let first = samples.last(where: { $0.time <= start }) ?? samples.first
    else { return 0 }
    // Of what began less than a second ago nothing better is known.
    let nanoseconds = max(now - max(first.time, start), 1_000_000_000)
    return Int(Double(last.rowCount - first.rowCount) * 1e9 / Double(nanoseconds))
  }

  /// Who blocks the projector, for people; nil when nobody does.
  var blockedBy: String? {
    guard obstacle == .blocked else { return nil }
    if blockers.isEmpty { return "another process" }
    return blockers.map { process in
      if process == processIdentifier() { return "this process" }
      return "process \(process)" + (commandName(process).map { " (\($0))" } ?? "")
    }.joined(separator: ", ")
  }

  /// What is told to who has waited for projections since `start`, when others have blocked them for longer than
  /// anybody is patient; else nil. Who has just begun to wait gives the projector time to look again.
  func refusal(_ clock: any Clock, waitingSince start: UInt64) -> StoreError? {
    if obstacle == .stopped || shortage != nil || isReadOnly { return refusal }
    guard let since = blockedSince else { return nil }
    let now = clock.monotonicNanoseconds()
    guard now >= since + Self.patienceNanoseconds, now >= start + Self.patienceNanoseconds / 5 else { return nil }
    return refusal
  }

  /// What is told to who waits for projections while others block them; else nil.
  var refusal: StoreError? {
    if isReadOnly {
      return StoreError(
        .overloaded,
        "projections.db cannot be brought up to date, for this store is read only: "
          + (lastError ?? "others have changed the file since"), sqliteCode: 8)
    }
    if let shortage { return StoreError(.overloaded, shortage, sqliteCode: 13) }
    if obstacle == .stopped || obstacle == .rebuilding {
      return StoreError(
        .overloaded,
        "projections.db cannot be kept up to date: \(lastError ?? "it is made anew"); mend that, or remove the file, "
          + "and open the store again: rows are written, and read from the tables, all the same", sqliteCode: 5)
    }
    guard let blockedBy else { return nil }
    let reason =
      switch blockade {
      case .locks: "\(blockedBy) has locked it"
      case .writes: "\(blockedBy) writes to it"
      case .reads:
        "\(blockedBy) reads old pages of it, and its write-ahead log is full (\(Self.walCapBytes >> 20) MiB)"
      }
    return StoreError(
      .overloaded,
      "projections.db is behind: \(reason); what is missing follows when that has ended, or at the next opening",
      sqliteCode: 5)
  }
}
