// How fast rows may come in, from what the work behind them has come to. A pure function, so that it can be tested and
// simulated without a clock.
//
// While one generation is flushed the next fills. Let it fill just so fast that it is full when the flush is done, and
// nobody ever stands still: the room that is left, divided by the time that is left. When rows come more slowly than
// that anyway, nothing slows them. What is not known is estimated: the flush by the speed of earlier ones, a part
// that is late by how late it is (what has taken twice as long as expected is expected to take half as long again).
//
// Runs of level 0 cost every read a probe, and merging them takes the thread that flushes. Beyond a number of them rows
// are held to a share of the speed of flush, so that merging gets the rest.

/// What stands between the rows and their tables. Sizes in bytes of memory.
struct WriteDebt: Equatable {
  /// What the generation that fills holds.
  var activeBytes = 0
  /// What it may hold.
  var budgetBytes = 1
  /// What the frozen generation holds that is not flushed yet; 0: none waits.
  var frozenBytes = 0
  /// The part of it that is being flushed now: one shard's.
  var partBytes = 0
  /// Time since the flush began or last got one part further.
  var sinceNanoseconds: UInt64 = 0
  /// What flushing took lately.
  var flushNanosecondsPerByte = WritePace.assumedFlush
  /// Runs in level 0 of the shard that has most.
  var runs = 0
}

/// What writers are held to.
struct WritePace: Equatable {
  enum Reason: String {
    case flushing, merging
  }

  /// A byte of rows every so many nanoseconds; 0: as fast as they come.
  var nanosecondsPerByte = 0.0
  var reason: Reason?

  /// Speed of flush until it was measured: 200 MB/s.
  static let assumedFlush = 5.0
  /// The slowest: 16 MB/s, 2 ms for 32 KiB.
  static let slowest = 61.0
  /// Part of the budget that should be full when the flush ends; the rest is for wrong estimates.
  static let target = 0.9
  /// Runs in level 0 from which merging gets a share, and those at which it gets all but a twentieth.
  static let softRuns = 10
  static let hardRuns = 30

  static func of(_ debt: WriteDebt) -> WritePace {
    let flushing = flushPace(debt)
    let merging = mergePace(debt)
    if flushing == 0, merging == 0 { return WritePace() }
    let reason: Reason = flushing >= merging ? .flushing : .merging
    return WritePace(nanosecondsPerByte: min(max(flushing, merging), slowest), reason: reason)
  }

  private static func flushPace(_ debt: WriteDebt) -> Double {
    if debt.frozenBytes == 0 { return 0 }
    let expected = Double(debt.partBytes) * debt.flushNanosecondsPerByte
    let since = Double(debt.sinceNanoseconds)
    let part = since <= expected ? expected - since : (since - expected) / 2
    let remaining = part + Double(max(0, debt.frozenBytes - debt.partBytes)) * debt.flushNanosecondsPerByte
    let room = Double(debt.budgetBytes) * target - Double(debt.activeBytes)
    return room <= 0 ? slowest : remaining / room
  }

  private static func mergePace(_ debt: WriteDebt) -> Double {
    guard debt.runs >= softRuns else { return 0 }
    let share = min(0.95, Double(debt.runs - softRuns + 1) / Double(hardRuns - softRuns))
    return debt.flushNanosecondsPerByte / (1 - share)
  }
}

/// Turns a pace into waiting: each batch may go when the one before has had its time. Waits that are too short to be
/// slept are kept for the next; what is owed never exceeds one wait, so nobody pays for what is long past.
struct PaceMeter {
  /// The longest wait of a batch.
  static let longestNanoseconds: UInt64 = 2_000_000
  /// A shorter one is not worth a sleep, which takes 60 µs more than it is asked for.
  static let shortestNanoseconds: UInt64 = 200_000

  /// When the next batch may go, by a clock that never goes back.
  private var next: UInt64 = 0

  /// How long a batch of `size` bytes has to wait at `now`. Nanoseconds.
  mutating func wait(_ size: Int, at now: UInt64, _ pace: WritePace) -> UInt64 {
    let start = max(next, now)
    let time = UInt64(Double(size) * pace.nanosecondsPerByte)
    next = min(start + time, now + Self.longestNanoseconds)
    let wait = start - now
    return wait < Self.shortestNanoseconds ? 0 : wait
  }
}
