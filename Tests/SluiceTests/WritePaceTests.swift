// The pace of writers: the pure function by itself, then whole runs of writer and flush by a clock that is a number.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

@Suite struct WritePaceTests {
  private let idle = WriteDebt(activeBytes: 10 << 20, budgetBytes: 64 << 20)

  private func flushing(_ change: (inout WriteDebt) -> Void = { _ in }) -> WriteDebt {
    var debt = WriteDebt(
      activeBytes: 10 << 20, budgetBytes: 64 << 20, frozenBytes: 64 << 20, partBytes: 16 << 20, sinceNanoseconds: 0,
      flushNanosecondsPerByte: 4)
    change(&debt)
    return debt
  }

  @Test func nothingBehindNothingSlows() {
    #expect(WritePace.of(idle) == WritePace())
    var full = idle
    full.activeBytes = full.budgetBytes
    full.runs = WritePace.softRuns - 1
    #expect(WritePace.of(full) == WritePace())
  }

  @Test func theRoomLastsAsLongAsTheFlush() {
    // 64 MiB at 4 ns a byte, for 0.9 · 64 - 10 MiB of room.
    let pace = WritePace.of(flushing())
    #expect(abs(pace.nanosecondsPerByte - 64 * 4 / 47.6) < 1e-9 && pace.reason == .flushing)
    // Half of the first part's time has passed.
    let later = WritePace.of(flushing { $0.sinceNanoseconds = (8 << 20) * 4 })
    #expect(abs(later.nanosecondsPerByte - 56 * 4 / 47.6) < 1e-9)
    // It is as late again as it should have taken: half of that is still to come.
    let late = WritePace.of(flushing { $0.sinceNanoseconds = (32 << 20) * 4 })
    #expect(abs(late.nanosecondsPerByte - 56 * 4 / 47.6) < 1e-9)
    let full = WritePace.of(flushing { $0.activeBytes = 64 << 20 })
    #expect(full == WritePace(nanosecondsPerByte: WritePace.slowest, reason: .flushing))
  }

  /// Fuller is never faster, a flush that got further never slower, more runs never faster.
  @Test func itGoesOneWay() {
    var before = 0.0
    for active in stride(from: 0, through: 64, by: 2) {
      let now = WritePace.of(flushing { $0.activeBytes = active << 20 }).nanosecondsPerByte
      #expect(now >= before && now <= WritePace.slowest)
      before = now
    }
    before = .infinity
    for left in stride(from: 64, through: 0, by: -16) {
      let now = WritePace.of(flushing { $0.frozenBytes = left << 20 }).nanosecondsPerByte
      #expect(now < before)
      before = now
    }
    #expect(before == 0)
    for runs in 0..<60 {
      var debt = idle
      debt.runs = runs
      let pace = WritePace.of(debt)
      #expect(pace.nanosecondsPerByte >= before && pace.nanosecondsPerByte <= WritePace.slowest)
      #expect(pace.reason == (runs < WritePace.softRuns ? nil : .merging))
      before = pace.nanosecondsPerByte
    }
    #expect(before > WritePace.assumedFlush * 10)
  }

  @Test func waitsAreShortAndAddUp() {
    var meter = PaceMeter()
    var now: UInt64 = 1_000_000_000
    // 64 KiB at 5 ns a byte: 0.33 ms each.
    let pace = WritePace(nanosecondsPerByte: 5, reason: .flushing)
    var waited: UInt64 = 0
    for _ in 0..<1_000 {
      let wait = meter.wait(64 << 10, at: now, pace)
      #expect(wait == 0 || (PaceMeter.shortestNanoseconds...PaceMeter.longestNanoseconds).contains(wait))
      now += wait + 10_000
      waited += wait + 10_000
    }
    let expected = 1_000 * Double(64 << 10) * 5
    #expect(abs(Double(waited) - expected) < expected * 0.02)
    // Who comes late enough waits for nothing, and nobody pays for a huge batch for ever.
    #expect(meter.wait(64 << 10, at: now + 1_000_000_000, pace) == 0)
    #expect(meter.wait(1 << 30, at: now + 2_000_000_000, pace) == 0)
    #expect(meter.wait(64 << 10, at: now + 2_000_000_000, pace) == PaceMeter.longestNanoseconds)
    #expect(meter.wait(64 << 10, at: now + 2_002_000_000, WritePace()) <= PaceMeter.longestNanoseconds)
    #expect(meter.wait(64 << 10, at: now + 2_005_000_000, WritePace()) == 0)
  }

  /// A writer that could fill a generation in a fraction of what its flush takes: it is held to the speed of the flush,
  /// and stands still for a few milliseconds at most once that speed is known.
  @Test(arguments: [2.0, 4, 9, 25]) func aSteadyWriterNeverStandsStill(_ flushSpeed: Double) {
    var simulation = Simulation(flushNanosecondsPerByte: flushSpeed, writerNanosecondsPerByte: 1)
    simulation.run(generations: 6)
    simulation.longestStall = 0
    simulation.writtenBytes = 0
    let start = simulation.now
    simulation.run(generations: 20)
    #expect(simulation.longestStall < 5_000_000, "stood still for \(simulation.longestStall) ns")
    let speed = Double(simulation.now - start) / Double(simulation.writtenBytes)
    #expect(speed < flushSpeed * 1.15, "\(speed) ns a byte where the flush takes \(flushSpeed)")
  }

  /// A writer that is slower than the flush is not slowed, once the speed of flushes is known.
  @Test func aSlowWriterIsLeftAlone() {
    var simulation = Simulation(flushNanosecondsPerByte: 3, writerNanosecondsPerByte: 5)
    simulation.run(generations: 3)
    simulation.waited = 0
    simulation.run(generations: 10)
    #expect(simulation.waited == 0 && simulation.longestStall == 0)
  }

  @Test func theStoreSaysWhatHoldsWritersUp() {
    let clock = ManualClock()
    let generations = Generations(budgetBytes: 1 << 20, partCount: 1, engineBytes: 0, clock: clock)
    #expect(generations.obstacle == nil)
    #expect(generations.count(1 << 20, engineBytes: 0))
    generations.frozen(at: 1)
    generations.begun(engineBytes: 0)
    #expect(!generations.count(900 << 10, engineBytes: 0))
    #expect(generations.waitNanoseconds(for: 64 << 10) == 0)
    #expect(generations.waitNanoseconds(for: 64 << 10) > 0)
    #expect(generations.obstacle == "slowed: flushing")
    #expect(generations.handOverBytes == Generations.slowBatchBytes)
    generations.flushed(upTo: 1)
    clock.advance(2_000_000_000)
    #expect(generations.waitNanoseconds(for: 64 << 10) == 0)
    #expect(generations.obstacle == nil && generations.handOverBytes == Generations.batchBytes)
    generations.noteRuns(WritePace.hardRuns)
    _ = generations.waitNanoseconds(for: 64 << 10)
    _ = generations.waitNanoseconds(for: 64 << 10)
    #expect(generations.obstacle == "slowed: merging")
  }

  /// What a shard holds beside the batches counts, but not what it held when it was empty.
  @Test func everythingHeldCounts() {
    let generations = Generations(budgetBytes: 1_000, partCount: 2, engineBytes: 500, clock: ManualClock())
    #expect(!generations.count(400, engineBytes: 600))
    #expect(generations.held == (500, 0))
    #expect(generations.count(400, engineBytes: 700))
    generations.frozen(at: 9)
    generations.begun(engineBytes: 550)
    #expect(generations.held == (0, 1))
    #expect(!generations.count(400, engineBytes: 550))
    #expect(generations.held == (400, 1))
    generations.flushed(upTo: 8)
    #expect(generations.held == (400, 1))
    generations.flushed(upTo: 9)
    #expect(generations.held == (400, 0))
  }
}

/// Time as a number.
private final class ManualClock: Clock {
  private let now = Monitor<UInt64>(1_000_000_000)
  func wallMicroseconds() -> Int64 { 0 }
  func monotonicNanoseconds() -> UInt64 { now.withLock { $0 } }
  func random() -> UInt64 { 7 }
  func advance(_ nanoseconds: UInt64) { now.withLock { $0 += nanoseconds } }
}

/// One writer and one flush, of four shards, by the clock's time.
private struct Simulation {
  let clock = ManualClock()
  let generations: Generations
  let flushNanosecondsPerByte: Double
  let writerNanosecondsPerByte: Double
  private let budget = 64 << 20
  private var active = 0
  private var frozen = 0
  private var position: UInt64 = 0
  private var partsLeft = 0
  /// When the part under way is done.
  private var partEnd: UInt64 = 0
  var longestStall: UInt64 = 0
  var waited: UInt64 = 0
  var writtenBytes = 0

  init(flushNanosecondsPerByte: Double, writerNanosecondsPerByte: Double) {
    self.flushNanosecondsPerByte = flushNanosecondsPerByte
    self.writerNanosecondsPerByte = writerNanosecondsPerByte
    generations = Generations(budgetBytes: budget, partCount: 4, engineBytes: 0, clock: clock)
  }

  var now: UInt64 { clock.monotonicNanoseconds() }
  private var partTime: UInt64 { UInt64(Double(frozen / 4) * flushNanosecondsPerByte) }

  /// Writes until so many generations were frozen.
  mutating func run(generations count: Int) {
    let last = position + UInt64(count)
    while position < last {
      let size = generations.handOverBytes
      pass(UInt64(Double(size) * writerNanosecondsPerByte))
      let wait = generations.waitNanoseconds(for: size)
      waited += wait
      pass(wait)
      active += size
      writtenBytes += size
      if generations.count(size, engineBytes: 0) { freeze() }
    }
  }

  private mutating func freeze() {
    let start = now
    while frozen > 0 { pass(partEnd - now) }
    longestStall = max(longestStall, now - start)
    position += 1
    generations.frozen(at: position)
    generations.begun(engineBytes: 0)
    frozen = active
    active = 0
    partsLeft = 4
    partEnd = now + partTime
  }

  /// Time passes, and the flush gets on.
  private mutating func pass(_ nanoseconds: UInt64) {
    let end = now + nanoseconds
    while partsLeft > 0, partEnd <= end {
      clock.advance(partEnd - now)
      generations.partFlushed(nanoseconds: partTime)
      partsLeft -= 1
      partEnd += partTime
      if partsLeft == 0 {
        frozen = 0
        generations.flushed(upTo: position)
      }
    }
    clock.advance(end - now)
  }
}
